//===- Reference.h - Kernels without Halide ---------------------------------------*- C++ -*-===//
//
// The slow, obvious way down: linalg -> loops -> LLVM. Every kernel has it, and the fast one is
// tested against it (--kernels=reference).
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_REFERENCE_H
#define RAPT_COMPILER_KERNELS_REFERENCE_H

#include <memory>

namespace mlir {
class Pass;
}

namespace rapt {

/// Module pass `reference-kernels`: replaces every kernel.func that has no object code by an LLVM
/// function of the same name with the calling convention of all kernels,
///   i32 @sym(ptr %context, i64 %dim..., ptr %input..., ptr %output...)
/// on dense row-major data. It returns 0, or what context->fail gave when there was no memory: its
/// intermediate tensors come from malloc, unlike those of a Halide kernel. Panel-packed inputs are
/// an error: the reference reads row-major weights.
std::unique_ptr<mlir::Pass> createReferenceKernelsPass();

} // namespace rapt

#endif // RAPT_COMPILER_KERNELS_REFERENCE_H
