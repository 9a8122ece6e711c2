//===- EvaluateConstants.h - onnx operations on tensors in memory ------------------*- C++ -*-===//
//
// What simplify-fold-weights computes with: a few operations, on tensors of any size, quick enough
// for products of weights. simplify-fold knows every operation, an element at a time, for small
// tensors.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_SIMPLIFY_EVALUATECONSTANTS_H
#define RAPT_COMPILER_SIMPLIFY_EVALUATECONSTANTS_H

#include "dialects/Onnx/Onnx.h"

#include "mlir/IR/AsmState.h"

#include <memory>

namespace rapt {

/// A tensor of static shape, of f32, f64 or another type of whole bytes, row-major.
struct HostTensor {
  mlir::RankedTensorType type;
  llvm::ArrayRef<char> bytes; // one element only when `isSplat`
  bool isSplat = false;
  std::shared_ptr<mlir::AsmResourceBlob> storage; // null: an attribute owns the bytes
};

/// What the attribute holds; nothing for other attributes than dense ones and dense resources with
/// all of their data, for types without a whole number of bytes, and for tensors without elements.
std::optional<HostTensor> readConstant(mlir::ElementsAttr attribute);

/// The size of a tensor of static shape, without elements shared.
int64_t byteSize(mlir::RankedTensorType type);

/// The operands whose elements decide those of the result; not those that only say its shape.
llvm::SmallVector<mlir::Value, 4> dataOperands(mlir::Operation *op);

/// Whether `evaluate` computes `op`: its kind and types, one result of static shape with at least
/// one element, bounds and indices that are constants and inside of the operand.
bool canEvaluate(mlir::Operation *op);

/// Additions, multiplications and the like of one run of `op`; 0 for what only moves data.
double operationCount(mlir::Operation *op);

/// The result of `op`, for which `canEvaluate` holds, for its data operands in order. Each element
/// is computed in f64 and rounded once, whatever machine this is.
HostTensor evaluate(mlir::Operation *op, llvm::ArrayRef<HostTensor> operands);

} // namespace rapt

#endif // RAPT_COMPILER_SIMPLIFY_EVALUATECONSTANTS_H
