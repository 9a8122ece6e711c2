//===- LoopBuilder.cpp - Loops of the onnx dialect -------------------------------------------===//

#include "frontends/onnx/LoopBuilder.h"

#include "dialects/Onnx/LoopArguments.h"

using namespace mlir;

namespace rapt::onnx {

/// A size that data decides, of what the loop or its body reads or makes.
static std::optional<SymbolicExpr> measuredSize(ShapeInference &shapes, LoopOp loop) {
  std::optional<SymbolicExpr> found;
  loop->walk([&](Operation *op) {
    SmallVector<Value> values(op->getOperands());
    llvm::append_range(values, op->getResults());
    for (Value value : values)
      for (const SymbolicExpr &dim : shapes.shape(value))
        if (dim.hasMeasured())
          found = dim;
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

SmallVector<Value> makeLoop(NodeBuilder &b, const LoopInputs &inputs, LoopBody body) {
  if (b.stopped() || llvm::is_contained(inputs.states, Value()) ||
      llvm::is_contained(inputs.scanned, Value()))
    return {};
  for (auto [i, scanned] : llvm::enumerate(inputs.scanned))
    if (b.rank(scanned) == 0) {
      b.error("scanned input " + Twine(i) + " has rank 0, expected at least 1");
      return {};
    }
  OpBuilder &ops = b.ops();
  SmallVector<Type> types(inputs.states.size() + inputs.stackedReverse.size(),
                          UnrankedTensorType::get(ops.getI1Type()));
  auto loop =
      LoopOp::create(ops, b.location(), types, inputs.count, inputs.condition, inputs.states,
                     inputs.scanned, inputs.scannedReverse, inputs.stackedReverse);
  Block &block = loop.getBody().emplaceBlock();
  for (size_t i = 0; i < 1 + inputs.states.size() + inputs.scanned.size(); ++i)
    block.addArgument(ops.getNoneType(), b.location());
  bindLoopArguments(b.analysis(), loop);
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPointToEnd(&block);
  ValueRange arguments = block.getArguments();
  LoopStep step = body(arguments[0], arguments.slice(1, inputs.states.size()),
                       arguments.drop_front(1 + inputs.states.size()));
  SmallVector<Value> yielded(step.states);
  llvm::append_range(yielded, step.stacked);
  if (b.stopped() || llvm::is_contained(yielded, Value()))
    return {};
  auto holds = [&](Value condition) {
    std::optional<double> known = condition ? b.number(condition) : 1.0;
    return known && *known != 0;
  };
  if (holds(inputs.condition) && holds(step.condition)) {
    loop.getConditionMutable().clear();
  } else {
    if (!inputs.condition) {
      OpBuilder::InsertionGuard outside(ops);
      ops.setInsertionPoint(loop);
      loop.getConditionMutable().assign(b.makeScalar(ops.getI1Type(), 1));
    }
    yielded.insert(yielded.begin(),
                   step.condition ? step.condition : b.makeScalar(ops.getI1Type(), 1));
  }
  YieldOp::create(ops, b.location(), yielded);
  if (!b.finish(loop))
    return {};
  if (std::optional<SymbolicExpr> size = measuredSize(b.analysis(), loop)) {
    b.unsupported("a tensor in the loop has the size " + size->str() + ", which depends on data");
    return {};
  }
  return SmallVector<Value>(loop.getOutputs());
}

} // namespace rapt::onnx
