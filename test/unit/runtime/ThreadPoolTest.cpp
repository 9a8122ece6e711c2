//===- ThreadPoolTest.cpp - Parallel loops, scratch memory, CPU limits -------*- C++ -*-===//

#include "ThreadPool.h"
#include "CpuCount.h"
#include "FloatMode.h"
#include "Helpers.h"

#include <atomic>
#include <memory>
#include <new>
#include <set>
#include <sys/stat.h>

using namespace rapt;

namespace {
/// A pool with its contexts.
struct Pool {
  explicit Pool(int threads) : memory(new Storage[size_t(threads)]), threads(threads) {
    for (int i = 0; i < threads; ++i)
      new (&memory[size_t(i)]) Context(&pool, &error);
    pool.init(contexts(), threads);
    EXPECT_TRUE(pool.start());
  }
  ~Pool() { pool.stop(); }
  Context *contexts() { return reinterpret_cast<Context *>(memory.get()); }
  int loop(rapt_abi_task task, int min, int size, void *closure) {
    rapt_abi_context *context = &contexts()->abi;
    return context->parallel_for(context, task, min, size, static_cast<uint8_t *>(closure));
  }
  struct alignas(Context) Storage {
    char bytes[sizeof(Context)];
  };
  std::unique_ptr<Storage[]> memory;
  int threads;
  RunError error;
  ThreadPool pool;
};

int countUp(rapt_abi_context *, int index, uint8_t *closure) {
  reinterpret_cast<std::atomic<int> *>(closure)[index].fetch_add(1);
  return 0;
}
} // namespace

TEST(ThreadPool, EachTaskRunsOnce) {
  for (int threads : {1, 2, 5}) {
    Pool pool(threads);
    for (int size : {0, 1, 2, 3, 64, 1000}) {
      std::vector<std::atomic<int>> counts(2000);
      EXPECT_EQ(pool.loop(countUp, 100, size, counts.data()), 0);
      for (int i = 0; i < 2000; ++i)
        ASSERT_EQ(counts[size_t(i)], i >= 100 && i < 100 + size) << i;
    }
  }
}

// Back-to-back loops of changing size: a worker that is late for one must not harm the next.
TEST(ThreadPool, ManyShortLoops) {
  Pool pool(4);
  std::vector<std::atomic<int>> counts(16);
  int expected[16] = {};
  for (int i = 0; i < 5000; ++i) {
    int size = 2 + i % 15;
    ASSERT_EQ(pool.loop(countUp, 0, size, counts.data()), 0);
    for (int k = 0; k < size; ++k)
      ++expected[k];
    if (i % 1000 == 0)
      usleep(1000); // lets the workers fall asleep
  }
  for (int k = 0; k < 16; ++k)
    EXPECT_EQ(counts[size_t(k)], expected[k]);
}

// A program may flush denormals on the thread that makes a workspace; workers do not.
TEST(ThreadPool, WorkersKeepDenormals) {
  constexpr unsigned flush = 0x8040;
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | flush);
  Pool pool(2);
  unsigned here = 0;
  {
    FloatMode mode;
    here = _mm_getcsr();
  }
  EXPECT_EQ(_mm_getcsr() & flush, flush);
  _mm_setcsr(before);
  EXPECT_EQ(here & flush, 0u);
  struct Seen {
    std::atomic<int> inside{0};
    std::atomic<unsigned> modes{0};
  } seen;
  auto look = [](rapt_abi_context *, int, uint8_t *closure) {
    auto *self = reinterpret_cast<Seen *>(closure);
    self->modes.fetch_or(_mm_getcsr());
    self->inside.fetch_add(1);
    while (self->inside.load() < 2) // so that both threads have one
      _mm_pause();
    return 0;
  };
  EXPECT_EQ(pool.loop(look, 0, 2, &seen), 0);
  EXPECT_EQ(seen.modes.load() & flush, 0u);
}

TEST(ThreadPool, NestedLoopsRunInline) {
  Pool pool(3);
  std::vector<std::atomic<int>> counts(8);
  auto outer = [](rapt_abi_context *context, int, uint8_t *closure) {
    return context->parallel_for(context, countUp, 0, 8, closure);
  };
  EXPECT_EQ(pool.loop(outer, 0, 10, counts.data()), 0);
  for (auto &count : counts)
    EXPECT_EQ(count, 10);
}

TEST(ThreadPool, FailureOfOneTask) {
  Pool pool(3);
  auto task = [](rapt_abi_context *context, int index, uint8_t *) {
    return index == 13 ? context->fail(context, "task %lld of %lld", index, 50) + 41 : 0;
  };
  EXPECT_EQ(pool.loop(task, 0, 50, nullptr), 42);
  EXPECT_STREQ(pool.error.text, "task 13 of 50");
  std::vector<std::atomic<int>> counts(8);
  EXPECT_EQ(pool.loop(countUp, 0, 8, counts.data()), 0);
}

TEST(Scratch, BlocksInAnyOrder) {
  alignas(128) static char memory[4096];
  Scratch scratch;
  scratch.reset(memory, sizeof memory);
  void *a = scratch.allocate(1), *b = scratch.allocate(1000), *c = scratch.allocate(0);
  EXPECT_EQ(a, memory);
  EXPECT_EQ(b, memory + 128);
  EXPECT_EQ(c, memory + 128 + 1024);
  scratch.free(b); // reclaimed once c is gone
  scratch.free(c);
  EXPECT_EQ(scratch.allocate(500), b);
  scratch.free(nullptr);
  EXPECT_EQ(scratch.numHeapBlocks(), 0u);
  void *large = scratch.allocate(4096);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(large) % 128, 0u);
  EXPECT_EQ(scratch.numHeapBlocks(), 1u);
  scratch.free(large);
  EXPECT_EQ(scratch.allocate(UINT64_MAX), nullptr);
}

TEST(Scratch, MoreBlocksThanTheTableHolds) {
  alignas(128) static char memory[128 * 200];
  Scratch scratch;
  scratch.reset(memory, sizeof memory);
  std::vector<void *> blocks;
  for (int i = 0; i < 70; ++i)
    blocks.push_back(scratch.allocate(100));
  EXPECT_EQ(scratch.numHeapBlocks(), 6u);
  EXPECT_EQ(std::set<void *>(blocks.begin(), blocks.end()).size(), 70u);
  for (void *block : blocks)
    scratch.free(block);
  EXPECT_EQ(scratch.allocate(100), memory);
}

TEST(CpuCount, EnvironmentDecides) {
  setenv("RAPT_NUM_THREADS", "3", 1);
  EXPECT_EQ(rapt_default_num_threads(), 3);
  for (const char *nonsense : {"", "0", "-1", "2x", "100000", "many"}) {
    setenv("RAPT_NUM_THREADS", nonsense, 1);
    EXPECT_EQ(rapt_default_num_threads(), numUsableCpus());
  }
  unsetenv("RAPT_NUM_THREADS");
  EXPECT_GE(numUsableCpus(), 1);
}

TEST(CpuCount, CgroupQuotas) {
  std::string root = scratchFile("cgroup");
  auto group = [&](const std::string &path) { mkdir((root + path).c_str(), 0700); };
  for (const char *path : {"", "/a", "/a/b", "/cpu", "/cpu/c"})
    group(path);
  writeBytes(root + "/a/cpu.max", "150000 100000\n");
  writeBytes(root + "/a/b/cpu.max", "max 100000\n");
  writeBytes(root + "/cpu/cpu.cfs_quota_us", "-1\n");
  writeBytes(root + "/cpu/cpu.cfs_period_us", "100000\n");
  writeBytes(root + "/cpu/c/cpu.cfs_quota_us", "300000\n");
  writeBytes(root + "/cpu/c/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroupCpuLimit("0::/a/b\n", root.c_str()), 2); // the parent's, rounded up
  EXPECT_EQ(cgroupCpuLimit("4:cpu,cpuacct:/c\n3:memory:/x\n", root.c_str()), 3);
  EXPECT_EQ(cgroupCpuLimit("4:cpu:/c\n0::/a", root.c_str()), 2);
  EXPECT_EQ(cgroupCpuLimit("4:cpu:/\n", root.c_str()), 0);
  EXPECT_EQ(cgroupCpuLimit("9:cpuset:/c\n", root.c_str()), 0);
  EXPECT_EQ(cgroupCpuLimit("0::/elsewhere\n", root.c_str()), 0);
  for (const char *nonsense : {"", "::", "\n\n", "0:", "0::", ":cpu", "a:cpu:"})
    EXPECT_EQ(cgroupCpuLimit(nonsense, root.c_str()), 0) << nonsense;
  EXPECT_EQ(system(("rm -r '" + root + "'").c_str()), 0);
}
