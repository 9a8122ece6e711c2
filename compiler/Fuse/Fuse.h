//===- Fuse.h - From simplified onnx to kernel regions ---------------------------*- C++ -*-===//
//
// The passes of the fuse stage in the order in which Pipeline.cpp runs them. What comes in is what
// compiler/Simplify leaves: onnx on tensors with symbolic shapes. What goes out is a function of
// kernel.region, kernel.weight, kernel.dim, kernel.require, kernel.check_indices, index arithmetic
// and tensor.expand_shape / collapse_shape.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_FUSE_H
#define RAPT_COMPILER_FUSE_FUSE_H

#include <memory>

namespace mlir {
class Pass;
}

namespace rapt {

/// onnx.Constant with more than one element => kernel.weight; Transpose and Reshape of it fold.
std::unique_ptr<mlir::Pass> createFuseWeightsPass();
/// (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * scale + bias => onnx.LayerNormalization.
std::unique_ptr<mlir::Pass> createRaiseLayerNormPass();
/// x / sqrt(mean(x^2) + eps) * scale => onnx.RMSNormalization.
std::unique_ptr<mlir::Pass> createRaiseRmsNormPass();
/// x * cos + turned(x) * sin, over all of the last dim or its first part => onnx.RotaryEmbedding.
std::unique_ptr<mlir::Pass> createRaiseRotaryEmbeddingPass();
/// 0.5 x (1 + erf(x / sqrt 2)) and its tanh approximation, however associated => onnx.Gelu.
std::unique_ptr<mlir::Pass> createRaiseGeluPass();
/// softmax(scale * q k^T + mask) v => attn.sdpa.
std::unique_ptr<mlir::Pass> createFuseAttentionPass();
/// x W1 + b1, x W2 + b2, ... => slices of x [W1 W2 ...] + [b1 b2 ...].
std::unique_ptr<mlir::Pass> createFuseProjectionsPass();
/// Every onnx operation => linalg.generic, with views dissolved into indexing.
std::unique_ptr<mlir::Pass> createFuseLowerPass();
/// linalg and attn operations => kernel.region.
std::unique_ptr<mlir::Pass> createFormRegionsPass();

} // namespace rapt

#endif // RAPT_COMPILER_FUSE_FUSE_H
