//===- CostModel.cpp - From what a kernel computes to how -------------------------------===//
//
// The recipe follows from the shape of the computation alone; its numbers follow from the vector
// registers and the extents (docs/kernels.md).
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Schedule/Schedule.h"

#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/SpecQueries.h"

#include <algorithm>

using namespace rapt;
using namespace rapt::kernels;

int rapt::gemmWeight(const KernelSpec &spec, const std::vector<bool> &weightInputs) {
  auto match = matchGemm(spec, [&](int input) { return weightInputs[input]; });
  return match ? match->weight : -1;
}

/// Every reduction runs along the innermost loops of the same rows, and everything else has these
/// rows.
static bool isRows(const KernelSpec &spec) {
  int rows = -1;
  for (const Stage &stage : spec.stages) {
    if (stage.attention)
      return false;
    if (isPointwise(stage))
      continue;
    if (rows >= 0 && stage.loop.parallel != rows)
      return false;
    rows = stage.loop.parallel;
  }
  if (rows < 1)
    return false;
  const std::vector<Extent> &first = spec.stages.front().loop.loops;
  for (const Stage &stage : spec.stages)
    if (static_cast<int>(stage.loop.loops.size()) < rows ||
        !std::equal(first.begin(), first.begin() + rows, stage.loop.loops.begin()))
      return false;
  // The innermost loop of a reduction walks memory: each load that uses it does so in its last
  // index.
  auto contiguous = [](const ExprRef &body, int loop) {
    auto visit = [loop](auto &self, const ExprRef &expr) -> bool {
      if (expr->kind == Expr::Kind::Load)
        for (size_t i = 0; i + 1 < expr->operands.size(); ++i)
          if (usesLoop(expr->operands[i], loop))
            return false;
      return std::all_of(expr->operands.begin(), expr->operands.end(),
                         [&](const ExprRef &e) { return self(self, e); });
    };
    return visit(visit, body);
  };
  for (const Stage &stage : spec.stages)
    if (!isPointwise(stage) &&
        !contiguous(stage.loop.body, static_cast<int>(stage.loop.loops.size()) - 1))
      return false;
  return true;
}

/// The register tile: rows x cols accumulators, with room for one row of the panel and a broadcast.
/// 8x48 with 32 AVX-512 registers and 6x16 with 16 AVX2 registers run at the FMA peak; a panel
/// width that divides N wastes no columns.
static void chooseTile(Schedule &schedule, int64_t n, const TargetCpu &target) {
  int64_t v = schedule.vector;
  int64_t accumulators = target.vectorRegisters >= 32 ? 24 : 12;
  int64_t most = target.vectorRegisters >= 32 ? 3 : 2; // vectors in a panel's row
  int64_t best = most;
  for (int64_t vectors = most; vectors >= 1; --vectors)
    if (n % (vectors * v) == 0) {
      best = vectors;
      break;
    }
  best = std::min(best, (n + v - 1) / v);
  schedule.tileCols = best * v;
  schedule.tileRows = std::min<int64_t>(8, accumulators / best);
  // Beyond that, the rows that overlapping tiles compute twice are few, and rows become parallel.
  schedule.evenRows = 16 * schedule.tileRows - 1;
}

/// Whether packing the right operand of a product pays: it costs about as much as a few rows, and
/// panels that are mostly empty or sums that are short leave nothing for the tile. Dynamic extents
/// are taken for large.
static bool isLargeProduct(const KernelSpec &spec) {
  std::optional<ProductMatch> match = matchProduct(spec);
  if (!match)
    return false;
  const LoopStage &loop = match->contraction->loop;
  auto isLess = [](const Extent &extent, int64_t least) {
    return extent.isStatic() && extent.factor < least;
  };
  Extent depth = {1, {}};
  for (size_t i = loop.parallel; i < loop.loops.size(); ++i)
    depth = depth * loop.loops[i];
  return !isLess(loop.loops[match->m], 4) && !isLess(loop.loops[loop.parallel - 1], 8) &&
         !isLess(depth, 8);
}

/// The tile of a product, whose panels are as wide as the kernel wants them: the width that leaves
/// the fewest columns empty. One vector a row of the panel makes as many loads as sums.
static void chooseProductTile(Schedule &schedule, const LoopStage &loop, const TargetCpu &target) {
  const Extent &n = loop.loops[loop.parallel - 1];
  bool manyRegisters = target.vectorRegisters >= 32;
  int64_t best = manyRegisters ? 3 : 2;
  auto cost = [&](int64_t vectors) {
    int64_t width = vectors * schedule.vector, columns = (n.factor + width - 1) / width * width;
    return double(columns) * (vectors > 1 ? 1 + 0.03 * double(3 - vectors) : 1.3);
  };
  for (int64_t vectors = best - 1; n.isStatic() && vectors >= 1; --vectors)
    if (cost(vectors) < cost(best))
      best = vectors;
  schedule.tileCols = best * schedule.vector;
  schedule.tileRows = std::min<int64_t>(8, (manyRegisters ? 24 : 12) / best);
}

/// The variant by the number of queries. A strip packs K^T, which is read again for each block of
/// queries, and computes whole register tiles of queries: up to a tile, its time hardly depends on
/// their number. Decode packs nothing, and its time grows with each query once keys and values come
/// from a cache. With one query strip takes 3 to 8 times as long, with 8 both take as long, for
/// AVX-512 and AVX2 (docs/kernels.md). Query heads that share a kv head make decode compute more
/// and strip pack more, which does not move that point.
/// With a dynamic number of queries, the kernel is both, unless queries and keys are the same dim:
/// such a model has no past, and a step of it has as many keys as queries.
static void chooseAttention(Schedule &schedule, const AttentionStage &attention) {
  constexpr int64_t few = 6;
  if (attention.queries.isStatic() && attention.queries.factor <= few)
    schedule.variant = Schedule::Variant::Decode;
  else if (!attention.queries.isStatic() && attention.queries != attention.keys)
    schedule.decodeQueries = few;
}

Schedule rapt::chooseSchedule(const KernelSpec &spec, const std::vector<bool> &weightInputs,
                              const TargetCpu &target) {
  Schedule schedule;
  schedule.vector = target.vectorBytes / 4;
  bool hasAttention = false, hasReduction = false, alone = true;
  for (const Stage &stage : spec.stages) {
    alone &= !(hasAttention && stage.attention);
    hasAttention |= stage.attention.has_value();
    hasReduction |= !stage.attention && !isPointwise(stage);
  }
  if (hasAttention) {
    schedule.recipe =
        alone && !hasReduction ? Schedule::Recipe::Attention : Schedule::Recipe::Reference;
    for (const Stage &stage : spec.stages)
      if (stage.attention)
        chooseAttention(schedule, *stage.attention);
  } else if (!hasReduction)
    schedule.recipe = Schedule::Recipe::Pointwise;
  else if (int weight = gemmWeight(spec, weightInputs); weight >= 0 && !needsStrictFloat(spec)) {
    // Without fast-math no multiply-add is formed; a gemm that handles infinities is not worth a
    // tile.
    schedule.recipe = Schedule::Recipe::Gemm;
    chooseTile(schedule, spec.tensors[weight].shape[1].factor, target);
  } else if (isLargeProduct(spec) && !needsStrictFloat(spec)) {
    schedule.recipe = Schedule::Recipe::Matmul;
    chooseProductTile(schedule, matchProduct(spec)->contraction->loop, target);
  } else {
    schedule.recipe = isRows(spec) ? Schedule::Recipe::Rows : Schedule::Recipe::Loops;
  }
  return schedule;
}
