//===- Uses.h - Which kernels a model calls, at which sizes -----------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_SCHEDULE_USES_H
#define RAPT_COMPILER_SCHEDULE_USES_H

#include "compiler/Schedule/Predict.h"
#include "dialects/Kernel/Kernel.h"
#include "llvm/Support/Error.h"

#include <map>
#include <string>

namespace rapt {

/// Sizes of symbolic dims, by name.
using DimSizes = std::map<std::string, int64_t>;

/// A size for every symbolic dim of the model: as `given`, else 1 for a dim that comes first in
/// every input that has it (by convention the batch), else 128, or what the model's requirements
/// make of it. Fails for a given name that the model does not have, listing those it has, and for
/// given sizes that the model refuses.
llvm::Expected<DimSizes> assumeSizes(mlir::ModuleOp module, const DimSizes &given);

/// One kernel.func and all its calls.
struct KernelUse {
  kernel::FuncOp func;
  kernels::KernelSpec spec;
  kernels::Schedule schedule;
  int64_t calls = 0;
  std::vector<int64_t> dims; // of the call that is predicted to take longest
  Prediction longest, total; // that call, and all calls together
};

/// The uses of all kernels of an outlined module that have a KernelSpec, in the module's order,
/// with symbolic dims as `sizes` says. A call at a size below 1 counts nothing.
std::vector<KernelUse> kernelUses(mlir::ModuleOp module, const kernels::TargetCpu &target,
                                  const DimSizes &sizes);

} // namespace rapt

#endif // RAPT_COMPILER_SCHEDULE_USES_H
