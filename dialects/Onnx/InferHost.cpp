//===- InferHost.cpp - Index arithmetic and the dialects around onnx -------------------------===//
//
// What simplify and fuse put beside onnx operations: shape operands as tensor.from_elements of
// index arithmetic, dims and weights, fused attention.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Infer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
LogicalResult inferDim(ShapeInference &shapes, kernel::DimOp op) {
  shapes.bindScalar(op.getResult(), SymbolicExpr::symbol(op.getSymbol(), !op.getMaybeEmpty()));
  return success();
}

LogicalResult inferMeasuredDim(ShapeInference &shapes, kernel::MeasuredDimOp op) {
  SymbolicExpr bound = shapes.scalar(op.getBound());
  if (!bound.isKnown() || bound.hasMeasured())
    return op.emitOpError() << "expects a bound that follows from the dims of the model's inputs";
  shapes.bindScalar(op.getResult(), SymbolicExpr::measured(op.getSymbol(), bound));
  return success();
}

LogicalResult inferRequire(ShapeInference &shapes, kernel::RequireOp op) {
  SymbolicExpr lhs = shapes.scalar(op.getLhs()), rhs = shapes.scalar(op.getRhs());
  if (lhs.isKnown() && rhs.isKnown())
    shapes.assume({lhs, rhs, op.getEqual(), op.getMessage().str()});
  return success();
}

LogicalResult inferConstantIndex(ShapeInference &shapes, arith::ConstantOp op) {
  if (auto value = dyn_cast<IntegerAttr>(op.getValue()))
    shapes.bindScalar(op.getResult(), value.getValue().getSignificantBits() <= 64
                                          ? SymbolicExpr(value.getValue().getSExtValue())
                                          : SymbolicExpr());
  else if (auto value = dyn_cast<ElementsAttr>(op.getValue()))
    shapes.bindContent(op.getResult(), readContent(value, shapes.contentLimit()));
  return success();
}

template <typename Op, SymbolicExpr (*function)(const SymbolicExpr &, const SymbolicExpr &)>
LogicalResult inferArith(ShapeInference &shapes, Op op) {
  shapes.bindScalar(op.getResult(),
                    function(shapes.scalar(op.getLhs()), shapes.scalar(op.getRhs())));
  return success();
}
SymbolicExpr add(const SymbolicExpr &a, const SymbolicExpr &b) { return a + b; }
SymbolicExpr subtract(const SymbolicExpr &a, const SymbolicExpr &b) { return a - b; }
SymbolicExpr multiply(const SymbolicExpr &a, const SymbolicExpr &b) { return a * b; }

LogicalResult inferIndexCast(ShapeInference &shapes, arith::IndexCastOp op) {
  shapes.bindScalar(op.getResult(), shapes.scalar(op.getIn()));
  return success();
}

LogicalResult inferFromElements(ShapeInference &shapes, tensor::FromElementsOp op) {
  std::vector<Element> elements;
  for (Value value : op.getElements())
    elements.push_back(Element::ofInt(shapes.scalar(value)));
  shapes.bindContent(op.getResult(), Content::ofElements(std::move(elements)));
  return success();
}

LogicalResult inferSdpa(ShapeInference &shapes, attn::SdpaOp op) {
  Shape query = shapes.shapeOf(op.getQuery()), value = shapes.shapeOf(op.getValue());
  if (query.size() != 4 || value.size() != 4)
    return op.emitOpError() << "query and value have rank " << query.size() << " and "
                            << value.size() << ", expected 4";
  return shapes.set(op, 0, {query[0], query[1], query[2], value[3]}, elementTypeOf(op.getQuery()));
}
} // namespace

void addHostOps(InferTable &table) {
  table.add<kernel::DimOp, inferDim>();
  table.add<kernel::MeasuredDimOp, inferMeasuredDim>();
  table.add<kernel::RequireOp, inferRequire>();
  table.add<arith::ConstantOp, inferConstantIndex>();
  table.add<arith::AddIOp, inferArith<arith::AddIOp, add>>();
  table.add<arith::SubIOp, inferArith<arith::SubIOp, subtract>>();
  table.add<arith::MulIOp, inferArith<arith::MulIOp, multiply>>();
  table.add<arith::FloorDivSIOp, inferArith<arith::FloorDivSIOp, SymbolicExpr::floorDiv>>();
  table.add<arith::MinSIOp, inferArith<arith::MinSIOp, SymbolicExpr::min>>();
  table.add<arith::MaxSIOp, inferArith<arith::MaxSIOp, SymbolicExpr::max>>();
  table.add<arith::IndexCastOp, inferIndexCast>();
  table.add<tensor::FromElementsOp, inferFromElements>();
  table.add<attn::SdpaOp, inferSdpa>();
}

} // namespace rapt::onnx
