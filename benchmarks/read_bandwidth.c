/*===- read_bandwidth.c - How fast the cores read memory ----------------------------*- C -*-===//
 *
 * Prints the measured bandwidth of reading memory that is in no cache, in GB/s.
 *
 *   read_bandwidth THREADS        measures once
 *   read_bandwidth THREADS -      measures once for every line on the standard input
 *===--------------------------------------------------------------------------------------===*/
#include "gauge.h"

static void *memory;

static double bandwidth(int threads) { return rapt_read_bandwidth(threads, memory); }

int main(int argc, char **argv) {
  memory = rapt_peak_memory();
  if (!memory) {
    fprintf(stderr, "read_bandwidth: no memory\n");
    return 1;
  }
  return answer(argc, argv, bandwidth, "GB/s");
}
