//===- WeightsTest.cpp - The bytes of a model's weights ---------------------------------===//

#include "compiler/Link/Weights.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace rapt;

namespace {

class Weights : public testing::Test {
protected:
  /// A [rows, columns] source that counts 100, 101, ... from `first`.
  Attribute counting(int64_t rows, int64_t columns, float first) {
    std::vector<float> values;
    for (int64_t i = 0; i < rows * columns; ++i)
      values.push_back(first + float(i));
    return DenseElementsAttr::get(matrix(rows, columns), ArrayRef<float>(values));
  }

  RankedTensorType matrix(int64_t rows, int64_t columns) {
    return RankedTensorType::get({rows, columns}, Float32Type::get(&context));
  }

  std::string write(std::vector<host::WeightEntry> entries) {
    std::string bytes;
    llvm::raw_string_ostream stream(bytes);
    llvm::Error error = link::writeWeights(entries, stream);
    message = error ? llvm::toString(std::move(error)) : "";
    return bytes;
  }

  /// The first `count` floats of the blob.
  std::vector<float> floats(const std::string &bytes, size_t count) {
    std::vector<float> values(count);
    EXPECT_GE(bytes.size(), count * sizeof(float));
    if (bytes.size() >= count * sizeof(float))
      std::memcpy(values.data(), bytes.data(), count * sizeof(float));
    return values;
  }

  ArrayAttr sources(ArrayRef<Attribute> list) { return ArrayAttr::get(&context, list); }

  MLIRContext context;
  std::string message;
};

TEST_F(Weights, RowMajorAtOffsets) {
  std::string bytes = write({{sources({counting(2, 2, 0)}), {}, 0, 0, matrix(2, 2), 0},
                             {sources({counting(1, 2, 9)}), {}, 0, 0, matrix(1, 2), 64}});
  EXPECT_EQ(bytes.size(), 128u);
  EXPECT_EQ(floats(bytes, 5), (std::vector<float>{0, 1, 2, 3, 0}));
  EXPECT_EQ(floats(bytes.substr(64), 2), (std::vector<float>{9, 10}));
}

TEST_F(Weights, TransposedAndConcatenated) {
  // Two [2, 3] sources, each transposed to [3, 2], side by side.
  std::string bytes =
      write({{sources({counting(2, 3, 0), counting(2, 3, 10)}), {1, 0}, 1, 0, matrix(3, 4), 0}});
  EXPECT_EQ(floats(bytes, 12), (std::vector<float>{0, 3, 10, 13, 1, 4, 11, 14, 2, 5, 12, 15}));
  bytes = write({{sources({counting(1, 2, 0), counting(2, 2, 10)}), {}, 0, 0, matrix(3, 2), 0}});
  EXPECT_EQ(floats(bytes, 6), (std::vector<float>{0, 1, 10, 11, 12, 13}));
}

TEST_F(Weights, PanelsArePaddedWithZeros) {
  // [2, 5] in panels of 4: columns 0 to 3 of both rows, then column 4 and three zeros.
  std::string bytes =
      write({{sources({counting(2, 3, 0), counting(2, 2, 10)}), {}, 1, 4, matrix(2, 5), 0}});
  EXPECT_EQ(floats(bytes, 16),
            (std::vector<float>{0, 1, 2, 10, 3, 4, 5, 12, 11, 0, 0, 0, 13, 0, 0, 0}));
  bytes = write({{sources({counting(3, 2, 0)}), {1, 0}, 0, 2, matrix(2, 3), 0}});
  EXPECT_EQ(floats(bytes, 8), (std::vector<float>{0, 2, 1, 3, 4, 0, 5, 0}));
}

TEST_F(Weights, SplatsAndBools) {
  auto splat = DenseElementsAttr::get(matrix(2, 2), 7.0f);
  EXPECT_EQ(floats(write({{sources({splat}), {1, 0}, 0, 0, matrix(2, 2), 0}}), 4),
            (std::vector<float>{7, 7, 7, 7}));
  auto type = RankedTensorType::get({5}, IntegerType::get(&context, 1));
  auto bools = DenseElementsAttr::get(type, ArrayRef<bool>({true, false, true, true, false}));
  EXPECT_EQ(write({{sources({bools}), {}, 0, 0, type, 0}}).substr(0, 5),
            std::string("\1\0\1\1\0", 5));
}

TEST_F(Weights, ResourcesAreReadInPlaceAndChecked) {
  static const float data[] = {1, 2, 3, 4};
  auto resource = [&](size_t count) -> Attribute {
    ArrayRef<char> bytes(reinterpret_cast<const char *>(data), count * sizeof(float));
    return DenseResourceElementsAttr::get(matrix(2, 2), "w",
                                          AsmResourceBlob(bytes, alignof(float), nullptr, false));
  };
  EXPECT_EQ(floats(write({{sources({resource(4)}), {1, 0}, 0, 0, matrix(2, 2), 0}}), 4),
            (std::vector<float>{1, 3, 2, 4}));
  write({{sources({resource(3)}), {}, 0, 0, matrix(2, 2), 0}});
  EXPECT_EQ(message, "weight of type tensor<2x2xf32> has 12 bytes of data, expected 16");
}

} // namespace
