//===- Attn.h - The attn dialect -------------------------------------------------*- C++ -*-===//
//
// Declarations of the dialect, and the decomposition that is its reference meaning.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ATTN_ATTN_H
#define RAPT_DIALECTS_ATTN_ATTN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Attn/AttnDialect.h.inc"
#include "dialects/Attn/AttnEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Attn/AttnAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Attn/AttnOps.h.inc"

namespace rapt::attn {

/// Replaces `op` by linalg operations that compute rules S1 to S5 literally, one step an operation:
/// score, row maximum, exponentials, row sum, weighted sum, division. The slow, obvious form that
/// fused kernels are tested against.
void decompose(SdpaOp op);

} // namespace rapt::attn

#endif // RAPT_DIALECTS_ATTN_ATTN_H
