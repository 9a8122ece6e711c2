//===- MergeLoops.cpp - Leading loops that go together become one ----------------------===//
//
// [batch, seq, 384] and a loop nest (b, s, n) over it are the same work as [batch * seq, 384] and
// (m, n) when nothing looks at b or s alone. A tensor is a row tensor when every access to it has
// the first `count` loops as its first indices; every other tensor may not be indexed by them at
// all.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/BuildSpec.h"

#include <algorithm>
#include <functional>

using namespace rapt::kernels;

namespace {

/// Whether the first `count` indices of a load are Loop(0), ..., Loop(count - 1).
bool leadsWithLoops(const Expr &load, int count) {
  if (static_cast<int>(load.operands.size()) < count)
    return false;
  for (int i = 0; i < count; ++i)
    if (load.operands[i]->kind != Expr::Kind::Loop || load.operands[i]->integer != i)
      return false;
  return true;
}

class LeadingLoops {
public:
  LeadingLoops(KernelSpec &spec, int count)
      : spec(spec), count(count), isRow(spec.tensors.size()) {}

  bool possible() {
    for (const Stage &stage : spec.stages) {
      if (stage.attention || stage.loop.parallel < count)
        return false;
      if (!sameExtents(stage.loop.loops))
        return false;
      isRow[stage.result] = true;
    }
    for (const Stage &stage : spec.stages)
      if (!classify(stage.loop.body))
        return false;
    for (const Stage &stage : spec.stages)
      if (!consistent(stage.loop.body))
        return false;
    return true;
  }

  void merge() {
    auto mergeExtents = [&](std::vector<Extent> &extents) {
      Extent product;
      for (int i = 0; i < count; ++i)
        product = product * extents[i];
      extents.erase(extents.begin(), extents.begin() + count);
      extents.insert(extents.begin(), product);
    };
    for (size_t i = 0; i < spec.tensors.size(); ++i)
      if (isRow[i])
        mergeExtents(spec.tensors[i].shape);
    for (Stage &stage : spec.stages) {
      mergeExtents(stage.loop.loops);
      stage.loop.parallel -= count - 1;
      stage.loop.body = rewrite(stage.loop.body);
    }
  }

private:
  bool sameExtents(const std::vector<Extent> &extents) {
    const std::vector<Extent> &first = spec.stages.front().loop.loops;
    return std::equal(first.begin(), first.begin() + count, extents.begin());
  }

  /// Marks what is loaded by rows; false when a row loop appears anywhere else.
  bool classify(const ExprRef &expr) {
    if (expr->kind == Expr::Kind::Loop)
      return expr->integer >= count;
    if (expr->kind != Expr::Kind::Load)
      return std::all_of(expr->operands.begin(), expr->operands.end(),
                         [&](const ExprRef &operand) { return classify(operand); });
    size_t skip = 0;
    const Tensor &tensor = spec.tensors[expr->integer];
    if (leadsWithLoops(*expr, count) && sameExtents(tensor.shape)) {
      isRow[expr->integer] = true;
      skip = count;
    }
    return std::all_of(expr->operands.begin() + skip, expr->operands.end(),
                       [&](const ExprRef &operand) { return classify(operand); });
  }

  /// A row tensor is indexed by rows everywhere.
  bool consistent(const ExprRef &expr) {
    if (expr->kind == Expr::Kind::Load && isRow[expr->integer] && !leadsWithLoops(*expr, count))
      return false;
    return std::all_of(expr->operands.begin(), expr->operands.end(),
                       [&](const ExprRef &operand) { return consistent(operand); });
  }

  ExprRef rewrite(const ExprRef &expr) {
    if (expr->kind == Expr::Kind::Loop)
      return Expr::makeLoop(static_cast<int>(expr->integer) - (count - 1));
    if (expr->operands.empty())
      return expr;
    auto copy = std::make_shared<Expr>(*expr);
    if (expr->kind == Expr::Kind::Load && isRow[expr->integer])
      copy->operands.erase(copy->operands.begin(), copy->operands.begin() + (count - 1));
    for (ExprRef &operand : copy->operands)
      operand = operand->kind == Expr::Kind::Loop && operand->integer < count ? Expr::makeLoop(0)
                                                                              : rewrite(operand);
    return copy;
  }

  KernelSpec &spec;
  int count;
  std::vector<bool> isRow;
};

} // namespace

void rapt::kernels::mergeLeadingLoops(KernelSpec &spec) {
  if (spec.stages.empty() || spec.stages.front().attention)
    return;
  for (int count = spec.stages.front().loop.parallel; count >= 2; --count) {
    LeadingLoops leading(spec, count);
    if (!leading.possible())
      continue;
    leading.merge();
    return;
  }
}
