//===- IndexExpr.h - The host's index arithmetic, read back -----------------------*- C++ -*-===//
//
// Dims are SSA values: kernel.dim, constants, and arith on index. These helpers read them as
// products (to compare sizes) and as text (for people).
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_HOST_INDEXEXPR_H
#define RAPT_COMPILER_HOST_INDEXEXPR_H

#include "mlir/IR/Value.h"

#include <optional>
#include <string>

namespace rapt::host {

/// Whether `op` is a kernel.dim or arith on index values: pure, and a function of the model's dims
/// alone, so it may stand at the function's entry.
bool isIndexArithmetic(mlir::Operation *op);

/// The value of a constant index.
std::optional<int64_t> constantIndex(mlir::Value value);

/// Whether the operations that made an index show that it is at least 0.
bool isNonNegative(mlir::Value value);

/// Whether an index may be 0 because a measured size or a dim of the model's inputs may be: it
/// depends on one that may, and nothing shows that it is at least 1.
bool mayBeEmpty(mlir::Value value);

/// factor * atoms[0] * atoms[1] * ..., the atoms in a fixed order: equal products compare equal.
struct Product {
  int64_t factor = 1;
  llvm::SmallVector<mlir::Value, 4> atoms; // values that are no products themselves

  bool operator==(const Product &) const = default;
  void multiply(mlir::Value value);
  void multiply(int64_t value);
};

/// "batch * (seq + 1)"; deep expressions are cut with "...".
std::string textOf(mlir::Value value);
std::string textOf(const Product &product);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_INDEXEXPR_H
