//===- InferSelection.cpp - What depends on the data of a tensor ------------------------------===//
//
// NonZero has as many columns as a measured symbol says, whose bound is the number of elements of
// the operand. No contents.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
LogicalResult inferNonZero(ShapeInference &shapes, NonZeroOp op) {
  Shape dims = shapes.shapeOf(op.getX());
  SymbolicExpr bound = numElements(dims).withoutMeasured();
  if (!bound.isKnown())
    return op.emitOpError() << "operand has " << numElements(dims).str()
                            << " elements, for which no bound is found before the model runs";
  SymbolicExpr count = SymbolicExpr::measured(op.getSymbol(), bound);
  return shapes.set(op, 0, {SymbolicExpr(static_cast<int64_t>(dims.size())), count},
                    IntegerType::get(op.getContext(), 64));
}

LogicalResult inferRankRows(ShapeInference &shapes, RankRowsOp op) {
  Shape dims = shapes.shapeOf(op.getX());
  if (dims.size() != 2)
    return op.emitOpError() << "operand has rank " << dims.size() << ", expected 2";
  Type word = IntegerType::get(op.getContext(), 64);
  if (failed(shapes.set(op, 0, {dims.front()}, word)))
    return failure();
  return shapes.set(op, 1, {dims.front()}, word);
}
} // namespace

void addSelection(InferTable &table) {
  table.add<NonZeroOp, inferNonZero>();
  table.add<RankRowsOp, inferRankRows>();
}

} // namespace rapt::onnx
