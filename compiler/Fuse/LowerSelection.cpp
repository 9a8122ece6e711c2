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
/// A NaN is not zero.
Value isNotZero(OpBuilder &b, Location loc, Value element) {
  return convert(b, loc, element, b.getI1Type());
}

/// carry() by one loop of `size`.
Values loopOver(OpBuilder &b, Location loc, Value size, ValueRange starts,
                llvm::function_ref<Values(IndexMath &, Value, ValueRange)> body) {
  return carry(b, loc, OpFoldResult(size), starts,
               [&](IndexMath &math, ValueRange indices, ValueRange carried) {
                 return body(math, indices[0], carried);
               });
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
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Values filled = carry(
      builder, loc, sizes(op.getX()), {zero, zeros},
      [&](IndexMath &math, ValueRange at, ValueRange carried) -> Values {
        Value taken = isNotZero(math.b, math.loc, load(math.b, math.loc, x, element, at));
        // What is not taken leaves the place for the next one as it is.
        Value place = math.min(carried[0], math.sub(columns, math.number(1))), next = carried[1];
        for (auto [row, index] : llvm::enumerate(at)) {
          Values where{math.number(row), place};
          Value word = arith::IndexCastOp::create(math.b, math.loc, math.b.getI64Type(), index);
          Value old = tensor::ExtractOp::create(math.b, math.loc, next, where);
          next =
              tensor::InsertOp::create(math.b, math.loc, math.pick(taken, word, old), next, where);
        }
        return {math.add(carried[0], math.pick(taken, math.number(1), math.number(0))), next};
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
                      Value order = m.pick(
                          isAbove(m.b, m.loc, b, a, isUnsigned), m.number(-1),
                          m.pick(isAbove(m.b, m.loc, a, b, isUnsigned), m.number(1), m.number(0)));
                      return {m.pick(m.equal(carried[0], m.number(0)), order, carried[0])};
                    })[0];
  };
  // `order` holds the first rows of the groups so far, the least one first, and then -1.
  Values found = loopOver(
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
              Value low = m.pick(isBelow, range[0], m.add(middle, m.number(1)));
              Value high = m.pick(isBelow, middle, range[1]);
              scf::YieldOp::create(
                  b, at,
                  ValueRange{m.pick(isSame, range[1], low), high, m.pick(isSame, first, range[2])});
            });
        Value place = search.getResult(0), same = search.getResult(2);
        Value isNew = math.less(same, math.number(0));
        firsts = write(math, math.pick(isNew, row, same), firsts, row);
        // A new row moves those above it up, the last one first.
        Value moves = math.pick(isNew, math.sub(groups, place), math.number(0));
        order = loopOver(
            math.b, math.loc, moves, order, [&](IndexMath &m, Value i, ValueRange inner) -> Values {
              Value from = m.sub(m.sub(groups, m.number(1)), i);
              return {write(m, read(m, inner[0], from), inner[0], m.add(from, m.number(1)))};
            })[0];
        Value slot = math.pick(isNew, place, math.number(0));
        Value kept = read(math, order, slot);
        order = write(math, math.pick(isNew, row, kept), order, slot);
        return {math.add(groups, math.pick(isNew, math.number(1), math.number(0))), order, firsts};
      });
  Value order = found[1], firsts = found[2];
  bind(op.getFirsts(), firsts);
  Value places = loopOver(
      builder, loc, rows, empty, [&](IndexMath &math, Value i, ValueRange carried) -> Values {
        Value row = read(math, order, i), isNone = math.less(row, math.number(0));
        Value slot = math.max(row, math.number(0));
        Value old = read(math, carried[0], slot);
        return {write(math, math.pick(isNone, old, i), carried[0], slot)};
      })[0];
  bind(op.getRanks(), map(sizes(op.getRanks()), word, {View::of(firsts)},
                          [&](OpBuilder &b, Location at, ValueRange args) -> Value {
                            Value row =
                                arith::IndexCastOp::create(b, at, b.getIndexType(), args[0]);
                            return load(b, at, View::of(places), word, row);
                          }));
  return success();
}

} // namespace rapt::fuse
