//===- LowerResize.cpp - Resize => reads at computed places ----------------------------===//
//
// Every mode is separable: along one axis, result element y stands for the coordinate x(y) of the
// operand, and is a weighted sum of the elements around it. With base = ceil(x) - 1 and the ratio
// x - base in (0, 1], element base + 1 is the one to the right. Places and weights are small tables
// of their own, made in f64; nearest is one copy, the other modes one sum an axis.
//
// Source: ONNX Resize-19. The result's length in its formulas is the dim, a whole number, though
// `scales` may give a fraction: so the text says, and onnxruntime, PyTorch and ONNX's tests from
// 1.24 on have it. half_pixel_symmetric names the fraction, output_width, in its own formula.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"
#include "compiler/Fuse/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

namespace {

/// f64 arithmetic inside a body.
struct FloatMath {
  OpBuilder &b;
  Location loc;

  Value number(double value) { return constantOf(b, loc, b.getF64Type(), value); }
  Value of(Value index) {
    return arith::SIToFPOp::create(b, loc, b.getF64Type(),
                                   arith::IndexCastOp::create(b, loc, b.getI64Type(), index));
  }
  Value toWord(Value x) { return convert(b, loc, x, b.getI64Type()); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value abs(Value x) { return math::AbsFOp::create(b, loc, x); }
  Value max(Value x, Value y) { return arith::MaximumFOp::create(b, loc, x, y); }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, loc, condition, x, y);
  }
  Value compare(arith::CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, loc, predicate, x, y);
  }
  Value atMost(Value x, Value y) { return compare(arith::CmpFPredicate::OLE, x, y); }
  Value less(Value x, Value y) { return compare(arith::CmpFPredicate::OLT, x, y); }
  Value equal(Value x, Value y) { return compare(arith::CmpFPredicate::OEQ, x, y); }
};

/// One resized axis.
struct ResizedAxis {
  int64_t axis;
  double scale; ///< 0: the ratio of the dims
  double roiStart = 0, roiEnd = 1;
  OpFoldResult from, to;
};

class Resizer {
public:
  Resizer(Lowering &lowering, onnx::ResizeOp op)
      : lowering(lowering), op(op), mode(op.getMode()),
        transformation(op.getCoordinateTransformationMode()) {
    Sizes from = lowering.sizes(op.getX()), to = lowering.sizes(op.getY());
    size_t count = op.getAxes().size();
    for (auto [i, axis] : llvm::enumerate(op.getAxes())) {
      ResizedAxis resized{axis, op.getScales()[i], 0, 1, from[axis], to[axis]};
      if (auto roi = op.getRoi()) {
        resized.roiStart = (*roi)[i];
        resized.roiEnd = (*roi)[count + i];
      }
      axes.push_back(resized);
    }
    for (const onnx::SymbolicExpr &extent : lowering.shape(op.getX()))
      lowering.requireNonEmpty(extent);
  }

  void run() {
    if (mode == "nearest")
      return nearest();
    Type element = tensorType(op.getX()).getElementType();
    sizes = lowering.sizes(op.getX());
    Type type = isa<FloatType>(element) ? accumulatorType(element) : lowering.builder.getF64Type();
    View current = lowering.view(op.getX());
    Type from = element;
    for (const ResizedAxis &axis : axes) {
      sizes[axis.axis] = axis.to;
      current = View::of(along(axis, current, from, type));
      from = type;
    }
    finish(current, element, from);
  }

private:
  int64_t rank() { return tensorType(op.getX()).getRank(); }

  /// The operand's coordinate of result element `index`, in steps of 2^-24: the kernels that
  /// compute it may round it differently, and have to agree on the element that it is next to.
  Value coordinate(FloatMath &f, const ResizedAxis &axis, Value index) {
    Value steps = f.mul(unrounded(f, axis, index), f.number(0x1p24));
    return f.mul(baseOf(f, f.add(steps, f.number(0.5))), f.number(0x1p-24));
  }

  Value unrounded(FloatMath &f, const ResizedAxis &axis, Value index) {
    IndexMath math{f.b, f.loc};
    Value y = f.of(index), length = f.of(math.size(axis.from)), result = f.of(math.size(axis.to));
    Value scale = axis.scale != 0 ? f.number(axis.scale) : f.div(result, length);
    Value width = axis.scale != 0 ? f.mul(scale, length) : result, one = f.number(1);
    Value last = f.sub(length, one);
    Value centered = f.sub(f.div(f.add(y, f.number(0.5)), scale), f.number(0.5));
    // Coordinates over `whole` elements, both ends on elements of the operand.
    auto spread = [&](Value whole, Value extent, Value ofOne) {
      Value alone = f.equal(whole, one);
      Value steps = f.select(alone, one, f.sub(whole, one));
      return f.select(alone, ofOne, f.div(f.mul(y, extent), steps));
    };
    if (transformation == "align_corners")
      return spread(result, last, f.number(0));
    if (transformation == "asymmetric")
      return f.div(y, scale);
    if (transformation == "tf_crop_and_resize") {
      Value part = f.mul(f.number(axis.roiEnd - axis.roiStart), last);
      return f.add(spread(result, part, f.mul(part, f.number(0.5))),
                   f.mul(f.number(axis.roiStart), last));
    }
    if (transformation == "pytorch_half_pixel")
      return f.select(f.equal(result, one), f.number(0), centered);
    if (transformation == "half_pixel_symmetric") {
      Value center = f.mul(length, f.number(0.5));
      return f.add(f.mul(center, f.sub(one, f.div(result, width))), centered);
    }
    return centered;
  }

  /// The greatest whole number below x.
  Value baseOf(FloatMath &f, Value x) {
    return f.sub(math::CeilOp::create(f.b, f.loc, x), f.number(1));
  }

  // --- Nearest -----------------------------------------------------------------------------------
  void nearest() {
    SmallVector<View> tables;
    StringRef rounding = op.getNearestMode();
    for (const ResizedAxis &axis : axes) {
      Value table = lowering.map({axis.to}, lowering.builder.getI64Type(), {},
                                 [&](OpBuilder &b, Location loc, ValueRange) {
                                   FloatMath f{b, loc};
                                   Value x =
                                       coordinate(f, axis, linalg::IndexOp::create(b, loc, 0));
                                   Value base = baseOf(f, x), ratio = f.sub(x, base);
                                   Value half = f.number(0.5), one = f.number(1), stays;
                                   if (rounding == "round_prefer_floor")
                                     stays = f.atMost(ratio, half);
                                   else if (rounding == "round_prefer_ceil")
                                     stays = f.less(ratio, half);
                                   else if (rounding == "floor")
                                     stays = f.less(ratio, one);
                                   if (stays)
                                     base = f.select(stays, base, f.add(base, one));
                                   else
                                     base = f.add(base, one);
                                   return clampWord(f, base, axis);
                                 });
      AffineMap row = AffineMap::get(rank(), 0, lowering.builder.getAffineDimExpr(axis.axis),
                                     lowering.builder.getContext());
      tables.push_back(View::of(table).through(row));
    }
    View source = lowering.view(op.getX());
    Type element = storageType(tensorType(op.getX()).getElementType());
    Value result =
        lowering.map(lowering.sizes(op.getY()), element, tables,
                     [&](OpBuilder &b, Location loc, ValueRange args) {
                       IndexMath math{b, loc};
                       SmallVector<Value> position;
                       for (int64_t i = 0; i < rank(); ++i)
                         position.push_back(math.loop(i));
                       for (auto [axis, place] : llvm::zip(axes, args))
                         position[axis.axis] =
                             arith::IndexCastOp::create(b, loc, b.getIndexType(), place);
                       return outside(b, loc, lowering.load(b, loc, source, element, position));
                     });
    lowering.bind(op.getY(), result);
  }

  /// A whole number as a place that exists.
  Value clampWord(FloatMath &f, Value number, const ResizedAxis &axis) {
    IndexMath math{f.b, f.loc};
    Value index = arith::IndexCastOp::create(f.b, f.loc, f.b.getIndexType(), f.toWord(number));
    return arith::IndexCastOp::create(f.b, f.loc, f.b.getI64Type(),
                                      math.clamp(index, math.size(axis.from)));
  }

  /// The extrapolation value where a coordinate of tf_crop_and_resize is outside of the operand.
  Value outside(OpBuilder &b, Location loc, Value value) {
    if (transformation != "tf_crop_and_resize")
      return value;
    FloatMath f{b, loc};
    IndexMath math{b, loc};
    Value extrapolated =
        constantOf(b, loc, value.getType(), op.getExtrapolationValue().convertToDouble());
    for (const ResizedAxis &axis : axes) {
      Value x = coordinate(f, axis, math.loop(axis.axis));
      Value last = f.sub(f.of(math.size(axis.from)), f.number(1));
      Value inside = math.both(f.atMost(f.number(0), x), f.atMost(x, last));
      value = arith::SelectOp::create(b, loc, inside, value, extrapolated);
    }
    return value;
  }

  // --- Linear and cubic --------------------------------------------------------------------------
  /// How the weights stretch: below 1 where an antialiased result has fewer elements.
  double stretch(const ResizedAxis &axis) {
    return op.getAntialias() ? std::min(axis.scale, 1.0) : 1.0;
  }

  /// Elements around a coordinate that have a weight, and the first one's place behind base.
  int64_t firstTap(const ResizedAxis &axis) {
    double reach = mode == "cubic" ? 2.0 : 1.0;
    return static_cast<int64_t>(std::floor(-reach / stretch(axis))) + 1;
  }
  int64_t taps(const ResizedAxis &axis) { return 2 - 2 * firstTap(axis); }

  /// The weight of an element at `distance`, which is stretched.
  Value weight(FloatMath &f, Value distance) {
    Value x = f.abs(distance), one = f.number(1);
    if (mode == "linear")
      return f.max(f.sub(one, x), f.number(0));
    double a = op.getCubicCoeffA().convertToDouble();
    auto polynomial = [&](double c3, double c2, double c1, double c0) {
      Value sum = f.add(f.mul(f.number(c3), x), f.number(c2));
      sum = f.add(f.mul(sum, x), f.number(c1));
      return f.add(f.mul(sum, x), f.number(c0));
    };
    Value near = polynomial(a + 2, -(a + 3), 0, 1), far = polynomial(a, -5 * a, 8 * a, -4 * a);
    return f.select(f.atMost(x, one), near, f.select(f.less(x, f.number(2)), far, f.number(0)));
  }

  /// The weight of tap `tap` for result element `index`, and its place.
  Value tapWeight(FloatMath &f, const ResizedAxis &axis, Value index, Value tap, Value *place) {
    Value x = coordinate(f, axis, index);
    Value at = f.add(baseOf(f, x), f.add(f.of(tap), f.number(static_cast<double>(firstTap(axis)))));
    if (place)
      *place = at;
    Value value = weight(f, f.mul(f.sub(at, x), f.number(stretch(axis))));
    if (!op.getExcludeOutside())
      return value;
    IndexMath math{f.b, f.loc};
    Value last = f.sub(f.of(math.size(axis.from)), f.number(1));
    Value inside = math.both(f.atMost(f.number(0), at), f.atMost(at, last));
    return f.select(inside, value, f.number(0));
  }

  /// `source` resampled along one axis: sums over the taps.
  Value along(const ResizedAxis &axis, const View &source, Type from, Type type) {
    OpBuilder &builder = lowering.builder;
    MLIRContext *context = builder.getContext();
    int64_t count = taps(axis);
    SmallVector<OpFoldResult> table{axis.to, builder.getIndexAttr(count)};
    Type real = builder.getF64Type();
    Value places =
        lowering.map(table, builder.getI64Type(), {}, [&](OpBuilder &b, Location loc, ValueRange) {
          FloatMath f{b, loc};
          IndexMath math{b, loc};
          Value place;
          tapWeight(f, axis, math.loop(0), math.loop(1), &place);
          return clampWord(f, place, axis);
        });
    Value weights = lowering.map(table, real, {}, [&](OpBuilder &b, Location loc, ValueRange) {
      FloatMath f{b, loc};
      IndexMath math{b, loc};
      return tapWeight(f, axis, math.loop(0), math.loop(1), nullptr);
    });
    // Stretched and cut weights no longer add up to one.
    if (op.getAntialias() || op.getExcludeOutside()) {
      Value total = lowering.reduce({axis.to}, 1, builder.getZeroAttr(real), {View::of(weights)},
                                    [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                                      return arith::AddFOp::create(b, loc, args[1], args[0]);
                                    });
      AffineMap row = AffineMap::get(2, 0, builder.getAffineDimExpr(0), context);
      weights = lowering.map(table, real, {View::of(weights), View::of(total).through(row)},
                             [&](OpBuilder &b, Location loc, ValueRange args) {
                               FloatMath f{b, loc};
                               Value zero = f.number(0);
                               Value none = f.equal(args[1], zero);
                               return f.div(args[0], f.select(none, f.number(1), args[1]));
                             });
    }
    AffineMap map = AffineMap::get(
        rank() + 1, 0, {builder.getAffineDimExpr(axis.axis), builder.getAffineDimExpr(rank())},
        context);
    return lowering.reduce(sizes, 1, builder.getZeroAttr(type),
                           {View::of(weights).through(map), View::of(places).through(map)},
                           [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                             IndexMath math{b, loc};
                             SmallVector<Value> position;
                             for (int64_t i = 0; i < rank(); ++i)
                               position.push_back(math.loop(i));
                             position[axis.axis] =
                                 arith::IndexCastOp::create(b, loc, b.getIndexType(), args[1]);
                             Value x = lowering.load(b, loc, source, storageType(from), position);
                             Value term =
                                 arith::MulFOp::create(b, loc, convert(b, loc, args[0], real, type),
                                                       convert(b, loc, x, from, type));
                             return arith::AddFOp::create(b, loc, args[2], term);
                           });
  }

  void finish(const View &sum, Type element, Type from) {
    Value result = lowering.map(sizes, storageType(element),
                                {sum.through(lowering.builder.getMultiDimIdentityMap(rank()))},
                                [&](OpBuilder &b, Location loc, ValueRange args) {
                                  return convert(b, loc, outside(b, loc, args[0]), from, element);
                                });
    lowering.bind(op.getY(), result);
  }

  Lowering &lowering;
  onnx::ResizeOp op;
  StringRef mode, transformation;
  SmallVector<ResizedAxis> axes;
  Sizes sizes; ///< of what has been resampled so far
};

} // namespace

LogicalResult Lowering::lowerResize(onnx::ResizeOp op) {
  Resizer(*this, op).run();
  return success();
}

} // namespace rapt::fuse
