//===- VersionsMicrosoftAttention.cpp - Attention operators of com.microsoft -----------------===//
//
// Source: onnxruntime, docs/ContribOperators.md, version 1 of the domain. All of them expand to
// AttentionForm. A row in which a mask excludes every key is what onnxruntime's CPU kernels make of
// it: masks by number add `mask_filter_value`, causality excludes.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/ContribAttention.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// The new keys and values are behind those of `past`, a cache; with `length` (one number) it has
/// a fixed size and holds so many.
CacheUpdate cacheUpdate(NodeBuilder &b, ContribAttention &node, Value past, Value length) {
  CacheUpdate cache;
  cache.exact = !length;
  cache.grows = !length;
  cache.keepsRest = true;
  node.isFixed = static_cast<bool>(length);
  if (past && length)
    node.past = cache.offset = castTo(b, reshapeTo(b, length, {}), b.ops().getI64Type());
  else if (past && !b.stopped())
    node.past = scalarDimOf(b, past, 2);
  return cache;
}

/// Keys of a cache of fixed size that it does not hold yet are not seen.
void maskRest(NodeBuilder &b, ContribAttention &node, Value query) {
  Value count = binary<AddOp>(b, node.past, scalarDimOf(b, query, 1));
  Value keys = scalarDimOf(b, node.form.key, 2);
  node.form.seen = binary<LessOp>(b, iota(b, keys, 3, 4), count);
}

/// Query, key and value in one weight; mask by number, one cache [2, B, H, P, D].
void upgradeAttention(NodeBuilder &b) {
  enum { Input, Weights, Bias, Mask, Past, ScoreBias, PastLength };
  Value x = b.in(Input), weights = b.in(Weights), bias = b.optional(Bias), past = b.optional(Past);
  int64_t heads = b.requiredInt("num_heads");
  float filter = b.floatAttr("mask_filter_value", -10000);
  bool causal = b.flagAttr("unidirectional", false);
  bool isFixed = b.flagAttr("past_present_share_buffer", false);
  std::optional<SmallVector<int64_t>> sizes = b.intsAttr("qkv_hidden_sizes");
  Value length = b.optional(PastLength);
  b.ignoreAttr("rotary_embedding_dim"); // says nothing without do_rotary
  if (b.flagAttr("do_rotary", false))
    b.unsupported("attribute 'do_rotary' is not 0");
  if (isFixed && (!past || !length))
    b.error("attribute 'past_present_share_buffer' is not 0, expected inputs 'past' and "
            "'past_sequence_length'");
  if (!isFixed)
    length = {};
  if (length && b.optional(Mask))
    b.unsupported("input 'mask_index' with attribute 'past_present_share_buffer'");
  if (b.stopped())
    return;
  if (b.rank(x) != 3 || b.rank(weights) != 2)
    return b.error("input and weights have ranks " + Twine(b.rank(x)) + " and " +
                   Twine(b.rank(weights)) + ", expected 3 and 2");
  if (past && b.rank(past) != 5)
    return b.error("input 'past' has rank " + Twine(b.rank(past)) + ", expected 5");
  int64_t width = staticDim(weights, 1);
  if (!sizes)
    sizes = SmallVector<int64_t>(3, width / 3);
  auto fits = [&](int64_t size) { return size >= 0 && size <= width; };
  if (ShapedType::isDynamic(width) || sizes->size() != 3 || !llvm::all_of(*sizes, fits) ||
      (*sizes)[0] + (*sizes)[1] != width - (*sizes)[2])
    return b.error("the weight has " + Twine(width) +
                   " columns, expected the sum of the hidden sizes of query, key and value");
  for (int64_t size : *sizes)
    if (heads > 0 && size % heads != 0)
      return b.error("the weight has " + Twine(width) + " columns, " + Twine(size) +
                     " of them for query, key or value, expected a multiple of " + Twine(heads) +
                     " heads");
  Value all = binary<MatMulOp>(b, x, weights);
  if (bias)
    all = binary<AddOp>(b, all, bias);
  ContribAttention node;
  Value parts[3], caches[2];
  int64_t begin = 0;
  constexpr llvm::StringLiteral names[] = {"query", "key", "value"};
  for (int i = 0; i < 3; ++i) {
    parts[i] = tokensOf(b, slice(b, all, 2, begin, begin + (*sizes)[i]), heads, names[i]);
    begin += (*sizes)[i];
  }
  for (int i = 0; i < 2; ++i) {
    Value index = scalarInt(b, i);
    if (past && !b.stopped())
      caches[i] = b.make<GatherOp>(past, index, 0);
  }
  CacheUpdate cache = cacheUpdate(b, node, caches[0], length);
  node.form.query = transpose(b, parts[0], {0, 2, 1, 3});
  node.form.key = cache.put(b, caches[0], parts[1]);
  node.form.value = cache.put(b, caches[1], parts[2]);
  if (length)
    maskRest(b, node, parts[0]);
  node.finish(b, b.optional(Mask), filter, b.optional(ScoreBias), causal);
  if (b.wants(1)) {
    SmallVector<Value> present{unsqueeze(b, node.form.key, {0}),
                               unsqueeze(b, node.form.value, {0})};
    b.out(1, b.stopped() ? Value() : b.make<ConcatOp>(present, 0));
  }
}

/// Query, key and value of MultiHeadAttention as [B, S, H, D]; `split` are [B, H, S, D] already.
struct MultiHeadTokens {
  Value query, key, value;
  bool split = false;

  void take(NodeBuilder &b, Value q, Value k, Value v, int64_t heads) {
    int64_t rank = b.rank(q), keyRank = b.rank(k);
    if (rank == 5 && !k && !v) { // [B, S, H, 3, D]
      if (staticDim(q, 3) != 3)
        return b.error("dim 3 of packed query, key and value is " + Twine(staticDim(q, 3)) +
                       ", expected 3");
      checkHeads(b, q, heads);
      query = pick(b, q, 0);
      key = pick(b, q, 1);
      value = pick(b, q, 2);
      return;
    }
    if (rank != 3)
      return b.error("input 'query' has rank " + Twine(rank) +
                     ", expected 3, or 5 without 'key' and 'value'");
    query = tokensOf(b, q, heads, "query");
    if (keyRank == 5 && !v) { // [B, L, H, 2, D]
      if (staticDim(k, 3) != 2)
        return b.error("dim 3 of packed key and value is " + Twine(staticDim(k, 3)) +
                       ", expected 2");
      checkHeads(b, k, heads);
      key = pick(b, k, 0);
      value = pick(b, k, 1);
      return;
    }
    if (!k || !v || b.rank(v) != keyRank || (keyRank != 3 && keyRank != 4))
      return b.error("key and value have ranks " + Twine(keyRank) + " and " + Twine(b.rank(v)) +
                     ", expected 3 or 4 for both, or 5 for key without value");
    split = keyRank == 4;
    key = split ? k : tokensOf(b, k, heads, "key");
    value = split ? v : tokensOf(b, v, heads, "value");
  }

  /// Adds the parts of a bias [D of query + D of key + D of value, all heads]. Keys that are split
  /// already have theirs.
  void addBias(NodeBuilder &b, Value bias) {
    if (!bias || b.stopped())
      return;
    if (b.rank(bias) != 1)
      return b.error("input 'bias' has rank " + Twine(b.rank(bias)) + ", expected 1");
    int64_t begin = 0, total = staticDim(bias, 0);
    for (Value *x : {&query, &key, &value}) {
      int64_t heads = staticDim(*x, 2), dim = staticDim(*x, 3), width = heads * dim;
      if (ShapedType::isDynamic(total) || ShapedType::isDynamic(heads) ||
          ShapedType::isDynamic(dim))
        return b.unsupported("a bias with dims that are not static");
      if (begin + width > total)
        return b.error("input 'bias' has " + Twine(total) +
                       " elements, expected one for each column of query, key and value");
      Value own = reshapeTo(b, slice(b, bias, 0, begin, begin + width), {heads, dim});
      *x = binary<AddOp>(b, *x, own);
      begin += width;
      if (split)
        return;
    }
  }

private:
  static void checkHeads(NodeBuilder &b, Value packed, int64_t heads) {
    int64_t own = staticDim(packed, 2);
    if (ShapedType::isDynamic(own))
      b.unsupported("the number of heads is not static");
    if (own != heads)
      b.error("dim 2 of a packed input is " + Twine(own) + ", expected " + Twine(heads) + " heads");
  }
  static Value pick(NodeBuilder &b, Value packed, int64_t which) {
    Value index = scalarInt(b, which);
    return b.stopped() ? Value() : b.make<GatherOp>(packed, index, 3);
  }
};

/// Query [B, I, H * D]; key and value the same, or already split: [B, H, J, D], or packed.
void upgradeMultiHeadAttention(NodeBuilder &b) {
  enum { Query, Key, Val, Bias, Mask, ScoreBias, PastKey, PastValue, PastLength, Indirection };
  Value q = b.in(Query), k = b.optional(Key), v = b.optional(Val), bias = b.optional(Bias);
  Value pastKey = b.optional(PastKey), pastValue = b.optional(PastValue);
  Value length = pastKey ? b.optional(PastLength) : Value();
  int64_t heads = b.requiredInt("num_heads");
  float filter = b.floatAttr("mask_filter_value", -10000);
  bool causal = b.flagAttr("unidirectional", false);
  if (b.optional(Indirection))
    b.unsupported("input 'cache_indirection'");
  if (length && b.optional(Mask))
    b.unsupported("input 'key_padding_mask' with 'past_sequence_length'");
  if (static_cast<bool>(pastKey) != static_cast<bool>(pastValue))
    b.error("has one of past_key and past_value, expected both or none");
  b.optional(PastLength);
  b.cannotGive(3, "qk");
  if (b.stopped())
    return;
  if (pastKey && (b.rank(pastKey) != 4 || b.rank(pastValue) != 4))
    return b.error("past_key and past_value have ranks " + Twine(b.rank(pastKey)) + " and " +
                   Twine(b.rank(pastValue)) + ", expected 4");
  MultiHeadTokens tokens;
  tokens.take(b, q, k, v, heads);
  tokens.addBias(b, bias);
  if (tokens.split && pastKey)
    b.error("has past_key and a key of rank 4, expected one of them");
  if (b.stopped())
    return;
  ContribAttention node;
  CacheUpdate cache = cacheUpdate(b, node, pastKey, length);
  node.form.query = transpose(b, tokens.query, {0, 2, 1, 3});
  node.form.key = tokens.split ? tokens.key : cache.put(b, pastKey, tokens.key);
  node.form.value = tokens.split ? tokens.value : cache.put(b, pastValue, tokens.value);
  if (length)
    maskRest(b, node, tokens.query);
  node.finish(b, b.optional(Mask), filter, b.optional(ScoreBias), causal);
  b.out(1, node.form.key);
  b.out(2, node.form.value);
}

void upgradeRotaryEmbedding(NodeBuilder &b) {
  Value x = b.in(0), positions = b.in(1), cosine = b.in(2), sine = b.in(3);
  int64_t heads = b.intAttr("num_heads", 0), dim = b.intAttr("rotary_embedding_dim", 0);
  bool interleaved = b.flagAttr("interleaved", false);
  if (b.floatAttr("scale", 1) != 1 || b.flagAttr("is_packed_batching", false))
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
  if (dim != 0 && dim != 2 * half)
    return b.error("attribute 'rotary_embedding_dim' is " + Twine(dim) + ", expected " +
                   Twine(2 * half) + ", twice what a row of cos_cache has");
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
  table.insert(table.end(), {
                                {"com.microsoft.Attention", 1, "float",
                                 "no rotary embedding; no masks of rank 4", upgradeAttention},
                                {"com.microsoft.MultiHeadAttention", 1, "float",
                                 "no beam indirection, no output `qk`", upgradeMultiHeadAttention},
                                {"com.microsoft.RotaryEmbedding", 1, "float", "scale must be 1",
                                 upgradeRotaryEmbedding},
                            });
}

} // namespace rapt::onnx
