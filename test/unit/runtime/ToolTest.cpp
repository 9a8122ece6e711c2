//===- ToolTest.cpp - rapt-run, executable models, Python, size --------------*- C++ -*-===//

#include "Arrays.h"
#include "Helpers.h"

#include <cmath>
#include <elf.h>

using namespace rapt::io;

namespace {
struct Result {
  int code;
  std::string text; ///< stdout and stderr
};
} // namespace

static Result shell(const std::string &command) {
  FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  std::string text;
  for (char buffer[512]; size_t got = fread(buffer, 1, sizeof buffer, pipe);)
    text.append(buffer, got);
  int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), text};
}

static Result raptRun(const std::string &arguments) {
  return shell(std::string(RAPT_RUN) + " " + arguments);
}

#define EXPECT_SAYS(result, theCode, needle)                                                       \
  do {                                                                                             \
    Result r = result;                                                                             \
    EXPECT_EQ(r.code, theCode) << r.text;                                                          \
    EXPECT_NE(r.text.find(needle), std::string::npos) << r.text;                                   \
  } while (false)

struct Tool : ::testing::Test {
  std::string good = fixture("good.so"), in = scratchFile("in.npz"), out = scratchFile("out.npz"),
              one = scratchFile("one.npy");
  Problem problem{2, 3};
  void SetUp() override {
    IoError error;
    ASSERT_TRUE(writeNpz(in.c_str(), problem.inputs.data(), 2, error)) << error.text;
  }
  void TearDown() override {
    for (const std::string &path : {in, out, one})
      unlink(path.c_str());
  }
  void expectRightOutput() {
    List<Array> arrays;
    IoError error;
    ASSERT_TRUE(readArrays(out.c_str(), arrays, error)) << error.text;
    ASSERT_EQ(arrays.size(), 2u);
    EXPECT_STREQ(arrays[0].tensor.name, "scaled");
    ASSERT_EQ(arrays[0].bytes(), problem.expected.size() * 4);
    EXPECT_EQ(memcmp(arrays[0].tensor.data, problem.expected.data(), arrays[0].bytes()), 0);
    EXPECT_EQ(memcmp(arrays[1].tensor.data, problem.expectedTotal.data(), arrays[1].bytes()), 0);
  }
};

TEST_F(Tool, RunsAndSaves) {
  EXPECT_SAYS(raptRun(good + " --input " + in + " --output " + out), 0, "scaled f32[2, 3, 4] min ");
  expectRightOutput();
}

TEST_F(Tool, ExecutableModelDoesTheSame) {
  EXPECT_SAYS(shell(std::string(RAPT_TEST_EXECUTABLE) + " --input=" + in + " --output=" + out), 0,
              "total f32[2]");
  expectRightOutput();
  EXPECT_SAYS(shell(std::string(RAPT_TEST_EXECUTABLE) + " model.so"), 2, "unexpected argument");
  EXPECT_EQ(readBytes(RAPT_TEST_EXECUTABLE).find("libstdc++.so"), std::string::npos);
}

TEST_F(Tool, Expect) {
  IoError error;
  problem.scaled = problem.expected;
  problem.total = problem.expectedTotal;
  ASSERT_TRUE(writeNpz(out.c_str(), problem.outputs.data(), 2, error));
  std::string run = good + " --input " + in + " --expect " + out;
  EXPECT_SAYS(raptRun(run), 0, "expect scaled: largest difference 0 at element 0");
  problem.total[1] += 1;
  problem.scaled[5] = NAN;
  std::copy(problem.scaled.begin(), problem.scaled.end(),
            static_cast<float *>(problem.outputs[0].data));
  problem.outputs[0].data = problem.scaled.data();
  problem.outputs[1].data = problem.total.data();
  ASSERT_TRUE(writeNpz(out.c_str(), problem.outputs.data(), 2, error));
  EXPECT_SAYS(raptRun(run), 1, "expect total: largest difference 1 at element 1");
  EXPECT_SAYS(raptRun(run + " --rtol 10 --atol 10"), 1, "1 of 24 elements differ");
  problem.outputs[1].name = "other";
  ASSERT_TRUE(writeNpz(out.c_str(), &problem.outputs[1], 1, error));
  EXPECT_SAYS(raptRun(run), 1, "no such output");
  problem.outputs[1] = makeTensor("total", problem.total.data(), RAPT_F32, {2, 1});
  ASSERT_TRUE(writeNpz(out.c_str(), &problem.outputs[1], 1, error));
  EXPECT_SAYS(raptRun(run), 1, "f32[2], expected f32[2, 1]");
}

TEST_F(Tool, RandomInputsAndTiming) {
  std::string run = good + " --dim batch=2 --dim seq=5 --max-int 8 --random ";
  EXPECT_SAYS(raptRun(run + "7 --repeat 5 --threads 2"), 0, "run: min ");
  EXPECT_EQ(raptRun(run + "7").text, raptRun(run + "7").text);
  EXPECT_NE(raptRun(run + "7").text, raptRun(run + "8").text);
  EXPECT_SAYS(raptRun(good + " --random 1 --dim batch=2"), 2, "--dim seq=VALUE");
  std::string empty = fixture("empty.so");
  EXPECT_SAYS(raptRun(empty + " --describe"), 0, "may be 0 seq\ninput    x");
  EXPECT_SAYS(raptRun(empty + " --random 1 --dim batch=2 --dim seq=0"), 0, "total f32[2]");
  EXPECT_SAYS(raptRun(good + " --random 1 --dim batch=2 --dim seq=0"), 1,
              "input 'x' dim 1 ('seq') is 0, expected at least 1");
  EXPECT_SAYS(raptRun(good + " --random 1 --max-int 1000 --dim batch=9 --dim seq=9"), 1,
              "is outside the table");
}

TEST_F(Tool, ProfileAndTrace) {
  std::string trace = scratchFile("trace.json");
  std::string flags = " --input " + in + " --output " + out + " --profile --repeat 3 --trace ";
  Result result = raptRun(good + flags + trace);
  EXPECT_SAYS(result, 0, "the median of 3");
  EXPECT_SAYS(result, 0, "scale  loops vector=4 parallel");
  EXPECT_SAYS(result, 0, "all kernels");
  expectRightOutput();
  EXPECT_NE(readBytes(trace).find("\"traceEvents\""), std::string::npos);
  unlink(trace.c_str());
  EXPECT_SAYS(raptRun(good + flags + "/nonexistent/trace.json"), 1, "/nonexistent/trace.json");
  EXPECT_SAYS(raptRun(good + " --trace"), 2, "--trace needs a value");
}

TEST_F(Tool, SingleArrays) {
  IoError error;
  ASSERT_TRUE(writeNpy(one.c_str(), problem.inputs[1], error));
  std::string dims = " --random 1 --dim batch=2 --dim seq=3";
  EXPECT_SAYS(raptRun(good + " --input ids=" + one + dims), 0, "scaled");
  EXPECT_SAYS(raptRun(good + " --input " + one + dims), 2, "say which one");
  EXPECT_SAYS(raptRun(good + " --input x=" + one + dims), 1, "expected f32");
  EXPECT_SAYS(raptRun(good + " --input x=" + in), 1, "expected one array, the file has 2");
  EXPECT_SAYS(raptRun(good + " --input ids=" + one), 1, "input 'x' is missing");
  EXPECT_SAYS(raptRun(good + " --input " + in + " --expect " + one), 2,
              "the model has 2 outputs, expected a .npz");
  EXPECT_SAYS(raptRun(good + " --input " + in + " --output " + one), 2, "expected a .npz");
}

TEST_F(Tool, DescribeHelpVersion) {
  EXPECT_SAYS(raptRun(good + " --describe"), 0, "input    x f32[batch, seq, 4]");
  EXPECT_SAYS(raptRun("--help"), 0, "usage:");
  EXPECT_SAYS(raptRun("--version"), 0, rapt_version());
}

TEST_F(Tool, WrongUsage) {
  EXPECT_SAYS(raptRun(""), 2, "the path of a model is missing");
  EXPECT_SAYS(raptRun("a b"), 2, "unexpected argument 'b'");
  EXPECT_SAYS(raptRun(good + " --frobnicate"), 2, "unknown flag '--frobnicate'");
  EXPECT_SAYS(raptRun(good + " --input"), 2, "--input needs a value");
  EXPECT_SAYS(raptRun(good + " --repeat 0"), 2, "--repeat is '0'");
  EXPECT_SAYS(raptRun(good + " --rtol -1"), 2, "--rtol is '-1'");
  EXPECT_SAYS(raptRun(good + " --dim seq"), 2, "expected NAME=VALUE");
  EXPECT_SAYS(raptRun(good + " --dim seq=1 --dim seq=2"), 2, "--dim gives 'seq' twice");
  EXPECT_SAYS(raptRun(good + " --dim seq=1"), 2, "there is no --random");
  EXPECT_SAYS(raptRun(good + " --random 1 --dim length=1"), 2,
              "--dim length=1: the model has no such dim, its dims are batch, seq");
  EXPECT_SAYS(raptRun(good + " --random 1 --dim seq=3 --input " + in), 2,
              "--dim seq=3 has no effect");
  EXPECT_SAYS(raptRun(good + " --dim seq=-1"), 2, "'-1'");
  EXPECT_SAYS(raptRun("no-such.so"), 1, "no-such.so");
  EXPECT_SAYS(raptRun(good + " --input no-such.npz"), 1, "no-such.npz");
  EXPECT_SAYS(raptRun(good + " --input " + in + " --output /no/such/y.npz"), 1, "/no/such/y.npz");
}

TEST(Python, SessionAndNumpyFiles) {
  setenv("RAPT_LIBRARY", RAPT_SHARED, 1);
  setenv("PYTHONPATH", RAPT_PYTHON, 1);
  setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
  Result result = shell(std::string(RAPT_TEST_PYTHON) + " " + RAPT_PYTHON_TEST + " " +
                        fixture("good.so") + " " + RAPT_RUN);
  EXPECT_EQ(result.code, 0) << result.text;
}

// The promise of the design: less than 200 KB of code, and nothing but libc at run time.
TEST(Size, SharedRuntime) {
  std::string bytes = readBytes(RAPT_SHARED);
  ASSERT_GT(bytes.size(), sizeof(Elf64_Ehdr));
  auto *header = reinterpret_cast<const Elf64_Ehdr *>(bytes.data());
  uint64_t code = 0;
  for (int i = 0; i < header->e_shnum; ++i) {
    auto *section = reinterpret_cast<const Elf64_Shdr *>(bytes.data() + header->e_shoff) + i;
    if (section->sh_flags & SHF_EXECINSTR)
      code += section->sh_size;
  }
  EXPECT_GT(code, 4096u);
  EXPECT_LT(code, 200u * 1024);
  EXPECT_EQ(bytes.find("libstdc++"), std::string::npos);
}
