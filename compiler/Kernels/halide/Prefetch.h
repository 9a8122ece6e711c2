//===- Prefetch.h - Fetching operands while those before them are used ---------*- C++ -*-===//
//
// Lowering passes, for Gemm kernels and for attention. Halide's own prefetch directive cannot say
// "a share of the next panel in every step of this one", which is what hides memory when operands
// are cold.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H
#define RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H

#include <Halide.h>

namespace rapt::kernels::halide {

class Prefetch : public Halide::Internal::IRMutator {
public:
  /// Whether a place was found: a pass that looks for names and finds none changes nothing.
  virtual bool foundAny() const = 0;
};

/// Inserts prefetches into the reduction loops that read panels of `weight`. Step k of row block b
/// fetches what lies one panel further than where the share of (b, k) begins in this one, and a
/// share of the rows that block b + 1 reads; with a single block, some of what step k + stepsAhead
/// reads. Before the sums of a block, what its epilogue reads of each row is fetched.
class PanelPrefetch : public Prefetch {
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
  int stepsAhead = 0;
  std::string rowVar; ///< epilogue: its loop over the rows of a block; none: nothing is fetched
  std::string lhs;    ///< rows of K floats, one behind the other; none: nothing is fetched
  int height = 0;     ///< rows of a block

  /// One of several places may be missing, as tiles of which the number is known to be zero are.
  bool foundAny() const override;

protected:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::For *loop) override;

private:
  std::vector<std::string> enclosing;
  Halide::Expr valueOf(const std::string &var) const;
  Halide::Internal::Stmt withinSums(const Halide::Internal::For *loop);
};

/// Inserts prefetches before the reduction loops of an accumulator: rows that a later block or task
/// reads. Expressions are over enclosing loops: `task` is the parallel one, others are Variables
/// with the last part of a loop's name; they are zero where a loop was simplified away.
class RowPrefetch : public Prefetch {
public:
  static constexpr const char *row = "row", *task = "task";
  struct Rows {
    std::string buffer;
    Halide::Expr index;        ///< the element that `row` begins with
    Halide::Expr begin, count; ///< the rows of one step
    int width;                 ///< floats of a row
  };
  std::vector<Rows> rows;
  std::string accumulator; ///< what the name of its reduction loop begins with
  bool mayBeGone = false;  ///< Halide may prove that no tile is computed

  bool foundAny() const override { return hits > 0 || mayBeGone; }

protected:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::For *loop) override;

private:
  std::vector<std::string> enclosing;
  std::string parallel; ///< the name of the loop over tasks
  int hits = 0;
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_PREFETCH_H
