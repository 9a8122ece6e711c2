/*===- fma_peak.c - The peak of fused multiply-adds ---------------------------------*- C -*-===//
 *
 * Prints the measured peak of fused multiply-adds in single precision, in GFLOP/s.
 *
 *   fma_peak THREADS
 *
 * Each thread runs 12 independent chains of vector FMAs that stay in registers: enough to cover a
 * latency of 4 to 6 cycles on two ports, and few enough not to spill. The best of several rounds
 * counts. Compile with -O2 -march=native: the widest vectors that the compiler may use are taken.
 *===--------------------------------------------------------------------------------------===*/
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define LANES 16
#define ISA "AVX-512"
#elif defined(__FMA__)
#define LANES 8
#define ISA "AVX2"
#else
#error "the CPU has neither AVX-512 nor FMA"
#endif

enum { CHAINS = 12, STEPS = 500000, ROUNDS = 40, MAX_THREADS = 256 };

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

static pthread_barrier_t barrier;
static volatile float sink;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float chains(void) {
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

/* When one thread began and ended each round. */
struct times {
  double begin[ROUNDS], end[ROUNDS];
};

static void *worker(void *argument) {
  struct times *times = argument;
  for (int round = 0; round < ROUNDS; ++round) {
    pthread_barrier_wait(&barrier);
    times->begin[round] = now();
    sink = chains();
    times->end[round] = now();
  }
  return NULL;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  if (threads < 1 || threads > MAX_THREADS) {
    fprintf(stderr, "fma_peak: expected 1 to %d threads, got '%s'\n", MAX_THREADS, argv[1]);
    return 1;
  }
  static struct times times[MAX_THREADS];
  pthread_t handles[MAX_THREADS];
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (int i = 0; i < threads; ++i)
    if (pthread_create(&handles[i], NULL, worker, &times[i])) {
      fprintf(stderr, "fma_peak: cannot start thread %d\n", i);
      return 1;
    }
  for (int i = 0; i < threads; ++i)
    pthread_join(handles[i], NULL);

  double best = 0;
  for (int round = 0; round < ROUNDS; ++round) {
    double begin = times[0].begin[round], end = times[0].end[round];
    for (int i = 1; i < threads; ++i) {
      begin = times[i].begin[round] < begin ? times[i].begin[round] : begin;
      end = times[i].end[round] > end ? times[i].end[round] : end;
    }
    double rate = 2.0 * LANES * CHAINS * STEPS * threads / (end - begin);
    best = rate > best ? rate : best;
  }
  printf("%.1f %s\n", best * 1e-9, ISA);
  return 0;
}
