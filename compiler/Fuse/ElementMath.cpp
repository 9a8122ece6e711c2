//===- ElementMath.cpp - Arithmetic on one element, by its onnx type -------------------------===//

#include "compiler/Fuse/ElementMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

// --- Types ---------------------------------------------------------------------------------------

Type storageType(Type type) {
  return type.isUnsignedInteger()
             ? IntegerType::get(type.getContext(), type.getIntOrFloatBitWidth())
             : type;
}

TypedAttr storageAttr(TypedAttr attr) {
  auto integer = dyn_cast<IntegerAttr>(attr);
  return integer && integer.getType().isUnsignedInteger()
             ? IntegerAttr::get(storageType(integer.getType()), integer.getValue())
             : attr;
}

ElementsAttr storageAttr(ElementsAttr attr) {
  Type element = storageType(attr.getElementType());
  if (element == attr.getElementType())
    return attr;
  if (auto dense = dyn_cast<DenseElementsAttr>(attr))
    return dense.bitcast(element);
  auto resource = cast<DenseResourceElementsAttr>(attr);
  return DenseResourceElementsAttr::get(attr.getShapedType().clone(element),
                                        resource.getRawHandle());
}

Value constantOf(OpBuilder &b, Location loc, Type type, double number) {
  type = storageType(type);
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, number));
  llvm::APInt bits(64, static_cast<uint64_t>(static_cast<int64_t>(number)), /*isSigned=*/true);
  return arith::ConstantOp::create(
      b, loc,
      b.getIntegerAttr(type, bits.sextOrTrunc(type.isIndex() ? 64 : type.getIntOrFloatBitWidth())));
}

Type accumulatorType(Type element) {
  auto type = dyn_cast<FloatType>(element);
  return type && type.getWidth() < 32 ? Float32Type::get(element.getContext())
                                      : storageType(element);
}

static Value integerOf(OpBuilder &b, Location loc, Type type, const llvm::APInt &bits) {
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, bits));
}

// --- Conversions ---------------------------------------------------------------------------------

/// A float of at least 32 bits as an integer of onnx type `to`.
static Value toInteger(OpBuilder &b, Location loc, Value value, IntegerType to) {
  auto from = cast<FloatType>(value.getType());
  Type stored = storageType(to);
  unsigned width = to.getWidth(), precision = from.getFPMantissaWidth();
  unsigned bits = to.isUnsigned() ? width : width - 1; // the least number above the range is 2^bits
  Value isNaN = math::IsNaNOp::create(b, loc, value);
  value = arith::SelectOp::create(b, loc, isNaN, constantOf(b, loc, from, 0), value);
  // The greatest number of `from` below 2^bits; what lies above is chosen at the end.
  double limit = std::ldexp(1.0, bits);
  double high = bits <= precision ? limit - 1 : limit - std::ldexp(1.0, bits - precision);
  double low = to.isUnsigned() ? 0 : -limit;
  Value clamped = arith::MaximumFOp::create(b, loc, value, constantOf(b, loc, from, low));
  clamped = arith::MinimumFOp::create(b, loc, clamped, constantOf(b, loc, from, high));
  Value result;
  if (to.isUnsigned()) { // the upper half of the range without its highest bit, which is added back
    Value half = constantOf(b, loc, from, limit / 2);
    Value upper = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, clamped, half);
    Value lower = arith::SelectOp::create(b, loc, upper,
                                          arith::SubFOp::create(b, loc, clamped, half), clamped);
    Value highest = arith::SelectOp::create(
        b, loc, upper, integerOf(b, loc, stored, llvm::APInt::getSignMask(width)),
        constantOf(b, loc, stored, 0));
    result = arith::XOrIOp::create(b, loc, arith::FPToSIOp::create(b, loc, stored, lower), highest);
  } else {
    result = arith::FPToSIOp::create(b, loc, stored, clamped);
  }
  if (bits <= precision)
    return result;
  Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, value,
                                      constantOf(b, loc, from, limit));
  llvm::APInt most =
      to.isUnsigned() ? llvm::APInt::getMaxValue(width) : llvm::APInt::getSignedMaxValue(width);
  return arith::SelectOp::create(b, loc, above, integerOf(b, loc, stored, most), result);
}

/// f64 to f16 or bf16 by way of f32. Rounding twice to nearest may be wrong, so the first rounding
/// is to odd: an inexact f32 gets an odd last bit, which keeps it off the halfway points of
/// narrower types.
static Value toNarrow(OpBuilder &b, Location loc, Value value, Type to) {
  Type f32 = b.getF32Type(), i32 = b.getI32Type(), f64 = value.getType();
  Value nearest = arith::TruncFOp::create(b, loc, f32, value);
  Value bits = arith::BitcastOp::create(b, loc, i32, nearest);
  Value back = arith::ExtFOp::create(b, loc, f64, nearest);
  Value inexact = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ONE, back, value);
  Value one = constantOf(b, loc, i32, 1), zero = constantOf(b, loc, i32, 0);
  Value lastBit = arith::AndIOp::create(b, loc, bits, one);
  Value even = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lastBit, zero);
  Value tooSmall =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, math::AbsFOp::create(b, loc, back),
                            math::AbsFOp::create(b, loc, value));
  Value step = arith::SelectOp::create(b, loc, tooSmall, one, constantOf(b, loc, i32, -1));
  Value moved =
      arith::SelectOp::create(b, loc, arith::AndIOp::create(b, loc, inexact, even), step, zero);
  Value odd = arith::BitcastOp::create(b, loc, f32, arith::AddIOp::create(b, loc, bits, moved));
  return arith::TruncFOp::create(b, loc, to, odd);
}

static Value betweenFloats(OpBuilder &b, Location loc, Value value, FloatType to) {
  unsigned from = cast<FloatType>(value.getType()).getWidth();
  if (from < 32 && to.getWidth() != 32) // by way of f32, also from f16 to bf16
    return betweenFloats(b, loc, arith::ExtFOp::create(b, loc, b.getF32Type(), value), to);
  if (from < to.getWidth())
    return arith::ExtFOp::create(b, loc, to, value);
  if (from == 64 && to.getWidth() < 32)
    return toNarrow(b, loc, value, to);
  return value.getType() == to ? value : Value(arith::TruncFOp::create(b, loc, to, value));
}

Value convert(OpBuilder &b, Location loc, Value value, Type from, Type to) {
  Type stored = storageType(to);
  auto toFloat = dyn_cast<FloatType>(to);
  bool isUnsigned = from.isUnsignedInteger() || from.isInteger(1);
  if (value.getType() == stored)
    return value;
  if (to.isInteger(1)) {
    Value zero = constantOf(b, loc, value.getType(), 0);
    if (isa<FloatType>(from))
      return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, value, zero);
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
  }
  if (auto fromFloat = dyn_cast<FloatType>(from)) {
    if (toFloat)
      return betweenFloats(b, loc, value, toFloat);
    if (fromFloat.getWidth() < 32)
      value = arith::ExtFOp::create(b, loc, b.getF32Type(), value);
    return toInteger(b, loc, value, cast<IntegerType>(to));
  }
  if (toFloat && toFloat.getWidth() < 32)
    return betweenFloats(b, loc, convert(b, loc, value, from, b.getF32Type()), toFloat);
  if (toFloat)
    return isUnsigned ? Value(arith::UIToFPOp::create(b, loc, to, value))
                      : Value(arith::SIToFPOp::create(b, loc, to, value));
  if (value.getType().getIntOrFloatBitWidth() > stored.getIntOrFloatBitWidth())
    return arith::TruncIOp::create(b, loc, stored, value);
  return isUnsigned ? Value(arith::ExtUIOp::create(b, loc, stored, value))
                    : Value(arith::ExtSIOp::create(b, loc, stored, value));
}

Value convert(OpBuilder &b, Location loc, Value value, Type to) {
  return convert(b, loc, value, value.getType(), to);
}

// --- Division and powers -------------------------------------------------------------------------

static Value equals(OpBuilder &b, Location loc, Value x, double number) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x,
                               constantOf(b, loc, x.getType(), number));
}

/// The divisor `y`, with 1 in the place of 0 and -1 (only of 0 when unsigned), for which there are
/// other rules; null when it is a constant that is none of them.
static Value harmlessDivisor(OpBuilder &b, Location loc, Value y, bool isUnsigned) {
  llvm::APInt number;
  if (matchPattern(y, m_ConstantInt(&number)) && !number.isZero() &&
      (isUnsigned || !number.isAllOnes()))
    return {};
  Value special = equals(b, loc, y, 0);
  if (!isUnsigned)
    special = arith::OrIOp::create(b, loc, special, equals(b, loc, y, -1));
  return arith::SelectOp::create(b, loc, special, constantOf(b, loc, y.getType(), 1), y);
}

Value isAbove(OpBuilder &b, Location loc, Value x, Value y, bool isUnsigned) {
  if (!isa<FloatType>(x.getType()))
    return arith::CmpIOp::create(
        b, loc, isUnsigned ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt, x, y);
  Value greater = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
  Value nan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  Value number = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ORD, y, y);
  return arith::OrIOp::create(b, loc, greater, arith::AndIOp::create(b, loc, nan, number));
}

Value divide(OpBuilder &b, Location loc, Value x, Value y, bool isUnsigned) {
  if (isa<FloatType>(x.getType()))
    return arith::DivFOp::create(b, loc, x, y);
  Value divisor = harmlessDivisor(b, loc, y, isUnsigned);
  Value safe = divisor ? divisor : y;
  Value quotient = isUnsigned ? Value(arith::DivUIOp::create(b, loc, x, safe))
                              : Value(arith::DivSIOp::create(b, loc, x, safe));
  if (!divisor)
    return quotient;
  Value zero = constantOf(b, loc, x.getType(), 0);
  if (!isUnsigned)
    quotient = arith::SelectOp::create(b, loc, equals(b, loc, y, -1),
                                       arith::SubIOp::create(b, loc, zero, x), quotient);
  return arith::SelectOp::create(b, loc, equals(b, loc, y, 0), zero, quotient);
}

Value remainder(OpBuilder &b, Location loc, Value x, Value y, bool isUnsigned) {
  if (isa<FloatType>(x.getType()))
    return arith::RemFOp::create(b, loc, x, y);
  Value divisor = harmlessDivisor(b, loc, y, isUnsigned);
  Value safe = divisor ? divisor : y;
  return isUnsigned ? Value(arith::RemUIOp::create(b, loc, x, safe))
                    : Value(arith::RemSIOp::create(b, loc, x, safe));
}

Value flipSign(OpBuilder &b, Location loc, Value x) {
  Value sign =
      integerOf(b, loc, x.getType(), llvm::APInt::getSignMask(x.getType().getIntOrFloatBitWidth()));
  return arith::XOrIOp::create(b, loc, x, sign);
}

/// x to the `exponent`, a small one, by repeated squaring.
static Value fixedPower(OpBuilder &b, Location loc, Value x, uint64_t exponent) {
  Value result;
  for (Value square = x; exponent != 0; exponent >>= 1) {
    if (exponent & 1)
      result = result ? Value(arith::MulIOp::create(b, loc, result, square)) : square;
    if (exponent > 1)
      square = arith::MulIOp::create(b, loc, square, square);
  }
  return result ? result : constantOf(b, loc, x.getType(), 1);
}

/// The same for any y >= 0, one bit of it at a time.
static Value loopedPower(OpBuilder &b, Location loc, Value x, Value y) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        step = arith::ConstantIndexOp::create(b, loc, 1);
  Value bits = arith::ConstantIndexOp::create(b, loc, y.getType().getIntOrFloatBitWidth());
  Value one = constantOf(b, loc, x.getType(), 1), lowest = constantOf(b, loc, y.getType(), 1);
  auto body = [&](OpBuilder &inner, Location at, Value, ValueRange state) {
    Value result = state[0], square = state[1], rest = state[2];
    Value odd = arith::TruncIOp::create(inner, at, inner.getI1Type(), rest);
    Value longer = arith::MulIOp::create(inner, at, result, square);
    scf::YieldOp::create(inner, at,
                         ValueRange{arith::SelectOp::create(inner, at, odd, longer, result),
                                    arith::MulIOp::create(inner, at, square, square),
                                    arith::ShRUIOp::create(inner, at, rest, lowest)});
  };
  return scf::ForOp::create(b, loc, zero, bits, step, ValueRange{one, x, y}, body).getResult(0);
}

Value power(OpBuilder &b, Location loc, Value x, Value y, bool isUnsignedExponent) {
  if (isa<FloatType>(x.getType()))
    return math::PowFOp::create(b, loc, x, y);
  constexpr uint64_t largestFixed = 64;
  llvm::APInt known;
  if (matchPattern(y, m_ConstantInt(&known)) && known.ule(largestFixed))
    return fixedPower(b, loc, x, known.getZExtValue());
  Value result = loopedPower(b, loc, x, y);
  if (isUnsignedExponent)
    return result;
  // 1 / x^|y| is a whole number only for x = 1 and x = -1.
  Value one = constantOf(b, loc, x.getType(), 1), zero = constantOf(b, loc, x.getType(), 0);
  Value odd = arith::TruncIOp::create(b, loc, b.getI1Type(), y);
  Value isUnit = arith::OrIOp::create(b, loc, equals(b, loc, x, 1), equals(b, loc, x, -1));
  Value inverse =
      arith::SelectOp::create(b, loc, isUnit, arith::SelectOp::create(b, loc, odd, x, one), zero);
  Value negative = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, y,
                                         constantOf(b, loc, y.getType(), 0));
  return arith::SelectOp::create(b, loc, negative, inverse, result);
}

} // namespace rapt::fuse
