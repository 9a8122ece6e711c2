//===- AttentionDecode.cpp - Attention for a few queries -----------------------*- C++ -*-===//
//
// With one query there are four operations for every number of K and V that is read, so reading
// decides: both are read in place, in order and once, and what is computed hides behind that.
//
// ALGORITHM  scores of all keys, their maximum, exponentials, sum, and the weighted sum of values,
//            for all queries of the group of heads that shares a kv head.
// SCHEDULE   A task is one kv head. It goes through K in blocks of one vector of keys: for each
//            query a product in vectors along d for each key of the block, then a sum across the
//            lanes of all of them at once, a transposition with additions. The block stays in L1
//            for the other queries. V goes the same way, in vectors along d, with sums in registers
//            for a block of keys. Nothing is prefetched by hand: rows in order are what hardware
//            recognises, and prefetches, of whole blocks or row by row, only slowed it down.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionDecode.h"

#include <cfloat>

namespace rapt::kernels::halide {

namespace H = Halide;

static constexpr H::TailStrategy roundUp = H::TailStrategy::RoundUp;

/// The widest vector that divides a row.
static int lanesFor(int dim, int lanes) {
  while (dim % lanes != 0)
    lanes /= 2;
  return lanes;
}

AttentionDecode::AttentionDecode(Lowering &lowering, const AttentionStage &attention,
                                 Recipe &recipe)
    : lowering(lowering), attention(attention), recipe(recipe) {
  group = static_cast<int>(attention.heads / attention.kvHeads);
  block = lowering.lanes();
  int headDim = static_cast<int>(attention.headDim),
      valueDim = static_cast<int>(attention.valueDim);
  headLanes = lanesFor(headDim, block);
  valueLanes = lanesFor(valueDim, block);
  // As many vectors as leave registers for a row of V, and a divisor of all.
  int vectors = valueDim / valueLanes, most = lowering.cpu.vectorRegisters >= 32 ? 16 : 8;
  int tile = std::min(vectors, most);
  while (vectors % tile != 0)
    --tile;
  valueTile = tile * valueLanes;
  queries = lowering.extent(attention.queries);
  keys = lowering.extent(attention.keys);
  blocks = H::Internal::simplify((keys + block - 1) / block);
  stagesQueries = !readsRows(lowering, attention.query, 3);
  stagesKeys = !readsRows(lowering, attention.key, 3);
  stagesValues = !readsRows(lowering, attention.value, 3);
}

/// Behind the last key comes the last key again, which then weighs nothing.
H::Expr AttentionDecode::keyAt(const H::Expr &at) const { return H::min(H::likely(at), keys - 1); }

void AttentionDecode::defineScores() {
  H::Expr head = g * group + m, at = jo * block + ji;
  queryRows(d, m, i, g, b) = lowering.translate(attention.query, {b, head, i, d});
  keyRows(d, ji, jo, g, b) = lowering.translate(attention.key, {b, g, keyAt(at), d});
  H::RDom vector(0, static_cast<int>(attention.headDim) / headLanes, "vector"),
      lane(0, headLanes, "lane");
  H::Expr depth = vector * headLanes + u;
  keyDot(u, ji, jo, m, i, g, b) = 0.0f;
  keyDot(u, ji, jo, m, i, g, b) += queryRows(depth, m, i, g, b) * keyRows(depth, ji, jo, g, b);
  partial(u, ji, jo, m, i, g, b) = keyDot(u, ji, jo, m, i, g, b);
  product(ji, jo, m, i, g, b) = 0.0f;
  product(ji, jo, m, i, g, b) += partial(lane, ji, jo, m, i, g, b);

  ScorePlace place = {b, head, i, keyAt(at)};
  H::Expr ofKey = H::select(H::likely(at) < keys, scoreOfKey(lowering, attention, place), -FLT_MAX);
  H::Expr score = scoreOf(lowering, attention, product(ji, jo, m, i, g, b), ofKey, place, at);
  // Weights of such a row follow from these as from scores; behind the last key they are dropped.
  if (ranksHidden(attention))
    score = H::select(isEmptyRow(score), hiddenScore(lowering, attention, place), score);
  scores(ji, jo, m, i, g, b) = score;
}

void AttentionDecode::defineSums() {
  H::RDom over(0, block, 0, blocks, "over"), byBlock(0, blocks, "by_block"),
      inBlock(0, block, "in_block");
  ScorePlace place = {b, g * group + m, i, 0};
  rowMax(m, i, g, b) = firstScore(lowering, attention, place);
  rowMax(m, i, g, b) = H::max(rowMax(m, i, g, b), scores(over.x, over.y, m, i, g, b));
  // In an empty row all keys that count weigh 1, and nothing behind them: their mean comes out.
  H::Expr weight = weightOf(scores(ji, jo, m, i, g, b), rowMax(m, i, g, b));
  weights(ji, jo, m, i, g, b) = H::select(H::likely(jo * block + ji) < keys, weight, 0.0f);
  rowSum(m, i, g, b) = firstWeight(lowering, attention, place, rowMax(m, i, g, b));
  rowSum(m, i, g, b) += weights(over.x, over.y, m, i, g, b);
  valueRows(e, ji, jo, g, b) =
      lowering.translate(attention.value, {b, g, keyAt(jo * block + ji), e});
  blockSum(e, jo, m, i, g, b) = 0.0f;
  blockSum(e, jo, m, i, g, b) += weights(inBlock, jo, m, i, g, b) * valueRows(e, inBlock, jo, g, b);
  weighted(e, m, i, g, b) = 0.0f;
  weighted(e, m, i, g, b) += blockSum(e, byBlock, m, i, g, b);
}

H::Func AttentionDecode::define() {
  defineScores();
  defineSums();
  H::Expr value = weighted(e, m, i, g, b) * (1.0f / rowSum(m, i, g, b));
  result(e, m, i, g, b) = emptyRowValue(attention, rowMax(m, i, g, b), value);
  H::Func attended("attended");
  H::Var h("h");
  attended(e, i, h, b) = result(e, h % group, i, h / group, b);
  return attended;
}

/// A reduction over all keys: one vector of partial results, folded at the end.
void AttentionDecode::reduce(H::Func func, H::Func out, H::Var task) {
  H::RVar x = func.rvars()[0], y = func.rvars()[1];
  H::Var lane("lane");
  H::Func lanes = func.update().rfactor(x, lane);
  func.compute_at(out, task);
  lanes.compute_at(func, m).vectorize(lane);
  lanes.update().reorder(lane, y).vectorize(lane);
  func.update().atomic().vectorize(x);
}

void AttentionDecode::announceScratch() {
  // Beside another variant it runs for few queries only.
  const Schedule &schedule = lowering.schedule;
  bool isForFew = schedule.variant != Schedule::Variant::Decode && schedule.decodeQueries > 0;
  Extent rows =
      Extent{group, {}} * (isForFew ? Extent{schedule.decodeQueries, {}} : attention.queries);
  auto add = [&](const Extent &count) { addScratchBytes(recipe, count * Extent{4, {}}); };
  for (const Extent &perRow : {attention.keys, Extent{block, {}}}) // scores, weights
    add(rows * perRow * Extent{2, {}});
  recipe.innerElements.push_back({rows * attention.keys, rows * Extent{block, {}}});
  int64_t width = std::max(attention.headDim, attention.valueDim);
  recipe.innerElements.push_back({rows * Extent{width, {}}});
  // query_rows, weighted, attended_rows, row_max, row_sum
  add(rows * Extent{attention.headDim + 2 * attention.valueDim + 2, {}});
  add(Extent{block * (attention.headDim + attention.valueDim), {}}); // key_rows, value_rows
  add(Extent{4096, {}});                                             // tiles, padding
}

void AttentionDecode::scheduleSums(H::Func out, H::Var task) {
  reduce(rowMax, out, task);
  weights.compute_at(out, task).bound_extent(ji, block).vectorize(ji);
  reduce(rowSum, out, task);
  H::RVar inBlock = blockSum.rvars()[0], byBlock = weighted.rvars()[0];
  H::Var ei("ei"), eo("eo");
  weighted.compute_at(out, task).bound_extent(e, static_cast<int>(attention.valueDim));
  weighted.vectorize(e, valueLanes);
  weighted.update()
      .split(e, eo, ei, valueTile, roundUp)
      .reorder(ei, eo, m, i, byBlock)
      .vectorize(ei, valueLanes)
      .unroll(ei);
  blockSum.compute_at(weighted, eo)
      .bound_extent(e, valueTile)
      .vectorize(e, valueLanes)
      .unroll(e)
      .update()
      .reorder(e, inBlock)
      .vectorize(e, valueLanes)
      .unroll(e)
      .unroll(inBlock);
  if (stagesValues)
    valueRows.compute_at(weighted, byBlock).vectorize(e, valueLanes);
}

void AttentionDecode::schedule(H::Func out, H::Var task) {
  announceScratch();
  if (stagesQueries)
    queryRows.compute_at(out, task).vectorize(d, headLanes);
  scores.compute_at(out, task).bound_extent(ji, block).reorder(ji, m, i, jo).vectorize(ji);
  if (stagesKeys)
    keyRows.compute_at(scores, jo).vectorize(d, headLanes);
  product.compute_at(scores, m).bound_extent(ji, block).vectorize(ji);
  H::RVar lane = product.rvars()[0];
  product.update().reorder(lane, ji).vectorize(ji).atomic().vectorize(lane);
  partial.compute_at(scores, m).bound_extent(u, headLanes).bound_extent(ji, block).vectorize(u);
  H::RVar vector = keyDot.rvars()[0];
  keyDot.compute_at(partial, ji).bound_extent(u, headLanes).vectorize(u);
  keyDot.update().reorder(u, vector).vectorize(u).unroll(vector);
  scheduleSums(out, task);
  result.compute_at(out, task).vectorize(e, valueLanes);
}

} // namespace rapt::kernels::halide
