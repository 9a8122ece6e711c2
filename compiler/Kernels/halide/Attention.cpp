//===- Attention.cpp - Attention and what lies before and after it -------------*- C++ -*-===//
//
// One attention stage, in f32, with whatever pointwise stages lie before and after it; a narrower
// type in memory is a cast in these. Batch, queries and keys may be dynamic, head dims are static.
// AttentionKernel.cpp and, for a few queries, AttentionDecode.cpp have the stage itself.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/AttentionDecode.h"
#include "compiler/Kernels/halide/AttentionKernel.h"
#include "compiler/Kernels/halide/AttentionOutput.h"

namespace rapt::kernels::halide {

namespace H = Halide;

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

/// One task for each batch and `heads` query heads; returns its loop.
static H::Var scheduleDecode(Lowering &lowering, Store &store, int heads) {
  std::vector<H::VarOrRVar> order = {store.value};
  if (heads > 1) { // then heads have a loop
    H::Var kvHead("kv_head"), inGroup("in_group");
    store.func.split(store.outer[0], kvHead, inGroup, heads, H::TailStrategy::RoundUp);
    order.push_back(inGroup);
    store.outer[0] = kvHead;
  }
  order.push_back(store.query);
  order.insert(order.end(), store.outer.begin(), store.outer.end());
  store.func.reorder(order);
  if (store.outer.empty())
    return H::Var::outermost();
  H::Var task = store.outer[0];
  if (store.outer.size() > 1)
    store.func.fuse(store.outer[0], store.outer[1], task = H::Var("task"));
  if (lowering.schedule.parallel)
    store.func.parallel(task);
  return task;
}

/// Tasks of several blocks of queries of a head.
static void scheduleBlocks(Lowering &lowering, Store &store, AttentionKernel &kernel) {
  H::Var task("chunk"), blocks("blocks"), block("block"), row("row");
  std::vector<H::VarOrRVar> order = {store.value, row, block, task};
  order.insert(order.end(), store.outer.begin(), store.outer.end());
  store.func.split(store.query, blocks, row, kernel.blockQueries(), H::TailStrategy::GuardWithIf)
      .split(blocks, task, block, kernel.blocksOfTask(), H::TailStrategy::GuardWithIf)
      .reorder(order);
  for (size_t i = 0; i < store.outer.size(); ++i) {
    H::Var both("task" + std::to_string(i));
    store.func.fuse(task, store.outer[i], both);
    task = both;
  }
  if (lowering.schedule.parallel)
    store.func.parallel(task);
  kernel.schedule(store.func, task, block);
}

bool buildAttention(Lowering &lowering, AttentionForm form, Recipe &recipe) {
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
  std::optional<AttentionKernel> blocks;
  std::optional<AttentionDecode> rows;
  if (form.decode)
    rows.emplace(lowering, attention, recipe);
  else
    blocks.emplace(lowering, attention, form.longKeys, recipe);
  lowering.results[stage->result] = form.decode ? rows->define() : blocks->define();
  Store store = output ? defineStore(lowering, attention, *output)
                       : defineSecondPass(lowering, *stage, recipe);
  if (output)
    recipe.outputs = {store.func};

  // SCHEDULE
  vectorizeExactly(store.func, store.value, Extent{attention.valueDim, {}}, lowering.lanes());
  if (form.decode)
    rows->schedule(store.func, scheduleDecode(lowering, store, rows->taskHeads()));
  else
    scheduleBlocks(lowering, store, *blocks);
  return true;
}

} // namespace rapt::kernels::halide
