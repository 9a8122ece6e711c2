//===- VersionsGridSample.cpp - GridSample ----------------------------------------------------===//
//
// Expanded: places in the operand are arithmetic on the grid, and each of the 1, 2^d or 4^d
// neighbours of a place is one gather over the flattened spatial dims, times its weight.
//
// Source: ONNX operator schemas, GridSample of opset 16 and 20.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/AttentionForm.h"
#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
class GridSample {
public:
  GridSample(NodeBuilder &b, Value x, Value grid)
      : b(b), x(x), type(wideType(b, x)), spatial(b.rank(x) - 2) {
    for (int64_t axis = 0; axis < spatial; ++axis) {
      sizes.push_back(castTo(b, scalarDimOf(b, x, axis + 2), type));
      last.push_back(plus(sizes.back(), -1));
    }
    this->grid = castTo(b, grid, type);
    // [N, P, C]: P is all spatial dims in one.
    SmallVector<int64_t> perm{0};
    for (int64_t axis = 0; axis < spatial; ++axis)
      perm.push_back(axis + 2);
    perm.push_back(1);
    Value flat = transpose(b, x, perm);
    points = reshape(b, castTo(b, flat, type),
                     joinDims(b, {dimOf(b, x, 0), b.makeInts({-1}), dimOf(b, x, 1)}));
  }

  enum class Mode { Nearest, Linear, Cubic };
  enum class Padding { Zeros, Border, Reflection };

  Value build(Mode mode, Padding padding, bool alignCorners) {
    this->padding = padding;
    this->alignCorners = alignCorners;
    SmallVector<Value> places;
    for (int64_t axis = 0; axis < spatial; ++axis) {
      Value place = placeOn(axis);
      if (mode == Mode::Nearest)
        place = unary<RoundOp>(b, place);
      places.push_back(inside(place, axis));
    }
    // For each axis the neighbours and their weights.
    SmallVector<SmallVector<std::pair<Value, Value>>> taps;
    for (Value place : places)
      taps.push_back(tapsOf(place, mode));
    SmallVector<Value> chosen(spatial);
    Value sum;
    addNeighbours(taps, 0, chosen, Value(), sum);
    return result(sum);
  }

private:
  Value plus(Value v, double number) { return withScalar<AddOp>(b, v, number); }
  Value times(Value v, double number) { return withScalar<MulOp>(b, v, number); }

  /// Coordinate `axis` of every place, [N, out..., 1]; the grid has the last axis first, in -1 to
  /// 1.
  Value placeOn(int64_t axis) {
    Value which = b.makeInts({spatial - 1 - axis});
    if (b.stopped())
      return {};
    Value unit = b.make<GatherOp>(grid, which, b.rank(grid) - 1);
    Value shifted = plus(unit, 1);
    if (alignCorners)
      return binary<MulOp>(b, times(shifted, 0.5), last[axis]);
    return times(plus(binary<MulOp>(b, shifted, sizes[axis]), -1), 0.5);
  }

  Value clamped(Value v, Value low, Value high) {
    Value above = b.stopped() ? Value() : b.make<MaxOp>(SmallVector<Value>{v, low});
    return b.stopped() ? Value() : b.make<MinOp>(SmallVector<Value>{above, high});
  }

  /// v where it lies in the operand; else as the padding says. Zeros: v itself.
  Value inside(Value v, int64_t axis) {
    if (padding == Padding::Zeros || b.stopped())
      return v;
    Value zero = b.makeScalar(type, 0);
    if (padding == Padding::Border)
      return clamped(v, zero, last[axis]);
    // Back and forth between the borders: a triangle wave.
    double edge = alignCorners ? 0 : -0.5;
    Value range = alignCorners ? last[axis] : sizes[axis], period = times(range, 2);
    Value way = plus(v, -edge);
    Value rounds = unary<FloorOp>(b, binary<DivOp>(b, way, period));
    Value phase = binary<SubOp>(b, way, binary<MulOp>(b, rounds, period));
    Value back =
        where(b, binary<GreaterOp>(b, phase, range), binary<SubOp>(b, period, phase), phase);
    return plus(back, edge);
  }

  SmallVector<std::pair<Value, Value>> tapsOf(Value place, Mode mode) {
    if (mode == Mode::Nearest)
      return {{place, Value()}};
    Value floor = unary<FloorOp>(b, place), t = binary<SubOp>(b, place, floor);
    Value rest = plus(times(t, -1), 1);
    if (mode == Mode::Linear)
      return {{floor, rest}, {plus(floor, 1), t}};
    return {{plus(floor, -1), outer(plus(t, 1))},
            {floor, inner(t)},
            {plus(floor, 1), inner(rest)},
            {plus(floor, 2), outer(plus(rest, 1))}};
  }

  // Cubic convolution with a = -0.75: within one of the place, and within two.
  static constexpr double a = -0.75;
  Value inner(Value d) {
    Value linear = plus(times(d, a + 2), -(a + 3));
    return plus(binary<MulOp>(b, linear, binary<MulOp>(b, d, d)), 1);
  }
  Value outer(Value d) {
    Value quadratic = plus(binary<MulOp>(b, plus(times(d, a), -5 * a), d), 8 * a);
    return plus(binary<MulOp>(b, quadratic, d), -4 * a);
  }

  void addNeighbours(ArrayRef<SmallVector<std::pair<Value, Value>>> taps, int64_t axis,
                     SmallVectorImpl<Value> &chosen, Value weight, Value &sum) {
    if (axis == spatial) {
      Value value = fetch(chosen);
      if (weight)
        value = binary<MulOp>(b, value, weight);
      sum = sum ? binary<AddOp>(b, sum, value) : value;
      return;
    }
    for (auto [place, own] : taps[axis]) {
      chosen[axis] = place;
      Value both = weight && own ? binary<MulOp>(b, weight, own) : own ? own : weight;
      addNeighbours(taps, axis + 1, chosen, both, sum);
    }
  }

  /// The points at these whole coordinates, [N, out..., C].
  Value fetch(ArrayRef<Value> places) {
    Value index, seen;
    for (auto [axis, place] : llvm::enumerate(places)) {
      Value zero = b.makeScalar(type, 0);
      if (padding == Padding::Zeros)
        for (Value ok : {binary<GreaterOrEqualOp>(b, place, zero),
                         binary<LessOrEqualOp>(b, place, last[axis])})
          seen = bothSeen(b, seen, ok);
      Value whole = clamped(inside(place, axis), zero, last[axis]);
      whole = castTo(b, whole, b.ops().getI64Type());
      if (index)
        whole = binary<AddOp>(b, whole, binary<MulOp>(b, index, scalarDimOf(b, x, axis + 2)));
      index = whole;
    }
    if (b.stopped())
      return {};
    Value values = b.make<GatherNDOp>(points, index, 1);
    return seen ? where(b, seen, values, b.makeScalar(type, 0)) : values;
  }

  /// [N, out..., C] as [N, C, out...] of x's type.
  Value result(Value sum) {
    SmallVector<int64_t> perm{0, spatial + 1};
    for (int64_t axis = 0; axis < spatial; ++axis)
      perm.push_back(axis + 1);
    return castTo(b, transpose(b, sum, perm), b.elementType(x));
  }

  NodeBuilder &b;
  Value x, grid, points;
  Type type;
  int64_t spatial;
  SmallVector<Value> sizes, last; // of the spatial dims, as floats: the size, and one less
  Padding padding = Padding::Zeros;
  bool alignCorners = false;
};

void upgradeGridSample(NodeBuilder &b) {
  Value x = b.in(0), grid = b.in(1);
  StringRef mode = b.stringAttr("mode", "linear"), pads = b.stringAttr("padding_mode", "zeros");
  bool alignCorners = b.flagAttr("align_corners", false);
  expectFloat(b, x, "X");
  expectFloat(b, grid, "grid");
  if (b.stopped())
    return;
  int64_t rank = b.rank(x);
  if (rank < 3 || b.rank(grid) != rank)
    return b.error("X and grid have ranks " + Twine(rank) + " and " + Twine(b.rank(grid)) +
                   ", expected the same of at least 3");
  int64_t own = cast<RankedTensorType>(grid.getType()).getDimSize(rank - 1);
  if (own != rank - 2 && !ShapedType::isDynamic(own))
    return b.error("last dim of 'grid' is " + Twine(own) + ", expected " + Twine(rank - 2));
  using Mode = GridSample::Mode;
  bool isNearest = mode == "nearest", isLinear = mode == "linear" || mode == "bilinear";
  if (!isNearest && !isLinear && mode != "cubic" && mode != "bicubic")
    return b.error("attribute 'mode' is '" + mode + "', expected linear, nearest or cubic");
  if (rank > 5 || (rank > 4 && !isNearest && !isLinear))
    return b.unsupported(mode + " samples of " + Twine(rank - 2) + " spatial dims");
  using Padding = GridSample::Padding;
  if (pads != "zeros" && pads != "border" && pads != "reflection")
    return b.error("attribute 'padding_mode' is '" + pads +
                   "', expected zeros, border or reflection");
  Padding padding = pads == "zeros"    ? Padding::Zeros
                    : pads == "border" ? Padding::Border
                                       : Padding::Reflection;
  b.out(0, GridSample(b, x, grid)
               .build(isNearest  ? Mode::Nearest
                      : isLinear ? Mode::Linear
                                 : Mode::Cubic,
                      padding, alignCorners));
}
} // namespace

void addGridSample(std::vector<Operator> &table) {
  table.push_back({"GridSample", 16, "float", "up to 3 spatial dims, cubic: 2; becomes gathers",
                   upgradeGridSample});
}

} // namespace rapt::onnx
