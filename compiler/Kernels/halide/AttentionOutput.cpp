//===- AttentionOutput.cpp - Where an attention result ends up -----------------*- C++ -*-===//
//
// In:  a spec with one attention stage. Inlines the pointwise stages behind it into one expression
//      over the output's loops and reads off which loop walks batch, head, query and value.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/halide/AttentionOutput.h"

#include <algorithm>

namespace rapt::kernels::halide {

namespace {

class Matcher {
public:
  Matcher(const KernelSpec &spec, const Stage &stage)
      : spec(spec), stage(stage), attention(*stage.attention) {}

  std::optional<AttentionOutput> match() {
    if (spec.outputs.size() != 1 || spec.outputs[0] < spec.numInputs)
      return std::nullopt;
    size_t loops = spec.tensors[spec.outputs[0]].shape.size();
    std::vector<ExprRef> indices;
    for (size_t i = 0; i < loops; ++i)
      indices.push_back(Expr::makeLoop(static_cast<int>(i)));
    ExprRef load = Expr::makeLoad(spec.outputs[0], spec.tensors[spec.outputs[0]].type, indices);
    std::optional<ExprRef> body = inlineStages(load);
    if (!body || !findRoles(*body) || !found || !coversLoops(static_cast<int>(loops)))
      return std::nullopt;
    found->body = *body;
    return found;
  }

private:
  const KernelSpec &spec;
  const Stage &stage;
  const AttentionStage &attention;
  std::optional<AttentionOutput> found;

  /// Puts the bodies of pointwise stages after attention in place of their loads.
  std::optional<ExprRef> inlineStages(const ExprRef &expr) const {
    std::vector<ExprRef> operands;
    for (const ExprRef &operand : expr->operands) {
      std::optional<ExprRef> inlined = inlineStages(operand);
      if (!inlined)
        return std::nullopt;
      operands.push_back(*inlined);
    }
    int tensor = static_cast<int>(expr->integer);
    if (expr->kind == Expr::Kind::Load && tensor >= spec.numInputs && tensor != stage.result) {
      auto source =
          std::find_if(spec.stages.begin(), spec.stages.end(),
                       [&](const Stage &candidate) { return candidate.result == tensor; });
      if (source == spec.stages.end() || source->attention ||
          source->loop.reduction != Reduction::None)
        return std::nullopt;
      return inlineStages(substituteLoops(source->loop.body, operands));
    }
    if (operands.empty())
      return expr;
    Expr copy = *expr;
    copy.operands = std::move(operands);
    return std::make_shared<const Expr>(std::move(copy));
  }

  /// The loop x if `expr` is x / valueDim, or with `remainder` x % valueDim.
  std::optional<int> partOf(const ExprRef &expr, bool remainder) const {
    if (expr->kind != Expr::Kind::Binary || expr->operands[0]->kind != Expr::Kind::Loop ||
        expr->operands[1]->kind != Expr::Kind::Int ||
        expr->operands[1]->integer != attention.valueDim)
      return std::nullopt;
    bool divides = expr->binary == BinaryOp::FloorDiv || expr->binary == BinaryOp::Div;
    bool remains = expr->binary == BinaryOp::FloorMod || expr->binary == BinaryOp::Mod;
    if (!(remainder ? remains : divides))
      return std::nullopt;
    return static_cast<int>(expr->operands[0]->integer);
  }

  /// `expr` is a loop, or the constant 0 where the extent is one and `optional`.
  static bool findLoop(const ExprRef &expr, bool optional, int &loop) {
    loop = expr->kind == Expr::Kind::Loop ? static_cast<int>(expr->integer) : -1;
    return loop >= 0 || (optional && expr->kind == Expr::Kind::Int && expr->integer == 0);
  }

  /// Finds the roles in every load of the attention result; they must agree.
  bool findRoles(const ExprRef &expr) {
    for (const ExprRef &operand : expr->operands)
      if (!findRoles(operand))
        return false;
    if (expr->kind != Expr::Kind::Load || expr->integer != stage.result)
      return true;
    const std::vector<ExprRef> &at = expr->operands;
    AttentionOutput roles;
    if (!findLoop(at[0], attention.batch == Extent{}, roles.batch) ||
        !findLoop(at[2], false, roles.query))
      return false;
    std::optional<int> head = partOf(at[1], false), value = partOf(at[3], true);
    if (head && value && *head == *value)
      roles.head = roles.value = *head;
    else if (!findLoop(at[1], attention.heads == 1, roles.head) ||
             !findLoop(at[3], false, roles.value))
      return false;
    if (found && (found->batch != roles.batch || found->head != roles.head ||
                  found->query != roles.query || found->value != roles.value))
      return false;
    found = roles;
    return true;
  }

  /// Each loop of the output has one role, the innermost the value's, and the extent of it.
  bool coversLoops(int loops) const {
    std::vector<int> roles = {found->batch, found->query, found->value};
    if (!found->mergedHeads())
      roles.push_back(found->head);
    roles.erase(std::remove(roles.begin(), roles.end(), -1), roles.end());
    std::sort(roles.begin(), roles.end());
    for (int i = 0; i < static_cast<int>(roles.size()); ++i)
      if (roles[i] != i)
        return false;
    const std::vector<Extent> &shape = spec.tensors[spec.outputs[0]].shape;
    Extent width{found->mergedHeads() ? attention.heads * attention.valueDim : attention.valueDim,
                 {}};
    return static_cast<int>(roles.size()) == loops && found->value == loops - 1 &&
           shape[found->value] == width && shape[found->query] == attention.queries;
  }
};

} // namespace

std::optional<AttentionOutput> matchAttentionOutput(const KernelSpec &spec,
                                                    const Stage &attention) {
  return Matcher(spec, attention).match();
}

} // namespace rapt::kernels::halide
