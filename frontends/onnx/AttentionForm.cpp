//===- AttentionForm.cpp - The unfused form that attention operators expand to ---------------===//

#include "frontends/onnx/AttentionForm.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace rapt::onnx {

Value reshapeTo(NodeBuilder &b, Value x, ArrayRef<int64_t> dims) {
  Value shape = b.makeInts(dims);
  return x && shape ? b.make<ReshapeOp>(x, shape, /*allowzero=*/false) : Value();
}

Value splitHeads(NodeBuilder &b, Value x, int64_t heads, StringRef name) {
  if (b.stopped())
    return {};
  int64_t width = cast<RankedTensorType>(x.getType()).getDimSize(2);
  if (heads < 1)
    b.error("number of heads of '" + name + "' is " + Twine(heads) + ", expected at least 1");
  else if (!ShapedType::isDynamic(width) && width % heads != 0)
    b.error("last dim of '" + name + "' is " + Twine(width) + ", expected a multiple of " +
            Twine(heads) + " heads");
  if (b.stopped())
    return {};
  return transpose(
      b, reshapeTo(b, x, {0, 0, heads, ShapedType::isDynamic(width) ? -1 : width / heads}),
      {0, 2, 1, 3});
}

Value mergeHeads(NodeBuilder &b, Value x) {
  return reshapeTo(b, transpose(b, x, {0, 2, 1, 3}), {0, 0, -1});
}

Value bothSeen(NodeBuilder &b, Value x, Value y) {
  return x && y ? binary<AndOp>(b, x, y) : x ? x : y;
}

Value windowMask(NodeBuilder &b, Value queries, Value keys, Value offset, int64_t left,
                 int64_t right) {
  left = clampDistance(left);
  right = clampDistance(right);
  Value position = binary<AddOp>(b, iota(b, queries, 0, 2), offset);
  Value key = iota(b, keys, 1, 2), seen;
  if (right >= 0)
    seen = binary<LessOrEqualOp>(
        b, key, right == 0 ? position : binary<AddOp>(b, position, scalarInt(b, right)));
  if (left >= 0)
    seen = bothSeen(
        b, seen, binary<GreaterOrEqualOp>(b, key, binary<SubOp>(b, position, scalarInt(b, left))));
  return seen;
}

/// x[.., begin : end : step] of the last of four dims.
static Value part(NodeBuilder &b, Value x, int64_t begin, int64_t end, int64_t step = 1) {
  Value from = b.makeInts({begin}), to = b.makeInts({end});
  return b.stopped() ? Value()
                     : b.make<SliceOp>(x, from, to, ArrayRef<int64_t>{3}, ArrayRef<int64_t>{step});
}

Value rotateHeads(NodeBuilder &b, Value x, Value cosine, Value sine, int64_t dim,
                  bool interleaved) {
  if (b.stopped())
    return {};
  int64_t half = dim / 2, headDim = cast<RankedTensorType>(x.getType()).getDimSize(3);
  Value first = interleaved ? part(b, x, 0, dim, 2) : part(b, x, 0, half);
  Value second = interleaved ? part(b, x, 1, dim, 2) : part(b, x, half, dim);
  Value real = binary<SubOp>(b, binary<MulOp>(b, cosine, first), binary<MulOp>(b, sine, second));
  Value imaginary =
      binary<AddOp>(b, binary<MulOp>(b, sine, first), binary<MulOp>(b, cosine, second));
  if (b.stopped())
    return {};
  Value result;
  if (interleaved) {
    SmallVector<Value> pairs{unsqueeze(b, real, {4}), unsqueeze(b, imaginary, {4})};
    result = b.stopped() ? Value() : b.make<ConcatOp>(pairs, 4);
    result = reshapeTo(b, result, {0, 0, 0, dim});
  } else {
    result = b.make<ConcatOp>(SmallVector<Value>{real, imaginary}, 3);
  }
  if (!b.stopped() && dim != headDim)
    result = b.make<ConcatOp>(
        SmallVector<Value>{result, part(b, x, dim, std::numeric_limits<int64_t>::max())}, 3);
  return result;
}

/// Every head of [B, G, J, D] as often as H / G says: [B, H, J, D]. Fusion undoes it.
static Value repeatHeads(NodeBuilder &b, Value x, Value query) {
  if (b.stopped())
    return {};
  int64_t heads = cast<RankedTensorType>(query.getType()).getDimSize(1),
          own = cast<RankedTensorType>(x.getType()).getDimSize(1);
  bool isStatic = !ShapedType::isDynamic(heads) && !ShapedType::isDynamic(own);
  if (isStatic && heads == own)
    return x;
  if (isStatic && (own == 0 || heads % own != 0)) {
    b.error("has " + Twine(heads) + " query heads, expected a multiple of the " + Twine(own) +
            " key and value heads");
    return {};
  }
  Value one = b.makeInts({1}), count = dimOf(b, query, 1);
  Value times = isStatic ? b.makeInts({heads / own}) : binary<DivOp>(b, count, dimOf(b, x, 1));
  Value wide = unsqueeze(b, x, {2}), shape = joinDims(b, {one, one, times, one, one});
  Value repeated = wide && shape ? b.make<ExpandOp>(wide, shape) : Value();
  return reshape(b, repeated, joinDims(b, {dimOf(b, x, 0), count, dimsOf(b, x, 2, 4)}));
}

/// `scores` [B, H, I, J] behind a column of sinks.
static Value withSink(NodeBuilder &b, Value scores, Value sink) {
  Value column = castTo(b, sink, b.elementType(scores)),
        dims = joinDims(b, {dimsOf(b, scores, 0, 3), b.makeInts({1})});
  column = b.stopped() ? Value() : b.make<ExpandOp>(column, dims);
  return b.stopped() ? Value() : b.make<ConcatOp>(SmallVector<Value>{column, scores}, 3);
}

void AttentionForm::expand(NodeBuilder &b) {
  if (b.stopped())
    return;
  Type type = b.elementType(query);
  Value keys = transpose(b, repeatHeads(b, key, query), {0, 1, 3, 2});
  scores = binary<MatMulOp>(b, query, keys);
  int64_t headDim = cast<RankedTensorType>(query.getType()).getDimSize(3);
  if (scaleByHeadDim && ShapedType::isDynamic(headDim))
    scores = binary<DivOp>(b, scores, unary<SqrtOp>(b, castTo(b, scalarDimOf(b, query, 3), type)));
  else if (scaleByHeadDim)
    scale /= std::sqrt(static_cast<double>(std::max<int64_t>(headDim, 1)));
  if (scale != 1)
    scores = withScalar<MulOp>(b, scores, scale);
  capped = scores;
  if (softcap > 0) {
    capped = unary<TanhOp>(b, withScalar<DivOp>(b, scores, softcap));
    capped = withScalar<MulOp>(b, capped, softcap);
  }
  Value infinity = b.makeScalar(type, -std::numeric_limits<double>::infinity());
  Value zero = b.makeScalar(type, 0), total = bias;
  if (seen) {
    Value mask = where(b, seen, zero, infinity);
    total = total ? binary<AddOp>(b, total, mask) : mask;
  }
  biased = total ? binary<AddOp>(b, capped, total) : capped;
  if (b.stopped())
    return;
  Value exponents = castTo(b, biased, softmaxType ? softmaxType : type);
  if (scoreMod)
    exponents = scoreMod(exponents);
  if (sink)
    exponents = withSink(b, exponents, sink);
  Value normal = b.stopped() ? Value() : b.make<SoftmaxOp>(exponents, 3);
  if (sink)
    normal = part(b, normal, 1, std::numeric_limits<int64_t>::max());
  if (probMod)
    normal = probMod(normal);
  probabilities = castTo(b, normal, type);
  if (total) {
    Value largest = reduce<ReduceMaxOp>(b, total, {b.rank(total) - 1});
    probabilities = where(b, binary<EqualOp>(b, largest, infinity), zero, probabilities);
  }
  output = binary<MatMulOp>(b, probabilities, repeatHeads(b, value, query));
}

} // namespace rapt::onnx
