//===- Kernel.h - The kernel dialect ---------------------------------------------*- C++ -*-===//
//
// Declarations of the dialect, and the few helpers that every reader of kernel shapes needs.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_KERNEL_KERNEL_H
#define RAPT_DIALECTS_KERNEL_KERNEL_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Kernel/KernelDialect.h.inc"
#include "dialects/Kernel/KernelEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/KernelAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.h.inc"

namespace rapt::kernel {

/// Attribute of the model's func.func: array of strings, the symbolic dims in interface order.
inline constexpr llvm::StringLiteral kSymbolsAttr = "kernel.symbols";
/// Attribute of the model's func.func: array of strings, the symbolic dims that may be 0.
inline constexpr llvm::StringLiteral kMaybeEmptyAttr = "kernel.maybe_empty";

/// Attribute of a linalg.generic whose result another kernel makes than those that read it.
inline constexpr llvm::StringLiteral kStoredAttr = "kernel.stored";

/// Whether `symbol` is in the function's kernel.maybe_empty.
bool mayBeEmpty(mlir::Operation *function, llvm::StringRef symbol);

/// The dims that the `?`s of tensor number `index` in `shapes` stand for, in order.
llvm::ArrayRef<int64_t> dynamicDims(mlir::ArrayAttr shapes, unsigned index);

/// The dense, row-major buffer of a ranked tensor type.
mlir::MemRefType bufferOf(mlir::Type tensor);

/// tensor.expand_shape, collapse_shape or cast: its result lies in the buffer of its operand. False
/// for null.
bool isView(mlir::Operation *op);

/// Whether an index depends on a kernel.measure.
bool isMeasured(mlir::Value index);
/// Whether a side of `require` does: it is checked during the run.
bool isMeasured(RequireOp require);

} // namespace rapt::kernel

#endif // RAPT_DIALECTS_KERNEL_KERNEL_H
