//===- ThreadPool.h - Parallel loops on the threads of one workspace ---------*- C++ -*-===//
//
// Each workspace owns one pool, so runs on different workspaces share nothing. The thread that
// calls parallelFor works too and returns when every task is done. Workers look for the next loop
// for at most 200 microseconds (not at all when there are more threads than CPUs) and then sleep on
// a futex: an idle pool uses no CPU.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_THREADPOOL_H
#define RAPT_RUNTIME_THREADPOOL_H

#include "Context.h"

#include <pthread.h>

namespace rapt {

class ThreadPool {
public:
  /// Before `start`: `numThreads` contexts, the first of which belongs to the caller of
  /// parallelFor.
  void init(Context *contexts, int numThreads);
  /// Starts numThreads - 1 workers; false when the system refuses one (then call `stop`).
  bool start();
  /// Ends and joins the workers. No loop may be running.
  void stop();

  /// As rapt_abi_context::parallel_for, for size >= 2 and from one thread at a time.
  int parallelFor(Context &caller, rapt_abi_task task, int min, int size, uint8_t *closure);

private:
  struct Worker {
    ThreadPool *pool;
    Context *context;
    pthread_t thread;
  };
  /// What is left of the tasks that one thread runs in order, before it helps the others.
  struct alignas(64) Share {
    /// (number of the loop) << 32 | (tasks left to claim)
    std::atomic<uint64_t> ticket{0};
  };
  static void *workerMain(void *worker);
  void workerLoop(Context &context);
  bool claim(int share, uint64_t seen, Context &context);
  uint32_t work(Context &context);
  void waitForRest(uint32_t count);

  Context *contexts = nullptr;
  Worker *workers = nullptr;
  Share *shares = nullptr; ///< one a thread
  int numWorkers = 0;      ///< started ones
  int numThreads = 1;
  int64_t spinNanoseconds = 0;

  // The current loop. Written by the caller while no task is left to claim; a worker's copy counts
  // only when it then claims a task with the ticket that it saw before.
  std::atomic<rapt_abi_task> task{nullptr};
  std::atomic<uint8_t *> closure{nullptr};
  std::atomic<int> min{0};
  std::atomic<int> size{0};
  std::atomic<int> result{0};
  uint32_t loop = 0; ///< its number; the caller's alone

  // Each on its own cache line: all threads write them.
  /// Tasks of this loop that are done; the caller's futex.
  alignas(64) std::atomic<uint32_t> done{0};
  std::atomic<uint32_t> callerSleeps{0};
  /// Counts loops and the stop; the workers' futex.
  alignas(64) std::atomic<uint32_t> wakeups{0};
  std::atomic<uint32_t> sleepers{0};
  std::atomic<bool> stopping{false};
};

} // namespace rapt

#endif // RAPT_RUNTIME_THREADPOOL_H
