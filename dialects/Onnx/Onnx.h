//===- Onnx.h - The onnx dialect -------------------------------------------------*- C++ -*-===//
//
// Declarations of the dialect and its operations; the vocabulary is described in OnnxOps.td.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_ONNX_H
#define RAPT_DIALECTS_ONNX_ONNX_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Onnx/OnnxDialect.h.inc"
#define GET_OP_CLASSES
#include "dialects/Onnx/OnnxOps.h.inc"

namespace rapt::onnx {
/// Half of the lowest f32: at or below it a sum with a number of ordinary size is unchanged. Only
/// masks hold such numbers.
inline constexpr double kLowest = -1.7e38;

/// Whether only masks hold the finite `number` in a tensor of `type`: at most kLowest in f32 and
/// bf16, the lowest number in f16. Of other types none is.
bool isLowest(double number, mlir::Type type);

/// What `value` repeats: the operand of any Expands that it is the result of.
inline mlir::Value withoutExpand(mlir::Value value) {
  while (auto expand = value.getDefiningOp<ExpandOp>())
    value = expand.getInput();
  return value;
}
} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_ONNX_H
