//===- LowerWindows.cpp - Conv, ConvTranspose and pools => reductions over windows -----===//
//
// One linalg.generic each: its loops are the result's dims, then those of the window. The operand
// is read at computed places, result index * stride + window index * dilation. Conv first stores a
// copy of its operand with the pads, so that the sum has no conditions; the others ask in the sum.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"
#include "compiler/Fuse/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace rapt::fuse {

namespace {

using Reassociation = SmallVector<ReassociationIndices>;

/// {0, ..., at - 1}, {at, at + 1}, the rest one by one: `rank` dims beside one that is cut in two.
Reassociation splitAt(int64_t at, int64_t rank) {
  Reassociation groups;
  for (int64_t dim = 0, next = 0; dim < rank; ++dim) {
    groups.push_back({next++});
    if (dim == at)
      groups.back().push_back(next++);
  }
  return groups;
}

/// The weights of a grouped convolution with dim 0, the groups' channels, cut into (group,
/// channel).
View groupedWeight(Lowering &lowering, Value w, int64_t group, OpFoldResult each) {
  if (group == 1)
    return lowering.view(w);
  Sizes sizes = lowering.sizes(w);
  sizes.erase(sizes.begin());
  sizes.insert(sizes.begin(), {lowering.builder.getIndexAttr(group), each});
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto type = tensorType(w);
  Value expanded = tensor::ExpandShapeOp::create(
      lowering.builder, lowering.loc, RankedTensorType::get(shape, type.getElementType()),
      lowering.tensor(w), splitAt(0, type.getRank()), sizes);
  return View::of(expanded);
}

/// sum + x * w.
Value multiplyAdd(OpBuilder &b, Location loc, Value sum, Value x, Value w) {
  if (isa<FloatType>(sum.getType()))
    return arith::AddFOp::create(b, loc, sum, arith::MulFOp::create(b, loc, x, w));
  return arith::AddIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, x, w));
}

/// `sum` [batch, (group,) maps, spatial...] with the bias and the element type of the result, and
/// with group and maps as one dim, as the result of `op`.
void finishConv(Lowering &lowering, Operation *op, Value sum, ArrayRef<OpFoldResult> sizes,
                Value bias, int64_t group, OpFoldResult each) {
  Type element = tensorType(op->getResult(0)).getElementType(),
       type = tensorType(sum).getElementType();
  View offsets = bias ? lowering.view(bias) : View();
  if (bias || type != element)
    sum = lowering.map(
        sizes, element, {View::of(sum)}, [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
          Value y = args[0];
          if (bias) {
            IndexMath math{b, loc};
            Value map = math.loop(1);
            if (group > 1)
              map = math.add(math.mul(map, math.size(each)), math.loop(2));
            Value offset = lowering.load(b, loc, offsets, type, map);
            y = isa<FloatType>(type) ? Value(arith::AddFOp::create(b, loc, y, offset))
                                     : Value(arith::AddIOp::create(b, loc, y, offset));
          }
          return convert(b, loc, y, element);
        });
  if (group > 1)
    sum = tensor::CollapseShapeOp::create(lowering.builder, lowering.loc, sum,
                                          splitAt(1, sizes.size() - 1));
  lowering.bind(op->getResult(0), sum);
}

/// The result's dims with dim 1 cut into (group, each).
Sizes groupedSizes(Lowering &lowering, Value result, int64_t group, OpFoldResult each) {
  Sizes sizes = lowering.sizes(result);
  if (group > 1) {
    sizes[1] = each;
    sizes.insert(sizes.begin() + 1, lowering.builder.getIndexAttr(group));
  }
  return sizes;
}

LogicalResult lowerConv(Lowering &lowering, onnx::ConvOp op) {
  OpBuilder &builder = lowering.builder;
  int64_t rank = tensorType(op.getX()).getRank(), spatial = rank - 2, group = op.getGroup();
  int64_t grouped = group > 1 ? 1 : 0, parallel = rank + grouped, loops = parallel + 1 + spatial;
  OpFoldResult maps = lowering.size(
      onnx::SymbolicExpr::floorDiv(lowering.shape(op.getW())[0], onnx::SymbolicExpr(group)));
  OpFoldResult channels = lowering.sizes(op.getW())[1];
  Sizes sizes = groupedSizes(lowering, op.getY(), group, maps);
  View w = groupedWeight(lowering, op.getW(), group, maps);
  if (group == 1) {
    SmallVector<int64_t> reduced = llvm::to_vector(llvm::seq<int64_t>(1, rank));
    w = lowering.plain(op.getW(), reduced);
  }
  // (group,) map, channel, window...
  SmallVector<AffineExpr> weightIndices;
  for (int64_t i = 0; i < grouped + 1; ++i)
    weightIndices.push_back(builder.getAffineDimExpr(1 + i));
  for (int64_t i = parallel; i < loops; ++i)
    weightIndices.push_back(builder.getAffineDimExpr(i));
  w = w.through(AffineMap::get(loops, 0, weightIndices, builder.getContext()));

  View x = lowering.view(op.getX());
  ArrayRef<int64_t> pads = op.getPads();
  if (llvm::any_of(pads, [](int64_t pad) { return pad != 0; })) {
    Sizes extents = lowering.sizes(op.getX()), padded = extents;
    SmallVector<OpFoldResult> begins(rank, builder.getIndexAttr(0));
    for (int64_t i = 0; i < spatial; ++i) {
      begins[i + 2] = builder.getIndexAttr(pads[i]);
      padded[i + 2] = lowering.size(lowering.shape(op.getX())[i + 2] +
                                    onnx::SymbolicExpr(pads[i] + pads[spatial + i]));
    }
    Type element = tensorType(op.getX()).getElementType();
    View zero;
    zero.literal = builder.getZeroAttr(element);
    x = View::of(lowering.pad(x, extents, begins, padded, element, "constant", zero));
  }
  Type type = accumulatorType(tensorType(op.getX()).getElementType());
  Value sum = lowering.reduce(
      sizes, 1 + spatial, builder.getZeroAttr(type), {w},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        IndexMath math{b, loc};
        Value channel = math.loop(parallel);
        if (group > 1)
          channel = math.add(math.mul(math.loop(1), math.size(channels)), channel);
        SmallVector<Value> position{math.loop(0), channel};
        for (int64_t i = 0; i < spatial; ++i)
          position.push_back(
              math.add(math.mul(math.loop(2 + grouped + i), math.number(op.getStrides()[i])),
                       math.mul(math.loop(parallel + 1 + i), math.number(op.getDilations()[i]))));
        return multiplyAdd(b, loc, args[1], lowering.load(b, loc, x, type, position),
                           convert(b, loc, args[0], type));
      });
  finishConv(lowering, op, sum, sizes, op.getBias(), group, maps);
  return success();
}

/// y(o) = sum over k of x(q / stride) * w(k) where q = o + begin pad - k * dilation is a multiple
/// of the stride and inside.
LogicalResult lowerConvTranspose(Lowering &lowering, onnx::ConvTransposeOp op) {
  OpBuilder &builder = lowering.builder;
  int64_t rank = tensorType(op.getX()).getRank(), spatial = rank - 2, group = op.getGroup();
  int64_t grouped = group > 1 ? 1 : 0, parallel = rank + grouped, loops = parallel + 1 + spatial;
  OpFoldResult maps = lowering.sizes(op.getW())[1];
  OpFoldResult channels = lowering.size(
      onnx::SymbolicExpr::floorDiv(lowering.shape(op.getW())[0], onnx::SymbolicExpr(group)));
  Sizes sizes = groupedSizes(lowering, op.getY(), group, maps);
  View w = groupedWeight(lowering, op.getW(), group, channels);
  if (group == 1) {
    SmallVector<int64_t> reduced{0};
    llvm::append_range(reduced, llvm::seq<int64_t>(2, rank));
    w = lowering.plain(op.getW(), reduced);
  }
  // (group,) channel, map, window...
  SmallVector<AffineExpr> weightIndices;
  if (group > 1)
    weightIndices.push_back(builder.getAffineDimExpr(1));
  weightIndices.push_back(builder.getAffineDimExpr(parallel));
  weightIndices.push_back(builder.getAffineDimExpr(1 + grouped));
  for (int64_t i = parallel + 1; i < loops; ++i)
    weightIndices.push_back(builder.getAffineDimExpr(i));
  w = w.through(AffineMap::get(loops, 0, weightIndices, builder.getContext()));

  View x = lowering.view(op.getX());
  Sizes extents = lowering.sizes(op.getX());
  Type type = accumulatorType(tensorType(op.getX()).getElementType());
  Value sum = lowering.reduce(
      sizes, 1 + spatial, builder.getZeroAttr(type), {w},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        IndexMath math{b, loc};
        Value channel = math.loop(parallel), taken;
        if (group > 1)
          channel = math.add(math.mul(math.loop(1), math.size(channels)), channel);
        SmallVector<Value> position{math.loop(0), channel};
        for (int64_t i = 0; i < spatial; ++i) {
          Value back = math.mul(math.loop(parallel + 1 + i), math.number(op.getDilations()[i]));
          Value q =
              math.sub(math.add(math.loop(2 + grouped + i), math.number(op.getPads()[i])), back);
          Value at = math.max(q, math.number(0)), exact;
          if (int64_t stride = op.getStrides()[i]; stride > 1) {
            Value step = math.number(stride);
            Value quotient = arith::DivSIOp::create(b, loc, at, step);
            exact = math.equal(math.mul(quotient, step), q);
            at = quotient;
          } else {
            exact = math.equal(at, q);
          }
          Value last = math.sub(math.size(extents[i + 2]), math.number(1));
          Value inside = math.both(exact, math.less(at, math.size(extents[i + 2])));
          taken = taken ? math.both(taken, inside) : inside;
          position.push_back(math.min(at, last));
        }
        Value element = lowering.load(b, loc, x, type, position);
        Value zero = constantOf(b, loc, type, 0);
        Value kept = arith::SelectOp::create(b, loc, taken, element, zero);
        return multiplyAdd(b, loc, args[1], kept, convert(b, loc, args[0], type));
      });
  finishConv(lowering, op, sum, sizes, op.getBias(), group, maps);
  return success();
}

// --- Pools ---------------------------------------------------------------------------------------

/// The windows of a pool: the place that a body reads, and whether it is one.
struct Pool {
  template <typename Op>
  Pool(Lowering &lowering, Op op)
      : lowering(lowering), x(op.getX()), kernel(op.getKernelShape()), pads(op.getPads()),
        strides(op.getStrides()), dilations(op.getDilations()), rank(tensorType(x).getRank()),
        spatial(rank - 2), input(lowering.view(x)), extents(lowering.sizes(x)),
        sizes(lowering.sizes(op.getY())) {}

  /// Something with the dims of a window, so that the reduced loops have extents.
  View window() {
    OpBuilder &b = lowering.builder;
    Value empty = tensor::EmptyOp::create(b, lowering.loc, kernel, b.getF32Type());
    SmallVector<AffineExpr> indices;
    for (int64_t i = 0; i < spatial; ++i)
      indices.push_back(b.getAffineDimExpr(rank + i));
    return View::of(empty).through(AffineMap::get(rank + spatial, 0, indices, b.getContext()));
  }

  /// Where window element `k` of result element `o` is on spatial dim i, which may be outside.
  Value place(IndexMath &math, int64_t i, Value k) {
    Value start = math.mul(math.loop(2 + i), math.number(strides[i]));
    Value at = math.add(start, math.mul(k, math.number(dilations[i])));
    return math.sub(at, math.number(pads[i]));
  }

  /// The element of x under the reduced loops, `outside` where there is none. Unsigned elements
  /// come with their sign flipped, so that they are ordered as signed ones.
  Value element(OpBuilder &b, Location loc, Type type, TypedAttr outside) {
    IndexMath math{b, loc};
    SmallVector<Value> position{math.loop(0), math.loop(1)};
    Value inside;
    for (int64_t i = 0; i < spatial; ++i) {
      Value at = place(math, i, math.loop(rank + i));
      if (pads[i] > 0 || pads[spatial + i] > 0 || mayEndOutside) {
        Value clamped = math.clamp(at, math.size(extents[i + 2]));
        Value here = math.equal(at, clamped);
        inside = inside ? math.both(inside, here) : here;
        at = clamped;
      }
      position.push_back(at);
    }
    Value loaded = lowering.load(b, loc, input, type, position);
    if (isUnsigned)
      loaded = flipSign(b, loc, loaded);
    if (!inside)
      return loaded;
    return arith::SelectOp::create(b, loc, inside, loaded,
                                   arith::ConstantOp::create(b, loc, outside));
  }

  Lowering &lowering;
  Value x;
  ArrayRef<int64_t> kernel, pads, strides, dilations;
  int64_t rank, spatial;
  View input;
  Sizes extents, sizes;
  bool isUnsigned = tensorType(x).getElementType().isUnsignedInteger();
  bool mayEndOutside = false; ///< windows end behind the pads
};

LogicalResult lowerMaxPool(Lowering &lowering, onnx::MaxPoolOp op) {
  Pool pool(lowering, op);
  OpBuilder &builder = lowering.builder;
  Type type = storageType(tensorType(op.getX()).getElementType());
  bool isFloat = isa<FloatType>(type);
  TypedAttr lowest;
  if (auto number = dyn_cast<FloatType>(type))
    lowest = builder.getFloatAttr(type, APFloat::getInf(number.getFloatSemantics(), true));
  else
    lowest = builder.getIntegerAttr(type, APInt::getSignedMinValue(type.getIntOrFloatBitWidth()));
  Value largest = lowering.reduce(pool.sizes, pool.spatial, lowest, {pool.window()},
                                  [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                                    Value x = pool.element(b, loc, type, lowest);
                                    if (isFloat)
                                      return arith::MaximumFOp::create(b, loc, args[1], x);
                                    return arith::MaxSIOp::create(b, loc, args[1], x);
                                  });
  lowering.bind(op.getY(), pool.isUnsigned
                               ? lowering.map(pool.sizes, type, {View::of(largest)},
                                              [](OpBuilder &b, Location loc, ValueRange args) {
                                                return flipSign(b, loc, args[0]);
                                              })
                               : largest);
  if (op.getIndices().use_empty())
    return success();

  // The first element of the window that equals the largest one, as a number within the window.
  Type word = builder.getI64Type();
  TypedAttr none = builder.getI64IntegerAttr(std::numeric_limits<int64_t>::max());
  int64_t loops = pool.rank + pool.spatial;
  View found = View::of(largest).through(
      AffineMap::getMultiDimIdentityMap(loops, builder.getContext()).getMajorSubMap(pool.rank));
  Value first = lowering.reduce(
      pool.sizes, pool.spatial, none, {found, pool.window()},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        IndexMath math{b, loc};
        Value x = pool.element(b, loc, type, lowest);
        Value same =
            isFloat ? Value(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, args[0]))
                    : math.equal(x, args[0]);
        // A pad equals the largest element only where all are as small; the clamped place counts.
        Value number = math.number(0);
        for (int64_t i = 0; i < pool.spatial; ++i)
          number =
              math.add(math.mul(number, math.number(pool.kernel[i])), math.loop(pool.rank + i));
        Value wide = arith::IndexCastOp::create(b, loc, word, number);
        Value taken =
            arith::SelectOp::create(b, loc, same, wide, arith::ConstantOp::create(b, loc, none));
        return arith::MinSIOp::create(b, loc, args[2], taken);
      });
  Value indices = lowering.map(
      pool.sizes, word, {View::of(first)},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        IndexMath math{b, loc};
        int64_t count = 1;
        for (int64_t size : pool.kernel)
          count *= size;
        Value number = arith::MinSIOp::create(b, loc, args[0], constantOf(b, loc, word, count - 1));
        number = arith::IndexCastOp::create(b, loc, b.getIndexType(), number);
        SmallVector<Value> places(pool.spatial);
        for (int64_t i = pool.spatial - 1; i >= 0; --i) {
          Value size = math.number(pool.kernel[i]);
          Value rest = i ? arith::DivSIOp::create(b, loc, number, size).getResult() : Value();
          Value k = i ? math.sub(number, math.mul(rest, size)) : number;
          places[i] = math.clamp(pool.place(math, i, k), math.size(pool.extents[i + 2]));
          number = rest;
        }
        // Within a channel row-major, or the last dim slowest.
        SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, pool.spatial));
        if (op.getColumnMajor())
          std::reverse(order.begin(), order.end());
        Value position = math.add(math.mul(math.loop(0), math.size(pool.extents[1])), math.loop(1));
        for (int64_t i : order)
          position = math.add(math.mul(position, math.size(pool.extents[i + 2])), places[i]);
        return arith::IndexCastOp::create(b, loc, word, position);
      });
  lowering.bind(op.getIndices(), indices);
  return success();
}

LogicalResult lowerAveragePool(Lowering &lowering, onnx::AveragePoolOp op) {
  Pool pool(lowering, op);
  pool.mayEndOutside = op.getCeilMode();
  OpBuilder &builder = lowering.builder;
  Type element = tensorType(op.getX()).getElementType(), type = accumulatorType(element);
  TypedAttr zero = builder.getZeroAttr(type);
  Value sum = lowering.reduce(pool.sizes, pool.spatial, zero, {pool.window()},
                              [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                                return arith::AddFOp::create(b, loc, args[1],
                                                             pool.element(b, loc, type, zero));
                              });
  bool allCount = op.getCountIncludePad() && !op.getCeilMode();
  Value mean = lowering.map(
      pool.sizes, element, {View::of(sum)}, [&](OpBuilder &b, Location loc, ValueRange args) {
        IndexMath math{b, loc};
        Value count = math.number(1);
        for (int64_t i = 0; i < pool.spatial; ++i) {
          Value size = math.number(pool.kernel[i]), step = math.number(pool.dilations[i]);
          bool inside =
              pool.pads[i] == 0 && pool.pads[pool.spatial + i] == 0 && !pool.mayEndOutside;
          if (allCount || inside) {
            count = math.mul(count, size);
            continue;
          }
          // Window elements from `low` up to `high` count.
          Value start = pool.place(math, i, math.number(0)), limit = math.size(pool.extents[i + 2]);
          if (op.getCountIncludePad())
            limit = math.add(limit, math.number(pool.pads[pool.spatial + i]));
          Value high =
              math.min(size, math.ceilDiv(math.max(math.sub(limit, start), math.number(0)), step));
          Value low = math.number(0);
          if (!op.getCountIncludePad())
            low = math.ceilDiv(math.max(math.sub(low, start), low), step);
          count = math.mul(count, math.max(math.sub(high, low), math.number(0)));
        }
        Value number =
            arith::IndexCastOp::create(b, loc, b.getI64Type(), math.max(count, math.number(1)));
        Value y = arith::DivFOp::create(b, loc, args[0], convert(b, loc, number, type));
        return convert(b, loc, y, element);
      });
  lowering.bind(op.getY(), mean);
  return success();
}

} // namespace

std::optional<LogicalResult> Lowering::lowerWindows(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](onnx::ConvOp conv) { return lowerConv(*this, conv); })
      .Case([&](onnx::ConvTransposeOp conv) { return lowerConvTranspose(*this, conv); })
      .Case([&](onnx::MaxPoolOp pool) { return lowerMaxPool(*this, pool); })
      .Case([&](onnx::AveragePoolOp pool) { return lowerAveragePool(*this, pool); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace rapt::fuse
