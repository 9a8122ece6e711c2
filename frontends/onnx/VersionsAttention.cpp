//===- VersionsAttention.cpp - Attention and RotaryEmbedding ---------------------------------===//
//
// Attention of opset 23 and later is written out as the products, masks and softmax that its
// meaning consists of (AttentionForm.h): the form that FuseAttention recognises, whoever wrote it.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/AttentionForm.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Versions.h"

#include <limits>

using namespace mlir;

namespace rapt::onnx {

namespace {
enum Operand { Q, K, V, Mask, PastKey, PastValue, NonPadded };

/// Query, key and value on four dims, and the number of keys before the first query's own.
struct AttentionNode {
  AttentionForm form;
  bool merged = false; ///< operands have three dims
  Value keys, queries; ///< scalars
  Value nonPadded;     ///< keys of each batch that are no padding; null without

  bool take(NodeBuilder &b) {
    Value q = b.in(Q), k = b.in(K), v = b.in(V);
    if (b.stopped())
      return false;
    int64_t rank = b.rank(q);
    if ((rank != 3 && rank != 4) || b.rank(k) != rank || b.rank(v) != rank)
      b.error("Q, K and V have ranks " + Twine(rank) + ", " + Twine(b.rank(k)) + " and " +
              Twine(b.rank(v)) + ", expected 3 or 4 for all");
    for (Value value : {q, k, v})
      expectFloat(b, value, "Q, K and V");
    merged = rank == 3;
    if (!b.stopped() && SymbolicExpr::provablyDifferent(b.dim(k, rank - 2), b.dim(v, rank - 2)))
      b.error("K is " + typeText(b.analysis(), k) + " and V " + typeText(b.analysis(), v) +
              ", expected equal numbers of keys and values (dim " + Twine(rank - 2) + ")");
    int64_t heads = merged ? b.requiredInt("q_num_heads") : b.intAttr("q_num_heads", 0);
    int64_t kvHeads = merged ? b.requiredInt("kv_num_heads") : b.intAttr("kv_num_heads", 0);
    if (merged) {
      q = splitHeads(b, q, heads, "Q");
      k = splitHeads(b, k, kvHeads, "K");
      v = splitHeads(b, v, kvHeads, "V");
    }
    for (auto [name, count, value] :
         {std::tuple("q_num_heads", heads, q), {"kv_num_heads", kvHeads, k}})
      if (!b.stopped() && b.has(name) && !b.dim(value, 1).is(count) && b.dim(value, 1).constant())
        b.error("attribute '" + Twine(name) + "' is " + Twine(count) + ", expected " +
                b.dim(value, 1).str() + ", the dim of the input");
    if (!b.stopped() && b.elementType(q) != b.elementType(k))
      b.error("Q and K have element types " + typeName(b.elementType(q)) + " and " +
              typeName(b.elementType(k)) + ", expected the same");
    form.query = q;
    form.key = withPast(b, PastKey, k, "past_key");
    form.value = withPast(b, PastValue, v, "past_value");
    if (static_cast<bool>(b.optional(PastKey)) != static_cast<bool>(b.optional(PastValue)))
      b.error("has one of past_key and past_value, expected both or none");
    if (b.opset() >= 24)
      nonPadded = b.optional(NonPadded);
    if (b.optional(PastKey) && nonPadded)
      b.error("has both past_key and nonpad_kv_seqlen, expected at most one");
    queries = scalarDimOf(b, form.query, 2);
    keys = scalarDimOf(b, form.key, 2);
    return !b.stopped();
  }

  static Value withPast(NodeBuilder &b, size_t operand, Value now, StringRef name) {
    Value past = b.optional(operand);
    if (b.stopped() || !past)
      return now;
    if (b.rank(past) != 4) {
      b.error("input '" + name + "' has rank " + Twine(b.rank(past)) + ", expected 4");
      return {};
    }
    return b.make<ConcatOp>(SmallVector<Value>{past, now}, 2);
  }

  /// attn_mask, padded to the number of keys since opset 24.
  void takeMask(NodeBuilder &b) {
    Value mask = b.optional(Mask);
    if (!mask || b.stopped())
      return;
    int64_t rank = b.rank(mask);
    bool isBool = b.elementType(mask).isInteger(1);
    if (rank < 1 || rank > 4)
      return b.error("input 'attn_mask' has rank " + Twine(rank) + ", expected 1 to 4");
    if (!isBool && !isa<FloatType>(b.elementType(mask)))
      return b.error("input 'attn_mask' has element type " + typeName(b.elementType(mask)) +
                     ", expected bool or a float type");
    auto lengthOf = [](Value value, int64_t dim) {
      return cast<RankedTensorType>(value.getType()).getDimSize(dim);
    };
    int64_t length = lengthOf(mask, rank - 1), wanted = lengthOf(form.key, 2);
    bool isStatic = !ShapedType::isDynamic(length) && !ShapedType::isDynamic(wanted);
    // Without a cache outside, a dynamic mask is as long as the keys: nothing says otherwise.
    if (b.opset() >= 24 && (isStatic ? length < wanted : static_cast<bool>(nonPadded))) {
      Value missing = binary<SubOp>(b, dimOf(b, form.key, 2), dimOf(b, mask, rank - 1));
      Value pads = joinDims(b, {b.makeInts({0}), missing});
      Value excluded =
          b.makeScalar(b.elementType(mask), isBool ? 0 : -std::numeric_limits<double>::infinity());
      if (!b.stopped())
        mask = b.make<PadOp>(mask, pads, excluded, b.ops().getDenseI64ArrayAttr({rank - 1}),
                             b.ops().getStringAttr("constant"));
    }
    if (b.stopped())
      return;
    SymbolicExpr scores[] = {b.dim(form.query, 0), b.dim(form.query, 1), b.dim(form.query, 2),
                             b.dim(form.key, 2)};
    for (int64_t i = 0; i < rank; ++i) {
      const SymbolicExpr &dim = b.dim(mask, i), &wanted = scores[4 - rank + i];
      if (!dim.is(1) && SymbolicExpr::provablyDifferent(dim, wanted))
        return b.error("dim " + Twine(i) + " of 'attn_mask' is " + dim.str() + ", expected 1 or " +
                       wanted.str());
    }
    if (isBool)
      form.seen = mask;
    else
      form.bias = castTo(b, mask, b.elementType(form.query));
  }

  /// Causality, window and padding.
  void takeStructure(NodeBuilder &b) {
    bool causal = b.flagAttr("is_causal", false);
    int64_t left = -1, right = -1;
    if (b.opset() >= 25) {
      left = b.intAttr("left_window_size", -1);
      right = b.intAttr("right_window_size", -1);
    }
    for (int64_t size : {left, right})
      if (size < -1)
        b.error("window size is " + Twine(size) + ", expected -1 or more");
    if (causal)
      right = right < 0 ? 0 : std::min<int64_t>(right, 0);
    Value lengths = nonPadded, offset = scalarInt(b, 0);
    if (lengths) {
      lengths = castTo(b, reshapeTo(b, lengths, {-1, 1, 1, 1}), b.ops().getI64Type());
      form.seen = bothSeen(b, form.seen, binary<LessOp>(b, iota(b, keys, 3, 4), lengths));
      offset = binary<SubOp>(b, lengths, queries);
    } else if (Value past = b.optional(PastKey)) {
      offset = scalarDimOf(b, past, 2);
    }
    if (left >= 0 || right >= 0)
      form.seen = bothSeen(b, form.seen, windowMask(b, queries, keys, offset, left, right));
  }
};

void upgradeAttention(NodeBuilder &b) {
  AttentionNode node;
  for (StringRef name : {"q_num_heads", "kv_num_heads", "scale", "is_causal", "softcap",
                         "left_window_size", "right_window_size", "softmax_precision"})
    if (b.opset() >= 25 || !name.contains("window"))
      b.ignoreAttr(name);
  if (!node.take(b))
    return;
  AttentionForm &form = node.form;
  form.scale = b.finiteAttr("scale", 1, std::nullopt);
  form.scaleByHeadDim = !b.has("scale");
  form.softcap = b.finiteAttr("softcap", 0);
  if (int64_t precision = b.intAttr("softmax_precision", 0)) {
    Type type;
    if (precision > 0 && precision <= maxElementType)
      type = elementTypeFor(b.context(), static_cast<ElementType>(precision));
    if (!isa_and_nonnull<FloatType>(type))
      return b.error("attribute 'softmax_precision' is " + Twine(precision) +
                     ", expected a float element type");
    form.softmaxType = type;
  }
  int64_t mode = b.intAttr("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    return b.error("attribute 'qk_matmul_output_mode' is " + Twine(mode) + ", expected 0 to 3");
  node.takeMask(b);
  node.takeStructure(b);
  form.expand(b);
  if (b.stopped())
    return;
  b.out(0, node.merged ? mergeHeads(b, form.output) : form.output);
  b.out(1, form.key);
  b.out(2, form.value);
  if (b.wants(3))
    b.out(3, ArrayRef<Value>{form.scores, form.capped, form.biased, form.probabilities}[mode]);
}

/// cos and sin as [B, S, 1, dim / 2]: gathered by position, or given per token.
Value rotation(NodeBuilder &b, size_t operand, Value positions, int64_t half, StringRef name) {
  Value cache = b.in(operand);
  if (b.stopped())
    return {};
  int64_t rank = positions ? 2 : 3, own = b.rank(cache);
  if (own != rank) {
    b.error("input '" + name + "' has rank " + Twine(own) + ", expected " + Twine(rank));
    return {};
  }
  int64_t width = cast<RankedTensorType>(cache.getType()).getDimSize(rank - 1);
  if (!ShapedType::isDynamic(width) && width != half) {
    b.error("last dim of '" + name + "' is " + Twine(width) + ", expected " + Twine(half));
    return {};
  }
  return unsqueeze(b, positions ? b.make<GatherOp>(cache, positions, 0) : cache, {2});
}

void upgradeRotaryEmbedding(NodeBuilder &b) {
  Value x = b.in(0), positions = b.optional(3);
  int64_t rank = b.rank(x), heads = b.intAttr("num_heads", 0);
  int64_t rotated = b.intAttr("rotary_embedding_dim", 0);
  bool interleaved = b.flagAttr("interleaved", false);
  if (b.stopped())
    return;
  if (rank != 3 && rank != 4)
    return b.error("input has rank " + Twine(rank) + ", expected 3 or 4");
  expectFloat(b, x, "X");
  // [B, S, heads, D]
  if (rank == 4)
    x = transpose(b, x, {0, 2, 1, 3});
  else
    x = transpose(b, splitHeads(b, x, heads, "X"), {0, 2, 1, 3});
  if (b.stopped())
    return;
  int64_t headDim = cast<RankedTensorType>(x.getType()).getDimSize(3);
  if (ShapedType::isDynamic(headDim) && rotated == 0)
    return b.unsupported("the head size is not static");
  int64_t dim = rotated ? rotated : headDim, half = dim / 2;
  if (dim < 2 || dim % 2 || (!ShapedType::isDynamic(headDim) && dim > headDim))
    return b.error("rotates " + Twine(dim) + " numbers of a head, expected an even number up to " +
                   Twine(headDim));
  Value cosine = rotation(b, 1, positions, half, "cos_cache");
  Value sine = rotation(b, 2, positions, half, "sin_cache");
  Value result = rotateHeads(b, x, cosine, sine, dim, interleaved);
  b.out(0, rank == 4 ? transpose(b, result, {0, 2, 1, 3}) : reshapeTo(b, result, {0, 0, -1}));
}
} // namespace

void addAttention(std::vector<Operator> &table) {
  table.insert(table.end(),
               {
                   {"Attention", 23, "float",
                    "expanded, then fused; output `qk_matmul_output` is computed beside it",
                    upgradeAttention},
                   {"RotaryEmbedding", 23, "float", "expanded", upgradeRotaryEmbedding},
               });
}

} // namespace rapt::onnx
