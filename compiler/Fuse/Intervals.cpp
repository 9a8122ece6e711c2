//===- Intervals.cpp - What the terms beside the scores lie in ---------------------------===//
//
// An interval is followed from constants down through what exporters build masks and biases of:
// moves and choices of elements keep it, arithmetic maps its ends, rounded to the element type as
// the graph rounds. An integer that does not follow from constants is anything that its type holds.
// One thing is taken for granted, because no analysis of weights could show it: the elements of a
// product of matrices are within 1e8, within 1e4 in f16. Whatever else is met, and an end that is
// not finite, has no interval: what needs one is then left as it is.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Intervals.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Content.h"
#include "llvm/ADT/DenseMap.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace rapt::fuse {

/// Elements of a product of matrices are taken to be within this (docs/semantics.md S2).
static constexpr double kProduct = 1e8;
static constexpr double kProductOfHalf = 1e4;

namespace {

/// What the elements of a tensor lie in; both ends are finite.
struct Interval {
  double least, greatest;
};

/// Intervals of the values behind additive masks; none when an end may be infinite or NaN, or when
/// nothing is known.
class Intervals {
public:
  std::optional<Interval> of(Value value, int depth = 0) {
    auto known = memo.find(value);
    if (known != memo.end())
      return known->second;
    std::optional<Interval> result = depth < kMaxDepth ? compute(value, depth + 1) : std::nullopt;
    memo[value] = result;
    return result;
  }

  /// [least, greatest] with its ends rounded to `type`.
  static std::optional<Interval> rounded(Type type, double least, double greatest) {
    for (double *end : {&least, &greatest}) {
      if (auto element = dyn_cast<FloatType>(type)) {
        APFloat number(*end);
        bool lost;
        number.convert(element.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
        number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
        *end = number.convertToDouble();
      }
      if (!std::isfinite(*end))
        return std::nullopt;
    }
    return Interval{least, greatest};
  }

  static std::optional<Interval> sum(Type type, Interval a, Interval b) {
    return rounded(type, a.least + b.least, a.greatest + b.greatest);
  }

  static std::optional<Interval> product(Type type, Interval a, Interval b) {
    auto [least, greatest] = std::minmax(
        {a.least * b.least, a.least * b.greatest, a.greatest * b.least, a.greatest * b.greatest});
    return rounded(type, least, greatest);
  }

private:
  /// Deeper than the masks of any exporter; a chain without end must not take the stack.
  static constexpr int kMaxDepth = 64;
  /// Tables of relative positions are smaller; a larger constant is not read.
  static constexpr int64_t kMaxElements = 1 << 17;

  std::optional<Interval> compute(Value value, int depth) {
    Type type = tensorType(value).getElementType();
    if (std::optional<double> number = scalarConstant(value))
      return rounded(type, *number, *number);
    if (type.isInteger(1))
      return Interval{0, 1};
    Operation *op = value.getDefiningOp();
    if (isa_and_nonnull<onnx::ConstantOp, kernel::WeightOp>(op) && isa<FloatType>(type))
      return ofData(value);
    std::optional<Interval> result = op ? ofOperation(op, type, depth) : std::nullopt;
    std::optional<Interval> all = ofType(type);
    bool wraps = all && result && (result->least < all->least || result->greatest > all->greatest);
    return !result || wraps ? all : result;
  }

  /// All that an integer type holds.
  static std::optional<Interval> ofType(Type type) {
    auto integer = dyn_cast<IntegerType>(type);
    if (!integer)
      return std::nullopt;
    return integer.isUnsigned() ? Interval{0, std::ldexp(1.0, integer.getWidth())}
                                : Interval{-std::ldexp(1.0, integer.getWidth() - 1),
                                           std::ldexp(1.0, integer.getWidth() - 1)};
  }

  /// From the least to the greatest element of a table of biases.
  static std::optional<Interval> ofData(Value value) {
    auto weight = value.getDefiningOp<kernel::WeightOp>();
    if (weight && weight.getSources().size() != 1)
      return std::nullopt;
    Attribute data =
        weight ? weight.getSources()[0] : value.getDefiningOp<onnx::ConstantOp>().getValue();
    auto attribute = dyn_cast<ElementsAttr>(data);
    onnx::Content content =
        attribute ? onnx::readContent(attribute, kMaxElements) : onnx::Content();
    const onnx::Element *all = content.uniform();
    ArrayRef<onnx::Element> elements = content.hasElements() ? ArrayRef(content.elements())
                                       : all                 ? ArrayRef(*all)
                                                             : ArrayRef<onnx::Element>();
    if (elements.empty())
      return std::nullopt;
    Interval result{HUGE_VAL, -HUGE_VAL};
    for (const onnx::Element &element : elements) {
      if (!std::isfinite(element.number))
        return std::nullopt;
      result.least = std::min(result.least, element.number);
      result.greatest = std::max(result.greatest, element.number);
    }
    return result;
  }

  std::optional<Interval> ofOperation(Operation *op, Type type, int depth) {
    if (auto where = dyn_cast<onnx::WhereOp>(op)) {
      std::optional<Interval> x = of(where.getX(), depth), y = of(where.getY(), depth);
      if (!x || !y)
        return std::nullopt;
      return Interval{std::min(x->least, y->least), std::max(x->greatest, y->greatest)};
    }
    if (isa<onnx::ReshapeOp, onnx::ExpandOp, onnx::TransposeOp, onnx::SliceOp, onnx::UnsqueezeOp,
            onnx::SqueezeOp, onnx::GatherOp, onnx::GatherElementsOp>(op))
      return of(op->getOperand(0), depth);
    if (isa<onnx::MatMulOp>(op)) {
      double most = type.isF16() ? kProductOfHalf : kProduct;
      return rounded(type, -most, most);
    }
    if (!isa<onnx::CastOp, onnx::NegOp, onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op))
      return std::nullopt;
    std::optional<Interval> a = of(op->getOperand(0), depth);
    if (!a)
      return std::nullopt;
    if (isa<onnx::CastOp>(op)) // to an integer it drops fractions
      return isa<IntegerType>(type) ? Interval{std::trunc(a->least), std::trunc(a->greatest)}
                                    : rounded(type, a->least, a->greatest);
    if (isa<onnx::NegOp>(op))
      return Interval{-a->greatest, -a->least};
    std::optional<Interval> b = of(op->getOperand(1), depth);
    if (!b)
      return std::nullopt;
    if (isa<onnx::AddOp>(op))
      return sum(type, *a, *b);
    if (isa<onnx::SubOp>(op))
      return sum(type, *a, {-b->greatest, -b->least});
    if (isa<onnx::DivOp>(op)) {
      if (!isa<FloatType>(type) || b->least != b->greatest || b->least == 0)
        return std::nullopt;
      return product(type, *a, {1 / b->least, 1 / b->least});
    }
    return product(type, *a, *b);
  }

  llvm::DenseMap<Value, std::optional<Interval>> memo;
};

} // namespace

/// What the sum of `terms` lies in, added up and scaled as the graph does it.
static std::optional<Interval> sumOf(ArrayRef<BiasTerm> terms) {
  Intervals intervals;
  std::optional<Interval> total = Interval{0, 0};
  double factor = terms.empty() ? 1 : terms.back().factor; // what `total` is to be scaled by yet
  auto scale = [&](Type type, double by) { return Intervals::product(type, *total, {by, by}); };
  // The match went up from the softmax: the last term is the one that the graph adds first.
  for (const BiasTerm &term : llvm::reverse(terms)) {
    Type type = tensorType(term.value).getElementType();
    std::optional<Interval> values = intervals.of(term.value);
    total = values ? scale(type, factor / term.factor) : std::nullopt;
    total = total ? Intervals::sum(type, *total, *values) : std::nullopt;
    if (!total)
      return std::nullopt;
    factor = term.factor;
  }
  return terms.empty() ? total : scale(tensorType(terms.front().value).getElementType(), factor);
}

std::optional<double> leastSum(ArrayRef<BiasTerm> terms) {
  std::optional<Interval> sum = sumOf(terms);
  return sum ? std::optional(sum->least) : std::nullopt;
}

bool sumIsWithin(ArrayRef<BiasTerm> terms, double bound) {
  std::optional<Interval> sum = sumOf(terms);
  return sum && sum->least >= -bound && sum->greatest <= bound;
}

} // namespace rapt::fuse
