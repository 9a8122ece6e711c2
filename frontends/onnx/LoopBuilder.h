//===- LoopBuilder.h - Loops of the onnx dialect -----------------------------------*- C++ -*-===//
//
// What Scan, Loop and the recurrent operators become: one onnx.Loop with a body that the caller
// builds, or that a subgraph is imported into.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_LOOPBUILDER_H
#define RAPT_FRONTENDS_ONNX_LOOPBUILDER_H

#include "frontends/onnx/NodeBuilder.h"

namespace rapt::onnx {

struct LoopInputs {
  mlir::Value count;     ///< i64 scalar; null where something is scanned, or without a limit
  mlir::Value condition; ///< of the first iteration, an i1 scalar; null where it always holds
  llvm::SmallVector<mlir::Value> states;
  llvm::SmallVector<mlir::Value> scanned; ///< along dim 0
  llvm::SmallVector<bool> scannedReverse; ///< one for each scanned operand
  llvm::SmallVector<bool> stackedReverse; ///< one for each stacked result
};

/// What one iteration gives.
struct LoopStep {
  mlir::Value condition; ///< of the next iteration; null where it always holds
  llvm::SmallVector<mlir::Value> states;
  llvm::SmallVector<mlir::Value> stacked;
};

using LoopBody = llvm::function_ref<LoopStep(mlir::Value iteration, mlir::ValueRange states,
                                             mlir::ValueRange slices)>;

/// The results of the loop: last states, then stacked elements (along dim 0). Empty after an error
/// of `b`. A condition that is true before and after each iteration is left out.
llvm::SmallVector<mlir::Value> makeLoop(NodeBuilder &b, const LoopInputs &inputs, LoopBody body);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_LOOPBUILDER_H
