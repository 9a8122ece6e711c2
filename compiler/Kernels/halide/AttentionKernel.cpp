//===- AttentionKernel.cpp - The Funcs of one attention stage ------------------*- C++ -*-===//
//
// ALGORITHM  two steps, as in the textbook: all scores of a query (AttentionScores.h), their
//            maximum, exponentials, sum, and the weighted sum of values.
// SCHEDULE   Strip: one task is 256 to 1024 queries of a head. It packs K^T into panels once, then
//            for blocks of 32 queries computes a strip of scores for all keys that stays in L2.
//            Both products run in register tiles of 8 rows x 2 vectors (16 accumulators hide the
//            FMA latency); a last panel with keys for one vector only gets a tile of 8 x 1.
//            Unfused: the same Funcs, each stage for all heads at once through memory. The
//            baseline, which the strip beats by more the more keys there are.
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

AttentionKernel::AttentionKernel(Lowering &lowering, const AttentionStage &attention, bool longKeys,
                                 Recipe &recipe)
    : lowering(lowering), attention(attention), recipe(recipe) {
  lanes = lowering.lanes();
  // Two vectors wide; as many rows as leave registers for operands.
  rows = lowering.cpu.vectorRegisters >= 32 ? 8 : 4;
  panel = 2 * lanes;
  block = static_cast<int>((lowering.schedule.blockQuery + rows - 1) / rows * rows);
  mostTaskBlocks = std::max(1, mostTaskQueries / block);
  headDim = static_cast<int>(attention.headDim);
  valueDim = static_cast<int>(attention.valueDim);
  int vectors = (valueDim + lanes - 1) / lanes;
  valueTile = lanes * (vectors % 2 == 0 ? 2 : vectors % 3 == 0 ? 3 : 1);
  paddedValue = vectors * lanes;
  queries = lowering.extent(attention.queries);
  keys = lowering.extent(attention.keys);
  int tasksOfHead = std::max<int>(2, (wantedTasks + attention.heads - 1) / attention.heads);
  taskBlocks = H::Internal::simplify(
      H::max(1, H::clamp(queries / tasksOfHead, leastTaskQueries, mostTaskQueries) / block));
  panels = H::Internal::simplify((keys + panel - 1) / panel);
  strip = lowering.schedule.variant == Schedule::Variant::Strip;
  // Values with a short last vector are copied and padded.
  packValues = valueDim % lanes != 0 || !readsRows(lowering, attention.value, 3) || longKeys;
  canBeEmpty = excludesKeys(attention);
  hasTileList = attention.mask && usesLoop(attention.mask, 2);
  skipsTiles = hasTileList || attention.causalOffset || attention.windowOffset;
  fullPanels = H::Internal::simplify((keys + panel - lanes - 1) / panel);
  hasRest = !H::Internal::is_const_zero(H::Internal::simplify(keys % panel));
  hasHalf = !H::Internal::is_const_zero(H::Internal::simplify(panels - fullPanels));
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

H::Expr AttentionKernel::valueAt(const H::Expr &key) const {
  H::Expr kvHead = h / static_cast<int>(attention.heads / attention.kvHeads);
  if (valueDim == paddedValue)
    return translate(attention.value, kvHead, key, d);
  return H::select(d < valueDim, translate(attention.value, kvHead, key, H::min(d, valueDim - 1)),
                   0.0f);
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
  if (!skipsTiles || !strip || !packValues) {
    valueRows(d, j, c, h, b) = valueAt(packValues ? H::min(j, keys - 1) : H::Expr(j));
    return;
  }
  byTaskKey = H::RDom(0, panel, 0, panels, "by_task_key");
  restrictTask(byTaskKey, byTaskKey.y);
  H::Expr key = byTaskKey.y * panel + byTaskKey.x;
  valueRows(d, j, c, h, b) = H::undef<float>();
  valueRows(d, key, c, h, b) = valueAt(H::min(key, keys - 1));
}

void AttentionKernel::defineSums() {
  H::Expr chunk = strip ? H::Expr(t / taskBlocks) : H::Expr(0);
  if (!skipsTiles) {
    H::RDom rj(0, keys, "rj");
    weighted(di, r, dt, t, h, b) += weights(rj % panel, rj / panel, r, t, h, b) *
                                    valueRows(dt * valueTile + di, rj, chunk, h, b);
    return;
  }
  H::RDom byKey(0, panel, 0, panels, "rj");
  byKey.where(byKey.y < slotsBelow(panels));
  H::Expr key = panelAt(byKey.y) * panel + byKey.x;
  if (!packValues)
    byKey.where(byKey.x < keys - panelAt(byKey.y) * panel);
  weighted(di, r, dt, t, h, b) +=
      weights(byKey.x, byKey.y, r, t, h, b) * valueRows(dt * valueTile + di, key, chunk, h, b);
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
  H::Expr full = slotsBelow(fullPanels), whole = slotsBelow(keys / panel);
  bySlot = H::RDom(0, fullPanels, "by_slot");
  if (skipsTiles)
    bySlot.where(bySlot < full);
  defineProduct(product, {ji, r, jo, t, h, b}, panelAt(jo), jo < full);
  H::Expr at = panelAt(bySlot) * panel + ji, key = H::min(H::likely(at), keys - 1);
  if (skipsTiles) { // in whole panels only the first key is clamped: they are loaded as vectors
    H::Expr first = H::clamp(panelAt(bySlot) * panel, 0, H::max(keys - panel, 0));
    key = H::select(H::likely(bySlot < whole), first + ji, H::min(at, keys - 1));
  }
  scores(ji, jo, r, t, h, b) = H::undef<float>();
  scores(ji, bySlot, r, t, h, b) = scoreAt(product(ji, r, bySlot, t, h, b), at, key);
  if (!hasHalf)
    return;
  half = H::RDom(0, lanes, 0, panels - fullPanels, "half");
  if (skipsTiles)
    half.where(full + half.y < slotsBelow(panels));
  H::Expr slot = H::unsafe_promise_clamped(full + half.y, 0, panels - 1),
          last = H::min(fullPanels, panels - 1);
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
  hiddenSum(d, r, t, h, b) += weight * valueAt(all);
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
    meanValue(d, t, h, b) += valueAt(all);
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

/// A reduction over `over`: one panel's width of partial results, folded at the end.
void AttentionKernel::reduce(H::Func func, const Place &place) {
  H::Var u("u");
  H::Func partial = func.update().rfactor(over.x, u);
  place(func);
  partial.compute_at(func, r).vectorize(u, lanes).unroll(u);
  partial.update().reorder(u, over.y).vectorize(u, lanes).unroll(u);
  func.update().atomic().vectorize(over.x, lanes).unroll(over.x);
}

void AttentionKernel::announceScratch() {
  Extent paddedKeys = attention.keys, heads{strip ? 1 : attention.heads, {}};
  Extent outer = strip ? heads : heads * attention.batch;
  // keys + panel - 1 is no product: one term each.
  auto perKey = [&](Extent count, int64_t bytes) {
    addTerm(count * paddedKeys, bytes);
    addTerm(count * Extent{panel, {}}, bytes);
  };
  // The largest tensors: packed keys and values, and below scores and what goes along a query.
  std::vector<std::vector<Extent>> &inner = recipe.innerElements;
  Extent width{std::max(headDim, paddedValue), {}}, wide = outer * width;
  inner.push_back({wide * paddedKeys, wide * Extent{panel, {}}});
  inner.emplace_back();
  perKey(outer * Extent{headDim, {}}, 4);
  perKey(outer, 4);
  if (packValues)
    perKey(outer * Extent{paddedValue, {}}, 4);
  std::vector<Extent> rowTerms = {Extent{block, {}}};
  if (!strip) // the last block's tiles are rounded up
    rowTerms = {attention.queries, Extent{block + 4 * rows, {}}};
  for (const Extent &count : rowTerms)
    inner.back().push_back(outer * count * width);
  inner.emplace_back();
  for (const Extent &count : rowTerms) {
    inner.back().push_back(outer * count * paddedKeys);
    inner.back().push_back(outer * count * Extent{2 * panel, {}});
    perKey(outer * count, 8);                      // scores, weights
    addTerm(outer * count * Extent{panel, {}}, 8); // a panel more, where rows are moved apart
    // query_rows, result, row_max, row_sum, mean_value or hidden_sum, hidden_max, hidden_count
    addTerm(outer * count * Extent{headDim + 2 * paddedValue + 5, {}}, 4);
  }
  if (hasTileList) { // a flag a key and a task; a flag and two numbers a panel and block
    perKey(outer, 1 + (9 * mostTaskBlocks + panel) / panel);
    if (!strip)
      perKey(outer * attention.queries, 1);
  }
  addTerm(Extent{8192, {}}, 4); // tiles, partial results, padding
}

/// What a task computes once: packed keys and values, biases of keys.
void AttentionKernel::scheduleOperands(const Place &perHead, const Place &perBlock) {
  perHead(keyPanels);
  keyPanels.bound_extent(ji, panel);
  H::Stage packed = keyPanels.update();
  if (lanes == 16 && headDim % 4 == 0 && readsRows(lowering, attention.key, 3)) {
    // 16 pieces of 4 are loaded and transposed in registers. With 8 lanes this gains nothing.
    packed.split(d, dt, di, 4).split(ji, it, ii, lanes).reorder(ii, di, it, dt, byTaskPanel);
    packed.vectorize(ii).unroll(di);
    transposeInRegisters(keyPanels, it, keyRows, keyColumns, d, j, lanes);
  } else {
    packed.reorder(ji, d, byTaskPanel).vectorize(ji, lanes).unroll(ji);
  }
  if (hasRest) {
    keyPanels.update(1).vectorize(ji, lanes).unroll(ji);
    vectorizeExactly(keyPanels.update(2).reorder(d, rest), d, Extent{headDim, {}}, lanes);
  }
  perHead(keyBias);
  keyBias.vectorize(j, lanes, roundUp);
  if (packValues) {
    perHead(valueRows);
    if (skipsTiles && strip)
      valueRows.update().reorder(d, byTaskKey.x, byTaskKey.y).vectorize(d, lanes, roundUp);
    else
      valueRows.vectorize(d, lanes, roundUp);
  }
  perBlock(queryRows);
  vectorizeExactly(queryRows, d, Extent{headDim, {}}, lanes);
}

/// Schedules update `stage` of the scores, over the keys `x` of the panels in `slot`, by tiles of
/// `width` keys of their product.
void AttentionKernel::scheduleProduct(H::Func product, int width, int stage, const H::VarOrRVar &x,
                                      const H::RVar &slot) {
  // Panels outside, row tiles inside: a panel of K^T stays in L1 for all rows of the block.
  // Eight sums at least hide the latency of an addition.
  int height = width > lanes ? rows : std::max(rows, 8);
  H::Stage tile = scores.update(stage);
  tile.split(r, it, ii, height, roundUp).reorder(x, ii, it, slot).vectorize(x, lanes).unroll(ii);
  if (width > lanes)
    tile.unroll(x);
  product.compute_at(scores, it).bound_extent(ji, width).bound_extent(r, height);
  std::vector<H::Stage> stages = {product};
  for (int update = 0; update < product.num_update_definitions(); ++update)
    stages.push_back(product.update(update));
  int last = product.num_update_definitions() - 1;
  stages.back().reorder(ji, r, product.rvars(last)[0]);
  for (H::Stage &each : stages)
    each.vectorize(ji, lanes).unroll(ji).unroll(r);
}

void AttentionKernel::schedule(H::Func out, H::Var task, H::Var blockLoop) {
  Place perHead = [&](H::Func func) {
    if (strip) {
      func.compute_at(out, task);
      return;
    }
    H::Var head("head");
    func.compute_root().fuse(h, b, head);
    if (lowering.schedule.parallel)
      func.parallel(head);
  };
  Place perBlock = [&](H::Func func) {
    if (strip)
      func.compute_at(out, blockLoop);
    else
      perHead(func);
  };
  announceScratch();
  scheduleOperands(perHead, perBlock);

  // Rows of scores that lie a multiple of 2 KB apart share few sets of a cache.
  int period = 2048 / (4 * panel);
  H::Expr stride = panels + H::select(panels % period == 0, 1, 0);
  for (H::Func func : {scores, weights})
    func.align_storage(jo, H::Internal::simplify(stride));
  perBlock(scores);
  scores.bound_extent(ji, panel);
  scheduleProduct(product, panel, 0, ji, bySlot);
  if (hasHalf) {
    scheduleProduct(halfProduct, lanes, 1, half.x, half.y);
    scores.update(2).reorder(half.x, r, half.y).vectorize(half.x);
  }
  reduce(rowMax, perBlock);
  perBlock(weights);
  weights.bound_extent(ji, panel);
  if (skipsTiles)
    weights.update().reorder(ji, allSlots, r).vectorize(ji, panel);
  else
    weights.vectorize(ji, panel);
  reduce(rowSum, perBlock);
  if (hasTileList)
    scheduleTiles(perHead);
  if (needsMean || needsHidden)
    perBlock(emptyBlock);
  if (needsHidden) {
    perBlock(hiddenMax);
    perBlock(hiddenCount);
    perBlock(hiddenSum);
    for (H::Func rows : {hiddenMax, hiddenCount})
      rows.update().reorder(r, rows.rvars()[0]);
    hiddenSum.vectorize(d, lanes, roundUp);
    hiddenSum.update().reorder(d, r, hiddenSum.rvars()[0]).vectorize(d, lanes, roundUp);
  }
  if (needsMean) {
    perBlock(meanValue);
    meanValue.vectorize(d, lanes, roundUp);
    meanValue.update().reorder(d, meanValue.rvars()[0]).vectorize(d, lanes, roundUp);
  }

  result.compute_at(out, blockLoop);
  result.split(d, dt, di, valueTile, roundUp)
      .split(r, it, ii, rows, roundUp)
      .reorder(di, ii, it, dt)
      .vectorize(di, lanes)
      .unroll(di)
      .unroll(ii);
  weighted.compute_at(result, it)
      .bound_extent(di, valueTile)
      .bound_extent(r, rows)
      .vectorize(di, lanes)
      .unroll(di)
      .unroll(r);
  std::vector<H::VarOrRVar> order = {di, r};
  for (const H::RVar &reduced : weighted.rvars())
    order.push_back(reduced);
  weighted.update().reorder(order).vectorize(di, lanes).unroll(di).unroll(r);
}

} // namespace rapt::kernels::halide
