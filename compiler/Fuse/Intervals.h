//===- Intervals.h - What the terms beside the scores lie in ---------------------*- C++ -*-===//
//
// A finite mask (the lowest float) stays exact only beside terms that are known to be small, and
// two of them may add up to -inf. Whether they do is interval arithmetic: of constants, of the
// tables that biases are gathered from, of the casts, sums and products between them and the
// scores.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_INTERVALS_H
#define RAPT_COMPILER_FUSE_INTERVALS_H

#include "compiler/Fuse/AttentionMatch.h"

namespace rapt::fuse {

/// Less than half a unit in the last place of the lowest f32 over 16: beside such a sentinel,
/// numbers within this change nothing.
inline constexpr double kOrdinary = 1e29;

/// The least that the sum of `terms` can be, in the arithmetic of the graph and in its order; none
/// unless the sum is provably finite: two masks of the lowest float are -inf where both exclude a
/// key. Integers that the graph does not compute from constants count as 0 or 1, which is what
/// masks are made of.
std::optional<double> leastSum(llvm::ArrayRef<BiasTerm> terms);

/// The sum of `terms` provably lies within [-bound, bound].
bool sumIsWithin(llvm::ArrayRef<BiasTerm> terms, double bound);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_INTERVALS_H
