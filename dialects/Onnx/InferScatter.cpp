//===- InferScatter.cpp - ScatterElements, ScatterND and TopK --------------------------------===//
//
// Scatters have the shape of their data; indices and updates are checked against it. TopK shortens
// one axis to k, which follows from constants and the dims of inputs.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// What both scatters ask of their operands' types.
template <typename Op> LogicalResult checkScatter(Op op) {
  Type type = elementTypeOf(op.getData()), indices = elementTypeOf(op.getIndices());
  StringRef reduction = op.getReduction();
  if (!indices.isSignlessInteger(32) && !indices.isSignlessInteger(64))
    return op.emitOpError() << "indices have element type " << indices << ", expected i32 or i64";
  if (elementTypeOf(op.getUpdates()) != type)
    return op.emitOpError() << "updates have element type " << elementTypeOf(op.getUpdates())
                            << ", expected " << type << " as data";
  if (!llvm::is_contained({"none", "add", "mul", "max", "min"}, reduction))
    return op.emitOpError() << "reduction is '" << reduction
                            << "', expected none, add, mul, max or min";
  if (type.isInteger(1) && reduction != "none")
    return op.emitOpError() << "data has element type i1, expected a number for reduction '"
                            << reduction << "'";
  return success();
}

LogicalResult inferScatterElements(ShapeInference &shapes, ScatterElementsOp op) {
  Shape data = shapes.shapeOf(op.getData()), indices = shapes.shapeOf(op.getIndices()),
        updates = shapes.shapeOf(op.getUpdates());
  if (failed(checkScatter(op)) || failed(checkAxis(op, op.getAxis(), data.size())))
    return failure();
  if (indices.size() != data.size() || updates.size() != data.size())
    return op.emitOpError() << "indices have rank " << indices.size() << " and updates "
                            << updates.size() << ", expected " << data.size() << " as data";
  for (size_t axis = 0; axis < data.size(); ++axis) {
    if (failed(shapes.meet(op, indices[axis], updates[axis], "dim " + Twine(axis) + " of updates")))
      return failure();
    if (axis == op.getAxis() || shapes.atMost(indices[axis], data[axis]))
      continue;
    if (SymbolicExpr::provablyAtMost(data[axis] + SymbolicExpr(1), indices[axis]))
      return op.emitOpError() << "indices have " << indices[axis].str() << " elements in dim "
                              << axis << ", expected at most data's " << data[axis].str();
    shapes.require(op, indices[axis], data[axis], /*equal=*/false,
                   "dim " + Twine(axis) + " of indices");
  }
  return shapes.set(op, 0, std::move(data), elementTypeOf(op.getData()));
}

LogicalResult inferScatterND(ShapeInference &shapes, ScatterNDOp op) {
  Shape data = shapes.shapeOf(op.getData()), indices = shapes.shapeOf(op.getIndices()),
        updates = shapes.shapeOf(op.getUpdates());
  if (failed(checkScatter(op)))
    return failure();
  if (data.empty() || indices.empty())
    return op.emitOpError("operand has rank 0, expected at least 1");
  // The ranks say how many dims of data an index tuple is for, so that dim may be a symbol.
  int64_t rank = data.size(), tuple = rank + indices.size() - 1 - updates.size();
  if (tuple < 1 || tuple > rank)
    return op.emitOpError() << "data, indices and updates have ranks " << rank << ", "
                            << indices.size() << " and " << updates.size()
                            << ", expected updates to have from " << indices.size() - 1 << " to "
                            << rank + static_cast<int64_t>(indices.size()) - 2 << " dims";
  if (failed(shapes.meet(op, indices.back(), SymbolicExpr(tuple), "last dim of indices")))
    return failure();
  Shape wanted(ArrayRef(indices).drop_back());
  llvm::append_range(wanted, ArrayRef(data).drop_front(tuple));
  for (auto [i, dims] : llvm::enumerate(llvm::zip(updates, wanted)))
    if (failed(shapes.meet(op, std::get<0>(dims), std::get<1>(dims),
                           "dim " + Twine(i) + " of updates")))
      return failure();
  return shapes.set(op, 0, std::move(data), elementTypeOf(op.getData()));
}

LogicalResult inferTopK(ShapeInference &shapes, TopKOp op) {
  Shape shape = shapes.shapeOf(op.getX());
  int64_t axis = op.getAxis();
  FailureOr<Shape> k = shapes.integers(op, op.getK(), "k");
  if (failed(k) || failed(checkAxis(op, axis, shape.size())))
    return failure();
  if (elementTypeOf(op.getX()).isInteger(1))
    return op.emitOpError("operand 0 has element type i1, expected a number");
  if (k->size() != 1)
    return op.emitOpError() << "k has " << k->size() << " elements, expected 1";
  SymbolicExpr count = k->front();
  if (count.lowerBound() < 0)
    return op.emitOpError() << "k is " << count.str() << ", expected at least 0";
  if (SymbolicExpr::provablyAtMost(shape[axis] + SymbolicExpr(1), count))
    return op.emitOpError() << "k is " << count.str() << ", expected at most " << shape[axis].str()
                            << " as dim " << axis << " has elements";
  if (!shapes.atMost(count, shape[axis]))
    shapes.require(op, count, shape[axis], /*equal=*/false, "k");
  shape[axis] = count;
  if (failed(shapes.set(op, 0, shape, elementTypeOf(op.getX()))))
    return failure();
  return shapes.set(op, 1, shape, IntegerType::get(op.getContext(), 64));
}
} // namespace

void addScatter(InferTable &table) {
  table.add<ScatterElementsOp, inferScatterElements>();
  table.add<ScatterNDOp, inferScatterND>();
  table.add<TopKOp, inferTopK>();
}

} // namespace rapt::onnx
