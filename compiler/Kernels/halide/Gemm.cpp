//===- Gemm.cpp - Contraction with a packed weight, and what follows it --------*- C++ -*-===//
//
// One Sum over k of A[..., m, k] * W[k, n] with W in panels of nr columns, then pointwise stages
// over the same (..., m, n): bias, GELU, residual. Sums are f32; operands may be stored as f16 or
// bf16, the weight in its panels, too: it is widened as it is loaded, A once.
//
// ALGORITHM  acc(ni, m, ..., no) += A(k, m, ...) * W(ni, k, no);  tile = copy of acc;
//            out(n, m, ...) = epilogue(tile(n % nr, m, ..., n / nr)).
// SCHEDULE   a register tile of tileRows x nr that runs through all of K at once (8 x 48 in 24 zmm:
//            24 FMAs for 3 loads and 8 broadcasts); panel by panel, all rows inside, so that a
//            panel stays in L2; the next panel is fetched meanwhile where the schedule says so
//            (docs/kernels.md has the numbers). Blocking K or packing A never won; taller and wider
//            tiles spill or divide the usual sizes worse. The epilogue reads the tile through a
//            copy (24 stores, free) because its row loop must not be unrolled: then every row runs
//            the same code and, as sums of the epilogue keep their order, a row's bits do not
//            depend on the batch.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/halide/Prefetch.h"
#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

namespace H = Halide;

/// The weight is the input that is packed in panels of the schedule's width.
static std::optional<GemmMatch> match(const KernelSpec &spec, const Schedule &schedule) {
  if (schedule.tileCols % schedule.vector != 0)
    return std::nullopt;
  return matchGemm(spec, [&](int input) { return spec.tensors[input].panel == schedule.tileCols; });
}

std::optional<Extent> gemmRows(const KernelSpec &spec, const Schedule &schedule) {
  std::optional<GemmMatch> found = match(spec, schedule);
  if (!found)
    return std::nullopt;
  return found->contraction->loop.loops[found->contraction->loop.parallel - 2];
}

/// A as a Func over (k, m, outer...): the input itself where it is read as it lies, otherwise a
/// buffer that is computed first, because every panel reads it again.
static H::Func makeA(Lowering &lowering, const GemmMatch &match, Recipe &recipe) {
  const LoopStage &loop = match.contraction->loop;
  int rank = loop.parallel, k = loop.parallel;
  std::vector<H::Var> vars = Lowering::loopVars(rank); // outer..., m; the last stands for k here
  std::vector<H::Expr> indices(vars.begin(), vars.end());
  indices.push_back(vars.back());
  H::Func a("a");
  a(Lowering::coordinates(rank)) = lowering.translate(match.a, indices);
  bool direct = match.a->kind == Expr::Kind::Load &&
                lowering.isInput(static_cast<int>(match.a->integer)) &&
                !match.a->operands.empty() && isLoop(match.a->operands.back(), k);
  if (direct)
    return a;
  std::vector<Extent> shape(loop.loops.begin(), loop.loops.begin() + rank - 1);
  shape.push_back(loop.loops[k]);
  addScratch(recipe, shape, 4);
  a.compute_root();
  fuseIntoTasks(lowering, a, 1, shape.back());
  vectorizeExactly(a, a.args()[0], shape.back(), lowering.lanes());
  return a;
}

/// Whether the next panel is fetched: with few rows the kernel waits for memory anyway and
/// prefetches only cost. One line a step also for a single row block, which leaves part of the
/// panel unfetched: the three lines that would cover it gain on Zen 5 but lose more on Zen 4.
static bool wantsPrefetch(const Schedule &schedule, int tileRows) {
  return schedule.prefetch > 0 && tileRows >= std::min<int64_t>(6, schedule.tileRows);
}

bool buildGemm(Lowering &lowering, int tileRows, Recipe &recipe) {
  const KernelSpec &spec = lowering.spec;
  std::optional<GemmMatch> found = match(spec, lowering.schedule);
  if (!found)
    return false;
  const LoopStage &loop = found->contraction->loop;
  int rank = loop.parallel, nr = static_cast<int>(lowering.schedule.tileCols),
      lanes = lowering.lanes();
  int columns = static_cast<int>(loop.loops[rank - 1].factor),
      depth = static_cast<int>(loop.loops[rank].factor);
  const Extent &rowExtent = loop.loops[rank - 2];

  // ALGORITHM
  lowering.inOrder = true;
  H::Func acc("acc"), c(found->contraction->name), a;
  H::Var ni("ni"), no("no");
  H::RDom k(0, depth, "k");
  for (const Stage &stage : spec.stages) {
    if (&stage != found->contraction) {
      lowering.define(stage);
      continue;
    }
    a = makeA(lowering, *found, recipe);
    std::vector<H::Var> coordinates = Lowering::coordinates(rank); // n, m, outer...
    std::vector<H::Var> args = {ni};
    std::vector<H::Expr> aIndices = {k};
    std::vector<H::Expr> cIndices = {coordinates[0] % nr};
    for (int i = 1; i < rank; ++i) {
      args.push_back(coordinates[i]);
      aIndices.push_back(coordinates[i]);
      cIndices.push_back(coordinates[i]);
    }
    args.push_back(no);
    cIndices.push_back(coordinates[0] / nr);
    acc(args) = 0.0f;
    acc(args) += a(aIndices) * H::cast<float>(lowering.inputs[found->weight](ni, k, no));
    c(coordinates) = acc(cIndices);
    lowering.results[stage.result] = c;
  }
  H::Func tile = acc.in();
  defineOutputs(lowering, recipe);
  H::Func out = recipe.outputs[0];

  // SCHEDULE
  H::Var n = out.args()[0], m = out.args()[1];
  H::Var mo("mo"), mi("mi"), group("group"), panel("panel"), chunk("chunk"), block("block");
  int panels = (columns + nr - 1) / nr;
  // About 16 groups of neighbouring panels: a thread that takes a group fetches most panels for
  // itself.
  int groupSize = std::max(1, panels / 16), groups = (panels + groupSize - 1) / groupSize;
  H::Expr blocks = (lowering.extent(rowExtent) + tileRows - 1) / tileRows;
  // Row chunks only where the groups alone are few tasks, or rows are very many: each
  // chunk walks all panels again. A chunk has 8 blocks or more.
  H::Expr chunks = H::max(1, H::min(H::max(16 / groups, blocks / 64), blocks / 8));
  H::Expr chunkBlocks = H::Internal::simplify((blocks + chunks - 1) / chunks);

  out.split(n, no, ni, nr,
            columns % nr == 0 ? H::TailStrategy::RoundUp : H::TailStrategy::GuardWithIf)
      // Shifting the last tile up instead of guarding its rows keeps every row in the same code; it
      // recomputes at most tileRows - 1 rows and needs tileRows <= rows, which the caller chooses.
      .split(m, mo, mi, tileRows, H::TailStrategy::ShiftInwards)
      .split(no, group, panel, groupSize, H::TailStrategy::GuardWithIf)
      .split(mo, chunk, block, chunkBlocks, H::TailStrategy::GuardWithIf);
  std::vector<H::VarOrRVar> order = {ni, mi, block, panel, chunk};
  for (int i = 2; i < rank; ++i)
    order.push_back(out.args()[i]);
  order.push_back(group);
  out.reorder(order).vectorize(ni, lanes).unroll(ni);
  if (lowering.schedule.parallel) {
    H::Var task = chunk;
    for (size_t i = 5; i < order.size(); ++i) {
      H::Var both("task" + std::to_string(i));
      out.fuse(task, H::Var(order[i].name()), both);
      task = both;
    }
    out.parallel(task);
  }
  // One panel: where N is guarded, that is not seen, and a tile of unknown size is in memory.
  for (H::Func func : {tile, acc})
    func.compute_at(out, block)
        .bound_extent(func.args()[0], nr)
        .bound_extent(func.args()[1], tileRows)
        .bound_extent(func.args().back(), 1)
        .vectorize(func.args()[0], lanes)
        .unroll(func.args()[0])
        .unroll(func.args()[1]);
  acc.update().reorder(ni, acc.args()[1], k).vectorize(ni, lanes).unroll(ni).unroll(acc.args()[1]);
  recipe.scratch.push_back(Extent{2 * (tileRows * nr * 4 + 384), {}});

  // The fetched lines are counted in floats.
  bool isFloat = spec.tensors[found->weight].type == ScalarType::F32;
  if (wantsPrefetch(lowering.schedule, tileRows) && panels > 1 && isFloat) {
    auto *pass = new NextPanelPrefetch; // the pipeline deletes it
    pass->accumulator = acc.name();
    pass->weight = lowering.inputs[found->weight].name();
    pass->groupVar = "group", pass->panelVar = "panel", pass->chunkVar = "chunk",
    pass->blockVar = "block";
    pass->groupSize = groupSize;
    pass->chunkBlocks = chunkBlocks;
    pass->blocks = blocks;
    pass->panelFloats = nr * depth;
    pass->reduction = depth;
    pass->linesPerStep = static_cast<int>(lowering.schedule.prefetch);
    recipe.pass = pass;
    recipe.passHits = &pass->hits;
  }
  return true;
}

} // namespace rapt::kernels::halide
