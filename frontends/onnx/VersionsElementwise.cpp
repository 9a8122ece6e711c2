//===- VersionsElementwise.cpp - Elementwise operators ---------------------------------------===//
//
// Rows of the table for operators that work element by element. Operators of any number of operands
// become the onnx operation of that name or a chain of Add; Clip's bounds become operands; Dropout
// is its operand.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Versions.h"

#include <limits>

using namespace mlir;

namespace rapt::onnx {

namespace {
template <typename Op> void upgradeUnary(NodeBuilder &b) {
  if (Value x = b.in(0))
    b.out(0, b.make<Op>(x));
}

void upgradeIdentity(NodeBuilder &b) {
  if (b.isSequence(0))
    return b.out(0, b.sequence(0));
  upgradeUnary<IdentityOp>(b);
}

template <typename Op> void upgradeBinary(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  if (x && y)
    b.out(0, b.make<Op>(x, y));
}

template <typename Op> void upgradeVariadic(NodeBuilder &b) {
  SmallVector<Value> values = b.allInputs();
  if (!b.stopped())
    b.out(0, b.make<Op>(values));
}

/// Summed in f32 where the type is narrower: only the result is rounded.
Value sum(NodeBuilder &b, ArrayRef<Value> values) {
  Value total;
  for (Value next : values) {
    Value wide = isa<FloatType>(b.elementType(next)) ? castTo(b, next, wideType(b, next)) : next;
    total = total ? binary<AddOp>(b, total, wide) : wide;
  }
  return total;
}

void expectSameTypes(NodeBuilder &b, ArrayRef<Value> values) {
  for (auto [i, value] : llvm::enumerate(values))
    if (b.elementType(value) != b.elementType(values.front()))
      return b.error("input " + Twine(i) + " has element type " + typeName(b.elementType(value)) +
                     ", expected " + typeName(b.elementType(values.front())) + " as input 0");
}

template <bool isMean> void upgradeSum(NodeBuilder &b) {
  SmallVector<Value> values = b.allInputs();
  if (b.stopped())
    return;
  expectSameTypes(b, values);
  Value total = sum(b, values);
  if (isMean)
    total = withScalar<DivOp>(b, total, values.size());
  if (!b.stopped())
    b.out(0, castTo(b, total, b.elementType(values.front())));
}

void upgradeMod(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  bool fmod = b.flagAttr("fmod", false);
  if (!b.stopped() && !fmod && b.opset() < 28 && isa<FloatType>(b.elementType(x)))
    b.error("attribute 'fmod' is 0, expected 1 for float operands below opset 28");
  if (!b.stopped())
    b.out(0, b.make<ModOp>(x, y, fmod));
}

void upgradeBitShift(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  StringRef direction = b.stringAttr("direction", "");
  if (!b.stopped() && direction != "LEFT" && direction != "RIGHT")
    b.error("attribute 'direction' is '" + direction + "', expected 'LEFT' or 'RIGHT'");
  if (!b.stopped())
    b.out(0, b.make<BitShiftOp>(x, y, direction == "LEFT"));
}

void upgradeIsInf(NodeBuilder &b) {
  Value x = b.in(0);
  bool negative = b.flagAttr("detect_negative", true),
       positive = b.flagAttr("detect_positive", true);
  expectFloat(b, x, "X");
  if (b.stopped())
    return;
  if (!negative && !positive) // no number's magnitude is below zero
    return b.out(0, withScalar<LessOp>(b, unary<AbsOp>(b, x), 0));
  Value side = negative && positive ? unary<AbsOp>(b, x) : x;
  double infinity = std::numeric_limits<double>::infinity();
  b.out(0, withScalar<EqualOp>(b, side, positive ? infinity : -infinity));
}

void upgradeWhere(NodeBuilder &b) {
  Value condition = b.in(0), x = b.in(1), y = b.in(2);
  if (!b.stopped())
    b.out(0, b.make<WhereOp>(condition, x, y));
}

/// Bounds are attributes below opset 11 and operands since.
void upgradeClip(NodeBuilder &b) {
  Value x = b.in(0), low, high;
  if (b.opset() >= 11) {
    low = b.optional(1), high = b.optional(2);
  } else {
    Type type = b.elementType(x);
    if (b.has("min"))
      low = b.makeScalar(type, b.floatAttr("min", 0));
    if (b.has("max"))
      high = b.makeScalar(type, b.floatAttr("max", 0));
  }
  if (!b.stopped())
    b.out(0, low || high ? b.make<ClipOp>(x, low, high) : x);
}

void upgradeCastTo(NodeBuilder &b, Type type) {
  Value x = b.in(0);
  // Both only concern 8-bit floats, which have no builtin type here.
  b.ignoreAttr("saturate");
  b.ignoreAttr("round_mode");
  if (x && type)
    b.out(0, b.makeTyped<CastOp>(type, x));
}

/// The element type that attribute 'to' names; null after a complaint.
Type targetType(NodeBuilder &b) {
  int64_t to = b.requiredInt("to");
  if (b.stopped())
    return {};
  if (to <= 0 || to > maxElementType) {
    b.error("attribute 'to' is " + Twine(to) + ", expected an element type from 1 to " +
            Twine(maxElementType));
    return {};
  }
  auto type = static_cast<ElementType>(to);
  if (!elementTypeFor(b.context(), type))
    b.unsupported("element type " + nameOf(type));
  return elementTypeFor(b.context(), type);
}

void upgradeCast(NodeBuilder &b) {
  if (Type type = targetType(b))
    upgradeCastTo(b, type);
}

void upgradeBitCast(NodeBuilder &b) {
  Value x = b.in(0);
  Type type = targetType(b);
  if (x && type)
    b.out(0, b.makeTyped<BitCastOp>(type, x));
}

void upgradeCastLike(NodeBuilder &b) {
  if (Value like = b.in(1))
    upgradeCastTo(b, b.elementType(like));
}

void upgradeGelu(NodeBuilder &b) {
  Value x = b.in(0);
  StringRef approximate = b.stringAttr("approximate", "none");
  if (!b.stopped())
    b.out(0, b.make<GeluOp>(x, b.ops().getStringAttr(approximate)));
}

/// Identity outside training, and in training with ratio 0; the mask is all true.
void upgradeDropout(NodeBuilder &b) {
  Value x = b.in(0);
  double ratio = b.floatAttr("ratio", 0.5f);
  b.ignoreAttr("seed");
  if (b.opset() >= 12 && b.optional(2) && b.constant(2, "training_mode") != 0) {
    if (Value given = b.optional(1))
      ratio = b.number(given).value_or(1);
    if (ratio != 0)
      b.unsupported("input 'training_mode' is true with a ratio other than 0");
  }
  if (b.stopped())
    return;
  b.out(0, x);
  if (!b.wants(1))
    return;
  auto one = RankedTensorType::get({1}, b.ops().getI1Type());
  Value mask = b.make<ConstantOfShapeOp>(shapeOf(b, x), DenseElementsAttr::get(one, true));
  b.out(1, b.opset() < 10 ? castTo(b, mask, b.elementType(x)) : mask);
}
} // namespace

void addElementwise(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
          {"Acos", 7, "float", "", upgradeUnary<AcosOp>},
          {"Acosh", 9, "float", "", upgradeUnary<AcoshOp>},
          {"Asin", 7, "float", "", upgradeUnary<AsinOp>},
          {"Asinh", 9, "float", "", upgradeUnary<AsinhOp>},
          {"Atan", 7, "float", "", upgradeUnary<AtanOp>},
          {"Atanh", 9, "float", "", upgradeUnary<AtanhOp>},
          {"BitCast", 26, "float, int, bool", "no types below 8 bits", upgradeBitCast},
          {"BitShift", 11, "int", "", upgradeBitShift},
          {"BitwiseAnd", 18, "int", "", upgradeBinary<BitwiseAndOp>},
          {"BitwiseNot", 18, "int", "", upgradeUnary<BitwiseNotOp>},
          {"BitwiseOr", 18, "int", "", upgradeBinary<BitwiseOrOp>},
          {"BitwiseXor", 18, "int", "", upgradeBinary<BitwiseXorOp>},
          {"Cosh", 9, "float", "", upgradeUnary<CoshOp>},
          {"IsInf", 10, "float", "becomes a comparison", upgradeIsInf},
          {"Sinh", 9, "float", "", upgradeUnary<SinhOp>},
          {"Tan", 7, "float", "", upgradeUnary<TanOp>},
          {"Abs", 7, "float, int", "", upgradeUnary<AbsOp>},
          {"Add", 7, "float, int", "", upgradeBinary<AddOp>},
          {"And", 7, "bool", "", upgradeBinary<AndOp>},
          {"Cast", 7, "float, int, bool", "no strings, complex numbers or types below 8 bits",
           upgradeCast},
          {"CastLike", 15, "float, int, bool", "becomes Cast", upgradeCastLike},
          {"Ceil", 7, "float", "", upgradeUnary<CeilOp>},
          {"Clip", 7, "float, int", "bounds are attributes below 11", upgradeClip},
          {"Cos", 7, "float", "", upgradeUnary<CosOp>},
          {"Div", 7, "float, int", "", upgradeBinary<DivOp>},
          {"Dropout", 7, "float", "not in training, unless the ratio is 0", upgradeDropout},
          {"Equal", 7, "float, int, bool", "", upgradeBinary<EqualOp>},
          {"Erf", 9, "float", "", upgradeUnary<ErfOp>},
          {"Exp", 7, "float", "", upgradeUnary<ExpOp>},
          {"Floor", 7, "float", "", upgradeUnary<FloorOp>},
          {"Gelu", 20, "float", "", upgradeGelu},
          {"Greater", 7, "float, int", "", upgradeBinary<GreaterOp>},
          {"GreaterOrEqual", 12, "float, int", "", upgradeBinary<GreaterOrEqualOp>},
          {"Identity", 7, "float, int, bool", "", upgradeIdentity},
          {"IsNaN", 9, "float", "", upgradeUnary<IsNaNOp>},
          {"Less", 7, "float, int", "", upgradeBinary<LessOp>},
          {"LessOrEqual", 12, "float, int", "", upgradeBinary<LessOrEqualOp>},
          {"Log", 7, "float", "", upgradeUnary<LogOp>},
          {"Max", 7, "float, int", "any number of operands", upgradeVariadic<MaxOp>},
          {"Mean", 7, "float", "any number of operands; becomes Add and Div", upgradeSum<true>},
          {"Min", 7, "float, int", "any number of operands", upgradeVariadic<MinOp>},
          {"Mod", 10, "float, int", "floats with fmod = 0 since 28", upgradeMod},
          {"Mul", 7, "float, int", "", upgradeBinary<MulOp>},
          {"Neg", 7, "float, int", "", upgradeUnary<NegOp>},
          {"Not", 7, "bool", "", upgradeUnary<NotOp>},
          {"Or", 7, "bool", "", upgradeBinary<OrOp>},
          {"Pow", 7, "float, int", "the exponent may have another type since 12",
           upgradeBinary<PowOp>},
          {"Reciprocal", 7, "float", "", upgradeUnary<ReciprocalOp>},
          {"Relu", 7, "float, int", "", upgradeUnary<ReluOp>},
          {"Round", 11, "float", "", upgradeUnary<RoundOp>},
          {"Sigmoid", 7, "float", "", upgradeUnary<SigmoidOp>},
          {"Sign", 9, "float, int", "", upgradeUnary<SignOp>},
          {"Sin", 7, "float", "", upgradeUnary<SinOp>},
          {"Sqrt", 7, "float", "", upgradeUnary<SqrtOp>},
          {"Sub", 7, "float, int", "", upgradeBinary<SubOp>},
          {"Sum", 7, "float", "any number of operands; becomes Add", upgradeSum<false>},
          {"Tanh", 7, "float", "", upgradeUnary<TanhOp>},
          {"Where", 9, "float, int, bool", "", upgradeWhere},
          {"Xor", 7, "bool", "", upgradeBinary<XorOp>},
      });
}

} // namespace rapt::onnx
