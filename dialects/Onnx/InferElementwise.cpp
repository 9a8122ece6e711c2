//===- InferElementwise.cpp - Elementwise operations -----------------------------------------===//
//
// Shape: NumPy broadcasting. Content: element by element where the operands list theirs, and on
// base and strides where they are affine in the index.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Evaluate.h"
#include "dialects/Onnx/Infer.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// An operand of a broadcast: its content with the dims of the result.
struct Operand {
  Shape shape;
  Content content;

  /// Position of the element that meets `index` of the result.
  int64_t position(ArrayRef<int64_t> index) const {
    int64_t result = 0;
    size_t skip = index.size() - shape.size();
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t dim = shape[i].constant().value_or(1);
      result = result * dim + (dim == 1 ? 0 : index[skip + i]);
    }
    return result;
  }
  /// Base and strides over the dims of the result; unknown when the content is no affine function.
  Content affine(size_t rank) const {
    if (const Element *value = content.uniform())
      return Content::uniform(*value, rank);
    if (!content.isAffine())
      return {};
    Shape strides(rank - shape.size(), SymbolicExpr(0));
    for (size_t i = 0; i < shape.size(); ++i)
      strides.push_back(shape[i].is(1) ? SymbolicExpr(0) : content.strides()[i]);
    return Content::affine(content.base(), strides);
  }
};

bool isUniform(const Content &content) { return content.uniform() != nullptr; }

/// The least (or greatest) element of an affine content over all indices.
SymbolicExpr extreme(const Content &content, ArrayRef<SymbolicExpr> shape, bool least) {
  SymbolicExpr value = content.base().expr;
  for (auto [stride, dim] : llvm::zip(content.strides(), shape)) {
    if (stride.is(0))
      continue;
    bool rising = stride.lowerBound() >= 0;
    if (!rising && stride.upperBound() > 0)
      return {};
    if (rising != least)
      value = value + stride * (dim - SymbolicExpr(1));
  }
  return value;
}

/// The content where integers of `type` hold its elements, else unknown: they would wrap around.
Content inType(Content content, ArrayRef<SymbolicExpr> shape, Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  if (!content.isAffine() || !integer || integer.isInteger(1))
    return {};
  for (bool least : {true, false})
    if (!extreme(content, shape, least).fits(integer.getWidth(), integer.isUnsigned()))
      return {};
  return content;
}

Content affineSum(const Content &a, const Content &b, int64_t sign) {
  if (a.base().kind != Element::Int || b.base().kind != Element::Int)
    return {};
  Shape strides;
  for (auto [x, y] : llvm::zip(a.strides(), b.strides()))
    strides.push_back(x + y * SymbolicExpr(sign));
  return Content::affine(Element::ofInt(a.base().expr + b.base().expr * SymbolicExpr(sign)),
                         strides);
}

Content affineScaled(const Content &a, const Element &factor) {
  if (a.base().kind != Element::Int || factor.kind != Element::Int)
    return {};
  Shape strides;
  for (const SymbolicExpr &stride : a.strides())
    strides.push_back(stride * factor.expr);
  return Content::affine(Element::ofInt(a.base().expr * factor.expr), strides);
}

/// A comparison that has the same answer at every index, because the ranges of its sides are apart.
Content compareRanges(Operation *op, const Content &a, const Content &b,
                      ArrayRef<SymbolicExpr> shape) {
  if (a.base().kind != Element::Int || b.base().kind != Element::Int)
    return {};
  Type type = IntegerType::get(op->getContext(), 1);
  auto at = [&](bool leastA) {
    Element x = Element::ofInt(extreme(a, shape, leastA));
    Element y = Element::ofInt(extreme(b, shape, !leastA));
    return evaluate(op, {x, y}, type);
  };
  Element one = at(true), other = at(false);
  return one == other && !isa<EqualOp>(op) ? Content::uniform(one, shape.size()) : Content();
}

/// One element. What exporters ask of sizes is often decided only by what must hold of them:
/// TorchScript, whether a size of an Expand is -1; dynamo, what half of a length is, in a division
/// that rounds towards 0. Only what is assumed counts: who assumes it checks it before a run. What
/// this analysis has asked for so far need not be checked, as when a rewrite tries an operation in
/// vain.
Element evaluateElement(const ShapeInference &shapes, Operation *op, ArrayRef<Element> operands,
                        Type type) {
  Element result = evaluate(op, operands, type);
  if (!isa<EqualOp, DivOp>(op) || operands[0].kind != Element::Int ||
      operands[1].kind != Element::Int || result.isConstant())
    return result;
  SymbolicExpr a = operands[0].expr, b = operands[1].expr, one(1);
  bool decided = isa<EqualOp>(op) ? shapes.atMost(a + one, b) || shapes.atMost(b + one, a)
                                  : shapes.atMost(0, a) && b.lowerBound() > 0;
  if (!decided)
    return result;
  return isa<EqualOp>(op) ? Element::ofInt(0) : wrapTo(type, SymbolicExpr::floorDiv(a, b));
}

Content affineResult(Operation *op, ArrayRef<Operand> operands, ArrayRef<SymbolicExpr> shape,
                     Type type) {
  SmallVector<Content, 3> contents;
  SmallVector<Element, 3> values;
  bool allUniform = true;
  for (const Operand &operand : operands) {
    contents.push_back(operand.affine(shape.size()));
    const Element *value = contents.back().uniform();
    values.push_back(value ? *value : Element());
    allUniform &= value != nullptr;
  }
  // Also with an unknown side: false and x is false.
  if (Element value = evaluate(op, values, type); value.isKnown())
    return Content::uniform(value, shape.size());
  if (allUniform || !llvm::all_of(contents, [](auto &c) { return c.isKnown(); }))
    return {};
  if (isa<IdentityOp>(op))
    return contents[0];
  if (isa<AddOp, SubOp>(op))
    return inType(affineSum(contents[0], contents[1], isa<AddOp>(op) ? 1 : -1), shape, type);
  if (isa<MulOp>(op) && isUniform(contents[1]))
    return inType(affineScaled(contents[0], values[1]), shape, type);
  if (isa<MulOp>(op) && isUniform(contents[0]))
    return inType(affineScaled(contents[1], values[0]), shape, type);
  if (isa<CastOp>(op) && contents[0].base().kind == Element::Int)
    return inType(contents[0], shape, type);
  if (isa<LessOp, LessOrEqualOp, GreaterOp, GreaterOrEqualOp>(op))
    return compareRanges(op, contents[0], contents[1], shape);
  return {};
}

Content elementwiseContent(ShapeInference &shapes, Operation *op, ArrayRef<SymbolicExpr> shape,
                           Type type) {
  SmallVector<Operand, 3> operands;
  bool anyKnown = false;
  for (Value value : op->getOperands()) {
    operands.push_back({shapes.shapeOf(value), shapes.content(value)});
    anyKnown |= operands.back().content.isKnown();
  }
  if (!anyKnown)
    return {};
  std::optional<SmallVector<int64_t, 4>> dims = staticDims(shape);
  if (!dims || !shapes.isListable(*dims))
    return affineResult(op, operands, shape, type);
  std::vector<Element> elements;
  SmallVector<Element, 3> values(operands.size());
  forEachIndex(*dims, [&](ArrayRef<int64_t> index) {
    for (auto [value, operand] : llvm::zip(values, operands)) {
      bool fits = operand.content.hasElements() && staticDims(operand.shape);
      value = fits ? operand.content.elements()[operand.position(index)] : Element();
    }
    elements.push_back(evaluateElement(shapes, op, values, type));
  });
  return Content::ofElements(std::move(elements));
}

LogicalResult inferBroadcast(ShapeInference &shapes, Operation *op, Type elementType) {
  SmallVector<Shape, 3> operands;
  for (Value value : op->getOperands())
    operands.push_back(shapes.shapeOf(value));
  FailureOr<Shape> shape = shapes.broadcast(op, operands);
  if (failed(shape))
    return failure();
  Content content = elementwiseContent(shapes, op, *shape, elementType);
  return shapes.set(op, 0, *shape, elementType, std::move(content));
}

LogicalResult checkSameTypes(Operation *op, unsigned first, unsigned last) {
  Type type = elementTypeOf(op->getOperand(first));
  for (unsigned i = first + 1; i <= last; ++i)
    if (Type other = elementTypeOf(op->getOperand(i)); other != type)
      return op->emitOpError() << "operand " << i << " has element type " << other << ", expected "
                               << type << " as operand " << first;
  return success();
}

LogicalResult checkElementType(Operation *op, unsigned operand, bool valid, StringRef expected) {
  if (valid)
    return success();
  return op->emitOpError() << "operand " << operand << " has element type "
                           << elementTypeOf(op->getOperand(operand)) << ", expected " << expected;
}

LogicalResult inferSameType(ShapeInference &shapes, Operation *op) {
  if (op->getNumOperands() == 0)
    return op->emitOpError("has no operands, expected at least one");
  if (failed(checkSameTypes(op, 0, op->getNumOperands() - 1)))
    return failure();
  Type type = elementTypeOf(op->getOperand(0));
  if (!isa<IdentityOp>(op) && failed(checkElementType(op, 0, !type.isInteger(1), "a number")))
    return failure();
  if (isa<NegOp>(op) && failed(checkElementType(op, 0, !type.isUnsignedInteger(), "a signed type")))
    return failure();
  return inferBroadcast(shapes, op, type);
}

LogicalResult inferFloat(ShapeInference &shapes, Operation *op) {
  Type type = elementTypeOf(op->getOperand(0));
  if (failed(checkElementType(op, 0, isa<FloatType>(type), "a float type")))
    return failure();
  return inferBroadcast(shapes, op, type);
}

LogicalResult inferLogic(ShapeInference &shapes, Operation *op) {
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    if (failed(checkElementType(op, i, elementTypeOf(op->getOperand(i)).isInteger(1), "i1")))
      return failure();
  return inferBroadcast(shapes, op, elementTypeOf(op->getOperand(0)));
}

LogicalResult inferBitwise(ShapeInference &shapes, Operation *op) {
  Type type = elementTypeOf(op->getOperand(0));
  if (failed(checkElementType(op, 0, isa<IntegerType>(type) && !type.isInteger(1),
                              "an integer type")) ||
      failed(checkSameTypes(op, 0, op->getNumOperands() - 1)))
    return failure();
  return inferBroadcast(shapes, op, type);
}

/// Booleans take a byte.
LogicalResult inferBitCast(ShapeInference &shapes, BitCastOp op) {
  auto bits = [](Type type) { return std::max(8u, type.getIntOrFloatBitWidth()); };
  Type from = elementTypeOf(op.getInput()), to = elementTypeOf(op.getOutput());
  if (bits(from) != bits(to))
    return op.emitOpError() << "operand 0 has element type " << from << " of " << bits(from)
                            << " bits, expected as many as the result's " << to << " has ("
                            << bits(to) << ")";
  return inferBroadcast(shapes, op, to);
}

LogicalResult inferCompare(ShapeInference &shapes, Operation *op) {
  if (failed(checkSameTypes(op, 0, op->getNumOperands() - 1)))
    return failure();
  return inferBroadcast(shapes, op, IntegerType::get(op->getContext(), 1));
}

LogicalResult inferIsNaN(ShapeInference &shapes, IsNaNOp op) {
  if (failed(checkElementType(op, 0, isa<FloatType>(elementTypeOf(op.getInput())), "a float type")))
    return failure();
  return inferBroadcast(shapes, op, IntegerType::get(op->getContext(), 1));
}

LogicalResult inferPow(ShapeInference &shapes, PowOp op) {
  for (unsigned i = 0; i < 2; ++i)
    if (failed(checkElementType(op, i, !elementTypeOf(op->getOperand(i)).isInteger(1), "a number")))
      return failure();
  return inferBroadcast(shapes, op, elementTypeOf(op.getA()));
}

LogicalResult inferWhere(ShapeInference &shapes, WhereOp op) {
  if (failed(checkElementType(op, 0, elementTypeOf(op.getCondition()).isInteger(1), "i1")) ||
      failed(checkSameTypes(op, 1, 2)))
    return failure();
  return inferBroadcast(shapes, op, elementTypeOf(op.getX()));
}

LogicalResult inferClip(ShapeInference &shapes, ClipOp op) {
  if (failed(checkSameTypes(op, 0, op->getNumOperands() - 1)))
    return failure();
  for (Value bound : op->getOperands().drop_front())
    if (!numElements(shapes.shape(bound)).is(1))
      return op.emitOpError() << "bound has " << numElements(shapes.shape(bound)).str()
                              << " elements, expected 1";
  Type type = elementTypeOf(op.getInput());
  Shape shape = shapes.shapeOf(op.getInput());
  Content content = elementwiseContent(shapes, op, shape, type);
  return shapes.set(op, 0, std::move(shape), type, std::move(content));
}

/// The element type of a Cast is what the operation was built with.
LogicalResult inferCast(ShapeInference &shapes, CastOp op) {
  return inferBroadcast(shapes, op, elementTypeOf(op.getOutput()));
}

LogicalResult inferGelu(ShapeInference &shapes, GeluOp op) {
  if (op.getApproximate() != "none" && op.getApproximate() != "tanh")
    return op.emitOpError() << "approximate is '" << op.getApproximate()
                            << "', expected 'none' or 'tanh'";
  return inferFloat(shapes, op);
}
} // namespace

void addElementwise(InferTable &table) {
  table.addAll<NegOp, AbsOp, SignOp, ReluOp, IdentityOp, AddOp, SubOp, MulOp, DivOp, ModOp, MinOp,
               MaxOp>(inferSameType);
  table.addAll<ExpOp, LogOp, SqrtOp, ReciprocalOp, ErfOp, TanhOp, SigmoidOp, FloorOp, CeilOp,
               RoundOp, SinOp, CosOp, TanOp, AsinOp, AcosOp, AtanOp, SinhOp, CoshOp, AsinhOp,
               AcoshOp, AtanhOp>(inferFloat);
  table.addAll<BitwiseAndOp, BitwiseOrOp, BitwiseXorOp, BitwiseNotOp, BitShiftOp>(inferBitwise);
  table.add<BitCastOp, inferBitCast>();
  table.addAll<AndOp, OrOp, XorOp, NotOp>(inferLogic);
  table.addAll<EqualOp, GreaterOp, GreaterOrEqualOp, LessOp, LessOrEqualOp>(inferCompare);
  table.add<IsNaNOp, inferIsNaN>();
  table.add<PowOp, inferPow>();
  table.add<WhereOp, inferWhere>();
  table.add<ClipOp, inferClip>();
  table.add<CastOp, inferCast>();
  table.add<GeluOp, inferGelu>();
}

} // namespace rapt::onnx
