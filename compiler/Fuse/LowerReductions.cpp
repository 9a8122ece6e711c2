//===- LowerReductions.cpp - Softmax, norms, Reduce*, CumSum => sums, maxima and maps --===//
//
// A reduction is one linalg.generic whose loops are the result's dims and then the reduced ones, so
// that it looks the same whichever axes it runs over. Sums are accumulated in f32 or f64. A
// variance takes two passes, and corrects for what rounding took from the mean in the first one.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace rapt::fuse {

namespace {

/// A reduction of one value over some of its axes.
struct Axes {
  Axes(Lowering &lowering, Value value, ArrayRef<int64_t> axes)
      : value(value), element(tensorType(value).getElementType()) {
    int64_t rank = tensorType(value).getRank();
    Sizes all = lowering.sizes(value);
    for (int64_t i = 0; i < rank; ++i)
      (llvm::is_contained(axes, i) ? reduced : kept).push_back(i);
    SmallVector<AffineExpr> toLoops(rank), toKept;
    for (auto [loop, dim] : llvm::enumerate(kept)) {
      toLoops[dim] = lowering.builder.getAffineDimExpr(loop);
      toKept.push_back(lowering.builder.getAffineDimExpr(dim));
      keptSizes.push_back(all[dim]);
    }
    for (auto [loop, dim] : llvm::enumerate(reduced)) {
      toLoops[dim] = lowering.builder.getAffineDimExpr(kept.size() + loop);
      reducedSizes.push_back(all[dim]);
    }
    MLIRContext *context = lowering.builder.getContext();
    loops = AffineMap::get(rank, 0, toLoops, context);
    rows = AffineMap::get(rank, 0, toKept, context);
    input = lowering.plain(value, reduced).through(loops);
    sizes = all;
  }

  Value value;
  Type element;
  SmallVector<int64_t> kept, reduced;
  Sizes sizes, keptSizes, reducedSizes;
  AffineMap loops; ///< (kept..., reduced...) -> indices of the value
  AffineMap rows;  ///< indices of the value -> kept ones
  View input;      ///< the value read in loops of a reduction
};

Value reduceSum(Lowering &lowering, Axes &axes, ArrayRef<View> inputs, Body term) {
  Type type = accumulatorType(axes.element);
  TypedAttr zero = lowering.builder.getZeroAttr(type);
  return lowering.reduce(axes.keptSizes, axes.reduced.size(), zero, inputs,
                         [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                           Value x = term(b, loc, args.drop_back());
                           if (isa<FloatType>(type))
                             return arith::AddFOp::create(b, loc, args.back(), x);
                           return arith::AddIOp::create(b, loc, args.back(), x);
                         });
}

Value reduceProduct(Lowering &lowering, Axes &axes, ArrayRef<View> inputs, Body factor) {
  OpBuilder &builder = lowering.builder;
  Type type = accumulatorType(axes.element);
  TypedAttr one = isa<FloatType>(type) ? TypedAttr(builder.getFloatAttr(type, 1.0))
                                       : TypedAttr(builder.getIntegerAttr(type, 1));
  return lowering.reduce(axes.keptSizes, axes.reduced.size(), one, inputs,
                         [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                           Value x = factor(b, loc, args.drop_back());
                           if (isa<FloatType>(type))
                             return arith::MulFOp::create(b, loc, args.back(), x);
                           return arith::MulIOp::create(b, loc, args.back(), x);
                         });
}

/// The element widened to the accumulator's type.
Value widen(OpBuilder &b, Location loc, Value value) {
  return convert(b, loc, value, accumulatorType(value.getType()));
}

Value sum(Lowering &lowering, Axes &axes) {
  return reduceSum(lowering, axes, {axes.input}, [](OpBuilder &b, Location loc, ValueRange args) {
    return widen(b, loc, args[0]);
  });
}

/// Unsigned integers are compared as signed ones with the sign bit flipped, booleans as i8: what
/// remains is a maximum that a kernel can have as its reduction.
Value extremum(Lowering &lowering, Axes &axes, bool maximum) {
  OpBuilder &builder = lowering.builder;
  bool isUnsigned = axes.element.isUnsignedInteger(), isBool = axes.element.isInteger(1);
  Type type = isBool ? builder.getI8Type() : storageType(axes.element);
  TypedAttr init;
  if (auto real = dyn_cast<FloatType>(type)) {
    init = builder.getFloatAttr(real, APFloat::getInf(real.getFloatSemantics(), maximum));
  } else {
    // Unlike floats, integers have no number for the extreme of none.
    for (int64_t dim : axes.reduced)
      if (onnx::SymbolicExpr extent = lowering.shape(axes.value)[dim]; extent.hasMeasured())
        lowering.requireNonEmpty(extent);
    unsigned width = type.getIntOrFloatBitWidth();
    init = builder.getIntegerAttr(type, maximum ? APInt::getSignedMinValue(width)
                                                : APInt::getSignedMaxValue(width));
  }
  Value result =
      lowering.reduce(axes.keptSizes, axes.reduced.size(), init, {axes.input},
                      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                        Value x = isUnsigned ? flipSign(b, loc, args[0])
                                             : convert(b, loc, args[0], axes.element, type);
                        if (isa<FloatType>(type))
                          return maximum ? Value(arith::MaximumFOp::create(b, loc, args[1], x))
                                         : Value(arith::MinimumFOp::create(b, loc, args[1], x));
                        return maximum ? Value(arith::MaxSIOp::create(b, loc, args[1], x))
                                       : Value(arith::MinSIOp::create(b, loc, args[1], x));
                      });
  if (!isUnsigned && !isBool)
    return result;
  return lowering.map(axes.keptSizes, axes.element, {View::of(result)},
                      [&](OpBuilder &b, Location loc, ValueRange args) {
                        return isUnsigned ? flipSign(b, loc, args[0])
                                          : convert(b, loc, args[0], axes.element);
                      });
}

/// The number of reduced elements, in the type of a body's value; 1 where there is none, so that
/// their mean is 0, as onnxruntime's is.
struct Count {
  Count(Lowering &lowering, Axes &axes) {
    for (int64_t dim : axes.reduced)
      maybeNone |= lowering.shape(axes.value)[dim].lowerBound() < 1;
    for (OpFoldResult size : axes.reducedSizes) {
      if (auto constant = getConstantIntValue(size))
        fixed *= *constant;
      else
        dynamic.push_back(lowering.indexValue(size));
    }
  }
  Value emit(OpBuilder &b, Location loc, Type type) const {
    if (dynamic.empty())
      return constantOf(b, loc, type, static_cast<double>(std::max<int64_t>(fixed, 1)));
    Value count = arith::ConstantIndexOp::create(b, loc, fixed);
    for (Value size : dynamic)
      count = arith::MulIOp::create(b, loc, count, size);
    if (maybeNone)
      count = arith::MaxSIOp::create(b, loc, count, arith::ConstantIndexOp::create(b, loc, 1));
    return convert(b, loc, arith::IndexCastOp::create(b, loc, b.getI64Type(), count), type);
  }
  int64_t fixed = 1;
  SmallVector<Value> dynamic;
  bool maybeNone = false;
};

Value mean(Lowering &lowering, Axes &axes, Value total) {
  Count count(lowering, axes);
  return lowering.map(axes.keptSizes, tensorType(total).getElementType(), {View::of(total)},
                      [&](OpBuilder &b, Location loc, ValueRange args) {
                        return divide(b, loc, args[0], count.emit(b, loc, args[0].getType()),
                                      axes.element.isUnsignedInteger());
                      });
}

void lowerSoftmax(Lowering &lowering, onnx::SoftmaxOp op) {
  Axes axes(lowering, op.getInput(), {static_cast<int64_t>(op.getAxis())});
  Type type = accumulatorType(axes.element);
  View highest = View::of(extremum(lowering, axes, true)).through(axes.rows);
  Value exp = lowering.map(axes.sizes, type, {lowering.view(op.getInput()), highest},
                           [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                             Value x = arith::SubFOp::create(b, loc, widen(b, loc, args[0]),
                                                             widen(b, loc, args[1]));
                             return math::ExpOp::create(b, loc, x);
                           });
  View exps = View::of(exp);
  Value total = reduceSum(lowering, axes, {exps.through(axes.loops)},
                          [](OpBuilder &, Location, ValueRange args) { return args[0]; });
  View totals = View::of(total).through(axes.rows);
  lowering.bind(op.getOutput(), lowering.map(axes.sizes, axes.element, {exps, totals},
                                             [&](OpBuilder &b, Location loc, ValueRange args) {
                                               return convert(b, loc,
                                                              divide(b, loc, args[0], args[1]),
                                                              axes.element);
                                             }));
}

/// 1 / sqrt(squares / count - drift^2 + epsilon), one number a row; `drifts` may be null.
Value normScales(Lowering &lowering, Axes &axes, Value squares, const APFloat &epsilon,
                 Value drifts = nullptr) {
  Type type = accumulatorType(axes.element);
  Count count(lowering, axes);
  SmallVector<View> inputs{View::of(squares)};
  if (drifts)
    inputs.push_back(View::of(drifts));
  return lowering.map(
      axes.keptSizes, type, inputs, [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value mean = divide(b, loc, args[0], count.emit(b, loc, type));
        if (drifts) {
          Value square = arith::MulFOp::create(b, loc, args[1], args[1]);
          mean = arith::MaximumFOp::create(b, loc, arith::SubFOp::create(b, loc, mean, square),
                                           constantOf(b, loc, type, 0));
        }
        Value sum =
            arith::AddFOp::create(b, loc, mean, constantOf(b, loc, type, epsilon.convertToFloat()));
        Value root = math::SqrtOp::create(b, loc, sum);
        return arith::DivFOp::create(b, loc, constantOf(b, loc, type, 1), root);
      });
}

/// The deviations d = x - mean are added up, too: where a row's mean is far above its spread, the
/// rounding of the mean would be most of them. Their own mean is that rounding (Chan, Golub and
/// LeVeque, "Algorithms for computing the sample variance", 1983: the corrected two-pass form).
void lowerLayerNorm(Lowering &lowering, onnx::LayerNormalizationOp op) {
  int64_t rank = tensorType(op.getX()).getRank();
  Axes axes(lowering, op.getX(), llvm::to_vector(llvm::seq<int64_t>(op.getAxis(), rank)));
  Value means = mean(lowering, axes, sum(lowering, axes));
  View inLoops = View::of(means).through(axes.rows.compose(axes.loops));
  auto deviation = [](OpBuilder &b, Location loc, ValueRange args) -> Value {
    return arith::SubFOp::create(b, loc, widen(b, loc, args[0]), args[1]);
  };
  Value drifts = mean(lowering, axes, reduceSum(lowering, axes, {axes.input, inLoops}, deviation));
  Value squares = reduceSum(lowering, axes, {axes.input, inLoops},
                            [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                              Value d = deviation(b, loc, args);
                              return arith::MulFOp::create(b, loc, d, d);
                            });
  Value scales = normScales(lowering, axes, squares, op.getEpsilon(), drifts);
  // Subtracted after the scale: x - mean - drift could be taken for x - (mean + drift).
  Value offsets = lowering.map(axes.keptSizes, tensorType(scales).getElementType(),
                               {View::of(drifts), View::of(scales)},
                               [](OpBuilder &b, Location loc, ValueRange args) -> Value {
                                 return arith::MulFOp::create(b, loc, args[0], args[1]);
                               });
  SmallVector<View> inputs{lowering.view(op.getX()), View::of(means).through(axes.rows),
                           View::of(scales).through(axes.rows),
                           View::of(offsets).through(axes.rows),
                           lowering.broadcast(op.getScale(), rank, rank)};
  if (op.getBias())
    inputs.push_back(lowering.broadcast(op.getBias(), rank, rank));
  Value result = lowering.map(
      axes.sizes, axes.element, inputs, [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value y = arith::MulFOp::create(b, loc, deviation(b, loc, args), args[2]);
        y = arith::SubFOp::create(b, loc, y, args[3]);
        y = arith::MulFOp::create(b, loc, y, widen(b, loc, args[4]));
        if (op.getBias())
          y = arith::AddFOp::create(b, loc, y, widen(b, loc, args[5]));
        return convert(b, loc, y, axes.element);
      });
  lowering.bind(op.getY(), result);
}

void lowerRmsNorm(Lowering &lowering, onnx::RMSNormalizationOp op) {
  int64_t rank = tensorType(op.getX()).getRank();
  Axes axes(lowering, op.getX(), llvm::to_vector(llvm::seq<int64_t>(op.getAxis(), rank)));
  Value squares = reduceSum(lowering, axes, {axes.input},
                            [](OpBuilder &b, Location loc, ValueRange args) -> Value {
                              Value x = widen(b, loc, args[0]);
                              return arith::MulFOp::create(b, loc, x, x);
                            });
  Value scales = normScales(lowering, axes, squares, op.getEpsilon());
  Value result = lowering.map(axes.sizes, axes.element,
                              {lowering.view(op.getX()), View::of(scales).through(axes.rows),
                               lowering.broadcast(op.getScale(), rank, rank)},
                              [&](OpBuilder &b, Location loc, ValueRange args) {
                                Value y =
                                    arith::MulFOp::create(b, loc, widen(b, loc, args[0]), args[1]);
                                y = arith::MulFOp::create(b, loc, y, widen(b, loc, args[2]));
                                return convert(b, loc, y, axes.element);
                              });
  lowering.bind(op.getY(), result);
}

/// out(i) = sum, or product, over j of x(j) where j <= i (< with `exclusive`, >= and > with
/// `reverse`).
template <typename Op> void lowerScan(Lowering &lowering, Op op) {
  constexpr bool isSum = std::is_same_v<Op, onnx::CumSumOp>;
  int64_t rank = tensorType(op.getX()).getRank(), axis = op.getAxis();
  Axes none(lowering, op.getX(), {});
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < rank; ++i)
    indices.push_back(lowering.builder.getAffineDimExpr(i == axis ? rank : i));
  View input = lowering.plain(op.getX(), {axis})
                   .through(AffineMap::get(rank + 1, 0, indices, lowering.builder.getContext()));
  auto predicate =
      op.getReverse() ? (op.getExclusive() ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::sge)
                      : (op.getExclusive() ? arith::CmpIPredicate::slt : arith::CmpIPredicate::sle);
  none.reduced = {axis}; // one loop more than the result has dims
  none.keptSizes = none.sizes;
  auto taken = [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
    Value i = linalg::IndexOp::create(b, loc, axis), j = linalg::IndexOp::create(b, loc, rank);
    Value isTaken = arith::CmpIOp::create(b, loc, predicate, j, i);
    Value x = widen(b, loc, args[0]);
    return arith::SelectOp::create(b, loc, isTaken, x,
                                   constantOf(b, loc, x.getType(), isSum ? 0 : 1));
  };
  Value result = isSum ? reduceSum(lowering, none, {input}, taken)
                       : reduceProduct(lowering, none, {input}, taken);
  if (tensorType(result).getElementType() != none.element)
    result = lowering.map(none.sizes, none.element, {View::of(result)},
                          [&](OpBuilder &b, Location loc, ValueRange args) {
                            return convert(b, loc, args[0], none.element);
                          });
  lowering.bind(op.getY(), result);
}

/// ReduceXxx: a fold, and for some a function of its result.
LogicalResult lowerReduce(Lowering &lowering, Operation *op, ArrayRef<int64_t> dims,
                          bool keepdims) {
  Axes axes(lowering, op->getOperand(0), dims);
  Value folded =
      llvm::TypeSwitch<Operation *, Value>(op)
          .Case([&](onnx::ReduceMaxOp) { return extremum(lowering, axes, true); })
          .Case([&](onnx::ReduceMinOp) { return extremum(lowering, axes, false); })
          .Case([&](onnx::ReduceSumOp) { return sum(lowering, axes); })
          .Case([&](onnx::ReduceMeanOp) { return mean(lowering, axes, sum(lowering, axes)); })
          .Case([&](onnx::ReduceL1Op) {
            return reduceSum(lowering, axes, {axes.input},
                             [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                               Value x = widen(b, loc, args[0]);
                               if (isa<FloatType>(x.getType()))
                                 return math::AbsFOp::create(b, loc, x);
                               if (axes.element.isUnsignedInteger())
                                 return x;
                               Value minus = arith::SubIOp::create(
                                   b, loc, constantOf(b, loc, x.getType(), 0), x);
                               return arith::MaxSIOp::create(b, loc, x, minus);
                             });
          })
          .Case<onnx::ReduceL2Op, onnx::ReduceSumSquareOp>([&](auto) {
            return reduceSum(lowering, axes, {axes.input},
                             [](OpBuilder &b, Location loc, ValueRange args) -> Value {
                               Value x = widen(b, loc, args[0]);
                               if (isa<FloatType>(x.getType()))
                                 return arith::MulFOp::create(b, loc, x, x);
                               return arith::MulIOp::create(b, loc, x, x);
                             });
          })
          .Case([&](onnx::ReduceProdOp) {
            return reduceProduct(
                lowering, axes, {axes.input},
                [](OpBuilder &b, Location loc, ValueRange args) { return widen(b, loc, args[0]); });
          })
          .Default([](Operation *) { return Value(); });
  bool root = isa<onnx::ReduceL2Op>(op);
  if (root && !isa<FloatType>(axes.element))
    return Lowering::refuse(op) << "is not supported on element type " << axes.element;
  if (root || tensorType(folded).getElementType() != storageType(axes.element))
    folded = lowering.map(axes.keptSizes, axes.element, {View::of(folded)},
                          [&](OpBuilder &b, Location loc, ValueRange args) {
                            Value x = root ? Value(math::SqrtOp::create(b, loc, args[0])) : args[0];
                            return convert(b, loc, x, axes.element);
                          });
  View result = View::of(folded);
  if (keepdims)
    result = result.through(axes.rows);
  lowering.bind(op->getResult(0), result);
  return success();
}

} // namespace

std::optional<LogicalResult> Lowering::lowerReduction(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](onnx::SoftmaxOp softmax) { return lowerSoftmax(*this, softmax), success(); })
      .Case([&](onnx::LayerNormalizationOp norm) { return lowerLayerNorm(*this, norm), success(); })
      .Case([&](onnx::RMSNormalizationOp norm) { return lowerRmsNorm(*this, norm), success(); })
      .Case([&](onnx::CumSumOp cumsum) { return lowerScan(*this, cumsum), success(); })
      .Case([&](onnx::CumProdOp cumprod) { return lowerScan(*this, cumprod), success(); })
      .Case<onnx::ReduceMeanOp, onnx::ReduceSumOp, onnx::ReduceMaxOp, onnx::ReduceMinOp,
            onnx::ReduceProdOp, onnx::ReduceL1Op, onnx::ReduceL2Op, onnx::ReduceSumSquareOp>(
          [&](auto reduce) {
            return lowerReduce(*this, reduce, reduce.getAxes(), reduce.getKeepdims());
          })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace rapt::fuse
