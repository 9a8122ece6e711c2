//===- AttentionKernel.cpp - The Funcs of one attention stage ------------------*- C++ -*-===//
//
// ALGORITHM  two steps, as in the textbook: all scores of a query, their maximum, exponentials,
//            sum, and the weighted sum of values. No infinity exists inside, because fast-math may
//            assume that there is none: an excluded key scores -FLT_MAX, and a finite bias is at
//            least half of that, so that the two cannot be confused (docs/semantics.md S2). A row
//            whose maximum is the score of an excluded key is empty; in any other row such a key
//            weighs exactly 0.
// SCHEDULE   Strip: one task is up to 256 queries of one head. It packs K^T into panels once (a
//            plain strided gather: nested transposes were slower), then for blocks of 32 queries
//            computes a strip of scores for all keys that stays in L2. Both products run in
//            register tiles of 8 rows x 2 vectors (16 accumulators hide the FMA latency).
//            Unfused: the same Funcs, each stage for all heads at once through memory. The
//            baseline, which the strip beats by more the more keys there are.
// TILES      Where positions or a mask with rows exclude keys, a block of queries visits only the
//            panels of keys that one of its queries sees. Positions give the first and the last
//            panel, the mask a flag for each; everything else then is a loop over these panels.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionKernel.h"

#include "compiler/Kernels/halide/Math.h"

#include <cfloat>

namespace rapt::kernels::halide {

namespace H = Halide;

/// Scores from here down are those of excluded keys: between them and the lowest bias.
static constexpr float excludedScore = -2.5e38f;
/// Queries of one task. Each task packs K^T, which weighs less the more queries share it.
static constexpr int mostTaskQueries = 256;
/// Inner Funcs have room for whole tiles; Halide's own choice, shifting the last one, would reach
/// below row 0 where there are fewer rows than a tile has.
static constexpr H::TailStrategy roundUp = H::TailStrategy::RoundUp;

/// True if consecutive d of `value` lie side by side in a tensor that is read as it is.
static bool isContiguous(const Lowering &lowering, const ExprRef &value) {
  if (value->kind != Expr::Kind::Load || !lowering.isInput(static_cast<int>(value->integer)) ||
      value->operands.empty())
    return false;
  for (size_t i = 0; i + 1 < value->operands.size(); ++i)
    if (usesLoop(value->operands[i], 3))
      return false;
  const Expr *last = value->operands.back().get(); // d, or a sum with d as its last or first term
  while (last->kind == Expr::Kind::Binary && last->binary == BinaryOp::Add) {
    bool right = usesLoop(last->operands[1], 3);
    if (right && usesLoop(last->operands[0], 3))
      return false;
    last = last->operands[right ? 1 : 0].get();
  }
  return last->kind == Expr::Kind::Loop && last->integer == 3;
}

/// A sum with the score of an excluded key is one again.
static H::Expr snap(const H::Expr &score) {
  return H::select(score <= excludedScore, -FLT_MAX, score);
}

AttentionKernel::AttentionKernel(Lowering &lowering, const AttentionStage &attention,
                                 Recipe &recipe)
    : lowering(lowering), attention(attention), recipe(recipe) {
  lanes = lowering.lanes();
  // Two vectors wide; as many rows as leave registers for operands.
  rows = lowering.cpu.vectorRegisters >= 32 ? 8 : 4;
  panel = 2 * lanes;
  block = static_cast<int>((lowering.schedule.blockQuery + rows - 1) / rows * rows);
  taskBlocks = std::max(1, mostTaskQueries / block);
  headDim = static_cast<int>(attention.headDim);
  valueDim = static_cast<int>(attention.valueDim);
  int vectors = (valueDim + lanes - 1) / lanes;
  valueTile = lanes * (vectors % 2 == 0 ? 2 : vectors % 3 == 0 ? 3 : 1);
  paddedValue = vectors * lanes;
  queries = lowering.extent(attention.queries);
  keys = lowering.extent(attention.keys);
  panels = H::Internal::simplify((keys + panel - 1) / panel);
  strip = lowering.schedule.variant == Schedule::Variant::Strip;
  // Values with a short last vector are copied and padded; long static ones copied because their
  // rows are pages apart.
  packValues = valueDim % lanes != 0 || !isContiguous(lowering, attention.value) ||
               (attention.keys.isStatic() && attention.keys.factor >= 1024);
  canBeEmpty = attention.bias || attention.mask || attention.causalOffset || attention.windowOffset;
  tiled = attention.mask && usesLoop(attention.mask, 2);
  skips = tiled || attention.causalOffset || attention.windowOffset;
  means = skips && attention.emptyRow == AttentionStage::EmptyRow::Mean;
}

/// A diagonal of the scores; the sum with a position stays in 32 bits.
H::Expr AttentionKernel::offset(const ExprRef &expr) const {
  H::Expr most = 1 << 29;
  return H::clamp(H::cast<int>(lowering.translate(expr, {b, h, r, j})), -most, most);
}

/// The bias without infinities. A loaded -infinity is told by its bits, which fast-math leaves
/// alone; constants in a computed bias were made finite when they were translated.
H::Expr AttentionKernel::biasAt(const H::Expr &row, const H::Expr &key) const {
  H::Expr bias = translate(attention.bias, h, row, key);
  const Expr &source =
      attention.bias->kind == Expr::Kind::Cast ? *attention.bias->operands[0] : *attention.bias;
  if (source.kind != Expr::Kind::Load)
    return snap(bias);
  H::Expr isInfinite = H::reinterpret<uint32_t>(bias) == H::Expr(0xff800000u);
  return H::select(isInfinite, -FLT_MAX, H::max(bias, Lowering::lowestFinite));
}

/// What a key adds to the score of every query: the bias and mask that do not depend on the query,
/// and the exclusion of the padding behind the last key.
H::Expr AttentionKernel::keyBiasAt() const {
  H::Expr key = H::min(H::likely(j), keys - 1), sum = 0.0f;
  if (attention.bias && !usesLoop(attention.bias, 2))
    sum = biasAt(0, key);
  if (attention.mask && !tiled)
    sum = H::select(translate(attention.mask, h, 0, key), sum, -FLT_MAX);
  return H::select(H::likely(j) < keys, sum, -FLT_MAX);
}

/// The score of query r of block t and key ji of a panel: S1, with exclusions at -FLT_MAX.
H::Expr AttentionKernel::scoreAt(const H::Expr &panelIndex) const {
  // Scaling the sum rounds once; scaling the query first would round every product. It is free
  // either way: with the bias it is one fused operation.
  H::Expr score = product(ji, r, panelIndex, t, h, b) * static_cast<float>(attention.scale);
  H::Expr at = panelIndex * panel + ji, position = t * block + r;
  H::Expr key = H::min(H::likely(at), keys - 1), row = H::min(position, queries - 1);
  if (attention.softcap > 0) {
    float cap = static_cast<float>(attention.softcap);
    score = tanhAny(score * (1.0f / cap)) * cap;
  }
  if (attention.bias && usesLoop(attention.bias, 2))
    score = snap(score + biasAt(row, key));
  score += keyBias(at, h, b);
  if (canBeEmpty)
    score = snap(score);
  if (tiled)
    score = H::select(translate(attention.mask, h, row, key), score, -FLT_MAX);
  if (attention.causalOffset)
    score = H::select(at <= row + offset(*attention.causalOffset), score, -FLT_MAX);
  if (attention.windowOffset)
    score = H::select(at >= row + offset(*attention.windowOffset), score, -FLT_MAX);
  return score;
}

H::Expr AttentionKernel::valueAt(const H::Expr &key) const {
  H::Expr kvHead = h / static_cast<int>(attention.heads / attention.kvHeads);
  if (valueDim == paddedValue)
    return translate(attention.value, kvHead, key, d);
  return H::select(d < valueDim, translate(attention.value, kvHead, key, H::min(d, valueDim - 1)),
                   0.0f);
}

/// Leaves in `domain`, whose panels are `panelIndex`, those that one of `count` queries from
/// index * count on sees.
void AttentionKernel::restrict(H::RDom &domain, const H::Expr &panelIndex, const H::Expr &index,
                               int count, const H::Func &seen) const {
  H::Expr first = index * count;
  if (attention.causalOffset)
    domain.where(panelIndex <= (first + count - 1 + offset(*attention.causalOffset)) / panel);
  if (attention.windowOffset)
    domain.where(panelIndex >= (first + offset(*attention.windowOffset)) / panel);
  if (tiled)
    domain.where(seen(panelIndex, index, h, b) != 0);
}

/// Whether a block, and a task, has a query that sees a key of a panel.
void AttentionKernel::defineTiles() {
  H::RDom inTile(0, panel, 0, block, "in_tile"), inTask(0, taskBlocks, "in_task");
  inTile.where(inTile.y < queries - t * block);
  inTask.where(inTask < (queries + block - 1) / block - c * taskBlocks);
  H::Expr row = H::min(t * block + inTile.y, queries - 1),
          key = H::min(H::likely(jo * panel + inTile.x), keys - 1);
  seenTiles(jo, t, h, b) = H::cast<uint8_t>(0);
  seenTiles(jo, t, h, b) =
      H::max(seenTiles(jo, t, h, b), H::cast<uint8_t>(translate(attention.mask, h, row, key)));
  seenPanels(jo, c, h, b) = H::cast<uint8_t>(0);
  seenPanels(jo, c, h, b) =
      H::max(seenPanels(jo, c, h, b), seenTiles(jo, c * taskBlocks + inTask, h, b));
}

void AttentionKernel::defineOperands() {
  H::Expr kvHead = h / static_cast<int>(attention.heads / attention.kvHeads);
  queryRows(d, r, t, h, b) = translate(attention.query, h, H::min(t * block + r, queries - 1), d);
  auto keyAt = [&](const H::Expr &panelIndex) {
    H::Expr key = H::min(H::likely(panelIndex * panel + ji), keys - 1);
    return translate(attention.key, kvHead, key, d);
  };
  keyBias(j, h, b) = keyBiasAt();
  if (!skips || !strip)
    keyPanels(ji, d, jo, c, h, b) = keyAt(jo);
  if (!skips || !strip || !packValues)
    valueRows(d, j, c, h, b) = valueAt(packValues ? H::min(j, keys - 1) : H::Expr(j));
  if (!skips || !strip)
    return;
  // What a task leaves out it does not pack either.
  byTaskPanel = H::RDom(0, panels, "by_task_panel");
  restrict(byTaskPanel, byTaskPanel, c, taskQueries(), seenPanels);
  keyPanels(ji, d, jo, c, h, b) = H::undef<float>();
  keyPanels(ji, d, byTaskPanel, c, h, b) = keyAt(byTaskPanel);
  if (!packValues)
    return;
  byTaskKey = H::RDom(0, panel, 0, panels, "by_task_key");
  restrict(byTaskKey, byTaskKey.y, c, taskQueries(), seenPanels);
  H::Expr key = byTaskKey.y * panel + byTaskKey.x;
  valueRows(d, j, c, h, b) = H::undef<float>();
  valueRows(d, key, c, h, b) = valueAt(H::min(key, keys - 1));
}

void AttentionKernel::defineSums() {
  H::Expr chunk = strip ? H::Expr(t / taskBlocks) : H::Expr(0);
  if (!skips) {
    H::RDom rj(0, keys, "rj");
    weighted(di, r, dt, t, h, b) += weights(rj % panel, rj / panel, r, t, h, b) *
                                    valueRows(dt * valueTile + di, rj, chunk, h, b);
    return;
  }
  H::RDom byKey(0, panel, 0, panels, "rj");
  restrict(byKey, byKey.y, t, block, seenTiles);
  H::Expr key = byKey.y * panel + byKey.x;
  if (!packValues)
    byKey.where(byKey.x < keys - byKey.y * panel);
  weighted(di, r, dt, t, h, b) +=
      weights(byKey.x, byKey.y, r, t, h, b) * valueRows(dt * valueTile + di, key, chunk, h, b);
}

H::Func AttentionKernel::define() {
  H::RDom rd(0, headDim, "rd");
  H::Expr chunk = strip ? H::Expr(t / taskBlocks) : H::Expr(0);
  if (tiled)
    defineTiles();
  defineOperands();
  over = H::RDom(0, panel, 0, panels, "over");
  byPanel = H::RDom(0, panels, "by_panel");
  restrict(over, over.y, t, block, seenTiles);
  restrict(byPanel, byPanel, t, block, seenTiles);

  product(ji, r, jo, t, h, b) = 0.0f;
  product(ji, r, jo, t, h, b) += queryRows(rd, r, t, h, b) * keyPanels(ji, rd, jo, chunk, h, b);
  auto weightAt = [&](const H::Expr &panelIndex) {
    H::Expr below = scores(ji, panelIndex, r, t, h, b) - rowMax(r, t, h, b);
    return H::select(below < -87.0f, 0.0f, expNonPositive(below));
  };
  if (skips) {
    scores(ji, jo, r, t, h, b) = H::undef<float>();
    scores(ji, byPanel, r, t, h, b) = scoreAt(byPanel);
  } else {
    scores(ji, jo, r, t, h, b) = scoreAt(jo);
  }
  rowMax(r, t, h, b) = -FLT_MAX;
  rowMax(r, t, h, b) = H::max(rowMax(r, t, h, b), scores(over.x, over.y, r, t, h, b));
  if (skips) {
    weights(ji, jo, r, t, h, b) = H::undef<float>();
    weights(ji, byPanel, r, t, h, b) = weightAt(byPanel);
  } else {
    weights(ji, jo, r, t, h, b) = weightAt(jo);
  }
  rowSum(r, t, h, b) = 0.0f;
  rowSum(r, t, h, b) += weights(over.x, over.y, r, t, h, b);
  weighted(di, r, dt, t, h, b) = 0.0f;
  defineSums();

  H::Expr sum = weighted(d % valueTile, r, d / valueTile, t, h, b);
  H::Expr total = rowSum(r, t, h, b);
  // Nothing at all may have been added; a row that is not empty has a weight of 1.
  H::Expr factor = 1.0f / (skips ? H::max(total, 0.5f) : total);
  H::Expr empty = rowMax(r, t, h, b) <= excludedScore;
  if (!canBeEmpty) {
    result(d, r, t, h, b) = sum * factor;
  } else if (means) {
    H::RDom inBlock(0, block, "in_block"), all(0, keys, "all");
    H::Expr row = H::min(inBlock, queries - 1 - t * block);
    emptyBlock(t, h, b) = H::cast<uint8_t>(0);
    emptyBlock(t, h, b) =
        H::max(emptyBlock(t, h, b), H::cast<uint8_t>(rowMax(row, t, h, b) <= excludedScore));
    all.where(emptyBlock(t, h, b) != 0);
    meanValue(d, t, h, b) = 0.0f;
    meanValue(d, t, h, b) += valueAt(all);
    result(d, r, t, h, b) = H::select(empty, meanValue(d, t, h, b) * (1.0f / keys), sum * factor);
  } else if (attention.emptyRow == AttentionStage::EmptyRow::Mean) {
    // Every key of such a row has weight 1, excluded ones too.
    result(d, r, t, h, b) = sum * H::select(empty, 1.0f / keys, factor);
  } else if (attention.emptyRow == AttentionStage::EmptyRow::Zero) {
    result(d, r, t, h, b) = sum * H::select(empty, 0.0f, factor);
  } else { // NaN as an integer: fast-math knows none
    H::Expr nan = H::cast<int32_t>(0x7fc00000);
    result(d, r, t, h, b) =
        H::reinterpret<float>(H::select(empty, nan, H::reinterpret<int32_t>(sum * factor)));
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
  perKey(outer * Extent{headDim, {}}, 4);
  perKey(outer, 4);
  if (packValues)
    perKey(outer * Extent{paddedValue, {}}, 4);
  std::vector<Extent> rowTerms = {Extent{block, {}}};
  if (!strip) // the last block's tiles are rounded up
    rowTerms = {attention.queries, Extent{block + 4 * rows, {}}};
  for (const Extent &count : rowTerms) {
    perKey(outer * count, 8); // scores, weights
    // query_rows, result, row_max, row_sum, mean_value
    addTerm(outer * count * Extent{headDim + 2 * paddedValue + 3, {}}, 4);
  }
  if (tiled) { // a flag for each panel and block, and for each panel and task
    perKey(outer, 2 * (taskBlocks + 1));
    if (!strip)
      perKey(outer * attention.queries, 1);
  }
  addTerm(Extent{8192, {}}, 4); // tiles, partial results, padding
}

/// What a task computes once: packed keys and values, biases of keys.
void AttentionKernel::scheduleOperands(const Place &perHead, const Place &perBlock) {
  perHead(keyPanels);
  H::Stage packed = skips && strip ? keyPanels.update() : H::Stage(keyPanels);
  keyPanels.bound_extent(ji, panel);
  if (skips && strip)
    packed.reorder(ji, d, byTaskPanel);
  packed.vectorize(ji, lanes).unroll(ji);
  perHead(keyBias);
  keyBias.vectorize(j, lanes, roundUp);
  if (packValues) {
    perHead(valueRows);
    if (skips && strip)
      valueRows.update().reorder(d, byTaskKey.x, byTaskKey.y).vectorize(d, lanes, roundUp);
    else
      valueRows.vectorize(d, lanes, roundUp);
  }
  perBlock(queryRows);
  vectorizeExactly(queryRows, d, Extent{headDim, {}}, lanes);
}

void AttentionKernel::scheduleTiles(const Place &perHead, const Place &perBlock) {
  if (tiled) {
    H::RVar x = seenTiles.rvars(0)[0], y = seenTiles.rvars(0)[1];
    H::Var u("u");
    H::Func partial = seenTiles.update().rfactor(x, u);
    perHead(seenTiles);
    partial.compute_at(seenTiles, jo).vectorize(u);
    partial.update().reorder(u, y).vectorize(u);
    seenTiles.update().atomic().vectorize(x);
    if (strip)
      perHead(seenPanels);
  }
  if (means) {
    perBlock(emptyBlock);
    perBlock(meanValue);
    meanValue.vectorize(d, lanes, roundUp);
    meanValue.update().reorder(d, meanValue.rvars()[0]).vectorize(d, lanes, roundUp);
  }
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

  // Panels outside, row tiles inside: a panel of K^T stays in L1 for all rows of the block.
  H::Var it("it"), ii("ii");
  perBlock(scores);
  scores.bound_extent(ji, panel);
  H::Stage tile = skips ? scores.update() : H::Stage(scores);
  tile.split(r, it, ii, rows, roundUp);
  if (skips)
    tile.reorder(ji, ii, it, byPanel);
  else
    tile.reorder(ji, ii, it, jo);
  tile.vectorize(ji, lanes).unroll(ji).unroll(ii);
  product.compute_at(scores, it)
      .bound_extent(ji, panel)
      .bound_extent(r, rows)
      .vectorize(ji, lanes)
      .unroll(ji)
      .unroll(r);
  H::RVar rd = product.rvars()[0];
  product.update().reorder(ji, r, rd).vectorize(ji, lanes).unroll(ji).unroll(r);

  reduce(rowMax, perBlock);
  perBlock(weights);
  weights.bound_extent(ji, panel);
  if (skips)
    weights.update().reorder(ji, byPanel, r).vectorize(ji, panel);
  else
    weights.vectorize(ji, panel);
  reduce(rowSum, perBlock);
  scheduleTiles(perHead, perBlock);

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
