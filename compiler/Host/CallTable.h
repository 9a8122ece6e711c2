//===- CallTable.h - Which kernels a run calls ------------------------------------*- C++ -*-===//
//
// What a profile says of each kernel call. host-bufferize describes the kernels while all of them
// are there, host-to-llvm adds the calls in their order, compiler/Link writes rapt_abi_call for
// each. Between the passes the table is the module attribute kernel.profile.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_HOST_CALLTABLE_H
#define RAPT_COMPILER_HOST_CALLTABLE_H

#include "compiler/Kernels/Work.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace rapt::host {

struct CallTable {
  struct Kernel {
    std::string name;
    std::string schedule; // its recipe and numbers, for people
    kernels::Work work;
  };
  struct Call {
    int64_t kernel = 0; // index of `kernels`
    std::string node;   // name of the ONNX node, "" if unknown
  };
  std::vector<Kernel> kernels;
  std::vector<Call> calls;

  /// Index of the kernel of that name; appended, with nothing known of it, when it is new.
  int64_t indexOf(llvm::StringRef name);
};

/// Describes the kernel.funcs of `module`. Where a body has no KernelSpec, the bytes are those of
/// inputs and outputs as a whole and the operations are not known: 0.
CallTable describeKernels(mlir::ModuleOp module);

/// Sets the module's attribute.
void writeCallTable(mlir::ModuleOp module, const CallTable &table);

/// Reads the module's attribute, an empty table where there is none; one that was edited into
/// nonsense is an error of the module.
mlir::FailureOr<CallTable> readCallTable(mlir::ModuleOp module);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_CALLTABLE_H
