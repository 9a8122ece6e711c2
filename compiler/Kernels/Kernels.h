//===- Kernels.h - From regions to object code -----------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_KERNELS_H
#define RAPT_COMPILER_KERNELS_KERNELS_H

#include "compiler/Kernels/KernelSpec.h"
#include "mlir/IR/BuiltinOps.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace mlir {
class Pass;
}

namespace rapt {

class KernelCache;

/// outline-kernels: kernel.region => kernel.func (one for all regions with the same body, schedule
/// and layouts, named by what they are and a hash of it) + kernel.call.
std::unique_ptr<mlir::Pass> createOutlineKernelsPass();

/// print-kernel-specs: prints the KernelSpec of every kernel.region and kernel.func to stdout.
std::unique_ptr<mlir::Pass> createPrintKernelSpecsPass();

/// The object files of a module's kernels, by the name of their kernel.func.
using KernelObjects = std::map<std::string, std::string>;

/// What compileKernels did.
struct KernelBuild {
  size_t found = 0, kernels = 0;    ///< in the cache, and all
  std::string problem;              ///< why a kernel could not be kept; empty: all were
  std::vector<std::string> refused; ///< "kernel: reason" of those that Halide did not compile
};

/// Compiles every kernel.func of `module` whose recipe is not `reference` through Halide, on
/// several threads, and sets its `object` attribute. A kernel that Halide refuses gets the
/// reference recipe and an attribute `kernel.reference_reason`; where the machine lacked something,
/// such as memory, there is an error. Kernels come from `cache` where it has them, and are kept
/// there; null: none. `progress` is called with (done, total), never concurrently.
mlir::FailureOr<KernelBuild> compileKernels(mlir::ModuleOp module, const kernels::TargetCpu &target,
                                            const KernelCache *cache, KernelObjects &objects,
                                            const std::function<void(size_t, size_t)> &progress);

} // namespace rapt

#endif // RAPT_COMPILER_KERNELS_KERNELS_H
