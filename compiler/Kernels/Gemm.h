//===- Gemm.h - Is a kernel a matrix product? ----------------------------------*- C++ -*-===//
//
// The one answer to that question, for a packed weight and for two operands: the cost model asks it
// before it packs a weight, and the recipe asks it again of what it is given.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_GEMM_H
#define RAPT_COMPILER_KERNELS_GEMM_H

#include "compiler/Kernels/KernelSpec.h"

#include <functional>

namespace rapt::kernels {

/// The parts of a spec that is a Gemm kernel.
struct GemmMatch {
  const Stage *contraction = nullptr; ///< of the spec that was matched
  ExprRef a;                          ///< over (outer..., m, n unused, k)
  int weight = 0;                     ///< input tensor [K, N], f32, f16 or bf16
};

/// Matches  sum over k of a(..., m, k) * weight(k, n)  in f32 with static n and k, n the last
/// parallel loop, and around it pointwise stages; those after it run over the same (..., m, n) and
/// read the sum in place, and so do the outputs. `isWeight` says which inputs may be the weight.
/// Nothing for any other spec.
std::optional<GemmMatch> matchGemm(const KernelSpec &spec,
                                   const std::function<bool(int input)> &isWeight);

/// The parts of a spec that is a product of two operands, neither of them packed.
struct ProductMatch {
  const Stage *contraction = nullptr; ///< of the spec that was matched
  ExprRef a, b;                       ///< over its loops; a does not use the last parallel one, n
  int m = 0;                          ///< the last parallel loop that b does not use, but a does
};

/// Matches  sum over k... of a * b  in f32, with loops m and n as above, and around it pointwise
/// stages as matchGemm does. Nothing for any other spec.
std::optional<ProductMatch> matchProduct(const KernelSpec &spec);

/// Gives a spec whose one reduction is  sum over k of a(k) * b(k, n)  in f32 a row loop of size
/// one, in every stage and result: a Gemm has rows, be it one.
void addRowOfVectorProduct(KernelSpec &spec);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_GEMM_H
