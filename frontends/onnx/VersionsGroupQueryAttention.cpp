//===- VersionsGroupQueryAttention.cpp - GroupQueryAttention of com.microsoft ----------------===//
//
// Source: onnxruntime, docs/ContribOperators.md, version 1 of the domain, and its CPU kernel.
//
// Every batch row has its own number of tokens, seqlens_k + 1; the new ones are the last S of them.
// The cache has one of two forms, and the result has the other dims accordingly:
//   growing   past [B, G, P, D], present [B, G, P + S, D]
//   fixed     past and present [B, G, P, D], in which P bounds the number of tokens
// The file says which by total_sequence_length, where that follows from dims, or else by the dims
// that it declares for present_key; without any of these the cache grows. In a growing cache, S > 1
// new tokens behind earlier ones are for one batch row or for rows of equal length, as in
// onnxruntime: then the causal offset is P, which keeps causality a matter of positions.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/ContribAttention.h"
#include "frontends/onnx/NormForm.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
enum Operand {
  Query,
  Key,
  Val,
  PastKey,
  PastValue,
  LastPosition,
  TotalLength,
  Cosine,
  Sine,
  Positions,
  ScoreBias,
  Sink,
  KeyScale,
  ValueScale,
  QueryNorm,
  KeyNorm
};

class GroupQueryAttention {
public:
  explicit GroupQueryAttention(NodeBuilder &b) : b(b) {}

  void upgrade() {
    readAttributes();
    takeTokens();
    normaliseHeads();
    takeLengths();
    rotate();
    if (b.stopped())
      return;
    form().query = transpose(b, query, {0, 2, 1, 3});
    form().key = cache.put(b, b.optional(PastKey), key);
    form().value = cache.put(b, b.optional(PastValue), value);
    b.out(1, form().key);
    b.out(2, form().value);
    node.setLengths(b);
    if (!tokens)
      tokens = node.keys;
    node.setScale(b);
    mask();
    takeBias();
    takeSink();
    form().expand(b);
    b.out(0, mergeHeads(b, form().output));
  }

private:
  AttentionForm &form() { return node.form; }

  void readAttributes() {
    heads = b.requiredInt("num_heads");
    kvHeads = b.requiredInt("kv_num_heads");
    constexpr int64_t most = 1 << 20; // as an int64 it would overflow with the head size
    if (!b.stopped() && (heads < 1 || kvHeads < 1 || heads > most || heads % kvHeads != 0))
      b.error("attributes 'num_heads' and 'kv_num_heads' are " + Twine(heads) + " and " +
              Twine(kvHeads) + ", expected a positive number and one that divides it");
    isCausal = b.flagAttr("causal", true);
    window = b.intAttr("local_window_size", -1);
    if (window < -1 || window == 0 || (window > 0 && !isCausal))
      b.error("attribute 'local_window_size' is " + Twine(window) + ", expected " +
              (isCausal ? "-1 or at least 1" : "-1 where 'causal' is 0"));
    form().softcap = b.finiteAttr("softcap", 0);
    if (b.flagAttr("sliding_window_cache", false))
      b.unsupported("attribute 'sliding_window_cache' is not 0");
    for (StringRef name : {"k_quant_type", "v_quant_type"})
      if (b.stringAttr(name, "NONE") != "NONE")
        b.unsupported("attribute '" + name + "' is not NONE");
    b.ignoreAttr("kv_cache_bit_width"); // says nothing without quantisation
    b.ignoreAttr("qk_output");          // says what output 3 is
    if (b.optional(KeyScale) || b.optional(ValueScale))
      b.unsupported("input 'k_scale' or 'v_scale'");
    b.cannotGive(3, "output_qk");
  }

  void takeTokens() {
    Value q = b.in(Query), k = b.optional(Key), v = b.optional(Val);
    if (b.stopped())
      return;
    if (static_cast<bool>(k) != static_cast<bool>(v))
      return b.error("has one of key and value, expected both or none");
    for (auto [name, x] : {std::pair("query", q), {"key", k}, {"value", v}})
      if (x && b.rank(x) != 3)
        b.error("input '" + Twine(name) + "' has rank " + Twine(b.rank(x)) + ", expected 3");
    if (b.stopped())
      return;
    if (!k) {
      int64_t width = staticDim(q, 2), parts = heads + 2 * kvHeads;
      if (ShapedType::isDynamic(width))
        return b.unsupported("the last dim of packed query, key and value is not static");
      if (width % parts != 0)
        return b.error("last dim of packed query, key and value is " + Twine(width) +
                       ", expected a multiple of " + Twine(parts) + " heads");
      int64_t dim = width / parts, first = heads * dim, second = first + kvHeads * dim;
      k = slice(b, q, 2, first, second);
      v = slice(b, q, 2, second, width);
      q = slice(b, q, 2, 0, first);
    }
    query = tokensOf(b, q, heads, "query");
    key = tokensOf(b, k, kvHeads, "key");
    value = tokensOf(b, v, kvHeads, "value");
  }

  void normaliseHeads() {
    float epsilon = b.finiteAttr("qk_norm_epsilon", 1e-6f);
    Value queryNorm = b.optional(QueryNorm), keyNorm = b.optional(KeyNorm);
    if (static_cast<bool>(queryNorm) != static_cast<bool>(keyNorm))
      return b.error("has one of q_norm_weight and k_norm_weight, expected both or none");
    if (!queryNorm)
      return;
    for (auto [x, scale] : {std::pair(&query, queryNorm), {&key, keyNorm}})
      *x = rootMeanSquareNorm(b, *x, scale, 3, epsilon, wideType(b, *x), b.elementType(*x));
  }

  /// What kind of cache there is, and where the new tokens begin in it.
  void takeLengths() {
    Value last = b.in(LastPosition), total = b.in(TotalLength), past = b.optional(PastKey);
    Value pastValue = b.optional(PastValue);
    if (static_cast<bool>(past) != static_cast<bool>(pastValue))
      b.error("has one of past_key and past_value, expected both or none");
    if (b.stopped())
      return;
    if (past && (b.rank(past) != 4 || b.rank(pastValue) != 4))
      return b.error("past_key and past_value have ranks " + Twine(b.rank(past)) + " and " +
                     Twine(b.rank(pastValue)) + ", expected 4");
    lengths = binary<AddOp>(b, toColumn(b, last), scalarInt(b, 1));
    Value count = scalarDimOf(b, query, 1);
    if (!past)
      return;
    node.past = scalarDimOf(b, past, 2);
    cache.grows = !isFixed(past, total);
    cache.exact = cache.grows && staticDim(query, 0) == 1;
    if (cache.exact)
      return;
    // Where the total follows from dims it must be P + S: the mask, which is so long, says so.
    if (cache.grows && b.expression(total).isKnown())
      tokens = castTo(b, reshapeTo(b, total, {}), b.ops().getI64Type());
    // The first tokens of a row that is padded to the right count as no earlier ones.
    Value before = binary<SubOp>(b, lengths, count), zero = scalarInt(b, 0);
    start = b.stopped() ? Value() : b.make<MaxOp>(SmallVector<Value>{before, zero});
    cache.offset = squeeze(b, start, {2, 3});
  }

  bool isFixed(Value past, Value total) {
    SymbolicExpr rows = b.dim(past, 2), declared = b.declaredDim(1, 2);
    SymbolicExpr tokens = b.expression(total);
    if (tokens.isKnown() && SymbolicExpr::provablyAtMost(tokens, rows))
      return true;
    if (tokens.isKnown() && SymbolicExpr::provablyAtMost(rows + SymbolicExpr(1), tokens))
      return false;
    return declared == rows;
  }

  void rotate() {
    Value cosine = b.optional(Cosine), sine = b.optional(Sine), positions = b.optional(Positions);
    bool interleaved = b.flagAttr("rotary_interleaved", false);
    if (!b.flagAttr("do_rotary", false) || b.stopped())
      return;
    if (!cosine || !sine)
      return b.error("attribute 'do_rotary' is not 0, expected inputs 'cos_cache' and 'sin_cache'");
    if (b.rank(cosine) != 2 || b.rank(sine) != 2)
      return b.error("cos_cache and sin_cache have ranks " + Twine(b.rank(cosine)) + " and " +
                     Twine(b.rank(sine)) + ", expected 2");
    int64_t half = staticDim(cosine, 1), width = staticDim(query, 3);
    if (ShapedType::isDynamic(half) || ShapedType::isDynamic(width))
      return b.unsupported("the head size is not static");
    if (half < 1 || 2 * half > width || staticDim(sine, 1) != half)
      return b.error("cos_cache and sin_cache have " + Twine(half) + " and " +
                     Twine(staticDim(sine, 1)) + " columns, expected the same number up to " +
                     Twine(width / 2));
    Value count = scalarDimOf(b, query, 1);
    bool isPrompt = !b.optional(PastKey);
    if (positions && b.rank(positions) != 2)
      return b.error("input 'position_ids' has rank " + Twine(b.rank(positions)) + ", expected 2");
    // In a prompt only the first position counts.
    Value first;
    if (positions && isPrompt)
      first = squeeze(b, slice(b, slice(b, positions, 0, 0, 1), 1, 0, 1), {0, 1});
    if (isPrompt)
      positions = iota(b, count, 1, 2);
    if (first)
      positions = binary<AddOp>(b, positions, castTo(b, first, b.ops().getI64Type()));
    if (!positions)
      positions = binary<AddOp>(b, iota(b, count, 1, 2), cache.exact ? node.past : cache.offset);
    auto rows = [&](Value table) -> Value {
      return b.stopped() ? Value() : unsqueeze(b, b.make<GatherOp>(table, positions, 0), {2});
    };
    Value c = rows(cosine), s = rows(sine);
    query = rotateHeads(b, query, c, s, 2 * half, interleaved);
    key = rotateHeads(b, key, c, s, 2 * half, interleaved);
  }

  void mask() {
    if (b.stopped())
      return;
    int64_t left = window > 0 ? window - 1 : -1;
    bool hasPast = static_cast<bool>(b.optional(PastKey));
    if (isCausal && cache.exact)
      return see(windowMask(b, node.queries, node.keys, node.past, left, 0));
    see(binary<LessOp>(b, iota(b, tokens, 3, 4), lengths));
    if (!isCausal)
      return;
    if (!hasPast)
      return see(windowMask(b, node.queries, node.keys, node.past, left, 0));
    if (!cache.grows)
      return see(windowMask(b, node.queries, node.keys, start, left, 0));
    // One new token sees all that the padding leaves; more than one begin at P in every row.
    bool several = staticDim(form().query, 2) > 1;
    if (staticDim(form().query, 2) != 1)
      see(windowMask(b, node.queries, node.keys, node.past, several ? left : -1, 0));
    if (left >= 0 && !several)
      see(windowMask(b, node.queries, node.keys, start, left, -1));
  }

  void see(Value condition) { form().seen = bothSeen(b, form().seen, condition); }

  /// attention_bias [B or 1, H or 1, S, tokens]; rows of a fixed cache behind the tokens get zeros.
  void takeBias() {
    Value bias = b.optional(ScoreBias);
    if (!bias || b.stopped())
      return;
    if (b.rank(bias) != 4)
      return b.error("input 'attention_bias' has rank " + Twine(b.rank(bias)) + ", expected 4");
    if (b.optional(PastKey) && !cache.grows) {
      Value missing = binary<SubOp>(b, dimOf(b, form().key, 2), dimOf(b, bias, 3));
      bias = pad(bias, joinDims(b, {b.makeInts({0}), missing}), 0);
    }
    form().bias = bias;
  }

  /// `x` with its last dim padded.
  Value pad(Value x, Value pads, double number) {
    Value filler = b.makeScalar(b.elementType(x), number);
    if (b.stopped())
      return {};
    return b.make<PadOp>(x, pads, filler, b.ops().getDenseI64ArrayAttr({b.rank(x) - 1}),
                         b.ops().getStringAttr("constant"));
  }

  /// A number in the sum of the softmax that belongs to no key: e to the power of its head's sink.
  void takeSink() {
    bool isSmooth = b.intAttr("smooth_softmax", 0) > 0;
    Value sink = b.optional(Sink);
    if (b.stopped() || (!isSmooth && !sink))
      return;
    Type type = b.elementType(form().query);
    if (!sink) {
      form().sink = b.makeScalar(type, 0);
      return;
    }
    if (b.rank(sink) != 1)
      return b.error("input 'head_sink' has rank " + Twine(b.rank(sink)) + ", expected 1");
    form().sink = castTo(b, alongAxis(b, sink, 1, 4), type);
  }

  NodeBuilder &b;
  ContribAttention node;
  CacheUpdate cache;
  int64_t heads = 0, kvHeads = 0, window = -1;
  bool isCausal = true;
  Value query, key, value; // [B, S, heads, D]
  Value lengths;           // tokens of each batch row, [B, 1, 1, 1]
  Value tokens;            // number of keys, a scalar
  Value start;             // position of its first new token, the same, if the cache is not exact
};

void upgradeGroupQueryAttention(NodeBuilder &b) { GroupQueryAttention(b).upgrade(); }
} // namespace

void addGroupQueryAttention(std::vector<Operator> &table) {
  table.insert(table.end(),
               {
                   {"com.microsoft.GroupQueryAttention", 1, "float",
                    "expanded, then fused; no quantised or sliding cache, no `output_qk`",
                    upgradeGroupQueryAttention},
               });
}

} // namespace rapt::onnx
