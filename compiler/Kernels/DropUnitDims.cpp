//===- DropUnitDims.cpp - Dims and loops of size one vanish ----------------------------===//
//
// Tensors are dense and row-major, so a dim of size one changes no address. Without them a row
// reduction that keeps its dims looks like one that does not, and a model with batch 1 like one
// without a batch. An attention stage keeps its result's four dims: they are its meaning.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/BuildSpec.h"

using namespace rapt::kernels;

namespace {

/// For each dim, whether it stays; at least one does, so that nothing has rank zero by accident.
std::vector<bool> keptDims(const std::vector<Extent> &shape) {
  std::vector<bool> kept;
  bool any = false;
  for (const Extent &extent : shape) {
    kept.push_back(!(extent == Extent{1, {}}));
    any |= kept.back();
  }
  if (!any && !kept.empty())
    kept.back() = true;
  return kept;
}

template <typename T> void keepOnly(std::vector<T> &items, const std::vector<bool> &kept) {
  std::vector<T> result;
  for (size_t i = 0; i < items.size(); ++i)
    if (kept[i])
      result.push_back(std::move(items[i]));
  items = std::move(result);
}

ExprRef dropIndices(const ExprRef &expr, const std::vector<std::vector<bool>> &kept) {
  if (expr->operands.empty())
    return expr;
  auto copy = std::make_shared<Expr>(*expr);
  if (expr->kind == Expr::Kind::Load)
    keepOnly(copy->operands, kept[expr->integer]);
  for (ExprRef &operand : copy->operands)
    operand = dropIndices(operand, kept);
  return copy;
}

} // namespace

void rapt::kernels::dropUnitDims(KernelSpec &spec) {
  std::vector<std::vector<bool>> kept;
  for (const Tensor &tensor : spec.tensors)
    kept.push_back(tensor.panel ? std::vector<bool>(tensor.shape.size(), true)
                                : keptDims(tensor.shape));
  for (const Stage &stage : spec.stages)
    if (stage.attention)
      kept[stage.result].assign(4, true);

  for (Stage &stage : spec.stages) {
    if (stage.attention) {
      AttentionStage &attention = *stage.attention;
      for (ExprRef *expr : {&attention.query, &attention.key, &attention.value, &attention.bias,
                            &attention.mask, &attention.sink})
        if (*expr)
          *expr = dropIndices(*expr, kept);
      continue;
    }
    // The result's dims say which parallel loops stay; a reduced loop of size one goes as well.
    LoopStage &loop = stage.loop;
    std::vector<bool> keptLoops = kept[stage.result];
    for (size_t i = loop.parallel; i < loop.loops.size(); ++i)
      keptLoops.push_back(!(loop.loops[i] == Extent{1, {}}));
    std::vector<ExprRef> replacements;
    int next = 0, parallel = 0;
    for (size_t i = 0; i < keptLoops.size(); ++i) {
      replacements.push_back(keptLoops[i] ? Expr::makeLoop(next++) : Expr::makeInt(0));
      parallel += keptLoops[i] && static_cast<int>(i) < loop.parallel;
    }
    loop.body = dropIndices(substituteLoops(loop.body, replacements), kept);
    keepOnly(loop.loops, keptLoops);
    loop.parallel = parallel;
    if (static_cast<int>(loop.loops.size()) == parallel)
      loop.reduction = Reduction::None;
  }
  for (size_t i = 0; i < spec.tensors.size(); ++i)
    keepOnly(spec.tensors[i].shape, kept[i]);
}
