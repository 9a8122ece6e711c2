/*===- rounds.h - Threads that do the same work at once, timed ----------------------*- C -*-===//
 *
 * What fma_peak.c and read_bandwidth.c share: their command line, and rounds in which all threads
 * start together. A round lasts from the first thread's begin to the last one's end.
 *===--------------------------------------------------------------------------------------===*/
#ifndef RAPT_BENCHMARKS_ROUNDS_H
#define RAPT_BENCHMARKS_ROUNDS_H

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_ROUNDS = 64, MAX_THREADS = 256 };

static struct {
  pthread_barrier_t barrier;
  float (*work)(int thread);
  int rounds;
  double begin[MAX_THREADS][MAX_ROUNDS], end[MAX_THREADS][MAX_ROUNDS];
} team;

static volatile float sink;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Keeps the calling thread on the `thread`-th of the cores that the process may use, again from the
 * first when there are fewer: short rounds end before the scheduler would spread the threads. */
static void pin(int thread) {
  cpu_set_t usable, mine;
  if (sched_getaffinity(0, sizeof usable, &usable) || !CPU_COUNT(&usable))
    return;
  int left = thread % CPU_COUNT(&usable), core = 0;
  while (!CPU_ISSET(core, &usable) || left--)
    ++core;
  CPU_ZERO(&mine);
  CPU_SET(core, &mine);
  pthread_setaffinity_np(pthread_self(), sizeof mine, &mine);
}

static void *member(void *argument) {
  int thread = (int)(long)argument;
  pin(thread);
  for (int round = 0; round < team.rounds; ++round) {
    pthread_barrier_wait(&team.barrier);
    team.begin[thread][round] = now();
    sink = team.work(thread);
    team.end[thread][round] = now();
  }
  return NULL;
}

/* The shortest of `rounds` rounds in seconds; 0 when a thread cannot be started. */
static double shortest_round(int threads, int rounds, float (*work)(int thread)) {
  pthread_t handles[MAX_THREADS];
  team.work = work;
  team.rounds = rounds;
  pthread_barrier_init(&team.barrier, NULL, (unsigned)threads);
  for (long i = 0; i < threads; ++i)
    if (pthread_create(&handles[i], NULL, member, (void *)i)) {
      fprintf(stderr, "cannot start thread %ld\n", i);
      return 0;
    }
  for (int i = 0; i < threads; ++i)
    pthread_join(handles[i], NULL);
  pthread_barrier_destroy(&team.barrier);

  double best = 0;
  for (int round = 0; round < rounds; ++round) {
    double begin = team.begin[0][round], end = team.end[0][round];
    for (int i = 1; i < threads; ++i) {
      begin = team.begin[i][round] < begin ? team.begin[i][round] : begin;
      end = team.end[i][round] > end ? team.end[i][round] : end;
    }
    if (!round || end - begin < best)
      best = end - begin;
  }
  return best;
}

/* The number of threads on the command line; 0, and a message, when it is none. */
static int parse_threads(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  if (threads >= 1 && threads <= MAX_THREADS)
    return threads;
  fprintf(stderr, "%s: expected 1 to %d threads, got '%s'\n", argv[0], MAX_THREADS, argv[1]);
  return 0;
}

/* Prints billions of `amount` a second and `unit`, once or for every line on the standard input.
 * Returns the exit code. */
static int measure_rounds(int argc, char **argv, int threads, int rounds, float (*work)(int),
                          double amount, const char *unit) {
  int serve = argc > 2 && argv[2][0] == '-';
  char line[16];
  do {
    if (serve && !fgets(line, sizeof line, stdin))
      return 0;
    double seconds = shortest_round(threads, rounds, work);
    if (seconds <= 0)
      return 1;
    printf("%.2f %s\n", amount / seconds * 1e-9, unit);
    fflush(stdout);
  } while (serve);
  return 0;
}

#endif
