//===- ScalarOps.cpp - One operation of a KernelSpec expression in Halide -------*- C++ -*-===//
//
// Each operation on operands that have been translated and have one type. What Halide has no good
// form for throws Halide::CompileError: the kernel then goes through its reference lowering.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/ScalarOps.h"

#include "compiler/Kernels/halide/Math.h"

#include <cmath>
#include <optional>

namespace rapt::kernels::halide {

namespace H = Halide;
using H::Internal::Call;

static void requireF32(const Expr &expr) {
  if (expr.type != ScalarType::F32)
    throw H::CompileError("elementary functions are made for f32 only");
}

/// Truncating division and remainder; 0 and -1 as divisors must not trap, whatever was loaded.
static H::Expr truncatingDivision(const H::Expr &a, const H::Expr &b, bool remainder) {
  H::Expr zero = H::Internal::make_zero(b.type()), one = H::Internal::make_one(b.type());
  if (b.type().is_uint()) {
    H::Expr safe = H::max(b, one);
    return remainder ? a % safe : a / safe;
  }
  H::Expr minusOne = H::Internal::make_const(b.type(), -1);
  H::Expr safe = H::select(b == zero || b == minusOne, one, b);
  if (remainder)
    return H::mod_round_to_zero(a, safe);
  return H::select(b == minusOne, -a, H::div_round_to_zero(a, safe));
}

/// On the bits: fast-math may fold x != x.
static H::Expr isNan(const H::Expr &a) {
  if (a.type() == H::Float(64))
    return (H::reinterpret<uint64_t>(a) << 1) >
           H::Internal::make_const(H::UInt(64), 0xFFE0000000000000);
  return (H::reinterpret<uint32_t>(H::cast<float>(a)) << 1) >
         H::cast<uint32_t>(H::Expr(0xFF000000u));
}

H::Expr unaryOperation(const Expr &expr, const H::Expr &a) {
  switch (expr.unary) {
  case UnaryOp::Neg:
    return -a;
  case UnaryOp::Abs:
    return H::cast(a.type(), H::abs(a));
  case UnaryOp::Sqrt:
    return H::sqrt(a);
  case UnaryOp::Rsqrt:
    return H::Internal::make_one(a.type()) / H::sqrt(a);
  case UnaryOp::Floor:
    return H::floor(a);
  case UnaryOp::Ceil:
    return H::ceil(a);
  case UnaryOp::Round:
    return H::round(a);
  case UnaryOp::Not:
    return a.type().is_bool() ? !a : ~a;
  case UnaryOp::IsNan:
    return isNan(a);
  default:
    break;
  }
  requireF32(expr);
  switch (expr.unary) {
  case UnaryOp::Exp:
    return expAny(a);
  case UnaryOp::Log:
    return logAny(a);
  case UnaryOp::Erf:
    return erfAny(a);
  case UnaryOp::Tanh:
    return tanhAny(a);
  case UnaryOp::Sin:
    return sinAny(a);
  default:
    return cosAny(a);
  }
}

/// Beside numbers of ordinary size, so large a constant takes digits away.
static bool isLarge(const H::Expr &expr) {
  std::optional<double> value = H::Internal::as_const_float(expr);
  return value && std::abs(*value) >= 16;
}

/// Sums and products with large constants in the order of the graph: Halide makes c - c * m of
/// (1 - m) * c, and fast-math then adds x to the first c, which is how x is lost in an additive
/// mask; and it takes x + c - c for x.
static H::Expr ordered(const H::Expr &result, const H::Expr &a, const H::Expr &b) {
  return result.type().is_float() && (isLarge(a) || isLarge(b)) ? H::strict_float(result) : result;
}

/// The minimum or maximum, NaN where an operand is. The instruction gives its second operand when
/// one is NaN, so it only has to be asked whether the first one is, and never of a constant.
static H::Expr extremum(Call::IntrinsicOp operation, H::Expr a, H::Expr b) {
  if (H::Internal::is_const(b))
    std::swap(a, b);
  H::Expr result = Call::make(a.type(), operation, {a, b}, Call::PureIntrinsic);
  return H::Internal::is_const(a) ? result : H::select(isNan(a), a, result);
}

H::Expr binaryOperation(const Expr &expr, const H::Expr &a, const H::Expr &b, bool positive) {
  bool real = a.type().is_float();
  switch (expr.binary) {
  case BinaryOp::Add:
    return a.type().is_bool() ? a || b : ordered(a + b, a, b);
  case BinaryOp::Sub:
    return ordered(a - b, a, b);
  case BinaryOp::Mul:
    return a.type().is_bool() ? a && b : ordered(a * b, a, b);
  case BinaryOp::Div:
    return real || positive ? a / b : truncatingDivision(a, b, false);
  case BinaryOp::Mod:
    if (real)
      throw H::CompileError("remainders are made for integers only");
    return positive ? a % b : truncatingDivision(a, b, true);
  case BinaryOp::FloorDiv: // Halide's integer division rounds down for positive divisors
    return a / b;
  case BinaryOp::FloorMod:
    return a % b;
  case BinaryOp::Min:
    return a.type().is_bool() ? a && b : real ? extremum(Call::strict_min, a, b) : H::min(a, b);
  case BinaryOp::Max:
    return a.type().is_bool() ? a || b : real ? extremum(Call::strict_max, a, b) : H::max(a, b);
  case BinaryOp::Pow:
    if (!real)
      throw H::CompileError("pow is made for floats only");
    requireF32(expr);
    return powAny(a, b);
  case BinaryOp::And:
    return a.type().is_bool() ? a && b : a & b;
  case BinaryOp::Or:
    return a.type().is_bool() ? a || b : a | b;
  case BinaryOp::Xor:
    return a.type().is_bool() ? a != b : a ^ b;
  case BinaryOp::Eq:
    return a == b;
  case BinaryOp::Ne:
    return a != b;
  case BinaryOp::Lt:
    return a < b;
  case BinaryOp::Le:
    return a <= b;
  case BinaryOp::Gt:
    return a > b;
  case BinaryOp::Ge:
    return a >= b;
  }
  return {};
}

} // namespace rapt::kernels::halide
