//===- EvaluateConstants.cpp - onnx operations on tensors in memory ---------------------------===//
//
// Everything is computed in f64 and rounded to the result's type once. A product of two f32 is
// exact in f64, and sums run in the order of the index, so vectors of any width give the same bits.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/EvaluateConstants.h"

#include "compiler/Simplify/HostTensors.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace rapt {

namespace {
using Unary = double (*)(double);
using Binary = double (*)(double, double);

Unary unaryFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, Unary>(op)
      .Case([](onnx::NegOp) -> Unary { return [](double a) { return -a; }; })
      .Case([](onnx::AbsOp) -> Unary { return [](double a) { return std::fabs(a); }; })
      .Case([](onnx::ExpOp) -> Unary { return [](double a) { return std::exp(a); }; })
      .Case([](onnx::LogOp) -> Unary { return [](double a) { return std::log(a); }; })
      .Case([](onnx::SqrtOp) -> Unary { return [](double a) { return std::sqrt(a); }; })
      .Case([](onnx::ReciprocalOp) -> Unary { return [](double a) { return 1 / a; }; })
      .Case([](onnx::ErfOp) -> Unary { return [](double a) { return std::erf(a); }; })
      .Case([](onnx::TanhOp) -> Unary { return [](double a) { return std::tanh(a); }; })
      .Case([](onnx::SinOp) -> Unary { return [](double a) { return std::sin(a); }; })
      .Case([](onnx::CosOp) -> Unary { return [](double a) { return std::cos(a); }; })
      .Case([](onnx::ReluOp) -> Unary { return [](double a) { return a < 0 ? 0 : a; }; })
      .Case(
          [](onnx::SigmoidOp) -> Unary { return [](double a) { return 1 / (1 + std::exp(-a)); }; })
      .Case([](onnx::CastOp) -> Unary { return [](double a) { return a; }; })
      .Default([](Operation *) { return nullptr; });
}

Binary binaryFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, Binary>(op)
      .Case([](onnx::AddOp) -> Binary { return [](double a, double b) { return a + b; }; })
      .Case([](onnx::SubOp) -> Binary { return [](double a, double b) { return a - b; }; })
      .Case([](onnx::MulOp) -> Binary { return [](double a, double b) { return a * b; }; })
      .Case([](onnx::DivOp) -> Binary { return [](double a, double b) { return a / b; }; })
      .Case([](onnx::PowOp) -> Binary { return [](double a, double b) { return std::pow(a, b); }; })
      .Default([](Operation *) { return nullptr; });
}

bool isReduction(Operation *op) { return isa<onnx::ReduceMeanOp, onnx::ReduceSumOp>(op); }
bool isNorm(Operation *op) { return isa<onnx::LayerNormalizationOp, onnx::RMSNormalizationOp>(op); }

/// The elements of a tensor of f32 or f64, read as f64. Data in a model's file has any alignment.
class Numbers {
public:
  explicit Numbers(const HostTensor &tensor)
      : data(tensor.bytes.data()), isWide(tensor.type.getElementType().isF64()) {}
  double operator[](int64_t i) const { return isWide ? at<double>(i) : at<float>(i); }

private:
  template <typename T> T at(int64_t i) const {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    return value;
  }
  const char *data;
  bool isWide;
};

/// A new tensor of f32 or f64, written as f64.
class Result {
public:
  explicit Result(RankedTensorType type)
      : tensor(makeTensor(type)), narrow(reinterpret_cast<float *>(mutableBytes(tensor).data())),
        wide(reinterpret_cast<double *>(mutableBytes(tensor).data())),
        isWide(type.getElementType().isF64()) {}
  void set(int64_t i, double value) {
    if (isWide)
      wide[i] = value;
    else
      narrow[i] = static_cast<float>(value);
  }
  HostTensor tensor;

private:
  float *narrow;
  double *wide;
  bool isWide;
};

HostTensor mapped(RankedTensorType type, Unary function, const HostTensor &input) {
  Result result(type);
  Numbers in(input);
  for (int64_t i = 0, count = type.getNumElements(); i < count; ++i)
    result.set(i, function(in[input.isSplat ? 0 : i]));
  return result.tensor;
}

HostTensor combined(RankedTensorType type, Binary function, const HostTensor &a,
                    const HostTensor &b) {
  Result result(type);
  Numbers left(a), right(b);
  Strides strides[] = {broadcastStrides(a, type.getShape()), broadcastStrides(b, type.getShape())};
  int64_t length = rowLength(type.getShape()), to = 0;
  forEachRow(type.getShape(), strides, [&](ArrayRef<int64_t> offsets) {
    for (int64_t i = 0; i < length; ++i)
      result.set(to++, function(left[offsets[0] + i * rowStride(strides[0])],
                                right[offsets[1] + i * rowStride(strides[1])]));
  });
  return result.tensor;
}

HostTensor reduced(Operation *op, RankedTensorType type, ArrayRef<int64_t> axes,
                   const HostTensor &input) {
  ArrayRef<int64_t> dims = input.type.getShape();
  // The strides of the result, with zeros for the dims that are summed.
  Strides strides[] = {stridesOf(input), Strides(dims.size(), 0)};
  int64_t stride = 1;
  for (int64_t dim = dims.size() - 1; dim >= 0; --dim)
    if (!llvm::is_contained(axes, dim)) {
      strides[1][dim] = stride;
      stride *= dims[dim];
    }
  Numbers in(input);
  std::vector<double> sums(type.getNumElements(), 0.0);
  int64_t length = rowLength(dims);
  forEachRow(dims, strides, [&](ArrayRef<int64_t> offsets) {
    for (int64_t i = 0; i < length; ++i)
      sums[offsets[1] + i * rowStride(strides[1])] += in[offsets[0] + i * rowStride(strides[0])];
  });
  double count = isa<onnx::ReduceMeanOp>(op) ? input.type.getNumElements() / sums.size() : 1;
  Result result(type);
  for (auto [index, sum] : llvm::enumerate(sums))
    result.set(index, sum / count);
  return result.tensor;
}

/// LayerNormalization, or RMSNormalization: that without the mean. `operands`: x, scale and perhaps
/// bias.
HostTensor normalized(RankedTensorType type, ArrayRef<HostTensor> operands, int64_t axis,
                      double epsilon, bool hasMean) {
  HostTensor x = withoutSplat(operands[0]);
  Numbers in(x), scale(operands[1]), bias(operands.back());
  bool hasBias = operands.size() > 2;
  int64_t count = 1;
  for (int64_t dim : type.getShape().drop_front(axis))
    count *= dim;
  Result result(type);
  std::vector<double> rest(type.getNumElements());
  for (int64_t row = 0; row < type.getNumElements(); row += count) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < count && hasMean; ++i)
      mean += in[row + i];
    mean /= count;
    for (int64_t i = 0; i < count; ++i)
      squares += (in[row + i] - mean) * (in[row + i] - mean);
    double deviation = std::sqrt(squares / count + epsilon);
    for (int64_t i = 0; i < count; ++i)
      rest[row + i] = (in[row + i] - mean) / deviation;
  }
  Strides strides[] = {broadcastStrides(operands[1], type.getShape()),
                       broadcastStrides(operands.back(), type.getShape())};
  int64_t length = rowLength(type.getShape()), to = 0;
  forEachRow(type.getShape(), strides, [&](ArrayRef<int64_t> offsets) {
    for (int64_t i = 0; i < length; ++i, ++to)
      result.set(to, rest[to] * scale[offsets[0] + i * rowStride(strides[0])] +
                         (hasBias ? bias[offsets[1] + i * rowStride(strides[1])] : 0.0));
  });
  return result.tensor;
}

// --- Products ------------------------------------------------------------------------------------
// A tile of the result stays in registers: one row more and 16 of them are not enough.
constexpr int64_t tileRows = 4, tileColumns = 8;
// Rows that are converted at a time; they are read again for every tile of columns.
constexpr int64_t blockRows = 64;

/// tile[4][8] = sum over k of a[k][4] * b[k][8].
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void multiplyTile(const double *a, const double *b, int64_t depth, double *tile) {
#pragma clang fp contract(off)
  double sums[tileRows][tileColumns] = {};
  for (int64_t k = 0; k < depth; ++k, a += tileRows, b += tileColumns)
    for (int64_t row = 0; row < tileRows; ++row)
      for (int64_t column = 0; column < tileColumns; ++column)
        sums[row][column] += a[row] * b[column];
  for (int64_t i = 0; i < tileRows * tileColumns; ++i)
    tile[i] = sums[i / tileColumns][i % tileColumns];
}

/// Element (row, column) of the three matrices is at first + row * width + column.
struct Matrices {
  Numbers a, b;
  int64_t rows, depth, columns;

  void multiply(int64_t firstA, int64_t firstB, int64_t firstC, Result &c) {
    aBlock.resize(blockRows * depth);
    bPanel.resize(tileColumns * depth);
    double tile[tileRows * tileColumns];
    for (int64_t row = 0; row < rows; row += blockRows) {
      int64_t count = std::min(blockRows, rows - row);
      for (int64_t i = 0; i < blockRows; ++i)
        for (int64_t k = 0; k < depth; ++k)
          aBlock[(i / tileRows * depth + k) * tileRows + i % tileRows] =
              i < count ? a[firstA + (row + i) * depth + k] : 0.0;
      for (int64_t column = 0; column < columns; column += tileColumns) {
        int64_t width = std::min(tileColumns, columns - column);
        for (int64_t k = 0; k < depth; ++k)
          for (int64_t j = 0; j < tileColumns; ++j)
            bPanel[k * tileColumns + j] = j < width ? b[firstB + k * columns + column + j] : 0.0;
        for (int64_t top = 0; top < count; top += tileRows) {
          multiplyTile(aBlock.data() + top * depth, bPanel.data(), depth, tile);
          for (int64_t i = 0; i < std::min(tileRows, count - top); ++i)
            for (int64_t j = 0; j < width; ++j)
              c.set(firstC + (row + top + i) * columns + column + j, tile[i * tileColumns + j]);
        }
      }
    }
  }
  std::vector<double> aBlock, bPanel;
};

HostTensor multiplied(RankedTensorType type, const HostTensor &maybeSplatA,
                      const HostTensor &maybeSplatB) {
  HostTensor a = withoutSplat(maybeSplatA), b = withoutSplat(maybeSplatB);
  ArrayRef<int64_t> dims = type.getShape();
  int64_t rank = dims.size(), rows = dims[rank - 2], columns = dims[rank - 1];
  Result result(type);
  Matrices matrices{Numbers(a), Numbers(b), rows, a.type.getShape().back(), columns, {}, {}};
  // The batch, with a dim of one element behind it: a matrix is an element of a row.
  SmallVector<int64_t> batch(dims.drop_back(2));
  Strides strides[] = {broadcastStrides(a, dims), broadcastStrides(b, dims)};
  batch.push_back(1);
  for (Strides &own : strides) {
    own.pop_back();
    own.back() = 0;
  }
  int64_t to = 0;
  forEachRow(batch, strides, [&](ArrayRef<int64_t> offsets) {
    matrices.multiply(offsets[0], offsets[1], to, result);
    to += rows * columns;
  });
  return result.tensor;
}

bool isFloat(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() &&
         (type.getElementType().isF32() || type.getElementType().isF64());
}
} // namespace

SmallVector<Value, 4> dataOperands(Operation *op) {
  if (isMovement(op) && !isa<onnx::ConcatOp>(op))
    return {op->getOperand(0)};
  return llvm::to_vector<4>(op->getOperands());
}

bool canEvaluate(Operation *op) {
  auto type = op->getNumResults() == 1 ? dyn_cast<RankedTensorType>(op->getResult(0).getType())
                                       : RankedTensorType();
  if (!type || !type.hasStaticShape() || type.getNumElements() == 0 || op->getNumOperands() == 0)
    return false;
  if (isMovement(op))
    return canMove(op);
  if (!isFloat(op->getResult(0)) || !llvm::all_of(op->getOperands(), isFloat))
    return false;
  if (isa<onnx::MatMulOp>(op))
    return rankedType(op->getOperand(0)).getRank() > 1 &&
           rankedType(op->getOperand(1)).getRank() > 1;
  return isReduction(op) || isNorm(op) || unaryFunction(op) || binaryFunction(op);
}

double operationCount(Operation *op) {
  if (isMovement(op) || isa<onnx::CastOp>(op))
    return 0;
  double elements = rankedType(op->getResult(0)).getNumElements();
  if (isa<onnx::MatMulOp>(op))
    return 2 * elements * rankedType(op->getOperand(0)).getShape().back();
  if (isReduction(op))
    return rankedType(op->getOperand(0)).getNumElements();
  return elements * (isNorm(op) ? 8 : 1);
}

HostTensor evaluate(Operation *op, ArrayRef<HostTensor> operands) {
  if (isMovement(op))
    return move(op, operands);
  auto type = rankedType(op->getResult(0));
  if (isa<onnx::MatMulOp>(op))
    return multiplied(type, operands[0], operands[1]);
  if (auto norm = dyn_cast<onnx::LayerNormalizationOp>(op))
    return normalized(type, operands, norm.getAxis(), norm.getEpsilon().convertToFloat(), true);
  if (auto norm = dyn_cast<onnx::RMSNormalizationOp>(op))
    return normalized(type, operands, norm.getAxis(), norm.getEpsilon().convertToFloat(), false);
  if (auto mean = dyn_cast<onnx::ReduceMeanOp>(op))
    return reduced(op, type, mean.getAxes(), operands[0]);
  if (auto sum = dyn_cast<onnx::ReduceSumOp>(op))
    return reduced(op, type, sum.getAxes(), operands[0]);
  if (Unary function = unaryFunction(op))
    return mapped(type, function, operands[0]);
  return combined(type, binaryFunction(op), operands[0], operands[1]);
}

} // namespace rapt
