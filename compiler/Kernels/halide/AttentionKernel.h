//===- AttentionKernel.h - The Funcs of one attention stage --------------------*- C++ -*-===//
//
// softmax(scale * q k^T + bias, masked) v (docs/semantics.md S1 to S6) without what lies before and
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
  /// With `longKeys`, values are packed: their rows may be pages apart.
  AttentionKernel(Lowering &lowering, const AttentionStage &attention, bool longKeys,
                  Recipe &recipe);

  /// Queries whose scores are in flight together.
  int blockQueries() const { return block; }
  /// Blocks of one task.
  Halide::Expr blocksOfTask() const { return taskBlocks; }
  /// The result over d, i, h, b.
  Halide::Func define();
  /// Places everything into the loops of `out` over tasks and blocks.
  void schedule(Halide::Func out, Halide::Var task, Halide::Var blockLoop);

private:
  using Place = std::function<void(Halide::Func)>;
  /// Inner Funcs have room for whole tiles; Halide's own choice, shifting the last one, would reach
  /// below row 0 where there are fewer rows than a tile has.
  static constexpr Halide::TailStrategy roundUp = Halide::TailStrategy::RoundUp;

  Lowering &lowering;
  const AttentionStage &attention;
  Recipe &recipe;
  int lanes, panel, block, mostTaskBlocks, headDim, valueDim, paddedValue;
  int rows;       ///< of a register tile
  int tilePanels; ///< of a register tile of scores
  int valueTile;  ///< columns of a register tile of weighted sums
  Halide::Expr queries, keys, panels, taskBlocks;
  Halide::Expr fullPanels; ///< panels that are computed in whole; a last one may be half empty
  Halide::Expr pairs;      ///< of `tilePanels` panels, computed together; others are single
  bool strip, packValues, canBeEmpty;
  bool skipsTiles;  ///< tiles of excluded scores are left out
  bool hasTileList; ///< the mask says which, by `seenTiles`
  bool hasRest;     ///< a last panel may be short
  bool hasSingle;   ///< full panels may be left over when tiles take several
  bool hasHalf;     ///< a last panel may be half empty
  bool needsMean;   ///< of all values, beside the sum over the tiles that are computed
  bool needsHidden; ///< the mean of some values, for each row

  Halide::Var d{"d"}, r{"r"}, t{"t"}, c{"c"}, j{"j"}, h{"h"}, b{"b"}, ji{"ji"}, jo{"jo"}, di{"di"},
      dt{"dt"}, it{"it"}, ii{"ii"}, jp{"jp"};
  Halide::RDom over{0, 1};   ///< the keys of a block as (in a panel, panel)
  Halide::RDom rest{0, 1};   ///< the keys of a short panel
  Halide::RDom byTile{0, 1}; ///< panels as (in a tile, tile)
  Halide::RDom single{0, 1}; ///< the panels that are left over
  Halide::RDom half{0, 1};   ///< the keys of a last panel that is half empty
  Halide::RDom allSlots{0, 1}, byTaskPanel{0, 1},
      byTaskKey{0, 1}; ///< what is computed when tiles are skipped
  Halide::Func queryRows{"query_rows"}, keyRows{"key_rows"}, keyColumns{"key_columns"},
      keyPanels{"key_panels"}, valueRows{"value_rows"}, keyBias{"key_bias"};
  Halide::Func seenKeys{"seen_keys"}, seenTiles{"seen_tiles"}, seenBefore{"seen_before"},
      seenPanel{"seen_panel"}, seenPanels{"seen_panels"};
  Halide::Func product{"product"}, singleProduct{"single_product"}, halfProduct{"half_product"},
      scores{"scores"}, rowMax{"row_max"}, weights{"weights"}, rowSum{"row_sum"},
      emptyBlock{"empty_block"}, meanValue{"mean_value"}, hiddenMax{"hidden_max"},
      hiddenCount{"hidden_count"}, hiddenSum{"hidden_sum"};
  Halide::Func weighted{"weighted"}, result{"attended_rows"};

  Halide::Expr translate(const ExprRef &expr, const Halide::Expr &head, const Halide::Expr &row,
                         const Halide::Expr &last) const {
    return lowering.translate(expr, {b, head, row, last});
  }
  Halide::Expr valueAt(const Halide::Expr &key, const Halide::Expr &column) const;
  Halide::Expr keyBiasAt() const;
  Halide::Expr scoreAt(const Halide::Expr &product, const Halide::Expr &at,
                       const Halide::Expr &key) const;
  Halide::Expr offset(const ExprRef &expr) const;
  std::pair<Halide::Expr, Halide::Expr> band(const Halide::Expr &first,
                                             const Halide::Expr &count) const;
  Halide::Expr panelAt(const Halide::Expr &slot) const;
  Halide::Expr slotsBelow(const Halide::Expr &limit) const;
  void restrictTask(Halide::RDom &domain, const Halide::Expr &panelIndex) const;
  void defineTiles();
  void defineOperands();
  void defineProduct(Halide::Func product, const std::vector<Halide::Var> &args,
                     const Halide::Expr &panelIndex, const Halide::Expr &isThere);
  void defineScores();
  void defineSums();
  void defineEmptyBlock();
  void defineHidden();
  void addTerm(const Extent &count, int64_t bytes) {
    addScratchBytes(recipe, count * Extent{bytes, {}});
  }
  void reduce(Halide::Func func, const Place &place);
  void announceScratch();
  void scheduleOperands(const Place &perHead, const Place &perBlock);
  void scheduleProduct(Halide::Func product, int width, int stage,
                       const std::vector<Halide::VarOrRVar> &vars);
  void scheduleTiles(const Place &perHead);
  Halide::Expr indexOf(const ExprRef &load, const Halide::Expr &batch, const Halide::Expr &head,
                       const Halide::Expr &row, const Halide::Expr &last) const;
  void fetchAhead();
  void fetchRows(RowPrefetch &pass);
  void fetchBias(RowPrefetch &pass);
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONKERNEL_H
