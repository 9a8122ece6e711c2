//===- WorkFunction.h - How much each call of a run has to do ----------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_HOST_WORKFUNCTION_H
#define RAPT_COMPILER_HOST_WORKFUNCTION_H

#include "compiler/Host/Bounds.h"
#include "compiler/Host/CallTable.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace rapt::host {

/// Emits rapt_work(context, dims, work) at `builder`: operations and bytes of each kernel.call of
/// `main`, evaluated for the dims (rapt_abi_model). `table` describes the kernels; its calls are
/// not read. Measured sizes are taken for their `bounds`. Errors: a kernel's work depends on a dim
/// that the call does not pass.
mlir::LogicalResult buildWorkFunction(mlir::OpBuilder &builder, mlir::func::FuncOp main,
                                      CallTable &table, const UpperBounds &bounds);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_WORKFUNCTION_H
