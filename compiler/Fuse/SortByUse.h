//===- SortByUse.h - An order in which everything is made before it is used --------*- C++ -*-===//
#ifndef RAPT_COMPILER_FUSE_SORTBYUSE_H
#define RAPT_COMPILER_FUSE_SORTBYUSE_H

#include "mlir/IR/Block.h"

namespace rapt::fuse {

/// Moves every operation of `block` behind those whose results it uses, checks and requirements to
/// the front. Where sizes are measured, index arithmetic and requirements stand as far in front as
/// they can: what is required of a size is checked before any kernel counts on it.
void sortByUse(mlir::Block &block);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_SORTBYUSE_H
