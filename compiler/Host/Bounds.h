//===- Bounds.h - The most that sizes can be which data decides -------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_HOST_BOUNDS_H
#define RAPT_COMPILER_HOST_BOUNDS_H

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace rapt::host {

/// `plan` runs before any kernel, so what depends on a kernel.measure is planned for by bounds:
/// index arithmetic on the dims of the inputs, at the front of the function.
class Bounds {
public:
  /// New arithmetic goes in front of the first operation of `block` that is no index arithmetic.
  explicit Bounds(mlir::Block &block) : block(block) {}

  /// `size` itself when it depends on no measure; else a number that it is never above. Null where
  /// the arithmetic has no bound.
  mlir::Value upper(mlir::Value size);
  /// Erases the arithmetic that nothing uses.
  void eraseUnused();

private:
  struct Range {
    mlir::Value low, high;
  };
  Range rangeOf(mlir::Value value);
  Range compute(mlir::Operation *op);
  template <typename Op> mlir::Value make(mlir::Value a, mlir::Value b);
  mlir::Value number(int64_t value);
  void goToFront();

  mlir::Block &block;
  mlir::OpBuilder builder{block.getParentOp()->getContext()};
  mlir::Location loc = block.getParentOp()->getLoc();
  llvm::DenseMap<mlir::Value, Range> known;
  llvm::SmallVector<mlir::Operation *> made;
};

/// The bound of each index of a block that depends on a measure.
using UpperBounds = llvm::DenseMap<mlir::Value, mlir::Value>;

/// Builds the bounds of all of them; an error where one has none.
mlir::FailureOr<UpperBounds> boundMeasured(mlir::Block &block);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_BOUNDS_H
