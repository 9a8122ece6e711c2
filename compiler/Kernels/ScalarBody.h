//===- ScalarBody.h - The inside of a linalg.generic as an Expr ------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_SCALARBODY_H
#define RAPT_COMPILER_KERNELS_SCALARBODY_H

#include "compiler/Kernels/KernelSpec.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Error.h"

#include <functional>

namespace rapt::kernels {

/// The kernel form of an element type; none for those that kernels do not compute with.
std::optional<ScalarType> scalarType(mlir::Type type);

/// A scalar constant as an expression; null when it is none or its type has no kernel form.
ExprRef constantExpr(mlir::Value value);
ExprRef constantExpr(mlir::TypedAttr value);

/// What is known around a scalar body.
struct ScalarScope {
  llvm::DenseMap<mlir::Value, ExprRef> values; // block arguments, and what is translated so far
  std::vector<ExprRef> loops;                  // of the linalg.generic, for linalg.index
  int numDims = 0;                             // index arguments of the kernel
  /// Loads an element of a tensor for tensor.extract; null when it cannot.
  std::function<ExprRef(mlir::Value, llvm::ArrayRef<ExprRef>)> load;
};

/// Translates the computation of `value` (arith, math, linalg.index, tensor.extract). Fails with a
/// text that names the operation without a kernel form.
llvm::Expected<ExprRef> translateScalar(mlir::Value value, ScalarScope &scope);

/// If `yielded` combines `accumulator` with something else by a sum, product, maximum or minimum:
/// which one, and what else.
std::optional<std::pair<Reduction, mlir::Value>> matchCombiner(mlir::Value yielded,
                                                               mlir::Value accumulator);

/// Whether starting at `init` leaves the reduction's result as it is. The lowest finite float
/// stands for -infinity, as exporters write it.
bool isNeutral(Reduction reduction, mlir::Value init);

/// The index expressions of `map` at the given loops; none when it has symbols or the like.
std::optional<std::vector<ExprRef>> mapIndices(mlir::AffineMap map, llvm::ArrayRef<ExprRef> loops);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_SCALARBODY_H
