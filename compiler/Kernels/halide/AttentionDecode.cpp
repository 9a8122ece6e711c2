//===- AttentionDecode.cpp - Attention for a few queries -----------------------*- C++ -*-===//
//
// With one query there are four operations for every number of K and V that is read, so reading
// decides: both are read in place, in order and once, and what is computed hides behind that.
//
// ALGORITHM  scores of all keys, their maximum, exponentials, sum, and the weighted sum of values,
//            for all queries of the group of heads that shares a kv head. Where keys are split into
//            chunks, this is so for each chunk, against the chunk's own maximum, and the output
//            adds the chunks' sums up in order, each by its share. A chunk has a constant number of
//            keys, whatever the threads and the batch are.
// SCHEDULE   A task is one kv head, or a chunk of its keys where there are few heads. It goes
//            through K in blocks of one vector of keys: for each query a product in vectors along d
//            for each key of the block, then a sum across the lanes of all of them at once, a
//            transposition with additions. The block stays in L1 for the other queries. V goes the
//            same way, in vectors along d, with sums in registers for a block of keys. Nothing is
//            prefetched by hand: rows in order are what hardware recognises, and prefetches, of
//            whole blocks or row by row, only slowed it down.
// ROWS       Where the heads of a key lie side by side, a task is a chunk of keys for all heads: it
//            goes through the row of a key before it goes on to the next.
// TILES      Where many heads share a kv head, computing decides: blocks of K are transposed into
//            columns, and both products run in the register tiles of AttentionKernel.cpp, whose
//            rows are these heads.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionDecode.h"

#include <cfloat>

namespace rapt::kernels::halide {

namespace H = Halide;

static constexpr H::TailStrategy roundUp = H::TailStrategy::RoundUp;

/// With fewer kv heads than `enoughTasks`, their keys are split, and where so many heads as
/// `tiledHeads` share one, they are the rows of tiles.
static constexpr int tiledHeads = 8, enoughTasks = 8;

/// The widest vector that divides a row.
static int lanesFor(int dim, int lanes) {
  while (dim % lanes != 0)
    lanes /= 2;
  return lanes;
}

/// Whether `operand` is read as [..., key, ..., kv head, ...].
static bool hasHeadsInside(const ExprRef &operand) {
  if (operand->kind != Expr::Kind::Load)
    return false;
  for (const ExprRef &index : operand->operands)
    if (usesLoop(index, 1) || usesLoop(index, 2))
      return !usesLoop(index, 1);
  return false;
}

AttentionDecode::AttentionDecode(Lowering &lowering, const AttentionStage &attention,
                                 Recipe &recipe)
    : lowering(lowering), attention(attention), recipe(recipe) {
  bool manyRegisters = lowering.cpu.vectorRegisters >= 32;
  group = static_cast<int>(attention.heads / attention.kvHeads);
  headDim = static_cast<int>(attention.headDim);
  valueDim = static_cast<int>(attention.valueDim);
  headLanes = lanesFor(headDim, lowering.lanes());
  valueLanes = lanesFor(valueDim, lowering.lanes());
  stagesQueries = !readsRows(lowering, attention.query, 3);
  stagesKeys = !readsRows(lowering, attention.key, 3);
  stagesValues = !readsRows(lowering, attention.value, 3);
  tileRows = 0;
  int vectors = valueDim / valueLanes;
  bool fewTasks = attention.kvHeads < enoughTasks;
  if (fewTasks && group >= tiledHeads) {
    int tiles = (group + (manyRegisters ? 7 : 3)) / (manyRegisters ? 8 : 4);
    tileRows = (group + tiles - 1) / tiles;
    valueTile = valueLanes * (vectors % 2 == 0 ? 2 : vectors % 3 == 0 ? 3 : 1);
  } else { // as many vectors as leave registers for a row of V, and a divisor of all
    int tile = std::min(vectors, manyRegisters ? 16 : 8);
    while (vectors % tile != 0)
      --tile;
    valueTile = tile * valueLanes;
  }
  block = tileRows > 0 ? 2 * lowering.lanes() : lowering.lanes();
  rowsOfHeads = tileRows == 0 && attention.kvHeads > 1 && !stagesKeys && !stagesValues &&
                hasHeadsInside(attention.key) && hasHeadsInside(attention.value);
  valueBlock = rowsOfHeads ? 4 : block;
  // What is written for a chunk, a row for each query, is little beside what is read.
  int64_t chunkKeys = rowsOfHeads ? 32 * std::clamp(group / 2, 1, 4) : 128;
  bool split = fewTasks && !(attention.keys.isStatic() && attention.keys.factor <= chunkKeys);
  split |= rowsOfHeads || tileRows > 0;
  chunkBlocks = split ? static_cast<int>(chunkKeys / block) : 0;
  partialColumns = valueDim + std::max(2, valueLanes);
  queries = lowering.extent(attention.queries);
  keys = lowering.extent(attention.keys);
  blocks = H::Internal::simplify((keys + block - 1) / block);
}

/// Behind the last key comes the last key again, which then weighs nothing.
H::Expr AttentionDecode::clamped(const H::Expr &key) const {
  return H::min(H::likely(key), keys - 1);
}

/// The query head. Tiles have more rows than a group may have heads.
H::Expr AttentionDecode::headAt() const {
  bool fits = tileRows == 0 || group % tileRows == 0;
  return g * group + (fits ? H::Expr(m) : H::min(m, group - 1));
}

/// The numbers up to `inner` in x, and in y the blocks of `size` keys of chunk c, or of all keys.
H::RDom AttentionDecode::blocksOfChunk(int inner, int size, const std::string &name) const {
  H::Expr all = H::Internal::simplify((keys + size - 1) / size);
  if (chunkBlocks == 0)
    return H::RDom(0, inner, 0, all, name);
  int count = chunkBlocks * block / size;
  H::RDom domain(0, inner, 0, count, name);
  domain.where(c * count + domain.y < all);
  return domain;
}

/// The number of a key, in block `jo` of `size` keys of chunk c.
H::Expr AttentionDecode::keyIn(const H::Expr &jo, const H::Expr &key, int size) const {
  H::Expr before = chunkBlocks == 0 ? H::Expr(0) : c * (chunkBlocks * block / size);
  return (before + jo) * size + key;
}

void AttentionDecode::defineProducts() {
  queryRows(d, m, i, g, b) = lowering.translate(attention.query, {b, headAt(), i, d});
  keyRows(d, ji, jo, c, g, b) =
      lowering.translate(attention.key, {b, g, clamped(keyIn(jo, ji, block)), d});
  product(ji, jo, m, i, c, g, b) = 0.0f;
  if (tileRows > 0) {
    H::RDom depth(0, headDim, "depth");
    keyTile(ji, d, jo, c, g, b) = keyRows(d, ji, jo, c, g, b);
    keyColumns(ji, d, jo, c, g, b) = keyTile(ji, d, jo, c, g, b);
    product(ji, jo, m, i, c, g, b) +=
        queryRows(depth, m, i, g, b) * keyColumns(ji, depth, jo, c, g, b);
    return;
  }
  H::RDom vector(0, headDim / headLanes, "vector"), lane(0, headLanes, "lane");
  H::Expr depth = vector * headLanes + u;
  keyDot(u, ji, jo, m, i, c, g, b) = 0.0f;
  keyDot(u, ji, jo, m, i, c, g, b) +=
      queryRows(depth, m, i, g, b) * keyRows(depth, ji, jo, c, g, b);
  partial(u, ji, jo, m, i, c, g, b) = keyDot(u, ji, jo, m, i, c, g, b);
  product(ji, jo, m, i, c, g, b) += partial(lane, ji, jo, m, i, c, g, b);
}

void AttentionDecode::defineScores() {
  scored = blocksOfChunk(1, block, "scored");
  H::Expr at = keyIn(scored.y, ji, block);
  ScorePlace place = {b, headAt(), i, clamped(at)};
  H::Expr ofKey = H::select(H::likely(at) < keys, scoreOfKey(lowering, attention, place), -FLT_MAX);
  H::Expr dot = product(ji, scored.y, m, i, c, g, b);
  H::Expr score = scoreOf(lowering, attention, dot, ofKey, place, at);
  // Weights of such a row follow from these as from scores; behind the last key they are dropped.
  if (ranksHidden(attention))
    score = H::select(isEmptyRow(score), hiddenScore(lowering, attention, place), score);
  scores(ji, jo, m, i, c, g, b) = H::undef<float>();
  scores(ji, scored.y, m, i, c, g, b) = score;
}

void AttentionDecode::defineSums() {
  bool whole = chunkBlocks == 0; // then the sink belongs here
  H::RDom over = blocksOfChunk(block, block, "over"), weighed = blocksOfChunk(1, block, "weighed");
  ScorePlace place = {b, headAt(), i, 0};
  rowMax(m, i, c, g, b) = whole ? firstScore(lowering, attention, place) : H::Expr(-FLT_MAX);
  rowMax(m, i, c, g, b) = H::max(rowMax(m, i, c, g, b), scores(over.x, over.y, m, i, c, g, b));
  // In an empty row all keys that count weigh 1, and nothing behind them: their mean comes out.
  H::Expr weight = weightOf(scores(ji, weighed.y, m, i, c, g, b), rowMax(m, i, c, g, b));
  weights(ji, jo, m, i, c, g, b) = H::undef<float>();
  weights(ji, weighed.y, m, i, c, g, b) =
      H::select(H::likely(keyIn(weighed.y, ji, block)) < keys, weight, 0.0f);
  rowSum(m, i, c, g, b) =
      whole ? firstWeight(lowering, attention, place, rowMax(m, i, c, g, b)) : H::Expr(0.0f);
  rowSum(m, i, c, g, b) += weights(over.x, over.y, m, i, c, g, b);

  valueRows(e, ji, jo, c, g, b) =
      lowering.translate(attention.value, {b, g, clamped(keyIn(jo, ji, valueBlock)), e});
  if (tileRows > 0) {
    tileSum(e, m, i, c, g, b) = 0.0f;
    tileSum(e, m, i, c, g, b) +=
        weights(over.x, over.y, m, i, c, g, b) * valueRows(e, over.x, over.y, c, g, b);
    weighted(e, m, i, c, g, b) = tileSum(e, m, i, c, g, b);
    return;
  }
  H::RDom inBlock(0, valueBlock, "in_block"), byBlock = blocksOfChunk(1, valueBlock, "by_block");
  int inOne = block / valueBlock;
  blockSum(e, jo, m, i, c, g, b) = 0.0f;
  blockSum(e, jo, m, i, c, g, b) +=
      weights(jo % inOne * valueBlock + inBlock, jo / inOne, m, i, c, g, b) *
      valueRows(e, inBlock, jo, c, g, b);
  weighted(e, m, i, c, g, b) = 0.0f;
  weighted(e, m, i, c, g, b) += blockSum(e, byBlock.y, m, i, c, g, b);
}

/// One row for a query and a chunk: the weighted sum, the maximum, the sum of weights. Then what
/// they are together, in the order of the chunks, head by head.
void AttentionDecode::defineParts() {
  H::Expr value = weighted(H::min(e, valueDim - 1), m, i, c, g, b);
  parts(e, m, i, c, g, b) =
      H::select(e < valueDim, value, e == valueDim, rowMax(m, i, c, g, b), rowSum(m, i, c, g, b));
  int chunkKeys = chunkBlocks * block;
  H::RDom all(0, (keys + chunkKeys - 1) / chunkKeys, "all");
  auto part = [&](const H::Expr &column, const H::Expr &chunk) {
    return parts(column, h % group, i, chunk, h / group, b);
  };
  ScorePlace place = {b, h, i, 0};
  largest(i, h, b) = firstScore(lowering, attention, place);
  largest(i, h, b) = H::max(largest(i, h, b), part(valueDim, all));
  shares(c, i, h, b) = weightOf(part(valueDim, c), largest(i, h, b));
  total(i, h, b) = firstWeight(lowering, attention, place, largest(i, h, b));
  total(i, h, b) += shares(all, i, h, b) * part(valueDim + 1, all);
  sum(e, i, h, b) = 0.0f;
  sum(e, i, h, b) += shares(all, i, h, b) * part(e, all);
  result(e, i, h, b) =
      emptyRowValue(attention, largest(i, h, b), sum(e, i, h, b) * (1.0f / total(i, h, b)));
}

H::Func AttentionDecode::define() {
  defineProducts();
  defineScores();
  defineSums();
  H::Func attended("attended");
  if (chunkBlocks > 0) {
    defineParts();
    attended(e, i, h, b) = result(e, i, h, b);
    return attended;
  }
  H::Expr value = weighted(e, m, i, 0, g, b) * (1.0f / rowSum(m, i, 0, g, b));
  result(e, m, i, g, b) = emptyRowValue(attention, rowMax(m, i, 0, g, b), value);
  attended(e, i, h, b) = result(e, h % group, i, h / group, b);
  return attended;
}

/// A reduction over the keys of a chunk: one vector of partial results, folded at the end.
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
  Extent count = isForFew ? Extent{schedule.decodeQueries, {}} : attention.queries;
  int padded = tileRows > 0 ? (group + tileRows - 1) / tileRows * tileRows : group;
  int64_t heads = rowsOfHeads ? attention.heads : padded; // of a task
  Extent rows = Extent{heads, {}} * count;
  Extent keysOfTask = chunkBlocks > 0 ? Extent{chunkBlocks * block, {}} : attention.keys;
  auto add = [&](const Extent &size) { addScratchBytes(recipe, size * Extent{4, {}}); };
  for (const Extent &perRow : {keysOfTask, Extent{block, {}}}) // scores, weights
    add(rows * perRow * Extent{2, {}});
  recipe.innerElements.push_back({rows * keysOfTask, rows * Extent{block, {}}});
  int64_t width = std::max(headDim, valueDim);
  recipe.innerElements.push_back({rows * Extent{width, {}}});
  // query_rows, weighted, attended_rows, row_max, row_sum
  add(rows * Extent{headDim + 2 * valueDim + 2, {}});
  add(Extent{int64_t(block) * (headDim + valueDim), {}}); // key_rows, key_columns, value_rows
  if (rowsOfHeads) {                                      // partial
    add(rows * Extent{int64_t(block) * headLanes, {}});
    recipe.innerElements.push_back({rows * Extent{int64_t(block) * headLanes, {}}});
  }
  add(Extent{4096, {}}); // tiles, padding
  if (chunkBlocks == 0)
    return;
  if (stagesValues && tileRows > 0)
    add(Extent{int64_t(chunkBlocks) * block * valueDim, {}});
  int64_t chunkKeys = int64_t(chunkBlocks) * block, row = attention.heads * partialColumns;
  Extent each = attention.batch * count;
  Extent perKey = each * attention.keys * Extent{(row + chunkKeys - 1) / chunkKeys, {}};
  recipe.innerElements.push_back({perKey, each * Extent{row, {}}});
  add(perKey);
  add(each * Extent{row, {}});
  add(count * Extent{valueDim * 2 + 8, {}}); // largest, total, sum, attended_rows of one head
  add(count * attention.keys);               // shares
}

/// Puts all of a task into loop `task` of `out`, up to the scores.
void AttentionDecode::scheduleProducts(H::Func out, H::Var task) {
  if (stagesQueries || tileRows > 0)
    queryRows.compute_at(out, task).vectorize(d, headLanes);
  scores.compute_at(out, task).bound_extent(ji, block);
  H::Stage scoring = scores.update();
  H::RVar byBlock = scored.y, depth = product.rvars()[0];
  if (stagesKeys)
    keyRows.compute_at(scores, byBlock).vectorize(d, headLanes);
  if (tileRows > 0) {
    int lanes = lowering.lanes();
    H::Var mo("mo"), mi("mi"), dt("dt"), di("di"), it("it"), ii("ii");
    scoring.split(m, mo, mi, tileRows, roundUp).reorder(ji, mi, scored.x, mo, i, byBlock);
    scoring.vectorize(ji, lanes).unroll(ji).unroll(mi);
    keyColumns.compute_at(scores, byBlock).bound_extent(ji, block);
    if (lanes == 16 && headDim % 4 == 0 && !stagesKeys) {
      keyColumns.split(d, dt, di, 4).split(ji, it, ii, lanes).reorder(ii, di, it, dt);
      keyColumns.vectorize(ii).unroll(di);
      transposeInRegisters(keyColumns, it, keyRows, keyTile, d, ji, lanes);
    } else {
      keyColumns.vectorize(ji, lanes).unroll(ji);
    }
    product.compute_at(scores, mo).bound_extent(ji, block).bound_extent(m, tileRows);
    product.update().reorder(ji, m, depth);
    for (H::Stage stage : {H::Stage(product), product.update()})
      stage.vectorize(ji, lanes).unroll(ji).unroll(m);
    return;
  }
  if (rowsOfHeads)
    scoring.reorder(ji, scored.x, m, i, g, byBlock);
  else
    scoring.reorder(ji, scored.x, m, i, byBlock);
  scoring.vectorize(ji);
  product.compute_at(scores, m).bound_extent(ji, block).vectorize(ji);
  product.update().reorder(depth, ji).vectorize(ji).atomic().vectorize(depth);
  partial.bound_extent(u, headLanes).bound_extent(ji, block).vectorize(u);
  H::RVar vector = keyDot.rvars()[0];
  if (rowsOfHeads) { // a key's row is read to its end
    partial.compute_at(scores, byBlock).reorder(u, m, i, g, ji);
    keyDot.compute_at(partial, m);
  } else {
    partial.compute_at(scores, m);
    keyDot.compute_at(partial, ji);
  }
  keyDot.bound_extent(u, headLanes).vectorize(u);
  keyDot.update().reorder(u, vector).vectorize(u).unroll(vector);
}

void AttentionDecode::scheduleSums(H::Func out, H::Var task) {
  reduce(rowMax, out, task);
  weights.compute_at(out, task).bound_extent(ji, block);
  weights.update().vectorize(ji);
  reduce(rowSum, out, task);
  weighted.compute_at(out, task).bound_extent(e, valueDim);
  H::Var ei("ei"), eo("eo"), mi("mi"), mo("mo");
  if (tileRows > 0) {
    weighted.split(e, eo, ei, valueTile, roundUp)
        .split(m, mo, mi, tileRows, roundUp)
        .reorder(ei, mi, mo, eo)
        .vectorize(ei, valueLanes)
        .unroll(ei)
        .unroll(mi);
    tileSum.compute_at(weighted, mo).bound_extent(e, valueTile).bound_extent(m, tileRows);
    tileSum.update().reorder(e, m, tileSum.rvars()[0], tileSum.rvars()[1]);
    for (H::Stage stage : {H::Stage(tileSum), tileSum.update()})
      stage.vectorize(e, valueLanes).unroll(e).unroll(m);
    if (stagesValues)
      valueRows.compute_at(out, task).vectorize(e, valueLanes);
    return;
  }
  H::RVar inBlock = blockSum.rvars()[0], one = weighted.rvars()[0], byBlock = weighted.rvars()[1];
  weighted.vectorize(e, valueLanes);
  H::Stage sums = weighted.update();
  sums.split(e, eo, ei, valueTile, roundUp);
  if (rowsOfHeads)
    sums.reorder(ei, eo, one, m, i, g, byBlock);
  else
    sums.reorder(ei, eo, one, m, i, byBlock);
  sums.vectorize(ei, valueLanes).unroll(ei);
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

/// A task for each chunk, and for each kv head unless its heads are read together.
void AttentionDecode::scheduleParts(H::Func out, H::Var outTask) {
  H::Var ei("ei"), eo("eo"), chunks("chunks"), task("part");
  parts.compute_root().bound(e, 0, partialColumns).split(e, eo, ei, valueLanes, roundUp);
  if (rowsOfHeads)
    parts.reorder(ei, eo, m, i, g, c, b).fuse(c, b, task);
  else
    parts.reorder(ei, eo, m, i, c, g, b).fuse(c, g, chunks).fuse(chunks, b, task);
  parts.vectorize(ei).unroll(eo);
  if (lowering.schedule.parallel)
    parts.parallel(task);
  scheduleProducts(parts, task);
  scheduleSums(parts, task);
  for (H::Func func : {largest, shares, total, sum})
    func.compute_at(out, outTask);
  sum.vectorize(e, valueLanes);
  sum.update().reorder(e, sum.rvars()[0]).vectorize(e, valueLanes);
}

void AttentionDecode::schedule(H::Func out, H::Var task) {
  announceScratch();
  if (chunkBlocks > 0) {
    scheduleParts(out, task);
  } else {
    scheduleProducts(out, task);
    scheduleSums(out, task);
  }
  result.compute_at(out, task).vectorize(e, valueLanes);
}

} // namespace rapt::kernels::halide
