//===- kernels_bench.h - The parts of rapt-kernel-bench ------------------------*- C++ -*-===//
#ifndef RAPT_BENCHMARKS_KERNELS_BENCH_H
#define RAPT_BENCHMARKS_KERNELS_BENCH_H

#include "Specs.h"

namespace rapt::kernels::test {

/// GB/s that one core reads from memory outside of its caches.
double readBandwidth();

/// GFLOP/s of FMAs in registers.
double measurePeak();

/// [rows, depth] by packed [depth, columns] with bias, and GELU. Dims: rows.
KernelSpec linear(const Schedule &s, int64_t depth, int64_t columns, bool gelu);

/// GEMM of few and of uneven numbers of rows, with weights that come from memory.
void benchRows(bool narrow);

/// Attention of one to eight queries over caches of keys and values.
void benchDecode(bool narrow);

} // namespace rapt::kernels::test

#endif // RAPT_BENCHMARKS_KERNELS_BENCH_H
