//===- VersionsMath.cpp - Products -----------------------------------------------------------===//
//
// Rows of the table for MatMul, Gemm and GroupedMatMul.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
void upgradeMatMul(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  if (!b.stopped())
    b.out(0, b.make<MatMulOp>(x, y));
}

void upgradeGemm(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1), c = b.optional(2);
  if (b.opset() < 11)
    c = b.in(2);
  float alpha = b.floatAttr("alpha", 1), beta = b.floatAttr("beta", 1);
  bool transA = b.flagAttr("transA", false), transB = b.flagAttr("transB", false);
  if (!b.stopped())
    b.out(0, b.make<GemmOp>(x, y, c, llvm::APFloat(alpha), llvm::APFloat(beta), transA, transB));
}
/// output[m, s] = input[m] weights[group_indices[m, s]] + bias[group_indices[m, s]], of shape
/// [M, S, N]; the stack of weights is [G, K, N].
void upgradeGroupedMatMul(NodeBuilder &b) {
  Value x = b.in(0), weights = b.in(1), groups = b.in(2), bias = b.optional(3);
  auto expectRank = [&](Value value, int64_t rank, StringRef name) {
    if (value && !b.stopped() && b.rank(value) != rank)
      b.error("input '" + name + "' has rank " + Twine(b.rank(value)) + ", expected " +
              Twine(rank));
  };
  expectRank(x, 2, "input");
  expectRank(weights, 3, "weights");
  expectRank(groups, 2, "group_indices");
  expectRank(bias, 2, "bias");
  // What a product would broadcast.
  auto expectDim = [&](Value value, int64_t axis, StringRef name, Value other, int64_t otherAxis,
                       StringRef otherName) {
    if (!value || b.stopped())
      return;
    SymbolicExpr size = b.dim(value, axis), expected = b.dim(other, otherAxis);
    if (SymbolicExpr::provablyDifferent(size, expected))
      b.error("input '" + name + "' has " + size.str() + " in dim " + Twine(axis) + ", expected " +
              expected.str() + " as dim " + Twine(otherAxis) + " of '" + otherName + "'");
  };
  expectDim(groups, 0, "group_indices", x, 0, "input");
  expectDim(bias, 0, "bias", weights, 0, "weights");
  expectDim(bias, 1, "bias", weights, 2, "weights");
  if (b.stopped())
    return;
  // A negative index does not count from the end: it is refused, as one past the end is.
  Value index = castTo(b, groups, b.ops().getI64Type());
  index = where(b, withScalar<LessOp>(b, index, 0), scalarDimOf(b, weights, 0), index);
  Value product = binary<MatMulOp>(b, unsqueeze(b, x, {1, 2}), b.make<GatherOp>(weights, index, 0));
  Value result = squeeze(b, product, {2});
  if (bias && !b.stopped())
    result = binary<AddOp>(b, result, b.make<GatherOp>(bias, index, 0));
  if (!b.stopped())
    b.out(0, result);
}
} // namespace

void addMath(std::vector<Operator> &table) {
  table.insert(table.end(), {
                                {"Gemm", 7, "float, int", "becomes MatMul", upgradeGemm},
                                {"GroupedMatMul", 29, "float", "becomes Gather and MatMul",
                                 upgradeGroupedMatMul},
                                {"MatMul", 7, "float, int", "", upgradeMatMul},
                            });
}

} // namespace rapt::onnx
