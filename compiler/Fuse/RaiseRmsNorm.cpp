//===- RaiseRmsNorm.cpp - A decomposed RMS norm => onnx.RMSNormalization ---------------===//
//
//   x / sqrt(mean(x * x) + eps) * scale
//     => onnx.RMSNormalization(x, scale) {axis = last, epsilon = eps}
//
// The quotient may be written with Div, with Reciprocal or 1 / sqrt, or with the power -0.5. Only
// when it is the same computation: the mean is over the last dim and keeps it, eps is a constant
// that f32 holds. A scale is a vector of the last dim's size; without one it is 1.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Match.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;

namespace {

/// What a value is divided by, or multiplied with: (mean(x * x) + epsilon) to the power of 1/2 or
/// -1/2.
struct Root {
  Value x;
  double epsilon;
};

/// `value` is mean(x * x) + epsilon.
std::optional<Root> meanSquare(Value value) {
  auto add = value.getDefiningOp<onnx::AddOp>();
  if (!add)
    return std::nullopt;
  for (auto [mean, epsilon] : {std::pair(add.getA(), add.getB()), {add.getB(), add.getA()}}) {
    std::optional<double> number = fuse::scalarOfF32(epsilon);
    Value square = number ? fuse::meanOfRows(mean) : Value();
    if (Value x = square ? fuse::squared(square) : Value())
      return Root{x, *number};
  }
  return std::nullopt;
}

/// `value` is sqrt(mean(x * x) + epsilon).
std::optional<Root> root(Value value) {
  if (auto sqrt = value.getDefiningOp<onnx::SqrtOp>())
    return meanSquare(sqrt.getInput());
  auto pow = value.getDefiningOp<onnx::PowOp>();
  return pow && fuse::isScalar(pow.getB(), 0.5) ? meanSquare(pow.getA()) : std::nullopt;
}

/// `value` is 1 / sqrt(mean(x * x) + epsilon).
std::optional<Root> inverseRoot(Value value) {
  if (auto reciprocal = value.getDefiningOp<onnx::ReciprocalOp>())
    return root(reciprocal.getInput());
  if (auto div = value.getDefiningOp<onnx::DivOp>())
    return fuse::isScalar(div.getA(), 1.0) ? root(div.getB()) : std::nullopt;
  auto pow = value.getDefiningOp<onnx::PowOp>();
  return pow && fuse::isScalar(pow.getB(), -0.5) ? meanSquare(pow.getA()) : std::nullopt;
}

/// `op` gives x / sqrt(mean(x * x) + epsilon).
std::optional<Root> normalized(Operation *op) {
  std::optional<Root> found;
  Value a = op->getOperand(0), b = op->getOperand(1);
  if (isa<onnx::DivOp>(op))
    found = root(b);
  else if (!(found = inverseRoot(b)) && (found = inverseRoot(a)))
    std::swap(a, b);
  return found && found->x == a ? found : std::nullopt;
}

/// A vector as long as x's last dim, of its type.
bool isRowVector(Value value, Value x) {
  auto type = fuse::tensorType(value), wide = fuse::tensorType(x);
  return type.getRank() == 1 && !type.isDynamicDim(0) &&
         type.getDimSize(0) == wide.getShape().back() &&
         type.getElementType() == wide.getElementType();
}

void raise(Operation *op) {
  std::optional<Root> match = normalized(op);
  // An epsilon may have more dims than x, and then the quotient has.
  if (!match || match->x.getType() != op->getResult(0).getType())
    return;
  Value x = match->x, result = op->getResult(0), scale;
  auto mul = result.hasOneUse() ? dyn_cast<onnx::MulOp>(*result.user_begin()) : nullptr;
  if (mul) {
    Value other = mul.getA() == result ? mul.getB() : mul.getA();
    if (isRowVector(other, x)) {
      scale = other;
      result = mul.getOutput();
    }
  }
  OpBuilder builder(result.getDefiningOp());
  Location loc = result.getLoc();
  if (!scale) {
    auto type = RankedTensorType::get({}, fuse::tensorType(x).getElementType());
    auto one = DenseElementsAttr::get(type, builder.getOneAttr(type.getElementType()));
    scale = onnx::ConstantOp::create(builder, loc, type, one).getOutput();
  }
  auto raised =
      onnx::RMSNormalizationOp::create(builder, loc, result.getType(), x, scale,
                                       builder.getI64IntegerAttr(fuse::tensorType(x).getRank() - 1),
                                       builder.getF32FloatAttr(static_cast<float>(match->epsilon)));
  result.replaceAllUsesWith(raised.getY());
}

struct RaiseRmsNorm : PassWrapper<RaiseRmsNorm, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RaiseRmsNorm)
  StringRef getArgument() const final { return "raise-rms-norm"; }
  StringRef getDescription() const final {
    return "x / sqrt(mean(x^2) + eps) * scale => onnx.RMSNormalization";
  }
  void runOnOperation() final {
    if (getOperation().isExternal())
      return;
    Block &body = getOperation().getBody().front();
    for (Operation &op : llvm::make_early_inc_range(body))
      if (isa<onnx::MulOp, onnx::DivOp>(op) &&
          isa<FloatType>(fuse::tensorType(op.getResult(0)).getElementType()))
        raise(&op);
    eraseDead(body);
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createRaiseRmsNormPass() { return std::make_unique<RaiseRmsNorm>(); }
