//===- threads_bench.h - What a parallel loop of the runtime costs -------------*- C++ -*-===//
#ifndef RAPT_BENCHMARKS_THREADS_BENCH_H
#define RAPT_BENCHMARKS_THREADS_BENCH_H

/// Prints the median and the 99th percentile of the time that a loop of empty tasks takes, for
/// several numbers of threads and tasks. About 6 s.
void benchThreads();

#endif // RAPT_BENCHMARKS_THREADS_BENCH_H
