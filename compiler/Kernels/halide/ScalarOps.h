//===- ScalarOps.h - One operation of a KernelSpec expression in Halide ---------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_SCALAROPS_H
#define RAPT_COMPILER_KERNELS_HALIDE_SCALAROPS_H

#include "compiler/Kernels/KernelSpec.h"

#include <Halide.h>

namespace rapt::kernels::halide {

/// expr.unary of `a`. Throws Halide::CompileError where it is not made for the type.
Halide::Expr unaryOperation(const Expr &expr, const Halide::Expr &a);

/// expr.binary of `a` and `b`, which have one type; `positive` says that neither is negative.
/// Throws Halide::CompileError where it is not made for the type.
Halide::Expr binaryOperation(const Expr &expr, const Halide::Expr &a, const Halide::Expr &b,
                             bool positive);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_SCALAROPS_H
