//===- Matmul.cpp - Products of two computed operands, convolutions ------------*- C++ -*-===//
//
// One Sum of a * b, where b runs along the innermost loop n of the output and a along another loop
// m; both may depend on any other loop and on the reduced ones, and be any views. So a convolution
// is a product, too: m is its output channel, n the innermost dim of space, and b reads the image
// where the window lies. After it come pointwise stages over the same loops.
//
// ALGORITHM  panels(ni, k..., no, outer...) = b;  acc(ni, m, outer..., no) += a(k..., m) * panels;
//            out(n, m, ...) = epilogue(acc(n % nr, m, ..., n / nr)).
// SCHEDULE   Gemm.cpp's register tile. The panel is not packed when the model is compiled, but
//            here, one at a time, and read again by all rows. A task is a group of panels of one
//            place of the outer loops.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

namespace H = Halide;

/// Loops of this extent at most are unrolled inside of the sum.
static constexpr int64_t unrolledWindow = 4;

namespace {
class MatmulKernel {
public:
  MatmulKernel(Lowering &lowering, const ProductMatch &match, int height, Recipe &recipe)
      : lowering(lowering), match(match), loop(match.contraction->loop), recipe(recipe),
        rank(loop.parallel), nr(static_cast<int>(lowering.schedule.tileCols)), height(height),
        columns(loop.loops[rank - 1]) {}

  void build();

private:
  /// The coordinate of parallel loop `index`: Halide counts from the innermost.
  H::Var coordinate(int index) const { return Lowering::coordinates(rank)[rank - 1 - index]; }
  std::vector<H::Expr> loopsAt(const H::Expr &n, const std::vector<H::Expr> &reduced) const;
  void defineRows();
  void definePanels();
  void defineSums(const Stage &stage);
  void schedulePanels(const H::Var &panel);
  void schedule();

  Lowering &lowering;
  const ProductMatch &match;
  const LoopStage &loop;
  Recipe &recipe;
  int rank, nr, height;
  Extent columns;
  std::vector<H::Var> ks; ///< of the reduced loops, innermost first
  H::Var ni{"ni"}, no{"no"};
  H::Func rows; ///< a in memory, where its own order does not suit
  bool transposes = false;
  H::Func panelRows{"panel_rows"}, panelColumns{"panel_columns"};
  H::Func panels{"panels"}, acc{"acc"}, tile, out;
};
} // namespace

/// The loops of the contraction: parallel ones at the output's coordinates but `n`, then `reduced`,
/// given innermost first.
std::vector<H::Expr> MatmulKernel::loopsAt(const H::Expr &n,
                                           const std::vector<H::Expr> &reduced) const {
  std::vector<H::Expr> at;
  for (int i = 0; i + 1 < rank; ++i)
    at.push_back(coordinate(i));
  at.push_back(n);
  at.insert(at.end(), reduced.rbegin(), reduced.rend());
  return at;
}

/// a is read in place where the innermost reduced loop walks memory; elsewhere it is computed
/// first, because every panel reads it again.
void MatmulKernel::defineRows() {
  if (readsRows(lowering, match.a, static_cast<int>(loop.loops.size()) - 1))
    return;
  rows = H::Func("rows");
  std::vector<H::Var> args = ks;
  std::vector<Extent> shape;
  for (int i = rank - 2; i >= 0; --i)
    if (usesLoop(match.a, i))
      args.push_back(coordinate(i));
  for (size_t i = 0; i < loop.loops.size(); ++i)
    if (static_cast<int>(i) >= rank || usesLoop(match.a, static_cast<int>(i)))
      shape.push_back(loop.loops[i]);
  rows(args) = lowering.translate(match.a, loopsAt(0, {ks.begin(), ks.end()}));
  addScratch(recipe, shape, 4);
  computeWhole(lowering, rows, shape);
  fuseIntoTasks(lowering, rows, 1, shape.back());
  vectorizeExactly(rows, ks[0], shape.back(), lowering.lanes());
}

/// Columns behind the last one are the last one again; nobody reads their sums.
void MatmulKernel::definePanels() {
  H::Expr n = no * nr + ni;
  if (!columns.isStatic() || columns.factor % nr != 0)
    n = H::min(H::likely(n), lowering.extent(columns) - 1);
  std::vector<H::Var> args = {ni};
  std::vector<Extent> shape = {Extent{nr, {}}};
  args.insert(args.end(), ks.begin(), ks.end());
  shape.insert(shape.end(), loop.loops.begin() + rank, loop.loops.end());
  args.push_back(no);
  for (int i = 0; i + 1 < rank; ++i)
    if (usesLoop(match.b, i))
      args.push_back(coordinate(i));
  H::Expr value = lowering.translate(match.b, loopsAt(n, {ks.begin(), ks.end()}));
  addScratch(recipe, shape, 4);
  const Extent &depth = loop.loops.back();
  transposes = lowering.lanes() == 16 && depth.isStatic() && depth.factor % 4 == 0 &&
               readsRows(lowering, match.b, static_cast<int>(loop.loops.size()) - 1);
  if (!transposes) {
    panels(args) = value;
    return;
  }
  std::vector<H::Var> across = args;
  std::swap(across[0], across[1]);
  panelRows(across) = value;
  panelColumns(args) = panelRows(std::vector<H::Expr>(across.begin(), across.end()));
  panels(args) = panelColumns(std::vector<H::Expr>(args.begin(), args.end()));
}

/// Where the reduced loop walks memory, 16 pieces of 4 are loaded and transposed in registers.
void MatmulKernel::schedulePanels(const H::Var &panel) {
  panels.compute_at(out, panel).bound_extent(ni, nr).bound_extent(no, 1);
  if (!transposes) {
    panels.vectorize(ni, lowering.lanes()).unroll(ni);
    return;
  }
  H::Var k = ks[0], it("it"), ii("ii"), kt("kt"), ki("ki");
  panels.split(k, kt, ki, 4).split(ni, it, ii, lowering.lanes());
  panels.reorder(ii, ki, it, kt).vectorize(ii).unroll(ki);
  for (H::Func piece : {panelRows, panelColumns})
    piece.compute_at(panels, it).bound_extent(k, 4).bound_extent(ni, lowering.lanes());
  panelRows.vectorize(k).vectorize(ni);
  panelColumns.vectorize(ni).vectorize(k);
}

void MatmulKernel::defineSums(const Stage &stage) {
  H::Region ranges;
  for (size_t i = loop.loops.size(); i > static_cast<size_t>(rank); --i) {
    ks.emplace_back("k" + std::to_string(i));
    ranges.emplace_back(H::Expr(0), lowering.extent(loop.loops[i - 1]));
  }
  H::RDom over(ranges, "over");
  std::vector<H::Expr> k;
  for (size_t i = 0; i < ks.size(); ++i)
    k.push_back(over[static_cast<int>(i)]);
  defineRows();
  definePanels();
  std::vector<H::Expr> rowAt = k, panelAt = {ni};
  panelAt.insert(panelAt.end(), k.begin(), k.end());
  panelAt.push_back(no);
  for (int i = rank - 2; i >= 0; --i)
    if (usesLoop(match.a, i))
      rowAt.push_back(coordinate(i));
  for (int i = 0; i + 1 < rank; ++i)
    if (usesLoop(match.b, i))
      panelAt.push_back(coordinate(i));
  std::vector<H::Var> args = Lowering::coordinates(rank);
  std::vector<H::Expr> at(args.begin(), args.end());
  at[0] = args[0] % nr;
  at.push_back(args[0] / nr);
  H::Func c(stage.name);
  std::vector<H::Var> coordinates = args;
  args[0] = ni;
  args.push_back(no);
  acc(args) = 0.0f;
  H::Expr a = rows.defined() ? H::Expr(rows(rowAt)) : lowering.translate(match.a, loopsAt(0, k));
  acc(args) += a * panels(panelAt);
  tile = acc.in();
  c(coordinates) = acc(at);
  lowering.results[stage.result] = c;
}

void MatmulKernel::schedule() {
  int lanes = lowering.lanes();
  H::Var n = out.args()[0], m = coordinate(match.m);
  H::Var mo("mo"), mi("mi"), group("group"), panel("panel");
  bool whole = columns.isStatic() && columns.factor % nr == 0;
  H::Expr panelCount = (lowering.extent(columns) + nr - 1) / nr;
  H::Expr groupSize = H::Internal::simplify(H::max(1, panelCount / 16));
  out.split(n, no, ni, nr, whole ? H::TailStrategy::RoundUp : H::TailStrategy::GuardWithIf)
      .split(m, mo, mi, height, H::TailStrategy::ShiftInwards) // as in Gemm.cpp
      .split(no, group, panel, groupSize, H::TailStrategy::GuardWithIf);
  std::vector<H::VarOrRVar> order = {ni, mi, mo, panel, group};
  H::Var task = group;
  for (int i = rank - 2; i >= 0; --i)
    if (i != match.m)
      order.push_back(coordinate(i));
  out.reorder(order).vectorize(ni, lanes).unroll(ni);
  for (size_t i = 5; i < order.size(); ++i) {
    H::Var both("task" + std::to_string(i));
    out.fuse(task, H::Var(order[i].name()), both);
    task = both;
  }
  if (lowering.schedule.parallel)
    out.parallel(task);

  schedulePanels(panel);
  for (H::Func func : {tile, acc})
    func.compute_at(out, mo)
        .bound_extent(func.args()[0], nr)
        .bound_extent(m, height)
        .bound_extent(func.args().back(), 1)
        .reorder(func.args()[0], m)
        .vectorize(func.args()[0], lanes)
        .unroll(func.args()[0])
        .unroll(m);
  std::vector<H::VarOrRVar> inner = {ni, m};
  for (const H::RVar &k : acc.rvars())
    inner.emplace_back(k);
  acc.update().reorder(inner).vectorize(ni, lanes).unroll(ni).unroll(m);
  const Extent &window = loop.loops.back();
  if (acc.rvars().size() > 1 && window.isStatic() && window.factor <= unrolledWindow)
    acc.update().unroll(acc.rvars()[0]);
  recipe.scratch.push_back(Extent{2 * (height * nr * 4 + 384), {}});
}

void MatmulKernel::build() {
  lowering.inOrder = true;
  for (const Stage &stage : lowering.spec.stages) {
    if (&stage == match.contraction)
      defineSums(stage);
    else
      lowering.define(stage);
  }
  defineOutputs(lowering, recipe);
  out = recipe.outputs[0];
  schedule();
}

bool buildMatmul(Lowering &lowering, int tileRows, Recipe &recipe) {
  std::optional<ProductMatch> match = matchProduct(lowering.spec);
  if (match)
    MatmulKernel(lowering, *match, tileRows, recipe).build();
  return match.has_value();
}

} // namespace rapt::kernels::halide
