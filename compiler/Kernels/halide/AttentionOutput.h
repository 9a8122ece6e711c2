//===- AttentionOutput.h - Where an attention result ends up -------------------*- C++ -*-===//
//
// After attention comes at least a transpose: [batch, heads, queries, dim] becomes [batch, queries,
// heads * dim]. This recognises which loop of the kernel's output is which of the attention's, so
// that the tiles store straight into the output and no head transpose is left.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONOUTPUT_H
#define RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONOUTPUT_H

#include "compiler/Kernels/KernelSpec.h"

namespace rapt::kernels::halide {

/// The kernel's only output: one pointwise chain over a permutation of b, h, i, d.
struct AttentionOutput {
  /// The output's value over its own loops, the stages after attention inlined.
  ExprRef body;
  /// Its loops that are b, h, i, d; -1 for b and h of extent one that have no loop. Where heads are
  /// merged, `head` and `value` are the same loop h * valueDim + d.
  int batch = -1, head = -1, query = -1, value = -1;

  bool mergedHeads() const { return head == value; }
};

/// None if the output is anything else.
std::optional<AttentionOutput> matchAttentionOutput(const KernelSpec &spec, const Stage &attention);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_ATTENTIONOUTPUT_H
