//===- VersionsMicrosoftAttention.cpp - Attention operators of com.microsoft -----------------===//
//
// Source: onnxruntime, docs/ContribOperators.md, version 1 of the domain. All of them expand to
// AttentionForm. A row in which a mask excludes every key is what onnxruntime's CPU kernels make of
// it: masks by number add `mask_filter_value`, causality excludes.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/AttentionForm.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
int64_t staticDim(Value value, int64_t dim) {
  return cast<RankedTensorType>(value.getType()).getDimSize(dim);
}

/// Attributes and finishing touches that the operators share.
struct ContribAttention {
  AttentionForm form;
  Value queries, keys, past; ///< scalars; `past` is the number of keys before the first query's own

  void setScale(NodeBuilder &b) {
    float scale = b.floatAttr("scale", 0);
    form.scaleByHeadDim = scale == 0;
    form.scale = scale == 0 ? 1 : scale;
  }

  /// Appends to a cache [B, G, P, D] where there is one.
  static Value append(NodeBuilder &b, Value past, Value now) {
    if (!past || b.stopped())
      return now;
    if (b.rank(past) != 4) {
      b.error("past has rank " + Twine(b.rank(past)) + ", expected 4");
      return {};
    }
    return b.make<ConcatOp>(SmallVector<Value>{past, now}, 2);
  }

  void setLengths(NodeBuilder &b) {
    queries = scalarDimOf(b, form.query, 2);
    keys = scalarDimOf(b, form.key, 2);
    past = binary<SubOp>(b, keys, queries);
  }

  void addBias(NodeBuilder &b, Value bias) {
    if (bias)
      form.bias = form.bias ? binary<AddOp>(b, form.bias, bias) : bias;
  }

  /// `filter` where the numbers of `kept` are not positive.
  void filter(NodeBuilder &b, Value kept, float filter) {
    Value seen = withScalar<GreaterOp>(b, kept, 0);
    Type type = b.elementType(form.query);
    addBias(b, where(b, seen, b.makeScalar(type, 0), b.makeScalar(type, filter)));
  }

  /// A mask of keys: lengths [B], or [B, J], or [B, I, J].
  void maskKeys(NodeBuilder &b, Value mask, float value) {
    if (!mask || b.stopped())
      return;
    switch (b.rank(mask)) {
    case 1: {
      int64_t batch = staticDim(form.query, 0), count = staticDim(mask, 0);
      bool sameSymbol = ShapedType::isDynamic(batch) && ShapedType::isDynamic(count);
      if (batch != count && !sameSymbol)
        return b.unsupported("a mask of rank 1 with " + Twine(count) + " elements");
      Value lengths = castTo(b, reshapeTo(b, mask, {-1, 1, 1, 1}), b.ops().getI64Type());
      Value seen = binary<LessOp>(b, iota(b, keys, 3, 4), lengths);
      Type type = b.elementType(form.query);
      return addBias(b, where(b, seen, b.makeScalar(type, 0), b.makeScalar(type, value)));
    }
    case 2:
      return filter(b, unsqueeze(b, mask, {1, 2}), value);
    case 3:
      return filter(b, unsqueeze(b, mask, {1}), value);
    default:
      return b.unsupported("a mask of rank " + Twine(b.rank(mask)));
    }
  }

  void causal(NodeBuilder &b) {
    form.seen = bothSeen(b, form.seen, windowMask(b, queries, keys, past, -1, 0));
  }

  /// Everything after query, key and value; the node's first output.
  void finish(NodeBuilder &b, Value mask, float filter, Value bias, bool isCausal) {
    setLengths(b);
    setScale(b);
    maskKeys(b, mask, filter);
    addBias(b, bias);
    if (isCausal)
      causal(b);
    form.expand(b);
    b.out(0, mergeHeads(b, form.output));
  }
};

Value sliceLast(NodeBuilder &b, Value x, int64_t begin, int64_t end) {
  Value from = b.makeInts({begin}), to = b.makeInts({end});
  if (b.stopped())
    return {};
  return b.make<SliceOp>(x, from, to, ArrayRef<int64_t>{b.rank(x) - 1}, ArrayRef<int64_t>{1});
}

/// Query, key and value in one weight; mask by number, one cache [2, B, H, P, D].
void upgradeAttention(NodeBuilder &b) {
  enum { Input, Weights, Bias, Mask, Past, ScoreBias, PastLength };
  Value x = b.in(Input), weights = b.in(Weights), bias = b.optional(Bias), past = b.optional(Past);
  int64_t heads = b.requiredInt("num_heads");
  float filter = b.floatAttr("mask_filter_value", -10000);
  bool causal = b.intAttr("unidirectional", 0) != 0;
  std::optional<SmallVector<int64_t>> sizes = b.intsAttr("qkv_hidden_sizes");
  if (b.intAttr("do_rotary", 0) != 0 || b.intAttr("past_present_share_buffer", 0) != 0)
    b.unsupported("attribute 'do_rotary' or 'past_present_share_buffer' is not 0");
  if (b.optional(PastLength))
    b.unsupported("input 'past_sequence_length'");
  if (b.stopped())
    return;
  if (b.rank(x) != 3 || b.rank(weights) != 2)
    return b.error("input and weights have ranks " + Twine(b.rank(x)) + " and " +
                   Twine(b.rank(weights)) + ", expected 3 and 2");
  int64_t width = staticDim(weights, 1);
  if (!sizes)
    sizes = SmallVector<int64_t>(3, width / 3);
  auto fits = [&](int64_t size) { return size >= 0 && size <= width; };
  if (ShapedType::isDynamic(width) || sizes->size() != 3 || !llvm::all_of(*sizes, fits) ||
      (*sizes)[0] + (*sizes)[1] != width - (*sizes)[2])
    return b.error("the weight has " + Twine(width) +
                   " columns, expected the sum of the hidden sizes of query, key and value");
  Value all = binary<MatMulOp>(b, x, weights);
  if (bias)
    all = binary<AddOp>(b, all, bias);
  ContribAttention node;
  Value parts[3];
  int64_t begin = 0;
  constexpr llvm::StringLiteral names[] = {"query", "key", "value"};
  for (int i = 0; i < 3; ++i) {
    parts[i] = splitHeads(b, sliceLast(b, all, begin, begin + (*sizes)[i]), heads, names[i]);
    begin += (*sizes)[i];
  }
  auto cache = [&](int64_t which) -> Value {
    if (!past || b.stopped())
      return {};
    Value index = scalarInt(b, which);
    return b.rank(past) == 5 && index ? b.make<GatherOp>(past, index, 0) : past;
  };
  node.form.query = parts[0];
  node.form.key = node.append(b, cache(0), parts[1]);
  node.form.value = node.append(b, cache(1), parts[2]);
  node.finish(b, b.optional(Mask), filter, b.optional(ScoreBias), causal);
  if (b.wants(1)) {
    SmallVector<Value> present{unsqueeze(b, node.form.key, {0}),
                               unsqueeze(b, node.form.value, {0})};
    b.out(1, b.stopped() ? Value() : b.make<ConcatOp>(present, 0));
  }
}

/// Query [B, I, H * D]; key and value the same, or already split: [B, H, J, D].
void upgradeMultiHeadAttention(NodeBuilder &b) {
  enum { Query, Key, Val, Bias, Mask, ScoreBias, PastKey, PastValue, PastLength, Indirection };
  Value q = b.in(Query), k = b.optional(Key), v = b.optional(Val), bias = b.optional(Bias);
  int64_t heads = b.requiredInt("num_heads");
  float filter = b.floatAttr("mask_filter_value", -10000);
  bool causal = b.intAttr("unidirectional", 0) != 0;
  if (b.optional(PastLength) || b.optional(Indirection))
    b.unsupported("input 'past_sequence_length' or 'cache_indirection'");
  b.cannotGive(3, "qk");
  if (b.stopped())
    return;
  if (!k || !v || b.rank(q) != 3 || (b.rank(k) != 3 && b.rank(k) != 4) || b.rank(v) != b.rank(k))
    return b.unsupported("query, key and value packed into one tensor");
  bool split = b.rank(k) == 4;
  if (bias) {
    int64_t width = staticDim(q, 2), own = staticDim(k, b.rank(k) - 1), total = staticDim(bias, 0);
    if (split || ShapedType::isDynamic(width) || ShapedType::isDynamic(own) ||
        ShapedType::isDynamic(total))
      return b.unsupported("a bias with keys that are split already or dims that are not static");
    q = binary<AddOp>(b, q, sliceLast(b, bias, 0, width));
    k = binary<AddOp>(b, k, sliceLast(b, bias, width, width + own));
    v = binary<AddOp>(b, v, sliceLast(b, bias, width + own, total));
  }
  ContribAttention node;
  node.form.query = splitHeads(b, q, heads, "query");
  node.form.key = node.append(b, b.optional(PastKey), split ? k : splitHeads(b, k, heads, "key"));
  node.form.value =
      node.append(b, b.optional(PastValue), split ? v : splitHeads(b, v, heads, "value"));
  node.finish(b, b.optional(Mask), filter, b.optional(ScoreBias), causal);
  b.out(1, node.form.key);
  b.out(2, node.form.value);
}

void upgradeRotaryEmbedding(NodeBuilder &b) {
  Value x = b.in(0), positions = b.in(1), cosine = b.in(2), sine = b.in(3);
  int64_t heads = b.intAttr("num_heads", 0), dim = b.intAttr("rotary_embedding_dim", 0);
  bool interleaved = b.intAttr("interleaved", 0) != 0;
  if (b.floatAttr("scale", 1) != 1 || b.intAttr("is_packed_batching", 0) != 0)
    b.unsupported("attribute 'scale' is not 1 or 'is_packed_batching' is not 0");
  if (b.stopped())
    return;
  int64_t rank = b.rank(x);
  if ((rank != 3 && rank != 4) || b.rank(cosine) != 2 || b.rank(sine) != 2)
    return b.error("input, cos_cache and sin_cache have ranks " + Twine(rank) + ", " +
                   Twine(b.rank(cosine)) + " and " + Twine(b.rank(sine)) +
                   ", expected 3 or 4, 2 and 2");
  int64_t half = staticDim(cosine, 1), width = staticDim(x, rank - 1);
  if (ShapedType::isDynamic(half) || ShapedType::isDynamic(width))
    return b.unsupported("the head size is not static");
  if (rank == 3) {
    if (heads == 0 && dim == 0)
      heads = half > 0 ? width / (2 * half) : 0;
    x = splitHeads(b, x, heads, "input");
  }
  // One number is the position of the first token of every row.
  if (b.rank(positions) == 1)
    positions = binary<AddOp>(b, positions, iota(b, scalarDimOf(b, x, 2), 1, 2));
  auto rows = [&](Value table) {
    return table && positions ? unsqueeze(b, b.make<GatherOp>(table, positions, 0), {2}) : Value();
  };
  Value turned = rotateHeads(b, transpose(b, x, {0, 2, 1, 3}), rows(cosine), rows(sine),
                             dim ? dim : 2 * half, interleaved);
  b.out(0, rank == 4 ? transpose(b, turned, {0, 2, 1, 3}) : reshapeTo(b, turned, {0, 0, -1}));
}
} // namespace

void addMicrosoftAttention(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
          {"com.microsoft.Attention", 1, "float",
           "no rotary embedding, no shared cache; masks of rank 2 and 3 and lengths",
           upgradeAttention},
          {"com.microsoft.MultiHeadAttention", 1, "float",
           "query, key and value are tensors of their own; no shared cache",
           upgradeMultiHeadAttention},
          {"com.microsoft.RotaryEmbedding", 1, "float", "scale must be 1", upgradeRotaryEmbedding},
      });
}

} // namespace rapt::onnx
