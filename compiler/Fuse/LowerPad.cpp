//===- LowerPad.cpp - Pad => a copy that reads at mapped places ------------------------===//
//
// Result index i stands for place i - begin of the operand. The mode says what a place outside
// means: the nearest one (edge), mirrored (reflect), around (wrap), or a constant instead. A place
// that is read always exists, whichever is chosen.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"
#include "compiler/Fuse/Lowering.h"

using namespace mlir;

namespace rapt::fuse {

/// The place that `at`, which may be outside, means on an axis of `extent` elements.
static Value placeFor(IndexMath &math, Value at, Value extent, StringRef mode) {
  if (mode == "wrap")
    return math.mod(at, extent);
  if (mode != "reflect")
    return math.clamp(at, extent);
  // There and back again: 0 1 2 3 2 1, 0 1 2 3 ...; one element has no way.
  Value last = math.sub(extent, math.number(1));
  Value way = math.mul(last, math.number(2));
  Value rest = math.mod(at, math.max(way, math.number(1)));
  return math.min(rest, math.max(math.sub(way, rest), math.number(0)));
}

Value Lowering::pad(const View &source, ArrayRef<OpFoldResult> extents,
                    ArrayRef<OpFoldResult> begins, ArrayRef<OpFoldResult> result, Type element,
                    StringRef mode, const View &fill, bool mayBeEmpty) {
  int64_t rank = result.size();
  if (llvm::is_contained(
          llvm::map_range(extents, [](OpFoldResult e) { return isConstantIntValue(e, 0); }), true))
    return map(result, element, {fill},
               [](OpBuilder &, Location, ValueRange args) { return args[0]; });
  SmallVector<View> inputs;
  if (mode == "constant")
    inputs.push_back(fill);
  return map(result, element, inputs, [&](OpBuilder &b, Location at, ValueRange args) -> Value {
    IndexMath math{b, at};
    SmallVector<Value> position;
    Value inside;
    for (int64_t i = 0; i < rank; ++i) {
      Value index = math.loop(i);
      if (!isConstantIntValue(begins[i], 0) || !isEqualConstantIntOrValue(extents[i], result[i])) {
        Value from = math.sub(index, math.size(begins[i])), extent = math.size(extents[i]);
        index = placeFor(math, from, extent, mode);
        Value here = math.equal(from, index);
        if (mayBeEmpty) { // then nothing is inside, and the place that is read is 0
          index = math.max(index, math.number(0));
          here = math.both(here, math.less(math.number(0), extent));
        }
        inside = inside ? math.both(inside, here) : here;
      }
      position.push_back(index);
    }
    Value loaded = load(b, at, source, element, position);
    return inside && mode == "constant"
               ? arith::SelectOp::create(b, at, inside, loaded, args[0]).getResult()
               : loaded;
  });
}

LogicalResult Lowering::lowerPad(onnx::PadOp op) {
  int64_t rank = tensorType(op.getData()).getRank();
  Type element = storageType(tensorType(op.getData()).getElementType());
  SmallVector<OpFoldResult> begins(rank, builder.getIndexAttr(0));
  FailureOr<onnx::Shape> pads = shapes.integers(op, op.getPads(), "pads");
  if (failed(pads))
    return failure();
  for (auto [i, axis] : llvm::enumerate(op.getAxes()))
    begins[axis] = size((*pads)[i]);
  Sizes extents = sizes(op.getData()), result = sizes(op.getOutput());
  bool isStored = false; // where nothing is read and all is filled, as well
  for (const onnx::SymbolicExpr &extent : shape(op.getData()))
    if (op.getMode() == "constant" && extent.hasMeasured() && extent.lowerBound() < 1)
      isStored = true;
    else
      requireNonEmpty(extent);
  View fill;
  if (op.getValue()) {
    SmallVector<AffineExpr> first(tensorType(op.getValue()).getRank(),
                                  builder.getAffineConstantExpr(0));
    fill = view(op.getValue()).through(AffineMap::get(rank, 0, first, builder.getContext()));
  } else {
    fill.literal = cast<TypedAttr>(builder.getZeroAttr(element));
  }
  View source = isStored ? stored(op.getData()) : view(op.getData());
  bind(op.getOutput(), pad(source, extents, begins, result, element, op.getMode(), fill, isStored));
  return success();
}

} // namespace rapt::fuse
