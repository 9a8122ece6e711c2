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
#include <map>
#include <set>
#include <sstream>

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

static Stmt withBody(const For *loop, const Stmt &body) {
  return For::make(loop->name, loop->min, loop->extent, loop->for_type, loop->partition_policy,
                   loop->device_api, body);
}

namespace {
/// Where the first load of a buffer begins.
class FindLoad : public IRVisitor {
public:
  explicit FindLoad(const std::string &buffer) : buffer(buffer) {}
  Expr index;

protected:
  using IRVisitor::visit;
  void visit(const Load *load) override {
    IRVisitor::visit(load);
    if (load->name != buffer || index.defined())
      return;
    const Ramp *ramp = load->index.as<Ramp>();
    index = ramp ? ramp->base : load->index;
  }

private:
  const std::string &buffer;
};

class FindAnyLoad : public IRVisitor {
public:
  bool found = false;

protected:
  using IRVisitor::visit;
  void visit(const Load *) override { found = true; }
};

/// In the body of a loop over blocks of rows, what the loop over a block's rows reads of each row,
/// side by side in buffers from outside.
class FindRows : public IRVisitor {
public:
  explicit FindRows(const std::string &rowVar) : rowVar(rowVar) {}
  const For *rows = nullptr;
  std::vector<Stmt> lines; ///< over the loop's variable and what the block's body can use

protected:
  using IRVisitor::visit;
  void visit(const LetStmt *let) override { enter(let); }
  void visit(const Let *let) override { enter(let); }
  void visit(const Allocate *allocate) override {
    inside.insert(allocate->name);
    IRVisitor::visit(allocate);
  }
  void visit(const For *loop) override {
    bool isRows = !rows && endsWith(loop->name, "." + rowVar);
    if (isRows)
      rows = loop;
    inRows += isRows;
    IRVisitor::visit(loop);
    inRows -= isRows;
  }
  void visit(const Load *load) override {
    IRVisitor::visit(load);
    const Ramp *ramp = load->index.as<Ramp>();
    if (!inRows || !ramp || !is_const_one(ramp->stride) || inside.count(load->name))
      return;
    Expr first = simplify(substitute(values, ramp->base));
    // What is loaded to find a place may be guarded where it stands.
    FindAnyLoad any;
    first.accept(&any);
    if (any.found || !expr_uses_var(first, rows->name))
      return;
    std::ostringstream text;
    text << load->name << ' ' << first;
    if (known.insert(text.str()).second)
      lines.push_back(fetchLine(load->name, first));
  }

private:
  const std::string &rowVar;
  int inRows = 0;
  std::map<std::string, Expr> values; ///< of the names that lets give
  std::set<std::string> inside;       ///< buffers of the block itself
  std::set<std::string> known;

  template <typename T> void enter(const T *let) {
    let->value.accept(this);
    values[let->name] = substitute(values, let->value);
    let->body.accept(this);
  }
};
} // namespace

/// `block` with the lines that its loop over `rowVar` reads fetched before it.
static Stmt fetchRows(const Stmt &block, const std::string &rowVar) {
  FindRows found(rowVar);
  block.accept(&found);
  if (found.lines.empty())
    return block;
  std::string row = found.rows->name + ".fetched";
  Stmt body =
      substitute(found.rows->name, Variable::make(Halide::Int(32), row), Block::make(found.lines));
  return Block::make(For::make(row, found.rows->min, found.rows->extent, ForType::Serial,
                               Halide::Partition::Never, Halide::DeviceAPI::None, body),
                     block);
}

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
  const For *changed = result.as<For>();
  if (!changed)
    return result;
  if (!rowVar.empty() && endsWith(loop->name, "." + places[0].blockVar))
    return withBody(changed, fetchRows(changed->body, rowVar));
  return withinSums(changed);
}

/// `loop`, with fetches where it is the reduction of an accumulator.
Stmt PanelPrefetch::withinSums(const For *loop) {
  // The accumulator's update is its stage 1; its only loop left is the reduction.
  auto place = std::find_if(places.begin(), places.end(), [&](const Place &p) {
    return loop->name.rfind(p.accumulator + ".s1.", 0) == 0;
  });
  if (place == places.end())
    return loop;
  FindLoad load(weight);
  loop->body.accept(&load);
  if (!load.index.defined())
    return loop;
  ++place->hits;
  // All may lie past the last panel or row: a prefetch never faults.
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
  FindLoad row(lhs);
  loop->body.accept(&row);
  if (row.index.defined())
    body = Block::make(fetchLine(lhs, row.index + height * reduction + k * (height - 1)), body);
  return withBody(loop, body);
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
