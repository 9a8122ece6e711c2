//===- HoistInvariants.h - What a loop computes once -----------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_HOISTINVARIANTS_H
#define RAPT_COMPILER_HOISTINVARIANTS_H

#include "dialects/Onnx/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

namespace rapt {

/// Moves what does not depend on the iteration in front of each onnx.Loop, inner loops first:
/// constants become weights of the function, shape arithmetic index arithmetic, and products with
/// nothing but captured values kernels of their own.
inline void hoistInvariants(mlir::func::FuncOp function) {
  function.walk<mlir::WalkOrder::PostOrder>(
      [](onnx::LoopOp loop) { mlir::moveLoopInvariantCode(loop); });
}

} // namespace rapt

#endif // RAPT_COMPILER_HOISTINVARIANTS_H
