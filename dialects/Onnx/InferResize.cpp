//===- InferResize.cpp - Pad and Resize ------------------------------------------------------===//
//
// Result dims from pads, sizes and scales, which follow from constants and the dims of inputs;
// checks of modes and of the number of axes. Contents are not followed.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
LogicalResult inferPad(ShapeInference &shapes, PadOp op) {
  Shape shape = shapes.shapeOf(op.getData());
  Type type = elementTypeOf(op.getData());
  ArrayRef<int64_t> axes = op.getAxes();
  StringRef mode = op.getMode();
  FailureOr<Shape> pads = shapes.integers(op, op.getPads(), "pads");
  if (failed(pads) || failed(checkAxes(op, axes, shape.size())))
    return failure();
  if (pads->size() != 2 * axes.size())
    return op.emitOpError() << "pads have " << pads->size() << " elements, expected "
                            << 2 * axes.size() << ", two for each of " << axes.size() << " axes";
  if (!llvm::is_contained({"constant", "reflect", "edge", "wrap"}, mode))
    return op.emitOpError() << "mode is '" << mode << "', expected constant, reflect, edge or wrap";
  if (Value value = op.getValue()) {
    if (elementTypeOf(value) != type)
      return op.emitOpError() << "value has element type " << elementTypeOf(value) << ", expected "
                              << type << " as data";
    if (!numElements(shapes.shape(value)).is(1))
      return op.emitOpError("value has more or less than one element");
  }
  for (auto [i, axis] : llvm::enumerate(axes)) {
    SymbolicExpr begin = (*pads)[i], end = (*pads)[axes.size() + i], dim = shape[axis];
    SymbolicExpr result = dim + begin + end;
    if (mode != "constant" && dim.is(0) && !result.is(0))
      return op.emitOpError() << "dim " << axis << " is 0, expected elements to repeat in mode '"
                              << mode << "'";
    if (result.upperBound() < 0)
      return op.emitOpError() << "pads on axis " << axis << " are " << begin.str() << " and "
                              << end.str() << ", expected to take off no more than " << dim.str()
                              << " elements";
    if (result.lowerBound() < 0 && !shapes.atMost(SymbolicExpr(0), result))
      shapes.require(op, SymbolicExpr(0) - begin - end, dim, /*equal=*/false,
                     "pads on axis " + Twine(axis));
    shape[axis] = result;
  }
  return shapes.set(op, 0, std::move(shape), type);
}

LogicalResult checkOneOf(Operation *op, StringRef value, ArrayRef<StringRef> known,
                         StringRef name) {
  if (llvm::is_contained(known, value))
    return success();
  return op->emitOpError() << name << " is '" << value << "', expected "
                           << llvm::join(known.drop_back(), ", ") << " or " << known.back();
}

LogicalResult inferResize(ShapeInference &shapes, ResizeOp op) {
  Shape shape = shapes.shapeOf(op.getX());
  ArrayRef<int64_t> axes = op.getAxes();
  StringRef transformation = op.getCoordinateTransformationMode();
  FailureOr<Shape> sizes = shapes.integers(op, op.getSizes(), "sizes");
  if (failed(sizes) || failed(checkAxes(op, axes, shape.size())) ||
      failed(checkOneOf(op, op.getMode(), {"nearest", "linear", "cubic"}, "mode")) ||
      failed(checkOneOf(op, op.getNearestMode(),
                        {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"},
                        "nearest_mode")) ||
      failed(checkOneOf(op, transformation,
                        {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                         "align_corners", "asymmetric", "tf_crop_and_resize"},
                        "coordinate_transformation_mode")))
    return failure();
  if (sizes->size() != axes.size() || op.getScales().size() != axes.size())
    return op.emitOpError() << "has " << sizes->size() << " sizes and " << op.getScales().size()
                            << " scales, expected " << axes.size() << " as axes";
  if (transformation == "tf_crop_and_resize" &&
      (!op.getRoi() || op.getRoi()->size() != 2 * axes.size()))
    return op.emitOpError() << "expected a roi of " << 2 * axes.size() << " numbers";
  constexpr double least = 1.0 / 1024;
  for (auto [axis, size, scale] : llvm::zip(axes, *sizes, op.getScales())) {
    if (!(scale >= 0) || (op.getAntialias() && scale < least))
      return op.emitOpError() << "scale on axis " << axis << " is " << scale
                              << ", expected at least "
                              << (op.getAntialias() ? "1/1024 with antialias" : "0");
    if (shape[axis].is(0) && !size.is(0))
      return op.emitOpError() << "dim " << axis << " is 0, expected elements to take samples of";
    if (failed(checkSize(shapes, op, size, "size on axis " + Twine(axis))))
      return failure();
    shape[axis] = size;
  }
  if (elementTypeOf(op.getX()).isInteger(1) && op.getMode() != "nearest")
    return op.emitOpError() << "operand 0 has element type i1, expected a number for mode '"
                            << op.getMode() << "'";
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getX()));
}
} // namespace

void addResize(InferTable &table) {
  table.add<PadOp, inferPad>();
  table.add<ResizeOp, inferResize>();
}

} // namespace rapt::onnx
