//===- RaiseGelu.cpp - Products with erf or tanh => onnx.Gelu --------------------------===//
//
//   0.5 * x * (1 + erf(x / sqrt 2))
//     => onnx.Gelu {approximate = "none"}
//   0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))
//     => onnx.Gelu {approximate = "tanh"}
//
// The factors may be associated and ordered in any way, a factor may be a division by its inverse,
// x^3 may be a Pow or a product. Constants must agree to a relative 1e-6.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Match.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"

#include <cmath>

using namespace mlir;
using namespace rapt;
using rapt::fuse::closeTo;
using rapt::fuse::Product;
using rapt::fuse::product;

namespace {

/// How far a constant may be from what it stands for: exporters round it to the type of `value`.
double toleranceOf(Value value) {
  Type type = fuse::tensorType(value).getElementType();
  return type.isBF16() ? 0x1p-8 : type.isF16() ? 0x1p-11 : 1e-6;
}

/// `value` is coefficient * x^power, x^power written with Mul and Pow. Whole exponents only: they
/// have a value for a negative x, too.
bool isPower(Value value, Value x, double coefficient, int power) {
  Product p = product(value);
  if (!closeTo(p.coefficient, coefficient, toleranceOf(value)))
    return false;
  double found = 0;
  for (Value factor : p.factors) {
    auto pow = factor.getDefiningOp<onnx::PowOp>();
    std::optional<double> exponent = pow ? fuse::scalarConstant(pow.getB()) : std::nullopt;
    auto square = factor.getDefiningOp<onnx::MulOp>();
    if (factor == x)
      found += 1;
    else if (exponent && pow.getA() == x && *exponent == std::floor(*exponent))
      found += *exponent;
    else if (square && square.getA() == x && square.getB() == x)
      found += 2; // x * x, kept whole by product() because something else uses it too
    else
      return false;
  }
  return found == power;
}

/// sqrt(2 / pi) * (x + 0.044715 x^3), or sqrt(2 / pi) * x * (1 + 0.044715 x^2).
bool isTanhArgument(Value value, Value x) {
  Product p = product(value);
  if (!closeTo(p.coefficient, std::sqrt(2.0 / M_PI), toleranceOf(value)))
    return false;
  if (p.factors.size() == 1) {
    auto add = p.factors[0].getDefiningOp<onnx::AddOp>();
    return add && ((add.getA() == x && isPower(add.getB(), x, 0.044715, 3)) ||
                   (add.getB() == x && isPower(add.getA(), x, 0.044715, 3)));
  }
  if (p.factors.size() != 2)
    return false;
  for (int i : {0, 1}) {
    auto add = p.factors[1 - i].getDefiningOp<onnx::AddOp>();
    Value rest = p.factors[i] == x && add ? fuse::otherThanScalar(add, 1.0) : Value();
    if (rest && isPower(rest, x, 0.044715, 2))
      return true;
  }
  return false;
}

/// The approximation, when `cdf` is 2 * Phi(x).
std::optional<StringRef> matchTwiceCdf(Value cdf, Value x) {
  auto add = cdf.getDefiningOp<onnx::AddOp>();
  Value function = add ? fuse::otherThanScalar(add, 1.0) : Value();
  if (!function)
    return std::nullopt;
  if (auto erf = function.getDefiningOp<onnx::ErfOp>()) {
    if (isPower(erf.getInput(), x, std::sqrt(0.5), 1))
      return "none";
  } else if (auto tanh = function.getDefiningOp<onnx::TanhOp>()) {
    if (isTanhArgument(tanh.getInput(), x))
      return "tanh";
  }
  return std::nullopt;
}

/// Replaces `op` when its result is 0.5 * x * (2 * Phi(x)).
void raise(Operation *op) {
  Value result = op->getResult(0);
  Product p = product(result);
  if (p.factors.size() != 2 || !closeTo(p.coefficient, 0.5))
    return;
  for (int i : {0, 1}) {
    Value x = p.factors[i];
    std::optional<StringRef> approximate = matchTwiceCdf(p.factors[1 - i], x);
    if (!approximate || x.getType() != result.getType())
      continue;
    OpBuilder builder(op);
    auto gelu = onnx::GeluOp::create(builder, op->getLoc(), result.getType(), x,
                                     builder.getStringAttr(*approximate));
    result.replaceAllUsesWith(gelu.getOutput());
    return;
  }
}

struct RaiseGelu : PassWrapper<RaiseGelu, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RaiseGelu)
  StringRef getArgument() const final { return "raise-gelu"; }
  StringRef getDescription() const final { return "0.5 * x * (1 + erf(x / sqrt 2)) => onnx.Gelu"; }
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

std::unique_ptr<Pass> rapt::createRaiseGeluPass() { return std::make_unique<RaiseGelu>(); }
