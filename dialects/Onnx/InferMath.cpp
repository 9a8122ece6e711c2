//===- InferMath.cpp - Products, norms and reductions ----------------------------------------===//
//
// Shape: contracted and reduced dims go, batch dims broadcast. Content: reductions of listed
// elements. Dims that must agree and provably do not are errors.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Evaluate.h"
#include "dialects/Onnx/Infer.h"

#include <cmath>

using namespace mlir;

namespace rapt::onnx {

LogicalResult checkAxis(Operation *op, int64_t axis, int64_t rank, bool orEnd) {
  if (axis >= 0 && axis < rank + (orEnd ? 1 : 0))
    return success();
  return op->emitOpError() << "axis is " << axis << ", expected 0 to " << (orEnd ? rank : rank - 1)
                           << " for an operand of rank " << rank;
}

LogicalResult checkAxes(Operation *op, ArrayRef<int64_t> axes, int64_t rank) {
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (failed(checkAxis(op, axis, rank)))
      return failure();
    if (llvm::is_contained(axes.take_front(i), axis))
      return op->emitOpError() << "axes name axis " << axis << " twice, expected different axes";
  }
  return success();
}

LogicalResult checkSize(ShapeInference &shapes, Operation *op, const SymbolicExpr &dim,
                        const Twine &what) {
  if (dim.upperBound() < 0)
    return op->emitOpError() << what << " is " << dim.str() << ", expected no negative size";
  if (dim.lowerBound() < 0 && !shapes.atMost(SymbolicExpr(0), dim))
    shapes.require(op, SymbolicExpr(0), dim, /*equal=*/false, what);
  return success();
}

LogicalResult checkIntegers(Operation *op, Value value, StringRef name) {
  auto type = dyn_cast<IntegerType>(elementTypeOf(value));
  if (type && type.getWidth() > 1)
    return success();
  return op->emitOpError() << name << " has element type " << elementTypeOf(value)
                           << ", expected an integer type";
}

namespace {
// --- Products ------------------------------------------------------------------------------------
LogicalResult checkOperandTypes(Operation *op) {
  Type type = elementTypeOf(op->getOperand(0));
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (elementTypeOf(operand) != type)
      return op->emitOpError() << "operand " << i << " has element type " << elementTypeOf(operand)
                               << ", expected " << type << " as operand 0";
  return success();
}

/// What a product sums over, in a message.
std::string contracted(size_t axisOfA, size_t axisOfB) {
  return "dim " + std::to_string(axisOfA) + " of its first operand and dim " +
         std::to_string(axisOfB) + " of its second";
}

LogicalResult inferMatMul(ShapeInference &shapes, MatMulOp op) {
  Shape a = shapes.shapeOf(op.getA()), b = shapes.shapeOf(op.getB());
  if (failed(checkOperandTypes(op)))
    return failure();
  if (a.empty() || b.empty())
    return op.emitOpError("operand has rank 0, expected at least 1");
  // A vector is a matrix whose extra dim is dropped again.
  bool rowVector = a.size() == 1, columnVector = b.size() == 1;
  if (rowVector)
    a.insert(a.begin(), SymbolicExpr(1));
  if (columnVector)
    b.push_back(SymbolicExpr(1));
  if (failed(shapes.meet(op, a.back(), b[b.size() - 2],
                         contracted(rowVector ? 0 : a.size() - 1, b.size() - 2))))
    return failure();
  FailureOr<Shape> batch =
      shapes.broadcast(op, {Shape(ArrayRef(a).drop_back(2)), Shape(ArrayRef(b).drop_back(2))});
  if (failed(batch))
    return failure();
  Shape result = *batch;
  if (!rowVector)
    result.push_back(a[a.size() - 2]);
  if (!columnVector)
    result.push_back(b.back());
  return shapes.set(op, 0, std::move(result), elementTypeOf(op.getA()));
}

LogicalResult inferGemm(ShapeInference &shapes, GemmOp op) {
  Shape a = shapes.shapeOf(op.getA()), b = shapes.shapeOf(op.getB());
  if (failed(checkOperandTypes(op)))
    return failure();
  if (a.size() != 2 || b.size() != 2)
    return op.emitOpError() << "operands have rank " << a.size() << " and " << b.size()
                            << ", expected 2";
  if (op.getTransA())
    std::swap(a[0], a[1]);
  if (op.getTransB())
    std::swap(b[0], b[1]);
  if (failed(shapes.meet(op, a[1], b[0], contracted(op.getTransA() ? 0 : 1, op.getTransB()))))
    return failure();
  Shape result = {a[0], b[1]};
  if (op.getC()) {
    Shape c = shapes.shapeOf(op.getC());
    if (c.size() > 2)
      return op.emitOpError() << "c has rank " << c.size() << ", expected at most 2";
    if (failed(shapes.broadcast(op, {result, c})))
      return failure();
  }
  return shapes.set(op, 0, std::move(result), elementTypeOf(op.getA()));
}

// --- Norms ---------------------------------------------------------------------------------------
LogicalResult checkFloat(Operation *op) {
  Type type = elementTypeOf(op->getOperand(0));
  if (isa<FloatType>(type))
    return success();
  return op->emitOpError() << "operand 0 has element type " << type << ", expected a float type";
}

LogicalResult inferSoftmax(ShapeInference &shapes, SoftmaxOp op) {
  Shape shape = shapes.shapeOf(op.getInput());
  if (failed(checkFloat(op)) || failed(checkAxis(op, op.getAxis(), shape.size())))
    return failure();
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getInput()));
}

template <typename Op> LogicalResult inferNormalization(ShapeInference &shapes, Op op) {
  Shape shape = shapes.shapeOf(op.getX());
  if (failed(checkFloat(op)) || failed(checkOperandTypes(op)) ||
      failed(checkAxis(op, op.getAxis(), shape.size())))
    return failure();
  for (Value operand : op->getOperands().drop_front()) {
    if (shapes.shape(operand).size() > shape.size())
      return op.emitOpError() << "scale or bias has rank " << shapes.shape(operand).size()
                              << ", expected at most " << shape.size();
    if (failed(shapes.broadcast(op, {shape, shapes.shapeOf(operand)})))
      return failure();
  }
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getX()));
}

LogicalResult inferRotaryEmbedding(ShapeInference &shapes, RotaryEmbeddingOp op) {
  Shape shape = shapes.shapeOf(op.getX());
  if (failed(checkFloat(op)) || failed(checkOperandTypes(op)))
    return failure();
  std::optional<int64_t> width = shape.empty() ? std::nullopt : shape.back().constant();
  int64_t rotated = op.getRotaryDim();
  if (!width)
    return op.emitOpError("expects x to have a static last dim");
  if (rotated < 2 || rotated % 2 || rotated > *width)
    return op.emitOpError() << "rotary_dim is " << rotated << ", expected an even number up to "
                            << *width;
  for (Value angles : op->getOperands().drop_front()) {
    Shape own = shapes.shapeOf(angles), turned = shape;
    if (own.empty() || own.size() > shape.size() || own.back() != SymbolicExpr(rotated))
      return op.emitOpError() << "cos or sin has rank " << own.size()
                              << " or a last dim that is not rotary_dim (" << rotated << ")";
    turned.back() = SymbolicExpr(rotated);
    for (auto [x, angle] : llvm::zip(llvm::reverse(turned), llvm::reverse(own)))
      if (x.is(1) && !angle.is(1))
        return op.emitOpError("cos or sin does not broadcast to x");
    if (failed(shapes.broadcast(op, {turned, own})))
      return failure();
  }
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getX()));
}

// --- Reductions ----------------------------------------------------------------------------------
std::optional<Fold> foldOf(Operation *op) {
  if (isa<ReduceSumOp>(op))
    return Fold::Sum;
  if (isa<ReduceProdOp>(op))
    return Fold::Product;
  if (isa<ReduceMaxOp>(op))
    return Fold::Max;
  if (isa<ReduceMinOp>(op))
    return Fold::Min;
  return std::nullopt;
}

Content reduceContent(ShapeInference &shapes, Operation *op, ArrayRef<int64_t> axes,
                      ArrayRef<SymbolicExpr> kept, Type type) {
  Value data = op->getOperand(0);
  std::optional<Fold> fold = foldOf(op);
  std::optional<SmallVector<int64_t, 4>> dims = staticDims(shapes.shape(data));
  std::optional<SmallVector<int64_t, 4>> resultDims = staticDims(kept);
  Content content = shapes.listed(data);
  // Float sums depend on the order of additions, which is the kernels' to choose.
  if (!fold || !dims || !resultDims || !shapes.isListable(*resultDims) || !content.hasElements() ||
      isa<FloatType>(type))
    return {};
  std::vector<Element> result(llvm::product_of(*resultDims));
  std::vector<bool> started(result.size());
  forEachIndex(*dims, [&](ArrayRef<int64_t> index) {
    SmallVector<int64_t, 4> target(index);
    for (int64_t axis : axes)
      target[axis] = 0;
    int64_t to = linearIndex(*resultDims, target);
    const Element &next = content.elements()[linearIndex(*dims, index)];
    result[to] = started[to] ? combine(*fold, result[to], next, type) : next;
    started[to] = true;
  });
  return llvm::all_of(started, [](bool b) { return b; }) ? Content::ofElements(std::move(result))
                                                         : Content();
}

template <typename Op> LogicalResult inferReduce(ShapeInference &shapes, Op op) {
  ArrayRef<int64_t> axes = op.getAxes();
  Shape shape = shapes.shapeOf(op.getData());
  Type type = elementTypeOf(op.getData());
  if (failed(checkAxes(op, axes, shape.size())))
    return failure();
  if (type.isInteger(1))
    return op.emitOpError("operand 0 has element type i1, expected a number");
  for (int64_t axis : axes)
    shape[axis] = SymbolicExpr(1);
  Content content = reduceContent(shapes, op, axes, shape, type);
  Shape result;
  for (auto [i, dim] : llvm::enumerate(shape))
    if (op.getKeepdims() || !llvm::is_contained(axes, static_cast<int64_t>(i)))
      result.push_back(dim);
  return shapes.set(op, 0, std::move(result), type, std::move(content));
}

template <typename Op> LogicalResult inferScan(ShapeInference &shapes, Op op) {
  Shape shape = shapes.shapeOf(op.getX());
  if (failed(checkAxis(op, op.getAxis(), shape.size())))
    return failure();
  if (elementTypeOf(op.getX()).isInteger(1))
    return op.emitOpError("operand 0 has element type i1, expected a number");
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getX()));
}
} // namespace

void addMath(InferTable &table) {
  table.add<MatMulOp, inferMatMul>();
  table.add<GemmOp, inferGemm>();
  table.add<SoftmaxOp, inferSoftmax>();
  table.add<LayerNormalizationOp, inferNormalization<LayerNormalizationOp>>();
  table.add<RMSNormalizationOp, inferNormalization<RMSNormalizationOp>>();
  table.add<RotaryEmbeddingOp, inferRotaryEmbedding>();
  table.add<ReduceMeanOp, inferReduce<ReduceMeanOp>>();
  table.add<ReduceSumOp, inferReduce<ReduceSumOp>>();
  table.add<ReduceMaxOp, inferReduce<ReduceMaxOp>>();
  table.add<ReduceMinOp, inferReduce<ReduceMinOp>>();
  table.add<ReduceProdOp, inferReduce<ReduceProdOp>>();
  table.add<ReduceL1Op, inferReduce<ReduceL1Op>>();
  table.add<ReduceL2Op, inferReduce<ReduceL2Op>>();
  table.add<ReduceSumSquareOp, inferReduce<ReduceSumSquareOp>>();
  table.add<CumSumOp, inferScan<CumSumOp>>();
  table.add<CumProdOp, inferScan<CumProdOp>>();
}

} // namespace rapt::onnx
