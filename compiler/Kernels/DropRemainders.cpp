//===- DropRemainders.cpp - Remainders of loops that end before they wrap --------------===//
//
// i mod 512, of a loop of 512 or fewer steps, is i, and i div 512 is 0. Views of views leave them
// behind; without them an index says again that it walks a row.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/BuildSpec.h"

#include <unordered_map>

using namespace rapt::kernels;

namespace {
/// Shared subtrees are visited once and stay shared.
struct Dropper {
  const std::vector<Extent> &loops;
  std::unordered_map<const Expr *, ExprRef> done;

  /// Whether `expr` divides a loop by a number that it never reaches.
  bool neverWraps(const Expr &expr) const {
    if (expr.kind != Expr::Kind::Binary || expr.operands[0]->kind != Expr::Kind::Loop ||
        expr.operands[1]->kind != Expr::Kind::Int)
      return false;
    const Extent &extent = loops[expr.operands[0]->integer];
    return extent.isStatic() && extent.factor <= expr.operands[1]->integer;
  }

  ExprRef visit(const ExprRef &expr) {
    if (expr->operands.empty())
      return expr;
    if (auto found = done.find(expr.get()); found != done.end())
      return found->second;
    ExprRef result;
    bool never = neverWraps(*expr);
    if (never && (expr->binary == BinaryOp::Mod || expr->binary == BinaryOp::FloorMod)) {
      result = expr->operands[0];
    } else if (never && (expr->binary == BinaryOp::Div || expr->binary == BinaryOp::FloorDiv)) {
      result = Expr::makeInt(0);
    } else {
      std::vector<ExprRef> operands;
      for (const ExprRef &operand : expr->operands)
        operands.push_back(visit(operand));
      bool sums = expr->kind == Expr::Kind::Binary && expr->type == ScalarType::I64;
      auto copy = std::make_shared<Expr>(*expr);
      copy->operands = operands;
      // Sums and products with the zero of a quotient vanish.
      result = sums ? Expr::makeBinary(expr->binary, operands[0], operands[1]) : ExprRef(copy);
    }
    done.emplace(expr.get(), result);
    return result;
  }
};
} // namespace

void rapt::kernels::dropRemainders(KernelSpec &spec) {
  for (Stage &stage : spec.stages)
    if (!stage.attention)
      stage.loop.body = Dropper{stage.loop.loops, {}}.visit(stage.loop.body);
}
