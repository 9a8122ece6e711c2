//===- InferLoops.cpp - Loop -----------------------------------------------------------------===//
//
// The body is inferred once, with states of the shapes that they start with; that the next states
// have them again is checked. So shapes do not depend on the iteration, and one kernel with fixed
// buffers can run all of them.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"
#include "dialects/Onnx/LoopArguments.h"
#include "dialects/Onnx/ShapeText.h"

#include <optional>

using namespace mlir;

namespace rapt::onnx {

namespace {
/// How often the body runs; unknown when that depends on data.
FailureOr<SymbolicExpr> tripCount(ShapeInference &shapes, LoopOp op) {
  SymbolicExpr count;
  if (Value given = op.getCount()) {
    if (!elementTypeOf(given).isSignlessInteger(64) || !shapes.shape(given).empty())
      return op.emitOpError() << "count has type " << given.getType() << ", expected tensor<i64>";
    if (!op.getScanned().empty())
      return op.emitOpError("has a count and scanned operands, expected one of them");
    count = shapes.scalar(given);
    if (count.isKnown() && count.lowerBound() < 0)
      count = SymbolicExpr::max(count, SymbolicExpr(0));
  }
  for (auto [i, scanned] : llvm::enumerate(op.getScanned())) {
    ArrayRef<SymbolicExpr> shape = shapes.shape(scanned);
    if (shape.empty())
      return op.emitOpError() << "scanned operand " << i << " has rank 0, expected at least 1";
    if (i == 0) {
      count = shape.front();
      continue;
    }
    FailureOr<SymbolicExpr> common =
        shapes.meet(op, count, shape.front(), "number of slices of scanned operand " + Twine(i));
    if (failed(common))
      return failure();
    count = *common;
  }
  if (!op.getCount() && op.getScanned().empty() && !op.getCondition())
    return op.emitOpError("has no count, condition or scanned operand and would run forever");
  return op.getCondition() ? SymbolicExpr() : count;
}

/// Counts of operands, attributes, block arguments and yielded values fit each other.
LogicalResult checkStructure(LoopOp op) {
  Block &body = op.getBody().front();
  size_t states = op.getStates().size(), scanned = op.getScanned().size();
  if (op.getScannedReverse().size() != scanned)
    return op.emitOpError() << "scanned_reverse has " << op.getScannedReverse().size()
                            << " elements, expected " << scanned;
  if (op.getNumResults() != states + op.getStackedReverse().size())
    return op.emitOpError() << "has " << op.getNumResults() << " results, expected " << states
                            << " states and " << op.getStackedReverse().size() << " stacked";
  if (body.getNumArguments() != 1 + states + scanned)
    return op.emitOpError() << "body has " << body.getNumArguments() << " arguments, expected "
                            << 1 + states + scanned;
  for (BlockArgument argument : body.getArguments())
    if (!isa<RankedTensorType>(argument.getType()))
      return op.emitOpError() << "body argument " << argument.getArgNumber() << " has type "
                              << argument.getType() << ", expected a tensor of known rank";
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  size_t wanted = op.getNumResults() + (op.getCondition() ? 1 : 0);
  if (!yield || yield.getValues().size() != wanted)
    return op.emitOpError() << "body yields " << (yield ? yield.getValues().size() : 0)
                            << " values, expected " << wanted;
  return success();
}

/// The next value of a state is like the state.
LogicalResult checkState(ShapeInference &shapes, LoopOp op, size_t number, Value next) {
  Value state = op.getStates()[number];
  std::string what = "state " + std::to_string(number);
  if (elementTypeOf(next) != elementTypeOf(state))
    return op.emitOpError() << what << " starts with element type " << elementTypeOf(state)
                            << " and goes on with " << elementTypeOf(next);
  Shape before = shapes.shapeOf(state), after = shapes.shapeOf(next);
  bool same = before.size() == after.size();
  for (size_t i = 0; same && i < before.size(); ++i)
    same = !SymbolicExpr::provablyDifferent(before[i], after[i]);
  if (!same)
    return op.emitOpError() << what << " changes its shape from " << shapeText(shapes, state)
                            << " to " << shapeText(shapes, next)
                            << ", expected the same one in each iteration";
  for (auto [i, dims] : llvm::enumerate(llvm::zip_equal(before, after)))
    if (failed(shapes.meet(op, std::get<0>(dims), std::get<1>(dims),
                           "dim " + Twine(i) + " of " + what)))
      return failure();
  return success();
}

LogicalResult inferLoop(ShapeInference &shapes, LoopOp op) {
  if (failed(checkStructure(op)))
    return failure();
  FailureOr<SymbolicExpr> count = tripCount(shapes, op);
  if (failed(count))
    return failure();
  size_t states = op.getStates().size();
  if (!op.getStackedReverse().empty() && !count->isKnown())
    return op.emitOpError("stacks elements of each iteration, but how many there are is known only "
                          "when the model runs");
  if (Value condition = op.getCondition();
      condition && (!elementTypeOf(condition).isInteger(1) || !shapes.shape(condition).empty()))
    return op.emitOpError() << "condition has type " << condition.getType()
                            << ", expected tensor<i1>";
  bindLoopArguments(shapes, op);
  Block &body = op.getBody().front();
  for (Operation &inner : body.without_terminator())
    if (failed(shapes.infer(&inner)))
      return failure();
  ValueRange yielded = cast<YieldOp>(body.getTerminator()).getValues();
  for (Value value : yielded)
    if (!isa<RankedTensorType>(value.getType()))
      return op.emitOpError() << "body yields a value of type " << value.getType()
                              << ", expected a tensor of known rank";
  if (op.getCondition()) {
    Value next = yielded.front();
    if (!elementTypeOf(next).isInteger(1) || !shapes.shape(next).empty())
      return op.emitOpError() << "next condition has type " << next.getType()
                              << ", expected tensor<i1>";
    yielded = yielded.drop_front();
  }
  for (size_t i = 0; i < states; ++i) {
    if (failed(checkState(shapes, op, i, yielded[i])) ||
        failed(
            shapes.set(op, i, shapes.shapeOf(op.getStates()[i]), elementTypeOf(op.getStates()[i]))))
      return failure();
  }
  for (size_t i = states; i < op.getNumResults(); ++i) {
    Shape shape{*count};
    llvm::append_range(shape, shapes.shape(yielded[i]));
    if (failed(shapes.set(op, i, std::move(shape), elementTypeOf(yielded[i]))))
      return failure();
  }
  return success();
}

/// Its operands are the enclosing loop's to check.
LogicalResult inferYield(ShapeInference &, YieldOp) { return success(); }
} // namespace

void bindLoopArguments(ShapeInference &shapes, LoopOp op) {
  Block &body = op.getBody().front();
  auto bind = [&](unsigned number, RankedTensorType type, ArrayRef<SymbolicExpr> dims) {
    body.getArgument(number).setType(type);
    shapes.bindArgument(body.getArgument(number), dims);
  };
  bind(0, RankedTensorType::get({}, IntegerType::get(op.getContext(), 64)), {});
  unsigned next = 1;
  for (Value state : op.getStates())
    bind(next++, cast<RankedTensorType>(state.getType()), shapes.shapeOf(state));
  for (Value scanned : op.getScanned()) {
    auto type = cast<RankedTensorType>(scanned.getType());
    Shape dims = shapes.shapeOf(scanned);
    bind(next++, RankedTensorType::get(type.getShape().drop_front(), type.getElementType()),
         ArrayRef(dims).drop_front());
  }
}

void addLoops(InferTable &table) {
  table.add<LoopOp, inferLoop>();
  table.add<YieldOp, inferYield>();
}

} // namespace rapt::onnx
