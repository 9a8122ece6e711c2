//===- ChoicePatterns.cpp - Masks made by arithmetic become choices by a condition -----------===//
//
// In:  onnx in which zeros and the lowest number are computed from booleans, compared, sliced and
//      scattered, as masks of attention are assembled.
// Out: Where(condition, lowest, 0) and logic on conditions.
//
// A zero may change its sign. Integers that are subtracted from one and multiplied by the lowest
// number are taken to be 0 and 1 (docs/semantics.md).
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;

namespace rapt {

namespace {
bool isBool(Value value) { return getElementTypeOrSelf(value).isInteger(1); }

/// The number that every element of `value` is, if it is so low that only masks hold it.
std::optional<double> lowestOf(const ShapeInference &shapes, Value value) {
  std::optional<double> number = numberOf(shapes, value);
  return number && onnx::isLowest(*number, getElementTypeOrSelf(value)) ? number : std::nullopt;
}

/// The boolean that a cast makes a number of; null if `value` is no such cast.
Value castBool(Value value) {
  auto cast = value.getDefiningOp<onnx::CastOp>();
  return cast && isBool(cast.getInput()) ? cast.getInput() : Value();
}

Value numberLike(OpBuilder &builder, Location loc, double number, Value like) {
  return makeScalar(builder, loc, Element::ofFloat(number), getElementTypeOrSelf(like));
}

Value negated(OpBuilder &builder, Location loc, Value condition) {
  if (auto isNot = condition.getDefiningOp<onnx::NotOp>())
    return isNot.getInput();
  return make<onnx::NotOp>(builder, loc, condition);
}

/// Where(condition, x, y) of two numbers, perhaps expanded.
struct Choice {
  Value condition;
  double x, y;

  static std::optional<Choice> of(const ShapeInference &shapes, Value value) {
    auto where = onnx::withoutExpand(value).getDefiningOp<onnx::WhereOp>();
    std::optional<double> x = where ? numberOf(shapes, where.getX()) : std::nullopt;
    std::optional<double> y = where ? numberOf(shapes, where.getY()) : std::nullopt;
    return x && y ? std::optional(Choice{where.getCondition(), *x, *y}) : std::nullopt;
  }

  /// The condition under which the number is the one for which `holds`, as a boolean tensor.
  Value when(OpBuilder &builder, Location loc, bool first, bool second) const {
    if (first == second)
      return makeScalar(builder, loc, Element::ofInt(first), builder.getI1Type());
    return first ? condition : negated(builder, loc, condition);
  }
};

/// lowest * Cast(c)              =>  Where(c, lowest, 0)
/// Trilu(lowest) * Cast(c)       =>  Where(And(Trilu(true), c), lowest, 0)
/// lowest * (1 - Cast(m))        =>  Where(Cast<bool>(m), 0, lowest)
struct ChoiceOfProduct : ShapePattern<onnx::MulOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::MulOp op, OpBuilder &builder) const override {
    for (auto [low, factor] : {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())})
      if (Value choice = choose(low, factor, op.getLoc(), builder))
        return expandLike(builder, shapes, choice, op.getOutput());
    return {};
  }

private:
  Value choose(Value low, Value factor, Location loc, OpBuilder &builder) const {
    auto triangle = low.getDefiningOp<onnx::TriluOp>();
    std::optional<double> lowest = lowestOf(shapes, triangle ? triangle.getInput() : low);
    if (!lowest)
      return {};
    Value number = numberLike(builder, loc, *lowest, low), zero = numberLike(builder, loc, 0, low);
    Value condition = castBool(factor);
    if (condition && triangle) {
      Value yes = makeScalar(builder, loc, Element::ofInt(1), builder.getI1Type());
      Value all = expandTo(builder, shapes, loc, yes, shapes.shapeOf(triangle.getInput()));
      Value inside = make<onnx::TriluOp>(builder, loc, all, triangle.getUpper(), triangle.getK());
      condition = make<onnx::AndOp>(builder, loc, inside, condition);
    }
    if (condition)
      return make<onnx::WhereOp>(builder, loc, condition, number, zero);
    auto difference = factor.getDefiningOp<onnx::SubOp>();
    auto cast = difference ? difference.getB().getDefiningOp<onnx::CastOp>() : onnx::CastOp();
    if (triangle || !cast || numberOf(shapes, difference.getA()) != 1 ||
        !isa<IntegerType>(getElementTypeOrSelf(cast.getInput())))
      return {};
    Value seen = cast.getInput();
    if (!isBool(seen) && getElementTypeOrSelf(low).isF16())
      return {}; // products with other integers than 0 and 1 are numbers in f16 as well
    if (!isBool(seen))
      seen = onnx::CastOp::create(builder, loc, UnrankedTensorType::get(builder.getI1Type()), seen)
                 .getOutput();
    return make<onnx::WhereOp>(builder, loc, seen, zero, number);
  }
};

/// x compared with 0 where x is zero or not:  Cast<bool>(x) and Equal(x, 0).
struct ZeroTest {
  Value operand;
  bool whenTrue; ///< the operand is zero where the test is true

  static std::optional<ZeroTest> of(const ShapeInference &shapes, Value value) {
    if (auto cast = value.getDefiningOp<onnx::CastOp>())
      return isBool(value) && isa<FloatType>(getElementTypeOrSelf(cast.getInput()))
                 ? std::optional(ZeroTest{cast.getInput(), false})
                 : std::nullopt;
    auto equal = value.getDefiningOp<onnx::EqualOp>();
    for (int zero : {0, 1})
      if (equal && numberOf(shapes, equal->getOperand(zero)) == 0)
        return ZeroTest{equal->getOperand(1 - zero), true};
    return std::nullopt;
  }
};

/// Where(Cast<bool>(x), y, x)  =>  Where(Cast<bool>(x), y, 0), and Where(x == 0, x, y) likewise
struct ZeroOfItself : ShapePattern<onnx::WhereOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::WhereOp op, OpBuilder &builder) const override {
    std::optional<ZeroTest> test = ZeroTest::of(shapes, op.getCondition());
    Value same = test && test->whenTrue ? op.getX() : op.getY();
    if (!test || same != test->operand || shapes.content(same).uniform())
      return {};
    Value zero = numberLike(builder, op.getLoc(), 0, same);
    Value x = test->whenTrue ? zero : op.getX(), y = test->whenTrue ? op.getY() : zero;
    Value choice = make<onnx::WhereOp>(builder, op.getLoc(), op.getCondition(), x, y);
    return expandLike(builder, shapes, choice, op.getOutput());
  }
};

/// Whether the elements are provably far from the lowest number: integers and booleans are, as
/// floats.
bool isSmall(const ShapeInference &shapes, Value value) {
  if (std::optional<double> number = numberOf(shapes, value))
    return std::abs(*number) < 1e30;
  auto cast = value.getDefiningOp<onnx::CastOp>();
  return cast && isa<IntegerType>(getElementTypeOrSelf(cast.getInput()));
}

/// Where(c, lowest, 0) + x == 0  =>  And(Not(c), x == 0), where x is small
struct ZeroOfSum : ShapePattern<onnx::EqualOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::EqualOp op, OpBuilder &builder) const override {
    std::optional<ZeroTest> test = ZeroTest::of(shapes, op.getOutput());
    auto sum = test ? test->operand.getDefiningOp<onnx::AddOp>() : onnx::AddOp();
    Type type = sum ? getElementTypeOrSelf(sum.getOutput()) : Type();
    if (!sum || !(type.isF32() || type.isBF16()))
      return {};
    for (auto [mask, x] : {std::pair(sum.getA(), sum.getB()), std::pair(sum.getB(), sum.getA())}) {
      std::optional<Choice> choice = Choice::of(shapes, mask);
      if (!choice || !onnx::isLowest(choice->x, type) || choice->y != 0 || !isSmall(shapes, x))
        continue;
      Value zero = numberLike(builder, op.getLoc(), 0, x);
      Value isZero = make<onnx::EqualOp>(builder, op.getLoc(), x, zero);
      if (std::optional<double> number = numberOf(shapes, x))
        isZero =
            makeScalar(builder, op.getLoc(), Element::ofInt(*number == 0), builder.getI1Type());
      Value result = make<onnx::AndOp>(builder, op.getLoc(),
                                       negated(builder, op.getLoc(), choice->condition), isZero);
      return expandLike(builder, shapes, result, op.getOutput());
    }
    return {};
  }
};

/// Where(c, 1, 2) < 2  =>  c, for all comparisons with a number
template <typename Op> struct ComparedChoice : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    for (bool swapped : {false, true}) {
      Value chosen = op->getOperand(swapped), other = op->getOperand(!swapped);
      std::optional<Choice> choice = Choice::of(this->shapes, chosen);
      std::optional<double> number = numberOf(this->shapes, other);
      if (!choice || !number)
        continue;
      auto holds = [&](double x) { return swapped ? compare(*number, x) : compare(x, *number); };
      Value result = choice->when(builder, op.getLoc(), holds(choice->x), holds(choice->y));
      return expandLike(builder, this->shapes, result, op.getOutput());
    }
    return {};
  }

private:
  static bool compare(double a, double b) {
    if constexpr (std::is_same_v<Op, onnx::LessOp>)
      return a < b;
    else if constexpr (std::is_same_v<Op, onnx::LessOrEqualOp>)
      return a <= b;
    else if constexpr (std::is_same_v<Op, onnx::GreaterOp>)
      return a > b;
    else if constexpr (std::is_same_v<Op, onnx::GreaterOrEqualOp>)
      return a >= b;
    else
      return a == b;
  }
};

/// Cast<bool>(Where(c, 1, 0))  =>  c
struct BoolOfChoice : ShapePattern<onnx::CastOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::CastOp op, OpBuilder &builder) const override {
    std::optional<Choice> choice = Choice::of(shapes, op.getInput());
    if (!choice || !isBool(op.getOutput()))
      return {};
    Value result = choice->when(builder, op.getLoc(), choice->x != 0, choice->y != 0);
    return expandLike(builder, shapes, result, op.getOutput());
  }
};

/// Where(c, x, false)  =>  And(c, x), Where(c, true, y)  =>  Or(c, y), and so on, of booleans
struct ChoiceOfBools : ShapePattern<onnx::WhereOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::WhereOp op, OpBuilder &builder) const override {
    if (!isBool(op.getOutput()))
      return {};
    Location loc = op.getLoc();
    std::optional<bool> x = truthOf(op.getX()), y = truthOf(op.getY());
    Value result, condition = op.getCondition();
    if (x && y)
      result = Choice{condition, 1, 0}.when(builder, loc, *x, *y);
    else if (x)
      result = *x ? make<onnx::OrOp>(builder, loc, condition, op.getY())
                  : make<onnx::AndOp>(builder, loc, negated(builder, loc, condition), op.getY());
    else if (y)
      result = *y ? make<onnx::OrOp>(builder, loc, negated(builder, loc, condition), op.getX())
                  : make<onnx::AndOp>(builder, loc, condition, op.getX());
    return result ? expandLike(builder, shapes, result, op.getOutput()) : Value();
  }

private:
  /// What every element is.
  std::optional<bool> truthOf(Value value) const {
    const Element *element = shapes.content(value).uniform();
    bool known = element && element->kind == Element::Int && element->isConstant();
    return known ? std::optional(!element->expr.is(0)) : std::nullopt;
  }
};

/// Where(a, x, Where(c, x, y))  =>  Where(Or(a, c), x, y), where x and y are one number each
struct NestedChoice : ShapePattern<onnx::WhereOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::WhereOp op, OpBuilder &builder) const override {
    std::optional<double> x = numberOf(shapes, op.getX());
    std::optional<Choice> inner = x ? Choice::of(shapes, op.getY()) : std::nullopt;
    if (!inner || inner->x == inner->y || (inner->x != *x && inner->y != *x))
      return {};
    Location loc = op.getLoc();
    bool first = inner->x == *x;
    Value same = first ? inner->condition : negated(builder, loc, inner->condition);
    Value either = make<onnx::OrOp>(builder, loc, op.getCondition(), same);
    Value choice =
        make<onnx::WhereOp>(builder, loc, either, numberLike(builder, loc, *x, op.getX()),
                            numberLike(builder, loc, first ? inner->y : inner->x, op.getX()));
    return expandLike(builder, shapes, choice, op.getOutput());
  }
};

/// Or(And(Not(x), y), x)  =>  Or(y, x)
struct AbsorbedNot : ShapePattern<onnx::OrOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::OrOp op, OpBuilder &builder) const override {
    for (auto [both, x] : {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
      auto conjunction = both.getDefiningOp<onnx::AndOp>();
      for (int side : {0, 1}) {
        auto isNot = conjunction ? conjunction->getOperand(side).getDefiningOp<onnx::NotOp>()
                                 : onnx::NotOp();
        if (isNot && isNot.getInput() == x)
          return expandLike(
              builder, shapes,
              make<onnx::OrOp>(builder, op.getLoc(), conjunction->getOperand(1 - side), x),
              op.getOutput());
      }
    }
    return {};
  }
};

/// Slice(Where(c, x, y))  =>  Where(Slice(c), Slice(x), Slice(y)), where x or y is one number, and
/// Slice(And(x, y))  =>  And(Slice(x), Slice(y)), the same for Or, Not and Expand of these. Only
/// slices may read what is taken apart: each step makes a copy of it.
struct SliceBeforeChoice : ShapePattern<onnx::SliceOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::SliceOp op, OpBuilder &builder) const override {
    Operation *data = op.getData().getDefiningOp();
    if (isa_and_nonnull<onnx::ExpandOp>(data)) {
      Value narrow = data->getOperand(0);
      if (!Choice::of(shapes, narrow) && !isBool(narrow))
        return {};
      Value slice = sliced(narrow, op, builder);
      return slice ? expandLike(builder, shapes, slice, op.getOutput()) : Value();
    }
    if (auto where = dyn_cast_or_null<onnx::WhereOp>(data)) {
      bool chosen = numberOf(shapes, where.getX()) || numberOf(shapes, where.getY());
      bool cheap = numberOf(shapes, where.getX()) && numberOf(shapes, where.getY());
      if (!chosen || !(cheap || data->hasOneUse()))
        return {};
    } else if (!isa_and_nonnull<onnx::AndOp, onnx::OrOp, onnx::NotOp>(data) ||
               !onlyReadBy<onnx::SliceOp>(data)) {
      return {};
    }
    SmallVector<Value> operands;
    for (Value operand : data->getOperands()) {
      operands.push_back(sliced(operand, op, builder));
      if (!operands.back())
        return {};
    }
    Value result;
    if (isa<onnx::WhereOp>(data))
      result = make<onnx::WhereOp>(builder, op.getLoc(), operands[0], operands[1], operands[2]);
    else if (isa<onnx::AndOp>(data))
      result = make<onnx::AndOp>(builder, op.getLoc(), operands[0], operands[1]);
    else if (isa<onnx::OrOp>(data))
      result = make<onnx::OrOp>(builder, op.getLoc(), operands[0], operands[1]);
    else
      result = make<onnx::NotOp>(builder, op.getLoc(), operands[0]);
    return expandLike(builder, shapes, result, op.getOutput());
  }

private:
  /// What is broadcast to the slice's operand, as it is broadcast to the slice; null where the
  /// slice has other dims than one element of what is broadcast.
  Value sliced(Value value, onnx::SliceOp op, OpBuilder &builder) const {
    ArrayRef<SymbolicExpr> own = shapes.shape(value), all = shapes.shape(op.getData());
    size_t missing = all.size() - own.size();
    SmallVector<int64_t> axes, steps;
    SmallVector<Element> starts, ends;
    Content from = shapes.listed(op.getStarts()), to = shapes.listed(op.getEnds());
    if (from.elements().size() != op.getAxes().size() ||
        to.elements().size() != op.getAxes().size())
      return {};
    for (auto [i, axis] : llvm::enumerate(op.getAxes())) {
      if (static_cast<size_t>(axis) < missing || (own[axis - missing].is(1) && !all[axis].is(1)))
        continue;
      axes.push_back(axis - static_cast<int64_t>(missing));
      steps.push_back(op.getSteps()[i]);
      starts.push_back(from.elements()[i]);
      ends.push_back(to.elements()[i]);
    }
    if (axes.empty())
      return value;
    auto lists = [&](Value operand, ArrayRef<Element> elements) {
      return shapes.listed(operand).elements() == elements;
    };
    auto earlier = findEarlier<onnx::SliceOp>(value, op, [&](onnx::SliceOp other) {
      return other.getAxes() == ArrayRef(axes) && other.getSteps() == ArrayRef(steps) &&
             lists(other.getStarts(), starts) && lists(other.getEnds(), ends);
    });
    if (earlier)
      return earlier.getOutput();
    auto type = RankedTensorType::get({static_cast<int64_t>(axes.size())}, builder.getI64Type());
    Value first = makeElements(builder, op.getLoc(), starts, type);
    Value last = makeElements(builder, op.getLoc(), ends, type);
    if (!first || !last)
      return {};
    return make<onnx::SliceOp>(builder, op.getLoc(), value, first, last, axes, steps);
  }
};

/// Concat(x, Where(c, x, y))  =>  Where(Concat(true, c), x, y), where x and y are one number each
struct ConcatOfChoice : ShapePattern<onnx::ConcatOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ConcatOp op, OpBuilder &builder) const override {
    std::optional<Choice> choice;
    for (Value operand : op.getInputs())
      if (!choice)
        choice = Choice::of(shapes, operand);
    if (!choice || choice->x == choice->y)
      return {};
    Location loc = op.getLoc();
    SmallVector<Value> conditions;
    for (Value operand : op.getInputs()) {
      std::optional<double> number = numberOf(shapes, operand);
      std::optional<Choice> same = Choice::of(shapes, operand);
      Value condition;
      if (number && (*number == choice->x || *number == choice->y))
        condition =
            makeScalar(builder, loc, Element::ofInt(*number == choice->x), builder.getI1Type());
      else if (same && same->x == choice->x && same->y == choice->y)
        condition = same->condition;
      else
        return {};
      conditions.push_back(expandLike(builder, shapes, condition, operand));
    }
    Value first = op.getInputs().front();
    return make<onnx::WhereOp>(
        builder, loc, make<onnx::ConcatOp>(builder, loc, conditions, op.getAxis()),
        numberLike(builder, loc, choice->x, first), numberLike(builder, loc, choice->y, first));
  }
};

/// ScatterND to every element at its own place  =>  the updates
struct WholeScatter : ShapePattern<onnx::ScatterNDOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ScatterNDOp op, OpBuilder &) const override {
    ArrayRef<SymbolicExpr> shape = shapes.shape(op.getData());
    auto places = op.getIndices().getDefiningOp<onnx::ConcatOp>();
    if (op.getReduction() != "none" || !places || places.getInputs().size() != shape.size() ||
        static_cast<size_t>(places.getAxis()) != shape.size() ||
        !sameShape(shape, shapes.shape(op.getUpdates())))
      return {};
    for (auto [axis, place] : llvm::enumerate(places.getInputs())) {
      Content content = shapes.affine(place);
      if (!content.isKnown() || content.base().kind != Element::Int || !content.base().expr.is(0) ||
          content.strides().size() != shape.size() + 1 || !shapes.shape(place).back().is(1))
        return {};
      for (auto [dim, stride] : llvm::enumerate(content.strides().drop_back()))
        if (!shape[dim].is(1) && !stride.is(dim == axis))
          return {};
    }
    return op.getUpdates();
  }
};
} // namespace

void addChoicePatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns
      .add<AbsorbedNot, BoolOfChoice, ChoiceOfBools, ChoiceOfProduct, ComparedChoice<onnx::EqualOp>,
           ComparedChoice<onnx::GreaterOp>, ComparedChoice<onnx::GreaterOrEqualOp>,
           ComparedChoice<onnx::LessOp>, ComparedChoice<onnx::LessOrEqualOp>, ConcatOfChoice,
           NestedChoice, SliceBeforeChoice, WholeScatter, ZeroOfItself, ZeroOfSum>(
          patterns.getContext(), shapes);
}

} // namespace rapt
