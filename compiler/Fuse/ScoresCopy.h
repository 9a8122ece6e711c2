//===- ScoresCopy.h - Attention beside another reader of its scores --------------*- C++ -*-===//
#ifndef RAPT_COMPILER_FUSE_SCORESCOPY_H
#define RAPT_COMPILER_FUSE_SCORESCOPY_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/ShapeInference.h"

namespace rapt::fuse {

/// A graph may read scores or probabilities beside the attention that is made of them (an output of
/// the model, say). Then attention gets its own copy of everything from the MatMul of the scores to
/// the probabilities: fused it costs one product more, unfused it would go through memory as a
/// whole.
class ScoresCopy {
public:
  /// Copies what lies between the MatMul that `softmax` leads up to and the one that reads its
  /// result; nothing where there are no two such MatMuls.
  static std::optional<ScoresCopy> make(onnx::SoftmaxOp softmax, onnx::ShapeInference &shapes);

  onnx::SoftmaxOp softmax() const { return copied; }
  /// Makes everything as it was.
  void undo(onnx::ShapeInference &shapes);

private:
  onnx::MatMulOp output;
  mlir::Value original;
  onnx::SoftmaxOp copied;
  llvm::SmallVector<mlir::Operation *> copies; // in order
};

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_SCORESCOPY_H
