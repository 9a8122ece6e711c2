//===- ContribAttention.cpp - What com.microsoft's attention operators share ------------------===//

#include "frontends/onnx/ContribAttention.h"
#include "frontends/onnx/Slice.h"

using namespace mlir;

namespace rapt::onnx {

int64_t staticDim(Value value, int64_t dim) {
  return cast<RankedTensorType>(value.getType()).getDimSize(dim);
}

Value tokensOf(NodeBuilder &b, Value x, int64_t heads, StringRef name) {
  return transpose(b, splitHeads(b, x, heads, name), {0, 2, 1, 3});
}

// --- CacheUpdate ---------------------------------------------------------------------------------
Value CacheUpdate::put(NodeBuilder &b, Value past, Value now) const {
  Value heads = transpose(b, now, {0, 2, 1, 3});
  if (!past || b.stopped())
    return heads;
  if (b.rank(past) != 4) {
    b.error("past has rank " + Twine(b.rank(past)) + ", expected 4");
    return {};
  }
  Value base = grows ? b.make<ConcatOp>(SmallVector<Value>{past, heads}, 2) : past;
  if (exact || b.stopped())
    return base;
  // Row t of the result is row t - offset of what is new.
  Value row = binary<SubOp>(b, iota(b, scalarDimOf(b, base, 2), 1, 2), offset);
  Value count = scalarDimOf(b, heads, 2), zero = scalarInt(b, 0);
  Value isPast = binary<LessOp>(b, row, zero);
  Value isNew =
      binary<AndOp>(b, binary<GreaterOrEqualOp>(b, row, zero), binary<LessOp>(b, row, count));
  Value picked = heads; // one row: broadcast
  if (b.stopped())
    return {};
  if (staticDim(heads, 2) != 1) {
    Value last = binary<SubOp>(b, count, scalarInt(b, 1));
    Value index = b.stopped() ? Value() : b.make<MaxOp>(SmallVector<Value>{row, zero});
    index = b.stopped() ? Value() : b.make<MinOp>(SmallVector<Value>{index, last});
    if (b.stopped())
      return {};
    if (b.rank(offset) == 0) {
      picked = b.make<GatherOp>(heads, squeeze(b, index, {0}), 2);
    } else {
      picked = b.make<GatherNDOp>(now, unsqueeze(b, index, {2}), 1);
      picked = transpose(b, picked, {0, 2, 1, 3});
    }
  }
  Value rest = base;
  if (!keepsRest)
    rest = where(b, unsqueeze(b, isPast, {1, 3}), base, b.makeScalar(b.elementType(base), 0));
  return where(b, unsqueeze(b, isNew, {1, 3}), picked, rest);
}

// --- ContribAttention ----------------------------------------------------------------------------
void ContribAttention::setScale(NodeBuilder &b) {
  float scale = b.finiteAttr("scale", 0, std::nullopt);
  form.scaleByHeadDim = scale == 0;
  form.scale = scale == 0 ? 1 : scale;
}

void ContribAttention::setLengths(NodeBuilder &b) {
  queries = scalarDimOf(b, form.query, 2);
  keys = scalarDimOf(b, form.key, 2);
  if (!past)
    past = scalarInt(b, 0);
}

void ContribAttention::addBias(NodeBuilder &b, Value bias) {
  if (bias)
    form.bias = form.bias ? binary<AddOp>(b, form.bias, bias) : bias;
}

void ContribAttention::addWhere(NodeBuilder &b, Value seen, float otherwise) {
  Type type = b.elementType(form.query);
  addBias(b, where(b, seen, b.makeScalar(type, 0), b.makeScalar(type, otherwise)));
}

void ContribAttention::maskKeys(NodeBuilder &b, Value mask, float value) {
  if (!mask || b.stopped())
    return;
  auto isSeen = [&](Value kept) { return withScalar<GreaterOp>(b, kept, 0); };
  switch (b.rank(mask)) {
  case 1: {
    int64_t batch = staticDim(form.query, 0), count = staticDim(mask, 0);
    bool isStatic = !ShapedType::isDynamic(batch) && !ShapedType::isDynamic(count);
    bool hasStarts = isStatic && count == 2 * batch;
    if (isStatic && (hasStarts || count == 3 * batch + 2)) {
      auto column = [&](int64_t begin) {
        return slice(b, mask, b.rank(mask) - 1, begin, begin + batch);
      };
      Value ends = column(0), starts = hasStarts ? column(batch) : Value();
      Value seen = binary<LessOp>(b, iota(b, keys, 3, 4), toColumn(b, ends));
      if (starts)
        seen = bothSeen(b, seen,
                        binary<GreaterOrEqualOp>(b, iota(b, keys, 3, 4), toColumn(b, starts)));
      return addWhere(b, seen, value);
    }
    if (batch != count) // dynamic dims have the same size here
      return b.unsupported(
          "a mask of rank 1 with " +
          (ShapedType::isDynamic(count) ? Twine("a dynamic number of") : Twine(count)) +
          " elements for a batch of " +
          (ShapedType::isDynamic(batch) ? Twine("a dynamic size") : Twine(batch)));
    return addWhere(b, binary<LessOp>(b, iota(b, keys, 3, 4), toColumn(b, mask)), value);
  }
  case 2:
    // One number for all keys changes every score of a row alike.
    if (staticDim(mask, 1) != 1)
      addWhere(b, isSeen(unsqueeze(b, mask, {1, 2})), value);
    return;
  case 3:
    return addWhere(b, isSeen(unsqueeze(b, mask, {1})), value);
  default:
    return b.unsupported("a mask of rank " + Twine(b.rank(mask)));
  }
}

void ContribAttention::causal(NodeBuilder &b) {
  if (b.stopped())
    return;
  SymbolicExpr before = b.expression(past), last = before + b.dim(form.query, 2);
  if (isFixed || (before.isKnown() && last == b.dim(form.key, 2))) {
    Value seenKeys = isFixed ? keys : binary<AddOp>(b, past, queries);
    form.seen = bothSeen(b, form.seen, windowMask(b, queries, seenKeys, past, -1, 0));
    return;
  }
  Value lastRow = binary<SubOp>(b, queries, scalarInt(b, 1));
  Value isLast = binary<GreaterOrEqualOp>(b, iota(b, queries, 0, 2), lastRow);
  Value seen = binary<OrOp>(b, windowMask(b, queries, keys, past, -1, 0), isLast);
  form.seen = bothSeen(b, form.seen, seen);
}

void ContribAttention::finish(NodeBuilder &b, Value mask, float filter, Value bias, bool isCausal) {
  setLengths(b);
  setScale(b);
  maskKeys(b, mask, filter);
  addBias(b, bias);
  if (isCausal)
    causal(b);
  form.expand(b);
  b.out(0, mergeHeads(b, form.output));
}

Value toColumn(NodeBuilder &b, Value numbers) {
  return castTo(b, reshapeTo(b, numbers, {-1, 1, 1, 1}), b.ops().getI64Type());
}

} // namespace rapt::onnx
