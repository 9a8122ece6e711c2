//===- AttentionKernel.cpp - The Funcs of one attention stage ------------------*- C++ -*-===//
//
// ALGORITHM  two steps, as in the textbook: all scores of a query (AttentionScores.h), their
//            maximum, exponentials, sum, and the weighted sum of values.
// SCHEDULE   AttentionSchedule.cpp, with the sizes of tiles, blocks and tasks that are chosen here.
// TILES      Where positions or a mask with rows exclude keys, a block of queries visits only the
//            panels of keys that one of its queries sees. Positions give the first and the last
//            panel, the mask a list; either way they fill the first slots of the strip, and
//            everything else is a loop over these slots.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionKernel.h"

#include "compiler/Kernels/halide/AttentionScores.h"

#include <cfloat>

namespace rapt::kernels::halide {

namespace H = Halide;

/// Queries of one task. Each task packs K^T and V, which weighs less the more queries share them;
/// where tasks are few, threads want more of them.
static constexpr int leastTaskQueries = 256, mostTaskQueries = 1024, wantedTasks = 16;

namespace {
struct Tiles {
  int rows = 0, valueVectors = 1;
  double cost = 0;
};
} // namespace

/// What a multiply-add of a register tile costs beside the others: itself and its share of loads,
/// for which the processor has as many ports; less than eight sums wait for one another.
static double tileCost(int rows, int vectors) {
  return (1 + 1.0 / rows + 1.0 / vectors) * std::max(1.0, 8.0 / (rows * vectors));
}

/// The height of all register tiles, and the width of those of the weighted sums, of which there
/// are `valueVectors`. Registers hold a tile, a row of its right operand and a broadcast. Where
/// lengths are known, few rows are padding, and the keys behind the tiles of `scoreVectors` count.
/// Where each query has scores of its own, blocks that end where a panel of keys ends are better:
/// others see half a panel more, of some hundred keys.
static Tiles chooseTiles(const AttentionStage &attention, int scoreVectors, int valueVectors,
                         int lanes, int registers, bool differByQuery) {
  Tiles best;
  for (int rows : {8, 6, 5, 4}) {
    auto fits = [&](int vectors) { return (rows + 1) * vectors + 1 <= registers; };
    if (!fits(scoreVectors))
      continue;
    Tiles tiles = {rows};
    for (int vectors = 2; fits(vectors); ++vectors)
      if (valueVectors % vectors == 0)
        tiles.valueVectors = vectors;
    double scoreCost = tileCost(rows, scoreVectors);
    if (attention.keys.isStatic()) {
      int64_t keyVectors = (attention.keys.factor + lanes - 1) / lanes, left = keyVectors;
      double sum = 0;
      for (int vectors : {scoreVectors, 2, 1}) {
        sum += double(left / vectors * vectors) * tileCost(rows, vectors);
        left %= vectors;
      }
      scoreCost = sum / double(keyVectors);
    }
    tiles.cost = scoreCost + tileCost(rows, tiles.valueVectors);
    int panel = 2 * lanes;
    if (differByQuery && panel % rows != 0)
      tiles.cost *= 1 + panel / 512.0;
    if (attention.queries.isStatic())
      tiles.cost *= double((attention.queries.factor + rows - 1) / rows * rows);
    if (best.rows == 0 || tiles.cost < best.cost)
      best = tiles;
  }
  return best;
}

AttentionKernel::AttentionKernel(Lowering &lowering, const AttentionStage &attention, bool longKeys,
                                 Recipe &recipe)
    : lowering(lowering), attention(attention), recipe(recipe) {
  lanes = lowering.lanes();
  int registers = lowering.cpu.vectorRegisters;
  panel = 2 * lanes;
  bool isOnePanel = attention.keys.isStatic() && attention.keys.factor <= panel + lanes;
  tilePanels = registers >= 32 && !isOnePanel ? 2 : 1;
  headDim = static_cast<int>(attention.headDim);
  valueDim = static_cast<int>(attention.valueDim);
  int vectors = (valueDim + lanes - 1) / lanes;
  paddedValue = vectors * lanes;
  hasTileList = attention.mask && usesLoop(attention.mask, 2);
  skipsTiles = hasTileList || attention.causalOffset || attention.windowOffset;
  bool differByQuery = skipsTiles || (attention.bias && usesLoop(attention.bias, 2));
  Tiles tiles = chooseTiles(attention, 2 * tilePanels, vectors, lanes, registers, differByQuery);
  rows = tiles.rows;
  valueTile = tiles.valueVectors * lanes;
  block = std::max(1, static_cast<int>(lowering.schedule.blockQuery) / rows) * rows;
  mostTaskBlocks = mostTaskQueries / block + 1;
  queries = lowering.extent(attention.queries);
  keys = lowering.extent(attention.keys);
  // A number, without the batch: what it depends on is in every bound that Halide proves.
  int tasksOfHead = std::max<int>(2, (wantedTasks + attention.heads - 1) / attention.heads);
  // Tasks of a head are as even as blocks let them be. The clamp changes nothing where there are
  // several, and gives Halide bounds.
  H::Expr wanted = H::clamp(queries / tasksOfHead, leastTaskQueries, mostTaskQueries);
  H::Expr tasks = (queries + wanted - 1) / wanted;
  taskBlocks =
      H::Internal::simplify(H::clamp((queries + tasks * block - 1) / (tasks * block),
                                     std::max(1, leastTaskQueries / 2 / block), mostTaskBlocks));
  panels = H::Internal::simplify((keys + panel - 1) / panel);
  strip = lowering.schedule.variant == Schedule::Variant::Strip;
  // Values with a short last vector are copied and padded.
  packValues = valueDim % lanes != 0 || !readsRows(lowering, attention.value, 3) || longKeys;
  canBeEmpty = excludesKeys(attention);
  fullPanels = H::Internal::simplify((keys + panel - lanes - 1) / panel);
  hasRest = !H::Internal::is_const_zero(H::Internal::simplify(keys % panel));
  hasHalf = !H::Internal::is_const_zero(H::Internal::simplify(panels - fullPanels));
  // Keys that only some queries see are loaded as vectors, whole panels of them.
  pairs = H::Internal::simplify((skipsTiles ? keys / panel : fullPanels) / tilePanels);
  hasSingle = skipsTiles
                  ? tilePanels > 1 || hasRest
                  : !H::Internal::is_const_zero(H::Internal::simplify(fullPanels % tilePanels));
  needsMean = skipsTiles && attention.emptyRow == AttentionStage::EmptyRow::Mean;
  needsHidden = ranksHidden(attention);
}

H::Expr AttentionKernel::offset(const ExprRef &expr) const {
  return bandOffset(lowering, expr, {b, h, r, j});
}

/// What a key adds to the score of every query, and the exclusion of the padding behind the last.
H::Expr AttentionKernel::keyBiasAt() const {
  H::Expr key = H::min(H::likely(j), keys - 1);
  return H::select(H::likely(j) < keys, scoreOfKey(lowering, attention, {b, h, 0, key}), -FLT_MAX);
}

/// The score of query r of block t and the key at `at`, given the product of both: S1, with
/// exclusions at -FLT_MAX. `key` is `at`, or below it where that lies behind the last key.
H::Expr AttentionKernel::scoreAt(const H::Expr &product, const H::Expr &at,
                                 const H::Expr &key) const {
  H::Expr row = H::min(t * block + r, queries - 1);
  return scoreOf(lowering, attention, product, keyBias(at, h, b), {b, h, row, key}, at);
}

H::Expr AttentionKernel::valueAt(const H::Expr &key, const H::Expr &column) const {
  H::Expr kvHead = h / static_cast<int>(attention.heads / attention.kvHeads);
  if (valueDim == paddedValue)
    return translate(attention.value, kvHead, key, column);
  return H::select(column < valueDim,
                   translate(attention.value, kvHead, key, H::min(column, valueDim - 1)), 0.0f);
}

void AttentionKernel::defineOperands() {
  H::Expr kvHead = h / static_cast<int>(attention.heads / attention.kvHeads);
  queryRows(d, r, t, h, b) = translate(attention.query, h, H::min(t * block + r, queries - 1), d);
  keyBias(j, h, b) = keyBiasAt();
  // Whole panels, and the keys of a short last one, which lie between zeros. What a task leaves
  // out it does not pack.
  H::Expr wholePanels = H::Internal::simplify(keys / panel);
  auto keyAt = [&](const H::Expr &key) { return translate(attention.key, kvHead, key, d); };
  byTaskPanel = H::RDom(0, wholePanels, "by_task_panel");
  if (skipsTiles && strip)
    restrictTask(byTaskPanel, byTaskPanel);
  keyPanels(ji, d, jo, c, h, b) = H::undef<float>();
  keyRows(d, j, h, b) = keyAt(j);
  keyColumns(j, d, h, b) = keyRows(d, j, h, b);
  keyPanels(ji, d, byTaskPanel, c, h, b) = keyColumns(byTaskPanel * panel + ji, d, h, b);
  if (hasRest) {
    H::RDom blank(0, panels - wholePanels, "blank");
    rest = H::RDom(0, keys % panel, "rest");
    keyPanels(ji, d, wholePanels + blank, c, h, b) = 0.0f;
    keyPanels(rest, d, H::min(wholePanels, panels - 1), c, h, b) =
        keyAt(wholePanels * panel + rest);
  }
  // A register tile of sums reads its columns of all keys one after the other.
  H::Expr column = dt * valueTile + di;
  if (!skipsTiles || !strip || !packValues) {
    valueRows(di, j, dt, c, h, b) = valueAt(packValues ? H::min(j, keys - 1) : H::Expr(j), column);
    return;
  }
  byTaskKey = H::RDom(0, panel, 0, panels, "by_task_key");
  restrictTask(byTaskKey, byTaskKey.y);
  H::Expr key = byTaskKey.y * panel + byTaskKey.x;
  valueRows(di, j, dt, c, h, b) = H::undef<float>();
  valueRows(di, key, dt, c, h, b) = valueAt(H::min(key, keys - 1), column);
}

void AttentionKernel::defineSums() {
  H::Expr chunk = strip ? H::Expr(t / taskBlocks) : H::Expr(0);
  if (!skipsTiles) {
    H::RDom rj(0, keys, "rj");
    weighted(di, r, dt, t, h, b) +=
        weights(rj % panel, rj / panel, r, t, h, b) * valueRows(di, rj, dt, chunk, h, b);
    return;
  }
  H::RDom byKey(0, panel, 0, panels, "rj");
  byKey.where(byKey.y < slotsBelow(panels));
  H::Expr key = panelAt(byKey.y) * panel + byKey.x;
  if (!packValues)
    byKey.where(byKey.x < keys - panelAt(byKey.y) * panel);
  weighted(di, r, dt, t, h, b) +=
      weights(byKey.x, byKey.y, r, t, h, b) * valueRows(di, key, dt, chunk, h, b);
}

/// The products of the queries of a block and the keys of a panel, where `isThere`.
void AttentionKernel::defineProduct(H::Func product, const std::vector<H::Var> &args,
                                    const H::Expr &panelIndex, const H::Expr &isThere) {
  H::RDom rd(0, headDim, "rd");
  H::Expr chunk = strip ? H::Expr(t / taskBlocks) : H::Expr(0);
  if (skipsTiles) {
    // Nothing is written elsewhere, so that Halide ends the loop over slots behind the last.
    H::RDom once(0, 1, "once");
    once.where(isThere);
    rd.where(isThere);
    product(args) = H::undef<float>();
    product(args) = H::cast<float>(once);
  } else {
    product(args) = 0.0f;
  }
  product(args) += queryRows(rd, r, t, h, b) * keyPanels(ji, rd, panelIndex, chunk, h, b);
}

/// The scores of the panels that a block sees, slot by slot.
void AttentionKernel::defineScores() {
  H::Expr full = slotsBelow(fullPanels), whole = slotsBelow(keys / panel),
          tiles = H::Internal::simplify((skipsTiles ? whole : full) / tilePanels);
  byTile = H::RDom(0, tilePanels, 0, pairs, "by_tile");
  if (skipsTiles)
    byTile.where(byTile.y < tiles);
  defineProduct(product, {ji, jp, r, jo, t, h, b}, panelAt(jo * tilePanels + jp), jo < tiles);
  scores(ji, jo, r, t, h, b) = H::undef<float>();
  H::Expr slot = byTile.y * tilePanels + byTile.x, at = panelAt(slot) * panel + ji;
  H::Expr key = H::min(H::likely(at), keys - 1);
  if (skipsTiles) // only the first of a whole panel is clamped, so that the others are its vector
    key = H::clamp(panelAt(slot) * panel, 0, H::max(keys - panel, 0)) + ji;
  scores(ji, slot, r, t, h, b) = scoreAt(product(ji, byTile.x, r, byTile.y, t, h, b), at, key);
  if (hasSingle) {
    H::Expr done = tiles * tilePanels, left = full - done;
    single = H::RDom(0, skipsTiles && hasRest ? 2 : 1, "single");
    single.where(single < left);
    auto slotOf = [&](const H::Expr &i) {
      return H::unsafe_promise_clamped(H::max(done + i, 0), 0, panels - 1);
    };
    defineProduct(singleProduct, {ji, r, jo, t, h, b}, panelAt(slotOf(jo)), jo < left);
    slot = slotOf(single), at = panelAt(slot) * panel + ji, key = H::min(H::likely(at), keys - 1);
    if (skipsTiles) {
      H::Expr first = H::clamp(panelAt(slot) * panel, 0, H::max(keys - panel, 0));
      key = H::select(H::likely(slot < whole), first + ji, H::min(at, keys - 1));
    }
    scores(ji, slot, r, t, h, b) = scoreAt(singleProduct(ji, r, single, t, h, b), at, key);
  }
  if (!hasHalf)
    return;
  half = H::RDom(0, lanes, 0, panels - fullPanels, "half");
  if (skipsTiles)
    half.where(full + half.y < slotsBelow(panels));
  slot = H::unsafe_promise_clamped(full + half.y, 0, panels - 1);
  H::Expr last = H::min(fullPanels, panels - 1);
  at = last * panel + half.x;
  defineProduct(halfProduct, {ji, r, t, h, b}, last, full < slotsBelow(panels));
  scores(half.x, slot, r, t, h, b) =
      scoreAt(halfProduct(half.x, r, t, h, b), at, H::min(at, keys - 1));
  scores(lanes + half.x, slot, r, t, h, b) = -FLT_MAX;
}

/// Whether a block has a row in which every key is excluded.
void AttentionKernel::defineEmptyBlock() {
  H::RDom inBlock(0, block, "in_block");
  H::Expr row = H::min(inBlock, queries - 1 - t * block);
  emptyBlock(t, h, b) = H::cast<uint8_t>(0);
  emptyBlock(t, h, b) =
      H::max(emptyBlock(t, h, b), H::cast<uint8_t>(isEmptyRow(rowMax(row, t, h, b))));
}

/// In blocks with an empty row, for each row: which excluded keys are averaged over, how many they
/// are, and the sum of their values.
void AttentionKernel::defineHidden() {
  H::RDom all(0, keys, "all");
  all.where(emptyBlock(t, h, b) != 0);
  H::Expr row = H::min(t * block + r, queries - 1),
          score = hiddenScore(lowering, attention, {b, h, row, all});
  hiddenMax(r, t, h, b) = -FLT_MAX;
  hiddenMax(r, t, h, b) = H::max(hiddenMax(r, t, h, b), score);
  H::Expr weight = H::select(score >= hiddenMax(r, t, h, b), 1.0f, 0.0f);
  hiddenCount(r, t, h, b) = 0.0f;
  hiddenCount(r, t, h, b) += weight;
  hiddenSum(d, r, t, h, b) = 0.0f;
  hiddenSum(d, r, t, h, b) += weight * valueAt(all, d);
}

H::Func AttentionKernel::define() {
  if (hasTileList)
    defineTiles();
  defineOperands();
  over = H::RDom(0, panel, 0, panels, "over");
  allSlots = H::RDom(0, panels, "all_slots");
  if (skipsTiles) {
    over.where(over.y < slotsBelow(panels));
    allSlots.where(allSlots < slotsBelow(panels));
  }
  defineScores();
  auto weightAt = [&](const H::Expr &slot) {
    return weightOf(scores(ji, slot, r, t, h, b), rowMax(r, t, h, b));
  };
  ScorePlace place = {b, h, H::min(t * block + r, queries - 1), 0};
  rowMax(r, t, h, b) = firstScore(lowering, attention, place);
  rowMax(r, t, h, b) = H::max(rowMax(r, t, h, b), scores(over.x, over.y, r, t, h, b));
  if (skipsTiles) {
    weights(ji, jo, r, t, h, b) = H::undef<float>();
    weights(ji, allSlots, r, t, h, b) = weightAt(allSlots);
  } else {
    weights(ji, jo, r, t, h, b) = weightAt(jo);
  }
  rowSum(r, t, h, b) = firstWeight(lowering, attention, place, rowMax(r, t, h, b));
  rowSum(r, t, h, b) += weights(over.x, over.y, r, t, h, b);
  weighted(di, r, dt, t, h, b) = 0.0f;
  defineSums();

  H::Expr sum = weighted(d % valueTile, r, d / valueTile, t, h, b);
  H::Expr total = rowSum(r, t, h, b);
  // Nothing at all may have been added; a row that is not empty has a weight of 1.
  H::Expr factor = 1.0f / (skipsTiles ? H::max(total, 0.5f) : total);
  H::Expr empty = isEmptyRow(rowMax(r, t, h, b));
  if (needsMean || needsHidden)
    defineEmptyBlock();
  if (needsHidden) {
    defineHidden();
    H::Expr mean = hiddenSum(d, r, t, h, b) / H::max(hiddenCount(r, t, h, b), 1.0f);
    H::Expr largest = H::select(empty, hiddenMax(r, t, h, b), 0.0f);
    result(d, r, t, h, b) = emptyRowValue(attention, largest, H::select(empty, mean, sum * factor));
  } else if (needsMean) {
    H::RDom all(0, keys, "all");
    all.where(emptyBlock(t, h, b) != 0);
    meanValue(d, t, h, b) = 0.0f;
    meanValue(d, t, h, b) += valueAt(all, d);
    result(d, r, t, h, b) = H::select(empty, meanValue(d, t, h, b) * (1.0f / keys), sum * factor);
  } else if (canBeEmpty && attention.emptyRow == AttentionStage::EmptyRow::Mean) {
    // Every key of such a row has weight 1, excluded ones too.
    result(d, r, t, h, b) = sum * H::select(empty, 1.0f / keys, factor);
  } else {
    result(d, r, t, h, b) = emptyRowValue(attention, rowMax(r, t, h, b), sum * factor);
  }
  H::Func attended("attended");
  H::Var i("i");
  // The minimum says that a last, short block has no more rows than queries.
  H::Expr row = H::min(i % block, queries - 1 - i / block * block);
  attended(d, i, h, b) = result(d, row, i / block, h, b);
  return attended;
}

} // namespace rapt::kernels::halide
