//===- AttentionKernel.h - The Funcs of one attention stage --------------------*- C++ -*-===//
//
// softmax(scale * q k^T + bias, masked) v (docs/semantics.md S1 to S5) without what lies before and
// after it: Attention.cpp puts it into a kernel.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONKERNEL_H
#define RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONKERNEL_H

#include "compiler/Kernels/halide/Recipes.h"

#include <functional>

namespace rapt::kernels::halide {

/// The Funcs of one attention stage. Queries are counted as (row in a block, block), keys as (key
/// in a panel, panel), so that what is known of a whole tile of scores can be said of its numbers.
/// Arguments are innermost first and end with h, b.
class AttentionKernel {
public:
  AttentionKernel(Lowering &lowering, const AttentionStage &attention, Recipe &recipe);

  /// Queries whose scores are in flight together.
  int blockQueries() const { return block; }
  /// Queries of one task, whole blocks.
  int taskQueries() const { return block * taskBlocks; }
  /// The result over d, i, h, b.
  Halide::Func define();
  /// Places everything into the loops of `out` over tasks and blocks.
  void schedule(Halide::Func out, Halide::Var task, Halide::Var blockLoop);

private:
  using Place = std::function<void(Halide::Func)>;

  Lowering &lowering;
  const AttentionStage &attention;
  Recipe &recipe;
  int lanes, rows, panel, block, taskBlocks, headDim, valueDim, valueTile, paddedValue;
  Halide::Expr queries, keys, panels;
  bool strip, packValues, canBeEmpty;
  bool skips; ///< tiles of excluded scores are left out
  bool tiled; ///< the mask says which, by `seenTiles`
  bool means; ///< the mean of all values is needed beside the sum over the tiles that are computed

  Halide::Var d{"d"}, r{"r"}, t{"t"}, c{"c"}, j{"j"}, h{"h"}, b{"b"}, ji{"ji"}, jo{"jo"}, di{"di"},
      dt{"dt"};
  Halide::RDom over{0, 1}; ///< the keys of a block as (in a panel, panel)
  Halide::RDom byPanel{0, 1}, byTaskPanel{0, 1},
      byTaskKey{0, 1}; ///< what is computed when tiles are skipped
  Halide::Func queryRows{"query_rows"}, keyPanels{"key_panels"}, valueRows{"value_rows"},
      keyBias{"key_bias"}, seenTiles{"seen_tiles"}, seenPanels{"seen_panels"};
  Halide::Func product{"product"}, scores{"scores"}, rowMax{"row_max"}, weights{"weights"},
      rowSum{"row_sum"}, emptyBlock{"empty_block"}, meanValue{"mean_value"};
  Halide::Func weighted{"weighted"}, result{"attended_rows"};

  Halide::Expr translate(const ExprRef &expr, const Halide::Expr &head, const Halide::Expr &row,
                         const Halide::Expr &last) const {
    return lowering.translate(expr, {b, head, row, last});
  }
  Halide::Expr valueAt(const Halide::Expr &key) const;
  Halide::Expr keyBiasAt() const;
  Halide::Expr scoreAt(const Halide::Expr &panelIndex) const;
  Halide::Expr offset(const ExprRef &expr) const;
  void restrict(Halide::RDom &domain, const Halide::Expr &panelIndex, const Halide::Expr &index,
                int blocks, const Halide::Func &seen) const;
  void defineTiles();
  void defineOperands();
  void defineSums();
  void addTerm(const Extent &count, int64_t bytes) { addScratch(recipe, {count}, bytes); }
  void reduce(Halide::Func func, const Place &place);
  void announceScratch();
  void scheduleOperands(const Place &perHead, const Place &perBlock);
  void scheduleTiles(const Place &perHead, const Place &perBlock);
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONKERNEL_H
