//===- Common.cpp - Pieces of schedules that several recipes share -------------*- C++ -*-===//
//
// Each function schedules one Func or loop of a recipe, and never reads or writes outside of the
// buffers' extents.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

namespace H = Halide;

/// Elements per task: enough streaming work that handing it out costs next to nothing.
static constexpr int64_t elementsPerTask = 16384;

void defineOutputs(Lowering &lowering, Recipe &recipe) {
  const KernelSpec &spec = lowering.spec;
  auto valueOf = [&](int tensor) {
    const Tensor &type = spec.tensors[tensor];
    std::vector<H::Var> args = Lowering::coordinates(type.shape.size());
    std::vector<H::Expr> indices(args.begin(), args.end());
    H::Expr value = lowering.isInput(tensor) ? H::Expr(lowering.inputs[tensor](indices))
                                             : H::Expr(lowering.results.at(tensor)(indices));
    return H::cast(storageType(type.type), value);
  };

  bool oneShape = true;
  for (int output : spec.outputs)
    oneShape &= spec.tensors[output].shape == spec.tensors[spec.outputs[0]].shape;
  if (oneShape) {
    std::vector<H::Expr> values;
    for (int output : spec.outputs)
      values.push_back(valueOf(output));
    H::Func out("out");
    std::vector<H::Var> args = Lowering::coordinates(spec.tensors[spec.outputs[0]].shape.size());
    if (values.size() == 1)
      out(args) = values[0];
    else
      out(args) = H::Tuple(values);
    recipe.outputs = {out};
  } else {
    for (size_t i = 0; i < spec.outputs.size(); ++i) {
      H::Func out("out" + std::to_string(i));
      out(Lowering::coordinates(spec.tensors[spec.outputs[i]].shape.size())) =
          valueOf(spec.outputs[i]);
      recipe.outputs.push_back(out);
    }
  }
  size_t next = 0;
  for (H::Func &out : recipe.outputs) {
    bool first = true; // the buffers of a tuple share the first one's bounds
    for (H::OutputImageParam buffer : out.output_buffers()) {
      lowering.describe(buffer, spec.tensors[spec.outputs[next++]], first);
      first = false;
    }
  }
}

void vectorizeExactly(H::Stage stage, H::Var x, const Extent &size, int lanes) {
  if (size.isStatic() && size.factor % lanes == 0) {
    stage.vectorize(x, lanes, H::TailStrategy::RoundUp);
    return;
  }
  if (size.isStatic() && size.factor < lanes) {
    if (size.factor > 1 && (size.factor & (size.factor - 1)) == 0)
      stage.vectorize(x, static_cast<int>(size.factor), H::TailStrategy::RoundUp);
    return;
  }
  stage.vectorize(x, lanes, H::TailStrategy::GuardWithIf);
}

void computeWhole(Lowering &lowering, H::Func func, const std::vector<Extent> &shape) {
  func.compute_root();
  std::vector<H::Var> args = func.args();
  for (size_t i = 0; i < args.size(); ++i)
    func.bound(args[i], 0, lowering.extent(shape[args.size() - 1 - i]));
}

H::Var fuseIntoTasks(Lowering &lowering, H::Func out, size_t firstOuter, const Extent &row) {
  std::vector<H::Var> args = out.args();
  H::Var t("t"), task("task");
  if (firstOuter >= args.size()) { // nothing around the row
    return H::Var::outermost();
  }
  H::Var fused = args[firstOuter];
  for (size_t i = firstOuter + 1; i < args.size(); ++i) {
    H::Var both("t" + std::to_string(i));
    out.fuse(fused, args[i], both);
    fused = both;
  }
  if (!lowering.schedule.parallel)
    return fused;
  int64_t rows = row.isStatic() ? std::max<int64_t>(1, elementsPerTask / row.factor) : 16;
  if (rows == 1) {
    out.parallel(fused);
    return fused;
  }
  out.split(fused, task, t, static_cast<int>(rows), H::TailStrategy::GuardWithIf).parallel(task);
  return t;
}

void reduceInLanes(Lowering &lowering, H::Func func, H::RVar r, const Extent &size,
                   H::Func consumer, H::Var at) {
  int lanes = lowering.lanes();
  func.compute_at(consumer, at);
  if (size.isStatic() && size.factor < lanes)
    return;
  // Four vectors of partial results hide the latency of the additions. Fewer where four do not
  // divide the row.
  int width = 4 * lanes;
  while (width > lanes && !(size.isStatic() && size.factor % width == 0))
    width -= lanes;
  H::RVar ro(func.name() + "_ro"), ri(func.name() + "_ri");
  H::Var u(func.name() + "_u");
  H::Stage update = func.update();
  update.split(r, ro, ri, width, H::TailStrategy::GuardWithIf);
  H::Func partial = update.rfactor(ri, u);
  partial.compute_at(consumer, at).vectorize(u, lanes).unroll(u);
  partial.update().reorder(u, ro).vectorize(u, lanes).unroll(u);
  update = func.update();
  if (width > lanes) { // to one vector first: the sum of its lanes is a chain of shuffles
    H::RVar rv(func.name() + "_rv"), rl(func.name() + "_rl");
    H::Var l(func.name() + "_l");
    update.split(ri, rv, rl, lanes);
    H::Func single = update.rfactor(rl, l);
    single.compute_at(consumer, at).vectorize(l);
    single.update().vectorize(l).unroll(rv);
    ri = rl;
  }
  func.update().atomic().vectorize(ri);
}

void addScratch(Recipe &recipe, const std::vector<Extent> &shape, int64_t elementBytes) {
  Extent elements{1, {}};
  for (const Extent &extent : shape)
    elements = elements * extent;
  recipe.innerElements.push_back({elements});
  addScratchBytes(recipe, elements * Extent{elementBytes, {}});
}

void addScratchBytes(Recipe &recipe, const Extent &bytes) {
  recipe.scratch.push_back(bytes);
  recipe.scratch.push_back(Extent{384, {}});
}

bool readsRows(const Lowering &lowering, const ExprRef &operand, int row) {
  if (operand->kind != Expr::Kind::Load || !lowering.isInput(static_cast<int>(operand->integer)) ||
      operand->operands.empty())
    return false;
  for (size_t i = 0; i + 1 < operand->operands.size(); ++i)
    if (usesLoop(operand->operands[i], row))
      return false;
  // The loop, or a sum with it as its last or first term.
  const Expr *last = operand->operands.back().get();
  while (last->kind == Expr::Kind::Binary && last->binary == BinaryOp::Add) {
    bool right = usesLoop(last->operands[1], row);
    if (right && usesLoop(last->operands[0], row))
      return false;
    last = last->operands[right ? 1 : 0].get();
  }
  return last->kind == Expr::Kind::Loop && last->integer == row;
}

int countUses(const KernelSpec &spec, const Stage &stage) {
  int uses = 0;
  for (const Stage &other : spec.stages)
    if (!other.attention)
      uses += countLoads(other.loop.body, stage.result);
  for (int output : spec.outputs)
    uses += output == stage.result;
  return uses;
}

} // namespace rapt::kernels::halide
