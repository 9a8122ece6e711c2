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
/// An operation that refuses indices outside of its operand stays in a loop that may have no
/// iteration, and so does a loop: its condition may never fail for what nothing has prepared.
inline void hoistInvariants(mlir::func::FuncOp function) {
  function.walk<mlir::WalkOrder::PostOrder>([](onnx::LoopOp loop) {
    bool runs = !loop.getScanned().empty();
    mlir::moveLoopInvariantCode(
        loop.getLoopRegions(),
        [&](mlir::Value value, mlir::Region *) { return loop.isDefinedOutsideOfLoop(value); },
        [&](mlir::Operation *op, mlir::Region *) {
          bool refuses = mlir::isa<onnx::GatherOp, onnx::GatherElementsOp, onnx::GatherNDOp,
                                   onnx::LoopOp, onnx::ScatterElementsOp, onnx::ScatterNDOp>(op);
          return mlir::isMemoryEffectFree(op) && mlir::isSpeculatable(op) && (runs || !refuses);
        },
        [&](mlir::Operation *op, mlir::Region *) { loop.moveOutOfLoop(op); });
  });
}

} // namespace rapt

#endif // RAPT_COMPILER_HOISTINVARIANTS_H
