//===- Helpers.h - What the runtime tests share ------------------------------*- C++ -*-===//
//
// The hand-written model's tensors and reference results, and files in a folder of the test's own.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TEST_RUNTIME_HELPERS_H
#define RAPT_TEST_RUNTIME_HELPERS_H

#include "rapt.h"
#include "rapt_abi.h"
#include "gtest/gtest.h"

#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" const rapt_abi_model test_rapt_model;

/// The folder with good.so and its defective siblings.
inline std::string fixture(const std::string &name) {
  return std::string(RAPT_TEST_FIXTURES) + "/" + name;
}

inline std::string readBytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void writeBytes(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
}

/// A path for a scratch file of this process.
inline std::string scratchFile(const std::string &name) {
  return ::testing::TempDir() + "rapt-" + std::to_string(getpid()) + "-" + name;
}

inline rapt_tensor makeTensor(const char *name, void *data, rapt_dtype dtype,
                              std::vector<int64_t> dims) {
  rapt_tensor tensor = {name, data, dtype, int32_t(dims.size()), {}};
  for (size_t i = 0; i < dims.size(); ++i)
    tensor.dims[i] = dims[i];
  return tensor;
}

#define EXPECT_FAILS(call, status, text)                                                           \
  do {                                                                                             \
    EXPECT_EQ(call, status);                                                                       \
    EXPECT_NE(std::string(rapt_last_error()).find(text), std::string::npos) << rapt_last_error();  \
  } while (false)

/// Inputs, outputs and expected outputs of TestModel.c.
struct Problem {
  Problem(int64_t batch, int64_t seq, int seed = 1) : batch(batch), seq(seq) {
    static const float table[8] = {0, 1, 2, 3, 4, 5, 6, -7};
    for (int64_t i = 0; i < batch * seq; ++i) {
      ids.push_back((i * 5 + seed) % 8);
      for (int64_t c = 0; c < 4; ++c) {
        x.push_back(float((i * 7 + c + seed) % 11));
        expected.push_back(x.back() * table[ids.back()]);
      }
    }
    for (int64_t b = 0; b < batch; ++b) {
      float sum = 0;
      for (int64_t i = 0; i < seq * 4; ++i)
        sum += expected[size_t(b * seq * 4 + i)];
      expectedTotal.push_back(sum);
    }
    scaled.assign(x.size(), -1);
    total.assign(size_t(batch), -1);
    inputs = {makeTensor("x", x.data(), RAPT_F32, {batch, seq, 4}),
              makeTensor("ids", ids.data(), RAPT_I64, {batch, seq})};
    outputs = {makeTensor("scaled", scaled.data(), RAPT_F32, {batch, seq, 4}),
               makeTensor("total", total.data(), RAPT_F32, {batch})};
  }
  rapt_status run(rapt_workspace *workspace) {
    return rapt_run(workspace, inputs.data(), int32_t(inputs.size()), outputs.data(),
                    int32_t(outputs.size()));
  }
  bool right() const { return scaled == expected && total == expectedTotal; }

  int64_t batch, seq;
  std::vector<float> x, scaled, total, expected, expectedTotal;
  std::vector<int64_t> ids;
  std::vector<rapt_tensor> inputs, outputs;
};

/// The linked-in model, and a workspace when asked for.
struct StaticModel : ::testing::Test {
  void SetUp() override { ASSERT_EQ(rapt_open_static(&test_rapt_model, &model), RAPT_OK); }
  void TearDown() override {
    rapt_workspace_destroy(workspace);
    rapt_close(model);
  }
  void makeWorkspace(int threads) {
    rapt_workspace_options options = {};
    options.num_threads = threads;
    ASSERT_EQ(rapt_workspace_create(model, &options, &workspace), RAPT_OK);
  }
  rapt_model *model = nullptr;
  rapt_workspace *workspace = nullptr;
};

#endif // RAPT_TEST_RUNTIME_HELPERS_H
