//===- LowerElementwise.cpp - Elementwise onnx => one linalg.generic each --------------===//
//
// Broadcasting is in the indexing maps, scalars are literals in the body, floats compute in their
// own type.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

Value constantOf(OpBuilder &b, Location loc, Type type, double number) {
  TypedAttr attr = isa<FloatType>(type)
                       ? TypedAttr(b.getFloatAttr(type, number))
                       : TypedAttr(b.getIntegerAttr(type, static_cast<int64_t>(number)));
  return arith::ConstantOp::create(b, loc, attr);
}

Type accumulatorType(Type element) {
  auto type = dyn_cast<FloatType>(element);
  return type && type.getWidth() < 32 ? Float32Type::get(element.getContext()) : element;
}

/// The largest and smallest values of integer type `to` that `from` represents exactly.
static Value saturate(OpBuilder &b, Location loc, Value value, IntegerType to) {
  auto from = cast<FloatType>(value.getType());
  int64_t width = to.getWidth(), precision = from.getFPMantissaWidth();
  double low = -std::ldexp(1.0, width - 1);
  double high = width - 1 <= precision
                    ? std::ldexp(1.0, width - 1) - 1
                    : std::ldexp(1.0, width - 1) - std::ldexp(1.0, width - 1 - precision);
  Value atLeast = arith::MaximumFOp::create(b, loc, value, constantOf(b, loc, from, low));
  return arith::MinimumFOp::create(b, loc, atLeast, constantOf(b, loc, from, high));
}

Value convert(OpBuilder &b, Location loc, Value value, Type type) {
  Type from = value.getType();
  if (from == type)
    return value;
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(type);
  if (type.isInteger(1)) {
    Value zero = constantOf(b, loc, from, 0);
    return fromFloat ? Value(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, value, zero))
                     : Value(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero));
  }
  if (fromFloat && toFloat) {
    if (fromFloat.getWidth() == toFloat.getWidth()) // f16 <-> bf16
      return convert(b, loc, arith::ExtFOp::create(b, loc, b.getF32Type(), value), type);
    return fromFloat.getWidth() < toFloat.getWidth()
               ? Value(arith::ExtFOp::create(b, loc, type, value))
               : Value(arith::TruncFOp::create(b, loc, type, value));
  }
  if (fromFloat)
    return arith::FPToSIOp::create(b, loc, type, saturate(b, loc, value, cast<IntegerType>(type)));
  if (toFloat)
    return from.isInteger(1) ? Value(arith::UIToFPOp::create(b, loc, type, value))
                             : Value(arith::SIToFPOp::create(b, loc, type, value));
  if (from.getIntOrFloatBitWidth() > type.getIntOrFloatBitWidth())
    return arith::TruncIOp::create(b, loc, type, value);
  return from.isInteger(1) ? Value(arith::ExtUIOp::create(b, loc, type, value))
                           : Value(arith::ExtSIOp::create(b, loc, type, value));
}

static Value equals(OpBuilder &b, Location loc, Value x, double number) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x,
                               constantOf(b, loc, x.getType(), number));
}

/// The divisor `y`, with 1 in the place of 0 and -1, for which there are other rules; null when it
/// is a constant that is neither.
static Value harmlessDivisor(OpBuilder &b, Location loc, Value y) {
  llvm::APInt number;
  if (matchPattern(y, m_ConstantInt(&number)) && !number.isZero() && !number.isAllOnes())
    return {};
  Value special = arith::OrIOp::create(b, loc, equals(b, loc, y, 0), equals(b, loc, y, -1));
  return arith::SelectOp::create(b, loc, special, constantOf(b, loc, y.getType(), 1), y);
}

Value divide(OpBuilder &b, Location loc, Value x, Value y) {
  if (isa<FloatType>(x.getType()))
    return arith::DivFOp::create(b, loc, x, y);
  Value divisor = harmlessDivisor(b, loc, y);
  if (!divisor)
    return arith::DivSIOp::create(b, loc, x, y);
  Value quotient = arith::DivSIOp::create(b, loc, x, divisor);
  Value zero = constantOf(b, loc, x.getType(), 0);
  Value negated = arith::SelectOp::create(b, loc, equals(b, loc, y, -1),
                                          arith::SubIOp::create(b, loc, zero, x), quotient);
  return arith::SelectOp::create(b, loc, equals(b, loc, y, 0), zero, negated);
}

Value remainder(OpBuilder &b, Location loc, Value x, Value y) {
  if (isa<FloatType>(x.getType()))
    return arith::RemFOp::create(b, loc, x, y);
  Value divisor = harmlessDivisor(b, loc, y);
  return arith::RemSIOp::create(b, loc, x, divisor ? divisor : y);
}

namespace {

/// Emits one element; every method returns null when the operation has no meaning on the type.
class Emitter {
public:
  Emitter(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  template <typename FloatOp, typename IntOp> Value arithmetic(Value x, Value y) {
    if (isa<FloatType>(x.getType()))
      return FloatOp::create(b, loc, x, y);
    return IntOp::create(b, loc, x, y);
  }

  template <typename FloatOp> Value function(Value x) {
    return isa<FloatType>(x.getType()) ? Value(FloatOp::create(b, loc, x)) : Value();
  }

  Value number(Value like, double value) { return constantOf(b, loc, like.getType(), value); }

  Value compare(arith::CmpFPredicate onFloats, arith::CmpIPredicate onInts, Value x, Value y) {
    if (isa<FloatType>(x.getType()))
      return arith::CmpFOp::create(b, loc, onFloats, x, y);
    return arith::CmpIOp::create(b, loc, onInts, x, y);
  }

  Value negate(Value x) {
    if (isa<FloatType>(x.getType()))
      return arith::NegFOp::create(b, loc, x);
    return arith::SubIOp::create(b, loc, number(x, 0), x);
  }

  Value absolute(Value x) {
    if (isa<FloatType>(x.getType()))
      return math::AbsFOp::create(b, loc, x);
    return arith::MaxSIOp::create(b, loc, x, negate(x));
  }

  Value sign(Value x) {
    Value zero = number(x, 0);
    Value positive = compare(arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt, x, zero);
    Value negative = compare(arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt, x, zero);
    Value below = arith::SelectOp::create(b, loc, negative, number(x, -1), zero);
    return arith::SelectOp::create(b, loc, positive, number(x, 1), below);
  }

  Value logicalNot(Value x) { return arith::XOrIOp::create(b, loc, x, number(x, 1)); }

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
    Value rest = remainder(b, loc, x, y);
    if (fmod)
      return rest;
    if (isa<FloatType>(x.getType()))
      return {};
    Value zero = number(x, 0);
    Value nonZero = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, rest, zero);
    Value signs = arith::XOrIOp::create(b, loc, rest, y);
    Value differ = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, signs, zero);
    Value wrap = arith::AndIOp::create(b, loc, nonZero, differ);
    return arith::SelectOp::create(b, loc, wrap, arith::AddIOp::create(b, loc, rest, y), rest);
  }

  /// NaN in either operand gives NaN, as in numpy.
  Value maximum(Value x, Value y) { return arithmetic<arith::MaximumFOp, arith::MaxSIOp>(x, y); }
  Value minimum(Value x, Value y) { return arithmetic<arith::MinimumFOp, arith::MinSIOp>(x, y); }

  /// A float base; the exponent may have another type.
  Value power(Value x, Value y) {
    if (!isa<FloatType>(x.getType()))
      return {};
    return math::PowFOp::create(b, loc, x, convert(b, loc, y, x.getType()));
  }

private:
  OpBuilder &b;
  Location loc;
};

} // namespace

Value emitElement(Operation *op, OpBuilder &b, Location loc, ValueRange args) {
  Emitter emit(b, loc);
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
      .Case([&](onnx::DivOp) { return divide(b, loc, args[0], args[1]); })
      .Case([&](onnx::PowOp) { return emit.power(args[0], args[1]); })
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
      .Case([&](onnx::CastOp cast) {
        return convert(b, loc, args[0], tensorType(cast.getOutput()).getElementType());
      })
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
      .Case([&](onnx::SignOp) { return emit.sign(args[0]); })
      .Case([&](onnx::NotOp) { return emit.logicalNot(args[0]); })
      .Case([&](onnx::IsNaNOp) { return emit.function<math::IsNaNOp>(args[0]); })
      .Case([&](onnx::GeluOp gelu) { return emit.gelu(args[0], gelu.getApproximate() == "tanh"); })
      .Default([](Operation *) { return Value(); });
}

static bool isElementwise(Operation *op) {
  return isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::PowOp, onnx::ModOp,
             onnx::AndOp, onnx::OrOp, onnx::XorOp, onnx::EqualOp, onnx::GreaterOp,
             onnx::GreaterOrEqualOp, onnx::LessOp, onnx::LessOrEqualOp, onnx::MinOp, onnx::MaxOp,
             onnx::ClipOp, onnx::WhereOp, onnx::CastOp, onnx::NegOp, onnx::AbsOp, onnx::ExpOp,
             onnx::LogOp, onnx::SqrtOp, onnx::ReciprocalOp, onnx::ErfOp, onnx::TanhOp,
             onnx::SigmoidOp, onnx::ReluOp, onnx::FloorOp, onnx::CeilOp, onnx::RoundOp, onnx::SinOp,
             onnx::CosOp, onnx::SignOp, onnx::NotOp, onnx::IsNaNOp, onnx::GeluOp>(op);
}

std::optional<LogicalResult> Lowering::lowerElementwise(Operation *op) {
  if (!isElementwise(op))
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
        supported &= value && value.getType() == element;
        return supported ? value : constantOf(b, at, element, 0);
      });
  if (!supported)
    return refuse(op) << "is not supported on element type "
                      << tensorType(op->getOperand(0)).getElementType();
  bind(result, lowered);
  return success();
}

} // namespace rapt::fuse
