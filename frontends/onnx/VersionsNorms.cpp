//===- VersionsNorms.cpp - Normalisations and global pools -----------------------------------===//
//
// Statistics are taken in f32 at least (ONNX: stash_type), and variances in two passes:
// mean((x - mean)^2). Norms over trailing dims become LayerNormalization, except RMSNormalization,
// which becomes arithmetic.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/NormForm.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
SmallVector<int64_t> axesFrom(int64_t first, int64_t rank) {
  return llvm::to_vector(llvm::seq<int64_t>(first, std::max(first, rank)));
}

/// The type that attribute `stash_type` names: the one of Mean and InvStdDev, and at least which
/// statistics are taken in.
Type stashType(NodeBuilder &b) {
  int64_t stash = b.intAttr("stash_type", static_cast<int64_t>(ElementType::Float));
  Type type = stash > 0 && stash <= maxElementType
                  ? elementTypeFor(b.context(), static_cast<ElementType>(stash))
                  : Type();
  if (!isa_and_nonnull<FloatType>(type)) {
    b.error("attribute 'stash_type' is " + Twine(stash) + ", expected a float type");
    return b.ops().getF32Type();
  }
  return type;
}

Type wider(NodeBuilder &b, Type stash, Value x) { return stash.isF64() ? stash : wideType(b, x); }

/// Error unless `x` has at least `rank` dims.
void expectRank(NodeBuilder &b, Value x, int64_t rank) {
  if (b.rank(x) < rank)
    b.error("input 'X' has rank " + Twine(b.rank(x)) + ", expected at least " + Twine(rank));
}

/// Mean and population variance over `axes`, which stay with size 1.
std::pair<Value, Value> moments(NodeBuilder &b, Value x, ArrayRef<int64_t> axes) {
  Value mean = reduce<ReduceMeanOp>(b, x, axes);
  Value centred = binary<SubOp>(b, x, mean);
  return {mean, reduce<ReduceMeanOp>(b, binary<MulOp>(b, centred, centred), axes)};
}

// --- Over trailing dims -------------------------------------------------------------------------
void upgradeLayerNormalization(NodeBuilder &b) {
  Value x = b.in(0), scale = b.in(1), bias = b.optional(2);
  int64_t rank = b.rank(x), axis = b.normalized(b.intAttr("axis", -1), rank);
  float epsilon = b.finiteAttr("epsilon", 1e-5f);
  Type stash = stashType(b), type = b.elementType(x);
  expectFloat(b, x, "X");
  if (b.stopped())
    return;
  if (stash.isF64() && type != stash) {
    Value wideBias = bias ? castTo(b, bias, stash) : Value();
    Value wideX = castTo(b, x, stash), wideScale = castTo(b, scale, stash);
    if (!b.stopped())
      b.out(0, castTo(b,
                      b.make<LayerNormalizationOp>(wideX, wideScale, wideBias, axis,
                                                   llvm::APFloat(epsilon)),
                      type));
  } else {
    b.out(0, b.make<LayerNormalizationOp>(x, scale, bias, axis, llvm::APFloat(epsilon)));
  }
  if (!b.wants(1) && !b.wants(2))
    return;
  Value wide = castTo(b, x, wider(b, stash, x));
  auto [mean, variance] = moments(b, wide, axesFrom(axis, rank));
  b.out(1, castTo(b, mean, stash));
  b.out(2, castTo(b, inverseRoot(b, variance, epsilon), stash));
}

/// x / sqrt(mean(x^2) + epsilon) * scale over the dims from `axis` on; the scale may have another
/// type.
void upgradeRMSNormalization(NodeBuilder &b) {
  Value x = b.in(0), scale = b.in(1);
  int64_t rank = b.rank(x), axis = b.normalized(b.intAttr("axis", -1), rank);
  float epsilon = b.finiteAttr("epsilon", 1e-5f);
  Type stash = stashType(b);
  expectFloat(b, x, "X");
  expectFloat(b, scale, "scale");
  if (b.rank(scale) > rank)
    b.error("input 'scale' has rank " + Twine(b.rank(scale)) + ", expected at most " + Twine(rank));
  if (b.stopped())
    return;
  b.out(0,
        rootMeanSquareNorm(b, x, scale, axis, epsilon, wider(b, stash, x), b.elementType(scale)));
}

// --- Over channels ------------------------------------------------------------------------------
/// A vector with one number a channel, dim 1 of `rank` dims; error unless its rank is 1.
Value perChannel(NodeBuilder &b, Value vector, int64_t rank, StringRef name) {
  if (vector && b.rank(vector) != 1)
    b.error("input '" + name + "' has rank " + Twine(b.rank(vector)) + ", expected 1");
  return b.stopped() ? Value() : alongAxis(b, vector, 1, rank);
}

/// (x - mean) / sqrt(variance + epsilon) over the dims from `axis` on.
Value normalise(NodeBuilder &b, Value x, int64_t axis, float epsilon) {
  Value one = b.makeScalar(b.elementType(x), 1);
  return b.stopped() ? Value()
                     : b.make<LayerNormalizationOp>(x, one, Value(), axis, llvm::APFloat(epsilon));
}

void upgradeInstanceNormalization(NodeBuilder &b) {
  Value x = b.in(0), scale = b.in(1), bias = b.in(2);
  int64_t rank = b.rank(x);
  float epsilon = b.finiteAttr("epsilon", 1e-5f);
  expectRank(b, x, 3);
  expectFloat(b, x, "input");
  scale = perChannel(b, scale, rank, "scale");
  bias = perChannel(b, bias, rank, "B");
  if (b.stopped())
    return;
  Type type = wideType(b, x);
  Value normal = normalise(b, castTo(b, x, type), 2, epsilon);
  Value scaled = binary<MulOp>(b, normal, castTo(b, scale, type));
  b.out(0, castTo(b, binary<AddOp>(b, scaled, castTo(b, bias, type)), b.elementType(x)));
}

/// Scale and bias hold one number a group in opset 18, one a channel since 21.
void upgradeGroupNormalization(NodeBuilder &b) {
  Value x = b.in(0), scale = b.in(1), bias = b.in(2);
  int64_t rank = b.rank(x), groups = b.requiredInt("num_groups");
  float epsilon = b.finiteAttr("epsilon", 1e-5f);
  Type stash = b.opset() >= 21 ? stashType(b) : b.ops().getF32Type();
  expectRank(b, x, 2);
  expectFloat(b, x, "X");
  if (groups < 1)
    b.error("attribute 'num_groups' is " + Twine(groups) + ", expected at least 1");
  for (auto [vector, name] : {std::pair(scale, "scale"), std::pair(bias, "bias")})
    if (b.rank(vector) != 1)
      b.error("input '" + Twine(name) + "' has rank " + Twine(b.rank(vector)) + ", expected 1");
  if (b.stopped())
    return;
  int64_t channels = cast<RankedTensorType>(x.getType()).getDimSize(1);
  if (!ShapedType::isDynamic(channels) && channels % groups != 0)
    return b.error("attribute 'num_groups' is " + Twine(groups) +
                   ", expected a divisor of the number of channels, " + Twine(channels));
  // [batch, groups, channels of a group, spatial...]
  Value count = b.makeInts({groups}), each = binary<DivOp>(b, dimOf(b, x, 1), count);
  if (b.stopped())
    return;
  if (SymbolicExpr rest = SymbolicExpr::mod(b.dim(x, 1), groups); !rest.is(0))
    requireDims(b, each.getDefiningOp(), rest, 0, /*equal=*/false,
                "rest of its channels over " + Twine(groups) + " groups");
  SmallVector<Value> dims{dimOf(b, x, 0), count, each};
  if (rank > 2)
    dims.push_back(dimsOf(b, x, 2, rank));
  Value grouped = reshape(b, castTo(b, x, wider(b, stash, x)), joinDims(b, dims));
  Value normal = castTo(b, normalise(b, grouped, 2, epsilon), b.elementType(x));
  if (b.opset() < 21) {
    scale = alongAxis(b, scale, 1, rank + 1);
    bias = alongAxis(b, bias, 1, rank + 1);
    normal = binary<AddOp>(b, binary<MulOp>(b, normal, scale), bias);
    return b.out(0, reshape(b, normal, shapeOf(b, x)));
  }
  normal = reshape(b, normal, shapeOf(b, x));
  scale = alongAxis(b, scale, 1, rank);
  bias = alongAxis(b, bias, 1, rank);
  b.out(0, binary<AddOp>(b, binary<MulOp>(b, normal, scale), bias));
}

/// With training_mode, which came with opset 14, the statistics are those of the batch, and the
/// running ones move towards them.
void upgradeBatchNormalization(NodeBuilder &b) {
  Value x = b.in(0), scale = b.in(1), bias = b.in(2), mean = b.in(3), variance = b.in(4);
  int64_t rank = b.rank(x);
  float epsilon = b.finiteAttr("epsilon", 1e-5f), momentum = b.floatAttr("momentum", 0.9f);
  bool training = b.opset() >= 14 && b.flagAttr("training_mode", false);
  if (b.opset() < 9 && b.intAttr("spatial", 1) != 1)
    b.unsupported("attribute 'spatial' is not 1");
  if (!training)
    for (auto [i, name] : {std::pair(1, "mean"), {2, "var"}, {3, "saved_mean"}, {4, "saved_var"}})
      b.cannotGive(i, name);
  expectRank(b, x, 2);
  expectFloat(b, x, "X");
  if (b.stopped())
    return;
  Type type = wideType(b, x);
  Value wide = castTo(b, x, type);
  Value offset = castTo(b, perChannel(b, mean, rank, "input_mean"), type);
  Value spread = castTo(b, perChannel(b, variance, rank, "input_var"), type);
  if (training) {
    auto [batchMean, batchVariance] = moments(b, wide, otherAxes({1}, rank));
    auto moved = [&](Value running, Value current) {
      Value kept = withScalar<MulOp>(b, running, momentum);
      Value next = binary<AddOp>(b, kept, withScalar<MulOp>(b, current, 1 - momentum));
      return castTo(b, squeeze(b, next, otherAxes({1}, rank)), b.elementType(mean));
    };
    b.out(1, moved(offset, batchMean));
    b.out(2, moved(spread, batchVariance));
    offset = batchMean;
    spread = batchVariance;
  }
  Value factor = binary<MulOp>(b, castTo(b, perChannel(b, scale, rank, "scale"), type),
                               inverseRoot(b, spread, epsilon));
  Value scaled = binary<MulOp>(b, binary<SubOp>(b, wide, offset), factor);
  Value y = binary<AddOp>(b, scaled, castTo(b, perChannel(b, bias, rank, "B"), type));
  b.out(0, castTo(b, y, b.elementType(x)));
}

// --- Over given axes ----------------------------------------------------------------------------
/// x over its norm, 0 where that is 0.
void upgradeLpNormalization(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t axis = b.normalized(b.intAttr("axis", -1), b.rank(x)), p = b.intAttr("p", 2);
  expectFloat(b, x, "input");
  if (p != 1 && p != 2)
    b.error("attribute 'p' is " + Twine(p) + ", expected 1 or 2");
  if (b.stopped())
    return;
  Value wide = castTo(b, x, wideType(b, x));
  Value norm = p == 1 ? reduce<ReduceL1Op>(b, wide, {axis}) : reduce<ReduceL2Op>(b, wide, {axis});
  Value isZero = withScalar<EqualOp>(b, norm, 0);
  Value y = where(b, isZero, b.makeScalar(b.elementType(wide), 0), binary<DivOp>(b, wide, norm));
  b.out(0, castTo(b, y, b.elementType(x)));
}

/// (x - mean) / (sqrt(variance) + 1e-9)
void upgradeMeanVarianceNormalization(NodeBuilder &b) {
  Value x = b.in(0);
  SmallVector<int64_t> axes = b.intsAttr("axes").value_or(SmallVector<int64_t>{0, 2, 3});
  axes = b.normalized(axes, b.rank(x));
  expectFloat(b, x, "X");
  if (b.stopped())
    return;
  Value wide = castTo(b, x, wideType(b, x));
  auto [mean, variance] = moments(b, wide, axes);
  Value deviation = withScalar<AddOp>(b, unary<SqrtOp>(b, variance), 1e-9);
  Value y = binary<DivOp>(b, binary<SubOp>(b, wide, mean), deviation);
  b.out(0, castTo(b, y, b.elementType(x)));
}

/// x / (bias + alpha / size * s)^beta, where s sums the squares of `size` channels around each: the
/// sum of as many slices of the squares, which stand between channels of zeros.
void upgradeLRN(NodeBuilder &b) {
  constexpr int64_t maxSize = 256;
  Value x = b.in(0);
  int64_t size = b.requiredInt("size"), rank = b.rank(x);
  double alpha = b.floatAttr("alpha", 1e-4f), beta = b.floatAttr("beta", 0.75f);
  double bias = b.floatAttr("bias", 1);
  expectRank(b, x, 2);
  expectFloat(b, x, "X");
  if (size < 1)
    b.error("attribute 'size' is " + Twine(size) + ", expected at least 1");
  if (size > maxSize)
    b.unsupported("attribute 'size' is " + Twine(size) + ", more than " + Twine(maxSize));
  if (b.stopped())
    return;
  Value wide = castTo(b, x, wideType(b, x)), square = binary<MulOp>(b, wide, wide);
  int64_t before = (size - 1) / 2, after = size - 1 - before;
  auto zeros = [&](int64_t channels) {
    SmallVector<Value> dims{dimOf(b, x, 0), b.makeInts({channels})};
    if (rank > 2)
      dims.push_back(dimsOf(b, x, 2, rank));
    Value shape = joinDims(b, dims);
    auto type = RankedTensorType::get({1}, b.elementType(wide));
    return shape ? b.make<ConstantOfShapeOp>(shape,
                                             cast<ElementsAttr>(DenseElementsAttr::get(
                                                 type, b.ops().getZeroAttr(type.getElementType()))))
                 : Value();
  };
  SmallVector<Value> parts;
  if (before)
    parts.push_back(zeros(before));
  parts.push_back(square);
  if (after)
    parts.push_back(zeros(after));
  if (b.stopped())
    return;
  Value padded = parts.size() == 1 ? square : b.make<ConcatOp>(parts, 1), sum;
  for (int64_t i = 0; i < size && !b.stopped(); ++i) {
    Value start = b.makeInts({i}), end = binary<AddOp>(b, dimOf(b, x, 1), start);
    Value part = slice(b, padded, 1, start, end);
    sum = sum ? binary<AddOp>(b, sum, part) : part;
  }
  Value base =
      withScalar<AddOp>(b, withScalar<MulOp>(b, sum, alpha / static_cast<double>(size)), bias);
  Value y = binary<DivOp>(b, wide, withScalar<PowOp>(b, base, beta));
  b.out(0, castTo(b, y, b.elementType(x)));
}

// --- Global pools -------------------------------------------------------------------------------
template <typename Op> void upgradeGlobalPool(NodeBuilder &b) {
  Value x = b.in(0);
  expectRank(b, x, 2);
  expectFloat(b, x, "X");
  if (!b.stopped())
    b.out(0, reduce<Op>(b, x, axesFrom(2, b.rank(x))));
}

void upgradeGlobalLpPool(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t p = b.intAttr("p", 2);
  expectRank(b, x, 2);
  expectFloat(b, x, "X");
  if (p < 1)
    b.error("attribute 'p' is " + Twine(p) + ", expected at least 1");
  if (b.stopped())
    return;
  SmallVector<int64_t> axes = axesFrom(2, b.rank(x));
  if (p <= 2)
    return b.out(0, p == 1 ? reduce<ReduceL1Op>(b, x, axes) : reduce<ReduceL2Op>(b, x, axes));
  Value wide = castTo(b, x, wideType(b, x));
  Value power = withScalar<PowOp>(b, unary<AbsOp>(b, wide), static_cast<double>(p));
  Value sum = reduce<ReduceSumOp>(b, power, axes);
  b.out(0, castTo(b, withScalar<PowOp>(b, sum, 1.0 / static_cast<double>(p)), b.elementType(x)));
}
} // namespace

void addNorms(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
          {"BatchNormalization", 7, "float",
           "outputs besides `Y` only with training_mode; `spatial` must be 1 below 9",
           upgradeBatchNormalization},
          {"GlobalAveragePool", 7, "float", "becomes ReduceMean", upgradeGlobalPool<ReduceMeanOp>},
          {"GlobalLpPool", 7, "float", "becomes a reduction", upgradeGlobalLpPool},
          {"GlobalMaxPool", 7, "float", "becomes ReduceMax", upgradeGlobalPool<ReduceMaxOp>},
          {"GroupNormalization", 18, "float",
           "scale and bias are per group in 18 to 20, per channel since",
           upgradeGroupNormalization},
          {"InstanceNormalization", 7, "float", "becomes LayerNormalization",
           upgradeInstanceNormalization},
          {"LRN", 7, "float", "size at most 256", upgradeLRN},
          {"LayerNormalization", 7, "float", "since 17; onnxruntime writes it below, too",
           upgradeLayerNormalization},
          {"LpNormalization", 7, "float", "", upgradeLpNormalization},
          {"MeanVarianceNormalization", 9, "float", "", upgradeMeanVarianceNormalization},
          {"RMSNormalization", 23, "float", "", upgradeRMSNormalization},
      });
}

} // namespace rapt::onnx
