//===- Gemm.cpp - Is a kernel a matrix product? --------------------------------*- C++ -*-===//
//
// In:  a spec in normal form (unit dims dropped, neighbouring loops merged). Matching changes
// nothing;
//      the row is added once, at the end of the normal form, so that every later reader sees the
//      same spec.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/Gemm.h"

#include "compiler/Kernels/SpecQueries.h"

#include <algorithm>
#include <unordered_map>

namespace rapt::kernels {

/// The only stage that is not pointwise; null if there is another number of them, or attention.
static const Stage *onlyReduction(const KernelSpec &spec) {
  const Stage *found = nullptr;
  for (const Stage &stage : spec.stages) {
    if (isPointwise(stage))
      continue;
    if (stage.attention || found)
      return nullptr;
    found = &stage;
  }
  return found;
}

/// What is widened where `expr` is a cast to f32 from f16 or bf16, which are for storage; else
/// `expr`.
static const ExprRef &stored(const ExprRef &expr) {
  bool widens =
      expr->kind == Expr::Kind::Cast && expr->type == ScalarType::F32 &&
      (expr->operands[0]->type == ScalarType::F16 || expr->operands[0]->type == ScalarType::BF16);
  return widens ? expr->operands[0] : expr;
}

/// If `loop` is  sum over k of a * w  in f32, with w the load of an input at [k, n], widened if it
/// is narrower, and n, the last parallel loop, not in a: the side of the product that w is on. The
/// input must suit `isWeight`.
static std::optional<int> weightSide(const KernelSpec &spec, const LoopStage &loop,
                                     const std::function<bool(int)> &isWeight) {
  int n = loop.parallel - 1, k = loop.parallel;
  const ExprRef &body = loop.body;
  if (loop.reduction != Reduction::Sum || n < 0 || static_cast<int>(loop.loops.size()) != k + 1 ||
      !loop.loops[n].isStatic() || !loop.loops[k].isStatic() || body->type != ScalarType::F32 ||
      body->kind != Expr::Kind::Binary || body->binary != BinaryOp::Mul)
    return std::nullopt;
  for (int side : {1, 0}) {
    const ExprRef &weight = stored(body->operands[side]);
    if (weight->kind == Expr::Kind::Load && weight->integer < spec.numInputs &&
        weight->operands.size() == 2 && isLoop(weight->operands[0], k) &&
        isLoop(weight->operands[1], n) && !usesLoop(body->operands[1 - side], n) &&
        isWeight(static_cast<int>(weight->integer)))
      return side;
  }
  return std::nullopt;
}

/// True if `expr` reads the results of stages from `first` on at [Loop 0, Loop 1, ...] only.
static bool readsInPlace(const KernelSpec &spec, size_t first, const ExprRef &expr) {
  if (expr->kind == Expr::Kind::Load)
    for (size_t i = first; i < spec.stages.size(); ++i)
      if (spec.stages[i].result == expr->integer && !isPlainLoad(expr))
        return false;
  return std::all_of(expr->operands.begin(), expr->operands.end(),
                     [&](const ExprRef &operand) { return readsInPlace(spec, first, operand); });
}

/// Whether what follows `contraction` stays on its tile: the same loops, the sum read at the same
/// place.
static bool staysOnTile(const KernelSpec &spec, const Stage &contraction) {
  const LoopStage &loop = contraction.loop;
  std::vector<Extent> tile(loop.loops.begin(), loop.loops.begin() + loop.parallel);
  for (int output : spec.outputs)
    if (output < spec.numInputs || spec.tensors[output].shape != tile)
      return false;
  size_t first = &contraction - spec.stages.data();
  for (size_t i = first + 1; i < spec.stages.size(); ++i)
    if (spec.stages[i].loop.loops != tile || !readsInPlace(spec, first, spec.stages[i].loop.body))
      return false;
  return true;
}

std::optional<GemmMatch> matchGemm(const KernelSpec &spec,
                                   const std::function<bool(int)> &isWeight) {
  const Stage *contraction = onlyReduction(spec);
  if (!contraction || contraction->loop.parallel < 2)
    return std::nullopt;
  std::optional<int> side = weightSide(spec, contraction->loop, isWeight);
  if (!side || !staysOnTile(spec, *contraction))
    return std::nullopt;
  const std::vector<ExprRef> &factors = contraction->loop.body->operands;
  return GemmMatch{contraction, factors[1 - *side],
                   static_cast<int>(stored(factors[*side])->integer)};
}

std::optional<ProductMatch> matchProduct(const KernelSpec &spec) {
  const Stage *contraction = onlyReduction(spec);
  if (!contraction || contraction->loop.parallel < 2)
    return std::nullopt;
  const LoopStage &loop = contraction->loop;
  const ExprRef &body = loop.body;
  int n = loop.parallel - 1;
  if (loop.reduction != Reduction::Sum || body->type != ScalarType::F32 ||
      body->kind != Expr::Kind::Binary || body->binary != BinaryOp::Mul ||
      !staysOnTile(spec, *contraction))
    return std::nullopt;
  for (int side : {1, 0}) {
    const ExprRef &a = body->operands[1 - side], &b = body->operands[side];
    if (usesLoop(a, n) || !usesLoop(b, n))
      continue;
    for (int m = n - 1; m >= 0; --m)
      if (usesLoop(a, m) && !usesLoop(b, m))
        return ProductMatch{contraction, a, b, m};
  }
  return std::nullopt;
}

namespace {
/// Puts an expression inside of one more loop; results of stages have that loop as their first dim.
/// Shared subtrees are visited once and stay shared.
struct RowAdder {
  const KernelSpec &spec;
  std::unordered_map<const Expr *, ExprRef> done;

  ExprRef visit(const ExprRef &expr) {
    if (expr->kind == Expr::Kind::Loop)
      return Expr::makeLoop(static_cast<int>(expr->integer) + 1);
    if (auto found = done.find(expr.get()); found != done.end())
      return found->second;
    auto copy = std::make_shared<Expr>(*expr);
    for (ExprRef &operand : copy->operands)
      operand = visit(operand);
    if (expr->kind == Expr::Kind::Load && expr->integer >= spec.numInputs)
      copy->operands.insert(copy->operands.begin(), Expr::makeLoop(0));
    done.emplace(expr.get(), copy);
    return copy;
  }
};
} // namespace

void addRowOfVectorProduct(KernelSpec &spec) {
  const Stage *contraction = onlyReduction(spec);
  if (!contraction || contraction->loop.parallel != 1 ||
      !weightSide(spec, contraction->loop, [](int) { return true; }))
    return;
  for (Stage &stage : spec.stages) {
    stage.loop.body = RowAdder{spec, {}}.visit(stage.loop.body);
    stage.loop.loops.insert(stage.loop.loops.begin(), Extent());
    ++stage.loop.parallel;
    std::vector<Extent> &shape = spec.tensors[stage.result].shape;
    shape.insert(shape.begin(), Extent());
  }
}

} // namespace rapt::kernels
