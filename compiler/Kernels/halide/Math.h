//===- Math.h - Elementary functions as Halide expressions ---------------------*- C++ -*-===//
//
// f32 only, one straight line of arithmetic each: the same code for a vector and for a loop's
// scalar rest, and no call into libm, which the artifact does not link. Errors are against float64.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_MATH_H
#define RAPT_COMPILER_KERNELS_HALIDE_MATH_H

#include <Halide.h>

namespace rapt::kernels::halide {

/// e^x within 2 ULP. Saturates through infinity and zero outside of -104 to 89.5.
Halide::Expr expAny(Halide::Expr x);
/// e^x within 4 ULP for -87.3 <= x <= 0 where the target has fused multiply-add, 70 ULP where not;
/// fewer steps than expAny.
Halide::Expr expNonPositive(Halide::Expr x);
/// Natural logarithm of x > 0; tested to 1e-6 for 0.5 <= x <= 6.5.
Halide::Expr logAny(Halide::Expr x);
/// erf; 4e-7 absolute at the points of its fit.
Halide::Expr erfAny(Halide::Expr x);
/// tanh; 3e-7 relative at the points of its fit.
Halide::Expr tanhAny(Halide::Expr x);
/// x^y; exponents 0.5, -0.5, -1 and 0 to 4 become roots and products, others e^(y ln |x|). Tested
/// to 1e-5 for 0 <= x <= 3.
Halide::Expr powAny(Halide::Expr x, Halide::Expr y);
/// Sine and cosine; tested to 1e-6 absolute for |x| <= 1000.
Halide::Expr sinAny(Halide::Expr x);
Halide::Expr cosAny(Halide::Expr x);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_MATH_H
