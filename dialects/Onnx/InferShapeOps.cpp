//===- InferShapeOps.cpp - Shapes, ranges and constants --------------------------------------===//
//
// Where contents come from: constants, the dims of a value, and Range as base and stride.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

#include <cmath>

using namespace mlir;

namespace rapt::onnx {

namespace {
LogicalResult inferConstant(ShapeInference &shapes, ConstantOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getValue().getType());
  if (!type || !type.getElementType().isIntOrFloat())
    return op.emitOpError() << "value has type " << op.getValue().getType()
                            << ", expected a tensor of numbers";
  Shape shape;
  for (int64_t dim : type.getShape())
    shape.push_back(SymbolicExpr(dim));
  return shapes.set(op, 0, std::move(shape), type.getElementType(),
                    readContent(op.getValue(), shapes.contentLimit()));
}

LogicalResult inferShape(ShapeInference &shapes, ShapeOp op) {
  ArrayRef<SymbolicExpr> shape = shapes.shape(op.getData());
  int64_t rank = shape.size(), start = op.getStart(), end = op.getEnd();
  if (start < 0 || start > rank || end < 0 || end > rank)
    return op.emitOpError() << "start is " << start << " and end " << end << ", expected 0 to "
                            << rank;
  std::vector<Element> elements;
  for (int64_t i = start; i < end; ++i)
    elements.push_back(Element::ofInt(shape[i]));
  Shape result = {SymbolicExpr(elements.size())};
  return shapes.set(op, 0, std::move(result), IntegerType::get(op.getContext(), 64),
                    Content::ofElements(std::move(elements)));
}

LogicalResult inferSize(ShapeInference &shapes, SizeOp op) {
  Element count = Element::ofInt(numElements(shapes.shape(op.getInput())));
  return shapes.set(op, 0, {}, IntegerType::get(op.getContext(), 64), Content::ofElements({count}));
}

LogicalResult inferConstantOfShape(ShapeInference &shapes, ConstantOfShapeOp op) {
  FailureOr<Shape> shape = shapes.integers(op, op.getInput(), "input");
  if (failed(shape))
    return failure();
  if (op.getValue().getNumElements() != 1)
    return op.emitOpError() << "value has " << op.getValue().getNumElements()
                            << " elements, expected 1";
  for (SymbolicExpr &dim : *shape) {
    FailureOr<SymbolicExpr> size = sizeAsked(shapes, op, dim, "input");
    if (failed(size))
      return failure();
    dim = *size;
  }
  Content value = readContent(op.getValue(), 1);
  Content content;
  if (const Element *element = value.uniform())
    content = Content::uniform(*element, shape->size());
  return shapes.set(op, 0, *shape, op.getValue().getElementType(), std::move(content));
}

/// Number of elements of Range on constant floats.
FailureOr<int64_t> floatCount(RangeOp op, double start, double limit, double delta) {
  double count = delta == 0 ? -1 : std::max(0.0, std::ceil((limit - start) / delta));
  if (!(count >= 0 && count < 9e15)) {
    op.emitOpError() << "start is " << start << ", limit " << limit << " and delta " << delta
                     << ", expected a finite number of elements";
    return failure();
  }
  return static_cast<int64_t>(count);
}

LogicalResult inferRange(ShapeInference &shapes, RangeOp op) {
  Type type = elementTypeOf(op.getStart());
  Element parts[3];
  StringRef names[] = {"start", "limit", "delta"};
  for (auto [part, name, operand] : llvm::zip(parts, names, op->getOperands())) {
    if (elementTypeOf(operand) != type)
      return op.emitOpError() << name << " has element type " << elementTypeOf(operand)
                              << ", expected " << type << " as start";
    const Element *value = shapes.content(operand).uniform();
    if (!value)
      return op.emitOpError() << name
                              << " is computed from the model's data, expected it to follow "
                              << "from constants and the inputs' dims";
    part = *value;
  }
  if (parts[0].kind == Element::Float) {
    double start = parts[0].number, delta = parts[2].number;
    FailureOr<int64_t> count = floatCount(op, start, parts[1].number, delta);
    if (failed(count))
      return failure();
    std::vector<Element> elements;
    if (*count <= shapes.contentLimit())
      for (int64_t i = 0; i < *count; ++i)
        elements.push_back(Element::ofFloat(roundTo(type, start + static_cast<double>(i) * delta)));
    Content content =
        *count <= shapes.contentLimit() ? Content::ofElements(std::move(elements)) : Content();
    return shapes.set(op, 0, {SymbolicExpr(*count)}, type, std::move(content));
  }
  SymbolicExpr start = parts[0].expr, limit = parts[1].expr, delta = parts[2].expr;
  bool up = delta.lowerBound() > 0, down = delta.upperBound() < 0;
  if (!up && !down)
    return op.emitOpError() << "delta is " << delta.str() << ", expected it not to be 0";
  SymbolicExpr span = up ? limit - start : start - limit;
  SymbolicExpr step = up ? delta : SymbolicExpr(0) - delta;
  SymbolicExpr count =
      SymbolicExpr::floorDiv(SymbolicExpr::max(span, 0) + step - SymbolicExpr(1), step);
  return shapes.set(op, 0, {count}, type, Content::affine(Element::ofInt(start), {delta}));
}
} // namespace

void addShapeOps(InferTable &table) {
  table.add<ConstantOp, inferConstant>();
  table.add<ShapeOp, inferShape>();
  table.add<SizeOp, inferSize>();
  table.add<ConstantOfShapeOp, inferConstantOfShape>();
  table.add<RangeOp, inferRange>();
}

} // namespace rapt::onnx
