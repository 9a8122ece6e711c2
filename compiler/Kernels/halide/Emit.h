//===- Emit.h - KernelSpec to object code through Halide -----------------------*- C++ -*-===//
//
// The bridge into Halide: the only header of this folder that others include. It has no Halide
// type; files behind it are compiled with exceptions and RTTI and turn every Halide::Error into a
// text.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_EMIT_H
#define RAPT_COMPILER_KERNELS_HALIDE_EMIT_H

#include "compiler/Kernels/KernelSpec.h"

namespace rapt::kernels::halide {

/// Compiles `spec` under `schedule` for `target` to one object file whose symbols start with
/// `symbolPrefix`. Returns true and fills `result`, or returns false with a text in `error`;
/// `isInterrupted` then says whether the machine lacked something, such as memory or processes, and
/// the kernel is not at fault. The same arguments give the same bytes. May be called from several
/// threads at once.
bool emitKernel(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &target,
                const std::string &symbolPrefix, KernelObject &result, std::string &error,
                bool *isInterrupted = nullptr);

/// "21.0.0"
std::string version();

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_EMIT_H
