/*===- MachinePeak.c - How fast this machine can be at most ---------------------*- C -*-===//
 *
 * All threads start a round together; it lasts from the first one's begin to the last one's end,
 * and the best of several rounds counts: they are short, because a thread that loses its core in
 * one does not count then.
 *
 * Multiply-adds: each thread runs 12 independent chains of vector FMAs that stay in registers:
 * enough to cover a latency of 4 to 6 cycles on two ports, and few enough not to spill.
 *
 * Bandwidth: a round reads one chunk of a memory many times as large, each thread its own part in
 * order, with as many independent sums as hide the latency of the addition. The next round reads
 * the next chunk; each comes back after all the others, 240 MB, so that it is in no cache smaller
 * than that. Where the caches together are larger, the result is partly theirs.
 *===------------------------------------------------------------------------------------===*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "MachinePeak.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*===-- Rounds --------------------------------------------------------------------------===*/

enum { MAX_ROUNDS = 32 };

enum start { WAIT, GO, GIVE_UP };

struct team {
  pthread_barrier_t barrier;
  atomic_int start; /* GO when all threads exist */
  float (*work)(const struct team *team, int thread, int round);
  int threads, rounds;
  const void *memory;
  cpu_set_t usable;                           /* cores that the process may use */
  volatile float sink[RAPT_PEAK_MAX_THREADS]; /* results, so that they are computed */
  double begin[RAPT_PEAK_MAX_THREADS][MAX_ROUNDS], end[RAPT_PEAK_MAX_THREADS][MAX_ROUNDS];
};

struct member {
  struct team *team;
  int thread;
  pthread_t handle;
};

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Keeps the calling thread on the `thread`-th usable core, again from the first when there are
 * fewer: rounds end before the scheduler would spread the threads. */
static void pin(int thread, const cpu_set_t *usable) {
  int left = thread % CPU_COUNT(usable), core = 0;
  while (!CPU_ISSET(core, usable) || left--)
    ++core;
  cpu_set_t mine;
  CPU_ZERO(&mine);
  CPU_SET(core, &mine);
  pthread_setaffinity_np(pthread_self(), sizeof mine, &mine);
}

static void *run_member(void *argument) {
  struct member *me = argument;
  struct team *team = me->team;
  pin(me->thread, &team->usable);
  while (atomic_load(&team->start) == WAIT)
    sched_yield();
  if (atomic_load(&team->start) == GIVE_UP)
    return NULL;
  for (int round = 0; round < team->rounds; ++round) {
    pthread_barrier_wait(&team->barrier);
    team->begin[me->thread][round] = seconds();
    team->sink[me->thread] = team->work(team, me->thread, round);
    team->end[me->thread][round] = seconds();
  }
  return NULL;
}

/* The shortest round in seconds. */
static double shortest(const struct team *team) {
  double best = 0;
  for (int round = 0; round < team->rounds; ++round) {
    double begin = team->begin[0][round], end = team->end[0][round];
    for (int i = 1; i < team->threads; ++i) {
      begin = team->begin[i][round] < begin ? team->begin[i][round] : begin;
      end = team->end[i][round] > end ? team->end[i][round] : end;
    }
    if (!round || end - begin < best)
      best = end - begin;
  }
  return best;
}

/* The shortest of `rounds` rounds in seconds; 0 when a thread cannot be started or the process may
 * use more cores than a cpu_set_t holds. */
static double run_rounds(int threads, int rounds, const void *memory,
                         float (*work)(const struct team *, int thread, int round)) {
  struct team *team = calloc(1, sizeof *team);
  struct member members[RAPT_PEAK_MAX_THREADS];
  if (!team || threads < 1 || threads > RAPT_PEAK_MAX_THREADS ||
      pthread_getaffinity_np(pthread_self(), sizeof team->usable, &team->usable) ||
      !CPU_COUNT(&team->usable)) {
    free(team);
    return 0;
  }
  team->work = work;
  team->threads = threads;
  team->rounds = rounds;
  team->memory = memory;
  pthread_barrier_init(&team->barrier, NULL, (unsigned)threads);
  int started = 1; /* the calling thread is member 0 */
  for (; started < threads; ++started) {
    members[started] = (struct member){team, started, 0};
    if (pthread_create(&members[started].handle, NULL, run_member, &members[started]))
      break;
  }
  atomic_store(&team->start, started == threads ? GO : GIVE_UP);
  members[0] = (struct member){team, 0, 0};
  run_member(&members[0]);
  for (int i = 1; i < started; ++i)
    pthread_join(members[i].handle, NULL);
  double best = started == threads ? shortest(team) : 0;
  pthread_setaffinity_np(pthread_self(), sizeof team->usable, &team->usable);
  pthread_barrier_destroy(&team->barrier);
  free(team);
  return best;
}

/*===-- Multiply-adds -------------------------------------------------------------------===*/

enum { CHAINS = 12, STEPS = 500000, FMA_ROUNDS = 20 };

/* Both bodies are the same text, for vectors of 8 and of 16 floats. |factor| < 1 and an addend keep
 * the values finite and normal; the empty assembly keeps the chains in registers and the loop from
 * being folded. */
#define RUN_CHAINS(LANES)                                                                          \
  typedef float vector __attribute__((vector_size(LANES * sizeof(float))));                        \
  vector factor = {0}, addend = {0}, a[CHAINS];                                                    \
  factor += 0.999f, addend += 0.001f;                                                              \
  __asm__("" : "+v"(factor), "+v"(addend));                                                        \
  for (int i = 0; i < CHAINS; ++i)                                                                 \
    a[i] = addend * (float)i;                                                                      \
  for (int step = 0; step < STEPS; ++step) {                                                       \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; ++i) a[i] =                     \
        a[i] * factor + addend;                                                                    \
    __asm__ volatile("" : "+v"(a[0]), "+v"(a[1]), "+v"(a[2]), "+v"(a[3]), "+v"(a[4]), "+v"(a[5])); \
    __asm__ volatile(""                                                                            \
                     : "+v"(a[6]), "+v"(a[7]), "+v"(a[8]), "+v"(a[9]), "+v"(a[10]), "+v"(a[11]));  \
  }                                                                                                \
  float sum = 0;                                                                                   \
  for (int i = 0; i < CHAINS; ++i)                                                                 \
    sum += a[i][0];                                                                                \
  return sum

#pragma STDC FP_CONTRACT ON

__attribute__((target("avx512f"))) static float chains16(const struct team *team, int thread,
                                                         int round) {
  (void)team, (void)thread, (void)round;
  RUN_CHAINS(16);
}

__attribute__((target("avx2,fma"))) static float chains8(const struct team *team, int thread,
                                                         int round) {
  (void)team, (void)thread, (void)round;
  RUN_CHAINS(8);
}

double rapt_fma_peak(int threads, enum rapt_peak_lanes lanes) {
  int able = lanes == RAPT_PEAK_AVX512
                 ? __builtin_cpu_supports("avx512f")
                 : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  double best =
      able ? run_rounds(threads, FMA_ROUNDS, NULL, lanes == RAPT_PEAK_AVX512 ? chains16 : chains8)
           : 0;
  return best > 0 ? 2e-9 * lanes * CHAINS * STEPS * threads / best : 0;
}

/*===-- Bandwidth -----------------------------------------------------------------------===*/

enum { SUMS = 8, CHUNKS = 16, READ_ROUNDS = 32 };
static const size_t CHUNK = (size_t)16 << 20;

typedef float line __attribute__((vector_size(64)));

/* Lines of one thread in a chunk, a multiple of SUMS. */
static size_t part_of(const struct team *team) {
  return CHUNK / sizeof(line) / (size_t)team->threads / SUMS * SUMS;
}

static float read_part(const struct team *team, int thread, int round) {
  size_t part = part_of(team), first = (size_t)(round % CHUNKS) * (CHUNK / sizeof(line));
  const line *from = (const line *)team->memory + first + (size_t)thread * part;
  line sums[SUMS];
  memset(sums, 0, sizeof sums);
  for (size_t i = 0; i < part; i += SUMS)
#pragma clang loop unroll(full)
    for (int j = 0; j < SUMS; ++j)
      sums[j] += from[i + (size_t)j];
  line all = sums[0];
  for (int j = 1; j < SUMS; ++j)
    all += sums[j];
  return all[0];
}

double rapt_read_bandwidth(int threads, const void *memory) {
  double best = run_rounds(threads, READ_ROUNDS, memory, read_part);
  struct team shape = {.threads = threads};
  return best > 0 ? 1e-9 * (double)(part_of(&shape) * sizeof(line)) * threads / best : 0;
}

void *rapt_peak_memory(void) {
  void *memory = aligned_alloc(4096, CHUNKS * CHUNK);
  if (memory)
    memset(memory, 0, CHUNKS * CHUNK); /* pages of its own, not the shared page of zeros */
  return memory;
}
