//===- VersionsPositionBias.cpp - Relative position biases of com.microsoft ------------------===//
//
// Source: onnxruntime, docs/ContribOperators.md, version 1 of the domain.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/ContribAttention.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

#include <cmath>

using namespace mlir;

namespace rapt::onnx {

namespace {
/// Distances from here on share one bucket, so a table of them stays small.
constexpr int64_t kMaxDistance = 1 << 16;

/// The bucket of each distance 0 up to, not including, `limit`, in T5's scheme: half of the buckets
/// for one distance each, the others for ranges that grow by a factor and end at `maxDistance`.
SmallVector<int64_t> bucketsOf(int64_t limit, int64_t buckets, int64_t maxDistance) {
  SmallVector<int64_t> result;
  int64_t exact = buckets / 2;
  for (int64_t distance = 0; distance < limit; ++distance) {
    int64_t bucket = distance;
    if (distance >= exact && exact > 0) {
      float ratio = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                    std::log(static_cast<float>(maxDistance) / static_cast<float>(exact));
      bucket = exact + static_cast<int64_t>(ratio * static_cast<float>(buckets - exact));
    }
    result.push_back(std::min(bucket, buckets - 1));
  }
  return result;
}

/// bias_table[bucket of j - i] as [1, H, I, J].
void upgradeRelativePositionBias(NodeBuilder &b) {
  Value table = b.in(0), queries = b.in(1), keys = b.in(2);
  int64_t maxDistance = b.requiredInt("max_distance");
  bool bothSides = b.flagAttr("is_bidirectional", false);
  if (b.stopped())
    return;
  if (b.rank(table) != 2)
    return b.error("input 'bias_table' has rank " + Twine(b.rank(table)) + ", expected 2");
  int64_t all = staticDim(table, 0), buckets = bothSides ? all / 2 : all;
  if (ShapedType::isDynamic(all))
    return b.unsupported("the number of buckets is not static");
  if (maxDistance <= buckets / 2 || maxDistance > kMaxDistance)
    return b.error("attribute 'max_distance' is " + Twine(maxDistance) + ", expected " +
                   Twine(buckets / 2 + 1) + " to " + Twine(kMaxDistance) + " for " + Twine(all) +
                   " buckets");
  if (buckets < 2)
    return b.error("input 'bias_table' has " + Twine(all) + " rows, expected at least " +
                   Twine(bothSides ? 4 : 2));
  // The row of each distance from -maxDistance to maxDistance; beyond them nothing changes.
  SmallVector<int64_t> rows(2 * maxDistance + 1, 0);
  SmallVector<int64_t> bucket = bucketsOf(maxDistance + 1, buckets, maxDistance);
  for (int64_t distance = 0; distance <= maxDistance; ++distance) {
    rows[maxDistance - distance] = bucket[distance];
    rows[maxDistance + distance] = bothSides && distance > 0 ? buckets + bucket[distance] : 0;
  }
  auto length = [&](Value x) { return castTo(b, reshapeTo(b, x, {}), b.ops().getI64Type()); };
  Value distance = binary<SubOp>(b, iota(b, length(keys), 1, 2), iota(b, length(queries), 0, 2));
  Value low = scalarInt(b, -maxDistance), high = scalarInt(b, maxDistance);
  if (b.stopped())
    return;
  distance = b.make<MaxOp>(SmallVector<Value>{distance, low});
  distance = b.stopped() ? Value() : b.make<MinOp>(SmallVector<Value>{distance, high});
  Value index = binary<AddOp>(b, distance, high), lookup = b.makeInts(rows);
  if (b.stopped())
    return;
  Value row = b.make<GatherOp>(lookup, index, 0);
  Value bias = b.stopped() ? Value() : b.make<GatherOp>(table, row, 0);
  b.out(0, unsqueeze(b, transpose(b, bias, {2, 0, 1}), {0}));
}

/// rel_pos times a gate that is computed from the query.
void upgradeGatedRelativePositionBias(NodeBuilder &b) {
  Value query = b.in(0), queryBias = b.in(1), bias = b.in(2), weight = b.in(3);
  Value weightBias = b.in(4), ecoA = b.in(5);
  int64_t heads = b.requiredInt("num_heads");
  if (b.optional(6))
    b.unsupported("input 'token_offset'");
  if (b.stopped())
    return;
  if (b.rank(query) != 3 || b.rank(weight) != 2)
    return b.error("query_layer and weight have ranks " + Twine(b.rank(query)) + " and " +
                   Twine(b.rank(weight)) + ", expected 3 and 2");
  int64_t width = staticDim(weight, 1);
  if (ShapedType::isDynamic(width) || width % 2 != 0)
    return b.error("input 'weight' has " +
                   (ShapedType::isDynamic(width) ? Twine("a dynamic number of") : Twine(width)) +
                   " columns, expected an even number");
  Value split = splitHeads(b, binary<AddOp>(b, query, queryBias), heads, "query_layer");
  Value gates = binary<AddOp>(b, binary<MatMulOp>(b, split, weight), weightBias);
  auto gate = [&](int64_t begin) {
    Value half = slice(b, gates, b.rank(gates) - 1, begin, begin + width / 2);
    return unary<SigmoidOp>(b, reduce<ReduceSumOp>(b, half, {3}));
  };
  Value update = gate(0), reset = gate(width / 2);
  Value inner = withScalar<AddOp>(b, binary<MulOp>(b, reset, ecoA), -1);
  Value factor = withScalar<AddOp>(b, binary<MulOp>(b, update, inner), 2);
  b.out(0, binary<MulOp>(b, factor, bias));
}
} // namespace

void addPositionBias(std::vector<Operator> &table) {
  table.insert(table.end(), {
                                {"com.microsoft.GatedRelativePositionBias", 1, "float",
                                 "expanded; no `token_offset`", upgradeGatedRelativePositionBias},
                                {"com.microsoft.RelativePositionBias", 1, "float",
                                 "expanded; lengths must follow from constants and input dims",
                                 upgradeRelativePositionBias},
                            });
}

} // namespace rapt::onnx
