//===- ArithmeticPatterns.cpp - Identities that are exact, and products in one form ----------===//
//
// In:  onnx arithmetic. Out: neutral operands gone, Where decided, squares and Gemm as products.
//      Every rewrite gives the same bits, except that x * x is nearer to the square than Pow is.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include <cmath>

using namespace mlir;

namespace rapt {

namespace {
bool isInt(const Element *element, int64_t value) {
  return element && element->kind == Element::Int && element->expr.is(value);
}
bool isFloat(const Element *element, double value) {
  return element && element->kind == Element::Float && element->number == value;
}
bool isOne(const Element *element) { return isInt(element, 1) || isFloat(element, 1); }

/// Which operand `op` returns unchanged because of what the other one is everywhere; null if none.
///
/// x + 0.0 is not among them: it makes 0.0 of -0.0.
Value unchangedOperand(const ShapeInference &shapes, Operation *op) {
  Value a = op->getOperand(0), b = op->getOperand(1);
  const Element *x = shapes.content(a).uniform(), *y = shapes.content(b).uniform();
  if (isa<onnx::AndOp>(op))
    return isInt(y, 1) ? a : isInt(x, 1) ? b : Value();
  if (isa<onnx::OrOp>(op))
    return isInt(y, 0) ? a : isInt(x, 0) ? b : Value();
  if (isa<onnx::AddOp>(op))
    return isInt(y, 0) ? a : isInt(x, 0) ? b : Value();
  if (isa<onnx::SubOp>(op))
    return isInt(y, 0) ? a : Value();
  if (isa<onnx::MulOp>(op))
    return isOne(y) ? a : isOne(x) ? b : Value();
  if (isa<onnx::DivOp, onnx::PowOp>(op))
    return isOne(y) ? a : Value();
  return {};
}

/// x * 1, x and true, ...  =>  x, expanded where the other operand has more dims
template <typename Op> struct DropNeutral : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    Value kept = unchangedOperand(this->shapes, op);
    if (!kept)
      return {};
    return expandLike(builder, this->shapes, kept, op.getOutput());
  }
};

/// Where(true, x, y)  =>  x, and Where(false, x, y)  =>  y
struct DecideWhere : ShapePattern<onnx::WhereOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::WhereOp op, OpBuilder &builder) const override {
    const Element *condition = shapes.content(op.getCondition()).uniform();
    if (!isInt(condition, 0) && !isInt(condition, 1))
      return {};
    Value chosen = isInt(condition, 1) ? op.getX() : op.getY();
    return expandLike(builder, shapes, chosen, op.getOutput());
  }
};

/// A reduction over no dims  =>  what it does to one element
template <typename Op> struct DropEmptyReduce : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    if (!op.getAxes().empty())
      return {};
    Value x = op.getData();
    if constexpr (std::is_same_v<Op, onnx::ReduceL1Op> || std::is_same_v<Op, onnx::ReduceL2Op>)
      x = make<onnx::AbsOp>(builder, op.getLoc(), x);
    else if constexpr (std::is_same_v<Op, onnx::ReduceSumSquareOp>)
      x = make<onnx::MulOp>(builder, op.getLoc(), x, x);
    return x;
  }
};

/// Pow(x, 2)  =>  Mul(x, x)
struct SquareToMul : ShapePattern<onnx::PowOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::PowOp op, OpBuilder &builder) const override {
    const Element *exponent = shapes.content(op.getB()).uniform();
    if (!isInt(exponent, 2) && !isFloat(exponent, 2))
      return {};
    Value product = make<onnx::MulOp>(builder, op.getLoc(), op.getA(), op.getA());
    return expandLike(builder, shapes, product, op.getOutput());
  }
};

/// A number that integers can be multiplied with as they are.
bool isInteger64(double factor) {
  return std::trunc(factor) == factor && factor >= -0x1p63 && factor < 0x1p63; // no NaN
}

/// Gemm(a, b, c)  =>  alpha * MatMul(op(a), op(b)) + beta * c
///
/// Integers are scaled as f64, and the sum is truncated, where alpha or beta is no integer.
/// Source: ONNX's reference evaluator.
struct GemmToMatMul : ShapePattern<onnx::GemmOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::GemmOp op, OpBuilder &builder) const override {
    Location loc = op.getLoc();
    Type type = cast<RankedTensorType>(op.getA().getType()).getElementType(), wide = type;
    double alpha = op.getAlpha().convertToFloat(), beta = op.getBeta().convertToFloat();
    bool hasBias = op.getC() && beta != 0;
    if (isa<IntegerType>(type) && !(isInteger64(alpha) && (!hasBias || isInteger64(beta))))
      wide = builder.getF64Type();
    auto converted = [&](Value value, Type to) -> Value {
      if (wide == type)
        return value;
      return onnx::CastOp::create(builder, loc, UnrankedTensorType::get(to), value).getOutput();
    };
    auto scaled = [&](Value value, double factor) {
      if (factor == 1)
        return value;
      Element element = isa<FloatType>(wide) ? Element::ofFloat(onnx::roundTo(wide, factor))
                                             : Element::ofInt(static_cast<int64_t>(factor));
      return make<onnx::MulOp>(builder, loc, value, makeScalar(builder, loc, element, wide));
    };
    auto operand = [&](Value value, bool transposed) {
      return transposed ? transposeBy(builder, loc, value, {1, 0}) : value;
    };
    Value product = make<onnx::MatMulOp>(builder, loc, operand(op.getA(), op.getTransA()),
                                         operand(op.getB(), op.getTransB()));
    Value result = scaled(converted(product, wide), alpha);
    if (hasBias)
      result = make<onnx::AddOp>(builder, loc, result, scaled(converted(op.getC(), wide), beta));
    return converted(result, type);
  }
};
} // namespace

void addArithmeticPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<DropNeutral<onnx::AndOp>, DropNeutral<onnx::OrOp>, DropNeutral<onnx::AddOp>,
               DropNeutral<onnx::SubOp>, DropNeutral<onnx::MulOp>, DropNeutral<onnx::DivOp>,
               DropNeutral<onnx::PowOp>, DecideWhere, SquareToMul, GemmToMatMul,
               DropEmptyReduce<onnx::ReduceSumOp>, DropEmptyReduce<onnx::ReduceMeanOp>,
               DropEmptyReduce<onnx::ReduceMaxOp>, DropEmptyReduce<onnx::ReduceMinOp>,
               DropEmptyReduce<onnx::ReduceProdOp>, DropEmptyReduce<onnx::ReduceL1Op>,
               DropEmptyReduce<onnx::ReduceL2Op>, DropEmptyReduce<onnx::ReduceSumSquareOp>>(
      patterns.getContext(), shapes);
}

} // namespace rapt
