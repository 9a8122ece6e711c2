//===- Loops.cpp - Any kernel, stage by stage ----------------------------------*- C++ -*-===//
//
// The recipe that fits every spec of pointwise stages and reductions, for shapes that no other
// recipe takes: reductions of middle dims (pooling over a sequence), small contractions, mixed
// outputs.
//
// ALGORITHM  every stage is a Func; a reduction is an accumulator and a copy of it.
// SCHEDULE   each stage on its own, parallel outside and in vectors inside. An accumulator lives in
//            registers under its copy's innermost loop. A pointwise stage that is read once, and
//            not by a reduction, is inlined.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

namespace H = Halide;

/// Schedules a Func that is computed on its own over `shape`; returns the loop inside of which its
/// accumulator belongs. `wide` is false where the innermost loop is too short for vectors.
static H::Var scheduleNest(Lowering &lowering, H::Func func, const std::vector<Extent> &shape,
                           bool &wide) {
  wide = false;
  if (shape.empty())
    return H::Var::outermost();
  int lanes = lowering.lanes();
  H::Var x = func.args()[0], xo("xo"), xi("xi");
  wide = !shape.back().isStatic() || shape.back().factor >= lanes;
  bool exact = shape.back().isStatic() && shape.back().factor % lanes == 0;
  if (wide)
    func.split(x, xo, xi, lanes, exact ? H::TailStrategy::RoundUp : H::TailStrategy::GuardWithIf)
        .vectorize(xi);
  if (shape.size() > 1)
    fuseIntoTasks(lowering, func, 1, shape.back());
  return wide ? xo : x;
}

/// The accumulator of a reduction under `copy`.
static void scheduleAccumulator(Lowering &lowering, const LoopStage &loop, H::Func accumulator,
                                const std::vector<H::RVar> &reduced, H::Func copy, H::Var at,
                                bool wide) {
  if (!wide) {
    reduceInLanes(lowering, accumulator, reduced[0], loop.loops.back(), copy, at);
    return;
  }
  H::Var x = accumulator.args()[0];
  accumulator.compute_at(copy, at);
  // The rest of a row is guarded, not rounded up: rounding would read past the inputs.
  vectorizeExactly(accumulator, x, loop.loops[loop.parallel - 1], lowering.lanes());
  vectorizeExactly(accumulator.update(), x, loop.loops[loop.parallel - 1], lowering.lanes());
}

static bool readByReduction(const KernelSpec &spec, const Stage &stage) {
  for (const Stage &other : spec.stages)
    if (!other.attention && other.loop.reduction != Reduction::None &&
        countLoads(other.loop.body, stage.result) > 0)
      return true;
  return false;
}

bool buildLoops(Lowering &lowering, Recipe &recipe) {
  const KernelSpec &spec = lowering.spec;
  for (const Stage &stage : spec.stages)
    if (stage.attention)
      return false;

  for (const Stage &stage : spec.stages) {
    std::vector<H::RVar> reduced;
    H::Func func = lowering.define(stage, &reduced);
    const Tensor &tensor = spec.tensors[stage.result];
    bool reduction = stage.loop.reduction != Reduction::None;
    if (!reduction && countUses(spec, stage) < 2 && !readByReduction(spec, stage))
      continue;
    H::Func copy = func;
    if (reduction) {
      copy = H::Func(stage.name + "_copy");
      std::vector<H::Var> args = func.args();
      copy(args) = func(std::vector<H::Expr>(args.begin(), args.end()));
      lowering.results[stage.result] = copy;
    }
    bool wide;
    copy.compute_root();
    H::Var at = scheduleNest(lowering, copy, tensor.shape, wide);
    if (reduction)
      scheduleAccumulator(lowering, stage.loop, func, reduced, copy, at, wide);
    addScratch(recipe, tensor.shape, byteWidth(tensor.type));
    recipe.scratch.push_back(Extent{4096, {}}); // the accumulator and its partial results
  }

  defineOutputs(lowering, recipe);
  size_t next = 0;
  for (H::Func &out : recipe.outputs) {
    bool wide;
    scheduleNest(lowering, out, spec.tensors[spec.outputs[next]].shape, wide);
    next += out.output_buffers().size();
  }
  return true;
}

} // namespace rapt::kernels::halide
