//===- AttentionMatch.cpp - One attention site in onnx ---------------------------------===//

#include "compiler/Fuse/AttentionMatch.h"

#include "dialects/Kernel/Kernel.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

/// Sentinels at or below this take a key's weight to exactly zero beside any real score.
static constexpr double kSentinel = -1e9;

static bool isSentinel(Value value) {
  std::optional<double> number = scalarConstant(value);
  return number && *number <= kSentinel;
}

/// The MatMul of the probabilities, past a NaN guard; `probabilities` becomes its left operand.
static onnx::MatMulOp findOutput(Value probabilities, bool &nanGuard, std::string &reason) {
  onnx::WhereOp guard;
  for (Operation *user : probabilities.getUsers())
    if (auto isNaN = dyn_cast<onnx::IsNaNOp>(user); isNaN && isNaN.getOutput().hasOneUse())
      guard = dyn_cast<onnx::WhereOp>(*isNaN.getOutput().user_begin());
  if (guard && guard.getY() == probabilities && isScalar(guard.getX(), 0.0) &&
      guard.getCondition().getDefiningOp<onnx::IsNaNOp>() &&
      std::distance(probabilities.use_begin(), probabilities.use_end()) == 2) {
    nanGuard = true;
    probabilities = guard.getOutput();
  }
  int64_t uses = std::distance(probabilities.use_begin(), probabilities.use_end());
  onnx::MatMulOp output;
  for (Operation *user : probabilities.getUsers())
    if (auto matmul = dyn_cast<onnx::MatMulOp>(user); matmul && matmul.getA() == probabilities)
      output = matmul;
  if (!output) {
    reason = "no MatMul of its result follows";
    return {};
  }
  if (uses != 1) {
    reason = llvm::formatv("its result is used {0} times", uses);
    return {};
  }
  return output;
}

/// The scores may lie behind `value`: scalars, sums and selects lead to a MatMul.
static bool leadsToMatMul(Value value, int depth = 0) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > 8)
    return false;
  if (isa<onnx::MatMulOp>(op))
    return true;
  if (isa<onnx::AddOp, onnx::MulOp, onnx::DivOp>(op))
    return leadsToMatMul(op->getOperand(0), depth + 1) ||
           leadsToMatMul(op->getOperand(1), depth + 1);
  if (auto where = dyn_cast<onnx::WhereOp>(op))
    return leadsToMatMul(where.getX(), depth + 1) || leadsToMatMul(where.getY(), depth + 1);
  return false;
}

/// One step from `value` towards the scores. Null with a reason when there is none.
static Value stepUp(Value value, AttentionMatch &match, std::string &reason) {
  Operation *op = value.getDefiningOp();
  if (isa<onnx::MulOp, onnx::DivOp>(op)) {
    std::optional<double> number = scalarConstant(op->getOperand(1));
    Value next = op->getOperand(0);
    if (!number && isa<onnx::MulOp>(op)) {
      number = scalarConstant(op->getOperand(0));
      next = op->getOperand(1);
    }
    if (!number || !std::isfinite(*number) || *number == 0) {
      reason = "scale is not a constant";
      return {};
    }
    match.factor = isa<onnx::MulOp>(op) ? match.factor * *number : match.factor / *number;
    return next;
  }
  if (isa<onnx::AddOp>(op)) {
    int scores = leadsToMatMul(op->getOperand(0)) ? 0 : 1;
    match.biases.push_back({op->getOperand(1 - scores), match.factor});
    return op->getOperand(scores);
  }
  if (auto where = dyn_cast<onnx::WhereOp>(op)) {
    bool seenWhenTrue = isSentinel(where.getY());
    if (!seenWhenTrue && !isSentinel(where.getX())) {
      reason = "masked scores are not set to -inf or to a constant of at most -1e9";
      return {};
    }
    // What the sentinel is by the time it reaches the softmax, in the arithmetic of the graph.
    double sentinel = *scalarConstant(seenWhenTrue ? where.getY() : where.getX()) * match.factor;
    if (tensorType(value).getElementType().isF32())
      sentinel = static_cast<float>(sentinel);
    if (!std::isinf(sentinel) && !match.biases.empty()) {
      reason = "a bias is added after scores were set to a finite sentinel";
      return {};
    }
    if (sentinel > kSentinel) {
      reason = "masked scores are scaled to more than -1e9";
      return {};
    }
    if (!match.masks.empty() && std::isinf(match.masks.front().sentinel) != std::isinf(sentinel)) {
      reason = "one mask is -inf and another is finite";
      return {};
    }
    match.masks.push_back({where.getCondition(), seenWhenTrue, sentinel});
    return seenWhenTrue ? where.getX() : where.getY();
  }
  reason =
      llvm::formatv("its input comes from {0}, not from a MatMul", op->getName().getStringRef());
  return {};
}

std::optional<AttentionMatch> matchAttention(onnx::SoftmaxOp softmax, std::string &reason) {
  AttentionMatch match;
  match.output = findOutput(softmax.getOutput(), match.nanGuard, reason);
  if (!match.output)
    return std::nullopt;
  auto type = tensorType(softmax.getInput());
  if (static_cast<int64_t>(softmax.getAxis()) != type.getRank() - 1) {
    reason = llvm::formatv("softmax over axis {0}, not the last ({1})", softmax.getAxis(),
                           type.getRank() - 1);
    return std::nullopt;
  }
  Value value = softmax.getInput();
  while (true) {
    if (!value.hasOneUse()) {
      reason = llvm::formatv("scores are used {0} times",
                             std::distance(value.use_begin(), value.use_end()));
      return std::nullopt;
    }
    if (!leadsToMatMul(value)) {
      reason = "no MatMul gives its scores";
      return std::nullopt;
    }
    if (auto matmul = value.getDefiningOp<onnx::MatMulOp>()) {
      match.scores = matmul;
      break;
    }
    value = stepUp(value, match, reason);
    if (!value)
      return std::nullopt;
  }
  for (Value operand : {match.scores.getA(), match.scores.getB()})
    if (operand.getDefiningOp<kernel::WeightOp>()) {
      reason = "its scores come from a MatMul with a weight";
      return std::nullopt;
    }
  return match;
}

BiasValues biasValues(Value bias) {
  Operation *op = bias.getDefiningOp();
  if (!op)
    return BiasValues::Unknown;
  if (std::optional<double> number = scalarConstant(bias))
    return std::isfinite(*number) ? BiasValues::Finite : BiasValues::Unknown;
  if (auto where = dyn_cast<onnx::WhereOp>(op)) {
    bool finite = biasValues(where.getX()) == BiasValues::Finite &&
                  biasValues(where.getY()) == BiasValues::Finite;
    return finite ? BiasValues::Finite : BiasValues::Unknown;
  }
  if (isa<onnx::ReshapeOp, onnx::ExpandOp, onnx::TransposeOp, onnx::SliceOp, onnx::UnsqueezeOp,
          onnx::SqueezeOp, onnx::NegOp>(op))
    return biasValues(op->getOperand(0));
  if (auto cast = dyn_cast<onnx::CastOp>(op))
    return isa<IntegerType>(tensorType(cast.getInput()).getElementType())
               ? BiasValues::Finite
               : biasValues(cast.getInput());
  // (1 - m) * lowest is finite for the m of 0 and 1 that such masks are made of.
  if (isa<onnx::MulOp, onnx::SubOp, onnx::AddOp>(op)) {
    bool finite = biasValues(op->getOperand(0)) == BiasValues::Finite &&
                  biasValues(op->getOperand(1)) == BiasValues::Finite;
    return finite ? BiasValues::Finite : BiasValues::Unknown;
  }
  return BiasValues::Unknown;
}

std::optional<MaskTerm> booleanMask(Value bias) {
  while (auto expand = bias.getDefiningOp<onnx::ExpandOp>())
    bias = expand.getInput();
  auto where = bias.getDefiningOp<onnx::WhereOp>();
  if (!where)
    return std::nullopt;
  std::optional<double> x = scalarConstant(where.getX()), y = scalarConstant(where.getY());
  if (x && y && *x == 0 && *y == -HUGE_VAL)
    return MaskTerm{where.getCondition(), true, *y};
  if (x && y && *y == 0 && *x == -HUGE_VAL)
    return MaskTerm{where.getCondition(), false, *x};
  return std::nullopt;
}

} // namespace rapt::fuse
