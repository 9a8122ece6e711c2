//===- RaiseLayerNorm.cpp - A decomposed layer norm => onnx.LayerNormalization ---------===//
//
//   m = mean(x); d = x - m; v = mean(d * d); d / sqrt(v + eps) * scale + bias
//     => onnx.LayerNormalization(x, scale, bias) {axis = last, epsilon = eps}
//
// Only when it is the same computation: both means are over the last dim and keep it, eps is a
// constant that f32 holds, scale and bias are constant vectors of the last dim's size. Without the
// Add of a bias the result has none.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Match.h"
#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;

namespace {

/// `value` is x - mean(x) of the result.
Value centred(Value value) {
  auto sub = value.getDefiningOp<onnx::SubOp>();
  return sub && fuse::meanOfRows(sub.getB()) == sub.getA() ? sub.getA() : Value();
}

/// `value` is sqrt(variance(x) + eps).
struct Deviation {
  Value x;
  double epsilon;
};
std::optional<Deviation> deviation(Value value) {
  auto sqrt = value.getDefiningOp<onnx::SqrtOp>();
  auto add = sqrt ? sqrt.getInput().getDefiningOp<onnx::AddOp>() : nullptr;
  if (!add)
    return std::nullopt;
  for (auto [variance, epsilon] : {std::pair(add.getA(), add.getB()), {add.getB(), add.getA()}}) {
    std::optional<double> number = fuse::scalarOfF32(epsilon);
    Value square = number ? fuse::meanOfRows(variance) : Value();
    Value difference = square ? fuse::squared(square) : Value();
    Value x = difference ? centred(difference) : Value();
    if (x)
      return Deviation{x, *number};
  }
  return std::nullopt;
}

/// `value` is (x - mean(x)) / sqrt(variance(x) + eps).
std::optional<Deviation> normalized(Value value) {
  Value numerator, denominator;
  if (auto div = value.getDefiningOp<onnx::DivOp>()) {
    numerator = div.getA();
    denominator = div.getB();
  } else if (auto mul = value.getDefiningOp<onnx::MulOp>()) {
    numerator = mul.getA();
    auto reciprocal = mul.getB().getDefiningOp<onnx::ReciprocalOp>();
    if (!reciprocal) {
      numerator = mul.getB();
      reciprocal = mul.getA().getDefiningOp<onnx::ReciprocalOp>();
    }
    denominator = reciprocal ? reciprocal.getInput() : Value();
  }
  std::optional<Deviation> found = denominator ? deviation(denominator) : std::nullopt;
  return found && centred(numerator) == found->x ? found : std::nullopt;
}

/// A constant vector as long as x's last dim.
bool isRowConstant(Value value, Value x) {
  auto type = fuse::tensorType(value);
  return value.getDefiningOp() && isa<kernel::WeightOp, onnx::ConstantOp>(value.getDefiningOp()) &&
         type.getRank() == 1 && !type.isDynamicDim(0) &&
         type.getDimSize(0) == fuse::tensorType(x).getShape().back();
}

void raise(onnx::MulOp mul) {
  for (auto [norm, scale] : {std::pair(mul.getA(), mul.getB()), {mul.getB(), mul.getA()}}) {
    std::optional<Deviation> match = normalized(norm);
    // An epsilon may have more dims than x, and then the quotient has.
    if (!match || norm.getType() != match->x.getType() || !isRowConstant(scale, match->x))
      continue;
    Value result = mul.getOutput(), bias;
    auto add = result.hasOneUse() ? dyn_cast<onnx::AddOp>(*result.user_begin()) : nullptr;
    if (add) {
      Value other = add.getA() == result ? add.getB() : add.getA();
      if (isRowConstant(other, match->x)) {
        bias = other;
        result = add.getOutput();
      }
    }
    OpBuilder builder(result.getDefiningOp());
    auto raised = onnx::LayerNormalizationOp::create(
        builder, result.getLoc(), result.getType(), match->x, scale, bias,
        builder.getI64IntegerAttr(fuse::tensorType(match->x).getRank() - 1),
        builder.getF32FloatAttr(static_cast<float>(match->epsilon)));
    result.replaceAllUsesWith(raised.getY());
    return;
  }
}

struct RaiseLayerNorm : PassWrapper<RaiseLayerNorm, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RaiseLayerNorm)
  StringRef getArgument() const final { return "raise-layer-norm"; }
  StringRef getDescription() const final {
    return "(x - mean) / sqrt(variance + eps) * scale + bias => onnx.LayerNormalization";
  }
  void runOnOperation() final {
    if (getOperation().isExternal())
      return;
    Block &body = getOperation().getBody().front();
    for (auto mul : llvm::make_early_inc_range(body.getOps<onnx::MulOp>()))
      raise(mul);
    eraseDead(body);
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createRaiseLayerNormPass() {
  return std::make_unique<RaiseLayerNorm>();
}
