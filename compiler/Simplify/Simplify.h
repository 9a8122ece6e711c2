//===- Simplify.h - The onnx dialect, simplified -----------------------------------*- C++ -*-===//
//
// Passes over a func.func of onnx operations, to be run in this order with CSE between them:
// simplify-shapes, simplify-canonicalize, simplify-fold, simplify-canonicalize,
// simplify-fold-weights. After them
//
//   - no operation computes shapes on tensors: a shape operand is onnx.Constant or
//   tensor.from_elements
//     of index arithmetic on kernel.dim, and what the graph assumes of its dims is kernel.require;
//   - data movement is Reshape (with every dim given), Transpose, Slice, Expand, Concat and gathers
//   whose
//     indices are data; Gemm is MatMul;
//   - broadcasting is implicit where the consumer broadcasts: masks stay [batch, 1, 1, seq].
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_SIMPLIFY_SIMPLIFY_H
#define RAPT_COMPILER_SIMPLIFY_SIMPLIFY_H

#include <memory>

namespace mlir {
class OpPassManager;
class Pass;
} // namespace mlir

namespace rapt {

std::unique_ptr<mlir::Pass> createSimplifyShapesPass();
std::unique_ptr<mlir::Pass> createSimplifyCanonicalizePass();
std::unique_ptr<mlir::Pass> createSimplifyFoldPass();
std::unique_ptr<mlir::Pass> createSimplifyFoldWeightsPass();

} // namespace rapt

#endif // RAPT_COMPILER_SIMPLIFY_SIMPLIFY_H
