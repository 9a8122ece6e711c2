//===- Pointwise.cpp - Kernels without a reduction -----------------------------*- C++ -*-===//
//
// ALGORITHM  every stage is a Func; intermediate ones are inlined, so that the whole chain is one
//            expression per output element and nothing but inputs and outputs touches memory.
// SCHEDULE   vectors along the innermost dim; all outer dims fused and cut into tasks.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

namespace H = Halide;

bool buildPointwise(Lowering &lowering, Recipe &recipe) {
  for (const Stage &stage : lowering.spec.stages)
    if (stage.attention || stage.loop.reduction != Reduction::None)
      return false;
  for (const Stage &stage : lowering.spec.stages)
    lowering.define(stage);
  defineOutputs(lowering, recipe);

  size_t next = 0;
  for (H::Func &out : recipe.outputs) {
    const std::vector<Extent> &shape = lowering.spec.tensors[lowering.spec.outputs[next]].shape;
    next += out.output_buffers().size();
    if (shape.empty())
      continue;
    H::Var x = out.args()[0];
    if (shape.size() > 1) {
      fuseIntoTasks(lowering, out, 1, shape.back());
    } else if (lowering.schedule.parallel && !(shape[0].isStatic() && shape[0].factor <= 16384)) {
      // Blocks of vectors, not vectors of blocks: the loop of a block then ends with the last
      // vector instead of going on with ones that are masked out, at up to 0.4 ms for a row of 8.
      H::Var block("block"), vector("vector"), lane("lane"), xi("xi");
      int lanes = lowering.lanes();
      bool fits = shape[0].isStatic() && shape[0].factor % lanes == 0;
      out.split(x, vector, lane, lanes,
                fits ? H::TailStrategy::RoundUp : H::TailStrategy::GuardWithIf)
          .vectorize(lane)
          .split(vector, block, xi, 16384 / lanes, H::TailStrategy::GuardWithIf)
          .parallel(block);
      continue;
    }
    vectorizeExactly(out, x, shape.back(), lowering.lanes());
  }
  return true;
}

} // namespace rapt::kernels::halide
