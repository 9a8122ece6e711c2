//===- Rows.cpp - Reductions along rows, one pass over memory ------------------*- C++ -*-===//
//
// LayerNorm, softmax, L2 norm, embedding + norm: chains of pointwise stages and reductions that all
// work on one row at a time.
//
// ALGORITHM  every stage is a Func over (row loops..., inner loops...).
// SCHEDULE   one loop over all rows, in tasks. Per row: what is read twice (the centred values, the
//            exponentials) is computed once into a buffer that stays in L1; everything else is
//            inlined; sums run in several vectors of partial results. So the inputs are read and
//            the outputs written once.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

namespace H = Halide;

/// True if every load of a stage's result in `expr` is at the same row: its first `rank` indices
/// are Loop(0), Loop(1)...
static bool staysInRow(const KernelSpec &spec, const ExprRef &expr, size_t rank) {
  if (expr->kind == Expr::Kind::Load && expr->integer >= spec.numInputs) {
    if (expr->operands.size() < rank)
      return false;
    for (size_t i = 0; i < rank; ++i)
      if (expr->operands[i]->kind != Expr::Kind::Loop ||
          expr->operands[i]->integer != static_cast<int64_t>(i))
        return false;
  }
  for (const ExprRef &operand : expr->operands)
    if (!staysInRow(spec, operand, rank))
      return false;
  return true;
}

/// The number of row loops, or 0 if the kernel is not one of rows: outputs of one shape, all stages
/// over the same row loops.
static size_t rowRank(const KernelSpec &spec) {
  const std::vector<Extent> &shape = spec.tensors[spec.outputs[0]].shape;
  size_t rank = shape.size();
  for (int output : spec.outputs)
    if (spec.tensors[output].shape != shape || output < spec.numInputs)
      return 0;
  for (const Stage &stage : spec.stages) {
    if (stage.attention)
      return 0;
    if (stage.loop.reduction != Reduction::None)
      rank = std::min<size_t>(rank, stage.loop.parallel);
  }
  for (const Stage &stage : spec.stages) {
    if (static_cast<size_t>(stage.loop.parallel) < rank || !staysInRow(spec, stage.loop.body, rank))
      return 0;
    for (size_t i = 0; i < rank; ++i)
      if (!(stage.loop.loops[i] == shape[i]))
        return 0;
  }
  return rank;
}

bool buildRows(Lowering &lowering, Recipe &recipe) {
  const KernelSpec &spec = lowering.spec;
  size_t rank = rowRank(spec);
  if (rank == 0)
    return false;

  // ALGORITHM
  std::map<int, std::vector<H::RVar>> reduced;
  for (const Stage &stage : spec.stages)
    lowering.define(stage, &reduced[stage.result]);
  defineOutputs(lowering, recipe);
  H::Func out = recipe.outputs[0];

  // SCHEDULE
  const std::vector<Extent> &shape = spec.tensors[spec.outputs[0]].shape;
  size_t inner = shape.size() - rank;
  Extent row;
  for (const Stage &stage : spec.stages) { // the work of a row is that of its largest stage
    Extent size;
    for (size_t i = rank; i < stage.loop.loops.size(); ++i)
      size = size * stage.loop.loops[i];
    if (!row.isStatic() || (size.isStatic() && size.factor < row.factor))
      continue;
    row = size;
  }
  H::Var at = fuseIntoTasks(lowering, out, inner, row);
  if (inner > 0)
    vectorizeExactly(out, out.args()[0], shape.back(), lowering.lanes());

  for (const Stage &stage : spec.stages) {
    H::Func func = lowering.results.at(stage.result);
    const LoopStage &loop = stage.loop;
    size_t parallel = loop.parallel;
    std::vector<Extent> perRow(loop.loops.begin() + rank, loop.loops.begin() + parallel);
    int64_t bytes = byteWidth(spec.tensors[stage.result].type);
    if (loop.reduction == Reduction::None) {
      if (countUses(spec, stage) < 2)
        continue;
      func.compute_at(out, at);
      if (parallel > rank)
        vectorizeExactly(func, func.args()[0], loop.loops[parallel - 1], lowering.lanes());
    } else if (parallel == rank) {
      reduceInLanes(lowering, func, reduced[stage.result][0], loop.loops.back(), out, at);
    } else { // a reduction inside the row that keeps some of its dims: vectors along the innermost
             // kept
      func.compute_at(out, at);
      vectorizeExactly(func, func.args()[0], loop.loops[parallel - 1], lowering.lanes());
      vectorizeExactly(func.update(), func.args()[0], loop.loops[parallel - 1], lowering.lanes());
    }
    addScratch(recipe, perRow, bytes);
    if (!perRow.empty()) // the last vector of a row may be rounded up
      recipe.scratch.push_back(Extent{64 * bytes, {}});
  }
  return true;
}

} // namespace rapt::kernels::halide
