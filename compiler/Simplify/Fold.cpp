//===- Fold.cpp - simplify-fold --------------------------------------------------------------===//
//
// op(constants)  =>  onnx.Constant
//
// Bounded: operands and results of at most 64 Ki elements, 2 Mi of all results together, so that a
// graph can not make the compiler slow or the artifact large; large weights are transposed when
// they are packed. Floats are rounded to their type after each operation.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Simplify.h"

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/ShapeInference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace rapt {

namespace {
constexpr int64_t maxElements = 64 * 1024;

struct SimplifyFold : PassWrapper<SimplifyFold, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SimplifyFold)
  StringRef getArgument() const override { return "simplify-fold"; }
  StringRef getDescription() const override {
    return "onnx operations on small constants become constants";
  }

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    onnx::ShapeInference shapes(maxElements);
    if (failed(shapes.run(getOperation())))
      return signalPassFailure();
    OpBuilder builder(&getContext());
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (!isa_and_nonnull<onnx::OnnxDialect>(op.getDialect()) || isa<onnx::ConstantOp>(op) ||
          !llvm::all_of(op.getResults(),
                        [&](Value result) { return shapes.content(result).isConstant(); }))
        continue;
      builder.setInsertionPoint(&op);
      for (Value result : op.getResults()) {
        auto type = cast<RankedTensorType>(result.getType());
        DenseElementsAttr value = onnx::writeContent(shapes.content(result), type);
        result.replaceAllUsesWith(onnx::ConstantOp::create(builder, op.getLoc(), type, value));
      }
      op.erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> createSimplifyFoldPass() { return std::make_unique<SimplifyFold>(); }

} // namespace rapt
