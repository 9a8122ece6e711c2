//===- HostTensors.h - Walking over tensors in memory ------------------------------*- C++ -*-===//
//
// What the two halves of EvaluateConstants share: strides, in elements, and rows.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_SIMPLIFY_HOSTTENSORS_H
#define RAPT_COMPILER_SIMPLIFY_HOSTTENSORS_H

#include "compiler/Simplify/EvaluateConstants.h"

namespace rapt {

using Strides = llvm::SmallVector<int64_t, 4>;

inline mlir::RankedTensorType rankedType(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}

/// A tensor of `type` with memory of its own, not yet written.
HostTensor makeTensor(mlir::RankedTensorType type);
llvm::MutableArrayRef<char> mutableBytes(HostTensor &tensor);

/// Row-major strides of `tensor`; zeros for a splat.
Strides stridesOf(const HostTensor &tensor);
/// The same for reading the tensor broadcast to `dims`.
Strides broadcastStrides(const HostTensor &tensor, llvm::ArrayRef<int64_t> dims);
/// `tensor` itself, or a copy with an element for each place if it is a splat.
HostTensor withoutSplat(const HostTensor &tensor);

/// Calls `visit` for each row of a tensor of `dims`, in row-major order, with the offset at which
/// it begins for each of `strides`. A row is the last dim, one element where there is none.
void forEachRow(llvm::ArrayRef<int64_t> dims, llvm::ArrayRef<Strides> strides,
                llvm::function_ref<void(llvm::ArrayRef<int64_t>)> visit);
inline int64_t rowLength(llvm::ArrayRef<int64_t> dims) { return dims.empty() ? 1 : dims.back(); }
inline int64_t rowStride(const Strides &strides) { return strides.empty() ? 0 : strides.back(); }

/// Transpose, Slice, Gather and others that move elements of any type.
bool isMovement(mlir::Operation *op);
bool canMove(mlir::Operation *op);
HostTensor move(mlir::Operation *op, llvm::ArrayRef<HostTensor> operands);

} // namespace rapt

#endif // RAPT_COMPILER_SIMPLIFY_HOSTTENSORS_H
