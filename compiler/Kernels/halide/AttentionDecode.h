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

  /// Query heads that a task of the output computes.
  int taskHeads() const { return chunkBlocks > 0 ? 1 : group; }
  /// The result over d, i, h, b.
  Halide::Func define();
  /// Places everything into loop `task` of `out`, in which batch and the heads of a task are fixed.
  void schedule(Halide::Func out, Halide::Var task);

private:
  Lowering &lowering;
  const AttentionStage &attention;
  Recipe &recipe;
  int group, block, headLanes, valueLanes, valueTile, headDim, valueDim;
  int tileRows;       ///< query heads of a register tile; 0: few share a kv head, and it has none
  int chunkBlocks;    ///< blocks of keys of a chunk; 0: keys are not split
  bool rowsOfHeads;   ///< a key's heads lie side by side, and a task reads all of them
  int valueBlock;     ///< keys whose values are summed in registers
  int partialColumns; ///< of `parts`: values, maximum, sum, padding
  Halide::Expr queries, keys, blocks;
  bool stagesQueries, stagesKeys, stagesValues; ///< operands that are computed are so once

  Halide::Var u{"u"}, d{"d"}, e{"e"}, ji{"ji"}, jo{"jo"}, m{"m"}, i{"i"}, c{"c"}, g{"g"}, h{"h"},
      b{"b"};
  Halide::RDom scored{0, 1}; ///< blocks of keys whose scores are computed
  Halide::Func queryRows{"query_rows"}, keyRows{"key_rows"}, keyTile{"key_tile"},
      keyColumns{"key_columns"}, valueRows{"value_rows"};
  Halide::Func keyDot{"key_dot"}, partial{"partial"}, product{"product"}, scores{"scores"},
      rowMax{"row_max"}, weights{"weights"}, rowSum{"row_sum"}, blockSum{"block_sum"},
      tileSum{"tile_sum"}, weighted{"weighted"}, result{"attended_rows"};
  Halide::Func parts{"parts"}, largest{"largest"}, shares{"shares"}, total{"total"}, sum{"sum"};

  Halide::Expr clamped(const Halide::Expr &key) const;
  Halide::Expr headAt() const;
  Halide::RDom blocksOfChunk(int inner, int size, const std::string &name) const;
  Halide::Expr keyIn(const Halide::Expr &jo, const Halide::Expr &key, int size) const;
  void defineProducts();
  void defineScores();
  void defineSums();
  void defineParts();
  void reduce(Halide::Func func, Halide::Func out, Halide::Var task);
  void announceScratch();
  void scheduleProducts(Halide::Func out, Halide::Var task);
  void scheduleSums(Halide::Func out, Halide::Var task);
  void scheduleParts(Halide::Func out, Halide::Var outTask);
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONDECODE_H
