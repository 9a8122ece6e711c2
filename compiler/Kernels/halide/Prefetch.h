//===- Prefetch.h - Fetching weights while those before them are used ----------*- C++ -*-===//
//
// A lowering pass for Gemm kernels. Halide's own prefetch directive cannot say "a share of the next
// panel in every step of this one", which is what hides DRAM when weights are cold.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H
#define RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H

#include <Halide.h>

namespace rapt::kernels::halide {

/// Inserts prefetches into the reduction loops that read panels of `weight`. Step k of row block b
/// fetches what lies one panel further than where the share of (b, k) begins in this one; or, with
/// `stepsAhead`, of what step k + stepsAhead reads.
class PanelPrefetch : public Halide::Internal::IRMutator {
public:
  /// An accumulator, and the row block that it computes: the value of the innermost enclosing loop
  /// variable `blockVar`, or zero where that loop was simplified away, and firstBlock.
  struct Place {
    std::string accumulator, blockVar;
    Halide::Expr firstBlock;
    int hits = 0; ///< loops changed
  };
  std::vector<Place> places;
  std::string weight;
  Halide::Expr blocks;  ///< row blocks that read a panel one after the other
  int width = 0;        ///< floats of a panel for one k
  int reduction = 0;    ///< K
  int linesPerStep = 1; ///< prefetches in each step
  int stepsAhead = 0;   ///< 0: the next panel

  /// Whether a place was found: a pass that looks for names and finds none changes nothing. One of
  /// several may be missing, as tiles of which the number is known to be zero are.
  bool foundAny() const;

protected:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::For *loop) override;

private:
  std::vector<std::string> enclosing;
  Halide::Expr valueOf(const std::string &var) const;
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H
