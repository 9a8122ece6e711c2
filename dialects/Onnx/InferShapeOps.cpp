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
  for (auto [i, dim] : llvm::enumerate(*shape))
    if (failed(checkSize(shapes, op, dim, "input at " + Twine(i))))
      return failure();
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

// --- Whole numbers that are floats ---------------------------------------------------------------
/// A float scalar as an integer over the dims: a constant without a fraction, the cast of an
/// integer, and sums, differences and products of such. A float type holds the integers up to
/// 2^precision exactly and others may be rounded, so each step on the way is required to be within
/// them: then no step rounds, and the number is the integer.
class WholeFloats {
public:
  WholeFloats(ShapeInference &shapes, Operation *range) : shapes(shapes), range(range) {}

  /// Unknown, with a reason, if it is none.
  SymbolicExpr of(Value value, StringRef name, int depth = 0) {
    auto type = cast<FloatType>(elementTypeOf(value));
    int64_t most = int64_t(1) << std::min(type.getFPMantissaWidth(), 62u);
    Operation *op = value.getDefiningOp();
    if (const Element *known = shapes.content(value).uniform()) {
      double number = known->number;
      if (std::trunc(number) == number && std::fabs(number) <= static_cast<double>(most))
        return SymbolicExpr(static_cast<int64_t>(number));
      reason = "is computed from " + std::to_string(number) +
               ", expected a whole number where the length follows from the inputs' dims";
      return {};
    }
    constexpr int deepest = 8;
    if (!op || depth == deepest || !numElements(shapes.shape(value)).is(1)) {
      reason = kFromData;
      return {};
    }
    auto operand = [&](unsigned i) { return of(op->getOperand(i), name, depth + 1); };
    SymbolicExpr result;
    if (isa<CastOp>(op) && isa<IntegerType>(elementTypeOf(op->getOperand(0)))) {
      const Element *integer = shapes.content(op->getOperand(0)).uniform();
      if (!integer) {
        reason = kFromData;
        return {};
      }
      result = integer->expr;
    } else if (isa<CastOp, IdentityOp, ReshapeOp, SqueezeOp, UnsqueezeOp, FloorOp, CeilOp, RoundOp>(
                   op)) {
      result = operand(0);
    } else if (isa<NegOp>(op)) {
      result = operand(0);
      result = result.isKnown() ? SymbolicExpr(0) - result : result;
    } else if (isa<AddOp, SubOp, MulOp>(op)) {
      SymbolicExpr a = operand(0), b = a.isKnown() ? operand(1) : SymbolicExpr();
      if (b.isKnown())
        result = isa<AddOp>(op) ? a + b : isa<SubOp>(op) ? a - b : a * b;
    } else {
      reason = "is a float that " + op->getName().stripDialect().str() +
               " computes, expected a constant, or a cast of an integer that follows from "
               "constants and the inputs' dims";
    }
    if (result.isKnown())
      limit(result, most, name);
    return result;
  }

  std::string reason;

private:
  void limit(const SymbolicExpr &number, int64_t most, StringRef name) {
    if (!shapes.atMost(number, most))
      shapes.require(range, number, most, /*equal=*/false, name + " as a float");
    if (!shapes.atMost(-most, number))
      shapes.require(range, -most, number, /*equal=*/false, name + " as a float");
  }

  ShapeInference &shapes;
  Operation *range;
};

LogicalResult inferRange(ShapeInference &shapes, RangeOp op) {
  Type type = elementTypeOf(op.getStart());
  Element parts[3];
  StringRef names[] = {"start", "limit", "delta"};
  bool constants = llvm::all_of(op->getOperands(), [&](Value operand) {
    const Element *value = shapes.content(operand).uniform();
    return value && value->isConstant();
  });
  WholeFloats wholes(shapes, op);
  for (auto [part, name, operand] : llvm::zip(parts, names, op->getOperands())) {
    if (elementTypeOf(operand) != type)
      return op.emitOpError() << name << " has element type " << elementTypeOf(operand)
                              << ", expected " << type << " as start";
    if (!constants && isa<FloatType>(type)) {
      part = Element::ofInt(wholes.of(operand, name));
      if (!part.isKnown())
        return op.emitOpError() << name << " " << wholes.reason;
      continue;
    }
    const Element *value = shapes.content(operand).uniform();
    if (!value)
      return op.emitOpError() << name << " " << kFromData;
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
  Content content =
      isa<FloatType>(type) ? Content() : Content::affine(Element::ofInt(start), {delta});
  return shapes.set(op, 0, {count}, type, std::move(content));
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
