//===- Shapes.cpp - simplify-shapes ----------------------------------------------------------===//
//
// Shape, Gather, Concat, ... on shapes  =>  tensor.from_elements of arith on kernel.dim
//
// Infers the function, gives every value its most precise type, replaces what is known by constants
// and index arithmetic, and turns what the graph assumes of its dims into kernel.require. Expects
// onnx as the importer makes it, or as any pass after it left it; running it again changes nothing.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/HoistInvariants.h"
#include "compiler/Simplify/Rewrite.h"
#include "compiler/Simplify/Simplify.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Requirements.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace rapt {

namespace {
/// The value that `result` is known to be, built in front of `op`; null if it must be computed.
Value knownValue(OpBuilder &builder, const ShapeInference &shapes, Operation *op, Value result) {
  const Content &content = shapes.content(result);
  auto type = cast<RankedTensorType>(result.getType());
  if (content.isComplete())
    return makeElements(builder, op->getLoc(), content.elements(), type);
  // One constant everywhere, in a tensor of any size: a broadcast of it.
  const Element *value = content.uniform();
  if (!value || !value->isConstant() || isa<onnx::ExpandOp>(op))
    return {};
  Value scalar = makeScalar(builder, op->getLoc(), *value, type.getElementType(), type.getRank());
  Value shape = makeShape(builder, op->getLoc(), shapes.shape(result));
  return scalar && shape
             ? onnx::ExpandOp::create(builder, op->getLoc(), type, scalar, shape).getOutput()
             : Value();
}

/// How often assumptions may lead to more assumptions before they are taken as they are.
constexpr int maxRounds = 4;

struct SimplifyShapes : PassWrapper<SimplifyShapes, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SimplifyShapes)
  StringRef getArgument() const override { return "simplify-shapes"; }
  StringRef getDescription() const override {
    return "shape arithmetic on tensors becomes index arithmetic on kernel.dim";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, kernel::KernelDialect, tensor::TensorDialect>();
  }

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    hoistInvariants(function);
    // What one run assumes makes the next one more precise, until nothing new is assumed.
    std::vector<onnx::Requirement> assumed;
    std::unique_ptr<ShapeInference> shapes;
    bool changed = true;
    for (int round = 0; changed && round < maxRounds; ++round) {
      shapes = std::make_unique<ShapeInference>();
      for (const onnx::Requirement &requirement : assumed)
        shapes->assume(requirement);
      if (failed(shapes->run(function)))
        return signalPassFailure();
      changed = onnx::addRequirements(assumed, shapes->requirements());
    }
    OpBuilder builder(function);
    function.getBody().walk([&](Operation *op) {
      if (!isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()) || isa<onnx::ConstantOp>(op))
        return;
      builder.setInsertionPoint(op);
      for (Value result : op->getResults())
        if (Value known = result.use_empty() ? Value() : knownValue(builder, *shapes, op, result))
          result.replaceAllUsesWith(known);
    });
    hoistInvariants(function);
    eraseDead(function.getBody().front());
    onnx::emitRequirements(function, assumed);
  }
};
} // namespace

std::unique_ptr<Pass> createSimplifyShapesPass() { return std::make_unique<SimplifyShapes>(); }

} // namespace rapt
