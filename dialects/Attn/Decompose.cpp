//===- Decompose.cpp - The reference meaning of attn.sdpa ------------------------------===//
//
// attn.sdpa => fill, contract, map, reduce: rules S1 to S6 of AttnOps.td, one linalg operation a
// step. Nothing here is clever: fused kernels are tested against what this computes. Inside, an
// excluded key is one whose score is -infinity; that is what makes rule S2 the same for mask,
// causal and bias.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Attn/Attn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"

#include <limits>

using namespace mlir;

namespace {

using Body = llvm::function_ref<Value(ImplicitLocOpBuilder &, ValueRange)>;

/// Builds the steps. Loops are (b, h, i, j, x), where x is d of the scores and e of the result.
class Decomposer {
public:
  explicit Decomposer(rapt::attn::SdpaOp op)
      : op(op), builder(op.getLoc(), op),
        type(cast<FloatType>(op.getQuery().getType().getElementType())),
        sum(type.isF64() ? type : cast<FloatType>(builder.getF32Type())) {
    for (unsigned i = 0; i < 5; ++i)
      loops.push_back(builder.getAffineDimExpr(i));
    int64_t heads = op.getQuery().getType().getDimSize(1);
    int64_t group = heads / op.getKey().getType().getDimSize(1);
    kvHead = loops[1].floorDiv(group); // S5
    batch = tensor::getMixedSize(builder, op.getLoc(), op.getQuery(), 0);
    this->heads = builder.getIndexAttr(heads);
    queries = tensor::getMixedSize(builder, op.getLoc(), op.getQuery(), 2);
    keys = tensor::getMixedSize(builder, op.getLoc(), op.getKey(), 2);
    valueDim = tensor::getMixedSize(builder, op.getLoc(), op.getValue(), 3);
  }

  void run() {
    Value score = exclude(contractScores());
    Value largest =
        op.getSink() ? sinkRows() : filledRows(-std::numeric_limits<double>::infinity());
    Value rowMax = reduceKeys(score, largest, [](auto &b, ValueRange v) {
      return arith::MaximumFOp::create(b, v[0], v[1]).getResult();
    });
    Value weight = exponentials(score, rowMax);
    Value first = op.getSink() ? sinkWeights(rowMax) : filledRows(0.0);
    Value rowSum = reduceKeys(weight, first, [](auto &b, ValueRange v) {
      return arith::AddFOp::create(b, v[0], v[1]).getResult();
    });
    Value output = divide(weightedSum(weight), rowSum);
    if (output.getType() != op.getType())
      output = tensor::CastOp::create(builder, op.getType(), output);
    op.getOutput().replaceAllUsesWith(output);
    op.erase();
  }

private:
  Value constant(ImplicitLocOpBuilder &b, double value) {
    return arith::ConstantOp::create(b, b.getFloatAttr(sum, value));
  }

  Value widen(ImplicitLocOpBuilder &b, Value value) {
    return value.getType() == sum ? value : arith::ExtFOp::create(b, sum, value).getResult();
  }

  Value empty(ArrayRef<OpFoldResult> sizes, Type element) {
    return tensor::EmptyOp::create(builder, sizes, element);
  }

  Value filled(ArrayRef<OpFoldResult> sizes, double value) {
    Value init = constant(builder, value);
    return linalg::FillOp::create(builder, init, empty(sizes, sum)).getResult(0);
  }

  AffineMap map(unsigned numLoops, ArrayRef<AffineExpr> results) {
    return AffineMap::get(numLoops, 0, results, builder.getContext());
  }

  /// One linalg.generic over the first `numLoops` loops, of which `reduced` (or none: ~0u) is
  /// summed up.
  Value generic(unsigned numLoops, unsigned reduced, ValueRange inputs, Value init,
                ArrayRef<AffineMap> maps, Body body) {
    SmallVector<utils::IteratorType> iterators(numLoops, utils::IteratorType::parallel);
    if (reduced < numLoops)
      iterators[reduced] = utils::IteratorType::reduction;
    return linalg::GenericOp::create(builder, init.getType(), inputs, init, maps, iterators,
                                     [&](OpBuilder &nested, Location loc, ValueRange values) {
                                       ImplicitLocOpBuilder b(loc, nested);
                                       linalg::YieldOp::create(b, body(b, values));
                                     })
        .getResult(0);
  }

  /// S1: sum_d query * key, accumulated in `sum` (S3).
  Value contractScores() {
    auto [b, h, i, j, d] = std::tie(loops[0], loops[1], loops[2], loops[3], loops[4]);
    return generic(5, 4, {op.getQuery(), op.getKey()}, filled({batch, heads, queries, keys}, 0.0),
                   {map(5, {b, h, i, d}), map(5, {b, kvHead, j, d}), map(5, {b, h, i, j})},
                   [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                     Value product = arith::MulFOp::create(b, widen(b, v[0]), widen(b, v[1]));
                     return arith::AddFOp::create(b, v[2], product);
                   });
  }

  /// Where a broadcast operand (bias, mask) is read: at 0 along its dims of size 1.
  AffineMap broadcastMap(Value operand) {
    SmallVector<AffineExpr> results;
    for (auto [dim, size] : llvm::enumerate(cast<RankedTensorType>(operand.getType()).getShape()))
      results.push_back(size == 1 ? builder.getAffineConstantExpr(0) : loops[dim]);
    return map(4, results);
  }

  /// S1: scale, softcap, bias; S2 and S4: excluded keys get -infinity.
  Value exclude(Value score) {
    SmallVector<Value> inputs{score};
    SmallVector<AffineMap> maps{builder.getMultiDimIdentityMap(4)};
    for (Value operand : {op.getBias(), op.getMask()})
      if (operand) {
        inputs.push_back(operand);
        maps.push_back(broadcastMap(operand));
      }
    maps.push_back(builder.getMultiDimIdentityMap(4));
    return generic(4, ~0u, inputs, empty({batch, heads, queries, keys}, sum), maps,
                   [&](ImplicitLocOpBuilder &b, ValueRange v) { return finishScore(b, v); });
  }

  Value finishScore(ImplicitLocOpBuilder &b, ValueRange values) {
    Value score = arith::MulFOp::create(b, values[0], constant(b, op.getScale().convertToDouble()));
    if (double cap = op.getSoftcap().convertToDouble(); cap > 0) {
      Value bound = constant(b, cap);
      Value ratio = arith::DivFOp::create(b, score, bound);
      Value tanh = math::TanhOp::create(b, ratio);
      score = arith::MulFOp::create(b, tanh, bound);
    }
    unsigned next = 1;
    if (op.getBias())
      score = arith::AddFOp::create(b, score, widen(b, values[next++]));
    Value inMask = op.getMask() ? values[next++] : Value();
    auto isInside = [&](arith::CmpIPredicate predicate, int64_t offset) {
      Value query = linalg::IndexOp::create(b, 2), key = linalg::IndexOp::create(b, 3);
      Value bound = arith::AddIOp::create(
          b, query, arith::ConstantIndexOp::create(b, rapt::attn::nearDiagonal(offset)));
      if (op.getCausalFromEnd()) {
        auto dim = [&](OpFoldResult value) {
          return getValueOrCreateConstantIndexOp(b, b.getLoc(), value);
        };
        bound = arith::AddIOp::create(b, bound, dim(keys));
        bound = arith::SubIOp::create(b, bound, dim(queries));
      }
      return arith::CmpIOp::create(b, predicate, key, bound).getResult();
    };
    Value inCausal, inWindow;
    if (std::optional<int64_t> offset = op.getCausalOffset())
      inCausal = isInside(arith::CmpIPredicate::sle, *offset);
    if (std::optional<int64_t> offset = op.getWindowOffset())
      inWindow = isInside(arith::CmpIPredicate::sge, *offset);
    Value excluded = hiddenScore(b, inMask, inCausal, inWindow);
    for (Value seen : {inMask, inCausal, inWindow})
      if (seen)
        score = arith::SelectOp::create(b, seen, score, excluded);
    return score;
  }

  /// S2: the score of an excluded key. Where they differ it is finite for those that are averaged
  /// over in a row of nothing else, so far below all others that it has no weight beside them.
  Value hiddenScore(ImplicitLocOpBuilder &b, Value inMask, Value inCausal, Value inWindow) {
    Value never = constant(b, -std::numeric_limits<double>::infinity());
    Value first = constant(b, -2.6e38), second = constant(b, -3e38);
    auto both = [&](Value x, Value y) -> Value {
      return !x ? y : !y ? x : arith::AndIOp::create(b, x, y).getResult();
    };
    auto either = [&](Value x, Value y) -> Value {
      return x && y ? arith::OrIOp::create(b, x, y).getResult() : Value();
    };
    Value averaged;
    switch (op.getEmptyRow()) {
    case rapt::attn::EmptyRow::MaskMean:
      return arith::SelectOp::create(b, inMask, first, second);
    case rapt::attn::EmptyRow::EitherMean:
      averaged = either(inMask, both(inCausal, inWindow));
      break;
    case rapt::attn::EmptyRow::CausalMean:
      averaged = both(inCausal, either(inMask, inWindow));
      break;
    default:
      return never;
    }
    return arith::SelectOp::create(b, averaged, first, never);
  }

  Value filledRows(double value) { return filled({batch, heads, queries}, value); }

  Value reduceKeys(Value rows, Value init, Body body) {
    AffineMap row = map(4, ArrayRef(loops).take_front(3));
    return generic(4, 3, rows, init, {builder.getMultiDimIdentityMap(4), row}, body);
  }

  /// S6: the sink of each row; every row has a maximum of at least it.
  Value sinkRows() {
    SmallVector<AffineExpr> at(broadcastMap(op.getSink()).getResults());
    AffineMap rows = builder.getMultiDimIdentityMap(3);
    return generic(3, ~0u, op.getSink(), empty({batch, heads, queries}, sum), {map(3, at), rows},
                   [&](ImplicitLocOpBuilder &b, ValueRange v) { return widen(b, v[0]); });
  }

  /// What the sinks add to the sums of the rows: nothing in one that is empty.
  Value sinkWeights(Value rowMax) {
    AffineMap rows = builder.getMultiDimIdentityMap(3);
    return generic(3, ~0u, {sinkRows(), rowMax}, empty({batch, heads, queries}, sum),
                   {rows, rows, rows}, [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                     Value none = constant(b, -std::numeric_limits<double>::infinity());
                     Value isEmpty =
                         arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, v[1], none);
                     Value difference = arith::SubFOp::create(b, v[0], v[1]);
                     Value weight = math::ExpOp::create(b, difference);
                     return arith::SelectOp::create(b, isEmpty, constant(b, 0.0), weight);
                   });
  }

  /// exp(score - row maximum); in a row without a key left, what `empty_row` says (S2).
  Value exponentials(Value score, Value rowMax) {
    AffineMap row = map(4, ArrayRef(loops).take_front(3)), all = builder.getMultiDimIdentityMap(4);
    return generic(
        4, ~0u, {score, rowMax}, empty({batch, heads, queries, keys}, sum), {all, row, all},
        [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
          Value none = constant(b, -std::numeric_limits<double>::infinity());
          Value isEmpty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, v[1], none);
          Value difference = arith::SubFOp::create(b, v[0], v[1]);
          Value weight = math::ExpOp::create(b, difference);
          return arith::SelectOp::create(b, isEmpty, constant(b, emptyRowWeight()), weight);
        });
  }

  double emptyRowWeight() {
    switch (op.getEmptyRow()) {
    case rapt::attn::EmptyRow::Zero:
      return 0.0;
    case rapt::attn::EmptyRow::Mean:
      return 1.0;
    default: // where excluded keys differ, only those that are not averaged over are left here
      break;
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

  Value weightedSum(Value weight) {
    auto [b, h, i, j, e] = std::tie(loops[0], loops[1], loops[2], loops[3], loops[4]);
    return generic(5, 3, {weight, op.getValue()}, filled({batch, heads, queries, valueDim}, 0.0),
                   {map(5, {b, h, i, j}), map(5, {b, kvHead, j, e}), map(5, {b, h, i, e})},
                   [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                     Value product = arith::MulFOp::create(b, v[0], widen(b, v[1]));
                     return arith::AddFOp::create(b, v[2], product);
                   });
  }

  /// A row sum of 0 means that nothing was weighted: the result is 0, not 0 / 0.
  Value divide(Value weighted, Value rowSum) {
    AffineMap row = map(4, ArrayRef(loops).take_front(3)), all = builder.getMultiDimIdentityMap(4);
    return generic(4, ~0u, {weighted, rowSum}, empty({batch, heads, queries, valueDim}, type),
                   {all, row, all}, [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                     Value zero = constant(b, 0.0);
                     Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, v[1], zero);
                     Value quotient = arith::DivFOp::create(b, v[0], v[1]);
                     Value result = arith::SelectOp::create(b, isZero, zero, quotient);
                     return type == sum ? result
                                        : arith::TruncFOp::create(b, type, result).getResult();
                   });
  }

  rapt::attn::SdpaOp op;
  ImplicitLocOpBuilder builder;
  FloatType type, sum;
  SmallVector<AffineExpr> loops;
  AffineExpr kvHead;
  OpFoldResult batch, heads, queries, keys, valueDim;
};

} // namespace

void rapt::attn::decompose(SdpaOp op) { Decomposer(op).run(); }
