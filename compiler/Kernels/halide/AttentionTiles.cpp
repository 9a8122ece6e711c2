//===- AttentionTiles.cpp - Which tiles of scores an attention stage computes --*- C++ -*-===//
//
// Where positions or a mask with rows exclude keys: the panels of keys that a block of queries, or
// a task, has to look at. Positions give the first and the last; a mask is read once, and gives a
// flag for each tile and from it a list for each block.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionKernel.h"

namespace rapt::kernels::halide {

namespace H = Halide;

/// The first panel that one of `count` queries from `first` on sees, and the one behind the last.
std::pair<H::Expr, H::Expr> AttentionKernel::band(const H::Expr &first,
                                                  const H::Expr &count) const {
  H::Expr begin = 0, end = panels;
  if (attention.windowOffset)
    begin = H::max(begin, (first + offset(*attention.windowOffset)) / panel);
  if (attention.causalOffset)
    end = H::min(end, (first + count - 1 + offset(*attention.causalOffset)) / panel + 1);
  return {begin, end};
}

/// Slots that block t fills with panels below `limit`, which are the first ones.
H::Expr AttentionKernel::slotsBelow(const H::Expr &limit) const {
  if (!skipsTiles)
    return limit;
  if (hasTileList)
    return seenBefore(limit, t, h, b);
  auto [begin, end] = band(t * block, block);
  return H::max(H::min(end, limit) - begin, 0);
}

/// The panel in a slot of the strip of scores.
H::Expr AttentionKernel::panelAt(const H::Expr &slot) const {
  if (!skipsTiles)
    return slot;
  H::Expr at =
      hasTileList ? H::Expr(seenPanel(slot, t, h, b)) : band(t * block, block).first + slot;
  return H::unsafe_promise_clamped(at, 0, panels - 1);
}

/// Leaves in `domain`, whose panels are `panelIndex`, those that a query of task c sees.
void AttentionKernel::restrictTask(H::RDom &domain, const H::Expr &panelIndex) const {
  auto [begin, end] = band(c * block * taskBlocks, block * taskBlocks);
  domain.where(panelIndex >= begin && panelIndex < end);
  if (hasTileList)
    domain.where(seenPanels(panelIndex, c, h, b) != 0);
}

/// Whether a block, and a task, has a query that sees a key of a panel; the panels of a block, in
/// order, without those that nobody sees.
void AttentionKernel::defineTiles() {
  H::RDom inBlock(0, keys, 0, block, "in_block"), inPanel(0, panel, "in_panel"),
      inTask(0, taskBlocks, "in_task"), all(0, panels, "all");
  H::Expr row = H::min(t * block + inBlock.y, queries - 1);
  auto [begin, end] = band(t * block, block);
  seenKeys(j, t, h, b) = H::cast<uint8_t>(0);
  seenKeys(inBlock.x, t, h, b) =
      seenKeys(inBlock.x, t, h, b) | H::cast<uint8_t>(translate(attention.mask, h, row, inBlock.x));
  seenTiles(jo, t, h, b) = H::cast<uint8_t>(0);
  seenTiles(jo, t, h, b) = H::max(seenTiles(jo, t, h, b), seenKeys(jo * panel + inPanel, t, h, b));
  H::Expr isSeen = seenTiles(all, t, h, b) != 0 && all >= begin && all < end;
  seenBefore(jo, t, h, b) = 0;
  seenBefore(all + 1, t, h, b) = seenBefore(all, t, h, b) + H::cast<int>(isSeen);
  // A panel that nobody sees leaves its slot to the next.
  seenPanel(jo, t, h, b) = H::undef<int>();
  seenPanel(H::clamp(seenBefore(all, t, h, b), 0, panels - 1), t, h, b) = all;
  H::Expr blockInTask = H::min(c * taskBlocks + inTask, (queries - 1) / block);
  seenPanels(jo, c, h, b) = H::cast<uint8_t>(0);
  seenPanels(jo, c, h, b) = seenPanels(jo, c, h, b) | seenTiles(jo, blockInTask, h, b);
}

/// Finds the seen tiles of a task before anything of it is packed.
void AttentionKernel::scheduleTiles(const Place &perHead) {
  perHead(seenTiles);
  perHead(seenBefore);
  perHead(seenPanel);
  seenKeys.compute_at(seenTiles, t).vectorize(j, panel, roundUp);
  seenKeys.update().vectorize(seenKeys.rvars()[0], panel, H::TailStrategy::GuardWithIf);
  seenTiles.update().atomic().vectorize(seenTiles.rvars()[0]);
  if (strip)
    perHead(seenPanels);
}

} // namespace rapt::kernels::halide
