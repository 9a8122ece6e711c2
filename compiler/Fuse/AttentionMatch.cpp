//===- AttentionMatch.cpp - One attention site in onnx ---------------------------------===//
//
// In:  an onnx.Softmax in simplified onnx. Out: the parts of the attention around it, or the reason
//      why there is none. Changes nothing. Matching starts at the second MatMul: down from the
//      softmax to it, then up through scalars, biases and masks to the first.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/AttentionMatch.h"

#include "compiler/Fuse/AttentionSink.h"
#include "compiler/Fuse/Intervals.h"
#include "dialects/Kernel/Kernel.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

/// Sentinels at or below this take a key's weight to exactly zero beside any real score.
static constexpr double kSentinel = -1e9;

/// Sentinels at or below this do so beside scores of the size that a model has: OpenAI-GPT's. They
/// are taken for such where they exclude what lies beside a band of keys.
static constexpr double kWeakSentinel = -1e4;

/// What is left of one where the scores are scaled after they were set to it.
static constexpr double kScaledSentinel = -1e7;

/// The same of the lowest f16 over 16.
static constexpr double kScaledHalf = -4e3;

static bool isSentinel(Value value) {
  std::optional<double> number = scalarConstant(value);
  return number && *number <= kWeakSentinel;
}

static int64_t countUses(Value value) { return std::distance(value.use_begin(), value.use_end()); }

bool isFloatCast(Operation *op) {
  auto cast = dyn_cast_or_null<onnx::CastOp>(op);
  return cast && isa<FloatType>(tensorType(cast.getInput()).getElementType()) &&
         isa<FloatType>(tensorType(cast.getOutput()).getElementType());
}

double greatestOf(FloatType type) {
  return APFloat::getLargest(type.getFloatSemantics()).convertToDouble();
}

bool isNarrowingCast(Operation *op) {
  if (!isFloatCast(op))
    return false;
  auto typeOf = [](Value value) { return cast<FloatType>(tensorType(value).getElementType()); };
  return greatestOf(typeOf(op->getResult(0))) < greatestOf(typeOf(op->getOperand(0)));
}

/// The result of a Where around `probabilities` that gives 0 in rows without a key; null if none.
static Value findGuard(Value probabilities, AttentionMatch &match) {
  onnx::WhereOp guard;
  for (Operation *user : probabilities.getUsers()) {
    if (auto isNaN = dyn_cast<onnx::IsNaNOp>(user); isNaN && isNaN.getOutput().hasOneUse())
      guard = dyn_cast<onnx::WhereOp>(*isNaN.getOutput().user_begin());
    else if (auto where = dyn_cast<onnx::WhereOp>(user); where && !guard)
      guard = where;
  }
  if (guard && guard.getX() == probabilities && isScalar(guard.getY(), 0.0) &&
      countUses(probabilities) == 1) {
    match.zeroed = MaskTerm{guard.getCondition(), true};
    return guard.getOutput();
  }
  if (!guard || guard.getY() != probabilities || !isScalar(guard.getX(), 0.0))
    return {};
  Operation *condition = guard.getCondition().getDefiningOp();
  if (isa_and_nonnull<onnx::IsNaNOp>(condition) && condition->getOperand(0) == probabilities) {
    match.nanGuard = true;
    return countUses(probabilities) == 2 ? guard.getOutput() : Value();
  }
  // Reshapes of the maximum only move dims of size one, or there would be no broadcast.
  auto equal = dyn_cast_or_null<onnx::EqualOp>(condition);
  if (countUses(probabilities) != 1)
    return {};
  int constant = equal && scalarConstant(equal.getA()) ? 0 : 1;
  auto maximum =
      equal ? equal->getOperand(1 - constant).getDefiningOp<onnx::ReduceMaxOp>() : nullptr;
  if (!maximum) {
    match.zeroed = MaskTerm{guard.getCondition(), false};
    return guard.getOutput();
  }
  if (scalarConstant(equal->getOperand(constant)) != -HUGE_VAL || !maximum.getKeepdims())
    return {};
  int64_t rank = tensorType(maximum.getData()).getRank();
  if (!llvm::equal(maximum.getAxes(), ArrayRef<int64_t>{rank - 1}))
    return {};
  // A mask that hides nothing has a row without a key nowhere.
  std::optional<double> everywhere = scalarConstant(onnx::withoutExpand(maximum.getData()));
  if (!everywhere || !std::isfinite(*everywhere))
    match.rowGuard = maximum.getData();
  return guard.getOutput();
}

/// The MatMul of the probabilities, past casts and a guard.
static onnx::MatMulOp findOutput(Value probabilities, AttentionMatch &match, std::string &reason) {
  if (probabilities.hasOneUse() && isFloatCast(*probabilities.user_begin()))
    probabilities = probabilities.user_begin()->getResult(0);
  if (Value ofKeys = weightsOfKeys(probabilities, match))
    probabilities = ofKeys;
  if (probabilities.hasOneUse() && isFloatCast(*probabilities.user_begin()))
    probabilities = probabilities.user_begin()->getResult(0);
  if (Value guarded = findGuard(probabilities, match))
    probabilities = guarded;
  if (probabilities.hasOneUse() && isFloatCast(*probabilities.user_begin()))
    probabilities = probabilities.user_begin()->getResult(0);
  int64_t uses = countUses(probabilities);
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

/// x of Max(x, lowest float), which turns the -inf of two masks of the lowest float into one.
static Value keptAbove(Operation *op) {
  auto maximum = dyn_cast<onnx::MaxOp>(op);
  if (!maximum || op->getNumOperands() != 2)
    return {};
  for (int i : {0, 1})
    if (auto least = scalarConstant(op->getOperand(1 - i)); least && *least <= onnx::kLowest)
      if (op->getOperand(i).getType() == op->getResult(0).getType())
        return op->getOperand(i);
  return {};
}

bool leadsToMatMul(Value value, int depth) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > 8)
    return false;
  if (isa<onnx::MatMulOp>(op))
    return true;
  if (isa<onnx::TanhOp, onnx::SubOp>(op) || isFloatCast(op))
    return leadsToMatMul(op->getOperand(0), depth + 1);
  if (isa<onnx::AddOp, onnx::MulOp, onnx::DivOp>(op))
    return leadsToMatMul(op->getOperand(0), depth + 1) ||
           leadsToMatMul(op->getOperand(1), depth + 1);
  if (Value kept = keptAbove(op))
    return leadsToMatMul(kept, depth + 1);
  if (auto where = dyn_cast<onnx::WhereOp>(op))
    return leadsToMatMul(where.getX(), depth + 1) || leadsToMatMul(where.getY(), depth + 1);
  return false;
}

/// The operand of a Mul that has one number for all keys of a row; null if it has none.
static Value rowScaleOf(Operation *op) {
  if (!isa<onnx::MulOp>(op))
    return {};
  int scores = leadsToMatMul(op->getOperand(0)) ? 0 : 1;
  Value scale = op->getOperand(1 - scores);
  ArrayRef<int64_t> dims = tensorType(scale).getShape();
  return dims.empty() || dims.back() == 1 ? scale : Value();
}

Value withoutMaximum(Value value) {
  auto difference = value.getDefiningOp<onnx::SubOp>();
  if (!difference || countUses(difference.getA()) != 2)
    return {};
  Value scores = difference.getA(), greatest = difference.getB();
  ArrayRef<int64_t> dims = tensorType(greatest).getShape();
  int64_t rank = tensorType(scores).getRank();
  if (auto column = greatest.getDefiningOp<onnx::ReshapeOp>(); column && column->hasOneUse())
    greatest = column.getData();
  auto maximum = greatest.getDefiningOp<onnx::ReduceMaxOp>();
  bool isMaximum = maximum && maximum->hasOneUse() && maximum.getData() == scores &&
                   llvm::equal(maximum.getAxes(), ArrayRef<int64_t>{rank - 1}) &&
                   static_cast<int64_t>(dims.size()) == rank && dims.back() == 1;
  return isMaximum ? scores : Value();
}

bool isSoftmaxOfLayer(onnx::SoftmaxOp softmax) {
  if (llvm::any_of(softmax.getOutput().getUsers(),
                   [](Operation *user) { return isa<onnx::MatMulOp>(user); }))
    return false;
  Operation *op = softmax.getInput().getDefiningOp();
  while (op && isa<onnx::AddOp, onnx::CastOp, onnx::ReshapeOp, onnx::TransposeOp>(op)) {
    Operation *left = op->getOperand(0).getDefiningOp();
    bool bias = isa<onnx::AddOp>(op) && isa_and_nonnull<onnx::ConstantOp, kernel::WeightOp>(left);
    op = bias ? op->getOperand(1).getDefiningOp() : left;
  }
  auto layer = dyn_cast_or_null<onnx::MatMulOp>(op);
  return layer && isa_and_nonnull<onnx::ConstantOp, kernel::WeightOp>(layer.getB().getDefiningOp());
}

/// The scores that a mask sets to a sentinel elsewhere. Null with a reason when it is no such mask.
static Value belowMask(onnx::WhereOp where, AttentionMatch &match, std::string &reason) {
  auto fail = [&](const char *text) {
    reason = text;
    return Value();
  };
  bool seenWhenTrue = isSentinel(where.getY());
  if (!seenWhenTrue && !isSentinel(where.getX()))
    return fail("masked scores are not set to -inf or to a constant of at most -1e4");
  Value scores = seenWhenTrue ? where.getX() : where.getY();
  if (!match.addedMasks.empty())
    return fail("masks below a bias set the scores to a sentinel more than once");
  auto element = cast<FloatType>(tensorType(where.getOutput()).getElementType());
  double stored = *scalarConstant(seenWhenTrue ? where.getY() : where.getX());
  // What the sentinel is by the time it reaches the softmax, in the arithmetic of the graph.
  double sentinel = stored * match.factor;
  if (element.isF32())
    sentinel = static_cast<float>(sentinel);
  else if (std::isfinite(stored) && std::abs(sentinel) > greatestOf(element))
    return fail("a finite sentinel is scaled beyond its element type");
  if (match.narrowed && sentinel / match.factorBehind < -greatestOf(match.narrowed))
    sentinel = -HUGE_VAL;
  MaskTerm mask{where.getCondition(), seenWhenTrue, sentinel, element};
  // Nothing is lower than the lowest f16, which is far from scores of ordinary size too.
  bool isLow = stored <= kSentinel || onnx::isLowest(stored, element);
  bool belowBias = !std::isinf(sentinel) && !match.biases.empty();
  // The lowest float plus a score of ordinary size is the lowest float.
  if (belowBias && match.factor == 1 && sentinel <= onnx::kLowest &&
      (element.isF32() || element.isBF16())) {
    match.addedMasks.push_back(mask);
    return scores;
  }
  if (match.weakMask)
    return fail("masks set the scores to different sentinels");
  if (belowBias || !isLow) {
    if (match.factor != 1 || !match.masks.empty() || match.narrowed)
      return fail(belowBias ? "a bias is added after scores were set to a finite sentinel"
                            : "masks set the scores to different sentinels");
    match.weakMask = mask;
    return scores;
  }
  if (sentinel > (element.isF16() ? kScaledHalf : kScaledSentinel))
    return fail(element.isF16() ? "masked scores of f16 are scaled to more than -4e3"
                                : "masked scores are scaled to more than -1e7");
  // Where every key is excluded, the keys with the greatest sentinel share the weight.
  if (!match.masks.empty() && match.masks.front().sentinel != sentinel)
    return fail("masks set the scores to different sentinels");
  match.masks.push_back(mask);
  return scores;
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
    if (Value scale = number || match.rowScale ? Value() : rowScaleOf(op)) {
      match.rowScale = scale;
      return op->getOperand(op->getOperand(0) == scale ? 1 : 0);
    }
    if (!number || !std::isfinite(*number) || *number == 0) {
      reason = "scale is not a constant";
      return {};
    }
    match.factor = isa<onnx::MulOp>(op) ? match.factor * *number : match.factor / *number;
    return next;
  }
  if (isNarrowingCast(op)) {
    if (match.narrowed) {
      reason = "its scores are cast to a narrower type twice";
      return {};
    }
    match.narrowed = cast<FloatType>(tensorType(value).getElementType());
    match.factorBehind = match.factor;
  }
  if (isFloatCast(op))
    return op->getOperand(0);
  if (match.rowScale) {
    reason = "a scale that is no constant comes after more than the product";
    return {};
  }
  if (isa<onnx::TanhOp>(op)) {
    if (match.softcap != 0 || !(match.factor > 0)) {
      reason = "tanh of its scores is no softcap";
      return {};
    }
    match.softcap = match.factor; // the bound; what follows is divided by it
    return op->getOperand(0);
  }
  if (match.softcap != 0 && isa<onnx::AddOp, onnx::SubOp, onnx::WhereOp>(op)) {
    reason = "a bias or mask comes before the softcap";
    return {};
  }
  if (match.weakMask && isa<onnx::AddOp, onnx::SubOp>(op)) {
    reason = "a bias comes before scores are set to a finite sentinel that is not the lowest";
    return {};
  }
  // The sum with the lowest float becomes -infinity, which nothing knows of the bias.
  if (match.narrowed && isa<onnx::AddOp, onnx::SubOp, onnx::MaxOp>(op)) {
    reason = "a bias is added before scores are cast to a narrower type";
    return {};
  }
  if (isa<onnx::AddOp, onnx::SubOp>(op)) { // XLNet and Funnel take masks away from the scores
    bool isSum = isa<onnx::AddOp>(op);
    int scores = !isSum || leadsToMatMul(op->getOperand(0)) ? 0 : 1;
    BiasTerm bias{op->getOperand(1 - scores), isSum ? match.factor : -match.factor};
    if (!match.addedMasks.empty() && !sumIsWithin(bias, kOrdinary)) {
      reason = "a bias that may be large comes before scores are set to a finite sentinel";
      return {};
    }
    match.biases.push_back(bias);
    return op->getOperand(scores);
  }
  if (auto where = dyn_cast<onnx::WhereOp>(op))
    return belowMask(where, match, reason);
  if (Value kept = keptAbove(op)) {
    if (match.factor != 1 || match.softcap != 0 || !match.masks.empty() || !match.biases.empty()) {
      reason = "scores are kept above a number before they are masked or scaled";
      return {};
    }
    match.keptFinite = true;
    return kept;
  }
  reason =
      llvm::formatv("its input comes from {0}, not from a MatMul", op->getName().getStringRef());
  return {};
}

std::optional<AttentionMatch> matchAttention(onnx::SoftmaxOp softmax, std::string &reason) {
  AttentionMatch match;
  match.output = findOutput(softmax.getOutput(), match, reason);
  if (!match.output)
    return std::nullopt;
  auto type = tensorType(softmax.getInput());
  if (static_cast<int64_t>(softmax.getAxis()) != type.getRank() - 1) {
    reason = llvm::formatv("softmax over axis {0}, not the last ({1})", softmax.getAxis(),
                           type.getRank() - 1);
    return std::nullopt;
  }
  Value value = scoresBesideSink(softmax.getInput(), match), shifted;
  if (!match.sink != !match.keys) {
    reason = match.sink ? "its scores are a concatenation" : "a part of its result is used";
    return std::nullopt;
  }
  while (true) {
    if (!value.hasOneUse() && value != shifted) {
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
    // A softmax does not change with what is added to all of a row. A tanh does, and so does the
    // finite sentinel of a mask, which may be a bias. Beside a sink it stays, as a bias.
    shifted = withoutMaximum(value);
    bool moves = match.softcap != 0 || !match.masks.empty() || !match.biases.empty() ||
                 !match.addedMasks.empty() || match.weakMask;
    if (shifted && moves) {
      reason = "the greatest score of a row is taken away before scores are final";
      return std::nullopt;
    }
    value = shifted && !match.sink ? shifted : stepUp(value, match, reason);
    if (!value)
      return std::nullopt;
  }
  // Where nothing is -inf, the maximum with the lowest float changes nothing.
  auto isInfinite = [](const MaskTerm &mask) { return std::isinf(mask.sentinel); };
  if (match.keptFinite && (llvm::any_of(match.masks, isInfinite) || !leastSum(match.biases) ||
                           (!match.addedMasks.empty() && !sumIsWithin(match.biases, kOrdinary)))) {
    reason = "scores are kept above a number that masks may be below";
    return std::nullopt;
  }
  // The guard asks for keys, as attn.sdpa does, if it looks at what is added to the scores.
  if (Value guard = match.rowGuard) {
    bool looksAtBias = match.masks.empty() && match.biases.size() == 1 &&
                       match.biases.front().value == guard && match.biases.front().factor == 1;
    if (!looksAtBias) {
      reason = "rows are zeroed by something else than what is added to the scores";
      return std::nullopt;
    }
  }
  // Beside it a key that is left has weight exactly 0 only if a bias cannot exclude it as well.
  if (match.zeroed) {
    bool same = match.masks.size() == 1 && match.addedMasks.empty() &&
                match.masks.front().condition == match.zeroed->condition &&
                match.masks.front().seenWhenTrue == match.zeroed->seenWhenTrue;
    if (!same || (std::isinf(match.masks.front().sentinel) && !match.biases.empty())) {
      reason = "weights are zeroed by something else than the mask of its scores";
      return std::nullopt;
    }
  }
  for (Value operand : {match.scores.getA(), match.scores.getB()})
    if (operand.getDefiningOp<kernel::WeightOp>()) {
      reason = "its scores come from a MatMul with a weight";
      return std::nullopt;
    }
  return match;
}

std::optional<MaskTerm> booleanMask(Value bias) {
  auto where = onnx::withoutExpand(bias).getDefiningOp<onnx::WhereOp>();
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
