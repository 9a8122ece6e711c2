//===- Math.h - Elementary functions as Halide expressions ---------------------*- C++ -*-===//
//
// f32 only, one straight line of arithmetic each: the same code for a vector and for a loop's scalar
// rest, and no call into libm, which the artifact does not link. Errors are against float64.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_MATH_H
#define RAPT_COMPILER_KERNELS_HALIDE_MATH_H

#include <Halide.h>

namespace rapt::kernels::halide {

/// e^x within 2 ULP; overflows to infinity above 88.72, subnormal and zero below -87.3.
Halide::Expr expAny(Halide::Expr x);
/// e^x for -87 <= x <= 0 within 1.7e-7 absolute; fewer steps than expAny because the largest term of a
/// softmax row is 1, so that absolute error is what counts.
Halide::Expr expNonPositive(Halide::Expr x);
/// Natural logarithm within 4 ULP; -inf at 0.
Halide::Expr logAny(Halide::Expr x);
/// erf within 4e-7 absolute.
Halide::Expr erfAny(Halide::Expr x);
/// tanh within 3e-7 relative.
Halide::Expr tanhAny(Halide::Expr x);
/// x^y; exponents 0.5, 1, 2, 3, 4, -1, -0.5 become roots and products. Negative x with whole y is right.
Halide::Expr powAny(Halide::Expr x, Halide::Expr y);
/// Sine and cosine within 2e-7 absolute for |x| <= 8000.
Halide::Expr sinAny(Halide::Expr x);
Halide::Expr cosAny(Halide::Expr x);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_MATH_H
