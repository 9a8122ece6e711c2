//===- Prefetch.h - Fetching the next weight panel while this one is used ------*- C++ -*-===//
//
// A lowering pass for Gemm kernels. Halide's own prefetch directive cannot say "a share of the next
// panel in every step of this one", which is what hides DRAM when
// weights are cold.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H
#define RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H

#include <Halide.h>

namespace rapt::kernels::halide {

/// Inserts prefetches into the reduction loop of `accumulator`. The loops of the output are found
/// by the names of their variables: panel = `groupVar` * groupSize + `panelVar`, row block =
/// `chunkVar` * chunkBlocks + `blockVar`; a variable whose loop was simplified away counts as zero.
class NextPanelPrefetch : public Halide::Internal::IRMutator {
public:
  std::string accumulator, weight, groupVar, panelVar, chunkVar, blockVar;
  Halide::Expr groupSize, chunkBlocks;
  Halide::Expr blocks;  ///< row blocks in all, among which the panel's lines are divided
  int panelFloats = 0;  ///< nr * K
  int reduction = 0;    ///< K
  int linesPerStep = 1; ///< prefetches in each step
  int hits = 0;         ///< loops changed

protected:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::For *loop) override;
  Halide::Internal::Stmt visit(const Halide::Internal::LetStmt *let) override;

private:
  std::vector<std::string> enclosing;
  Halide::Expr valueOf(const std::string &var) const;
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H
