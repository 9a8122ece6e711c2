//===- Helpers.h - Reading models from strings in tests -------------*- C++ -*-===//

#ifndef RAPT_TEST_UNIT_ONNX_HELPERS_H
#define RAPT_TEST_UNIT_ONNX_HELPERS_H

#include "frontends/onnx/Model.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

namespace rapt::onnx::test {

/// A model and the bytes it looks into, or the error of parsing, verifying or inlining it.
struct Result {
  std::unique_ptr<std::string> bytes;
  std::unique_ptr<Model> model;
  std::string error;
};

inline Result read(const std::string &source, const std::string &folder = ".",
                   bool inlineCalls = false) {
  Result result;
  result.bytes = std::make_unique<std::string>(source);
  llvm::ArrayRef<uint8_t> view(reinterpret_cast<const uint8_t *>(result.bytes->data()),
                               result.bytes->size());
  auto model = parseModel(view, folder);
  if (!model) {
    result.error = llvm::toString(model.takeError());
    return result;
  }
  result.model = std::move(*model);
  llvm::Error error = verifyModel(*result.model);
  if (!error && inlineCalls)
    error = inlineFunctions(*result.model);
  if (!error && inlineCalls)
    error = verifyModel(*result.model);
  if (error)
    result.error = llvm::toString(std::move(error));
  return result;
}

/// The error for `source`, "" when there is none.
inline std::string errorOf(const std::string &source, const std::string &folder = ".") {
  return read(source, folder).error;
}

/// The payload of a tensor as numbers.
template <typename T> std::vector<T> valuesOf(const Tensor &tensor) {
  const T *data = reinterpret_cast<const T *>(tensor.bytes.data());
  return std::vector<T>(data, data + tensor.bytes.size() / sizeof(T));
}

#define EXPECT_HAS(TEXT, PART)                                                                     \
  EXPECT_PRED2([](const std::string &text,                                                         \
                  const std::string &part) { return text.find(part) != std::string::npos; },       \
               TEXT, PART)

/// A folder of its own for each test, removed afterwards.
class FolderTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "rapt-onnx-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string &name, const std::string &content) {
    std::ofstream(folder / name, std::ios::binary) << content;
    return (folder / name).string();
  }

  std::filesystem::path folder;
};

} // namespace rapt::onnx::test

#endif // RAPT_TEST_UNIT_ONNX_HELPERS_H
