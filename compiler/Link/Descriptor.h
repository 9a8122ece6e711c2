//===- Descriptor.h - The rapt_abi_model of an artifact ---------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_DESCRIPTOR_H
#define RAPT_COMPILER_LINK_DESCRIPTOR_H

#include "compiler/Host/CallTable.h"
#include "compiler/Link/HostObject.h"

namespace llvm {
class Module;
}

namespace rapt::link {

/// Section of the artifact with nothing but the embedded weights.
inline constexpr llvm::StringLiteral kWeightsSection = ".rapt.weights";

/// Adds the exported constant `facts.symbol`, the tables and texts that it points to, and the
/// section with the weights to `module`, which holds rapt_plan, rapt_run and rapt_work.
llvm::Error addDescriptor(llvm::Module &module, const host::Interface &interface,
                          const host::CallTable &calls, const ModelFacts &facts);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_DESCRIPTOR_H
