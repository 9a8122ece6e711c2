//===- CountAllocations.h - How often the test program allocates -------------*- C++ -*-===//
//
// The test program defines malloc and its kin, and mmap, itself: calls from anywhere in the process
// arrive there, are counted while counting is on, and go on to the C library or the kernel.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TEST_RUNTIME_COUNTALLOCATIONS_H
#define RAPT_TEST_RUNTIME_COUNTALLOCATIONS_H

/// Starts counting from zero, on every thread.
void startCounting();
/// Stops and returns the count.
long stopCounting();

#endif // RAPT_TEST_RUNTIME_COUNTALLOCATIONS_H
