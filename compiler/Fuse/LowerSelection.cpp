//===- LowerSelection.cpp - NonZero and RankRows => sequential loops -------------------===//
//
// NonZero is a sum, kernel.measure of it, and a nest of scf.for that puts indices one after the
// other into a tensor of the measured size. RankRows keeps the different rows in order and finds
// each row's place among them by halving: n log n comparisons, and at most n moves of an index a
// group.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"
#include "compiler/Fuse/Lowering.h"

#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace rapt::fuse {

namespace {
using Values = SmallVector<Value>;

Value isNotZero(OpBuilder &b, Location loc, Value element) {
  Value x = convert(b, loc, element, accumulatorType(element.getType()));
  Value zero = constantOf(b, loc, x.getType(), 0);
  if (isa<FloatType>(x.getType())) // a NaN is not zero
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, x, zero);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, x, zero);
}

/// for i in 0, ..., size - 1: carried = body(i, carried)
scf::ForOp loopOver(OpBuilder &b, Location loc, Value size, ValueRange starts,
                    llvm::function_ref<Values(IndexMath &, Value, ValueRange)> body) {
  IndexMath math{b, loc};
  return scf::ForOp::create(b, loc, math.number(0), size, math.number(1), starts,
                            [&](OpBuilder &inner, Location at, Value i, ValueRange carried) {
                              IndexMath m{inner, at};
                              scf::YieldOp::create(inner, at, body(m, i, carried));
                            });
}

/// Loops over `sizes`, outermost first, that carry values through `body`.
Values nest(OpBuilder &b, Location loc, ArrayRef<Value> sizes, ValueRange starts, Values &indices,
            llvm::function_ref<Values(IndexMath &, ValueRange, ValueRange)> body) {
  auto loop =
      loopOver(b, loc, sizes.front(), starts, [&](IndexMath &math, Value i, ValueRange carried) {
        indices.push_back(i);
        Values next = sizes.size() == 1
                          ? body(math, indices, carried)
                          : nest(math.b, math.loc, sizes.drop_front(), carried, indices, body);
        indices.pop_back();
        return next;
      });
  return llvm::to_vector_of<Value>(loop.getResults());
}

/// The element at `place` of a rank 1 tensor of i64.
Value read(IndexMath &math, Value tensor, Value place) {
  Value word = tensor::ExtractOp::create(math.b, math.loc, tensor, place);
  return arith::IndexCastOp::create(math.b, math.loc, math.b.getIndexType(), word);
}

Value write(IndexMath &math, Value index, Value tensor, Value place) {
  Value word = arith::IndexCastOp::create(math.b, math.loc, math.b.getI64Type(), index);
  return tensor::InsertOp::create(math.b, math.loc, word, tensor, place);
}

Value pick(IndexMath &math, Value condition, Value x, Value y) {
  return arith::SelectOp::create(math.b, math.loc, condition, x, y);
}

/// x < y, where a NaN is above every number.
Value isLess(IndexMath &math, Value x, Value y, bool isUnsigned) {
  if (!isa<FloatType>(x.getType()))
    return arith::CmpIOp::create(
        math.b, math.loc, isUnsigned ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt, x, y);
  Value less = arith::CmpFOp::create(math.b, math.loc, arith::CmpFPredicate::OLT, x, y);
  Value number = arith::CmpFOp::create(math.b, math.loc, arith::CmpFPredicate::ORD, x, x);
  Value nan = arith::CmpFOp::create(math.b, math.loc, arith::CmpFPredicate::UNO, y, y);
  return arith::OrIOp::create(math.b, math.loc, less, math.both(number, nan));
}
} // namespace

Value Lowering::countNonZero(Value value) {
  int64_t rank = tensorType(value).getRank();
  Type word = builder.getI64Type();
  AffineMap places = AffineMap::getMultiDimIdentityMap(rank + 1, builder.getContext());
  View x = plain(value, llvm::to_vector(llvm::seq<int64_t>(0, rank)))
               .through(AffineMap::get(rank + 1, 0, places.getResults().drop_front(),
                                       builder.getContext()));
  return reduce({builder.getIndexAttr(1)}, rank, builder.getI64IntegerAttr(0), {x},
                [&](OpBuilder &b, Location at, ValueRange args) -> Value {
                  Value one = arith::ExtUIOp::create(b, at, word, isNotZero(b, at, args[0]));
                  return arith::AddIOp::create(b, at, args[1], one);
                });
}

LogicalResult Lowering::lowerNonZero(onnx::NonZeroOp op) {
  int64_t rank = tensorType(op.getX()).getRank();
  if (inLoop() || rank == 0)
    return refuse(op) << "is not supported "
                      << (rank == 0 ? "on scalars" : "in the body of a loop");
  if (measured.contains(op.getSymbol()))
    return refuse(op) << "measures '" << op.getSymbol() << "', which another operation does";
  const onnx::SymbolicExpr count = shape(op.getIndices())[1];
  Value bound = indexValue(size(count.withoutMeasured())), total = countNonZero(op.getX());
  measured[op.getSymbol()] = kernel::MeasureOp::create(builder, loc, op.getSymbol(), total, bound);
  View x = view(op.getX());
  Type element = storageType(tensorType(op.getX()).getElementType());
  Value columns = indexValue(size(count));
  Value empty = tensor::EmptyOp::create(builder, loc, sizes(op.getIndices()), builder.getI64Type());
  // A bool that is neither 0 nor 1 may be counted and not be found.
  Value zeros = linalg::FillOp::create(
                    builder, loc, ValueRange{arith::ConstantIntOp::create(builder, loc, 0, 64)},
                    ValueRange{empty})
                    .getResult(0);
  Values extents, indices;
  for (OpFoldResult extent : sizes(op.getX()))
    extents.push_back(indexValue(extent));
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Values filled = nest(
      builder, loc, extents, {zero, zeros}, indices,
      [&](IndexMath &math, ValueRange at, ValueRange carried) -> Values {
        Value taken = isNotZero(math.b, math.loc, load(math.b, math.loc, x, element, at));
        // What is not taken leaves the place for the next one as it is.
        Value place = math.min(carried[0], math.sub(columns, math.number(1))), next = carried[1];
        for (auto [row, index] : llvm::enumerate(at)) {
          Values where{math.number(row), place};
          Value word = arith::IndexCastOp::create(math.b, math.loc, math.b.getI64Type(), index);
          Value old = tensor::ExtractOp::create(math.b, math.loc, next, where);
          next =
              tensor::InsertOp::create(math.b, math.loc, pick(math, taken, word, old), next, where);
        }
        return {math.add(carried[0], pick(math, taken, math.number(1), math.number(0))), next};
      });
  bind(op.getIndices(), filled[1]);
  return success();
}

LogicalResult Lowering::lowerRankRows(onnx::RankRowsOp op) {
  if (inLoop())
    return refuse(op) << "is not supported in the body of a loop";
  Type onnxType = tensorType(op.getX()).getElementType(), element = storageType(onnxType);
  bool isUnsigned = onnxType.isUnsignedInteger() || onnxType.isInteger(1);
  View x = view(op.getX());
  Sizes extents = sizes(op.getX());
  Value rows = indexValue(extents[0]), width = indexValue(extents[1]);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Type word = builder.getI64Type();
  Value empty = tensor::EmptyOp::create(builder, loc, sizes(op.getFirsts()), word);
  Value none = linalg::FillOp::create(
                   builder, loc, ValueRange{arith::ConstantIntOp::create(builder, loc, -1, 64)},
                   ValueRange{empty})
                   .getResult(0);
  auto elementAt = [&](IndexMath &math, Value row, Value column) {
    Value loaded = load(math.b, math.loc, x, element, {row, column});
    return convert(math.b, math.loc, loaded, accumulatorType(element));
  };
  // -1, 0 or 1: the first difference of two rows says which is less.
  auto compare = [&](IndexMath &math, Value row, Value other) -> Value {
    return loopOver(math.b, math.loc, width, math.number(0),
                    [&](IndexMath &m, Value column, ValueRange carried) -> Values {
                      Value a = elementAt(m, row, column), b = elementAt(m, other, column);
                      Value order =
                          pick(m, isLess(m, a, b, isUnsigned), m.number(-1),
                               pick(m, isLess(m, b, a, isUnsigned), m.number(1), m.number(0)));
                      return {pick(m, m.equal(carried[0], m.number(0)), order, carried[0])};
                    })
        .getResult(0);
  };
  // `order` holds the first rows of the groups so far, the least one first, and then -1.
  scf::ForOp found = loopOver(
      builder, loc, rows, {zero, none, empty},
      [&](IndexMath &math, Value row, ValueRange carried) -> Values {
        Value groups = carried[0], order = carried[1], firsts = carried[2];
        // Half of what is left goes in each step, so this many are enough; equal: found already.
        scf::WhileOp search = scf::WhileOp::create(
            math.b, math.loc, TypeRange{groups.getType(), groups.getType(), groups.getType()},
            ValueRange{math.number(0), groups, math.number(-1)},
            [&](OpBuilder &b, Location at, ValueRange range) {
              scf::ConditionOp::create(b, at, IndexMath{b, at}.less(range[0], range[1]), range);
            },
            [&](OpBuilder &b, Location at, ValueRange range) {
              IndexMath m{b, at};
              Value middle = arith::DivSIOp::create(b, at, m.add(range[0], range[1]), m.number(2));
              Value first = read(m, order, middle), sign = compare(m, row, first);
              Value isSame = m.equal(sign, m.number(0)), isBelow = m.less(sign, m.number(0));
              Value low = pick(m, isBelow, range[0], m.add(middle, m.number(1)));
              Value high = pick(m, isBelow, middle, range[1]);
              scf::YieldOp::create(b, at,
                                   ValueRange{pick(m, isSame, range[1], low), high,
                                              pick(m, isSame, first, range[2])});
            });
        Value place = search.getResult(0), same = search.getResult(2);
        Value isNew = math.less(same, math.number(0));
        firsts = write(math, pick(math, isNew, row, same), firsts, row);
        // A new row moves those above it up, the last one first.
        Value moves = pick(math, isNew, math.sub(groups, place), math.number(0));
        order = loopOver(math.b, math.loc, moves, order,
                         [&](IndexMath &m, Value i, ValueRange inner) -> Values {
                           Value from = m.sub(m.sub(groups, m.number(1)), i);
                           return {write(m, read(m, inner[0], from), inner[0],
                                         m.add(from, m.number(1)))};
                         })
                    .getResult(0);
        Value slot = pick(math, isNew, place, math.number(0));
        Value kept = read(math, order, slot);
        order = write(math, pick(math, isNew, row, kept), order, slot);
        return {math.add(groups, pick(math, isNew, math.number(1), math.number(0))), order, firsts};
      });
  Value order = found.getResult(1), firsts = found.getResult(2);
  bind(op.getFirsts(), firsts);
  Value places = loopOver(builder, loc, rows, empty,
                          [&](IndexMath &math, Value i, ValueRange carried) -> Values {
                            Value row = read(math, order, i),
                                  isNone = math.less(row, math.number(0));
                            Value slot = math.max(row, math.number(0));
                            Value old = read(math, carried[0], slot);
                            return {write(math, pick(math, isNone, old, i), carried[0], slot)};
                          })
                     .getResult(0);
  bind(op.getRanks(), map(sizes(op.getRanks()), word, {View::of(firsts)},
                          [&](OpBuilder &b, Location at, ValueRange args) -> Value {
                            Value row =
                                arith::IndexCastOp::create(b, at, b.getIndexType(), args[0]);
                            return load(b, at, View::of(places), word, row);
                          }));
  return success();
}

} // namespace rapt::fuse
