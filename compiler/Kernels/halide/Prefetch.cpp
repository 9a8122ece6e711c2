//===- Prefetch.cpp - Fetching the next weight panel while this one is used ----*- C++ -*-===//
//
// In:  a lowered Halide statement with the loops that Gemm.cpp names. Out: the same with prefetch
//      intrinsics in the reduction loop. `hits` counts the places that were changed.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/halide/Prefetch.h"

namespace rapt::kernels::halide {

using namespace Halide::Internal;
using Halide::Expr;

static constexpr int floatsPerLine = 16;

static bool endsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Expr NextPanelPrefetch::valueOf(const std::string &var) const {
  for (auto name = enclosing.rbegin(); name != enclosing.rend(); ++name)
    if (endsWith(*name, "." + var))
      return Variable::make(Halide::Int(32), *name);
  return 0;
}

Stmt NextPanelPrefetch::visit(const LetStmt *let) {
  enclosing.push_back(let->name);
  Stmt result = IRMutator::visit(let);
  enclosing.pop_back();
  return result;
}

Stmt NextPanelPrefetch::visit(const For *loop) {
  enclosing.push_back(loop->name);
  Stmt result = IRMutator::visit(loop);
  enclosing.pop_back();
  // The accumulator's update is its stage 1; its only loop left is the reduction.
  if (loop->name.rfind(accumulator + ".s1.", 0) != 0 || !result.as<For>())
    return result;
  ++hits;
  loop = result.as<For>();
  Expr panel = valueOf(groupVar) * groupSize + valueOf(panelVar);
  Expr block = valueOf(chunkVar) * chunkBlocks + valueOf(blockVar);
  Expr step = Halide::max(1, (panelFloats / reduction + blocks - 1) / blocks); // floats per k step
  // The offset may lie past the last panel: a prefetch never faults.
  Expr offset = (panel + 1) * panelFloats +
                (block * reduction + Variable::make(Halide::Int(32), loop->name)) * step;
  Stmt body = loop->body;
  for (int line = 0; line < linesPerStep; ++line) {
    std::vector<Expr> args = {Variable::make(Halide::Handle(), weight),
                              simplify(offset + line * floatsPerLine), 1, 1};
    body = Block::make(
        Evaluate::make(Call::make(Halide::Float(32), Call::prefetch, args, Call::Intrinsic)), body);
  }
  return For::make(loop->name, loop->min, loop->extent, loop->for_type, loop->partition_policy,
                   loop->device_api, body);
}

} // namespace rapt::kernels::halide
