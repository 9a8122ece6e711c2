//===- SpecQueries.cpp - Questions about kernel specs --------------------------*- C++ -*-===//
//
// Pure functions over expressions that may share subtrees: all walks go through anyNode.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/SpecQueries.h"

#include <unordered_set>

namespace rapt::kernels {

bool anyNode(const ExprRef &expr, const std::function<bool(const Expr &)> &visit) {
  std::unordered_set<const Expr *> seen;
  std::function<bool(const ExprRef &)> walk = [&](const ExprRef &node) {
    if (!seen.insert(node.get()).second)
      return false;
    if (visit(*node))
      return true;
    for (const ExprRef &operand : node->operands)
      if (walk(operand))
        return true;
    return false;
  };
  return expr && walk(expr);
}

bool isLoop(const ExprRef &expr, int loop) {
  return expr->kind == Expr::Kind::Loop && expr->integer == loop;
}

bool usesLoop(const ExprRef &expr, int loop) {
  return anyNode(expr, [&](const Expr &node) {
    return node.kind == Expr::Kind::Loop && node.integer == loop;
  });
}

bool isPlainLoad(const ExprRef &expr) {
  if (expr->kind != Expr::Kind::Load)
    return false;
  for (size_t i = 0; i < expr->operands.size(); ++i)
    if (!isLoop(expr->operands[i], static_cast<int>(i)))
      return false;
  return true;
}

int countLoads(const ExprRef &expr, int tensor) {
  int count = 0;
  anyNode(expr, [&](const Expr &node) {
    count += node.kind == Expr::Kind::Load && node.integer == tensor;
    return false;
  });
  return count;
}

bool isPointwise(const Stage &stage) {
  return !stage.attention && stage.loop.reduction == Reduction::None;
}

} // namespace rapt::kernels
