//===- Math.cpp - Elementary functions as Halide expressions -------------------*- C++ -*-===//
//
// Coefficients of erf and tanh: rational minimax fits (iteratively reweighted least squares in
// float64, then rounded), and so of exp; of sine and cosine: Taylor on the reduced range, whose
// last term is below half an ULP there.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Math.h"

#include <vector>

namespace rapt::kernels::halide {

using Halide::cast;
using Halide::Expr;
using Halide::reinterpret;
using Halide::Internal::Call;

/// c[0] + c[1] x + ... by Horner's rule.
static Expr polynomial(const Expr &x, const std::vector<double> &coefficients) {
  Expr sum = static_cast<float>(coefficients.back());
  for (size_t i = coefficients.size() - 1; i-- > 0;)
    sum = sum * x + static_cast<float>(coefficients[i]);
  return sum;
}

/// NaN stays what it is: the instructions give their second operand when one is NaN, and strict
/// ones are not reordered.
static Expr atLeast(float low, const Expr &x) {
  return Call::make(x.type(), Call::strict_max, {low, x}, Call::PureIntrinsic);
}

/// The same from both sides.
static Expr clampTo(float low, float high, const Expr &x) {
  return atLeast(low, Call::make(x.type(), Call::strict_min, {high, x}, Call::PureIntrinsic));
}

/// 2^n for -126 <= n <= 127 by writing the exponent field.
static Expr powerOfTwo(const Expr &n) { return reinterpret<float>((n + 127) << 23); }

Expr expAny(Expr x) {
  // x = n ln 2 + r with ln 2 in two parts, so that r is exact to the last bit for |n| < 2^11.
  // Strict: reassociated, the two parts become one.
  Expr bounded = clampTo(-104.0f, 89.5f, x);
  Expr n = Halide::round(bounded * 1.44269504f);
  Expr r = Halide::strict_float((bounded - n * 0.693359375f) + n * 2.12194440e-4f);
  Expr p =
      polynomial(r, {1, 1, 0.499999934, 0.166665204, 0.0416683908, 0.0083687452, 0.00138145401});
  // Two steps: 2^n itself does not exist as f32 at both ends of the range. The first adds to the
  // exponent field: of three factors fast-math might multiply the two powers first: infinity.
  Expr whole = cast<int>(n), half = whole >> 1;
  Expr scaled = reinterpret<float>(reinterpret<int>(p) + (half << 23));
  return scaled * powerOfTwo(whole - half);
}

Expr expNonPositive(Expr x) {
  // x = n ln 2 + r in one fused step. What f32 leaves of ln 2 makes a factor 1 + n * 1.9e-9, which
  // goes into the constant term: beside r, fast-math would add it to the first part. n is added to
  // the exponent field of the polynomial.
  Expr bounded = Halide::max(x, -87.33f);
  Expr n = Halide::round(bounded * 1.44269504f);
  Expr r = bounded - n * 0.693147182f;
  Expr p = polynomial(r, {0.999999706, 0.499991478, 0.166676381, 0.0418981603, 0.00829027215});
  p = p * r + (n * 1.90465430e-9f + 1.0f);
  return reinterpret<float>(reinterpret<int>(p) + (cast<int>(n) << 23));
}

Expr logAny(Expr x) {
  // halide_log takes numbers only; of +infinity and NaN the logarithm is what they are.
  Expr bits = reinterpret<uint32_t>(x);
  Expr isNone =
      (bits << 1) > cast<uint32_t>(Expr(0xFF000000u)) || bits == cast<uint32_t>(Expr(0x7F800000u));
  return Halide::select(isNone, x, Halide::Internal::halide_log(x));
}

/// z * (p / q), of which fast-math takes nothing apart: x * z, of a caller that multiplies the
/// result by a large x, may be infinite.
static Expr timesQuotient(const Expr &z, const Expr &p, const Expr &q) {
  return Call::make(z.type(), Call::strict_mul, {z, p / q}, Call::PureIntrinsic);
}

Expr erfAny(Expr x) {
  Expr z = clampTo(-3.92f, 3.92f, x), t = z * z;
  Expr p = polynomial(t, {1.128378777487957, 0.20611506101470237, 0.05139739577961286,
                          0.003972930174187375, 0.00014898776360820719, -1.99430453119553e-06,
                          1.992142371840719e-08});
  Expr q = polynomial(t, {1.0, 0.515993482521213, 0.11756490996007177, 0.014889293680971492,
                          0.0010241334276590707});
  return timesQuotient(z, p, q);
}

Expr tanhAny(Expr x) {
  Expr z = clampTo(-9.0f, 9.0f, x), t = z * z;
  Expr p = polynomial(t, {0.9999999987258725, 0.1368085593133457, 0.003869507360670969,
                          2.8031298631045538e-05, 3.064250000503924e-08, -1.2246227165964812e-11});
  Expr q = polynomial(t, {1.0, 0.47014188021790454, 0.027250154280800312, 0.0003940712283120368,
                          1.2890342598793542e-06});
  return timesQuotient(z, p, q);
}

Expr powAny(Expr x, Expr y) {
  if (std::optional<double> exponent = Halide::Internal::as_const_float(y)) {
    if (*exponent == 0.5)
      return Halide::sqrt(x);
    if (*exponent == -0.5)
      return 1.0f / Halide::sqrt(x);
    if (*exponent == -1)
      return 1.0f / x;
    for (int whole = 0; whole <= 4; ++whole)
      if (*exponent == whole)
        return Halide::Internal::raise_to_integer_power(x, whole);
  }
  // By bits, where infinities take part: instructions may count on there being none.
  auto bitsOf = [](const Expr &v) { return reinterpret<uint32_t>(v); };
  const Expr infinity = cast<uint32_t>(Expr(0x7F800000u)), one = bitsOf(1.0f);
  Expr bits = bitsOf(x), isNegative = bits >> 31 != 0, infiniteY = bitsOf(y) << 1 == infinity << 1;
  Expr magnitude = bitsOf(expAny(logAny(atLeast(1e-38f, Halide::abs(x))) * y));
  magnitude = Halide::select(bits == one || (bits << 1 == one << 1 && infiniteY), one, magnitude);
  Expr isZero = bits << 1 == 0 && bitsOf(y) << 1 <= infinity << 1; // and y is a number
  magnitude = Halide::select(!isZero, magnitude, y > 0.0f, cast<uint32_t>(0), infinity);
  Expr whole = infiniteY || Halide::floor(y) == y;
  Expr odd = whole && !infiniteY && Halide::floor(y * 0.5f) * 2.0f != y;
  Expr isReal = !isNegative || whole || bits << 1 == 0 || bits << 1 == infinity << 1;
  magnitude = Halide::select(isReal, magnitude, cast<uint32_t>(Expr(0x7FC00000u)));
  Expr power =
      Halide::select(isNegative && odd, magnitude | cast<uint32_t>(Expr(0x80000000u)), magnitude);
  return reinterpret<float>(Halide::select(y == 0.0f, one, power));
}

/// Sine of x + quarter * pi/2: x = n pi/2 + r with pi/2 in three parts, then the quadrant picks the
/// polynomial and the sign.
static Expr sineQuadrant(const Expr &x, int quarter) {
  Expr n = Halide::round(x * 0.636619772f);
  // Strict: reassociated, the three parts become one and the sum loses what they are there for.
  Expr r = Halide::strict_float(((x - n * 1.5703125f) - n * 4.837512969970703e-4f) -
                                n * 7.549789948768648e-8f);
  Expr t = r * r;
  Expr sine = r * polynomial(t, {1, -1 / 6.0, 1 / 120.0, -1 / 5040.0, 1 / 362880.0});
  Expr cosine = polynomial(t, {1, -1 / 2.0, 1 / 24.0, -1 / 720.0, 1 / 40320.0});
  Expr quadrant = cast<int>(n) + quarter;
  Expr value = Halide::select((quadrant & 1) == 0, sine, cosine);
  return Halide::select((quadrant & 2) == 0, value, -value);
}

Expr sinAny(Expr x) { return sineQuadrant(x, 0); }
Expr cosAny(Expr x) { return sineQuadrant(x, 1); }

} // namespace rapt::kernels::halide
