//===- Elementwise.cpp - Which operations go element by element ------------------------------===//
//
// The one list of them. What an operation computes is said where it is lowered
// (compiler/Fuse/LowerElementwise.cpp).
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Elementwise.h"

#include "dialects/Onnx/Onnx.h"

namespace rapt::onnx {

bool isElementwise(mlir::Operation *op) {
  return mlir::isa<
      // Arithmetic
      AbsOp, AddOp, CeilOp, ClipOp, DivOp, FloorOp, MaxOp, MinOp, ModOp, MulOp, NegOp, PowOp,
      ReciprocalOp, RoundOp, SignOp, SqrtOp, SubOp,
      // Functions
      AcosOp, AcoshOp, AsinOp, AsinhOp, AtanOp, AtanhOp, CosOp, CoshOp, ErfOp, ExpOp, GeluOp, LogOp,
      ReluOp, SigmoidOp, SinOp, SinhOp, TanOp, TanhOp,
      // Comparison, logic and bits
      AndOp, BitShiftOp, BitwiseAndOp, BitwiseNotOp, BitwiseOrOp, BitwiseXorOp, EqualOp, GreaterOp,
      GreaterOrEqualOp, IsNaNOp, LessOp, LessOrEqualOp, NotOp, OrOp, XorOp,
      // Choices and types
      BitCastOp, CastOp, WhereOp>(op);
}

} // namespace rapt::onnx
