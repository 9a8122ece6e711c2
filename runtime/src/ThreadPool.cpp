//===- ThreadPool.cpp - Parallel loops on the threads of one workspace -------*- C++ -*-===//
//
// A loop is published by storing a ticket (loop number, tasks left) for each thread's share of its
// tasks. A thread claims a task by lowering a ticket with compare-exchange; success proves that the
// loop is still the one whose fields it read, so a worker that was delayed between two loops can
// never run a stale task. Shares are dealt in order, so that a thread meets the same rows again in
// the next kernel, and in a product the panel that it fetches ahead is its own; a thread that has
// finished its share goes on with the others', so a slow core holds nobody up. The caller waits
// until `done` reaches the size; it does not wait for workers that never woke up.
//===------------------------------------------------------------------------------------===//
#include "ThreadPool.h"
#include "CpuCount.h"
#include "FloatMode.h"
#include "Profile.h"

#include <algorithm>
#include <immintrin.h>
#include <linux/futex.h>
#include <new>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace rapt;

/// Longer than the gap between two kernels, short enough not to be felt by other processes.
static constexpr int64_t maxSpinNanoseconds = 200 * 1000;

static void futexWait(std::atomic<uint32_t> &word, uint32_t seen) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE, seen, nullptr,
          nullptr, 0);
}

static void futexWake(std::atomic<uint32_t> &word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE, count, nullptr,
          nullptr, 0);
}

/// Spins until `ready()` or until the time is over; returns what `ready()` last said.
template <typename Ready> static bool spin(int64_t nanoseconds, Ready ready) {
  if (ready())
    return true;
  if (nanoseconds == 0)
    return false;
  for (int64_t deadline = now() + nanoseconds; now() < deadline;)
    for (int i = 0; i < 32; ++i) {
      if (ready())
        return true;
      _mm_pause();
    }
  return ready();
}

void ThreadPool::init(Context *theContexts, int theNumThreads) {
  contexts = theContexts;
  numThreads = theNumThreads;
  spinNanoseconds = numThreads <= numUsableCpus() ? maxSpinNanoseconds : 0;
}

bool ThreadPool::start() {
  workers = static_cast<Worker *>(calloc(numThreads, sizeof(Worker)));
  shares = static_cast<Share *>(aligned_alloc(alignof(Share), numThreads * sizeof(Share)));
  if (!workers || !shares)
    return false;
  for (int i = 0; i < numThreads; ++i)
    new (&shares[i]) Share;
  // Signals are the program's business: its handlers run on its own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool ok = true;
  for (; ok && numWorkers < numThreads - 1; numWorkers += ok) {
    Worker &worker = workers[numWorkers];
    worker.pool = this;
    worker.context = &contexts[numWorkers + 1];
    ok = pthread_create(&worker.thread, nullptr, workerMain, &worker) == 0;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return ok;
}

void ThreadPool::stop() {
  stopping.store(true);
  wakeups.fetch_add(1);
  futexWake(wakeups, numThreads);
  for (int i = 0; i < numWorkers; ++i)
    pthread_join(workers[i].thread, nullptr);
  free(workers);
  free(shares);
  workers = nullptr;
  shares = nullptr;
  numWorkers = 0;
}

//===-- Working ---------------------------------------------------------------------------===//

/// Where the tasks of this share end, as a number of tasks from the first on.
static int64_t endOfShare(int share, int size, int numThreads) {
  return int64_t(size) * (share + 1) / numThreads;
}

/// Claims and runs one task of the share and the loop that `seen` belongs to; false when another
/// thread was faster.
bool ThreadPool::claim(int share, uint64_t seen, Context &context) {
  rapt_abi_task theTask = task.load(std::memory_order_relaxed);
  uint8_t *theClosure = closure.load(std::memory_order_relaxed);
  int theMin = min.load(std::memory_order_relaxed), theSize = size.load(std::memory_order_relaxed);
  if (!shares[share].ticket.compare_exchange_strong(seen, seen - 1, std::memory_order_acq_rel))
    return false;
  // After a failure the remaining tasks are claimed but not run.
  if (result.load(std::memory_order_relaxed) == 0) {
    int64_t index = theMin + endOfShare(share, theSize, numThreads) - int64_t(uint32_t(seen));
    if (int status = theTask(&context.abi, int(index), theClosure)) {
      int none = 0;
      result.compare_exchange_strong(none, status);
    }
  }
  return true;
}

/// Runs tasks until none is left to claim; returns how many this thread ran and did not yet report.
uint32_t ThreadPool::work(Context &context) {
  uint32_t count = 0;
  Profile *profile = nullptr;
  int64_t begin = 0;
  context.inTask = true;
  for (int i = 0; i < numThreads; ++i) {
    int share = (context.number + i) % numThreads;
    for (;;) {
      uint64_t seen = shares[share].ticket.load(std::memory_order_acquire);
      if (uint32_t(seen) == 0)
        break;
      // Anew for each ticket: a claim that succeeds proves that the ticket's run, during which the
      // profile cannot change, is still going on.
      if (count == 0) {
        profile = context.profile.load(std::memory_order_relaxed);
        begin = profile ? now() : 0;
      }
      count += claim(share, seen, context);
    }
  }
  context.inTask = false;
  // With a task of its own the thread keeps the run, and so the profile, from ending.
  if (count > 0 && profile)
    profile->afterLoop(context.number, begin, count);
  return count;
}

void *ThreadPool::workerMain(void *argument) {
  FloatMode mode;
  Worker *worker = static_cast<Worker *>(argument);
  worker->pool->workerLoop(*worker->context);
  return nullptr;
}

void ThreadPool::workerLoop(Context &context) {
  while (!stopping.load(std::memory_order_relaxed)) {
    uint32_t seen = wakeups.load();
    if (uint32_t count = work(context)) {
      done.fetch_add(count);
      if (callerSleeps.load())
        futexWake(done, 1);
      continue;
    }
    if (spin(spinNanoseconds, [&] { return wakeups.load(std::memory_order_relaxed) != seen; }))
      continue;
    // The caller raises `wakeups` before it reads `sleepers`, and this thread does the reverse, so
    // either the caller wakes it or the kernel sees that the word has changed.
    sleepers.fetch_add(1);
    while (wakeups.load() == seen)
      futexWait(wakeups, seen);
    sleepers.fetch_sub(1);
  }
}

//===-- Calling ---------------------------------------------------------------------------===//

int ThreadPool::parallelFor(Context &caller, rapt_abi_task theTask, int theMin, int theSize,
                            uint8_t *theClosure) {
  task.store(theTask, std::memory_order_relaxed);
  closure.store(theClosure, std::memory_order_relaxed);
  min.store(theMin, std::memory_order_relaxed);
  size.store(theSize, std::memory_order_relaxed);
  result.store(0, std::memory_order_relaxed);
  done.store(0, std::memory_order_relaxed);
  ++loop;
  int64_t begin = 0;
  for (int i = 0; i < numThreads; ++i) {
    int64_t end = endOfShare(i, theSize, numThreads);
    shares[i].ticket.store(uint64_t(loop) << 32 | uint32_t(end - begin), std::memory_order_release);
    begin = end;
  }
  wakeups.fetch_add(1);
  if (sleepers.load())
    futexWake(wakeups, std::min(theSize - 1, numWorkers));

  uint32_t mine = work(caller);
  done.fetch_add(mine);
  waitForRest(uint32_t(theSize));
  return result.load();
}

void ThreadPool::waitForRest(uint32_t count) {
  if (spin(spinNanoseconds, [&] { return done.load(std::memory_order_acquire) == count; }))
    return;
  callerSleeps.store(1);
  for (uint32_t seen; (seen = done.load()) != count;)
    futexWait(done, seen);
  callerSleeps.store(0);
}
