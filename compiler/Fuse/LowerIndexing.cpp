//===- LowerIndexing.cpp - Gather, Concat, Range, ... => loads at computed places ------===//
//
// Each is one parallel linalg.generic whose body reads with tensor.extract. Indices that come from
// outside are checked by the host first (kernel.check_indices), so that the loads stay inside;
// those that a loop computes are clamped, and the loop carries the first wrong one out to be
// checked.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"
#include "compiler/Fuse/Lowering.h"

#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace rapt::fuse {

using onnx::SymbolicExpr;

// --- Indices -------------------------------------------------------------------------------------

/// Constants of more elements than this are not read to find their range.
static constexpr int64_t kRangeLimit = 65536;

/// At most this many operations are looked at on the way: bounds may have bounds in turn.
static constexpr int kRangeSteps = 256;

/// The least and the greatest number of an integer tensor, when they can be known.
struct IndexRange {
  SymbolicExpr least, greatest;
};
static std::optional<IndexRange> rangeOf(Lowering &lowering, Value value, int &steps) {
  if (--steps < 0)
    return std::nullopt;
  const onnx::Content &content = lowering.content(value);
  if (content.isAffine() && content.base().kind == onnx::Element::Int) {
    IndexRange range{content.base().expr, content.base().expr};
    for (auto [stride, dim] : llvm::zip(content.strides(), lowering.shape(value))) {
      if (stride.lowerBound() < 0)
        return std::nullopt;
      range.greatest = range.greatest + stride * (dim - SymbolicExpr(1));
    }
    return range;
  }
  Operation *op = value.getDefiningOp();
  onnx::Content listed = content;
  if (auto constant = dyn_cast_or_null<onnx::ConstantOp>(op))
    listed = onnx::readContent(constant.getValue(), kRangeLimit);
  else if (auto weight = dyn_cast_or_null<kernel::WeightOp>(op);
           weight && weight.getSources().size() == 1)
    listed = onnx::readContent(cast<ElementsAttr>(weight.getSources()[0]), kRangeLimit);
  if (listed.hasElements() && !listed.elements().empty()) {
    std::optional<IndexRange> range;
    for (const onnx::Element &element : listed.elements()) {
      std::optional<int64_t> number =
          element.kind == onnx::Element::Int ? element.expr.constant() : std::nullopt;
      if (!number)
        return std::nullopt;
      if (!range)
        range = IndexRange{element.expr, element.expr};
      range->least = std::min(*range->least.constant(), *number);
      range->greatest = std::max(*range->greatest.constant(), *number);
    }
    return range;
  }
  if (!op)
    return std::nullopt;
  if (isa<onnx::ReshapeOp, onnx::TransposeOp, onnx::ExpandOp, onnx::SliceOp, onnx::SqueezeOp,
          onnx::UnsqueezeOp, onnx::IdentityOp, onnx::GatherOp, onnx::GatherElementsOp>(op))
    return rangeOf(lowering, op->getOperand(0), steps);
  if (auto cast = dyn_cast<onnx::CastOp>(op);
      cast && tensorType(cast.getInput()).getElementType().isInteger(32))
    return rangeOf(lowering, cast.getInput(), steps);
  if (auto clip = dyn_cast<onnx::ClipOp>(op); clip && clip.getMin() && clip.getMax()) {
    std::optional<IndexRange> least = rangeOf(lowering, clip.getMin(), steps),
                              greatest = rangeOf(lowering, clip.getMax(), steps);
    // min(max(x, least), greatest), also where the bounds are in the wrong order.
    if (least && greatest)
      return IndexRange{SymbolicExpr::min(least->least, greatest->least), greatest->greatest};
  }
  return std::nullopt;
}

Value Lowering::wrapIndex(OpBuilder &b, Location at, Value index, OpFoldResult extent) {
  Value negative = arith::CmpIOp::create(b, at, arith::CmpIPredicate::slt, index,
                                         arith::ConstantIndexOp::create(b, at, 0));
  Value size = getConstantIntValue(extent)
                   ? arith::ConstantIndexOp::create(b, at, *getConstantIntValue(extent)).getResult()
                   : cast<Value>(extent);
  return arith::SelectOp::create(b, at, negative, arith::AddIOp::create(b, at, index, size), index);
}

Indices Lowering::checkIndices(Operation *op, Value indices, Value data, int64_t axis,
                               std::optional<int64_t> column) {
  const SymbolicExpr extent = shape(data)[axis];
  View taken = view(indices);
  Sizes taking = sizes(indices);
  if (column) {
    taking.pop_back();
    SmallVector<AffineExpr> place;
    for (size_t i = 0; i < taking.size(); ++i)
      place.push_back(builder.getAffineDimExpr(i));
    place.push_back(builder.getAffineConstantExpr(*column));
    taken = taken.through(AffineMap::get(taking.size(), 0, place, builder.getContext()));
    taken.window = true;
  }
  int steps = kRangeSteps;
  if (std::optional<IndexRange> range = rangeOf(*this, indices, steps)) {
    bool nonNegative = range->least.lowerBound() >= 0;
    bool above =
        nonNegative || SymbolicExpr::provablyAtMost(SymbolicExpr(0) - extent, range->least);
    if (above && SymbolicExpr::provablyAtMost(range->greatest, extent - SymbolicExpr(1)))
      return {taken, nonNegative};
  }
  OpFoldResult size = sizes(data)[axis];
  std::optional<int64_t> fixed = getConstantIntValue(size);
  Indices result{taken, false};
  Type type = tensorType(indices).getElementType();
  Value checked = column ? materialize(taken, taking, type) : tensor(indices);
  // The lower bound of a check is a constant, so a dim that is none wants its indices counted from
  // 0.
  if (!fixed) {
    checked =
        map(taking, type, {result.view}, [&](OpBuilder &b, Location at, ValueRange args) -> Value {
          // One that is too low stays as it is, so that the message shows it.
          Value index = arith::IndexCastOp::create(b, at, b.getIndexType(), args[0]);
          Value wrapped = wrapIndex(b, at, index, size);
          Value low = arith::CmpIOp::create(b, at, arith::CmpIPredicate::slt, wrapped,
                                            arith::ConstantIndexOp::create(b, at, 0));
          Value kept = arith::SelectOp::create(b, at, low, index, wrapped);
          return arith::IndexCastOp::create(b, at, type, kept);
        });
    result = {View::of(checked), true};
  }
  std::string message = onnx::nodeText(op) + ": index %lld at position %lld is outside dim " +
                        std::to_string(axis) + " (" + extent.str() + ") of its data";
  int64_t lower = fixed ? -*fixed : 0;
  if (inLoop()) {
    requireNonEmpty(SymbolicExpr(extent));
    Value nearest =
        map(taking, type, {View::of(checked)}, [&](OpBuilder &b, Location at, ValueRange args) {
          IndexMath math{b, at};
          Value index = arith::IndexCastOp::create(b, at, b.getIndexType(), args[0]);
          Value last = math.sub(math.size(size), math.number(1));
          Value inside = math.max(math.min(index, last), math.number(lower));
          return arith::IndexCastOp::create(b, at, storageType(type), inside).getResult();
        });
    result = {View::of(nearest), !fixed};
  }
  check(checked, taking, lower, size, message);
  return result;
}

// --- Operations ----------------------------------------------------------------------------------

namespace {

SmallVector<Value> loopIndices(OpBuilder &b, Location loc, int64_t rank) {
  SmallVector<Value> indices;
  for (int64_t i = 0; i < rank; ++i)
    indices.push_back(linalg::IndexOp::create(b, loc, i));
  return indices;
}

/// `number` as an index into a dim of `extent`.
Value toIndex(Lowering &lowering, OpBuilder &b, Location loc, Value number, const Indices &indices,
              OpFoldResult extent) {
  auto cast = number.getDefiningOp<arith::IndexCastOp>();
  Value index = cast && cast.getIn().getType().isIndex()
                    ? cast.getIn()
                    : arith::IndexCastOp::create(b, loc, b.getIndexType(), number).getResult();
  return indices.nonNegative ? index : lowering.wrapIndex(b, loc, index, extent);
}

/// A constant place along one axis is only another way to read.
bool lowerConstantGather(Lowering &lowering, onnx::GatherOp op) {
  const onnx::Content &content = lowering.content(op.getIndices());
  if (tensorType(op.getIndices()).getNumElements() != 1 || !content.hasElements() ||
      content.elements()[0].kind != onnx::Element::Int)
    return false;
  std::optional<int64_t> index = content.elements()[0].expr.constant();
  int64_t axis = op.getAxis(), rank = tensorType(op.getData()).getRank(),
          inner = tensorType(op.getIndices()).getRank();
  const SymbolicExpr &extent = lowering.shape(op.getData())[axis];
  if (index && *index < 0 && extent.constant())
    *index += *extent.constant();
  if (!index || *index < 0 || !SymbolicExpr::provablyAtMost(SymbolicExpr(*index + 1), extent))
    return false;
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < rank; ++i)
    indices.push_back(i == axis ? lowering.builder.getAffineConstantExpr(*index)
                                : lowering.builder.getAffineDimExpr(i < axis ? i : i - 1 + inner));
  AffineMap map = AffineMap::get(rank - 1 + inner, 0, indices, lowering.builder.getContext());
  lowering.bind(op.getOutput(), View(lowering.view(op.getData())).through(map));
  return true;
}

LogicalResult lowerGather(Lowering &lowering, onnx::GatherOp op) {
  if (tensorType(op.getIndices()).hasStaticShape() && lowerConstantGather(lowering, op))
    return success();
  int64_t axis = op.getAxis(), rank = tensorType(op.getOutput()).getRank(),
          inner = tensorType(op.getIndices()).getRank();
  Indices indices = lowering.checkIndices(op, op.getIndices(), op.getData(), axis);
  SmallVector<AffineExpr> dims;
  for (int64_t i = 0; i < inner; ++i)
    dims.push_back(lowering.builder.getAffineDimExpr(axis + i));
  View index = indices.view.through(AffineMap::get(rank, 0, dims, lowering.builder.getContext()));
  View data = lowering.view(op.getData());
  OpFoldResult extent = lowering.sizes(op.getData())[axis];
  Type element = tensorType(op.getOutput()).getElementType();
  Value result = lowering.map(
      lowering.sizes(op.getOutput()), element, {index},
      [&](OpBuilder &b, Location loc, ValueRange args) {
        SmallVector<Value> loops = loopIndices(b, loc, rank), position;
        for (int64_t i = 0; i < tensorType(op.getData()).getRank(); ++i)
          position.push_back(i == axis ? toIndex(lowering, b, loc, args[0], indices, extent)
                                       : loops[i < axis ? i : i - 1 + inner]);
        return lowering.load(b, loc, data, element, position);
      });
  lowering.bind(op.getOutput(), result);
  return success();
}

LogicalResult lowerGatherElements(Lowering &lowering, onnx::GatherElementsOp op) {
  int64_t axis = op.getAxis(), rank = tensorType(op.getOutput()).getRank();
  Indices indices = lowering.checkIndices(op, op.getIndices(), op.getData(), axis);
  View data = lowering.view(op.getData());
  OpFoldResult extent = lowering.sizes(op.getData())[axis];
  Type element = tensorType(op.getOutput()).getElementType();
  Value result = lowering.map(lowering.sizes(op.getOutput()), element, {indices.view},
                              [&](OpBuilder &b, Location loc, ValueRange args) {
                                SmallVector<Value> position = loopIndices(b, loc, rank);
                                position[axis] =
                                    toIndex(lowering, b, loc, args[0], indices, extent);
                                return lowering.load(b, loc, data, element, position);
                              });
  lowering.bind(op.getOutput(), result);
  return success();
}

/// Part `i` of index tuples that a Concat along the last axis put together from single columns;
/// null when they were not made that way.
Value tuplePart(Value indices, int64_t i, int64_t count) {
  auto concat = indices.getDefiningOp<onnx::ConcatOp>();
  int64_t last = tensorType(indices).getRank() - 1;
  if (!concat || static_cast<int64_t>(concat.getAxis()) != last ||
      static_cast<int64_t>(concat.getInputs().size()) != count)
    return {};
  for (Value input : concat.getInputs())
    if (tensorType(input).getDimSize(last) != 1)
      return {};
  return concat.getInputs()[i];
}

/// output[b..., i..., d...] = data[b..., indices[b..., i..., :], d...]
LogicalResult lowerGatherND(Lowering &lowering, onnx::GatherNDOp op) {
  auto indexType = tensorType(op.getIndices());
  int64_t batch = op.getBatchDims(), tuples = indexType.getRank() - 1,
          count = indexType.getShape().back();
  int64_t rank = tensorType(op.getOutput()).getRank();
  if (ShapedType::isDynamic(count))
    return Lowering::refuse(op) << "with index tuples of dynamic length is not supported";
  SmallVector<Indices> parts;
  SmallVector<View> inputs;
  for (int64_t i = 0; i < count; ++i) {
    Value part = tuplePart(op.getIndices(), i, count);
    SmallVector<AffineExpr> dims;
    for (int64_t j = 0; j < tuples; ++j)
      dims.push_back(lowering.builder.getAffineDimExpr(j));
    if (part)
      dims.push_back(lowering.builder.getAffineConstantExpr(0));
    AffineMap map = AffineMap::get(rank, 0, dims, lowering.builder.getContext());
    parts.push_back(part ? lowering.checkIndices(op, part, op.getData(), batch + i)
                         : lowering.checkIndices(op, op.getIndices(), op.getData(), batch + i, i));
    inputs.push_back(parts.back().view.through(map));
  }
  View data = lowering.view(op.getData());
  Sizes extents = lowering.sizes(op.getData());
  Type element = tensorType(op.getOutput()).getElementType();
  Value result = lowering.map(
      lowering.sizes(op.getOutput()), element, inputs,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        SmallVector<Value> loops = loopIndices(b, loc, rank),
                           position(loops.begin(), loops.begin() + batch);
        for (int64_t i = 0; i < count; ++i)
          position.push_back(toIndex(lowering, b, loc, args[i], parts[i], extents[batch + i]));
        position.append(loops.begin() + tuples, loops.end());
        return lowering.load(b, loc, data, element, position);
      });
  lowering.bind(op.getOutput(), result);
  return success();
}

/// y = x * cos + partner(x) * sin below rotary_dim, in one pass over x.
LogicalResult lowerRotaryEmbedding(Lowering &lowering, onnx::RotaryEmbeddingOp op) {
  int64_t rank = tensorType(op.getX()).getRank(), rotated = op.getRotaryDim();
  bool partial = rotated != tensorType(op.getX()).getShape().back(), pairs = op.getInterleaved();
  View x = lowering.view(op.getX());
  SmallVector<View> inputs{x}, angles;
  for (Value angle : {op.getCos(), op.getSin()}) {
    angles.push_back(lowering.broadcast(angle, rank, rank));
    if (!partial)
      inputs.push_back(angles.back());
  }
  Type element = tensorType(op.getX()).getElementType(), type = accumulatorType(element);
  Value result = lowering.map(
      lowering.sizes(op.getX()), element, inputs, [&](OpBuilder &b, Location loc, ValueRange args) {
        auto number = [&](int64_t value) -> Value {
          return arith::ConstantIndexOp::create(b, loc, value);
        };
        auto below = [&](Value index, int64_t bound) -> Value {
          return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, index, number(bound));
        };
        SmallVector<Value> loops = loopIndices(b, loc, rank), at = loops;
        Value d = loops.back(), isFirst, step;
        if (pairs) {
          isFirst = below(arith::RemSIOp::create(b, loc, d, number(2)), 1);
          step = number(1);
        } else {
          isFirst = below(d, rotated / 2);
          step = number(rotated / 2);
        }
        Value after = arith::AddIOp::create(b, loc, d, step),
              before = arith::SubIOp::create(b, loc, d, step);
        // Past rotary_dim the partner is not used, but must exist.
        at.back() = arith::SelectOp::create(b, loc, isFirst, after, before);
        if (partial)
          at.back() = arith::MinSIOp::create(b, loc, at.back(), number(rotated - 1));
        Value partner = convert(b, loc, lowering.load(b, loc, x, element, at), type);
        partner = arith::SelectOp::create(b, loc, isFirst, arith::NegFOp::create(b, loc, partner),
                                          partner);
        Value own = convert(b, loc, args[0], type), cosine, sine;
        if (partial) {
          SmallVector<Value> place = loops;
          place.back() = arith::MinSIOp::create(b, loc, d, number(rotated - 1));
          cosine = lowering.load(b, loc, angles[0], element, place);
          sine = lowering.load(b, loc, angles[1], element, place);
        } else {
          cosine = args[1];
          sine = args[2];
        }
        Value turned = arith::AddFOp::create(
            b, loc, arith::MulFOp::create(b, loc, own, convert(b, loc, cosine, type)),
            arith::MulFOp::create(b, loc, partner, convert(b, loc, sine, type)));
        if (partial)
          turned = arith::SelectOp::create(b, loc, below(d, rotated), turned, own);
        return convert(b, loc, turned, element);
      });
  lowering.bind(op.getY(), result);
  return success();
}

LogicalResult lowerRange(Lowering &lowering, onnx::RangeOp op) {
  Type element = tensorType(op.getOutput()).getElementType();
  View start = lowering.view(op.getStart()), delta = lowering.view(op.getDelta());
  Value result = lowering.map(
      lowering.sizes(op.getOutput()), element, {},
      [&](OpBuilder &b, Location loc, ValueRange) -> Value {
        Value first = lowering.load(b, loc, start, element, {}),
              step = lowering.load(b, loc, delta, element, {});
        Value i =
            arith::IndexCastOp::create(b, loc, b.getI64Type(), linalg::IndexOp::create(b, loc, 0));
        i = convert(b, loc, i, element);
        if (isa<FloatType>(element))
          return arith::AddFOp::create(b, loc, first, arith::MulFOp::create(b, loc, i, step));
        return arith::AddIOp::create(b, loc, first, arith::MulIOp::create(b, loc, i, step));
      });
  lowering.bind(op.getOutput(), result);
  return success();
}

LogicalResult lowerTile(Lowering &lowering, onnx::TileOp op) {
  int64_t rank = tensorType(op.getOutput()).getRank();
  View data = lowering.view(op.getInput());
  SmallVector<Value> extents;
  for (OpFoldResult size : lowering.sizes(op.getInput()))
    extents.push_back(lowering.indexValue(size));
  Type element = tensorType(op.getOutput()).getElementType();
  Value result = lowering.map(lowering.sizes(op.getOutput()), element, {},
                              [&](OpBuilder &b, Location loc, ValueRange) {
                                SmallVector<Value> position = loopIndices(b, loc, rank);
                                for (auto [index, extent] : llvm::zip_equal(position, extents))
                                  index = arith::RemSIOp::create(b, loc, index, extent);
                                return lowering.load(b, loc, data, element, position);
                              });
  lowering.bind(op.getOutput(), result);
  return success();
}

LogicalResult lowerTrilu(Lowering &lowering, onnx::TriluOp op) {
  int64_t rank = tensorType(op.getOutput()).getRank();
  View data = lowering.view(op.getInput());
  Type element = tensorType(op.getOutput()).getElementType();
  AffineMap identity = lowering.builder.getMultiDimIdentityMap(rank);
  Value result = lowering.map(
      lowering.sizes(op.getOutput()), element, {data.through(identity)},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value row = linalg::IndexOp::create(b, loc, rank - 2),
              column = linalg::IndexOp::create(b, loc, rank - 1);
        Value diagonal =
            arith::AddIOp::create(b, loc, row, arith::ConstantIndexOp::create(b, loc, op.getK()));
        auto predicate = op.getUpper() ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle;
        Value kept = arith::CmpIOp::create(b, loc, predicate, column, diagonal);
        return arith::SelectOp::create(b, loc, kept, args[0], constantOf(b, loc, element, 0));
      });
  lowering.bind(op.getOutput(), result);
  return success();
}

} // namespace

std::optional<LogicalResult> Lowering::lowerIndexing(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](onnx::GatherOp gather) { return lowerGather(*this, gather); })
      .Case([&](onnx::GatherElementsOp gather) { return lowerGatherElements(*this, gather); })
      .Case([&](onnx::GatherNDOp gather) { return lowerGatherND(*this, gather); })
      .Case([&](onnx::RotaryEmbeddingOp rotary) { return lowerRotaryEmbedding(*this, rotary); })
      .Case([&](onnx::ConcatOp concat) { return lowerConcat(concat); })
      .Case([&](onnx::RangeOp range) { return lowerRange(*this, range); })
      .Case([&](onnx::TileOp tile) { return lowerTile(*this, tile); })
      .Case([&](onnx::TriluOp trilu) { return lowerTrilu(*this, trilu); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace rapt::fuse
