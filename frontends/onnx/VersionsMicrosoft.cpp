//===- VersionsMicrosoft.cpp - Operators of com.microsoft, but for attention -----------------===//
//
// Source: onnxruntime, docs/ContribOperators.md, version 1 of the domain. All of them expand.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/ContribAttention.h"
#include "frontends/onnx/NormForm.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
Value gelu(NodeBuilder &b, Value x, StringRef approximate) {
  return x ? b.make<GeluOp>(x, b.ops().getStringAttr(approximate)) : Value();
}

void upgradeGelu(NodeBuilder &b) { b.out(0, gelu(b, b.in(0), "none")); }

void upgradeBiasGelu(NodeBuilder &b) {
  b.out(0, gelu(b, binary<AddOp>(b, b.in(0), b.in(1)), "none"));
}

void upgradeFastGelu(NodeBuilder &b) {
  Value x = b.in(0), bias = b.optional(1);
  b.out(0, gelu(b, bias ? binary<AddOp>(b, x, bias) : x, "tanh"));
}

/// x * sigmoid(alpha * x)
void upgradeQuickGelu(NodeBuilder &b) {
  Value x = b.in(0);
  float alpha = b.floatAttr("alpha", 1.702f);
  b.out(0, binary<MulOp>(b, x, unary<SigmoidOp>(b, withScalar<MulOp>(b, x, alpha))));
}

void upgradeFusedMatMul(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  // transBatch moves the first dim behind the others but the last, then trans swaps the last two.
  auto side = [&](Value value, StringRef trans, StringRef transBatch) {
    bool swaps = b.intAttr(trans, 0) != 0, moves = b.intAttr(transBatch, 0) != 0;
    int64_t rank = b.rank(value);
    if (b.stopped() || rank < 2)
      return value;
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    if (moves)
      std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
    if (swaps)
      std::swap(perm[rank - 2], perm[rank - 1]);
    return transpose(b, value, perm);
  };
  x = side(x, "transA", "transBatchA");
  y = side(y, "transB", "transBatchB");
  float alpha = b.floatAttr("alpha", 1);
  Value product = binary<MatMulOp>(b, x, y);
  b.out(0, alpha == 1 ? product : withScalar<MulOp>(b, product, alpha));
}

void upgradeFusedGemm(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1), c = b.optional(2);
  float alpha = b.floatAttr("alpha", 1), beta = b.floatAttr("beta", 1);
  bool transA = b.flagAttr("transA", false), transB = b.flagAttr("transB", false);
  StringRef activation = b.stringAttr("activation", "");
  float parameters[] = {b.floatAttr("activation_alpha", 0), b.floatAttr("activation_beta", 0)};
  b.ignoreAttr("activation_gamma"); // none of the activations has a third parameter
  if (b.stopped())
    return;
  Value sum = b.make<GemmOp>(x, y, c, llvm::APFloat(alpha), llvm::APFloat(beta), transA, transB);
  b.out(0, fusedActivation(b, sum, activation, parameters));
}

// --- Norms ---------------------------------------------------------------------------------------
void upgradeSimplifiedLayerNormalization(NodeBuilder &b) {
  Value x = b.in(0), scale = b.in(1), inverse;
  int64_t axis = b.normalized(b.intAttr("axis", -1), b.rank(x));
  float epsilon = b.finiteAttr("epsilon", 1e-5f);
  b.ignoreAttr("stash_type"); // sums are f32 either way
  Type type = b.elementType(x);
  b.out(0, rootMeanSquareNorm(b, x, scale, axis, epsilon, wideType(b, x), type,
                              b.wants(1) ? &inverse : nullptr));
  b.out(1, inverse);
}

/// The sum of input, skip and (operand `bias`) a bias, which output 3 asks for.
Value skipSum(NodeBuilder &b, size_t bias) {
  Value sum = binary<AddOp>(b, b.in(0), b.in(1));
  if (b.optional(bias))
    sum = binary<AddOp>(b, sum, b.optional(bias));
  b.out(3, sum);
  return sum;
}

void upgradeSkipLayerNormalization(NodeBuilder &b) {
  Value sum = skipSum(b, 4), gamma = b.in(2);
  float epsilon = b.finiteAttr("epsilon", 1e-12f);
  if (b.stopped())
    return;
  int64_t last = b.rank(sum) - 1;
  b.out(0, b.make<LayerNormalizationOp>(sum, gamma, b.optional(3), last, llvm::APFloat(epsilon)));
  if (!b.wants(1) && !b.wants(2))
    return;
  Value wide = castTo(b, sum, wideType(b, sum)), mean = reduce<ReduceMeanOp>(b, wide, {last});
  Value centred = binary<SubOp>(b, wide, mean);
  Value variance = reduce<ReduceMeanOp>(b, binary<MulOp>(b, centred, centred), {last});
  b.out(1, mean);
  b.out(2, inverseRoot(b, variance, epsilon));
}

/// Nothing is subtracted: output `mean` is 0.
void upgradeSkipSimplifiedLayerNormalization(NodeBuilder &b) {
  Value sum = skipSum(b, 3), gamma = b.in(2), inverse;
  float epsilon = b.finiteAttr("epsilon", 1e-12f);
  b.out(0, rootMeanSquareNorm(b, sum, gamma, b.rank(sum) - 1, epsilon, wideType(b, sum),
                              b.elementType(sum), b.wants(2) ? &inverse : nullptr));
  b.out(2, inverse);
  if (!b.wants(1))
    return;
  Value shape = joinDims(b, {dimsOf(b, sum, 0, b.rank(sum) - 1), b.makeInts({1})});
  Value zero = b.makeScalar(wideType(b, sum), 0);
  b.out(1, b.stopped() ? Value() : b.make<ExpandOp>(zero, shape));
}

/// Word, position and (with segment ids) segment embeddings, summed up and normalised.
void upgradeEmbedLayerNormalization(NodeBuilder &b) {
  enum { Ids, Segments, Words, Positions, SegmentTable, Gamma, Beta, Mask, PositionIds };
  Value ids = b.in(Ids), words = b.in(Words), positions = b.in(Positions);
  Value gamma = b.in(Gamma), beta = b.in(Beta);
  float epsilon = b.finiteAttr("epsilon", 1e-12f);
  b.ignoreAttr("mask_index_type"); // 0: none wanted, 1: the lengths that output 1 asks for
  if (b.stopped())
    return;
  if (b.rank(ids) != 2)
    return b.error("input 'input_ids' has rank " + Twine(b.rank(ids)) + ", expected 2");
  Value where = b.optional(PositionIds);
  if (!where)
    where = iota(b, scalarDimOf(b, ids, 1), 1, 2);
  auto rows = [&](Value table, Value indices) {
    return table && indices ? b.make<GatherOp>(table, indices, 0) : Value();
  };
  Value sum = binary<AddOp>(b, rows(words, ids), rows(positions, where));
  if (Value segments = b.optional(Segments))
    sum = binary<AddOp>(b, sum, rows(b.in(SegmentTable), segments));
  if (b.stopped())
    return;
  b.out(0, b.make<LayerNormalizationOp>(sum, gamma, beta, 2, llvm::APFloat(epsilon)));
  if (b.wants(1)) {
    // Without a mask onnxruntime gives zeros.
    Value mask = b.optional(Mask);
    Value counted = mask ? mask : binary<MulOp>(b, ids, b.makeScalar(b.elementType(ids), 0));
    b.out(1, castTo(b, reduce<ReduceSumOp>(b, counted, {1}, false), b.ops().getI32Type()));
  }
  b.out(2, sum);
}
} // namespace

void addMicrosoft(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
          {"SimplifiedLayerNormalization", 7, "float",
           "an operator of onnxruntime in the default domain; expanded",
           upgradeSimplifiedLayerNormalization},
          {"com.microsoft.BiasGelu", 1, "float", "", upgradeBiasGelu},
          {"com.microsoft.EmbedLayerNormalization", 1, "float", "expanded",
           upgradeEmbedLayerNormalization},
          {"com.microsoft.FastGelu", 1, "float", "", upgradeFastGelu},
          {"com.microsoft.FusedGemm", 1, "float", "becomes MatMul and an activation",
           upgradeFusedGemm},
          {"com.microsoft.FusedMatMul", 1, "float", "", upgradeFusedMatMul},
          {"com.microsoft.Gelu", 1, "float", "", upgradeGelu},
          {"com.microsoft.QuickGelu", 1, "float", "expanded", upgradeQuickGelu},
          {"com.microsoft.SimplifiedLayerNormalization", 1, "float", "expanded",
           upgradeSimplifiedLayerNormalization},
          {"com.microsoft.SkipLayerNormalization", 1, "float", "", upgradeSkipLayerNormalization},
          {"com.microsoft.SkipSimplifiedLayerNormalization", 1, "float", "",
           upgradeSkipSimplifiedLayerNormalization},
      });
}

} // namespace rapt::onnx
