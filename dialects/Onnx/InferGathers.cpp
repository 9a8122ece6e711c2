//===- InferGathers.cpp - Gather, GatherElements and GatherND --------------------------------===//
//
// Shape: the indices' dims in place of the gathered ones. Content: listed data at listed constant
// indices.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
LogicalResult checkIndices(Operation *op, Value indices) {
  Type type = elementTypeOf(indices);
  if (type.isSignlessInteger(32) || type.isSignlessInteger(64))
    return success();
  return op->emitOpError() << "indices have element type " << type << ", expected i32 or i64";
}

/// The content of Gather for listed data and listed constant indices.
FailureOr<Content> gatherListed(ShapeInference &shapes, GatherOp op, ArrayRef<SymbolicExpr> to) {
  Content data = shapes.listed(op.getData()), indices = shapes.listed(op.getIndices());
  auto dims = staticDims(shapes.shape(op.getData()));
  auto indexDims = staticDims(shapes.shape(op.getIndices()));
  auto resultDims = staticDims(to);
  if (!indices.isConstant() || !indexDims)
    return Content();
  int64_t axis = op.getAxis();
  SymbolicExpr extent = shapes.shape(op.getData())[axis];
  for (const Element &index : indices.elements())
    if (SymbolicExpr value = index.expr; SymbolicExpr::provablyAtMost(extent, value) ||
                                         SymbolicExpr::provablyAtMost(value + extent, -1)) {
      op.emitOpError() << "index is " << value.str() << ", expected from "
                       << (SymbolicExpr(0) - extent).str() << " to " << (extent - 1).str()
                       << " as dim " << axis << " of data is " << extent.str();
      return failure();
    }
  if (!data.hasElements() || !dims || !resultDims || !shapes.isListable(*resultDims))
    return Content();
  std::vector<Element> elements;
  size_t indexRank = indexDims->size();
  forEachIndex(*resultDims, [&](ArrayRef<int64_t> at) {
    int64_t index =
        *indices.elements()[linearIndex(*indexDims, at.slice(axis, indexRank))].expr.constant();
    SmallVector<int64_t, 4> source(at.take_front(axis));
    source.push_back(index < 0 ? index + (*dims)[axis] : index);
    llvm::append_range(source, at.drop_front(axis + indexRank));
    elements.push_back(data.elements()[linearIndex(*dims, source)]);
  });
  return Content::ofElements(std::move(elements));
}

LogicalResult inferGather(ShapeInference &shapes, GatherOp op) {
  Shape data = shapes.shapeOf(op.getData());
  int64_t axis = op.getAxis();
  if (failed(checkIndices(op, op.getIndices())) || failed(checkAxis(op, axis, data.size())))
    return failure();
  Shape result(ArrayRef(data).take_front(axis));
  llvm::append_range(result, shapes.shape(op.getIndices()));
  llvm::append_range(result, ArrayRef(data).drop_front(axis + 1));
  FailureOr<Content> content = gatherListed(shapes, op, result);
  if (failed(content))
    return failure();
  if (const Element *value = shapes.content(op.getData()).uniform(); value && !content->isKnown())
    content = Content::uniform(*value, result.size());
  return shapes.set(op, 0, std::move(result), elementTypeOf(op.getData()), *content);
}

LogicalResult inferGatherElements(ShapeInference &shapes, GatherElementsOp op) {
  Shape data = shapes.shapeOf(op.getData()), indices = shapes.shapeOf(op.getIndices());
  if (failed(checkIndices(op, op.getIndices())) || failed(checkAxis(op, op.getAxis(), data.size())))
    return failure();
  if (indices.size() != data.size())
    return op.emitOpError() << "indices have rank " << indices.size() << ", expected "
                            << data.size() << " as data";
  for (auto [axis, dims] : llvm::enumerate(llvm::zip(indices, data))) {
    auto [wanted, available] = dims;
    if (axis == op.getAxis() || SymbolicExpr::provablyAtMost(wanted, available))
      continue;
    if (SymbolicExpr::provablyAtMost(available + SymbolicExpr(1), wanted))
      return op.emitOpError() << "indices have " << wanted.str() << " elements in dim " << axis
                              << ", expected at most data's " << available.str();
    shapes.require(op, wanted, available, /*equal=*/false, "dim " + Twine(axis) + " of indices");
  }
  const Element *value = shapes.content(op.getData()).uniform();
  Content content = value ? Content::uniform(*value, indices.size()) : Content();
  return shapes.set(op, 0, std::move(indices), elementTypeOf(op.getData()), std::move(content));
}

LogicalResult inferGatherND(ShapeInference &shapes, GatherNDOp op) {
  Shape data = shapes.shapeOf(op.getData()), indices = shapes.shapeOf(op.getIndices());
  int64_t batch = op.getBatchDims();
  if (failed(checkIndices(op, op.getIndices())))
    return failure();
  if (data.empty() || indices.empty())
    return op.emitOpError("operand has rank 0, expected at least 1");
  if (batch < 0 || batch >= static_cast<int64_t>(std::min(data.size(), indices.size())))
    return op.emitOpError() << "batch_dims is " << batch << ", expected 0 to "
                            << std::min(data.size(), indices.size()) - 1;
  std::optional<int64_t> tuple = indices.back().constant();
  if (!tuple || *tuple < 1 || *tuple > static_cast<int64_t>(data.size()) - batch)
    return op.emitOpError() << "last dim of indices is " << indices.back().str()
                            << ", expected a constant from 1 to " << data.size() - batch;
  Shape result;
  for (int64_t i = 0; i < batch; ++i) {
    FailureOr<SymbolicExpr> dim = shapes.meet(op, data[i], indices[i], "batch dim " + Twine(i));
    if (failed(dim))
      return failure();
    result.push_back(*dim);
  }
  llvm::append_range(result, ArrayRef(indices).drop_front(batch).drop_back());
  llvm::append_range(result, ArrayRef(data).drop_front(batch + *tuple));
  const Element *value = shapes.content(op.getData()).uniform();
  Content content = value ? Content::uniform(*value, result.size()) : Content();
  return shapes.set(op, 0, std::move(result), elementTypeOf(op.getData()), std::move(content));
}
} // namespace

void addGathers(InferTable &table) {
  table.add<GatherOp, inferGather>();
  table.add<GatherElementsOp, inferGatherElements>();
  table.add<GatherNDOp, inferGatherND>();
}

} // namespace rapt::onnx
