//===- Target.h - The CPU that code is made for ----------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_SCHEDULE_TARGET_H
#define RAPT_COMPILER_SCHEDULE_TARGET_H

#include "compiler/Kernels/KernelSpec.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace rapt {

/// Resolves --target-cpu: "native" is this machine; any other name is one that LLVM knows for
/// x86-64 ("x86-64-v3", "znver4", "cascadelake"). Fails for unknown names, listing the architecture
/// levels.
llvm::Expected<kernels::TargetCpu> resolveTarget(llvm::StringRef name);

} // namespace rapt

#endif // RAPT_COMPILER_SCHEDULE_TARGET_H
