//===- MergeLoops.cpp - Neighbouring loops that go together become one -----------------===//
//
// [batch, seq, 384] and a loop nest (b, s, n) over it are the same work as [batch * seq, 384] and
// (m, n) when nothing looks at b or s alone: every tensor either has the whole run of loops as
// neighbouring indices at one place of its shape, or is not indexed by any of them. The run need
// not be in front: a product over the channels of [batch, 16, height, width] has rows of
// height * width.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/BuildSpec.h"

#include <algorithm>
#include <functional>

using namespace rapt::kernels;

namespace {

/// The parallel loops `first`, ..., `first + count - 1` of every stage.
class LoopRun {
public:
  LoopRun(KernelSpec &spec, int first, int count)
      : spec(spec), first(first), count(count), place(spec.tensors.size(), absent) {}

  bool canMerge() {
    for (const Stage &stage : spec.stages) {
      if (stage.attention || stage.loop.parallel < first + count)
        return false;
      if (!hasExtents(stage.loop.loops, first))
        return false;
      place[stage.result] = first;
    }
    return std::all_of(spec.stages.begin(), spec.stages.end(),
                       [&](const Stage &stage) { return findPlaces(stage.loop.body); }) &&
           std::all_of(spec.stages.begin(), spec.stages.end(),
                       [&](const Stage &stage) { return isConsistent(stage.loop.body); });
  }

  void merge() {
    for (size_t i = 0; i < spec.tensors.size(); ++i)
      if (place[i] != absent)
        mergeExtents(spec.tensors[i].shape, place[i]);
    for (Stage &stage : spec.stages) {
      mergeExtents(stage.loop.loops, first);
      stage.loop.parallel -= count - 1;
      stage.loop.body = rewrite(stage.loop.body);
    }
  }

private:
  static constexpr int absent = -1;

  bool isOfRun(const Expr &loop) const {
    return loop.integer >= first && loop.integer < first + count;
  }

  bool hasExtents(const std::vector<Extent> &extents, int at) const {
    const std::vector<Extent> &run = spec.stages.front().loop.loops;
    return static_cast<int>(extents.size()) >= at + count &&
           std::equal(run.begin() + first, run.begin() + first + count, extents.begin() + at);
  }

  /// The index of a load from which on the run's loops are its indices; absent if there is none.
  int placeIn(const Expr &load) const {
    for (int at = 0; at + count <= static_cast<int>(load.operands.size()); ++at) {
      int same = 0;
      while (same < count && load.operands[at + same]->kind == Expr::Kind::Loop &&
             load.operands[at + same]->integer == first + same)
        ++same;
      if (same == count && hasExtents(spec.tensors[load.integer].shape, at))
        return at;
    }
    return absent;
  }

  /// Notes where the tensors that are loaded have the run; false when one of its loops appears
  /// anywhere else.
  bool findPlaces(const ExprRef &expr) {
    if (expr->kind == Expr::Kind::Loop)
      return !isOfRun(*expr);
    int at = expr->kind == Expr::Kind::Load ? placeIn(*expr) : absent;
    if (at != absent)
      place[expr->integer] = at;
    for (int i = 0; i < static_cast<int>(expr->operands.size()); ++i)
      if ((at == absent || i < at || i >= at + count) && !findPlaces(expr->operands[i]))
        return false;
    return true;
  }

  /// A tensor that has the run has it at one place in every load.
  bool isConsistent(const ExprRef &expr) const {
    if (expr->kind == Expr::Kind::Load && placeIn(*expr) != place[expr->integer])
      return false;
    return std::all_of(expr->operands.begin(), expr->operands.end(),
                       [&](const ExprRef &operand) { return isConsistent(operand); });
  }

  void mergeExtents(std::vector<Extent> &extents, int at) const {
    Extent product;
    for (int i = 0; i < count; ++i)
      product = product * extents[at + i];
    extents[at] = product;
    extents.erase(extents.begin() + at + 1, extents.begin() + at + count);
  }

  ExprRef rewrite(const ExprRef &expr) const {
    if (expr->kind == Expr::Kind::Loop)
      return expr->integer <= first ? expr
                                    : Expr::makeLoop(static_cast<int>(expr->integer) - (count - 1));
    if (expr->operands.empty())
      return expr;
    auto copy = std::make_shared<Expr>(*expr);
    if (expr->kind == Expr::Kind::Load && place[expr->integer] != absent) {
      auto run = copy->operands.begin() + place[expr->integer];
      copy->operands.erase(run + 1, run + count);
    }
    for (ExprRef &operand : copy->operands)
      operand = rewrite(operand);
    return copy;
  }

  KernelSpec &spec;
  int first, count;
  std::vector<int> place; // of each tensor: which of its dims is the first of the run
};

} // namespace

void rapt::kernels::mergeLoops(KernelSpec &spec) {
  if (spec.stages.empty() || spec.stages.front().attention)
    return;
  const int &parallel = spec.stages.front().loop.parallel;
  for (int first = 0; first < parallel; ++first)
    for (int count = parallel - first; count >= 2; --count) {
      LoopRun run(spec, first, count);
      if (run.canMerge()) {
        run.merge();
        break;
      }
    }
}
