//===- VersionsMath.cpp - Products, norms and reductions -------------------------------------===//
//
// Rows of the table for MatMul, Gemm, Softmax, LayerNormalization, reductions and CumSum. Axes
// become attributes, counted from 0; the flattening Softmax of opset 12 and below becomes Reshape,
// Softmax, Reshape.
//
//===-------------------------------------------------------------------------------------===//

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
  bool transA = b.intAttr("transA", 0) != 0, transB = b.intAttr("transB", 0) != 0;
  if (!b.stopped())
    b.out(0, b.make<GemmOp>(x, y, c, llvm::APFloat(alpha), llvm::APFloat(beta), transA, transB));
}

/// Below opset 13 the operand is seen as a matrix: the dims before `axis` times those from it on.
void upgradeSoftmax(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t rank = b.rank(x);
  bool asMatrix = b.opset() < 13;
  int64_t axis = b.normalized(b.intAttr("axis", asMatrix ? 1 : -1), rank);
  if (b.stopped())
    return;
  if (!asMatrix || axis == rank - 1)
    return b.out(0, b.make<SoftmaxOp>(x, axis));
  Value matrix = b.make<FlattenOp>(x, axis);
  Value softmax = matrix ? b.make<SoftmaxOp>(matrix, 1) : Value();
  Value shape = b.make<ShapeOp>(x, 0, rank);
  if (!b.stopped())
    b.out(0, b.make<ReshapeOp>(softmax, shape, /*allowzero=*/true));
}

void upgradeLayerNormalization(NodeBuilder &b) {
  Value x = b.in(0), scale = b.in(1), bias = b.optional(2);
  int64_t axis = b.normalized(b.intAttr("axis", -1), b.rank(x));
  float epsilon = b.floatAttr("epsilon", 1e-5f);
  if (int64_t stash = b.intAttr("stash_type", 1); stash != static_cast<int64_t>(ElementType::Float))
    b.unsupported("attribute 'stash_type' is " + Twine(stash));
  b.cannotGive(1, "Mean");
  b.cannotGive(2, "InvStdDev");
  if (!b.stopped())
    b.out(0, b.make<LayerNormalizationOp>(x, scale, bias, axis, llvm::APFloat(epsilon)));
}

/// Axes are an attribute below opset `inputSince` and an operand since.
template <typename Op, int inputSince> void upgradeReduce(NodeBuilder &b) {
  Value x = b.in(0);
  std::optional<SmallVector<int64_t>> axes;
  bool noop = false;
  if (b.opset() < inputSince) {
    axes = b.intsAttr("axes");
  } else {
    noop = b.intAttr("noop_with_empty_axes", 0) != 0;
    if (b.optional(1))
      axes = b.constants(1, "axes");
  }
  bool keepdims = b.intAttr("keepdims", 1) != 0;
  if (b.stopped())
    return;
  SmallVector<int64_t> normal = b.normalized(axes.value_or(SmallVector<int64_t>()), b.rank(x));
  if (normal.empty() && !noop)
    normal = llvm::to_vector(llvm::seq<int64_t>(0, b.rank(x)));
  if (!b.stopped())
    b.out(0, b.make<Op>(x, normal, keepdims));
}

void upgradeCumSum(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t axis = b.normalized(b.constant(1, "axis"), b.rank(x));
  bool exclusive = b.intAttr("exclusive", 0) != 0, reverse = b.intAttr("reverse", 0) != 0;
  if (!b.stopped())
    b.out(0, b.make<CumSumOp>(x, axis, exclusive, reverse));
}
} // namespace

void addMath(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral axes13 = "axes are an attribute below 13, a constant operand since";
  constexpr llvm::StringLiteral axes18 = "axes are an attribute below 18, a constant operand since";
  table.insert(
      table.end(),
      {
          {"CumSum", 11, "float, int", "axis must be constant", upgradeCumSum},
          {"Gemm", 7, "float", "becomes MatMul", upgradeGemm},
          {"LayerNormalization", 17, "float",
           "stash_type must be 1; outputs `Mean` and `InvStdDev` are not given",
           upgradeLayerNormalization},
          {"MatMul", 7, "float", "", upgradeMatMul},
          {"ReduceL1", 7, "float, int", axes18, upgradeReduce<ReduceL1Op, 18>},
          {"ReduceL2", 7, "float", axes18, upgradeReduce<ReduceL2Op, 18>},
          {"ReduceMax", 7, "float, int", axes18, upgradeReduce<ReduceMaxOp, 18>},
          {"ReduceMean", 7, "float", axes18, upgradeReduce<ReduceMeanOp, 18>},
          {"ReduceMin", 7, "float, int", axes18, upgradeReduce<ReduceMinOp, 18>},
          {"ReduceProd", 7, "float, int", axes18, upgradeReduce<ReduceProdOp, 18>},
          {"ReduceSum", 7, "float, int", axes13, upgradeReduce<ReduceSumOp, 13>},
          {"ReduceSumSquare", 7, "float, int", axes18, upgradeReduce<ReduceSumSquareOp, 18>},
          {"Softmax", 7, "float", "the operand is seen as a matrix below 13", upgradeSoftmax},
      });
}

} // namespace rapt::onnx
