//===- SpecInterpreter.h - Runs a KernelSpec slowly and plainly ----------------*- C++ -*-===//
//
// The meaning of every spec, element by element: the truth that compiled kernels are compared with.
// `Rounding::Double` computes everything in float64; `Rounding::Single` rounds every f32 value to
// f32 as soon as it exists, sums included: what an unfused f32 computation gives.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_TEST_UNIT_KERNELS_SPECINTERPRETER_H
#define RAPT_TEST_UNIT_KERNELS_SPECINTERPRETER_H

#include "compiler/Kernels/KernelSpec.h"

namespace rapt::kernels::test {

enum class Rounding { Double, Single };

/// Elements in row-major order, integers and Bools as doubles. Panel-packed tensors are given as
/// the plain [K, N] matrix.
using Values = std::vector<double>;

int64_t evaluate(const Extent &extent, const std::vector<int64_t> &dims);
int64_t countElements(const Tensor &tensor, const std::vector<int64_t> &dims);

/// The values of all tensors, inputs included.
std::vector<Values> interpret(const KernelSpec &spec, const std::vector<int64_t> &dims,
                              const std::vector<Values> &inputs,
                              Rounding rounding = Rounding::Double);

} // namespace rapt::kernels::test

#endif // RAPT_TEST_UNIT_KERNELS_SPECINTERPRETER_H
