//===- Translate.h - KernelSpec expressions as Halide expressions --------------*- C++ -*-===//
//
// The Halide side of one KernelSpec: parameters for its dims, image parameters with promised
// extents and strides for its inputs, one Func per stage. Recipes (Recipes.h) schedule what is
// built here.
//
// Types: I64 index arithmetic is int32, as Halide's coordinates are; I64 data stays int64. A Bool
// in memory is a byte, and a Bool value is UInt(1). Loads whose index is itself loaded are clamped
// into the tensor, so that no data can make a kernel read outside its buffers.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_TRANSLATE_H
#define RAPT_COMPILER_KERNELS_HALIDE_TRANSLATE_H

#include "compiler/Kernels/KernelSpec.h"
#include "compiler/Kernels/SpecQueries.h"

#include <Halide.h>
#include <map>

namespace rapt::kernels::halide {

/// The element type in memory.
Halide::Type storageType(ScalarType type);

class Lowering {
public:
  Lowering(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &cpu);

  const KernelSpec &spec;
  const Schedule &schedule;
  const TargetCpu &cpu;

  std::vector<Halide::Param<int>> dims;
  std::vector<bool> isSize; ///< of each dim: it is never negative
  std::vector<Halide::ImageParam> inputs;
  std::map<int, Halide::Func> results; ///< stage results by tensor number

  /// dims, then inputs: the arguments of the kernel before its outputs.
  std::vector<Halide::Argument> arguments() const;

  Halide::Expr extent(const Extent &extent) const;

  /// Index variables i0, i1, ... of a stage, outermost first.
  static std::vector<Halide::Var> loopVars(int count);
  /// The same in Halide's order, innermost first.
  static std::vector<Halide::Var> coordinates(int count);

  /// Attention sets it, whose masks are written with infinities that fast-math does not know: the
  /// constants -infinity and +infinity become -FLT_MAX and FLT_MAX, lower finite ones lowestFinite.
  bool finite = false;
  static constexpr float lowestFinite = -1.7e38f;

  /// Gemm sets it: sums and products of floats are taken in the order of the spec. Where a tile has
  /// one row, fast-math finds another order than for rows in a loop, and a row's bits would depend
  /// on the batch.
  bool inOrder = false;

  /// `expr` with Loop(i) = loops[i].
  Halide::Expr translate(const ExprRef &expr, const std::vector<Halide::Expr> &loops) const;

  /// Defines the Func of a pointwise or reduction stage over its own loops and records it as the
  /// result. The reduction variables, innermost first, come back in `reduced` (none for a pointwise
  /// stage).
  Halide::Func define(const Stage &stage, std::vector<Halide::RVar> *reduced = nullptr);

  /// Promises that `buffer` is dense and row-major (or in panels), and, with `bounds`, its extents.
  void describe(Halide::OutputImageParam buffer, const Tensor &tensor, bool bounds = true) const;

  const Stage &stageOf(int tensor) const;
  bool isInput(int tensor) const { return tensor < spec.numInputs; }

  /// Lanes for a loop whose narrowest vectorised type is f32.
  int lanes() const { return static_cast<int>(schedule.vector); }
};

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_TRANSLATE_H
