/*===- fma_peak.c - The peak of fused multiply-adds ---------------------------------*- C -*-===//
 *
 * Prints the measured peak of fused multiply-adds in single precision, in GFLOP/s.
 *
 *   fma_peak THREADS        measures once
 *   fma_peak THREADS -      measures once for every line on the standard input
 *
 * Compile with -O2 -march=native: the widest vectors that the compiler may use are taken.
 *===--------------------------------------------------------------------------------------===*/
#include "gauge.h"

#if defined(__AVX512F__)
#define LANES RAPT_PEAK_AVX512
#define ISA "AVX-512"
#elif defined(__FMA__)
#define LANES RAPT_PEAK_AVX2
#define ISA "AVX2"
#else
#error "the CPU has neither AVX-512 nor FMA"
#endif

static double peak(int threads) { return rapt_fma_peak(threads, LANES); }

int main(int argc, char **argv) { return answer(argc, argv, peak, ISA); }
