//===- EraseDead.h - What a rewrite leaves unused --------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_ERASEDEAD_H
#define RAPT_COMPILER_ERASEDEAD_H

#include "mlir/IR/Block.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/STLExtras.h"

namespace rapt {

/// Erases the operations of `block` without uses and effects, last first, so that what only they
/// used goes as well.
inline void eraseDead(mlir::Block &block) {
  for (mlir::Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (mlir::isOpTriviallyDead(&op))
      op.erase();
}

} // namespace rapt

#endif // RAPT_COMPILER_ERASEDEAD_H
