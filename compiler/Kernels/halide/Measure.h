//===- Measure.h - How long compiled kernels take on this machine --------------*- C++ -*-===//
//
// The other header of this folder that has no Halide type (beside Emit.h): kernels that emitKernel
// compiled are run, in turn, on buffers made for them.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_MEASURE_H
#define RAPT_COMPILER_KERNELS_HALIDE_MEASURE_H

#include "compiler/Kernels/KernelSpec.h"

namespace rapt::kernels::halide {

/// A compiled kernel as a shared library that exports its symbols.
struct Runnable {
  KernelSpec spec;
  KernelObject object;
  std::string library; // path
};

/// Times kernels that compute the same (their specs differ in panels only) on one thread, where dim
/// i is dims[i], for about `seconds`: each in order, then each in reverse, again and again. Packed
/// weights come from memory: calls take turns on copies that fill `coldBytes`.
///
/// Runs in a process of its own. True, and result[round][kernel] is the seconds of a call; or false
/// with a text in `error`: a library that does not open, a crash, buffers that are too large, or a
/// kernel whose result is not that of the first.
bool measureKernels(const std::vector<Runnable> &kernels, const std::vector<int64_t> &dims,
                    double seconds, int64_t coldBytes, std::vector<std::vector<double>> &result,
                    std::string &error);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_MEASURE_H
