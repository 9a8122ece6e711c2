//===- VersionsLinearAttention.cpp - LinearAttention, CausalConvWithState, FlexAttention -----===//
//
// Linear attention is an onnx.Loop over the steps that carries the state [B, G, K, V]; what does
// not need the state is computed before it. The causal convolution, which is short and for each
// channel alone, is a sum over its taps. FlexAttention is attention with two graphs inside.
//
// B batch, T steps, H query heads, G key and value heads, K and V their dims.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/AttentionForm.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/LoopBuilder.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

#include <cmath>

using namespace mlir;

namespace rapt::onnx {

namespace {
// --- LinearAttention -----------------------------------------------------------------------------
/// [B, T, heads * D] as [T, B, heads, D] in `type`.
Value stepsFirst(NodeBuilder &b, Value x, int64_t heads, StringRef name, Type type) {
  if (b.stopped())
    return {};
  if (b.rank(x) != 3) {
    b.error("input '" + name + "' has rank " + Twine(b.rank(x)) + ", expected 3");
    return {};
  }
  return transpose(b, splitHeads(b, castTo(b, x, type), heads, name), {2, 0, 1, 3});
}

struct LinearAttentionNode {
  int64_t heads, own;
  bool gated = false, delta = false;
  Type type, wide;
  Value query, key, value, decay, beta, state;

  void read(NodeBuilder &b) {
    heads = b.requiredInt("q_num_heads");
    own = b.requiredInt("kv_num_heads");
    b.ignoreAttr("chunk_size");
    StringRef rule = b.stringAttr("update_rule", "gated_delta");
    Value q = b.in(0), k = b.in(1), v = b.in(2), past = b.optional(3), g = b.optional(4),
          rate = b.optional(5);
    if (b.stopped())
      return;
    gated = rule == "gated" || rule == "gated_delta";
    delta = rule == "delta" || rule == "gated_delta";
    if (!gated && !delta && rule != "linear")
      return b.error("attribute 'update_rule' is '" + rule +
                     "', expected linear, gated, delta or gated_delta");
    if (own < 1 || heads < 1 || heads % own != 0)
      return b.error("attributes 'q_num_heads' and 'kv_num_heads' are " + Twine(heads) + " and " +
                     Twine(own) + ", expected a multiple and at least 1");
    if ((gated && !g) || (delta && !rate))
      return b.error("update_rule '" + rule + "' needs input '" + (gated && !g ? "decay" : "beta") +
                     "', which is missing");
    expectFloat(b, q, "query");
    type = b.elementType(q);
    wide = wideType(b, q);
    query = stepsFirst(b, q, heads, "query", wide);
    key = stepsFirst(b, k, own, "key", wide);
    value = stepsFirst(b, v, own, "value", wide);
    if (gated)
      decay = unary<ExpOp>(b, unsqueeze(b, stepsFirst(b, g, own, "decay", wide), {4}));
    if (delta)
      readBeta(b, rate);
    if (!b.stopped())
      readState(b, past);
  }

  /// One rate a head, or one for all of them: [T, B, G or 1, 1, 1].
  void readBeta(NodeBuilder &b, Value rate) {
    if (b.rank(rate) != 3)
      return b.error("input 'beta' has rank " + Twine(b.rank(rate)) + ", expected 3");
    beta = unsqueeze(b, transpose(b, castTo(b, rate, wide), {1, 0, 2}), {3, 4});
  }

  void readState(NodeBuilder &b, Value past) {
    if (past && b.rank(past) != 4)
      return b.error("input 'past_state' has rank " + Twine(b.rank(past)) + ", expected 4");
    if (past) {
      stateType = b.elementType(past);
      state = castTo(b, past, wide);
      return;
    }
    stateType = type;
    Value shape =
        joinDims(b, {dimOf(b, key, 1), b.makeInts({own}), dimOf(b, key, 3), dimOf(b, value, 3)});
    Value zero = b.makeScalar(wide, 0);
    state = b.stopped() ? Value() : b.make<ExpandOp>(zero, shape);
  }

  Type stateType;
};

void upgradeLinearAttention(NodeBuilder &b) {
  LinearAttentionNode node;
  node.read(b);
  float scale = b.finiteAttr("scale", 0, std::nullopt);
  if (b.stopped())
    return;
  // Query heads that share a key head are rows of one matrix: [T, B, G, H / G, K].
  int64_t group = node.heads / node.own;
  Value query = reshapeTo(b, node.query, {0, 0, node.own, group, -1});
  if (scale != 0)
    query = withScalar<MulOp>(b, query, scale);
  else
    query = binary<DivOp>(b, query,
                          unary<SqrtOp>(b, castTo(b, scalarDimOf(b, node.key, 3), node.wide)));
  LoopInputs loop;
  loop.states = {node.state};
  loop.scanned = {query, unsqueeze(b, node.key, {4}), unsqueeze(b, node.key, {3}),
                  unsqueeze(b, node.value, {3})};
  if (node.gated)
    loop.scanned.push_back(node.decay);
  if (node.delta)
    loop.scanned.push_back(node.beta);
  loop.scannedReverse.assign(loop.scanned.size(), false);
  loop.stackedReverse = {false};
  SmallVector<Value> results =
      makeLoop(b, loop, [&](Value, ValueRange states, ValueRange slices) -> LoopStep {
        Value state = states[0], column = slices[1], row = slices[2], update = slices[3];
        if (node.gated)
          state = binary<MulOp>(b, state, slices[4]);
        if (node.delta) {
          update = binary<SubOp>(b, update, binary<MatMulOp>(b, row, state));
          update = binary<MulOp>(b, update, slices.back());
        }
        state = binary<AddOp>(b, state, binary<MulOp>(b, column, update));
        return {Value(), {state}, {binary<MatMulOp>(b, slices[0], state)}};
      });
  if (results.empty())
    return;
  // [T, B, G, H / G, V] as [B, T, H * V].
  Value output = transpose(b, results[1], {1, 0, 2, 3, 4});
  Value shape = joinDims(b, {dimsOf(b, output, 0, 2), b.makeInts({-1})});
  output = output && shape ? b.make<ReshapeOp>(output, shape, /*allowzero=*/false) : Value();
  b.out(0, castTo(b, output, node.type));
  b.out(1, castTo(b, results[0], node.stateType));
}

// --- CausalConvWithState -------------------------------------------------------------------------
/// A kernel is as short as 4; each tap is an operation.
constexpr int64_t maxTaps = 64;

/// x[:, :, begin : begin + length of like]
Value window(NodeBuilder &b, Value x, int64_t begin, Value length) {
  Value start = b.makeInts({begin});
  return slice(b, x, 2, start, binary<AddOp>(b, length, start));
}

void upgradeCausalConv(NodeBuilder &b) {
  Value x = b.in(0), weight = b.in(1), bias = b.optional(2), past = b.optional(3);
  StringRef activation = b.stringAttr("activation", "none");
  if (b.stopped())
    return;
  expectFloat(b, x, "input");
  bool silu = activation == "silu" || activation == "swish";
  if (!silu && activation != "none")
    return b.error("attribute 'activation' is '" + activation + "', expected silu, swish or none");
  if (b.rank(x) != 3 || b.rank(weight) != 3 || (bias && b.rank(bias) != 1) ||
      (past && b.rank(past) != 3))
    return b.error("inputs have ranks " + Twine(b.rank(x)) + ", " + Twine(b.rank(weight)) +
                   (bias ? ", " + std::to_string(b.rank(bias)) : "") +
                   (past ? ", " + std::to_string(b.rank(past)) : "") +
                   ", expected 3, 3, 1 (bias) and 3 (past_state)");
  int64_t taps = cast<RankedTensorType>(weight.getType()).getDimSize(2);
  if (ShapedType::isDynamic(taps))
    return b.unsupported("the last dim of input 'weight' is not a constant");
  if (taps < 1 || taps > maxTaps)
    return b.unsupported("the last dim of input 'weight' is " + Twine(taps) + ", expected 1 to " +
                         Twine(maxTaps));
  Type type = b.elementType(x), wide = wideType(b, x);
  if (!past) {
    Value shape = joinDims(b, {dimsOf(b, x, 0, 2), b.makeInts({taps - 1})});
    Value zero = b.makeScalar(type, 0);
    past = b.stopped() ? Value() : b.make<ExpandOp>(zero, shape);
  }
  Value length = dimOf(b, x, 2);
  Value all = b.stopped() || taps == 1 ? x : b.make<ConcatOp>(ValueRange{past, x}, 2);
  Value sum, columns = squeeze(b, castTo(b, weight, wide), {1});
  for (int64_t tap = 0; tap < taps && !b.stopped(); ++tap) {
    Value factor = slice(b, columns, 1, tap, tap + 1);
    Value seen = taps == 1 ? all : window(b, all, tap, length);
    Value product = binary<MulOp>(b, castTo(b, seen, wide), factor);
    sum = sum ? binary<AddOp>(b, sum, product) : product;
  }
  if (bias)
    sum = binary<AddOp>(b, sum, alongAxis(b, castTo(b, bias, wide), 0, 2));
  if (silu)
    sum = binary<MulOp>(b, sum, unary<SigmoidOp>(b, sum));
  if (b.stopped())
    return;
  b.out(0, castTo(b, sum, type));
  // The last taps - 1 elements start where the input is long.
  Value end = binary<AddOp>(b, length, b.makeInts({taps - 1}));
  b.out(1, taps == 1 ? past : slice(b, all, 2, length, end));
}

// --- FlexAttention -------------------------------------------------------------------------------
void upgradeFlexAttention(NodeBuilder &b) {
  AttentionForm form;
  form.query = b.in(0);
  form.key = b.in(1);
  form.value = b.in(2);
  form.scale = b.finiteAttr("scale", 1, std::nullopt);
  form.scaleByHeadDim = !b.has("scale");
  int64_t precision = b.intAttr("softmax_precision", 0);
  const Graph *scoreMod = b.has("score_mod") ? b.graphAttr("score_mod") : nullptr;
  const Graph *probMod = b.has("prob_mod") ? b.graphAttr("prob_mod") : nullptr;
  if (b.stopped())
    return;
  for (Value x : {form.query, form.key, form.value}) {
    expectFloat(b, x, "Q, K and V");
    if (b.rank(x) != 4)
      return b.error("input has rank " + Twine(b.rank(x)) + ", expected 4");
  }
  form.softmaxType = wideType(b, form.query);
  if (precision != 0) {
    if (precision > 0 && precision <= maxElementType)
      form.softmaxType = elementTypeFor(b.context(), static_cast<ElementType>(precision));
    if (precision < 0 || !isa_and_nonnull<FloatType>(form.softmaxType))
      return b.error("attribute 'softmax_precision' is " + Twine(precision) +
                     ", expected a float element type");
  }
  auto modifier = [&](const Graph *graph, StringRef name) {
    return [&b, graph, name](Value x) -> Value {
      if (b.stopped() || !x)
        return {};
      if (graph->outputs.size() != 1) {
        b.error("attribute '" + name + "' has " + Twine(graph->outputs.size()) +
                " outputs, expected 1");
        return {};
      }
      Value result = b.importGraph(*graph, {x}).front();
      if (result && (b.rank(result) != 4 || b.elementType(result) != b.elementType(x)))
        b.error("attribute '" + name + "' gives another rank or element type than it takes");
      return result;
    };
  };
  if (scoreMod)
    form.scoreMod = modifier(scoreMod, "score_mod");
  if (probMod)
    form.probMod = modifier(probMod, "prob_mod");
  form.expand(b);
  if (!b.stopped())
    b.out(0, form.output);
}
} // namespace

void addLinearAttention(std::vector<Operator> &table) {
  table.insert(table.end(), {
                                {"CausalConvWithState", 27, "float",
                                 "becomes arithmetic; at most 64 taps", upgradeCausalConv},
                                {"LinearAttention", 27, "float", "becomes MatMul and onnx.Loop",
                                 upgradeLinearAttention},
                                {"ai.onnx.preview.FlexAttention", 1, "float",
                                 "becomes MatMul and Softmax", upgradeFlexAttention},
                            });
}

} // namespace rapt::onnx
