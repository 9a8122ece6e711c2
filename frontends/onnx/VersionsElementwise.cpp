//===- VersionsElementwise.cpp - Elementwise operators ---------------------------------------===//
//
// Rows of the table for operators that work element by element. Operators of any number of operands
// become the onnx operation of that name or a chain of Add; Clip's bounds become operands; Dropout
// is its operand.
//
//===-------------------------------------------------------------------------------------===//

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

Value sum(NodeBuilder &b, ArrayRef<Value> values) {
  Value total = values.front();
  for (Value next : values.drop_front())
    if (total && next)
      total = b.make<AddOp>(total, next);
  return total;
}

void upgradeSum(NodeBuilder &b) {
  SmallVector<Value> values = b.allInputs();
  if (!b.stopped())
    b.out(0, sum(b, values));
}

void upgradeMean(NodeBuilder &b) {
  SmallVector<Value> values = b.allInputs();
  if (b.stopped())
    return;
  Value total = sum(b, values);
  if (Value count = b.makeScalar(b.elementType(values.front()), values.size()); total && count)
    b.out(0, b.make<DivOp>(total, count));
}

void upgradeMod(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  bool fmod = b.intAttr("fmod", 0) != 0;
  if (!b.stopped() && !fmod && isa<FloatType>(b.elementType(x)))
    b.error("attribute 'fmod' is 0, expected 1 for float operands");
  if (!b.stopped())
    b.out(0, b.make<ModOp>(x, y, fmod));
}

void upgradeWhere(NodeBuilder &b) {
  Value condition = b.in(0), x = b.in(1), y = b.in(2);
  if (!b.stopped())
    b.out(0, b.make<WhereOp>(condition, x, y));
}

/// Bounds are attributes below opset 11 and operands since.
void upgradeClip(NodeBuilder &b) {
  Value x = b.in(0), low = b.optional(1), high = b.optional(2);
  if (b.opset() < 11) {
    low = high = {};
    Type type = b.elementType(x);
    if (b.has("min"))
      low = b.makeScalar(type, b.floatAttr("min", 0));
    if (b.has("max"))
      high = b.makeScalar(type, b.floatAttr("max", 0));
  }
  if (!b.stopped())
    b.out(0, low || high ? b.make<ClipOp>(x, low, high) : x);
}

void castTo(NodeBuilder &b, Type type) {
  Value x = b.in(0);
  // Both only concern 8-bit floats, which have no builtin type here.
  b.ignoreAttr("saturate");
  b.ignoreAttr("round_mode");
  if (x && type)
    b.out(0, b.makeTyped<CastOp>(type, x));
}

void upgradeCast(NodeBuilder &b) {
  int64_t to = b.requiredInt("to");
  if (b.stopped())
    return;
  if (to <= 0 || to > maxElementType)
    return b.error("attribute 'to' is " + Twine(to) + ", expected an element type from 1 to " +
                   Twine(maxElementType));
  auto type = static_cast<ElementType>(to);
  if (!elementTypeFor(b.context(), type))
    return b.unsupported("element type " + nameOf(type));
  castTo(b, elementTypeFor(b.context(), type));
}

void upgradeCastLike(NodeBuilder &b) {
  if (Value like = b.in(1))
    castTo(b, b.elementType(like));
}

void upgradeGelu(NodeBuilder &b) {
  Value x = b.in(0);
  StringRef approximate = b.stringAttr("approximate", "none");
  if (!b.stopped())
    b.out(0, b.make<GeluOp>(x, b.ops().getStringAttr(approximate)));
}

/// Identity outside training; the mask is all true, and nobody asks for it.
void upgradeDropout(NodeBuilder &b) {
  Value x = b.in(0);
  for (StringRef name : {"ratio", "seed"})
    b.ignoreAttr(name);
  b.cannotGive(1, "mask");
  if (b.optional(2) && b.constant(2, "training_mode") != 0)
    b.unsupported("input 'training_mode' is true");
  b.out(0, x);
}
} // namespace

void addElementwise(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
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
          {"Dropout", 7, "float", "inference only; output `mask` is not given", upgradeDropout},
          {"Equal", 7, "float, int, bool", "", upgradeBinary<EqualOp>},
          {"Erf", 9, "float", "", upgradeUnary<ErfOp>},
          {"Exp", 7, "float", "", upgradeUnary<ExpOp>},
          {"Floor", 7, "float", "", upgradeUnary<FloorOp>},
          {"Gelu", 20, "float", "", upgradeGelu},
          {"Greater", 7, "float, int", "", upgradeBinary<GreaterOp>},
          {"GreaterOrEqual", 12, "float, int", "", upgradeBinary<GreaterOrEqualOp>},
          {"Identity", 7, "float, int, bool", "", upgradeUnary<IdentityOp>},
          {"IsNaN", 9, "float", "", upgradeUnary<IsNaNOp>},
          {"Less", 7, "float, int", "", upgradeBinary<LessOp>},
          {"LessOrEqual", 12, "float, int", "", upgradeBinary<LessOrEqualOp>},
          {"Log", 7, "float", "", upgradeUnary<LogOp>},
          {"Max", 7, "float, int", "any number of operands", upgradeVariadic<MaxOp>},
          {"Mean", 7, "float", "any number of operands; becomes Add and Div", upgradeMean},
          {"Min", 7, "float, int", "any number of operands", upgradeVariadic<MinOp>},
          {"Mod", 10, "float, int", "", upgradeMod},
          {"Mul", 7, "float, int", "", upgradeBinary<MulOp>},
          {"Neg", 7, "float, int", "", upgradeUnary<NegOp>},
          {"Not", 7, "bool", "", upgradeUnary<NotOp>},
          {"Or", 7, "bool", "", upgradeBinary<OrOp>},
          {"Pow", 7, "float", "the exponent may have another type since 12, int too",
           upgradeBinary<PowOp>},
          {"Reciprocal", 7, "float", "", upgradeUnary<ReciprocalOp>},
          {"Relu", 7, "float, int", "", upgradeUnary<ReluOp>},
          {"Round", 11, "float", "", upgradeUnary<RoundOp>},
          {"Sigmoid", 7, "float", "", upgradeUnary<SigmoidOp>},
          {"Sign", 9, "float, int", "", upgradeUnary<SignOp>},
          {"Sin", 7, "float", "", upgradeUnary<SinOp>},
          {"Sqrt", 7, "float", "", upgradeUnary<SqrtOp>},
          {"Sub", 7, "float, int", "", upgradeBinary<SubOp>},
          {"Sum", 7, "float", "any number of operands; becomes Add", upgradeSum},
          {"Tanh", 7, "float", "", upgradeUnary<TanhOp>},
          {"Where", 9, "float, int, bool", "", upgradeWhere},
          {"Xor", 7, "bool", "", upgradeBinary<XorOp>},
      });
}

} // namespace rapt::onnx
