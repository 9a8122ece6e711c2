//===- Infer.h - The table of inference functions ----------------------------------*- C++ -*-===//
//
// Which function infers which operation. Each Infer*.cpp adds its group; ShapeInference.cpp looks
// up.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_INFER_H
#define RAPT_DIALECTS_ONNX_INFER_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/ShapeInference.h"

#include "llvm/ADT/DenseMap.h"

namespace rapt::onnx {

class InferTable {
public:
  using Function = mlir::LogicalResult (*)(ShapeInference &, mlir::Operation *);

  /// `function` takes (ShapeInference &, Op).
  template <typename Op, mlir::LogicalResult (*function)(ShapeInference &, Op)> void add() {
    functions[Op::getOperationName()] = [](ShapeInference &shapes, mlir::Operation *op) {
      return function(shapes, mlir::cast<Op>(op));
    };
  }
  template <typename... Ops> void addAll(Function function) {
    ((functions[Ops::getOperationName()] = function), ...);
  }
  Function find(mlir::Operation *op) const {
    return functions.lookup(op->getName().getStringRef());
  }

private:
  llvm::DenseMap<llvm::StringRef, Function> functions;
};

void addElementwise(InferTable &table);
void addMath(InferTable &table);
void addMovement(InferTable &table);
void addSlicing(InferTable &table);
void addGathers(InferTable &table);
void addShapeOps(InferTable &table);
void addHostOps(InferTable &table);
void addWindows(InferTable &table);
void addResize(InferTable &table);
void addScatter(InferTable &table);
void addLoops(InferTable &table);
void addSelection(InferTable &table);

/// What is wrong with an operand that shapes depend on and inference cannot follow.
inline constexpr llvm::StringLiteral kFromData =
    "is computed from the model's data, expected it to follow from constants and the inputs' dims";

inline mlir::Type elementTypeOf(mlir::Value value) {
  return mlir::cast<mlir::ShapedType>(value.getType()).getElementType();
}

/// Error unless 0 <= axis < rank (<= rank with `orEnd`).
mlir::LogicalResult checkAxis(mlir::Operation *op, int64_t axis, int64_t rank, bool orEnd = false);
/// Error unless the axes are in range and differ.
mlir::LogicalResult checkAxes(mlir::Operation *op, llvm::ArrayRef<int64_t> axes, int64_t rank);
/// Error unless `value` has an integer (and not boolean) element type.
mlir::LogicalResult checkIntegers(mlir::Operation *op, mlir::Value value, llvm::StringRef name);
/// Error where the size `dim` is negative for all sizes of the inputs; where it is for some, they
/// are refused when the model runs. `what` names the size.
mlir::LogicalResult checkSize(ShapeInference &shapes, mlir::Operation *op, const SymbolicExpr &dim,
                              const llvm::Twine &what);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_INFER_H
