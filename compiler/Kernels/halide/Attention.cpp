//===- Attention.cpp - softmax(scale * q k^T + bias, masked) v -----------------*- C++ -*-===//
//
// One attention stage (docs/semantics.md S1 to S5) with whatever pointwise stages lie before and
// after it. f32; batch, queries and keys may be dynamic, head dims are static.
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
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionOutput.h"
#include "compiler/Kernels/halide/Math.h"
#include "compiler/Kernels/halide/Recipes.h"

#include <cfloat>
#include <functional>

namespace rapt::kernels::halide {

namespace H = Halide;

/// Scores from here down are those of excluded keys: between them and the lowest bias.
static constexpr float excludedScore = -2.5e38f;
/// Queries of one task. Each task packs K^T, which weighs less the more queries share it.
static constexpr int taskQueries = 256;

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

namespace {
/// The Funcs of one attention stage. Arguments are innermost first and end with h, b.
class AttentionKernel {
public:
  AttentionKernel(Lowering &lowering, const AttentionStage &attention, Recipe &recipe)
      : lowering(lowering), attention(attention), recipe(recipe) {
    lanes = lowering.lanes();
    // Two vectors wide; as many rows as leave registers for operands.
    rows = lowering.cpu.vectorRegisters >= 32 ? 8 : 4;
    panel = 2 * lanes;
    block = static_cast<int>((lowering.schedule.blockQuery + rows - 1) / rows * rows);
    headDim = static_cast<int>(attention.headDim);
    valueDim = static_cast<int>(attention.valueDim);
    int vectors = (valueDim + lanes - 1) / lanes;
    valueTile = lanes * (vectors % 2 == 0 ? 2 : vectors % 3 == 0 ? 3 : 1);
    paddedValue = vectors * lanes;
    queries = lowering.extent(attention.queries);
    keys = lowering.extent(attention.keys);
    panels = H::Internal::simplify((keys + panel - 1) / panel);
    // Values with a short last vector are copied and padded; long static ones copied because their
    // rows are pages apart.
    packValues = valueDim % lanes != 0 || !isContiguous(lowering, attention.value) ||
                 (attention.keys.isStatic() && attention.keys.factor >= 1024);
    canBeEmpty = attention.bias || attention.mask || attention.causalOffset;
  }

  int blockQueries() const { return block; }
  H::Func define();
  void schedule(H::Func out, H::Var task, H::Var blockLoop);

private:
  Lowering &lowering;
  const AttentionStage &attention;
  Recipe &recipe;
  int lanes, rows, panel, block, headDim, valueDim, valueTile, paddedValue;
  H::Expr queries, keys, panels;
  bool packValues, canBeEmpty;

  H::Var d{"d"}, i{"i"}, j{"j"}, h{"h"}, b{"b"}, ji{"ji"}, jo{"jo"}, di{"di"}, dt{"dt"};
  H::RDom over{0, 1}; ///< all keys as (within a panel, panel)
  H::Func queryRows{"query_rows"}, keyPanels{"key_panels"}, valueRows{"value_rows"},
      keyBias{"key_bias"};
  H::Func product{"product"}, scores{"scores"}, rowMax{"row_max"}, weights{"weights"},
      rowSum{"row_sum"};
  H::Func weighted{"weighted"}, result{"attended"};

  H::Expr translate(const ExprRef &expr, const H::Expr &head, const H::Expr &row,
                    const H::Expr &last) const {
    return lowering.translate(expr, {b, head, row, last});
  }
  /// A sum with the score of an excluded key is one again.
  H::Expr snap(const H::Expr &score) const {
    return H::select(score <= excludedScore, -FLT_MAX, score);
  }
  H::Expr biasAt(const H::Expr &row, const H::Expr &key) const;
  H::Expr keyBiasAt() const;
  H::Expr scoreAt() const;
  void addTerm(const Extent &count, int64_t bytes) { addScratch(recipe, {count}, bytes); }
  void reduce(H::Func func, const std::function<void(H::Func)> &place);
  void announceScratch(bool strip);
};
} // namespace

/// The bias without infinities. A loaded -infinity is told by its bits, which fast-math leaves
/// alone; constants in a computed bias were made finite when they were translated.
H::Expr AttentionKernel::biasAt(const H::Expr &row, const H::Expr &key) const {
  H::Expr bias = translate(attention.bias, h, row, key);
  if (attention.bias->kind != Expr::Kind::Load)
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
  if (attention.mask && !usesLoop(attention.mask, 2))
    sum = H::select(translate(attention.mask, h, 0, key), sum, -FLT_MAX);
  return H::select(H::likely(j) < keys, sum, -FLT_MAX);
}

/// The score of query i and key j: S1, with exclusions at -FLT_MAX.
H::Expr AttentionKernel::scoreAt() const {
  // Scaling the sum rounds once; scaling the query first would round every product. It is free
  // either way: with the bias it is one fused operation.
  H::Expr score = product(j % panel, i, j / panel, h, b) * static_cast<float>(attention.scale);
  H::Expr key = H::min(j, keys - 1), row = H::min(i, queries - 1);
  if (attention.softcap > 0) {
    float cap = static_cast<float>(attention.softcap);
    score = tanhAny(score * (1.0f / cap)) * cap;
  }
  if (attention.bias && usesLoop(attention.bias, 2))
    score = snap(score + biasAt(row, key));
  score += keyBias(j, h, b);
  if (canBeEmpty)
    score = snap(score);
  if (attention.mask && usesLoop(attention.mask, 2))
    score = H::select(translate(attention.mask, h, row, key), score, -FLT_MAX);
  if (attention.causalOffset)
    score = H::select(j <= row + H::cast<int>(translate(*attention.causalOffset, h, row, key)),
                      score, -FLT_MAX);
  return score;
}

H::Func AttentionKernel::define() {
  H::Expr kvHead = h / static_cast<int>(attention.heads / attention.kvHeads);
  H::Expr key = H::min(H::likely(jo * panel + ji), keys - 1);
  H::RDom rd(0, headDim, "rd"), rj(0, keys, "rj");
  over = H::RDom(0, panel, 0, panels, "over");
  H::Expr at = over.y * panel + over.x;

  queryRows(d, i, h, b) = translate(attention.query, h, H::min(i, queries - 1), d);
  keyPanels(ji, d, jo, h, b) = translate(attention.key, kvHead, key, d);
  keyBias(j, h, b) = keyBiasAt();
  product(ji, i, jo, h, b) = 0.0f;
  product(ji, i, jo, h, b) += queryRows(rd, i, h, b) * keyPanels(ji, rd, jo, h, b);
  scores(j, i, h, b) = scoreAt();
  rowMax(i, h, b) = -FLT_MAX;
  rowMax(i, h, b) = H::max(rowMax(i, h, b), scores(at, i, h, b));
  H::Expr below = scores(j, i, h, b) - rowMax(i, h, b);
  weights(j, i, h, b) = H::select(below < -87.0f, 0.0f, expNonPositive(below));
  rowSum(i, h, b) = 0.0f;
  rowSum(i, h, b) += weights(at, i, h, b);

  H::Expr value = translate(attention.value, kvHead, j, H::min(d, valueDim - 1));
  valueRows(d, j, h, b) = valueDim == paddedValue ? translate(attention.value, kvHead, j, d)
                                                  : H::select(d < valueDim, value, 0.0f);
  weighted(di, i, dt, h, b) = 0.0f;
  weighted(di, i, dt, h, b) += weights(rj, i, h, b) * valueRows(dt * valueTile + di, rj, h, b);

  H::Expr sum = weighted(d % valueTile, i, d / valueTile, h, b), factor = 1.0f / rowSum(i, h, b);
  H::Expr empty = rowMax(i, h, b) <= excludedScore;
  if (!canBeEmpty) {
    result(d, i, h, b) = sum * factor;
  } else if (attention.emptyRow == AttentionStage::EmptyRow::Mean) {
    // Every key of such a row has weight 1, excluded ones too.
    result(d, i, h, b) = sum * H::select(empty, 1.0f / keys, factor);
  } else if (attention.emptyRow == AttentionStage::EmptyRow::Zero) {
    result(d, i, h, b) = sum * H::select(empty, 0.0f, factor);
  } else { // NaN as an integer: fast-math knows none
    H::Expr nan = H::cast<int32_t>(0x7fc00000);
    result(d, i, h, b) =
        H::reinterpret<float>(H::select(empty, nan, H::reinterpret<int32_t>(sum * factor)));
  }
  return result;
}

/// A reduction over `over`: one panel's width of partial results, folded at the end.
void AttentionKernel::reduce(H::Func func, const std::function<void(H::Func)> &place) {
  H::Var u("u");
  H::Func partial = func.update().rfactor(over.x, u);
  place(func);
  partial.compute_at(func, i).vectorize(u, lanes).unroll(u);
  partial.update().reorder(u, over.y).vectorize(u, lanes).unroll(u);
  func.update().atomic().vectorize(over.x, lanes).unroll(over.x);
}

void AttentionKernel::announceScratch(bool strip) {
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
  if (!strip)
    rowTerms = {attention.queries,
                Extent{block + 4 * rows, {}}}; // the last block's tiles are rounded up
  for (const Extent &count : rowTerms) {
    perKey(outer * count, 8); // scores, weights
    addTerm(outer * count * Extent{headDim + paddedValue + 2, {}},
            4); // query_rows, result, row_max, row_sum
  }
  addTerm(Extent{8192, {}}, 4); // tiles, partial results, padding
}

void AttentionKernel::schedule(H::Func out, H::Var task, H::Var blockLoop) {
  bool strip = lowering.schedule.variant == Schedule::Variant::Strip;
  auto perHead = [&](H::Func func) {
    if (strip) {
      func.compute_at(out, task);
      return;
    }
    H::Var head("head");
    func.compute_root().fuse(h, b, head);
    if (lowering.schedule.parallel)
      func.parallel(head);
  };
  auto perBlock = [&](H::Func func) {
    if (strip)
      func.compute_at(out, blockLoop);
    else
      perHead(func);
  };
  announceScratch(strip);
  // Inner Funcs have room for whole tiles; Halide's own choice, shifting the last one, would reach
  // below row 0 where there are fewer rows than a tile has.
  const H::TailStrategy roundUp = H::TailStrategy::RoundUp;

  perHead(keyPanels);
  keyPanels.vectorize(ji, lanes).unroll(ji);
  perHead(keyBias);
  keyBias.vectorize(j, lanes, roundUp);
  if (packValues) {
    perHead(valueRows);
    valueRows.vectorize(d, lanes, roundUp);
  }
  perBlock(queryRows);
  vectorizeExactly(queryRows, d, Extent{headDim, {}}, lanes);

  // Panels outside, row tiles inside: a panel of K^T stays in L1 for all rows of the block.
  H::Var it("it"), ii("ii");
  perBlock(scores);
  scores.split(j, jo, ji, panel, roundUp)
      .split(i, it, ii, rows, roundUp)
      .reorder(ji, ii, it, jo)
      .vectorize(ji, lanes)
      .unroll(ji)
      .unroll(ii);
  product.compute_at(scores, it)
      .bound_extent(ji, panel)
      .bound_extent(i, rows)
      .vectorize(ji, lanes)
      .unroll(ji)
      .unroll(i);
  H::RVar rd = product.rvars()[0];
  product.update().reorder(ji, i, rd).vectorize(ji, lanes).unroll(ji).unroll(i);

  reduce(rowMax, perBlock);
  perBlock(weights);
  weights.vectorize(j, panel, roundUp);
  reduce(rowSum, perBlock);

  result.compute_at(out, blockLoop);
  result.split(d, dt, di, valueTile, roundUp)
      .split(i, it, ii, rows, roundUp)
      .reorder(di, ii, it, dt)
      .vectorize(di, lanes)
      .unroll(di)
      .unroll(ii);
  weighted.compute_at(result, it)
      .bound_extent(di, valueTile)
      .bound_extent(i, rows)
      .vectorize(di, lanes)
      .unroll(di)
      .unroll(i);
  H::RVar rj = weighted.rvars()[0];
  weighted.update().reorder(di, i, rj).vectorize(di, lanes).unroll(di).unroll(i);
}

/// The Func that stores, and its loops in the roles of the attention's.
namespace {
struct Store {
  H::Func func;
  H::Var value, query;
  std::vector<H::Var> outer; ///< h, b, as far as they have loops
};
} // namespace

/// The output over its own loops; a merged loop is split into heads and their dims.
static Store defineStore(Lowering &lowering, const AttentionStage &attention,
                         const AttentionOutput &output) {
  const Tensor &tensor = lowering.spec.tensors[lowering.spec.outputs[0]];
  int rank = static_cast<int>(tensor.shape.size());
  std::vector<H::Var> loops = Lowering::loopVars(rank);
  Store store{H::Func("out"), loops[output.value], loops[output.query], {}};
  std::vector<H::Expr> indices(loops.begin(), loops.end());
  store.func(Lowering::coordinates(rank)) =
      H::cast(storageType(tensor.type), lowering.translate(output.body, indices));
  lowering.describe(store.func.output_buffer(), tensor);
  if (output.mergedHeads()) {
    H::Var head("out_h"), value("out_d");
    store.func.split(store.value, head, value, static_cast<int>(attention.valueDim),
                     H::TailStrategy::RoundUp);
    store.value = value;
    store.outer.push_back(head);
  } else if (output.head >= 0) {
    store.outer.push_back(loops[output.head]);
  }
  if (output.batch >= 0)
    store.outer.push_back(loops[output.batch]);
  return store;
}

/// The result in a buffer of its own, and the stages after it as a second pass.
static Store defineSecondPass(Lowering &lowering, const Stage &stage, Recipe &recipe) {
  const KernelSpec &spec = lowering.spec;
  std::vector<H::Var> args = Lowering::coordinates(4);
  Store store{H::Func("heads"), args[0], args[1], {args[2], args[3]}};
  store.func(args) = lowering.results[stage.result](std::vector<H::Expr>(args.begin(), args.end()));
  store.func.compute_root();
  lowering.results[stage.result] = store.func;
  addScratch(recipe, spec.tensors[stage.result].shape, 4);
  bool after = false;
  for (const Stage &later : spec.stages) {
    if (after)
      lowering.define(later);
    after |= &later == &stage;
  }
  defineOutputs(lowering, recipe);
  size_t next = 0;
  for (H::Func &func : recipe.outputs) {
    const std::vector<Extent> &shape = spec.tensors[spec.outputs[next]].shape;
    next += func.output_buffers().size();
    if (shape.empty())
      continue;
    fuseIntoTasks(lowering, func, 1, shape.back());
    vectorizeExactly(func, func.args()[0], shape.back(), lowering.lanes());
  }
  return store;
}

bool buildAttention(Lowering &lowering, Recipe &recipe) {
  const KernelSpec &spec = lowering.spec;
  const Stage *stage = nullptr;
  for (const Stage &candidate : spec.stages) {
    if (candidate.attention ? stage != nullptr : candidate.loop.reduction != Reduction::None)
      return false;
    if (candidate.attention)
      stage = &candidate;
  }
  if (!stage || spec.tensors[stage->result].type != ScalarType::F32)
    return false;
  const AttentionStage &attention = *stage->attention;
  lowering.finite = true;
  std::optional<AttentionOutput> output = matchAttentionOutput(spec, *stage);

  // ALGORITHM: stages before attention are inlined into its operands. Where the tail is no
  // permutation, the result goes to a buffer of its own and the tail is a second pass.
  for (const Stage &before : spec.stages) {
    if (&before == stage)
      break;
    lowering.define(before);
  }
  AttentionKernel kernel(lowering, attention, recipe);
  lowering.results[stage->result] = kernel.define();
  Store store = output ? defineStore(lowering, attention, *output)
                       : defineSecondPass(lowering, *stage, recipe);
  if (output)
    recipe.outputs = {store.func};

  // SCHEDULE
  H::Var task("chunk"), inChunk("in_chunk"), block("block"), row("row");
  int blockQueries = kernel.blockQueries(),
      chunkQueries = std::max(1, taskQueries / blockQueries) * blockQueries;
  std::vector<H::VarOrRVar> order = {store.value, row, block, task};
  order.insert(order.end(), store.outer.begin(), store.outer.end());
  store.func.split(store.query, task, inChunk, chunkQueries, H::TailStrategy::GuardWithIf)
      .split(inChunk, block, row, blockQueries, H::TailStrategy::GuardWithIf)
      .reorder(order);
  for (size_t i = 0; i < store.outer.size(); ++i) {
    H::Var both("task" + std::to_string(i));
    store.func.fuse(task, store.outer[i], both);
    task = both;
  }
  if (lowering.schedule.parallel)
    store.func.parallel(task);
  vectorizeExactly(store.func, store.value, Extent{attention.valueDim, {}}, lowering.lanes());
  kernel.schedule(store.func, task, block);
  return true;
}

} // namespace rapt::kernels::halide
