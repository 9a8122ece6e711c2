//===- CostModel.cpp - From what a kernel computes to how -------------------------------===//
//
// The recipe follows from the shape of the computation alone; its numbers follow from the vector
// registers and the extents (docs/kernels.md).
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Schedule/Schedule.h"

#include <algorithm>

using namespace rapt;
using namespace rapt::kernels;

static bool isLoop(const ExprRef &expr, int loop) {
  return expr->kind == Expr::Kind::Loop && expr->integer == loop;
}

static bool usesLoop(const ExprRef &expr, int loop) {
  return isLoop(expr, loop) || std::any_of(expr->operands.begin(), expr->operands.end(),
                                           [&](const ExprRef &e) { return usesLoop(e, loop); });
}

static bool isPointwise(const Stage &stage) {
  return !stage.attention && stage.loop.reduction == Reduction::None;
}

/// sum over k of a(..., k) * weight(k, n), f32, with n the last parallel loop.
static int weightOf(const Stage &stage, const KernelSpec &spec, const std::vector<bool> &weightInputs) {
  const LoopStage &loop = stage.loop;
  if (stage.attention || loop.reduction != Reduction::Sum || loop.parallel < 2 ||
      static_cast<int>(loop.loops.size()) != loop.parallel + 1 || !loop.loops.back().isStatic() ||
      loop.body->kind != Expr::Kind::Binary || loop.body->binary != BinaryOp::Mul ||
      loop.body->type != ScalarType::F32)
    return -1;
  int n = loop.parallel - 1, k = loop.parallel;
  for (int side : {1, 0}) {
    const ExprRef &weight = loop.body->operands[side], &other = loop.body->operands[1 - side];
    if (weight->kind == Expr::Kind::Load && weight->integer < spec.numInputs &&
        weightInputs[weight->integer] && weight->operands.size() == 2 && isLoop(weight->operands[0], k) &&
        isLoop(weight->operands[1], n) && !usesLoop(other, n))
      return static_cast<int>(weight->integer);
  }
  return -1;
}

int rapt::gemmWeight(const KernelSpec &spec, const std::vector<bool> &weightInputs) {
  int weight = -1;
  for (const Stage &stage : spec.stages) {
    if (isPointwise(stage))
      continue;
    if (weight >= 0)
      return -1;
    weight = weightOf(stage, spec, weightInputs);
    if (weight < 0)
      return -1;
  }
  return weight;
}

/// Every reduction runs along the innermost loops of the same rows, and everything else has these rows.
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
  // The innermost loop of a reduction walks memory: each load that uses it does so in its last index.
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
/// 8x48 with 32 AVX-512 registers and 6x16 with 16 AVX2 registers run at the FMA peak; a panel width
/// that divides N wastes no columns.
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
  if (hasAttention)
    schedule.recipe = alone && !hasReduction ? Schedule::Recipe::Attention : Schedule::Recipe::Reference;
  else if (!hasReduction)
    schedule.recipe = Schedule::Recipe::Pointwise;
  else if (int weight = gemmWeight(spec, weightInputs); weight >= 0 && !needsStrictFloat(spec)) {
    // Without fast-math no multiply-add is formed; a gemm that handles infinities is not worth a tile.
    schedule.recipe = Schedule::Recipe::Gemm;
    chooseTile(schedule, spec.tensors[weight].shape[1].factor, target);
  } else {
    schedule.recipe = isRows(spec) ? Schedule::Recipe::Rows : Schedule::Recipe::Loops;
  }
  return schedule;
}
