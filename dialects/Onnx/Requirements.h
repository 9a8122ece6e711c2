//===- Requirements.h - What a graph takes for granted, in the IR ------------------*- C++ -*-===//
#ifndef RAPT_DIALECTS_ONNX_REQUIREMENTS_H
#define RAPT_DIALECTS_ONNX_REQUIREMENTS_H

#include "dialects/Onnx/ShapeInference.h"

namespace rapt::onnx {

/// Puts a kernel.require for each of them at the beginning of `function`, which has their symbols.
void emitRequirements(mlir::func::FuncOp function, llvm::ArrayRef<Requirement> requirements);

/// Appends to `known` those of `more` that are new; false when none is.
bool addRequirements(std::vector<Requirement> &known, llvm::ArrayRef<Requirement> more);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_REQUIREMENTS_H
