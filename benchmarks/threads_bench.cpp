//===- threads_bench.cpp - What a parallel loop of the runtime costs -----------*- C++ -*-===//
//
// Loops of tasks that do nothing, on the runtime's own pool: publishing the loop, waking or
// reaching the workers, and the barrier at its end. Back to back, and with a pause like a kernel's
// serial part before each.
//
//===-------------------------------------------------------------------------------------===//
#include "threads_bench.h"

#include "CpuCount.h"
#include "ThreadPool.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <immintrin.h>
#include <new>
#include <vector>

using namespace rapt;

using Clock = std::chrono::steady_clock;

static double nanosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

namespace {
struct Meeting {
  int size;
  std::atomic<int> arrived{0};
};
} // namespace

static int doNothing(rapt_abi_context *, int, uint8_t *) { return 0; }

static int meet(rapt_abi_context *, int, uint8_t *closure) {
  Meeting &meeting = *reinterpret_cast<Meeting *>(closure);
  meeting.arrived.fetch_add(1);
  while (meeting.arrived.load(std::memory_order_relaxed) < meeting.size)
    _mm_pause();
  return 0;
}

static void benchPool(int threads, int tasks, double pauseNanoseconds, bool meeting) {
  struct alignas(Context) Storage {
    char bytes[sizeof(Context)];
  };
  std::vector<Storage> memory(threads);
  RunError error;
  ThreadPool pool;
  for (Storage &storage : memory)
    new (&storage) Context(&pool, &error);
  auto *contexts = reinterpret_cast<Context *>(memory.data());
  pool.init(contexts, threads);
  if (pool.start()) {
    std::vector<double> times;
    auto end = Clock::now() + std::chrono::milliseconds(500);
    for (int i = 0; Clock::now() < end || i < 1000; ++i) {
      auto start = Clock::now();
      while (nanosecondsSince(start) < pauseNanoseconds) {
      }
      Meeting all{tasks};
      start = Clock::now();
      contexts->abi.parallel_for(&contexts->abi, meeting ? meet : doNothing, 0, tasks,
                                 reinterpret_cast<uint8_t *>(&all));
      if (double time = nanosecondsSince(start); i >= 100)
        times.push_back(time);
    }
    std::sort(times.begin(), times.end());
    printf("%d threads, %d %s tasks, %3.0f us before: median %6.0f ns, p99 %7.0f ns of %zu loops\n",
           threads, tasks, meeting ? "meeting" : "empty", pauseNanoseconds * 1e-3,
           times[times.size() / 2], times[times.size() * 99 / 100], times.size());
  } else {
    fprintf(stderr, "cannot start %d threads\n", threads);
  }
  pool.stop();
}

void benchThreads() {
  for (double pause : {0.0, 20e3}) {
    for (int threads : {2, 4})
      if (threads <= numUsableCpus())
        benchPool(threads, threads, pause, true);
    for (auto [threads, tasks] :
         std::vector<std::pair<int, int>>{{1, 2}, {2, 2}, {2, 4}, {4, 2}, {4, 4}, {7, 2}})
      benchPool(threads, tasks, pause, false);
  }
}
