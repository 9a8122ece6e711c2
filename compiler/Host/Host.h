//===- Host.h - From calls on tensors to one LLVM function ------------------------*- C++ -*-===//
//
// The host stage: three passes over the model's function and what they tell the linker.
//
//   kernels        func.func @main on tensors: dims, index arithmetic, weights, kernel.call
//   bufferize      ... on memrefs, outputs as arguments, weights as offsets into one blob
//   plan-memory    ... every intermediate at an offset into one arena
//   to-llvm        llvm.func @rapt_plan, @rapt_run and @rapt_work (runtime/include/rapt_abi.h)
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_HOST_HOST_H
#define RAPT_COMPILER_HOST_HOST_H

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <string>

namespace mlir {
class Pass;
}

namespace rapt {

/// Pass `host-bufferize` on modules with one func.func @main.
std::unique_ptr<mlir::Pass> createHostBufferizePass();

/// Pass `host-plan-memory`, after host-bufferize.
std::unique_ptr<mlir::Pass> createHostPlanMemoryPass();

/// Pass `host-to-llvm`, after host-plan-memory: replaces @main and the kernel.funcs that have
/// object code. Calls of other kernels go to llvm.funcs of their names (reference-kernels makes
/// them).
std::unique_ptr<mlir::Pass> createHostToLLVMPass();

/// What host-plan-memory found, for --report.
struct MemoryReport {
  int64_t buffers = 0;     // intermediate tensors
  std::string bytes;       // of the arena: a number, or an expression in the model's dims
  int64_t weightBytes = 0; // of the weight blob
};

/// Reads the report from the attributes that host-plan-memory left on `module`.
MemoryReport memoryReport(mlir::ModuleOp module);

namespace host {

/// Attributes of the module and of @main's arguments between the passes.
inline constexpr llvm::StringLiteral kOutputAttr = "kernel.output"; // argument: output buffer
inline constexpr llvm::StringLiteral kWeightsArgAttr =
    "kernel.weights";                                             // argument: the weight blob
inline constexpr llvm::StringLiteral kArenaAttr = "kernel.arena"; // argument: the arena
inline constexpr llvm::StringLiteral kWeightTableAttr =
    "kernel.weight_table";                                                // module, WeightTable.h
inline constexpr llvm::StringLiteral kInterfaceAttr = "kernel.interface"; // module, Interface.h
inline constexpr llvm::StringLiteral kMemoryAttr = "kernel.memory";       // module, MemoryReport
inline constexpr llvm::StringLiteral kProfileAttr = "kernel.profile";     // module, CallTable.h
inline constexpr llvm::StringLiteral kPlanName = "rapt_plan";
inline constexpr llvm::StringLiteral kRunName = "rapt_run";
inline constexpr llvm::StringLiteral kWorkName = "rapt_work";

} // namespace host
} // namespace rapt

#endif // RAPT_COMPILER_HOST_HOST_H
