//===- HalideAdapter.h - From the uniform convention to Halide's ------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_HOST_HALIDEADAPTER_H
#define RAPT_COMPILER_HOST_HALIDEADAPTER_H

#include "compiler/Kernels/ObjectAttr.h"
#include "dialects/Kernel/Kernel.h"

namespace rapt::host {

/// Builds, at `builder`, the function that all calls of `kernel` go to:
///   i32 @sym(ptr %context, i64 %dim..., ptr %input..., ptr %output...)
/// It describes each tensor by a halide_buffer_t on the stack, chooses the variant for the number
/// of rows, and calls its object code. Every extent is expected to fit 31 bits: `plan` has checked.
void buildHalideAdapter(mlir::OpBuilder &builder, kernel::FuncOp kernel,
                        const kernels::ObjectInfo &info);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_HALIDEADAPTER_H
