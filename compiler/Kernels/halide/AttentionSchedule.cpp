//===- AttentionSchedule.cpp - Where and in what tiles attention is computed ---*- C++ -*-===//
//
// Strip: a task is some hundred queries of a head. It packs K^T into panels once, then for blocks
// of about 32 queries computes a strip of scores for all keys that stays in L2. Both products run
// in register tiles: 6 rows x 4 vectors with 32 registers (two panels of keys), 6 x 2 with 16. A
// panel that is left over gets a tile of its own width, and so does a last one with keys for one
// vector only. Where heads are more than caches hold, the next rows of the operands are fetched
// meanwhile, and so is a bias of every query and key: their rows lie apart, which hardware does
// not follow.
// Unfused: the same Funcs, each stage for all heads at once through memory. The baseline, which the
// strip beats by more the more keys there are.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionKernel.h"

#include "compiler/Kernels/halide/AttentionScores.h"

#include <memory>

namespace rapt::kernels::halide {

namespace H = Halide;

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
    packed.split(d, dt, di, 4).split(ji, it, ii, lanes).reorder(ii, di, dt, it, byTaskPanel);
    packed.vectorize(ii).unroll(di);
    transposeInRegisters(keyPanels, dt, keyRows, keyColumns, d, j, lanes);
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
      valueRows.update().reorder(di, dt, byTaskKey.x, byTaskKey.y).vectorize(di, lanes, roundUp);
    else
      valueRows.reorder(di, dt, j).vectorize(di, lanes, roundUp);
  }
  perBlock(queryRows);
  vectorizeExactly(queryRows, d, Extent{headDim, {}}, lanes);
}

/// Schedules update `stage` of the scores by tiles of the product over `vars`: the keys of a panel,
/// of which there are `width`, the panels of a tile where there are several, and the tiles.
void AttentionKernel::scheduleProduct(H::Func product, int width, int stage,
                                      const std::vector<H::VarOrRVar> &vars) {
  // Panels outside, row tiles inside: a panel of K^T stays in L1 for all rows of the block.
  bool isPair = vars.size() > 2;
  H::Stage tile = scores.update(stage);
  tile.split(r, it, ii, rows, roundUp);
  if (isPair)
    tile.reorder(vars[0], vars[1], ii, it, vars[2]).unroll(vars[1]);
  else
    tile.reorder(vars[0], ii, it, vars[1]);
  tile.vectorize(vars[0], lanes).unroll(ii);
  if (width > lanes)
    tile.unroll(vars[0]);
  product.compute_at(scores, it).bound_extent(ji, width).bound_extent(r, rows);
  if (isPair)
    product.bound_extent(jp, tilePanels);
  std::vector<H::Stage> stages = {product};
  for (int update = 0; update < product.num_update_definitions(); ++update)
    stages.push_back(product.update(update));
  H::RVar sum = product.rvars(product.num_update_definitions() - 1)[0];
  if (isPair)
    stages.back().reorder(ji, jp, r, sum);
  else
    stages.back().reorder(ji, r, sum);
  for (H::Stage &each : stages) {
    each.vectorize(ji, lanes).unroll(ji).unroll(r);
    if (isPair)
      each.unroll(jp);
  }
}

/// Where the element of a loaded operand lies that belongs to this query and key or dim.
H::Expr AttentionKernel::indexOf(const ExprRef &load, const H::Expr &batch, const H::Expr &head,
                                 const H::Expr &row, const H::Expr &last) const {
  H::Expr read = lowering.translate(load, {batch, head, row, last}), index = 0;
  Extent stride;
  const std::vector<Extent> &shape = lowering.spec.tensors[load->integer].shape;
  const H::Internal::Call *call = read.as<H::Internal::Call>();
  for (size_t i = 0; call && i < shape.size(); ++i) {
    index += call->args[i] * lowering.extent(stride);
    stride = stride * shape[shape.size() - 1 - i];
  }
  return index;
}

/// A loop of the kernel, as RowPrefetch names it.
static H::Expr loopVariable(const std::string &name) {
  return H::Internal::Variable::make(H::Int(32), name);
}

/// Before each register tile of scores, fetches what hardware does not follow. Where tiles are
/// skipped, so are their fetches.
void AttentionKernel::fetchAhead() {
  // Of one tile no loop is left to stand before.
  if (!strip || !lowering.schedule.parallel || headDim == 1 || is_const_zero(pairs))
    return;
  auto pass = std::make_unique<RowPrefetch>();
  pass->accumulator =
      product.name() + ".s" + std::to_string(product.num_update_definitions()) + ".";
  pass->mayBeGone = skipsTiles;
  fetchRows(*pass);
  fetchBias(*pass);
  if (!pass->rows.empty())
    recipe.pass = pass.release();
}

/// A share of the next block's queries and of the next task's keys and values. Shares are even, as
/// a burst of fetches is no faster than the loads.
void AttentionKernel::fetchRows(RowPrefetch &pass) {
  constexpr int most = 1 << 19, fewest = 1 << 20; // bytes of one head, and of all
  // Few keys, whose values are read where they are, are in the caches.
  if (!packValues)
    return;
  for (const ExprRef &operand : {attention.query, attention.key, attention.value})
    if (!readsRows(lowering, operand, 3) ||
        lowering.spec.tensors[operand->integer].type != ScalarType::F32)
      return;
  auto fetch = [&](const ExprRef &operand, const H::Expr &head, const H::Expr &batch,
                   const H::Expr &begin, const H::Expr &count, int width) {
    pass.rows.push_back({lowering.inputs[operand->integer].name(),
                         indexOf(operand, batch, head, loopVariable(RowPrefetch::row), 0), begin,
                         count, width});
  };
  int heads = static_cast<int>(attention.heads), kvHeads = static_cast<int>(attention.kvHeads);
  H::Expr steps = H::max(pairs, 1) * (block / rows); // of a block
  H::Expr task = loopVariable(RowPrefetch::task), blockInTask = loopVariable("block"),
          step = loopVariable(byTile.y.name()) * (block / rows) + loopVariable(it.name());
  H::Expr tasks = (queries + block * taskBlocks - 1) / (block * taskBlocks);
  H::Expr headBytes = H::cast<int64_t>(keys) * ((headDim + valueDim) * 4);
  H::Expr isCold =
      headBytes <= most && headBytes * kvHeads * lowering.extent(attention.batch) >= fewest;
  auto share = [&](const H::Expr &rowCount, const H::Expr &stepCount) {
    return H::Internal::simplify((rowCount + stepCount - 1) / stepCount);
  };
  H::Expr keyShare = share(keys, taskBlocks * steps), queryShare = share(block, steps);
  H::Expr next = (task + 1) / tasks, nextHead = next % heads / (heads / kvHeads),
          begin = (blockInTask * steps + step) * keyShare, count = H::select(isCold, keyShare, 0);
  fetch(attention.key, nextHead, next / heads, begin, count, headDim);
  fetch(attention.value, nextHead, next / heads, begin, count, valueDim);
  H::Expr nextBlock = task % tasks * taskBlocks + blockInTask + 1;
  fetch(attention.query, task / tasks % heads, task / tasks / heads,
        nextBlock * block + step * queryShare, H::select(isCold, queryShare, 0), headDim);
}

/// The biases of the next tile, below or of the next keys or block, and of the tile of the next
/// keys in these rows. The later ones, tiles before they are read, leave memory; where rows lie a
/// multiple of 4 KB apart they may leave the nearest cache again, for which the earlier ones are.
void AttentionKernel::fetchBias(RowPrefetch &pass) {
  constexpr int fewest = 1 << 20; // bytes; fewer are in the caches
  if (!attention.bias || hasTileList || attention.windowOffset)
    return;
  H::Expr tasks = (queries + block * taskBlocks - 1) / (block * taskBlocks);
  H::Expr task = loopVariable(RowPrefetch::task), tile = loopVariable(byTile.y.name()),
          rowTile = loopVariable(it.name());
  H::Expr isLast = tile + 1 >= pairs, isLowest = rowTile + 1 >= block / rows;
  int heads = static_cast<int>(attention.heads), width = tilePanels * panel;
  H::Expr first = (task % tasks * taskBlocks + loopVariable("block")) * block;
  H::Expr nextKeys = H::select(isLast, 0, (tile + 1) * width),
          nextBlock = H::select(isLast, block, 0);
  const std::pair<H::Expr, H::Expr> corners[] = {
      {first + H::select(isLowest, nextBlock, (rowTile + 1) * rows),
       H::select(isLowest, nextKeys, tile * width)},
      {first + rowTile * rows + nextBlock, nextKeys}};
  auto visit = [&](auto &self, const ExprRef &expr) -> void {
    if (expr->kind != Expr::Kind::Load) {
      for (const ExprRef &operand : expr->operands)
        self(self, operand);
      return;
    }
    if (expr->type != ScalarType::F32 || !lowering.isInput(static_cast<int>(expr->integer)) ||
        expr->operands.empty() || !usesLoop(expr, 2) || !isLoop(expr->operands.back(), 3))
      return;
    H::Expr bytes = H::cast<int64_t>(4);
    for (const Extent &dim : lowering.spec.tensors[expr->integer].shape)
      bytes *= lowering.extent(dim);
    for (const auto &[row, key] : corners)
      pass.rows.push_back({lowering.inputs[expr->integer].name(),
                           indexOf(expr, task / tasks / heads, task / tasks % heads,
                                   loopVariable(RowPrefetch::row), key),
                           row, H::select(bytes >= fewest, rows, 0), width});
  };
  visit(visit, attention.bias);
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
  scheduleProduct(product, panel, 0, {ji, byTile.x, byTile.y});
  int stage = 1;
  if (hasSingle)
    scheduleProduct(singleProduct, panel, stage++, {ji, H::RVar(single)});
  if (hasHalf) {
    scheduleProduct(halfProduct, lanes, stage++, {half.x, half.y});
    scores.update(stage).reorder(half.x, r, half.y).vectorize(half.x);
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

  fetchAhead();
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
