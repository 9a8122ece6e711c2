//===- VersionsActivations.cpp - Activation functions ----------------------------------------===//
//
// Each becomes a composition of arithmetic that the dialect has. f16 and bf16 are computed in f32
// from the operand to the result, so that only the result is rounded.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
using Activation = Value (*)(NodeBuilder &b, Value x);

Value plus(NodeBuilder &b, Value x, double number) { return withScalar<AddOp>(b, x, number); }
Value times(NodeBuilder &b, Value x, double number) { return withScalar<MulOp>(b, x, number); }
Value isBelow(NodeBuilder &b, Value x, double number) { return withScalar<LessOp>(b, x, number); }
Value isAbove(NodeBuilder &b, Value x, double number) {
  return withScalar<GreaterOp>(b, x, number);
}
Value scalarLike(NodeBuilder &b, Value x, double number) {
  return b.makeScalar(b.elementType(x), number);
}

/// An activation of one float operand; operands of other types are an error.
template <Activation activation> void upgradeActivation(NodeBuilder &b) {
  Value x = b.in(0);
  if (b.stopped())
    return;
  expectFloat(b, x, "X");
  Value y = activation(b, castTo(b, x, wideType(b, x)));
  if (!b.stopped())
    b.out(0, castTo(b, y, b.elementType(x)));
}

/// e to the x, minus 1.
Value expMinusOne(NodeBuilder &b, Value x) { return plus(b, unary<ExpOp>(b, x), -1); }

/// x clamped to 0 ... 1.
Value clampToUnit(NodeBuilder &b, Value x) {
  return x ? b.make<ClipOp>(x, scalarLike(b, x, 0), scalarLike(b, x, 1)) : Value();
}

Value elu(NodeBuilder &b, Value x) {
  Value below = times(b, expMinusOne(b, x), b.floatAttr("alpha", 1));
  return where(b, isBelow(b, x, 0), below, x);
}

Value selu(NodeBuilder &b, Value x) {
  double alpha = b.floatAttr("alpha", 1.67326319217681884765625f),
         gamma = b.floatAttr("gamma", 1.05070102214813232421875f);
  Value below = times(b, expMinusOne(b, x), alpha);
  return times(b, where(b, isBelow(b, x, 0), below, x), gamma);
}

/// max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
Value celu(NodeBuilder &b, Value x) {
  double alpha = b.floatAttr("alpha", 1);
  if (alpha == 0) {
    b.error("attribute 'alpha' is 0, expected another number");
    return {};
  }
  Value curve = times(b, expMinusOne(b, withScalar<DivOp>(b, x, alpha)), alpha);
  Value zero = scalarLike(b, x, 0);
  if (b.stopped())
    return {};
  Value below = b.make<MinOp>(ValueRange{curve, zero}), above = unary<ReluOp>(b, x);
  return binary<AddOp>(b, above, below);
}

Value leakyRelu(NodeBuilder &b, Value x) {
  return where(b, isBelow(b, x, 0), times(b, x, b.floatAttr("alpha", 0.01f)), x);
}

Value thresholdedRelu(NodeBuilder &b, Value x) {
  return where(b, isAbove(b, x, b.floatAttr("alpha", 1)), x, scalarLike(b, x, 0));
}

Value hardSigmoid(NodeBuilder &b, Value x) {
  double alpha = b.floatAttr("alpha", 0.2f), beta = b.floatAttr("beta", 0.5f);
  return clampToUnit(b, plus(b, times(b, x, alpha), beta));
}

Value hardSwish(NodeBuilder &b, Value x) {
  return binary<MulOp>(b, x, clampToUnit(b, plus(b, times(b, x, 1.0 / 6), 0.5)));
}

/// log(1 + e^x) = max(x, 0) + log(1 + e), e = exp(-|x|). Rounding 1 + e loses the digits of a small
/// e; log(u) * e / (u - 1) with u = 1 + e as rounded makes up for it.
Value softplus(NodeBuilder &b, Value x) {
  Value e = unary<ExpOp>(b, unary<NegOp>(b, unary<AbsOp>(b, x)));
  Value u = plus(b, e, 1), rest = plus(b, u, -1);
  Value ratio = binary<DivOp>(b, binary<MulOp>(b, unary<LogOp>(b, u), e), rest);
  Value log = where(b, withScalar<EqualOp>(b, rest, 0), e, ratio);
  return binary<AddOp>(b, unary<ReluOp>(b, x), log);
}

Value softsign(NodeBuilder &b, Value x) {
  return binary<DivOp>(b, x, plus(b, unary<AbsOp>(b, x), 1));
}

Value mish(NodeBuilder &b, Value x) {
  return binary<MulOp>(b, x, unary<TanhOp>(b, softplus(b, x)));
}

/// x * sigmoid(alpha * x)
Value swish(NodeBuilder &b, Value x) {
  double alpha = b.floatAttr("alpha", 1);
  return binary<MulOp>(b, x, unary<SigmoidOp>(b, alpha == 1 ? x : times(b, x, alpha)));
}

void upgradeSwiGLU(NodeBuilder &b) {
  Value gate = b.in(0), value = b.in(1);
  if (b.stopped())
    return;
  expectFloat(b, gate, "A");
  Type type = b.elementType(gate), wide = wideType(b, gate);
  Value y = binary<MulOp>(b, swish(b, castTo(b, gate, wide)), castTo(b, value, wide));
  if (!b.stopped())
    b.out(0, castTo(b, y, type));
}

/// The slope is broadcast to x, not the other way.
void upgradePRelu(NodeBuilder &b) {
  Value x = b.in(0), slope = b.in(1);
  if (b.stopped())
    return;
  if (b.rank(slope) > b.rank(x))
    return b.error("input 'slope' has rank " + Twine(b.rank(slope)) + ", expected at most " +
                   Twine(b.rank(x)) + " as input 'X'");
  bool isFloat = isa<FloatType>(b.elementType(x));
  Type wide = isFloat ? wideType(b, x) : b.elementType(x);
  Value from = castTo(b, x, wide);
  Value y = where(b, isBelow(b, from, 0), binary<MulOp>(b, from, castTo(b, slope, wide)), from);
  if (b.stopped())
    return;
  for (int64_t axis = 0; axis < b.rank(x); ++axis)
    if (!(b.dim(y, axis) == b.dim(x, axis)))
      return b.error("input 'slope' makes of dim " + Twine(axis) + " of input 'X' " +
                     b.dim(y, axis).str() + ", expected " + b.dim(x, axis).str() + " as it is");
  b.out(0, castTo(b, y, b.elementType(x)));
}

/// x + bias below -lambd, x - bias above lambd, else 0; integers too, though the attributes are
/// floats.
void upgradeShrink(NodeBuilder &b) {
  Value x = b.in(0);
  double bias = b.floatAttr("bias", 0), lambd = b.floatAttr("lambd", 0.5f);
  if (b.stopped())
    return;
  Value from = castTo(b, x, wideType(b, x));
  Value above = where(b, isAbove(b, from, lambd), plus(b, from, -bias), scalarLike(b, from, 0));
  Value y = where(b, isBelow(b, from, -lambd), plus(b, from, bias), above);
  if (!b.stopped())
    b.out(0, castTo(b, y, b.elementType(x)));
}
} // namespace

void addActivations(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
          {"Celu", 12, "float", "becomes arithmetic", upgradeActivation<celu>},
          {"Elu", 7, "float", "becomes arithmetic", upgradeActivation<elu>},
          {"HardSigmoid", 7, "float", "becomes arithmetic", upgradeActivation<hardSigmoid>},
          {"HardSwish", 14, "float", "becomes arithmetic", upgradeActivation<hardSwish>},
          {"LeakyRelu", 7, "float", "becomes arithmetic", upgradeActivation<leakyRelu>},
          {"Mish", 18, "float", "becomes arithmetic", upgradeActivation<mish>},
          {"PRelu", 7, "float, int", "becomes arithmetic", upgradePRelu},
          {"Selu", 7, "float", "becomes arithmetic", upgradeActivation<selu>},
          {"Shrink", 9, "float, int", "becomes arithmetic", upgradeShrink},
          {"Softplus", 7, "float", "becomes arithmetic", upgradeActivation<softplus>},
          {"Softsign", 7, "float", "becomes arithmetic", upgradeActivation<softsign>},
          {"SwiGLU", 28, "float", "becomes arithmetic", upgradeSwiGLU},
          {"Swish", 24, "float", "becomes arithmetic", upgradeActivation<swish>},
          {"ThresholdedRelu", 10, "float", "becomes arithmetic",
           upgradeActivation<thresholdedRelu>},
      });
}

} // namespace rapt::onnx
