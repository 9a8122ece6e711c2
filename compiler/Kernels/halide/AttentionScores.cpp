//===- AttentionScores.cpp - What attention's scores and weights mean ----------*- C++ -*-===//
//
// One expression a rule; no Func and no loop is made here.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionScores.h"

#include "compiler/Kernels/halide/Math.h"

#include <cfloat>

namespace rapt::kernels::halide {

namespace H = Halide;

/// Scores from here down are those of excluded keys: between them and the lowest bias.
static constexpr float excludedScore = -2.5e38f;

/// Instead of -FLT_MAX where excluded keys differ: the keys that are averaged over first.
static constexpr float firstHidden = -2.6e38f, secondHidden = -3e38f;

/// A sum with the score of an excluded key is one again.
static H::Expr snap(const H::Expr &score) {
  return H::select(score <= excludedScore, -FLT_MAX, score);
}

static H::Expr translate(const Lowering &lowering, const ExprRef &expr, const ScorePlace &place) {
  return lowering.translate(expr, {place.b, place.h, place.row, place.key});
}

/// Whether `value`, as it lies in memory, is -infinity: by its bits, which fast-math leaves alone.
/// A narrow type is looked at before it is widened, because widening is arithmetic.
static H::Expr isMinusInfinity(const H::Expr &value) {
  if (value.type().bits() == 16)
    return H::reinterpret<uint16_t>(value) ==
           H::cast<uint16_t>(value.type().is_bfloat() ? 0xff80 : 0xfc00);
  return H::reinterpret<uint32_t>(value) == H::Expr(0xff800000u);
}

/// The bias without infinities; constants in a computed bias were made finite when they were
/// translated.
static H::Expr biasOf(const Lowering &lowering, const ExprRef &expr, const ScorePlace &place) {
  H::Expr bias = translate(lowering, expr, place);
  const ExprRef &source = expr->kind == Expr::Kind::Cast ? expr->operands[0] : expr;
  if (source->kind != Expr::Kind::Load || !isFloat(source->type) ||
      source->type == ScalarType::F64 || !lowering.isInput(static_cast<int>(source->integer)))
    return snap(bias);
  H::Expr isInfinite = isMinusInfinity(translate(lowering, source, place));
  return H::select(isInfinite, -FLT_MAX, H::max(bias, Lowering::lowestFinite));
}

bool excludesKeys(const AttentionStage &attention) {
  return attention.bias || attention.mask || attention.causalOffset || attention.windowOffset;
}

H::Expr bandOffset(const Lowering &lowering, const ExprRef &offset, const ScorePlace &place) {
  H::Expr most = 1 << 29;
  return H::clamp(H::cast<int>(translate(lowering, offset, place)), -most, most);
}

H::Expr scoreOfKey(const Lowering &lowering, const AttentionStage &attention,
                   const ScorePlace &place) {
  ScorePlace ofKey = {place.b, place.h, 0, place.key};
  H::Expr sum = 0.0f;
  if (attention.bias && !usesLoop(attention.bias, 2))
    sum = biasOf(lowering, attention.bias, ofKey);
  if (attention.mask && !usesLoop(attention.mask, 2))
    sum = H::select(translate(lowering, attention.mask, ofKey), sum, -FLT_MAX);
  return sum;
}

H::Expr scoreOf(const Lowering &lowering, const AttentionStage &attention, const H::Expr &product,
                const H::Expr &ofKey, const ScorePlace &place, const H::Expr &at) {
  // Scaling the sum rounds once; scaling the query first would round every product. It is free
  // either way: with the bias it is one fused operation.
  H::Expr score = product * static_cast<float>(attention.scale);
  if (attention.softcap > 0) {
    float cap = static_cast<float>(attention.softcap);
    score = tanhAny(score * (1.0f / cap)) * cap;
  }
  if (attention.bias && usesLoop(attention.bias, 2)) {
    // Both may exclude the key, and the sum would be infinite. Beside this bias `ofKey` has none:
    // it is 0 or excludes.
    score = snap(score + biasOf(lowering, attention.bias, place));
    score = H::select(ofKey <= excludedScore, -FLT_MAX, score);
  } else {
    score += ofKey;
    if (excludesKeys(attention))
      score = snap(score);
  }
  auto exclude = [&](const H::Expr &isSeen) { score = H::select(isSeen, score, -FLT_MAX); };
  if (attention.mask && usesLoop(attention.mask, 2))
    exclude(translate(lowering, attention.mask, place));
  if (attention.causalOffset)
    exclude(at <= place.row + bandOffset(lowering, *attention.causalOffset, place));
  if (attention.windowOffset)
    exclude(at >= place.row + bandOffset(lowering, *attention.windowOffset, place));
  return score;
}

bool ranksHidden(const AttentionStage &attention) {
  using EmptyRow = AttentionStage::EmptyRow;
  return attention.emptyRow == EmptyRow::MaskMean || attention.emptyRow == EmptyRow::EitherMean ||
         attention.emptyRow == EmptyRow::CausalMean;
}

H::Expr hiddenScore(const Lowering &lowering, const AttentionStage &attention,
                    const ScorePlace &place) {
  using EmptyRow = AttentionStage::EmptyRow;
  H::Expr inMask = H::Internal::const_true();
  if (attention.mask)
    inMask = H::cast<bool>(translate(lowering, attention.mask, place));
  if (attention.emptyRow == EmptyRow::MaskMean)
    return H::select(inMask, firstHidden, secondHidden);
  H::Expr inCausal = H::Internal::const_true(), inWindow = H::Internal::const_true();
  if (attention.causalOffset)
    inCausal = place.key <= place.row + bandOffset(lowering, *attention.causalOffset, place);
  if (attention.windowOffset)
    inWindow = place.key >= place.row + bandOffset(lowering, *attention.windowOffset, place);
  H::Expr averaged = attention.emptyRow == EmptyRow::EitherMean ? inMask || (inCausal && inWindow)
                                                                : inCausal && (inMask || inWindow);
  return H::select(averaged, firstHidden, -FLT_MAX);
}

H::Expr hasNoKey(const H::Expr &largest) { return largest < -3.2e38f; }

H::Expr weightOf(const H::Expr &score, const H::Expr &largest) {
  H::Expr below = score - largest;
  return H::select(below < -87.0f, 0.0f, expNonPositive(below));
}

H::Expr isEmptyRow(const H::Expr &largest) { return largest <= excludedScore; }

H::Expr firstScore(const Lowering &lowering, const AttentionStage &attention,
                   const ScorePlace &place) {
  return attention.sink ? biasOf(lowering, attention.sink, place) : H::Expr(-FLT_MAX);
}

H::Expr firstWeight(const Lowering &lowering, const AttentionStage &attention,
                    const ScorePlace &place, const H::Expr &largest) {
  if (!attention.sink)
    return 0.0f;
  H::Expr sink = firstScore(lowering, attention, place);
  return H::select(isEmptyRow(sink), 0.0f, weightOf(sink, largest));
}

H::Expr emptyRowValue(const AttentionStage &attention, const H::Expr &largest,
                      const H::Expr &value) {
  using EmptyRow = AttentionStage::EmptyRow;
  if (!excludesKeys(attention) || attention.emptyRow == EmptyRow::Mean ||
      attention.emptyRow == EmptyRow::MaskMean)
    return value;
  if (attention.emptyRow == EmptyRow::Zero)
    return H::select(isEmptyRow(largest), 0.0f, value);
  H::Expr nan = H::cast<int32_t>(0x7fc00000); // as bits: fast-math knows none
  H::Expr isNan = ranksHidden(attention) ? hasNoKey(largest) : isEmptyRow(largest);
  return H::reinterpret<float>(H::select(isNan, nan, H::reinterpret<int32_t>(value)));
}

void transposeInRegisters(H::Func packed, const H::Var &at, H::Func rows, H::Func columns,
                          const H::Var &d, const H::Var &key, int lanes) {
  for (H::Func piece : {rows, columns})
    piece.compute_at(packed, at).bound_extent(d, 4).bound_extent(key, lanes);
  rows.vectorize(d).vectorize(key);
  columns.vectorize(key).vectorize(d);
}

} // namespace rapt::kernels::halide
