/*===- MachinePeak.h - How fast this machine can be at most ---------------------*- C -*-===//
 *
 * Two short measurements that speeds are compared with, on as many threads at once as they are of.
 * rapt-run --profile and benchmarks/ take them.
 *===------------------------------------------------------------------------------------===*/
#ifndef RAPT_TOOLS_MACHINEPEAK_H
#define RAPT_TOOLS_MACHINEPEAK_H

#ifdef __cplusplus
extern "C" {
#endif

enum { RAPT_PEAK_MAX_THREADS = 256 };

/* Vectors of 8 floats (AVX2 and FMA) or 16 (AVX-512). */
enum rapt_peak_lanes { RAPT_PEAK_AVX2 = 8, RAPT_PEAK_AVX512 = 16 };

/* The peak of fused multiply-adds in single precision, in GFLOP/s, all threads together. 0 when the
 * CPU lacks the instructions, or a thread cannot be started. Takes some 20 ms. */
double rapt_fma_peak(int threads, enum rapt_peak_lanes lanes);

/* The bandwidth of reading memory that is in no cache, in GB/s, all threads together. `memory`: its
 * own, from rapt_peak_memory. 0 when a thread cannot be started. Takes some 30 ms. */
double rapt_read_bandwidth(int threads, const void *memory);

/* 256 MB for rapt_read_bandwidth, with pages of its own; null when there is none. To be freed. */
void *rapt_peak_memory(void);

#ifdef __cplusplus
}
#endif
#endif /* RAPT_TOOLS_MACHINEPEAK_H */
