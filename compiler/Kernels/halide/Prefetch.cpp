//===- Prefetch.cpp - Fetching operands while those before them are used -------*- C++ -*-===//
//
// In:  a lowered Halide statement with the loops that Gemm.cpp or AttentionSchedule.cpp names. Out:
//      the same with prefetch intrinsics in or before the reduction loops of its accumulators.
//
// Which panel a loop of Gemm reads is taken from its own loads: the loops around it may be fused,
// and then no variable says it.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/halide/Prefetch.h"

#include <algorithm>

namespace rapt::kernels::halide {

using namespace Halide::Internal;
using Halide::Expr;

static constexpr int floatsPerLine = 16;

/// Fetches the line of `buffer` that holds element `index`; there may be no such element.
static Stmt fetchLine(const std::string &buffer, const Expr &index) {
  std::vector<Expr> args = {Variable::make(Halide::Handle(), buffer), simplify(index), 1, 1};
  return Evaluate::make(Call::make(Halide::Float(32), Call::prefetch, args, Call::Intrinsic));
}

static bool endsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

namespace {
/// Where the first load of `weight` begins.
class FindLoad : public IRVisitor {
public:
  explicit FindLoad(const std::string &weight) : weight(weight) {}
  Expr index;

protected:
  using IRVisitor::visit;
  void visit(const Load *load) override {
    IRVisitor::visit(load);
    if (load->name != weight || index.defined())
      return;
    const Ramp *ramp = load->index.as<Ramp>();
    index = ramp ? ramp->base : load->index;
  }

private:
  const std::string &weight;
};
} // namespace

bool PanelPrefetch::foundAny() const {
  return std::any_of(places.begin(), places.end(), [](const Place &place) { return place.hits; });
}

Expr PanelPrefetch::valueOf(const std::string &var) const {
  for (auto name = enclosing.rbegin(); name != enclosing.rend(); ++name)
    if (endsWith(*name, "." + var))
      return Variable::make(Halide::Int(32), *name);
  return 0;
}

Stmt PanelPrefetch::visit(const For *loop) {
  enclosing.push_back(loop->name);
  Stmt result = IRMutator::visit(loop);
  enclosing.pop_back();
  // The accumulator's update is its stage 1; its only loop left is the reduction.
  auto place = std::find_if(places.begin(), places.end(), [&](const Place &p) {
    return loop->name.rfind(p.accumulator + ".s1.", 0) == 0;
  });
  if (place == places.end() || !result.as<For>())
    return result;
  loop = result.as<For>();
  FindLoad load(weight);
  loop->body.accept(&load);
  if (!load.index.defined())
    return result;
  ++place->hits;
  // Both may lie past the last panel: a prefetch never faults.
  Expr k = Variable::make(Halide::Int(32), loop->name);
  Expr block = valueOf(place->blockVar) + place->firstBlock;
  Expr share = Halide::max(1, (width + blocks - 1) / blocks); // floats per k step
  // Linear in k, so that the address costs one addition a step.
  Expr next = width * reduction + block * reduction * share;
  Expr first = Halide::select(blocks > 1, next, width * stepsAhead);
  Expr step = Halide::select(blocks > 1, share - width, 0);
  Expr offset = load.index + first + k * step;
  Stmt body = loop->body;
  for (int line = 0; line < linesPerStep; ++line)
    body = Block::make(fetchLine(weight, offset + line * floatsPerLine), body);
  return For::make(loop->name, loop->min, loop->extent, loop->for_type, loop->partition_policy,
                   loop->device_api, body);
}

namespace {
/// Puts loops in the place of variables that stand for them.
class NameLoops : public IRMutator {
public:
  NameLoops(const std::vector<std::string> &enclosing, const std::string &parallel)
      : enclosing(enclosing), parallel(parallel) {}

protected:
  using IRMutator::visit;
  Expr visit(const Variable *variable) override {
    if (variable->param.defined() || variable->name == RowPrefetch::row)
      return variable;
    if (variable->name == RowPrefetch::task)
      return parallel.empty() ? Expr(0) : Variable::make(Halide::Int(32), parallel);
    for (auto name = enclosing.rbegin(); name != enclosing.rend(); ++name)
      if (endsWith(*name, "." + variable->name))
        return Variable::make(Halide::Int(32), *name);
    return 0;
  }

private:
  const std::vector<std::string> &enclosing;
  const std::string &parallel;
};
} // namespace

Stmt RowPrefetch::visit(const For *loop) {
  enclosing.push_back(loop->name);
  if (loop->for_type == ForType::Parallel)
    parallel = loop->name;
  Stmt result = IRMutator::visit(loop);
  enclosing.pop_back();
  // The accumulator's last stage has one loop left, the reduction.
  if (loop->name.rfind(accumulator, 0) != 0)
    return result;
  ++hits;
  NameLoops names(enclosing, parallel);
  for (const Rows &each : rows) {
    Stmt body;
    Expr first = names.mutate(each.index);
    for (int element = 0; element < each.width; element += floatsPerLine) {
      Stmt line = fetchLine(each.buffer, first + element);
      body = body.defined() ? Block::make(body, line) : line;
    }
    result = Block::make(For::make(row, names.mutate(each.begin), names.mutate(each.count),
                                   ForType::Serial, Halide::Partition::Never,
                                   Halide::DeviceAPI::None, body),
                         result);
  }
  return result;
}

} // namespace rapt::kernels::halide
