/*===- fma_peak.c - The peak of fused multiply-adds ---------------------------------*- C -*-===//
 *
 * Prints the measured peak of fused multiply-adds in single precision, in GFLOP/s.
 *
 *   fma_peak THREADS        measures once
 *   fma_peak THREADS -      measures once for every line on the standard input
 *
 * Each thread runs 12 independent chains of vector FMAs that stay in registers: enough to cover a
 * latency of 4 to 6 cycles on two ports, and few enough not to spill. The best of several rounds
 * counts. Compile with -O2 -march=native: the widest vectors that the compiler may use are taken.
 *===--------------------------------------------------------------------------------------===*/
#include "rounds.h"

#if defined(__AVX512F__)
#define LANES 16
#define ISA "AVX-512"
#elif defined(__FMA__)
#define LANES 8
#define ISA "AVX2"
#else
#error "the CPU has neither AVX-512 nor FMA"
#endif

enum { CHAINS = 12, STEPS = 500000, ROUNDS = 20 };

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

static float chains(int thread) {
  (void)thread;
  /* |factor| < 1 and an addend keep the values finite and normal. */
  vector factor = {0}, addend = {0};
  factor += 0.999f, addend += 0.001f;
  __asm__("" : "+v"(factor), "+v"(addend));
  vector a[CHAINS];
  for (int i = 0; i < CHAINS; ++i)
    a[i] = addend * (float)i;
  for (int step = 0; step < STEPS; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; ++i)
      a[i] = a[i] * factor + addend;
    /* Keeps the chains in registers and the loop from being folded. */
    __asm__ volatile("" : "+v"(a[0]), "+v"(a[1]), "+v"(a[2]), "+v"(a[3]), "+v"(a[4]), "+v"(a[5]));
    __asm__ volatile("" : "+v"(a[6]), "+v"(a[7]), "+v"(a[8]), "+v"(a[9]), "+v"(a[10]), "+v"(a[11]));
  }
  float sum = 0;
  for (int i = 0; i < CHAINS; ++i)
    sum += a[i][0];
  return sum;
}

int main(int argc, char **argv) {
  int threads = parse_threads(argc, argv);
  if (!threads)
    return 1;
  return measure_rounds(argc, argv, threads, ROUNDS, chains, 2.0 * LANES * CHAINS * STEPS * threads,
                        ISA);
}
