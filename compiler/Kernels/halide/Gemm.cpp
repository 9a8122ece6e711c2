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
//            panel stays in L2; what comes next is fetched meanwhile where the schedule says so
//            (docs/kernels.md has the numbers). Blocking K or packing A never won; taller and wider
//            tiles spill or divide the usual sizes worse. The epilogue reads the tile through a
//            copy (24 stores, free) because its row loop must not be unrolled: then every row runs
//            the same code and, as sums of the epilogue keep their order, a row's bits do not
//            depend on the batch.
// EVEN       37 rows are 5 tiles of 8, the last one shifted up over rows that are done: 40 rows'
//            work. Where schedule.evenRows allows, they are 2 tiles of 8 and 3 of 7 instead, into
//            a buffer of one panel's columns and all rows, from which the epilogue reads.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/halide/Prefetch.h"
#include "compiler/Kernels/halide/Recipes.h"

namespace rapt::kernels::halide {

namespace H = Halide;

/// How far ahead a panel is fetched where one tile of rows uses it: other pages than the one that
/// is read, which hardware does not fetch from by itself.
static constexpr int bytesAhead = 8192;

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
  computeWhole(lowering, a, shape);
  fuseIntoTasks(lowering, a, 1, shape.back());
  vectorizeExactly(a, a.args()[0], shape.back(), lowering.lanes());
  return a;
}

namespace {
class GemmKernel {
public:
  GemmKernel(Lowering &lowering, const GemmMatch &match, const RowTile &tile, Recipe &recipe)
      : lowering(lowering), match(match), loop(match.contraction->loop), height(tile.rows),
        evenUpTo(tile.evenUpTo), fetch(tile.fetch), rowsAhead(tile.fetchRows), recipe(recipe),
        rank(loop.parallel), nr(static_cast<int>(lowering.schedule.tileCols)),
        columns(static_cast<int>(loop.loops[rank - 1].factor)),
        depth(static_cast<int>(loop.loops[rank].factor)), panels((columns + nr - 1) / nr),
        groupSize(std::max(1, panels / 16)), groups((panels + groupSize - 1) / groupSize),
        rows(lowering.extent(loop.loops[rank - 2])), blocks((rows + height - 1) / height) {}

  void build() {
    lowering.inOrder = true;
    for (const Stage &stage : lowering.spec.stages) {
      if (&stage != match.contraction)
        lowering.define(stage);
      else
        define(stage);
    }
    defineOutputs(lowering, recipe);
    out = recipe.outputs[0];
    if (isEven())
      scheduleEven();
    else
      scheduleOverlapping();
  }

private:
  bool isEven() const { return evenUpTo > 0; }
  void define(const Stage &stage);
  H::Func accumulate(const std::string &name);
  void addEvenTiles();
  void scheduleEven();
  void scheduleOverlapping();
  void scheduleOut(std::vector<H::VarOrRVar> order, size_t firstTask,
                   const std::vector<H::VarOrRVar> &outermost = {});
  void scheduleSums(H::Func acc, int tileRows);
  bool lhsIsDense() const;
  void fetchPanels(const H::Expr &inTurn, const std::vector<PanelPrefetch::Place> &places);

  Lowering &lowering;
  const GemmMatch &match;
  const LoopStage &loop;
  int height;
  int64_t evenUpTo;
  bool fetch, rowsAhead;
  Recipe &recipe;
  int rank, nr, columns, depth, panels;
  /// About 16 groups of neighbouring panels: a thread that takes a group fetches most panels for
  /// itself.
  int groupSize, groups;
  H::Expr rows, blocks;
  H::Var ni{"ni"}, no{"no"}, group{"group"}, panel{"panel"};

  H::Func a, out;
  H::Func acc, tiles; // over (ni, m, outer..., no): sums in registers, and what is read of them
  H::Func lowAcc;     // even: sums of the tiles of one row less
  H::RDom tallDom, lowDom; // even: row in a tile, tile
  H::Expr talls;           // even: tiles of the full height
};
} // namespace

/// The sums over k of a panel's columns.
H::Func GemmKernel::accumulate(const std::string &name) {
  H::Func sums(name);
  H::RDom k(0, depth, "k");
  std::vector<H::Var> coordinates = Lowering::coordinates(rank), args = {ni}; // n, m, outer...
  std::vector<H::Expr> aIndices = {k};
  for (int i = 1; i < rank; ++i) {
    args.push_back(coordinates[i]);
    aIndices.push_back(coordinates[i]);
  }
  args.push_back(no);
  sums(args) = 0.0f;
  sums(args) += a(aIndices) * H::cast<float>(lowering.inputs[match.weight](ni, k, no));
  return sums;
}

void GemmKernel::define(const Stage &stage) {
  a = makeA(lowering, match, recipe);
  acc = accumulate("acc");
  if (isEven())
    addEvenTiles();
  else
    tiles = acc.in();
  std::vector<H::Var> coordinates = Lowering::coordinates(rank); // n, m, outer...
  std::vector<H::Expr> at(coordinates.begin(), coordinates.end());
  at[0] = coordinates[0] % nr;
  at.push_back(coordinates[0] / nr);
  H::Func c(stage.name);
  c(coordinates) = isEven() ? tiles(at) : acc(at);
  lowering.results[stage.result] = c;
}

void GemmKernel::addEvenTiles() {
  H::Expr lows = blocks * height - rows;
  talls = blocks - lows;
  tallDom = H::RDom(0, height, 0, talls, "tall");
  lowDom = H::RDom(0, height - 1, 0, lows, "low");
  lowAcc = accumulate("low_acc");
  tiles = H::Func("tiles");
  std::vector<H::Var> args = acc.args();
  tiles(args) = H::undef<float>();
  auto update = [&](const H::Func &sums, const H::Expr &row) {
    std::vector<H::Expr> at(args.begin(), args.end());
    at[1] = row;
    tiles(at) = sums(at);
  };
  update(acc, tallDom.x + height * tallDom.y);
  update(lowAcc, talls * height + lowDom.x + (height - 1) * lowDom.y);
}

/// Loops of the output, innermost first, then those of batches, groups of panels and the
/// `outermost`; those from `firstTask` on are one parallel loop.
void GemmKernel::scheduleOut(std::vector<H::VarOrRVar> order, size_t firstTask,
                             const std::vector<H::VarOrRVar> &outermost) {
  for (int i = 2; i < rank; ++i)
    order.push_back(out.args()[i]);
  order.push_back(group);
  order.insert(order.end(), outermost.begin(), outermost.end());
  out.reorder(order).vectorize(ni, lowering.lanes()).unroll(ni);
  if (!lowering.schedule.parallel)
    return;
  H::Var task(order[firstTask].name());
  for (size_t i = firstTask + 1; i < order.size(); ++i) {
    H::Var both("task" + std::to_string(i));
    out.fuse(task, H::Var(order[i].name()), both);
    task = both;
  }
  out.parallel(task);
}

/// A tile in registers, whose loops run through all of K.
void GemmKernel::scheduleSums(H::Func sums, int tileRows) {
  H::Var m = sums.args()[1];
  // One panel: where N is guarded, that is not seen, and a tile of unknown size is in memory.
  sums.bound_extent(ni, nr)
      .bound_extent(m, tileRows)
      .bound_extent(no, 1)
      .vectorize(ni, lowering.lanes())
      .unroll(ni)
      .unroll(m);
  sums.update()
      .reorder(ni, m, sums.rvars(0)[0])
      .vectorize(ni, lowering.lanes())
      .unroll(ni)
      .unroll(m);
}

void GemmKernel::scheduleOverlapping() {
  H::Var n = out.args()[0], m = out.args()[1];
  H::Var mo("mo"), mi("mi"), slab("slab"), chunk("chunk"), block("block");
  // All panels pass by a slab of 32 to 63 blocks of rows before the next one begins: A is read
  // from memory once and from a near cache for every panel.
  H::Expr slabs = H::max(1, blocks / 32);
  H::Expr slabBlocks = H::Internal::simplify((blocks + slabs - 1) / slabs);
  // Within a slab, row chunks only where the groups alone are few tasks: each chunk walks all
  // panels again. A chunk has 8 blocks or more.
  H::Expr chunks = H::max(1, H::min(16 / groups, slabBlocks / 8));
  H::Expr chunkBlocks = H::Internal::simplify((slabBlocks + chunks - 1) / chunks);
  out.split(n, no, ni, nr,
            columns % nr == 0 ? H::TailStrategy::RoundUp : H::TailStrategy::GuardWithIf)
      // Shifting the last tile up instead of guarding its rows keeps every row in the same code; it
      // recomputes at most height - 1 rows and needs height <= rows, which the caller chooses.
      .split(m, mo, mi, height, H::TailStrategy::ShiftInwards)
      .split(no, group, panel, groupSize, H::TailStrategy::GuardWithIf)
      .split(mo, slab, mo, slabBlocks, H::TailStrategy::GuardWithIf)
      .split(mo, chunk, block, chunkBlocks, H::TailStrategy::GuardWithIf);
  scheduleOut({ni, mi, block, panel, chunk}, 4, {slab});
  acc.compute_at(out, block);
  scheduleSums(acc, height);
  tiles.compute_at(out, block)
      .bound_extent(ni, nr)
      .bound_extent(tiles.args()[1], height)
      .bound_extent(no, 1)
      .vectorize(tiles.args()[0], lowering.lanes())
      .unroll(tiles.args()[0])
      .unroll(tiles.args()[1]);
  recipe.scratch.push_back(Extent{2 * (height * nr * 4 + 384), {}});
  fetchPanels(chunkBlocks, {{acc.name(), "block", 0}});
}

void GemmKernel::scheduleEven() {
  H::Var n = out.args()[0], m = out.args()[1];
  out.split(n, no, ni, nr,
            columns % nr == 0 ? H::TailStrategy::RoundUp : H::TailStrategy::GuardWithIf)
      .split(no, group, panel, groupSize, H::TailStrategy::GuardWithIf);
  scheduleOut({ni, m, panel}, 3);
  tiles.compute_at(out, panel).bound_extent(ni, nr).bound(m, 0, rows).bound_extent(no, 1);
  auto schedule = [&](int update, const H::RDom &dom, const H::Func &sums, int tileRows) {
    tiles.update(update)
        .reorder(ni, dom.x, dom.y)
        .vectorize(ni, lowering.lanes())
        .unroll(ni)
        .unroll(dom.x);
    H::Func(sums).compute_at(tiles, dom.y);
    scheduleSums(sums, tileRows);
  };
  schedule(0, tallDom, acc, height);
  schedule(1, lowDom, lowAcc, height - 1);
  recipe.scratch.push_back(Extent{evenUpTo * nr * 4 + 2 * (height * nr * 4 + 384), {}});
  fetchPanels(blocks, {{acc.name(), "tall$y", 0}, {lowAcc.name(), "low$y", talls}});
}

/// Whether rows of A are an input's rows of K floats, one behind the other.
bool GemmKernel::lhsIsDense() const {
  const std::vector<ExprRef> &indices = match.a->operands;
  if (!readsRows(lowering, match.a, rank) || indices.size() < 2 ||
      !isLoop(indices[indices.size() - 2], rank - 2))
    return false;
  const Tensor &tensor = lowering.spec.tensors[match.a->integer];
  return tensor.type == ScalarType::F32 && tensor.shape.back().isStatic() &&
         tensor.shape.back().factor == depth;
}

/// `inTurn`: row blocks that read a panel one after the other.
void GemmKernel::fetchPanels(const H::Expr &inTurn,
                             const std::vector<PanelPrefetch::Place> &places) {
  // The fetched lines are counted in floats.
  bool isFloat = lowering.spec.tensors[match.weight].type == ScalarType::F32;
  int stepsAhead = bytesAhead / (4 * nr);
  if (!fetch || !isFloat || depth <= stepsAhead)
    return;
  auto *pass = new PanelPrefetch;
  pass->places = places;
  pass->weight = lowering.inputs[match.weight].name();
  pass->blocks = inTurn;
  pass->width = nr;
  pass->reduction = depth;
  pass->stepsAhead = stepsAhead;
  pass->linesPerStep = static_cast<int>(lowering.schedule.prefetch);
  if (rowsAhead) {
    pass->rowVar = "mi";
    pass->height = height;
    if (lhsIsDense())
      pass->lhs = lowering.inputs[match.a->integer].name();
  }
  recipe.pass = pass;
}

bool buildGemm(Lowering &lowering, const RowTile &tile, Recipe &recipe) {
  std::optional<GemmMatch> found = match(lowering.spec, lowering.schedule);
  if (found)
    GemmKernel(lowering, *found, tile, recipe).build();
  return found.has_value();
}

} // namespace rapt::kernels::halide
