//===- ProfileTest.cpp - What a run records of its kernels -------------------*- C++ -*-===//

#include "CountAllocations.h"
#include "Helpers.h"
#include "IoError.h"
#include "ProfileReport.h"

#include <chrono>

using Profiles = StaticModel;

static int64_t nanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

TEST_F(Profiles, CallsOfTheModel) {
  ASSERT_EQ(rapt_num_calls(model), 2);
  EXPECT_EQ(rapt_num_calls(nullptr), 0);
  rapt_call_info info;
  ASSERT_EQ(rapt_describe_call(model, 0, &info), RAPT_OK);
  EXPECT_STREQ(info.kernel, "scale");
  EXPECT_STREQ(info.schedule, "loops vector=4 parallel");
  EXPECT_STREQ(info.node, "/Mul");
  EXPECT_FAILS(rapt_describe_call(model, 2, &info), RAPT_ERROR_ARGUMENT, "call index 2");
  EXPECT_FAILS(rapt_describe_call(model, -1, &info), RAPT_ERROR_ARGUMENT, "2 calls");
  EXPECT_FAILS(rapt_describe_call(model, 0, nullptr), RAPT_ERROR_ARGUMENT, "info");
}

TEST_F(Profiles, CallsFollowEachOtherAndFillTheRun) {
  for (int threads : {1, 3}) {
    makeWorkspace(threads);
    ASSERT_EQ(rapt_profile_start(workspace), RAPT_OK);
    Problem problem(7, 300);
    int64_t before = nanoseconds();
    ASSERT_EQ(problem.run(workspace), RAPT_OK);
    int64_t wall = nanoseconds() - before;
    EXPECT_TRUE(problem.right());
    rapt_call_time times[2];
    ASSERT_EQ(rapt_profile_read(workspace, times, 2), RAPT_OK);
    EXPECT_EQ(times[0].begin, 0);
    EXPECT_GT(times[0].end, 0);
    EXPECT_EQ(times[1].begin, times[0].end);
    EXPECT_GE(times[1].end, times[1].begin);
    EXPECT_LE(times[1].end, wall);
    EXPECT_EQ(times[0].flops, 2.0 * 4 * 7 * 300);
    EXPECT_EQ(times[0].bytes, 40.0 * 7 * 300);
    EXPECT_EQ(times[1].flops, 0);
    EXPECT_EQ(times[1].bytes, 8.0 * 7);

    std::vector<rapt_thread_time> parts(64);
    int32_t count = -1;
    ASSERT_EQ(rapt_profile_threads(workspace, parts.data(), 64, &count), RAPT_OK);
    ASSERT_LE(count, threads == 1 ? 0 : threads);
    int32_t tasks = 0;
    for (int32_t i = 0; i < count; ++i) {
      EXPECT_GE(parts[i].begin, 0);
      EXPECT_GE(parts[i].end, parts[i].begin);
      EXPECT_LE(parts[i].end, times[0].end);
      EXPECT_LT(parts[i].thread, threads);
      tasks += parts[i].tasks;
    }
    EXPECT_EQ(tasks, threads == 1 ? 0 : 7);
    rapt_workspace_destroy(workspace);
    workspace = nullptr;
  }
}

TEST_F(Profiles, RunsStillAllocateNothing) {
  makeWorkspace(2);
  Problem problem(8, 64);
  ASSERT_EQ(rapt_workspace_reserve(workspace, problem.inputs.data(), 2), RAPT_OK);
  ASSERT_EQ(rapt_profile_start(workspace), RAPT_OK);
  rapt_call_time times[2];
  startCounting();
  rapt_status status = problem.run(workspace);
  rapt_status read = rapt_profile_read(workspace, times, 2);
  long count = stopCounting();
  EXPECT_EQ(status, RAPT_OK);
  EXPECT_EQ(read, RAPT_OK);
  EXPECT_EQ(count, 0);
}

TEST_F(Profiles, OnlyTheLastRunAndOnlyWhatItReached) {
  makeWorkspace(1);
  rapt_call_time times[2];
  EXPECT_FAILS(rapt_profile_read(workspace, times, 2), RAPT_ERROR_ARGUMENT, "rapt_profile_start");
  ASSERT_EQ(rapt_profile_start(workspace), RAPT_OK);
  ASSERT_EQ(rapt_profile_read(workspace, times, 2), RAPT_OK);
  EXPECT_EQ(times[1].end, 0);
  EXPECT_EQ(times[1].bytes, 0);
  EXPECT_FAILS(rapt_profile_read(workspace, times, 1), RAPT_ERROR_ARGUMENT, "the model has 2");
  Problem problem(2, 6);
  ASSERT_EQ(problem.run(workspace), RAPT_OK);
  problem.ids[7] = 8; // refused before the first kernel
  EXPECT_EQ(problem.run(workspace), RAPT_ERROR_RUN);
  ASSERT_EQ(rapt_profile_read(workspace, times, 2), RAPT_OK);
  EXPECT_EQ(times[0].end, 0);
  EXPECT_EQ(times[1].end, 0);
  EXPECT_EQ(times[1].bytes, 0);
  ASSERT_EQ(rapt_profile_stop(workspace), RAPT_OK);
  ASSERT_EQ(rapt_profile_stop(workspace), RAPT_OK);
  EXPECT_FAILS(rapt_profile_read(workspace, times, 2), RAPT_ERROR_ARGUMENT, "rapt_profile_start");
  EXPECT_FAILS(rapt_profile_start(nullptr), RAPT_ERROR_ARGUMENT, "null");
  problem.ids[7] = 1;
  EXPECT_EQ(problem.run(workspace), RAPT_OK);
}

TEST_F(Profiles, StartsAndStopsBetweenRunsOfManyThreads) {
  makeWorkspace(4);
  for (int i = 0; i < 200; ++i) {
    Problem problem(1 + i % 9, 1 + i % 40, i);
    ASSERT_EQ(i % 2 ? rapt_profile_stop(workspace) : rapt_profile_start(workspace), RAPT_OK);
    ASSERT_EQ(problem.run(workspace), RAPT_OK);
    ASSERT_TRUE(problem.right());
  }
}

TEST_F(Profiles, TraceAppearsCompleteOrNotAtAll) {
  makeWorkspace(1);
  rapt::io::IoError error;
  rapt::tools::ProfileReport report(model, workspace);
  ASSERT_TRUE(report.start(error)) << error.text;
  Problem problem(2, 3);
  for (double time : {3.0, 1.0, 2.0}) {
    ASSERT_EQ(problem.run(workspace), RAPT_OK);
    ASSERT_TRUE(report.addRun(time, error)) << error.text;
  }
  report.finish();
  std::string path = scratchFile("trace.json");
  ASSERT_TRUE(report.writeTrace(path.c_str(), error)) << error.text;
  std::string text = readBytes(path);
  EXPECT_NE(text.find("\"node\":\"/Sum\\\"\\u0009\\ufffd\xc3\xa9\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"schedule\":\"loops vector=4 parallel\""), std::string::npos) << text;
  unlink(path.c_str());
  EXPECT_FALSE(report.writeTrace("/nonexistent/trace.json", error));
  EXPECT_NE(std::string(error.text).find("/nonexistent/trace.json"), std::string::npos);
}
