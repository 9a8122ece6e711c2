//===- AttentionDecode.h - Attention for a few queries -------------------------*- C++ -*-===//
//
// The variant for decoder steps: what it computes is docs/semantics.md S1 to S6, as
// AttentionKernel.h; Attention.cpp puts it into a kernel.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONDECODE_H
#define RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONDECODE_H

#include "compiler/Kernels/halide/AttentionScores.h"
#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

/// The Funcs of one attention stage with few queries. Keys are counted as (in a block, block),
/// query heads as (in a group, kv head); arguments are innermost first and end with g, b.
class AttentionDecode {
public:
  AttentionDecode(Lowering &lowering, const AttentionStage &attention, Recipe &recipe);

  /// Query heads that read one kv head.
  int groupHeads() const { return group; }
  /// The result over d, i, h, b.
  Halide::Func define();
  /// Places everything into loop `task` of `out`, in which batch and kv head are fixed.
  void schedule(Halide::Func out, Halide::Var task);

private:
  Lowering &lowering;
  const AttentionStage &attention;
  Recipe &recipe;
  int group, block, headLanes, valueLanes, valueTile;
  Halide::Expr queries, keys, blocks;
  bool stagesQueries, stagesKeys, stagesValues; ///< operands that are computed are so once

  Halide::Var u{"u"}, d{"d"}, e{"e"}, ji{"ji"}, jo{"jo"}, m{"m"}, i{"i"}, g{"g"}, b{"b"};
  Halide::Func queryRows{"query_rows"}, keyRows{"key_rows"}, valueRows{"value_rows"};
  Halide::Func keyDot{"key_dot"}, partial{"partial"}, product{"product"}, scores{"scores"},
      rowMax{"row_max"}, weights{"weights"}, rowSum{"row_sum"}, blockSum{"block_sum"},
      weighted{"weighted"}, result{"attended_rows"};

  Halide::Expr keyAt(const Halide::Expr &at) const;
  void defineScores();
  void defineSums();
  void reduce(Halide::Func func, Halide::Func out, Halide::Var task);
  void announceScratch();
  void scheduleSums(Halide::Func out, Halide::Var task);
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONDECODE_H
