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

#include <algorithm>

#include "dialects/Attn/AttnDialect.h.inc"
#include "dialects/Attn/AttnEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Attn/AttnAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Attn/AttnOps.h.inc"

namespace rapt::attn {

/// causal_offset or window_offset within 2^29: farther diagonals are all the same, as no tensor is
/// so long, and the sum with a position stays in 32 bits.
inline int64_t nearDiagonal(int64_t offset) {
  constexpr int64_t farthest = 1 << 29;
  return std::clamp(offset, -farthest, farthest);
}

/// Whether the keys that are excluded differ in a row of nothing else: some are averaged over.
inline bool ranksHidden(EmptyRow emptyRow) {
  return emptyRow == EmptyRow::MaskMean || emptyRow == EmptyRow::EitherMean ||
         emptyRow == EmptyRow::CausalMean;
}

/// Replaces `op` by linalg operations that compute rules S1 to S6 literally, one step an operation:
/// score, row maximum, exponentials, row sum, weighted sum, division. The slow, obvious form that
/// fused kernels are tested against.
void decompose(SdpaOp op);

} // namespace rapt::attn

#endif // RAPT_DIALECTS_ATTN_ATTN_H
