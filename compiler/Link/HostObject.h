//===- HostObject.h - The host's object file --------------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_HOSTOBJECT_H
#define RAPT_COMPILER_LINK_HOSTOBJECT_H

#include "compiler/Host/Interface.h"
#include "compiler/Kernels/KernelSpec.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace rapt::link {

/// What the model's descriptor says beside its interface.
struct ModelFacts {
  std::string symbol; // exported name of the rapt_abi_model
  std::string name, producer, cpu, features;
  uint64_t weightBytes = 0;
  std::string weightsFile; // name of the side file; empty: they are in the artifact

  bool embedsWeights() const { return weightBytes > 0 && weightsFile.empty(); }
};

/// The features of `cpu` that compiled code may use and a CPU may lack, comma-separated: what the
/// runtime checks. Features for system software and names that only tune are not in it.
std::string requiredFeatures(const kernels::TargetCpu &cpu);

/// Compiles `host` with the descriptor of `facts` and `interface`, and writes the object to `path`.
llvm::Error writeHostObject(mlir::ModuleOp host, const host::Interface &interface,
                            const ModelFacts &facts, llvm::StringRef path);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_HOSTOBJECT_H
