//===- kernels_bench.h - The parts of rapt-kernel-bench ------------------------*- C++ -*-===//
#ifndef RAPT_BENCHMARKS_KERNELS_BENCH_H
#define RAPT_BENCHMARKS_KERNELS_BENCH_H

#include "Specs.h"

namespace rapt::kernels::test {

/// GB/s that one core reads from memory outside of its caches.
double readBandwidth();

/// Attention of one to eight queries over caches of keys and values.
void benchDecode(bool narrow);

} // namespace rapt::kernels::test

#endif // RAPT_BENCHMARKS_KERNELS_BENCH_H
