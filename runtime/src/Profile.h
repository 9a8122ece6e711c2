//===- Profile.h - When the kernels of a run began and ended -----------------*- C++ -*-===//
//
// One clock read per run and kernel call: a call begins where the one before it ended, so that
// nothing between two calls is lost. Two more for each thread that takes part in a parallel loop,
// and one or more for a thread that comes too late for a task. A loop of one task runs without the
// pool and is not recorded. All memory is taken when profiling starts; a run only writes it.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_PROFILE_H
#define RAPT_RUNTIME_PROFILE_H

#include "rapt.h"
#include "rapt_abi.h"

namespace rapt {

/// Nanoseconds of a clock that only goes forward.
int64_t now();

class Profile {
public:
  struct Span {
    int64_t begin, end; ///< nanoseconds of now(); both 0: not called
  };

  bool isOn() const { return spans; }
  /// Takes memory for runs of `model` on `numThreads` threads; false when there is none.
  bool create(const rapt_abi_model *model, int numThreads);
  void destroy();

  /// A run with these dims starts.
  void begin(const int64_t *runDims);
  void afterCall(int32_t call) {
    int64_t time = now();
    spans[call] = {last, time};
    last = time;
  }
  /// Thread number `thread` did `tasks` tasks of one loop since `loopBegin`. Each thread calls it
  /// for itself, before the loop counts as done.
  void afterLoop(int thread, int64_t loopBegin, uint32_t tasks) {
    Thread &self = threads[thread];
    if (self.count < maxLoops)
      loops[thread * maxLoops + self.count++] = {loopBegin, now(), thread, int32_t(tasks)};
  }

  /// Writes the last run to times[0 .. num_calls).
  void read(rapt_call_time *times);
  /// Writes at most `room` of the threads' loops in the last run; returns how many there are.
  int32_t readThreads(rapt_thread_time *times, int32_t room) const;

private:
  struct alignas(64) Thread { // each writes its own
    int64_t count;
  };

  const rapt_abi_model *abi = nullptr;
  Span *spans = nullptr;   ///< [num_calls]; never null while profiling
  int64_t *dims = nullptr; ///< [num_symbols] of the last run
  double *work = nullptr;  ///< [2 * num_calls]
  int numThreads = 0;
  int64_t maxLoops = 0;              ///< of one thread in a run; what is over is not recorded
  Thread *threads = nullptr;         ///< [numThreads]
  rapt_thread_time *loops = nullptr; ///< [numThreads][maxLoops], times of now()
  int64_t start = 0, last = 0;
  bool hasRun = false;
};

/// rapt_abi_context::after_call of a thread whose workspace is profiled.
void afterCall(rapt_abi_context *context, int32_t call);

} // namespace rapt

#endif // RAPT_RUNTIME_PROFILE_H
