/*===- read_bandwidth.c - How fast the cores read memory ----------------------------*- C -*-===//
 *
 * Prints the measured bandwidth of reading memory that is in no cache, in GB/s.
 *
 *   read_bandwidth THREADS        measures once
 *   read_bandwidth THREADS -      measures once for every line on the standard input
 *
 * A round reads one CHUNK of a memory many times as large, each thread its own part in order, with
 * as many independent sums as hide the latency of the addition. The next round reads the next one,
 * so no chunk is in a cache when its turn comes. The best round counts: rounds are short, because a
 * thread that loses its core in one does not count then.
 *===--------------------------------------------------------------------------------------===*/
#include "rounds.h"

#include <string.h>

enum { LANES = 16, SUMS = 8, CHUNKS = 16, ROUNDS = 32 };
static const size_t CHUNK = (size_t)16 << 20;

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

static vector *memory;
static size_t part; /* vectors of one thread in a chunk, a multiple of SUMS */
static size_t turn[MAX_THREADS];

static float read_part(int thread) {
  size_t chunk = turn[thread]++ % CHUNKS;
  const vector *from = memory + chunk * (CHUNK / sizeof(vector)) + (size_t)thread * part;
  vector sums[SUMS];
  memset(sums, 0, sizeof sums);
  for (size_t i = 0; i < part; i += SUMS)
#pragma clang loop unroll(full)
    for (int j = 0; j < SUMS; ++j)
      sums[j] += from[i + (size_t)j];
  vector all = sums[0];
  for (int j = 1; j < SUMS; ++j)
    all += sums[j];
  return all[0];
}

int main(int argc, char **argv) {
  int threads = parse_threads(argc, argv);
  if (!threads)
    return 1;
  part = CHUNK / sizeof(vector) / (size_t)threads / SUMS * SUMS;
  memory = aligned_alloc(4096, CHUNKS * CHUNK);
  if (!memory) {
    fprintf(stderr, "read_bandwidth: no memory\n");
    return 1;
  }
  memset(memory, 0, CHUNKS * CHUNK); /* pages of its own, not the shared page of zeros */
  return measure_rounds(argc, argv, threads, ROUNDS, read_part,
                        (double)(part * sizeof(vector)) * threads, "GB/s");
}
