//===- VersionsLosses.cpp - Cross-entropy losses ---------------------------------------------===//
//
// Scores are [batch, classes, d...], labels [batch, d...]. A label equal to ignore_index counts for
// nothing, and may be any number; every other one must be a class.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
struct Loss {
  std::string reduction;
  std::optional<int64_t> ignored;
};

Loss attributesOf(NodeBuilder &b) {
  Loss loss{b.stringAttr("reduction", "mean").str(), std::nullopt};
  if (b.has("ignore_index"))
    loss.ignored = b.intAttr("ignore_index", 0);
  if (!llvm::is_contained({"none", "mean", "sum"}, StringRef(loss.reduction)))
    b.error("attribute 'reduction' is '" + loss.reduction + "', expected none, mean or sum");
  return loss;
}

/// The axis of the scores that axis `axis` of the labels goes with: all but the classes.
int64_t scoreAxis(int64_t axis) { return axis == 0 ? 0 : axis + 1; }

void checkDims(NodeBuilder &b, Value scores, Value labels, Value weights) {
  for (int64_t axis = 0; axis < b.rank(labels); ++axis)
    if (SymbolicExpr seen = b.dim(labels, axis), expected = b.dim(scores, scoreAxis(axis));
        SymbolicExpr::provablyDifferent(seen, expected))
      b.error("dim " + Twine(axis) + " of the labels is " + seen.str() + ", expected " +
              expected.str() + ", dim " + Twine(scoreAxis(axis)) + " of the scores");
  if (!weights)
    return;
  if (SymbolicExpr seen = b.dim(weights, 0), expected = b.dim(scores, 1);
      SymbolicExpr::provablyDifferent(seen, expected))
    b.error("weights have " + seen.str() + " elements, expected " + expected.str() +
            ", one for each class");
}

/// What checkDims can not tell yet is checked when the model runs; `op` is one of the node's.
void requireShapes(NodeBuilder &b, Operation *op, Value scores, Value labels, Value weights) {
  auto require = [&](const SymbolicExpr &seen, const SymbolicExpr &expected, const Twine &what) {
    if (!(seen == expected))
      requireDims(b, op, seen, expected, /*equal=*/true, what);
  };
  for (int64_t axis = 0; axis < b.rank(labels); ++axis)
    require(b.dim(labels, axis), b.dim(scores, scoreAxis(axis)),
            "dim " + Twine(axis) + " of the labels");
  if (weights)
    require(b.dim(weights, 0), b.dim(scores, 1), "number of weights");
}

void checkOperands(NodeBuilder &b, Value scores, Value labels, Value weights) {
  int64_t rank = b.rank(scores);
  expectFloat(b, scores, "input");
  if (rank < 2)
    b.error("input 0 has rank " + Twine(rank) + ", expected at least 2");
  if (b.rank(labels) != rank - 1)
    b.error("labels have rank " + Twine(b.rank(labels)) + ", expected " + Twine(rank - 1) +
            ", one less than the scores");
  if (Type type = b.elementType(labels); labels && !type.isInteger(32) && !type.isInteger(64))
    b.error("labels are " + typeText(b.analysis(), labels) + ", expected elements of i32 or i64");
  if (weights && b.rank(weights) != 1)
    b.error("weights have rank " + Twine(b.rank(weights)) + ", expected 1");
  if (!b.stopped())
    checkDims(b, scores, labels, weights);
}

/// The loss of log probabilities, in their type; sums are of a wider one.
Value likelihoodLoss(NodeBuilder &b, Value logs, Value labels, Value weights, const Loss &loss) {
  if (b.stopped())
    return {};
  Type type = wideType(b, logs);
  Value isIgnored, zero = b.makeScalar(type, 0);
  labels = castTo(b, labels, b.ops().getI64Type());
  if (loss.ignored) {
    isIgnored = binary<EqualOp>(b, labels, scalarInt(b, *loss.ignored));
    labels = where(b, isIgnored, scalarInt(b, 0), labels);
  }
  Value index = unsqueeze(b, labels, {1});
  if (b.stopped())
    return {};
  requireShapes(b, index.getDefiningOp(), logs, labels, weights);
  Value picked = castTo(b, squeeze(b, b.make<GatherElementsOp>(logs, index, 1), {1}), type);
  Value result = unary<NegOp>(b, picked), weight;
  if (weights && !b.stopped()) {
    weight = castTo(b, b.make<GatherOp>(weights, labels, 0), type);
    result = binary<MulOp>(b, result, weight);
  }
  if (isIgnored) {
    result = where(b, isIgnored, zero, result);
    weight = where(b, isIgnored, zero, weight ? weight : b.makeScalar(type, 1));
  }
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, b.rank(result)));
  if (loss.reduction == "mean" && !weight) {
    result = reduce<ReduceMeanOp>(b, result, all, /*keepdims=*/false);
  } else if (loss.reduction != "none") {
    result = reduce<ReduceSumOp>(b, result, all, /*keepdims=*/false);
    if (loss.reduction == "mean")
      result = binary<DivOp>(b, result, reduce<ReduceSumOp>(b, weight, all, /*keepdims=*/false));
  }
  return castTo(b, result, b.elementType(logs));
}

void upgradeNegativeLogLikelihoodLoss(NodeBuilder &b) {
  Value logs = b.in(0), labels = b.in(1), weights = b.optional(2);
  Loss loss = attributesOf(b);
  if (b.stopped())
    return;
  checkOperands(b, logs, labels, weights);
  b.out(0, likelihoodLoss(b, logs, labels, weights, loss));
}

void upgradeSoftmaxCrossEntropyLoss(NodeBuilder &b) {
  Value scores = b.in(0), labels = b.in(1), weights = b.optional(2);
  Loss loss = attributesOf(b);
  if (b.stopped())
    return;
  checkOperands(b, scores, labels, weights);
  if (b.stopped())
    return;
  Value logs = logSoftmax(b, scores, 1);
  b.out(0, likelihoodLoss(b, logs, labels, weights, loss));
  b.out(1, logs);
}
} // namespace

void addLosses(std::vector<Operator> &table) {
  table.insert(table.end(),
               {
                   {"NegativeLogLikelihoodLoss", 12, "float",
                    "becomes GatherElements and ReduceSum", upgradeNegativeLogLikelihoodLoss},
                   {"SoftmaxCrossEntropyLoss", 12, "float", "see NegativeLogLikelihoodLoss",
                    upgradeSoftmaxCrossEntropyLoss},
               });
}

} // namespace rapt::onnx
