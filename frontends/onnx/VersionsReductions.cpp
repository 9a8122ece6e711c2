//===- VersionsReductions.cpp - Reductions, softmaxes, scans ---------------------------------===//
//
// Axes become attributes, counted from 0. Reductions, softmaxes and arg-extrema that the dialect
// lacks are composed of those that it has; the flattening Softmax of opset 12 and below becomes
// Reshape, Softmax, Reshape.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
// --- Reductions ---------------------------------------------------------------------------------
/// The operand and the attributes of every Reduce operator.
struct Reduction {
  Value x;
  SmallVector<int64_t> axes;
  bool keepdims = true;
};

/// Axes are an attribute below opset `inputSince` and an operand since. None at all means all of
/// them, or with noop_with_empty_axes that the elements are only mapped.
Reduction reductionOf(NodeBuilder &b, int64_t inputSince) {
  Reduction result{b.in(0), {}, true};
  std::optional<SmallVector<int64_t>> axes;
  bool noop = false;
  if (b.opset() < inputSince) {
    axes = b.intsAttr("axes");
  } else {
    noop = b.flagAttr("noop_with_empty_axes", false);
    if (b.optional(1))
      axes = b.constants(1, "axes");
  }
  result.keepdims = b.flagAttr("keepdims", true);
  if (b.stopped())
    return result;
  result.axes = b.normalized(axes.value_or(SmallVector<int64_t>()), b.rank(result.x));
  if (result.axes.empty() && !noop)
    result.axes = llvm::to_vector(llvm::seq<int64_t>(0, b.rank(result.x)));
  return result;
}

template <typename Op, int inputSince> void upgradeReduce(NodeBuilder &b) {
  Reduction r = reductionOf(b, inputSince);
  if (!b.stopped())
    b.out(0, reduce<Op>(b, r.x, r.axes, r.keepdims));
}

/// Booleans are 0 and 1, so that an empty maximum is false and an empty minimum is true.
template <typename Op> void upgradeReduceExtremum(NodeBuilder &b) {
  Reduction r = reductionOf(b, 18);
  if (b.stopped())
    return;
  Type type = b.elementType(r.x);
  if (!type.isInteger(1))
    return b.out(0, reduce<Op>(b, r.x, r.axes, r.keepdims));
  Value number = castTo(b, r.x, b.ops().getI32Type());
  b.out(0, withScalar<GreaterOp>(b, reduce<Op>(b, number, r.axes, r.keepdims), 0));
}

/// Integers go through f64.
void upgradeReduceL2(NodeBuilder &b) {
  Reduction r = reductionOf(b, 18);
  if (b.stopped())
    return;
  Type type = b.elementType(r.x);
  Value x = isa<FloatType>(type) ? r.x : castTo(b, r.x, b.ops().getF64Type());
  b.out(0, castTo(b, reduce<ReduceL2Op>(b, x, r.axes, r.keepdims), type));
}

void upgradeReduceLogSum(NodeBuilder &b) {
  Reduction r = reductionOf(b, 18);
  if (b.stopped())
    return;
  Value x = castTo(b, r.x, wideType(b, r.x));
  Value log = unary<LogOp>(b, reduce<ReduceSumOp>(b, x, r.axes, r.keepdims));
  b.out(0, castTo(b, log, b.elementType(r.x)));
}

/// log(sum(exp(x - m))) + m, where m is the maximum, or 0 where that is infinite (or of nothing).
void upgradeReduceLogSumExp(NodeBuilder &b) {
  Reduction r = reductionOf(b, 18);
  if (b.stopped())
    return;
  Value x = castTo(b, r.x, wideType(b, r.x));
  Value highest = reduce<ReduceMaxOp>(b, x, r.axes);
  Value isInfinite =
      withScalar<EqualOp>(b, unary<AbsOp>(b, highest), std::numeric_limits<double>::infinity());
  Value shift = where(b, isInfinite, b.makeScalar(b.elementType(x), 0), highest);
  Value sum = reduce<ReduceSumOp>(b, unary<ExpOp>(b, binary<SubOp>(b, x, shift)), r.axes);
  Value result = binary<AddOp>(b, unary<LogOp>(b, sum), shift);
  if (!r.keepdims)
    result = squeeze(b, result, r.axes);
  b.out(0, castTo(b, result, b.elementType(r.x)));
}

/// `select_last_index` came with opset 12.
template <bool largest> void upgradeArg(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t axis = b.normalized(b.intAttr("axis", 0), b.rank(x));
  bool keepdims = b.flagAttr("keepdims", true);
  bool last = b.opset() >= 12 && b.flagAttr("select_last_index", false);
  if (b.stopped())
    return;
  Value index = argExtremum(b, x, axis, largest, last);
  b.out(0, keepdims ? index : squeeze(b, index, {axis}));
}

// --- Softmaxes ----------------------------------------------------------------------------------
/// Applies `function` along the attribute `axis`. Below opset 13 the operand is seen as a matrix:
/// the dims before `axis` times those from it on.
void upgradeAlongAxis(NodeBuilder &b, function_ref<Value(Value, int64_t)> function) {
  Value x = b.in(0);
  int64_t rank = b.rank(x);
  bool asMatrix = b.opset() < 13;
  int64_t axis =
      b.normalized(b.intAttr("axis", asMatrix ? 1 : -1), rank, "axis", /*orEnd=*/asMatrix);
  expectFloat(b, x, "input");
  if (b.stopped())
    return;
  if (!asMatrix || axis == rank - 1)
    return b.out(0, function(x, axis));
  Value matrix = b.make<FlattenOp>(x, axis);
  Value result = matrix ? function(matrix, 1) : Value();
  b.out(0, reshape(b, result, shapeOf(b, x)));
}

void upgradeSoftmax(NodeBuilder &b) {
  upgradeAlongAxis(b, [&](Value x, int64_t axis) { return b.make<SoftmaxOp>(x, axis); });
}

void upgradeLogSoftmax(NodeBuilder &b) {
  upgradeAlongAxis(b, [&](Value x, int64_t axis) { return logSoftmax(b, x, axis); });
}

void upgradeHardmax(NodeBuilder &b) {
  upgradeAlongAxis(b, [&](Value x, int64_t axis) {
    Value index = argExtremum(b, x, axis, /*largest=*/true, /*last=*/false);
    Value position = iota(b, scalarDimOf(b, x, axis), axis, b.rank(x));
    return castTo(b, binary<EqualOp>(b, position, index), b.elementType(x));
  });
}

// --- Scans --------------------------------------------------------------------------------------
template <typename Op> void upgradeScan(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t axis = b.normalized(b.constant(1, "axis"), b.rank(x));
  bool exclusive = b.flagAttr("exclusive", false), reverse = b.flagAttr("reverse", false);
  if (!b.stopped())
    b.out(0, b.make<Op>(x, axis, exclusive, reverse));
}
} // namespace

void addReductions(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral axes13 = "axes are an attribute below 13, a constant operand since";
  constexpr llvm::StringLiteral axes18 = "axes are an attribute below 18, a constant operand since";
  constexpr llvm::StringLiteral matrix = "the operand is seen as a matrix below 13";
  table.insert(
      table.end(),
      {
          {"ArgMax", 7, "float, int", "becomes ReduceMax and a search for it", upgradeArg<true>},
          {"ArgMin", 7, "float, int", "becomes ReduceMin and a search for it", upgradeArg<false>},
          {"CumProd", 26, "float, int", "axis must be constant", upgradeScan<CumProdOp>},
          {"CumSum", 11, "float, int", "axis must be constant", upgradeScan<CumSumOp>},
          {"Hardmax", 7, "float", matrix, upgradeHardmax},
          {"LogSoftmax", 7, "float", matrix, upgradeLogSoftmax},
          {"ReduceL1", 7, "float, int", axes18, upgradeReduce<ReduceL1Op, 18>},
          {"ReduceL2", 7, "float, int", axes18, upgradeReduceL2},
          {"ReduceLogSum", 7, "float, int", axes18, upgradeReduceLogSum},
          {"ReduceLogSumExp", 7, "float, int", axes18, upgradeReduceLogSumExp},
          {"ReduceMax", 7, "float, int, bool", axes18, upgradeReduceExtremum<ReduceMaxOp>},
          {"ReduceMean", 7, "float, int", axes18, upgradeReduce<ReduceMeanOp, 18>},
          {"ReduceMin", 7, "float, int, bool", axes18, upgradeReduceExtremum<ReduceMinOp>},
          {"ReduceProd", 7, "float, int", axes18, upgradeReduce<ReduceProdOp, 18>},
          {"ReduceSum", 7, "float, int", axes13, upgradeReduce<ReduceSumOp, 13>},
          {"ReduceSumSquare", 7, "float, int", axes18, upgradeReduce<ReduceSumSquareOp, 18>},
          {"Softmax", 7, "float", matrix, upgradeSoftmax},
      });
}

} // namespace rapt::onnx
