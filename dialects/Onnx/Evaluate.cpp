//===- Evaluate.cpp - Elementwise operators on known elements --------------------------------===//
//
// Integers of ONNX wrap around; an expression over dims that could is unknown instead. Division by
// zero is unknown too: nothing here traps.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Evaluate.h"

#include "dialects/Onnx/Onnx.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace rapt::onnx {

namespace {
Element truth(bool value) { return Element::ofInt(value ? 1 : 0); }

std::optional<bool> asBool(const Element &element) {
  if (element.kind != Element::Int || !element.expr.constant())
    return std::nullopt;
  return *element.expr.constant() != 0;
}

// --- Integers ------------------------------------------------------------------------------------
SymbolicExpr divide(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (auto x = a.constant(), y = b.constant(); x && y) {
    if (*y == 0 || (*y == -1 && *x == std::numeric_limits<int64_t>::min()))
      return {};
    return *x / *y; // truncates, as ONNX does
  }
  // Where the divisor is 0, no result is right or wrong.
  if (SymbolicExpr exact = SymbolicExpr::exactDiv(a, b); exact.isKnown() || b.lowerBound() <= 0)
    return exact;
  if (a.lowerBound() >= 0)
    return SymbolicExpr::floorDiv(a, b);
  // Towards 0 from either side; a number above -b gives 0 on the negative one.
  SymbolicExpr zero(0), positive = SymbolicExpr::floorDiv(SymbolicExpr::max(a, zero), b);
  if (SymbolicExpr::provablyAtMost(SymbolicExpr(1) - b, a))
    return positive;
  return positive - SymbolicExpr::floorDiv(SymbolicExpr::max(zero - a, zero), b);
}

SymbolicExpr remainder(const SymbolicExpr &a, const SymbolicExpr &b, bool fmod) {
  if (auto x = a.constant(), y = b.constant(); x && y) {
    if (*y == 0 || *y == -1)
      return *y == 0 ? SymbolicExpr() : SymbolicExpr(0);
    int64_t rest = *x % *y;
    return !fmod && rest != 0 && (rest < 0) != (*y < 0) ? rest + *y : rest;
  }
  return !fmod || a.lowerBound() >= 0 ? SymbolicExpr::mod(a, b) : SymbolicExpr();
}

SymbolicExpr power(const SymbolicExpr &a, const SymbolicExpr &b) {
  std::optional<int64_t> exponent = b.constant();
  if (!exponent || *exponent < 0 || *exponent > 8)
    return {};
  SymbolicExpr result(1);
  for (int64_t i = 0; i < *exponent; ++i)
    result = result * a;
  return result;
}

/// Comparisons of integers; `a < b` and `a <= b` decide the others.
std::optional<bool> less(const SymbolicExpr &a, const SymbolicExpr &b, bool orEqual) {
  SymbolicExpr one(orEqual ? 0 : 1);
  if (SymbolicExpr::provablyAtMost(a + one, b))
    return true;
  if (SymbolicExpr::provablyAtMost(b + SymbolicExpr(orEqual ? 1 : 0), a))
    return false;
  return std::nullopt;
}

Element decided(std::optional<bool> value) { return value ? truth(*value) : Element(); }

/// Bit by bit, on the two's complement of constants.
Element evaluateBits(Operation *op, const SymbolicExpr &a, const SymbolicExpr &b, Type type) {
  std::optional<int64_t> x = a.constant(), y = b.constant();
  if (!x || !y)
    return {};
  if (isa<BitwiseAndOp>(op))
    return wrapTo(type, *x & *y);
  if (isa<BitwiseOrOp>(op))
    return wrapTo(type, *x | *y);
  if (isa<BitwiseXorOp>(op))
    return wrapTo(type, *x ^ *y);
  auto shift = dyn_cast<BitShiftOp>(op);
  if (!shift)
    return {};
  int64_t width = type.getIntOrFloatBitWidth();
  if (*y < 0 || *y >= width)
    return Element::ofInt(!shift.getLeft() && *x < 0 ? -1 : 0);
  return wrapTo(type,
                shift.getLeft() ? static_cast<int64_t>(static_cast<uint64_t>(*x) << *y) : *x >> *y);
}

Element evaluateInts(Operation *op, const SymbolicExpr &a, const SymbolicExpr &b, Type type) {
  auto wrapped = [&](const SymbolicExpr &value) { return wrapTo(type, value); };
  return llvm::TypeSwitch<Operation *, Element>(op)
      .Case([&](AddOp) { return wrapped(a + b); })
      .Case([&](SubOp) { return wrapped(a - b); })
      .Case([&](MulOp) { return wrapped(a * b); })
      .Case([&](DivOp) { return wrapped(divide(a, b)); })
      .Case([&](ModOp mod) { return wrapped(remainder(a, b, mod.getFmod())); })
      .Case([&](PowOp) { return wrapped(power(a, b)); })
      .Case([&](EqualOp) {
        return a == b                                  ? truth(true)
               : SymbolicExpr::provablyDifferent(a, b) ? truth(false)
                                                       : Element();
      })
      .Case([&](LessOp) { return decided(less(a, b, false)); })
      .Case([&](LessOrEqualOp) { return decided(less(a, b, true)); })
      .Case([&](GreaterOp) { return decided(less(b, a, false)); })
      .Case([&](GreaterOrEqualOp) { return decided(less(b, a, true)); })
      .Default([&](Operation *) { return evaluateBits(op, a, b, type); });
}

Element evaluateInt(Operation *op, const SymbolicExpr &a, Type type) {
  return llvm::TypeSwitch<Operation *, Element>(op)
      .Case([&](NegOp) { return wrapTo(type, SymbolicExpr(0) - a); })
      .Case([&](AbsOp) {
        return a.lowerBound() >= 0   ? Element::ofInt(a)
               : a.upperBound() <= 0 ? wrapTo(type, SymbolicExpr(0) - a)
                                     : Element();
      })
      .Case([&](SignOp) {
        return a.lowerBound() > 0   ? Element::ofInt(1)
               : a.upperBound() < 0 ? Element::ofInt(-1)
               : a.is(0)            ? Element::ofInt(0)
                                    : Element();
      })
      .Case([&](ReluOp) { return Element::ofInt(SymbolicExpr::max(a, 0)); })
      .Case([&](BitwiseNotOp) { return wrapTo(type, SymbolicExpr(-1) - a); })
      .Default([](Operation *) { return Element(); });
}

// --- Floats --------------------------------------------------------------------------------------
double sign(double a) { return std::isnan(a) ? a : (a > 0) - (a < 0); }

Element evaluateFloat(Operation *op, double a, Type type) {
  auto rounded = [&](double value) { return Element::ofFloat(roundTo(type, value)); };
  return llvm::TypeSwitch<Operation *, Element>(op)
      .Case([&](NegOp) { return rounded(-a); })
      .Case([&](AbsOp) { return rounded(std::fabs(a)); })
      .Case([&](ExpOp) { return rounded(std::exp(a)); })
      .Case([&](LogOp) { return rounded(std::log(a)); })
      .Case([&](SqrtOp) { return rounded(std::sqrt(a)); })
      .Case([&](ReciprocalOp) { return rounded(1 / a); })
      .Case([&](ErfOp) { return rounded(std::erf(a)); })
      .Case([&](TanhOp) { return rounded(std::tanh(a)); })
      .Case([&](SigmoidOp) { return rounded(1 / (1 + std::exp(-a))); })
      .Case([&](ReluOp) { return rounded(a < 0 ? 0 : a); })
      .Case([&](FloorOp) { return rounded(std::floor(a)); })
      .Case([&](CeilOp) { return rounded(std::ceil(a)); })
      .Case([&](RoundOp) { return rounded(std::nearbyint(a)); })
      .Case([&](SinOp) { return rounded(std::sin(a)); })
      .Case([&](CosOp) { return rounded(std::cos(a)); })
      .Case([&](TanOp) { return rounded(std::tan(a)); })
      .Case([&](AsinOp) { return rounded(std::asin(a)); })
      .Case([&](AcosOp) { return rounded(std::acos(a)); })
      .Case([&](AtanOp) { return rounded(std::atan(a)); })
      .Case([&](SinhOp) { return rounded(std::sinh(a)); })
      .Case([&](CoshOp) { return rounded(std::cosh(a)); })
      .Case([&](AsinhOp) { return rounded(std::asinh(a)); })
      .Case([&](AcoshOp) { return rounded(std::acosh(a)); })
      .Case([&](AtanhOp) { return rounded(std::atanh(a)); })
      .Case([&](SignOp) { return rounded(sign(a)); })
      .Case([&](IsNaNOp) { return truth(std::isnan(a)); })
      .Default([](Operation *) { return Element(); });
}

Element evaluateFloats(Operation *op, double a, double b, Type type) {
  auto rounded = [&](double value) { return Element::ofFloat(roundTo(type, value)); };
  return llvm::TypeSwitch<Operation *, Element>(op)
      .Case([&](AddOp) { return rounded(a + b); })
      .Case([&](SubOp) { return rounded(a - b); })
      .Case([&](MulOp) { return rounded(a * b); })
      .Case([&](DivOp) { return rounded(a / b); })
      .Case([&](PowOp) { return rounded(std::pow(a, b)); })
      .Case([&](ModOp mod) { return mod.getFmod() ? rounded(std::fmod(a, b)) : Element(); })
      .Case([&](EqualOp) { return truth(a == b); })
      .Case([&](LessOp) { return truth(a < b); })
      .Case([&](LessOrEqualOp) { return truth(a <= b); })
      .Case([&](GreaterOp) { return truth(a > b); })
      .Case([&](GreaterOrEqualOp) { return truth(a >= b); })
      .Default([](Operation *) { return Element(); });
}

// --- Logic ---------------------------------------------------------------------------------------
Element evaluateLogic(Operation *op, const Element &a, const Element &b) {
  std::optional<bool> x = asBool(a), y = asBool(b);
  // One known side may decide alone.
  if (isa<AndOp>(op))
    return x == false || y == false ? truth(false) : x && y ? truth(true) : Element();
  if (isa<OrOp>(op))
    return x == true || y == true ? truth(true) : x && y ? truth(false) : Element();
  return x && y ? truth(*x != *y) : Element();
}

Element evaluateWhere(const Element &condition, const Element &x, const Element &y) {
  if (std::optional<bool> chosen = asBool(condition))
    return *chosen ? x : y;
  return x == y ? x : Element();
}

Element evaluateClip(ClipOp op, ArrayRef<Element> operands, Type type) {
  Element result = operands[0];
  unsigned next = 1;
  if (op.getMin())
    result = combine(Fold::Max, result, operands[next++], type);
  if (op.getMax())
    result = combine(Fold::Min, result, operands[next], type);
  return result;
}
} // namespace

Element combine(Fold fold, const Element &a, const Element &b, Type type) {
  if (a.kind != b.kind || !a.isKnown())
    return {};
  if (a.kind == Element::Float) {
    double x = a.number, y = b.number;
    switch (fold) {
    case Fold::Sum:
      return Element::ofFloat(roundTo(type, x + y));
    case Fold::Product:
      return Element::ofFloat(roundTo(type, x * y));
    case Fold::Max:
      return Element::ofFloat(std::isnan(x) || x > y ? x : y);
    case Fold::Min:
      return Element::ofFloat(std::isnan(x) || x < y ? x : y);
    }
  }
  switch (fold) {
  case Fold::Sum:
    return wrapTo(type, a.expr + b.expr);
  case Fold::Product:
    return wrapTo(type, a.expr * b.expr);
  case Fold::Max:
    return Element::ofInt(SymbolicExpr::max(a.expr, b.expr));
  case Fold::Min:
    return Element::ofInt(SymbolicExpr::min(a.expr, b.expr));
  }
  return {};
}

Element convert(const Element &element, Type result) {
  if (element.kind == Element::Float) {
    if (isa<FloatType>(result))
      return Element::ofFloat(roundTo(result, element.number));
    if (result.isInteger(1))
      return truth(element.number != 0); // NaN is true
    // Outside the target's range converters differ, so nothing is known.
    double whole = std::trunc(element.number);
    if (!(whole > -9.2e18 && whole < 9.2e18))
      return {};
    Element wrapped = wrapTo(result, static_cast<int64_t>(whole));
    return wrapped.expr.is(static_cast<int64_t>(whole)) ? wrapped : Element();
  }
  if (element.kind != Element::Int)
    return {};
  if (isa<FloatType>(result)) {
    std::optional<int64_t> value = element.expr.constant();
    return value ? Element::ofFloat(roundTo(result, static_cast<double>(*value))) : Element();
  }
  if (result.isInteger(1))
    return element.expr.is(0)                                 ? truth(false)
           : SymbolicExpr::provablyDifferent(element.expr, 0) ? truth(true)
                                                              : Element();
  return wrapTo(result, element.expr);
}

Element evaluate(Operation *op, ArrayRef<Element> operands, Type result) {
  if (isa<IdentityOp>(op))
    return operands[0];
  if (isa<CastOp>(op))
    return convert(operands[0], result);
  if (isa<WhereOp>(op))
    return evaluateWhere(operands[0], operands[1], operands[2]);
  if (isa<AndOp, OrOp, XorOp>(op))
    return evaluateLogic(op, operands[0], operands[1]);
  if (isa<NotOp>(op)) {
    std::optional<bool> value = asBool(operands[0]);
    return value ? truth(!*value) : Element();
  }
  if (!llvm::all_of(operands, [](const Element &e) { return e.isKnown(); }) || operands.empty())
    return {};
  if (auto clip = dyn_cast<ClipOp>(op))
    return evaluateClip(clip, operands, result);
  if (isa<MinOp, MaxOp>(op)) {
    Element value = operands[0];
    for (const Element &next : operands.drop_front())
      value = combine(isa<MinOp>(op) ? Fold::Min : Fold::Max, value, next, result);
    return value;
  }
  bool isFloat = operands[0].kind == Element::Float;
  if (operands.size() == 1)
    return isFloat ? evaluateFloat(op, operands[0].number, result)
                   : evaluateInt(op, operands[0].expr, result);
  if (operands.size() != 2)
    return {};
  if (isFloat) { // Pow may have an integer exponent
    double b = operands[1].kind == Element::Float
                   ? operands[1].number
                   : static_cast<double>(operands[1].expr.constant().value_or(0));
    if (operands[1].kind == Element::Int && !operands[1].expr.constant())
      return {};
    return evaluateFloats(op, operands[0].number, b, result);
  }
  if (operands[1].kind == Element::Float)
    return {};
  return evaluateInts(op, operands[0].expr, operands[1].expr, result);
}

} // namespace rapt::onnx
