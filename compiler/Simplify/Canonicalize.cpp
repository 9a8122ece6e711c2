//===- Canonicalize.cpp - simplify-canonicalize ----------------------------------------------===//
//
// Rewrites onnx to the few forms that Simplify.h promises. Each pattern is a rewrite of its own, in
// the *Patterns.cpp files of this folder. They give the same bits, except that x * x is nearer to
// the square than Pow is, and that a zero in a mask may change its sign. Expects simplify-shapes to
// have run.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"
#include "compiler/Simplify/Simplify.h"

#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace rapt {

namespace {
struct SimplifyCanonicalize : PassWrapper<SimplifyCanonicalize, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SimplifyCanonicalize)
  StringRef getArgument() const override { return "simplify-canonicalize"; }
  StringRef getDescription() const override {
    return "onnx data movement, broadcasts and products in one form each";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, kernel::KernelDialect, tensor::TensorDialect>();
  }

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    ShapeInference shapes;
    if (failed(shapes.run(getOperation())))
      return signalPassFailure();
    InferListener listener(shapes);
    RewritePatternSet patterns(&getContext());
    addViewPatterns(patterns, shapes);
    addBroadcastPatterns(patterns, shapes);
    addArithmeticPatterns(patterns, shapes);
    addGatherPatterns(patterns, shapes);
    addGroupPatterns(patterns, shapes);
    addHeadPatterns(patterns, shapes);
    addChoicePatterns(patterns, shapes);
    addTransposedPatterns(patterns, shapes);
    addMaskPatterns(patterns, shapes);
    addBlendPatterns(patterns, shapes);
    GreedyRewriteConfig config;
    config.setListener(&listener);
    // Constants are folded by simplify-fold, within bounds.
    config.enableFolding(false);
    config.enableConstantCSE(false);
    // Far more than any graph takes. Every rewrite alone is right, so a graph for which it is not
    // enough is merely not simplified to the end.
    size_t operations = getOperation().getBody().front().getOperations().size();
    config.setMaxNumRewrites(10000 + 100 * operations);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      getOperation().emitWarning()
          << "simplify-canonicalize stopped before nothing was left to simplify, within "
          << config.getMaxNumRewrites() << " rewrites in " << config.getMaxIterations()
          << " rounds; the model works but may be slower";
  }
};
} // namespace

std::unique_ptr<Pass> createSimplifyCanonicalizePass() {
  return std::make_unique<SimplifyCanonicalize>();
}

} // namespace rapt
