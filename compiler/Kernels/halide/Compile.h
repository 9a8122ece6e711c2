//===- Compile.h - KernelSpec to object code, in this process ------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_COMPILE_H
#define RAPT_COMPILER_KERNELS_HALIDE_COMPILE_H

#include "compiler/Kernels/KernelSpec.h"

namespace rapt::kernels::halide {

/// As emitKernel, but the bytes depend on what this process has compiled before.
bool compileKernel(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &target,
                   const std::string &symbolPrefix, KernelObject &result, std::string &error);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_COMPILE_H
