//===- Evaluate.h - Elementwise operators on known elements ------------------------*- C++ -*-===//
//
// The meaning of one elementwise onnx operation for one element, as far as it can be known while
// compiling: integers over dims by SymbolicExpr, floats rounded to their type after each operation.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_EVALUATE_H
#define RAPT_DIALECTS_ONNX_EVALUATE_H

#include "dialects/Onnx/Content.h"

#include "mlir/IR/Operation.h"

namespace rapt::onnx {

/// The result of `op` (elementwise) for `operands`, one element each in operand order, of element
/// type `result`. Unknown when it cannot be known.
Element evaluate(mlir::Operation *op, llvm::ArrayRef<Element> operands, mlir::Type result);

/// The element converted to the element type `result`, as Cast does.
Element convert(const Element &element, mlir::Type result);

/// One of the sums, products and so on that the Reduce operators are made of.
enum class Fold { Sum, Product, Max, Min };
Element combine(Fold fold, const Element &a, const Element &b, mlir::Type type);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_EVALUATE_H
