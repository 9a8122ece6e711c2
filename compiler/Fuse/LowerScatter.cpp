//===- LowerScatter.cpp - Scatters and TopK => sequential loops ------------------------===//
//
// linalg has no form for writes at computed places, so these are nests of scf.for that carry one
// tensor: a copy of the data in which the updates are put one after the other (duplicates act in
// order), or the indices found so far. Such a nest becomes a kernel.region of its own, which goes
// through the reference lowering. Work: data + updates elements for a scatter, k * n for a TopK
// row.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"
#include "compiler/Fuse/Lowering.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace rapt::fuse {

namespace {

/// `old` with `update` by the reduction of a scatter.
Value combine(OpBuilder &b, Location loc, StringRef reduction, Value old, Value update,
              bool isUnsigned) {
  bool isFloat = isa<FloatType>(old.getType());
  if (reduction == "add")
    return isFloat ? Value(arith::AddFOp::create(b, loc, old, update))
                   : Value(arith::AddIOp::create(b, loc, old, update));
  if (reduction == "mul")
    return isFloat ? Value(arith::MulFOp::create(b, loc, old, update))
                   : Value(arith::MulIOp::create(b, loc, old, update));
  if (reduction == "max")
    return isFloat      ? Value(arith::MaximumFOp::create(b, loc, old, update))
           : isUnsigned ? Value(arith::MaxUIOp::create(b, loc, old, update))
                        : Value(arith::MaxSIOp::create(b, loc, old, update));
  if (reduction == "min")
    return isFloat      ? Value(arith::MinimumFOp::create(b, loc, old, update))
           : isUnsigned ? Value(arith::MinUIOp::create(b, loc, old, update))
                        : Value(arith::MinSIOp::create(b, loc, old, update));
  return update;
}

/// `carried` with `update` put, or combined, at `place`.
template <typename Op>
Value put(OpBuilder &b, Location loc, Op op, Value carried, ValueRange place, Value update) {
  if (op.getReduction() != "none") {
    Value old = tensor::ExtractOp::create(b, loc, carried, place);
    bool isUnsigned = tensorType(op.getData()).getElementType().isUnsignedInteger();
    update = combine(b, loc, op.getReduction(), old, update, isUnsigned);
  }
  return tensor::InsertOp::create(b, loc, update, carried, place);
}

Value readIndex(Lowering &lowering, OpBuilder &b, Location loc, const Indices &indices,
                OpFoldResult extent, ValueRange at) {
  Value number = lowering.load(b, loc, indices.view, b.getI64Type(), at);
  Value index = arith::IndexCastOp::create(b, loc, b.getIndexType(), number);
  return indices.nonNegative ? index : lowering.wrapIndex(b, loc, index, extent);
}

/// No updates: the result is the data.
template <typename Op> bool isIdle(Lowering &lowering, Op op) {
  if (!llvm::is_contained(tensorType(op.getUpdates()).getShape(), 0))
    return false;
  lowering.bind(op.getOutput(), View(lowering.view(op.getData())));
  return true;
}

LogicalResult lowerScatterElements(Lowering &lowering, onnx::ScatterElementsOp op) {
  if (isIdle(lowering, op))
    return success();
  int64_t axis = op.getAxis();
  Indices indices = lowering.checkIndices(op, op.getIndices(), op.getData(), axis);
  View updates = lowering.view(op.getUpdates());
  OpFoldResult extent = lowering.sizes(op.getData())[axis];
  Value data = lowering.tensor(op.getData());
  Type element = tensorType(data).getElementType();
  Values result = carry(lowering.builder, lowering.loc, lowering.sizes(op.getIndices()), data,
                        [&](IndexMath &math, ValueRange at, ValueRange carried) -> Values {
                          OpBuilder &b = math.b;
                          Location loc = math.loc;
                          Values place(at);
                          place[axis] = readIndex(lowering, b, loc, indices, extent, at);
                          Value update = lowering.load(b, loc, updates, element, at);
                          return {put(b, loc, op, carried[0], place, update)};
                        });
  lowering.bind(op.getOutput(), result[0]);
  return success();
}

LogicalResult lowerScatterND(Lowering &lowering, onnx::ScatterNDOp op) {
  if (isIdle(lowering, op))
    return success();
  int64_t tuples = tensorType(op.getIndices()).getRank() - 1,
          rank = tensorType(op.getUpdates()).getRank(),
          count = tensorType(op.getData()).getRank() - (rank - tuples);
  SmallVector<Indices> columns;
  for (int64_t i = 0; i < count; ++i)
    columns.push_back(lowering.checkIndices(op, op.getIndices(), op.getData(), i, i));
  View updates = lowering.view(op.getUpdates());
  Sizes extents = lowering.sizes(op.getData());
  Value data = lowering.tensor(op.getData());
  Type element = tensorType(data).getElementType();
  Values result =
      carry(lowering.builder, lowering.loc, lowering.sizes(op.getUpdates()), data,
            [&](IndexMath &math, ValueRange loops, ValueRange carried) -> Values {
              OpBuilder &b = math.b;
              Location loc = math.loc;
              ValueRange at = loops.take_front(rank), tuple = at.take_front(tuples);
              Values place;
              for (int64_t i = 0; i < count; ++i)
                place.push_back(readIndex(lowering, b, loc, columns[i], extents[i], tuple));
              llvm::append_range(place, at.drop_front(tuples));
              Value update = lowering.load(b, loc, updates, element, at);
              return {put(b, loc, op, carried[0], place, update)};
            });
  lowering.bind(op.getOutput(), result[0]);
  return success();
}

// --- TopK ----------------------------------------------------------------------------------------

/// Finds the elements of each row one after the other: the next one is the best of those behind the
/// last one in the order by value and then by index.
LogicalResult lowerTopK(Lowering &lowering, onnx::TopKOp op) {
  OpBuilder &builder = lowering.builder;
  int64_t axis = op.getAxis(), rank = tensorType(op.getX()).getRank();
  Type onnxType = tensorType(op.getX()).getElementType(), element = storageType(onnxType),
       word = builder.getI64Type();
  bool isUnsigned = onnxType.isUnsignedInteger();
  View x = lowering.view(op.getX());
  Sizes extents = lowering.sizes(op.getX()), sizes = lowering.sizes(op.getIndices()), loops;
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis)
      loops.push_back(sizes[i]);
  loops.push_back(sizes[axis]);
  Value empty = tensor::EmptyOp::create(builder, lowering.loc, sizes, word);
  Value indices = carry(
      builder, lowering.loc, loops, empty,
      [&](IndexMath &math, ValueRange at, ValueRange carried) -> Values {
        OpBuilder &b = math.b;
        Location loc = math.loc;
        Value zero = math.number(0), slot = at.back();
        SmallVector<Value> place(at.drop_back());
        place.insert(place.begin() + axis, slot);
        auto elementAt = [&](OpBuilder &inner, Value index) {
          SmallVector<Value> position(place);
          position[axis] = index;
          return lowering.load(inner, loc, x, element, position);
        };
        auto better = [&](OpBuilder &inner, Value one, Value other) {
          return op.getLargest() ? isAbove(inner, loc, one, other, isUnsigned)
                                 : isAbove(inner, loc, other, one, isUnsigned);
        };
        Value isFirst = math.equal(slot, zero);
        SmallVector<Value> before(place);
        before[axis] = math.max(math.sub(slot, math.number(1)), zero);
        Value found = tensor::ExtractOp::create(b, loc, carried[0], before);
        Value last =
            math.pick(isFirst, zero, arith::IndexCastOp::create(b, loc, b.getIndexType(), found));
        Value lastValue = elementAt(b, last), none = math.number(-1);
        auto search = scf::ForOp::create(
            b, loc, zero, math.size(extents[axis]), math.number(1), ValueRange{none, lastValue},
            [&](OpBuilder &inner, Location, Value index, ValueRange best) {
              IndexMath m{inner, loc};
              Value value = elementAt(inner, index);
              Value later = m.less(last, index);
              Value tied = arith::AndIOp::create(
                  inner, loc, later,
                  arith::XOrIOp::create(inner, loc, better(inner, value, lastValue),
                                        constantOf(inner, loc, inner.getI1Type(), 1)));
              Value behind =
                  arith::OrIOp::create(inner, loc, better(inner, lastValue, value), tied);
              behind = arith::OrIOp::create(inner, loc, behind, isFirst);
              Value improves = arith::OrIOp::create(inner, loc, m.less(best[0], m.number(0)),
                                                    better(inner, value, best[1]));
              Value taken = m.both(behind, improves);
              Value nextIndex = m.pick(taken, index, best[0]);
              Value nextValue = m.pick(taken, value, best[1]);
              scf::YieldOp::create(inner, loc, ValueRange{nextIndex, nextValue});
            });
        Value index = arith::IndexCastOp::create(b, loc, word, search.getResult(0));
        return {tensor::InsertOp::create(b, loc, index, carried[0], place)};
      })[0];
  lowering.bind(op.getIndices(), indices);
  Value values = lowering.map(
      sizes, element, {View::of(indices)}, [&](OpBuilder &b, Location loc, ValueRange args) {
        IndexMath math{b, loc};
        SmallVector<Value> position;
        for (int64_t i = 0; i < rank; ++i)
          position.push_back(math.loop(i));
        position[axis] = arith::IndexCastOp::create(b, loc, b.getIndexType(), args[0]);
        return lowering.load(b, loc, x, element, position);
      });
  lowering.bind(op.getValues(), values);
  return success();
}

} // namespace

std::optional<LogicalResult> Lowering::lowerScatter(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](onnx::ScatterElementsOp scatter) { return lowerScatterElements(*this, scatter); })
      .Case([&](onnx::ScatterNDOp scatter) { return lowerScatterND(*this, scatter); })
      .Case([&](onnx::TopKOp top) { return lowerTopK(*this, top); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace rapt::fuse
