//===- Match.h - What the matchers of onnx share ---------------------------------*- C++ -*-===//
//
// Small questions about onnx values: is it a scalar constant, which factors is it a product of.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_MATCH_H
#define RAPT_COMPILER_FUSE_MATCH_H

#include "dialects/Onnx/Onnx.h"

#include <optional>

namespace rapt::fuse {

/// The number that every element of an onnx.Constant has, when it is a float or integer constant
/// with one element or a splat; nothing otherwise.
std::optional<double> scalarConstant(mlir::Value value);
/// The same when f32, which attributes have, holds it exactly; a number of f64 may be between two.
std::optional<double> scalarOfF32(mlir::Value value);

/// |a - b| <= tolerance * |b|.
bool closeTo(double a, double b, double tolerance = 1e-6);

/// `value` is `constant` everywhere, to a relative 1e-6.
bool isScalar(mlir::Value value, double constant);

/// The operand of a binary operation that is not the scalar `constant`; null when neither operand
/// is.
mlir::Value otherThanScalar(mlir::Operation *op, double constant);

/// x when `value` is the mean of x over the last dim, which it keeps; else null.
mlir::Value meanOfRows(mlir::Value value);

/// x when `value` is x * x or x to the power of 2; else null.
mlir::Value squared(mlir::Value value);

/// value = coefficient * product of factors. Products are followed through Mul and through Div by a
/// scalar; below the first operation only through results with a single use.
struct Product {
  double coefficient = 1.0;
  llvm::SmallVector<mlir::Value> factors;
};
Product product(mlir::Value value);

inline mlir::RankedTensorType tensorType(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_MATCH_H
