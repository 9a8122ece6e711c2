//===- Rewrite.cpp - Patterns that know shapes -----------------------------------------------===//
//
// What patterns build with: every value comes back with its inferred type, and a pattern that does
// not apply after all leaves the IR as it found it.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;

namespace rapt {

void InferListener::notifyOperationInserted(Operation *op, OpBuilder::InsertPoint previous) {
  if (previous.isSet()) // it only moves
    return;
  // What a pattern tries may not fit after all, where the graph is only right for some sizes. Then
  // its result has no rank, which replaceOrRestore does not accept: the pattern does not apply, and
  // nothing is reported.
  ScopedDiagnosticHandler quiet(op->getContext(), [](Diagnostic &) { return success(); });
  if (failed(shapes.infer(op)))
    for (Value result : op->getResults())
      result.setType(UnrankedTensorType::get(IntegerType::get(op->getContext(), 1)));
}

std::optional<double> numberOf(const ShapeInference &shapes, Value value) {
  const Element *element = shapes.content(value).uniform();
  return element && element->kind == Element::Float ? std::optional(element->number) : std::nullopt;
}

Value makeElements(OpBuilder &builder, Location loc, ArrayRef<Element> elements,
                   RankedTensorType type) {
  Type elementType = type.getElementType();
  if (llvm::all_of(elements, [](const Element &e) { return e.isConstant(); })) {
    Content content = Content::ofElements(std::vector<Element>(elements.begin(), elements.end()));
    return onnx::ConstantOp::create(builder, loc, type, onnx::writeContent(content, type));
  }
  if (!elementType.isSignlessInteger(64) && !elementType.isSignlessInteger(32))
    return {};
  SmallVector<Value> values;
  for (const Element &element : elements) {
    if (element.kind != Element::Int)
      return {};
    if (std::optional<int64_t> constant = element.expr.constant()) {
      values.push_back(arith::ConstantIntOp::create(builder, loc, elementType, *constant));
      continue;
    }
    Value index = ShapeInference::materialize(builder, loc, element.expr);
    values.push_back(arith::IndexCastOp::create(builder, loc, elementType, index));
  }
  return tensor::FromElementsOp::create(builder, loc, type, values);
}

Value makeShape(OpBuilder &builder, Location loc, ArrayRef<SymbolicExpr> shape) {
  SmallVector<Element> elements;
  for (const SymbolicExpr &dim : shape)
    elements.push_back(Element::ofInt(dim));
  auto type = RankedTensorType::get({static_cast<int64_t>(shape.size())}, builder.getI64Type());
  return makeElements(builder, loc, elements, type);
}

Value makeScalar(OpBuilder &builder, Location loc, const Element &element, Type type, size_t rank) {
  auto scalar = RankedTensorType::get(SmallVector<int64_t>(rank, 1), type);
  return makeElements(builder, loc, element, scalar);
}

bool sameShape(ArrayRef<SymbolicExpr> a, ArrayRef<SymbolicExpr> b) {
  return a.size() == b.size() && llvm::equal(a, b);
}

bool listsShape(ShapeInference &shapes, Value operand, ArrayRef<SymbolicExpr> shape) {
  Content given = shapes.listed(operand);
  return llvm::equal(given.elements(), shape, [](const Element &element, const SymbolicExpr &dim) {
    return element.expr == dim;
  });
}

Value reshapeTo(OpBuilder &builder, ShapeInference &shapes, Location loc, Value value,
                ArrayRef<SymbolicExpr> shape) {
  if (sameShape(shapes.shape(value), shape))
    return value;
  Value operand = makeShape(builder, loc, shape);
  return make<onnx::ReshapeOp>(builder, loc, value, operand, /*allowzero=*/true);
}

Value expandTo(OpBuilder &builder, ShapeInference &shapes, Location loc, Value value,
               ArrayRef<SymbolicExpr> shape) {
  if (sameShape(shapes.shape(value), shape))
    return value;
  Value operand = makeShape(builder, loc, shape);
  return make<onnx::ExpandOp>(builder, loc, value, operand);
}

Value reshapeLike(OpBuilder &builder, ShapeInference &shapes, Value value, Value like) {
  return reshapeTo(builder, shapes, like.getLoc(), value, shapes.shapeOf(like));
}

Value expandLike(OpBuilder &builder, ShapeInference &shapes, Value value, Value like) {
  return expandTo(builder, shapes, like.getLoc(), value, shapes.shapeOf(like));
}

Value transposeBy(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> perm) {
  if (llvm::equal(perm, llvm::seq<int64_t>(0, perm.size())))
    return value;
  return make<onnx::TransposeOp>(builder, loc, value, perm);
}

LogicalResult replaceOrRestore(PatternRewriter &rewriter, Operation *op,
                               llvm::function_ref<Value()> build) {
  Operation *before = op->getPrevNode();
  Value value = build();
  if (value && value.getType() == op->getResult(0).getType()) {
    rewriter.replaceOp(op, value);
    return success();
  }
  while (op->getPrevNode() != before)
    rewriter.eraseOp(op->getPrevNode());
  return failure();
}

std::optional<SmallVector<SmallVector<int64_t>>> groupDims(ArrayRef<SymbolicExpr> shape,
                                                           ArrayRef<SymbolicExpr> merged) {
  SmallVector<SmallVector<int64_t>> groups(merged.size());
  size_t next = 0;
  for (size_t i = 0; i < merged.size(); ++i) {
    SymbolicExpr product(1);
    while (product != merged[i]) {
      if (next == shape.size())
        return std::nullopt;
      groups[i].push_back(next);
      product = product * shape[next++];
    }
  }
  for (; next < shape.size(); ++next) { // what is left must have size one
    if (!shape[next].is(1) || groups.empty())
      return std::nullopt;
    groups.back().push_back(next);
  }
  return groups;
}

} // namespace rapt
