//===- RunTest.cpp - Runs, workspaces and what they cost ---------------------*- C++ -*-===//

#include "CountAllocations.h"
#include "Helpers.h"
#include "Workspace.h"

#include <sys/resource.h>
#include <thread>

using Runs = StaticModel;

TEST_F(Runs, AnyShapeOnAnyNumberOfThreads) {
  for (int threads : {1, 2, 3, 8}) {
    makeWorkspace(threads);
    for (int64_t batch : {1, 2, 7, 64})
      for (int64_t seq : {1, 37, 512}) {
        Problem problem(batch, seq, threads);
        ASSERT_EQ(problem.run(workspace), RAPT_OK) << rapt_last_error();
        EXPECT_TRUE(problem.right()) << batch << " " << seq << " " << threads;
      }
    rapt_workspace_destroy(workspace);
    workspace = nullptr;
  }
}

TEST_F(Runs, SaysWhichShapesItGave) {
  makeWorkspace(1);
  rapt_tensor results[2];
  EXPECT_FAILS(rapt_result_shapes(nullptr, results), RAPT_ERROR_ARGUMENT, "workspace pointer");
  EXPECT_FAILS(rapt_result_shapes(workspace, nullptr), RAPT_ERROR_ARGUMENT, "outputs pointer");
  EXPECT_FAILS(rapt_result_shapes(workspace, results), RAPT_ERROR_ARGUMENT, "there was none");
  Problem problem(2, 5);
  ASSERT_EQ(problem.run(workspace), RAPT_OK);
  ASSERT_EQ(rapt_result_shapes(workspace, results), RAPT_OK);
  for (int i = 0; i < 2; ++i) {
    EXPECT_STREQ(results[i].name, problem.outputs[i].name);
    EXPECT_EQ(results[i].data, nullptr);
    EXPECT_EQ(results[i].dtype, RAPT_F32);
    ASSERT_EQ(results[i].rank, problem.outputs[i].rank);
    EXPECT_TRUE(
        std::equal(results[i].dims, results[i].dims + results[i].rank, problem.outputs[i].dims));
  }
  // Of a run that fails there are none, whichever part of it does.
  problem.ids[3] = 99;
  EXPECT_EQ(problem.run(workspace), RAPT_ERROR_RUN);
  EXPECT_FAILS(rapt_result_shapes(workspace, results), RAPT_ERROR_ARGUMENT, "failed");
  problem.ids[3] = 1;
  ASSERT_EQ(problem.run(workspace), RAPT_OK);
  problem.inputs[1].dims[1] = 4;
  EXPECT_EQ(problem.run(workspace), RAPT_ERROR_SHAPE);
  EXPECT_FAILS(rapt_result_shapes(workspace, results), RAPT_ERROR_ARGUMENT, "failed");
}

TEST_F(Runs, AllocatesNothing) {
  makeWorkspace(2);
  Problem large(8, 64), small(2, 5);
  ASSERT_EQ(rapt_workspace_reserve(workspace, large.inputs.data(), 2), RAPT_OK);
  startCounting();
  rapt_status first = large.run(workspace), second = small.run(workspace);
  long count = stopCounting();
  EXPECT_EQ(first, RAPT_OK);
  EXPECT_EQ(second, RAPT_OK);
  EXPECT_EQ(count, 0);
  // The counter counts: a larger shape needs one more mapping.
  Problem larger(8, 4096);
  startCounting();
  rapt_status third = larger.run(workspace);
  count = stopCounting();
  EXPECT_EQ(third, RAPT_OK);
  EXPECT_EQ(count, 1);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(workspace->contexts[i].scratch.numHeapBlocks(), 0u);
}

TEST_F(Runs, CallersMemory) {
  Problem problem(4, 100);
  uint64_t bytes = 0;
  ASSERT_EQ(rapt_workspace_size(model, problem.inputs.data(), 2, 2, &bytes), RAPT_OK);
  ASSERT_GE(bytes, uint64_t(2 * 100 * 16 + 4 * 4));
  // Aligned to 64 bytes and no more, with guards on both sides.
  auto *block = static_cast<unsigned char *>(aligned_alloc(128, bytes + 256));
  unsigned char *memory = block + 64;
  std::fill(block, block + bytes + 256, 0x5a);
  for (uint64_t given : {bytes - 1, uint64_t(64), bytes}) {
    rapt_workspace_options options = {2, memory, given};
    ASSERT_EQ(rapt_workspace_create(model, &options, &workspace), RAPT_OK);
    if (given < bytes) {
      EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_WORKSPACE, std::to_string(bytes));
      EXPECT_FAILS(rapt_workspace_reserve(workspace, problem.inputs.data(), 2),
                   RAPT_ERROR_WORKSPACE, std::to_string(given) + " bytes");
    } else {
      EXPECT_EQ(problem.run(workspace), RAPT_OK) << rapt_last_error();
      EXPECT_TRUE(problem.right());
      EXPECT_EQ(workspace->contexts[1].scratch.numHeapBlocks(), 0u);
    }
    rapt_workspace_destroy(workspace);
    workspace = nullptr;
  }
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(block[i], 0x5a);
    EXPECT_EQ(memory[bytes + uint64_t(i)], 0x5a);
  }
  rapt_workspace_options odd = {1, memory + 4, bytes};
  EXPECT_FAILS(rapt_workspace_create(model, &odd, &workspace), RAPT_ERROR_ARGUMENT,
               "multiple of 64");
  rapt_workspace_options many = {1025, nullptr, 0};
  EXPECT_FAILS(rapt_workspace_create(model, &many, &workspace), RAPT_ERROR_ARGUMENT, "1025");
  free(block);
}

TEST_F(Runs, TwoThreadsOnOneModel) {
  auto work = [&](int seed, bool *ok) {
    rapt_workspace_options options = {2, nullptr, 0};
    rapt_workspace *mine;
    *ok = rapt_workspace_create(model, &options, &mine) == RAPT_OK;
    for (int i = 0; *ok && i < 500; ++i) {
      Problem problem(1 + (i + seed) % 9, 1 + i % 40, seed + i);
      *ok = problem.run(mine) == RAPT_OK && problem.right();
    }
    rapt_workspace_destroy(mine);
  };
  bool ok[2];
  std::thread a(work, 1, &ok[0]), b(work, 5, &ok[1]);
  a.join();
  b.join();
  EXPECT_TRUE(ok[0]);
  EXPECT_TRUE(ok[1]);
}

TEST_F(Runs, BadIndexIsNamedAndTheWorkspaceStaysUsable) {
  makeWorkspace(2);
  Problem problem(2, 6);
  for (int64_t bad : {int64_t(8), int64_t(-1), INT64_MAX}) {
    int64_t before = problem.ids[7];
    problem.ids[7] = bad;
    EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_RUN,
                 "index " + std::to_string(bad) + " at position 7");
    problem.ids[7] = before;
    EXPECT_EQ(problem.run(workspace), RAPT_OK);
    EXPECT_TRUE(problem.right());
  }
}

TEST_F(Runs, WorkspaceInUse) {
  makeWorkspace(1);
  Problem problem(1, 1);
  workspace->busy = true; // as a run on another thread leaves it
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_ARGUMENT, "in use");
  EXPECT_FAILS(rapt_workspace_reserve(workspace, problem.inputs.data(), 2), RAPT_ERROR_ARGUMENT,
               "in use");
  workspace->busy = false;
  EXPECT_EQ(problem.run(workspace), RAPT_OK);
}

TEST_F(Runs, ErrorsBelongToTheirThread) {
  makeWorkspace(1);
  Problem problem(1, 1);
  problem.inputs[0].rank = 1;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_RANK, "rank 1");
  std::string other = "not asked";
  std::thread([&] { other = rapt_last_error(); }).join();
  EXPECT_EQ(other, "");
}

static double cpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// Two workers that spun through the 300 ms would use 0.6 s between them.
TEST_F(Runs, IdleThreadsUseNoCpu) {
  makeWorkspace(3);
  Problem problem(16, 16);
  ASSERT_EQ(problem.run(workspace), RAPT_OK);
  double before = cpuSeconds();
  usleep(300 * 1000);
  EXPECT_LT(cpuSeconds() - before, 0.02);
}
