//===- LowerElementwise.cpp - Elementwise onnx => one linalg.generic each --------------===//
//
// Broadcasting is in the indexing maps, scalars are literals in the body. f32 and f64 compute in
// their own type; f16 and bf16 are widened to f32, and each onnx operation rounds its result once.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Lowering.h"
#include "dialects/Onnx/Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

namespace {

/// Emits one element; every method returns null when the operation has no meaning on the type.
/// Floats arrive as f32 or f64.
class Emitter {
public:
  Emitter(OpBuilder &b, Location loc, bool isUnsigned) : b(b), loc(loc), isUnsigned(isUnsigned) {}

  template <typename FloatOp, typename IntOp> Value arithmetic(Value x, Value y) {
    if (isa<FloatType>(x.getType()))
      return FloatOp::create(b, loc, x, y);
    return IntOp::create(b, loc, x, y);
  }

  template <typename FloatOp> Value function(Value x) {
    return isa<FloatType>(x.getType()) ? Value(FloatOp::create(b, loc, x)) : Value();
  }

  template <typename IntOp> Value bitwise(Value x, Value y) {
    return isa<IntegerType>(x.getType()) ? Value(IntOp::create(b, loc, x, y)) : Value();
  }

  Value number(Value like, double value) { return constantOf(b, loc, like.getType(), value); }

  /// `onInts` is a signed predicate or eq.
  Value compare(arith::CmpFPredicate onFloats, arith::CmpIPredicate onInts, Value x, Value y) {
    if (isa<FloatType>(x.getType()))
      return arith::CmpFOp::create(b, loc, onFloats, x, y);
    return arith::CmpIOp::create(b, loc, isUnsigned ? unsignedOf(onInts) : onInts, x, y);
  }

  Value negate(Value x) {
    if (isa<FloatType>(x.getType()))
      return arith::NegFOp::create(b, loc, x);
    return arith::SubIOp::create(b, loc, number(x, 0), x);
  }

  Value absolute(Value x) {
    if (isa<FloatType>(x.getType()))
      return math::AbsFOp::create(b, loc, x);
    return isUnsigned ? x : Value(arith::MaxSIOp::create(b, loc, x, negate(x)));
  }

  /// NaN stays NaN.
  Value sign(Value x) {
    Value zero = number(x, 0);
    Value positive = compare(arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt, x, zero);
    Value negative = compare(arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt, x, zero);
    Value below = arith::SelectOp::create(b, loc, negative, number(x, -1), x);
    return arith::SelectOp::create(b, loc, positive, number(x, 1), below);
  }

  Value logicalNot(Value x) { return arith::XOrIOp::create(b, loc, x, number(x, 1)); }
  Value bitwiseNot(Value x) { return bitwise<arith::XOrIOp>(x, number(x, -1)); }

  Value reciprocal(Value x) { return arith::DivFOp::create(b, loc, number(x, 1), x); }

  Value sigmoid(Value x) {
    Value exp = math::ExpOp::create(b, loc, arith::NegFOp::create(b, loc, x));
    return reciprocal(arith::AddFOp::create(b, loc, number(x, 1), exp));
  }

  /// x * 0.5 * (1 + erf(x / sqrt 2)), or with the tanh approximation of erf.
  Value gelu(Value x, bool tanh) {
    Value inner;
    if (tanh) {
      Value cube = arith::MulFOp::create(b, loc, arith::MulFOp::create(b, loc, x, x), x);
      Value sum = arith::AddFOp::create(b, loc, x,
                                        arith::MulFOp::create(b, loc, cube, number(x, 0.044715)));
      inner = math::TanhOp::create(
          b, loc, arith::MulFOp::create(b, loc, sum, number(x, std::sqrt(2.0 / M_PI))));
    } else {
      inner =
          math::ErfOp::create(b, loc, arith::MulFOp::create(b, loc, x, number(x, std::sqrt(0.5))));
    }
    Value half = arith::MulFOp::create(b, loc, x, number(x, 0.5));
    return arith::MulFOp::create(b, loc, half, arith::AddFOp::create(b, loc, inner, number(x, 1)));
  }

  /// Remainder with the sign of the divisor, or of the dividend (C's fmod).
  Value modulo(Value x, Value y, bool fmod) {
    Value rest = remainder(b, loc, x, y, isUnsigned);
    if (fmod || isUnsigned)
      return rest;
    Value zero = number(x, 0), nonZero, differ;
    if (isa<FloatType>(x.getType())) {
      nonZero = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ONE, rest, zero);
      Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, rest, zero);
      Value negative = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, y, zero);
      differ = arith::XOrIOp::create(b, loc, below, negative);
      // A remainder of zero has the divisor's sign.
      Value isZero = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, rest, zero);
      rest =
          arith::SelectOp::create(b, loc, isZero, math::CopySignOp::create(b, loc, zero, y), rest);
    } else {
      nonZero = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, rest, zero);
      Value signs = arith::XOrIOp::create(b, loc, rest, y);
      differ = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, signs, zero);
    }
    Value wrap = arith::AndIOp::create(b, loc, nonZero, differ);
    Value wrapped = arithmetic<arith::AddFOp, arith::AddIOp>(rest, y);
    return arith::SelectOp::create(b, loc, wrap, wrapped, rest);
  }

  /// NaN in either operand gives NaN, as in numpy.
  Value maximum(Value x, Value y) {
    return isUnsigned ? Value(arith::MaxUIOp::create(b, loc, x, y))
                      : arithmetic<arith::MaximumFOp, arith::MaxSIOp>(x, y);
  }
  Value minimum(Value x, Value y) {
    return isUnsigned ? Value(arith::MinUIOp::create(b, loc, x, y))
                      : arithmetic<arith::MinimumFOp, arith::MinSIOp>(x, y);
  }

  /// The result has the type of x. `exponent` is the onnx type of y.
  Value power(Value x, Value y, Type base, Type exponent) {
    if (isa<FloatType>(x.getType()))
      return fuse::power(b, loc, x, convert(b, loc, y, exponent, x.getType()), false);
    if (!isa<FloatType>(exponent))
      return fuse::power(b, loc, x, y, exponent.isUnsignedInteger());
    Type wide = b.getF64Type();
    Value real =
        math::PowFOp::create(b, loc, convert(b, loc, x, base, wide), convert(b, loc, y, wide));
    return convert(b, loc, real, base);
  }

  /// Shifts by the width or more, and by a negative number of bits, leave only copies of the sign
  /// (to the right, where x has one) or zeros.
  Value shift(Value x, Value y, bool left) {
    if (!isa<IntegerType>(x.getType()))
      return {};
    unsigned width = x.getType().getIntOrFloatBitWidth();
    Value beyond = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, y, number(y, width));
    Value bits = arith::SelectOp::create(b, loc, beyond, number(y, width - 1), y);
    if (!left && !isUnsigned)
      return arith::ShRSIOp::create(b, loc, x, bits);
    Value shifted = left ? Value(arith::ShLIOp::create(b, loc, x, bits))
                         : Value(arith::ShRUIOp::create(b, loc, x, bits));
    return arith::SelectOp::create(b, loc, beyond, number(x, 0), shifted);
  }

  /// Booleans take a byte.
  Value bitCast(Value x, Type to) {
    Type stored = storageType(to);
    if (x.getType() == stored)
      return x;
    if (x.getType().isInteger(1) || stored.isInteger(1))
      return convert(b, loc, x, to);
    return arith::BitcastOp::create(b, loc, stored, x);
  }

private:
  static arith::CmpIPredicate unsignedOf(arith::CmpIPredicate predicate) {
    switch (predicate) {
    case arith::CmpIPredicate::slt:
      return arith::CmpIPredicate::ult;
    case arith::CmpIPredicate::sle:
      return arith::CmpIPredicate::ule;
    case arith::CmpIPredicate::sgt:
      return arith::CmpIPredicate::ugt;
    case arith::CmpIPredicate::sge:
      return arith::CmpIPredicate::uge;
    default:
      return predicate;
    }
  }

  OpBuilder &b;
  Location loc;
  bool isUnsigned;
};

/// The operations that look at or choose between elements without computing a float.
bool keepsNarrowFloats(Operation *op) {
  return isa<onnx::WhereOp, onnx::CastOp, onnx::BitCastOp>(op);
}

} // namespace

static Value emitWide(Operation *op, OpBuilder &b, Location loc, ValueRange args) {
  auto typeOf = [](Value value) { return tensorType(value).getElementType(); };
  Type type = typeOf(op->getOperand(0)), resultType = typeOf(op->getResult(0));
  Emitter emit(b, loc, type.isUnsignedInteger());
  using FP = arith::CmpFPredicate;
  using IP = arith::CmpIPredicate;
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](onnx::AddOp) {
        return emit.arithmetic<arith::AddFOp, arith::AddIOp>(args[0], args[1]);
      })
      .Case([&](onnx::SubOp) {
        return emit.arithmetic<arith::SubFOp, arith::SubIOp>(args[0], args[1]);
      })
      .Case([&](onnx::MulOp) {
        return emit.arithmetic<arith::MulFOp, arith::MulIOp>(args[0], args[1]);
      })
      .Case([&](onnx::DivOp) { return divide(b, loc, args[0], args[1], type.isUnsignedInteger()); })
      .Case([&](onnx::PowOp pow) { return emit.power(args[0], args[1], type, typeOf(pow.getB())); })
      .Case([&](onnx::ModOp mod) { return emit.modulo(args[0], args[1], mod.getFmod()); })
      .Case([&](onnx::AndOp) { return Value(arith::AndIOp::create(b, loc, args[0], args[1])); })
      .Case([&](onnx::OrOp) { return Value(arith::OrIOp::create(b, loc, args[0], args[1])); })
      .Case([&](onnx::XorOp) { return Value(arith::XOrIOp::create(b, loc, args[0], args[1])); })
      .Case([&](onnx::EqualOp) { return emit.compare(FP::OEQ, IP::eq, args[0], args[1]); })
      .Case([&](onnx::GreaterOp) { return emit.compare(FP::OGT, IP::sgt, args[0], args[1]); })
      .Case(
          [&](onnx::GreaterOrEqualOp) { return emit.compare(FP::OGE, IP::sge, args[0], args[1]); })
      .Case([&](onnx::LessOp) { return emit.compare(FP::OLT, IP::slt, args[0], args[1]); })
      .Case([&](onnx::LessOrEqualOp) { return emit.compare(FP::OLE, IP::sle, args[0], args[1]); })
      .Case([&](onnx::MinOp) {
        Value result = args[0];
        for (Value arg : args.drop_front())
          result = emit.minimum(result, arg);
        return result;
      })
      .Case([&](onnx::MaxOp) {
        Value result = args[0];
        for (Value arg : args.drop_front())
          result = emit.maximum(result, arg);
        return result;
      })
      .Case([&](onnx::ClipOp clip) {
        Value result = args[0];
        if (clip.getMin())
          result = emit.maximum(result, args[1]);
        if (clip.getMax())
          result = emit.minimum(result, args.back());
        return result;
      })
      .Case([&](onnx::WhereOp) {
        return Value(arith::SelectOp::create(b, loc, args[0], args[1], args[2]));
      })
      .Case([&](onnx::CastOp) { return convert(b, loc, args[0], type, resultType); })
      .Case([&](onnx::BitCastOp) { return emit.bitCast(args[0], resultType); })
      .Case([&](onnx::BitwiseAndOp) { return emit.bitwise<arith::AndIOp>(args[0], args[1]); })
      .Case([&](onnx::BitwiseOrOp) { return emit.bitwise<arith::OrIOp>(args[0], args[1]); })
      .Case([&](onnx::BitwiseXorOp) { return emit.bitwise<arith::XOrIOp>(args[0], args[1]); })
      .Case([&](onnx::BitwiseNotOp) { return emit.bitwiseNot(args[0]); })
      .Case([&](onnx::BitShiftOp shift) { return emit.shift(args[0], args[1], shift.getLeft()); })
      .Case([&](onnx::NegOp) { return emit.negate(args[0]); })
      .Case([&](onnx::AbsOp) { return emit.absolute(args[0]); })
      .Case([&](onnx::ExpOp) { return emit.function<math::ExpOp>(args[0]); })
      .Case([&](onnx::LogOp) { return emit.function<math::LogOp>(args[0]); })
      .Case([&](onnx::SqrtOp) { return emit.function<math::SqrtOp>(args[0]); })
      .Case([&](onnx::ReciprocalOp) { return emit.reciprocal(args[0]); })
      .Case([&](onnx::ErfOp) { return emit.function<math::ErfOp>(args[0]); })
      .Case([&](onnx::TanhOp) { return emit.function<math::TanhOp>(args[0]); })
      .Case([&](onnx::SigmoidOp) { return emit.sigmoid(args[0]); })
      .Case([&](onnx::ReluOp) { return emit.maximum(args[0], emit.number(args[0], 0)); })
      .Case([&](onnx::FloorOp) { return emit.function<math::FloorOp>(args[0]); })
      .Case([&](onnx::CeilOp) { return emit.function<math::CeilOp>(args[0]); })
      .Case([&](onnx::RoundOp) { return emit.function<math::RoundEvenOp>(args[0]); })
      .Case([&](onnx::SinOp) { return emit.function<math::SinOp>(args[0]); })
      .Case([&](onnx::CosOp) { return emit.function<math::CosOp>(args[0]); })
      .Case([&](onnx::TanOp) { return emit.function<math::TanOp>(args[0]); })
      .Case([&](onnx::AsinOp) { return emit.function<math::AsinOp>(args[0]); })
      .Case([&](onnx::AcosOp) { return emit.function<math::AcosOp>(args[0]); })
      .Case([&](onnx::AtanOp) { return emit.function<math::AtanOp>(args[0]); })
      .Case([&](onnx::SinhOp) { return emit.function<math::SinhOp>(args[0]); })
      .Case([&](onnx::CoshOp) { return emit.function<math::CoshOp>(args[0]); })
      .Case([&](onnx::AsinhOp) { return emit.function<math::AsinhOp>(args[0]); })
      .Case([&](onnx::AcoshOp) { return emit.function<math::AcoshOp>(args[0]); })
      .Case([&](onnx::AtanhOp) { return emit.function<math::AtanhOp>(args[0]); })
      .Case([&](onnx::SignOp) { return emit.sign(args[0]); })
      .Case([&](onnx::NotOp) { return emit.logicalNot(args[0]); })
      .Case([&](onnx::IsNaNOp) { return emit.function<math::IsNaNOp>(args[0]); })
      .Case([&](onnx::GeluOp gelu) { return emit.gelu(args[0], gelu.getApproximate() == "tanh"); })
      .Default([](Operation *) { return Value(); });
}

Value emitElement(Operation *op, OpBuilder &b, Location loc, ValueRange args) {
  SmallVector<Value> wide(args);
  if (!keepsNarrowFloats(op))
    for (Value &arg : wide)
      arg = convert(b, loc, arg,
                    isa<FloatType>(arg.getType()) ? accumulatorType(arg.getType()) : arg.getType());
  Value value = emitWide(op, b, loc, wide);
  Type type = storageType(tensorType(op->getResult(0)).getElementType());
  if (value && isa<FloatType>(value.getType()) && isa<FloatType>(type))
    value = convert(b, loc, value, type);
  return value && value.getType() == type ? value : Value();
}

std::optional<LogicalResult> Lowering::lowerElementwise(Operation *op) {
  if (!onnx::isElementwise(op))
    return std::nullopt;
  Value result = op->getResult(0);
  int64_t rank = tensorType(result).getRank();
  SmallVector<View> inputs;
  for (Value operand : op->getOperands())
    inputs.push_back(broadcast(operand, rank, rank));
  bool supported = true;
  Type element = tensorType(result).getElementType();
  Value lowered =
      map(sizes(result), element, inputs, [&](OpBuilder &b, Location at, ValueRange args) {
        SmallVector<Value> converted(args);
        // A number of the host is i64 until it meets the operand's type.
        for (auto [arg, operand] : llvm::zip_equal(converted, op->getOperands()))
          arg = convert(b, at, arg, tensorType(operand).getElementType());
        Value value = emitElement(op, b, at, converted);
        supported &= value != nullptr;
        return supported ? value : constantOf(b, at, element, 0);
      });
  if (!supported)
    return refuse(op) << "is not supported on element type "
                      << tensorType(op->getOperand(0)).getElementType();
  bind(result, lowered);
  return success();
}

} // namespace rapt::fuse
