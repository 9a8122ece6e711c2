//===- AttentionScores.h - What attention's scores and weights mean ------------*- C++ -*-===//
//
// The arithmetic of docs/semantics.md S1, S2, S4 and S6 for one query and one key, shared by the
// variants of attention, which differ in their loops only.
//
// No infinity exists inside, because fast-math may assume that there is none: an excluded key
// scores -FLT_MAX, and a finite bias is at least half of that, so that the two cannot be confused;
// what excludes a key is never added to what does so already.
// A row whose maximum is the score of an excluded key is empty; in any other row such a key weighs
// exactly 0.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONSCORES_H
#define RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONSCORES_H

#include "compiler/Kernels/halide/Translate.h"

namespace rapt::kernels::halide {

/// A query and a key: batch, query head, query, key; int32, all inside of the tensors.
struct ScorePlace {
  Halide::Expr b, h, row, key;
};

/// Whether something can exclude a key: a bias, a mask or a band.
bool excludesKeys(const AttentionStage &attention);

/// What a key adds to the score of every query of a head (f32): the bias and the mask that do not
/// depend on the query; 0 where there is neither.
Halide::Expr scoreOfKey(const Lowering &lowering, const AttentionStage &attention,
                        const ScorePlace &place);

/// The score (f32) of a query and a key with the product `product` and `ofKey`, which is scoreOfKey
/// with any further exclusion at -FLT_MAX. `at` is the key's number, which the band compares with
/// the query's; it differs from place.key behind the last key.
Halide::Expr scoreOf(const Lowering &lowering, const AttentionStage &attention,
                     const Halide::Expr &product, const Halide::Expr &ofKey,
                     const ScorePlace &place, const Halide::Expr &at);

/// Whether excluded keys differ in a row of nothing else (S2): EmptyRow's last three.
bool ranksHidden(const AttentionStage &attention);

/// What counts in place of the score of an excluded key then (f32): those with the greatest in the
/// row are averaged over. isEmptyRow holds for all, hasNoKey for that of a key that has no part.
Halide::Expr hiddenScore(const Lowering &lowering, const AttentionStage &attention,
                         const ScorePlace &place);
Halide::Expr hasNoKey(const Halide::Expr &largest);

/// e^(score - largest), 0 where that is far below the precision of a sum with 1.
Halide::Expr weightOf(const Halide::Expr &score, const Halide::Expr &largest);

/// What the largest score of a row and the sum of its weights begin with: its sink (f32), which is
/// -FLT_MAX where it excludes itself, and the weight of that, or -FLT_MAX and 0 without a sink.
Halide::Expr firstScore(const Lowering &lowering, const AttentionStage &attention,
                        const ScorePlace &place);
Halide::Expr firstWeight(const Lowering &lowering, const AttentionStage &attention,
                         const ScorePlace &place, const Halide::Expr &largest);

/// Whether a row whose largest score is `largest` has no key left.
Halide::Expr isEmptyRow(const Halide::Expr &largest);

/// S2's Zero and NaN: `value`, or what a row with the largest score `largest`, or hiddenScore,
/// gives when it is empty. Averages are the variants' own.
Halide::Expr emptyRowValue(const AttentionStage &attention, const Halide::Expr &largest,
                           const Halide::Expr &value);

/// Packs keys in pieces of 4 numbers of `lanes` keys, inside of loop `at` of `packed`: `rows` reads
/// them as they lie, `columns` is their transpose in registers.
void transposeInRegisters(Halide::Func packed, const Halide::Var &at, Halide::Func rows,
                          Halide::Func columns, const Halide::Var &d, const Halide::Var &key,
                          int lanes);

/// A diagonal of the scores (S4) as int32; the sum with a position stays in 32 bits.
Halide::Expr bandOffset(const Lowering &lowering, const ExprRef &offset, const ScorePlace &place);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONSCORES_H
