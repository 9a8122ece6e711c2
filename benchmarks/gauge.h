/*===- gauge.h - The command line of a measurement of the machine -------------------*- C -*-===//
 *
 * What fma_peak.c and read_bandwidth.c share. The measurements themselves are those of
 * rapt-run --profile; they are included as a source, so that one call of the compiler makes a
 * program.
 *===--------------------------------------------------------------------------------------===*/
#ifndef RAPT_BENCHMARKS_GAUGE_H
#define RAPT_BENCHMARKS_GAUGE_H

#include "../runtime/tools/MachinePeak.c"

#include <stdio.h>

/* The number of threads on the command line; 0, and a message, when it is none. */
static int parse_threads(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  if (threads >= 1 && threads <= RAPT_PEAK_MAX_THREADS)
    return threads;
  fprintf(stderr, "%s: expected 1 to %d threads, got '%s'\n", argv[0], RAPT_PEAK_MAX_THREADS,
          argv[1]);
  return 0;
}

/* Prints what `measure` finds and `unit`, once or for every line on the standard input. Returns the
 * exit code. */
static int answer(int argc, char **argv, double (*measure)(int threads), const char *unit) {
  int threads = parse_threads(argc, argv), serve = argc > 2 && argv[2][0] == '-';
  char line[16];
  if (!threads)
    return 1;
  do {
    if (serve && !fgets(line, sizeof line, stdin))
      return 0;
    double result = measure(threads);
    if (result <= 0) {
      fprintf(stderr, "%s: cannot measure with %d threads\n", argv[0], threads);
      return 1;
    }
    printf("%.2f %s\n", result, unit);
    fflush(stdout);
  } while (serve);
  return 0;
}

#endif
