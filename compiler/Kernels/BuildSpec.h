//===- BuildSpec.h - The body of a kernel as a KernelSpec ------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_BUILDSPEC_H
#define RAPT_COMPILER_KERNELS_BUILDSPEC_H

#include "compiler/Kernels/KernelSpec.h"
#include "dialects/Kernel/Kernel.h"
#include "llvm/Support/Error.h"

namespace rapt::kernels {

/// Translates the block of a kernel.region or kernel.func. `numDims`, `inputShapes` and the block's
/// arguments are as KernelOps.td describes; `inputPanels` gives the panel width of each input, or
/// is empty. The result is normalised: views dissolved, neighbouring loops that always go together
/// merged.
///
/// Fails with a text that names the operation when the body holds something that a KernelSpec
/// cannot say; such a kernel is compiled through its reference lowering.
llvm::Expected<KernelSpec> buildSpec(mlir::Block &body, int64_t numDims,
                                     mlir::ArrayAttr inputShapes,
                                     llvm::ArrayRef<int64_t> inputPanels);

/// Takes dims and loops of static size one out of the spec.
void dropUnitDims(KernelSpec &spec);

/// Takes remainders and quotients of loops that end before they wrap out of the spec.
void dropRemainders(KernelSpec &spec);

/// Merges neighbouring loops that every stage has in common and every tensor is indexed by
/// together, so that [batch, seq, 384] becomes [batch * seq, 384]: one long row loop tiles better
/// than two short ones, and models of different rank share their kernels.
void mergeLoops(KernelSpec &spec);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_BUILDSPEC_H
