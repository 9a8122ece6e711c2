//===- Predict.cpp - How long a kernel should take --------------------------------------===//
//
// A nominal core: per cycle two FMAs of full vectors (each 4 cycles long), two loads of vectors,
// one vector of any other arithmetic per FMA slot. It moves 8 bytes a cycle from memory, where
// weights are, and 32 from its caches, where everything else is as long as it fits into 1 MB.
// Computing and moving overlap, so a kernel takes the longer of both. What it counts:
//
//   gemm       the tiles that cover rows x columns, whole: a row block of a panel takes, for each
//              k, tile_rows * vectors FMAs, tile_rows + vectors loads, and no less than one FMA's
//              latency. A tile that needs more registers than there are goes through memory.
//   attention  for each pair of query and key, keys filled up to whole vectors, head_dim +
//              value_dim FMAs and the softmax's arithmetic (scale, bias, maximum, exp, sum:
//              kSoftmax vector operations); unless it decodes, keys and values are packed first;
//              unfused, the scores go to cache and back as well.
//   others     the arithmetic of every stage at every point of its loops, in vectors, or one by
//              one with the reference recipe.
//
// Absolute times differ between machines; shares of the peak and ratios between kernels less so,
// and they are what --report prints and --tune looks at (docs/kernels.md has measured ones).
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Schedule/Predict.h"

#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/SpecQueries.h"
#include "compiler/Kernels/Work.h"

#include <algorithm>
#include <cmath>

using namespace rapt;
using namespace rapt::kernels;

namespace {

constexpr double kFmas = 2, kLoads = 2, kLatency = 4; // a cycle, a cycle, cycles
constexpr double kMemoryBytes = 8, kCacheBytes = 32;  // a cycle
constexpr double kCacheSize = 1 << 20;
constexpr double kSoftmax = 24;         // vector operations for each vector of scores
constexpr double kPack = 4;             // cycles for each vector of a panel that is packed
constexpr double kTranscendental = 12;  // exp, log, erf, tanh, ...
constexpr double kUnvectorisedCost = 4; // scalar code waits for each result

double sizeOf(const Extent &extent, const std::vector<int64_t> &dims) {
  return ExtentSum(extent).evaluate(dims);
}

double roundUp(double value, double unit) { return std::ceil(value / unit) * unit; }

double points(const LoopStage &loop, const std::vector<int64_t> &dims) {
  double product = 1;
  for (const Extent &extent : loop.loops)
    product *= sizeOf(extent, dims);
  return product;
}

/// Vector operations for one vector of a stage's points; indices cost nothing.
double operationsOf(const ExprRef &body) {
  double cost = 1;
  anyNode(body, [&](const Expr &expr) {
    if (!isFloat(expr.type) || expr.kind == Expr::Kind::Load)
      return false;
    if (expr.kind == Expr::Kind::Binary || expr.kind == Expr::Kind::Select)
      cost += expr.kind == Expr::Kind::Binary && expr.binary == BinaryOp::Pow ? kTranscendental : 1;
    if (expr.kind == Expr::Kind::Unary)
      cost += expr.unary == UnaryOp::Neg || expr.unary == UnaryOp::Floor ? 1 : kTranscendental;
    return false;
  });
  return cost;
}

/// Cycles of all stages but `except`, whose elements are computed one after the other.
double elementwiseCycles(const KernelSpec &spec, const Stage *except, double lanes,
                         const std::vector<int64_t> &dims) {
  double cycles = 0;
  for (const Stage &stage : spec.stages)
    if (&stage != except && !stage.attention)
      cycles += points(stage.loop, dims) / lanes * operationsOf(stage.loop.body) / kFmas;
  return cycles;
}

/// A product of rows x columns in register tiles.
struct Tiling {
  double blocks, panels;
  double tile, vectors; ///< rows and vectors of a tile
  double step;          ///< cycles of a tile for each k

  Tiling(double rows, double columns, const Schedule &schedule, double lanes)
      : blocks(std::ceil(rows / double(schedule.tileRows))),
        panels(std::ceil(columns / double(schedule.tileCols))),
        tile(blocks > 0 ? std::ceil(rows / blocks) : 0),
        vectors(std::ceil(double(schedule.tileCols) / lanes)),
        step(std::max({tile * vectors / kFmas, (tile + vectors) / kLoads, kLatency})) {}
};

double gemmCycles(const KernelSpec &spec, const GemmMatch &match, const Schedule &schedule,
                  const TargetCpu &target, double lanes, const std::vector<int64_t> &dims) {
  const LoopStage &loop = match.contraction->loop;
  double rows = sizeOf(loop.loops[loop.parallel - 2], dims);
  double columns = sizeOf(loop.loops[loop.parallel - 1], dims);
  double depth = sizeOf(loop.loops[loop.parallel], dims);
  double products = points(loop, dims) / std::max(1.0, rows * columns * depth);
  Tiling tiling(rows, columns, schedule, lanes);
  double accumulators = tiling.tile * tiling.vectors;
  if (accumulators + tiling.vectors + 1 > double(target.vectorRegisters))
    tiling.step += accumulators / kLoads;
  return products * tiling.blocks * tiling.panels * depth * tiling.step +
         elementwiseCycles(spec, match.contraction, lanes, dims);
}

/// As a gemm's, and the panels that the kernel packs: loads, shuffles and stores.
double matmulCycles(const KernelSpec &spec, const ProductMatch &match, const Schedule &schedule,
                    double lanes, const std::vector<int64_t> &dims) {
  const LoopStage &loop = match.contraction->loop;
  double rows = sizeOf(loop.loops[match.m], dims);
  double columns = sizeOf(loop.loops[loop.parallel - 1], dims), depth = 1;
  for (size_t i = loop.parallel; i < loop.loops.size(); ++i)
    depth *= sizeOf(loop.loops[i], dims);
  double products = points(loop, dims) / std::max(1.0, rows * columns * depth);
  Tiling tiling(rows, columns, schedule, lanes);
  return products * tiling.panels * depth * (tiling.blocks * tiling.step + tiling.vectors * kPack) +
         elementwiseCycles(spec, match.contraction, lanes, dims);
}

double attentionCycles(const KernelSpec &spec, const Schedule &schedule, double lanes, double flops,
                       const std::vector<int64_t> &dims) {
  double cycles = elementwiseCycles(spec, nullptr, lanes, dims);
  for (const Stage &stage : spec.stages) {
    if (!stage.attention)
      continue;
    const AttentionStage &a = *stage.attention;
    double heads = sizeOf(a.batch, dims) * double(a.heads);
    double queries = sizeOf(a.queries, dims), keys = sizeOf(a.keys, dims);
    double all = 2 * heads * queries * keys * double(a.headDim + a.valueDim);
    double seen = all > 0 ? std::min(1.0, flops / all) : 0; // causal: about half
    double vectors = heads * queries * roundUp(keys, lanes) / lanes * seen;
    double filled = double(a.headDim) + roundUp(double(a.valueDim), lanes);
    cycles += vectors * (filled + kSoftmax) / kFmas;
    bool decodes =
        schedule.variant == Schedule::Variant::Decode || queries <= double(schedule.decodeQueries);
    if (!decodes)
      cycles += sizeOf(a.batch, dims) * double(a.kvHeads) * keys * filled / lanes * kPack;
    if (schedule.variant == Schedule::Variant::Unfused)
      cycles += heads * queries * keys * 4 * 4 / kCacheBytes; // four passes over the scores
  }
  return cycles;
}

/// What the panels of weights hold beyond their elements, and where all bytes come from.
double cyclesToMove(const KernelSpec &spec, double bytes) {
  double weights = 0, packed = 0;
  for (int i = 0; i < spec.numInputs; ++i)
    if (const Tensor &tensor = spec.tensors[i]; tensor.panel > 0 && tensor.shape.size() == 2) {
      double row = 4 * double(tensor.shape[0].factor), columns = double(tensor.shape[1].factor);
      weights += row * columns;
      packed += row * roundUp(columns, double(tensor.panel));
    }
  double rest = std::max(0.0, bytes - weights);
  return packed / kMemoryBytes + rest / (rest > kCacheSize ? kMemoryBytes : kCacheBytes);
}

} // namespace

void Prediction::add(const Prediction &other) {
  flops += other.flops;
  bytes += other.bytes;
  cycles += other.cycles;
  peakCycles += other.peakCycles;
  moveCycles += other.moveCycles;
}

Prediction rapt::predict(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &target,
                         const std::vector<int64_t> &dims) {
  double lanes = std::max(1.0, double(target.vectorBytes) / 4);
  Work work = workOf(spec);
  Prediction result;
  result.flops = work.flops.evaluate(dims);
  result.bytes = work.bytes.evaluate(dims);
  result.peakCycles = result.flops / (2 * lanes * kFmas);
  result.moveCycles = cyclesToMove(spec, result.bytes);
  auto match = matchGemm(spec, [&](int input) { return spec.tensors[input].panel > 0; });
  double computing;
  if (schedule.recipe == Schedule::Recipe::Gemm && match)
    computing = gemmCycles(spec, *match, schedule, target, lanes, dims);
  else if (auto product = matchProduct(spec);
           schedule.recipe == Schedule::Recipe::Matmul && product)
    computing = matmulCycles(spec, *product, schedule, lanes, dims);
  else if (schedule.recipe == Schedule::Recipe::Attention)
    computing = attentionCycles(spec, schedule, lanes, result.flops, dims);
  else if (schedule.recipe == Schedule::Recipe::Reference)
    computing = kUnvectorisedCost * (elementwiseCycles(spec, nullptr, 1, dims) + result.flops / 2);
  else
    computing = elementwiseCycles(spec, nullptr, lanes, dims);
  result.cycles = std::max(computing, result.moveCycles);
  return result;
}
