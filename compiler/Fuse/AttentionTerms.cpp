//===- AttentionTerms.cpp - Biases and masks of an attention site ----------------------===//

#include "compiler/Fuse/AttentionTerms.h"

#include "dialects/Kernel/Kernel.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

namespace {

using onnx::SymbolicExpr;

/// Constants with more elements than this are not looked at: 2048 queries by 2048 keys.
constexpr int64_t kMaskElements = 1 << 22;
/// Half of the lowest f32: at or below it a sum with a score of ordinary size is unchanged.
constexpr double kLowest = -1.7e38;
/// Less than half a unit in the last place of kLowest.
constexpr double kOrdinary = 1e30;

class Causality {
public:
  explicit Causality(const onnx::ShapeInference &shapes) : shapes(shapes) {}

  /// The o with (value == seenWhenTrue) == (j <= i + o), where i and j index the last two dims of
  /// `value`. Floats of 0 and -infinity are true and false; with `asNumber` 0 is false, and every
  /// other number true.
  std::optional<SymbolicExpr> offsetOf(Value value, bool seenWhenTrue, int depth = 0,
                                       bool asNumber = false) const {
    ArrayRef<SymbolicExpr> shape = shapes.shape(value);
    Operation *op = value.getDefiningOp();
    if (shape.size() < 2 || !op || depth > 16)
      return std::nullopt;
    if (isa<kernel::WeightOp, onnx::ConstantOp>(op))
      return ofConstant(value, seenWhenTrue, asNumber);
    if (auto isNot = dyn_cast<onnx::NotOp>(op))
      return offsetOf(isNot.getInput(), !seenWhenTrue, depth + 1);
    if (isa<onnx::ReshapeOp, onnx::ExpandOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(op)) {
      ArrayRef<SymbolicExpr> from = shapes.shape(op->getOperand(0));
      bool same = from.size() >= 2 && from.take_back(2) == shape.take_back(2) &&
                  (isa<onnx::ExpandOp>(op) || llvm::all_of(from.drop_back(2), isOne));
      return same ? offsetOf(op->getOperand(0), seenWhenTrue, depth + 1, asNumber) : std::nullopt;
    }
    if (auto slice = dyn_cast<onnx::SliceOp>(op))
      return ofSlice(slice, seenWhenTrue, depth, asNumber);
    if (auto trilu = dyn_cast<onnx::TriluOp>(op))
      return ofTrilu(trilu, seenWhenTrue, asNumber);
    if (auto cast = dyn_cast<onnx::CastOp>(op)) {
      bool fromBool = tensorType(cast.getInput()).getElementType().isInteger(1);
      bool toBool = tensorType(value).getElementType().isInteger(1);
      if (toBool || (fromBool && asNumber))
        return offsetOf(cast.getInput(), seenWhenTrue, depth + 1, /*asNumber=*/!fromBool);
    }
    if (auto equal = dyn_cast<onnx::EqualOp>(op))
      if (Value number = otherThanScalar(equal, 0))
        return offsetOf(number, !seenWhenTrue, depth + 1, /*asNumber=*/true);
    if (isa<onnx::LessOp, onnx::LessOrEqualOp>(op))
      return ofComparison(op->getOperand(0), op->getOperand(1), isa<onnx::LessOp>(op), seenWhenTrue,
                          shape);
    if (isa<onnx::GreaterOp, onnx::GreaterOrEqualOp>(op))
      return ofComparison(op->getOperand(1), op->getOperand(0), isa<onnx::GreaterOp>(op),
                          seenWhenTrue, shape);
    return std::nullopt;
  }

  /// The w with (value == seenWhenTrue) == (|i + w.second - j| <= w.first), from |x| <= w.
  std::optional<std::pair<SymbolicExpr, SymbolicExpr>> widthOf(Value value,
                                                               bool seenWhenTrue) const {
    while (auto expand = value.getDefiningOp<onnx::ExpandOp>())
      value = expand.getInput();
    Operation *op = value.getDefiningOp();
    if (!op || !seenWhenTrue || op->getNumOperands() != 2)
      return std::nullopt;
    bool less = isa<onnx::LessOp, onnx::LessOrEqualOp>(op);
    if (!less && !isa<onnx::GreaterOp, onnx::GreaterOrEqualOp>(op))
      return std::nullopt;
    bool strict = isa<onnx::LessOp, onnx::GreaterOp>(op);
    auto distance = op->getOperand(less ? 0 : 1).getDefiningOp<onnx::AbsOp>();
    std::optional<Plane> most = planeOf(op->getOperand(less ? 1 : 0));
    std::optional<Plane> x = distance ? planeOf(distance.getInput()) : std::nullopt;
    if (!x || !most || !most->row.is(0) || !most->column.is(0))
      return std::nullopt;
    bool rowFirst = x->row.is(1) && x->column.is(-1), keyFirst = x->row.is(-1) && x->column.is(1);
    if (!rowFirst && !keyFirst)
      return std::nullopt;
    return std::pair(most->base - SymbolicExpr(strict ? 1 : 0),
                     rowFirst ? x->base : SymbolicExpr(0) - x->base);
  }

private:
  static bool isOne(const SymbolicExpr &dim) { return dim.is(1); }

  /// An integer tensor as base + row * i + column * j.
  struct Plane {
    SymbolicExpr base, row, column;
  };

  std::optional<Plane> planeOf(Value value) const {
    if (!isa<IntegerType>(tensorType(value).getElementType()))
      return std::nullopt;
    onnx::Content content = shapes.affine(value);
    if (!content.isKnown() || content.base().kind != onnx::Element::Int)
      return std::nullopt;
    Plane plane{content.base().expr, SymbolicExpr(0), SymbolicExpr(0)};
    ArrayRef<SymbolicExpr> shape = shapes.shape(value);
    for (auto [i, stride] : llvm::enumerate(content.strides())) {
      size_t fromEnd = shape.size() - i;
      if (shape[i].is(1))
        continue;
      if (fromEnd > 2 && !stride.is(0))
        return std::nullopt;
      if (fromEnd == 1)
        plane.column = stride;
      if (fromEnd == 2)
        plane.row = stride;
    }
    return plane;
  }

  /// a <= b, or a < b.
  std::optional<SymbolicExpr> ofComparison(Value a, Value b, bool strict, bool seenWhenTrue,
                                           ArrayRef<SymbolicExpr> shape) const {
    std::optional<Plane> x = planeOf(a), y = planeOf(b);
    if (!x || !y)
      return std::nullopt;
    if (!seenWhenTrue) { // not (a <= b) is b < a
      std::swap(x, y);
      strict = !strict;
    }
    SymbolicExpr row = y->row - x->row, column = y->column - x->column;
    bool oneQuery = shape[shape.size() - 2].is(1);
    if (!column.is(-1) || !(row.is(1) || (oneQuery && row.is(0))))
      return std::nullopt;
    SymbolicExpr offset = y->base - x->base - SymbolicExpr(strict ? 1 : 0);
    return offset.isKnown() ? std::optional(offset) : std::nullopt;
  }

  /// A triangle of a tensor that is the same everywhere; outside of the triangle are zeros, which
  /// are false for booleans and numbers and seen for floats of -infinity.
  std::optional<SymbolicExpr> ofTrilu(onnx::TriluOp op, bool seenWhenTrue, bool asNumber) const {
    onnx::Content content = shapes.content(op.getInput());
    if (auto weight = op.getInput().getDefiningOp<kernel::WeightOp>())
      if (auto data = dyn_cast<ElementsAttr>(weight.getSources()[0]))
        content = onnx::readContent(data, /*limit=*/0); // known if it is the same everywhere
    const onnx::Element *element = content.uniform();
    if (!element)
      return std::nullopt;
    Type type = tensorType(op.getInput()).getElementType();
    bool isFloat = element->kind == onnx::Element::Float;
    bool isTrue = element->kind == onnx::Element::Int && type.isInteger(1) && element->expr.is(1);
    if (asNumber)
      isTrue |= isFloat ? element->number != 0 && !std::isnan(element->number)
                        : element->isConstant() && !element->expr.is(0);
    bool excludes = !asNumber && isFloat && element->number == -HUGE_VAL;
    if (!isTrue && !excludes)
      return std::nullopt;
    // Whether a key is seen inside of the triangle.
    bool seenInside = isTrue ? seenWhenTrue : false;
    if (op.getUpper() == seenInside)
      return std::nullopt;
    SymbolicExpr last = SymbolicExpr(op.getK()) - SymbolicExpr(op.getUpper() ? 1 : 0);
    return last.isKnown() ? std::optional(last) : std::nullopt;
  }

  std::optional<SymbolicExpr> ofSlice(onnx::SliceOp op, bool seenWhenTrue, int depth,
                                      bool asNumber) const {
    std::optional<SymbolicExpr> offset = offsetOf(op.getData(), seenWhenTrue, depth + 1, asNumber);
    const onnx::Content &starts = shapes.content(op.getStarts());
    int64_t rank = tensorType(op.getData()).getRank();
    if (!offset || !starts.hasElements())
      return std::nullopt;
    for (auto [i, axis] : llvm::enumerate(op.getAxes())) {
      const SymbolicExpr &start = starts.elements()[i].expr;
      int64_t fromEnd = rank - axis;
      if (fromEnd > 2 || starts.elements()[i].kind != onnx::Element::Int)
        return std::nullopt;
      if (op.getSteps()[i] != 1 || start.lowerBound() < 0)
        return std::nullopt;
      // Only a start that is not clamped to the dim is what it says.
      if (!shapes.atMost(start, shapes.shape(op.getData())[axis]))
        return std::nullopt;
      offset = fromEnd == 2 ? *offset + start : *offset - start;
    }
    return offset->isKnown() ? offset : std::nullopt;
  }

  std::optional<SymbolicExpr> ofConstant(Value value, bool seenWhenTrue, bool asNumber) const {
    Attribute source;
    if (auto constant = value.getDefiningOp<onnx::ConstantOp>())
      source = constant.getValue();
    else if (auto weight = value.getDefiningOp<kernel::WeightOp>();
             weight.getSources().size() == 1 && !weight.getPerm())
      source = weight.getSources()[0];
    auto elements = dyn_cast_or_null<DenseElementsAttr>(source);
    auto type = tensorType(value);
    if (!elements || type.getNumElements() > kMaskElements || type.getNumElements() == 0 ||
        elements.getNumElements() != type.getNumElements())
      return std::nullopt;
    int64_t rank = type.getRank(), rows = type.getDimSize(rank - 2),
            columns = type.getDimSize(rank - 1);
    if (rows * columns != type.getNumElements())
      return std::nullopt;
    SmallVector<bool> seen;
    if (type.getElementType().isInteger(1)) {
      for (bool element : elements.getValues<bool>())
        seen.push_back(element == seenWhenTrue);
    } else if (asNumber && isa<FloatType>(type.getElementType())) {
      for (const APFloat &element : elements.getValues<APFloat>())
        seen.push_back(element.isZero() != seenWhenTrue);
    } else if (asNumber) {
      for (const APInt &element : elements.getValues<APInt>())
        seen.push_back(element.isZero() != seenWhenTrue);
    } else if (isa<FloatType>(type.getElementType())) {
      for (const APFloat &element : elements.getValues<APFloat>()) {
        bool excluded = element.isInfinity() && element.isNegative();
        if (!excluded && !element.isZero())
          return std::nullopt;
        seen.push_back(!excluded);
      }
    } else {
      return std::nullopt;
    }
    return ofTriangle(seen, rows, columns);
  }

  static std::optional<SymbolicExpr> ofTriangle(ArrayRef<bool> seen, int64_t rows,
                                                int64_t columns) {
    std::optional<int64_t> offset;
    for (int64_t i = 0; i < rows && !offset; ++i) {
      int64_t count = llvm::count(seen.slice(i * columns, columns), true);
      if (count > 0 && count < columns)
        offset = count - 1 - i;
    }
    for (int64_t i = 0; offset && i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        if (seen[i * columns + j] != (j <= i + *offset))
          return std::nullopt;
    return offset ? std::optional(SymbolicExpr(*offset)) : std::nullopt;
  }

  const onnx::ShapeInference &shapes;
};

/// The conditions that `mask` is the conjunction of.
void conjuncts(MaskTerm mask, SmallVectorImpl<MaskTerm> &terms, int depth = 0) {
  Operation *op = mask.condition.getDefiningOp();
  bool splits =
      op && depth < 16 && (mask.seenWhenTrue ? isa<onnx::AndOp>(op) : isa<onnx::OrOp>(op));
  if (op && depth < 16 && isa<onnx::NotOp, onnx::ExpandOp>(op)) {
    mask.condition = op->getOperand(0);
    mask.seenWhenTrue ^= isa<onnx::NotOp>(op);
    return conjuncts(mask, terms, depth + 1);
  }
  if (!splits) {
    terms.push_back(mask);
    return;
  }
  for (Value operand : op->getOperands())
    conjuncts({operand, mask.seenWhenTrue, mask.sentinel}, terms, depth + 1);
}

/// The terms that `term` is the sum of.
void summands(BiasTerm term, SmallVectorImpl<BiasTerm> &terms, int depth = 0) {
  auto add = term.value.getDefiningOp<onnx::AddOp>();
  if (!add || depth > 16) {
    terms.push_back(term);
    return;
  }
  summands({add.getA(), term.factor}, terms, depth + 1);
  summands({add.getB(), term.factor}, terms, depth + 1);
}

class Separator {
public:
  Separator(AttentionMatch &match, onnx::ShapeInference &shapes) : match(match), shapes(shapes) {}

  void run() {
    llvm::erase_if(match.biases, [&](const BiasTerm &term) { return isZero(term.value); });
    if (match.masks.empty() || std::isinf(match.masks.front().sentinel))
      takeExclusions();
    SmallVector<MaskTerm> masks;
    for (const MaskTerm &mask : match.masks) {
      SmallVector<MaskTerm> parts;
      conjuncts(mask, parts);
      bool found = false;
      for (MaskTerm &part : parts)
        if (takeBand(part.condition, part.seenWhenTrue)) {
          found = true;
          part.condition = {};
        }
      if (!found)
        masks.push_back(mask);
      else
        for (MaskTerm &part : parts)
          if (part.condition)
            masks.push_back(part);
    }
    match.masks = masks;
  }

private:
  bool isZero(Value value) const {
    const onnx::Element *element = shapes.content(value).uniform();
    return isScalar(value, 0) ||
           (element && element->kind == onnx::Element::Float && element->number == 0);
  }

  /// Where(seen, b, lowest), below Expands, as the mask and b.
  static std::optional<std::pair<MaskTerm, Value>> lowestMask(BiasTerm term) {
    Value bias = term.value;
    while (auto expand = bias.getDefiningOp<onnx::ExpandOp>())
      bias = expand.getInput();
    auto where = bias.getDefiningOp<onnx::WhereOp>();
    if (!where || !tensorType(bias).getElementType().isF32() || term.factor != 1)
      return std::nullopt;
    for (bool seenWhenTrue : {true, false}) {
      std::optional<double> low = scalarConstant(seenWhenTrue ? where.getY() : where.getX());
      if (low && *low <= kLowest && !std::isinf(*low))
        return std::pair(MaskTerm{where.getCondition(), seenWhenTrue, *low},
                         seenWhenTrue ? where.getX() : where.getY());
    }
    return std::nullopt;
  }

  /// One Where(seen, b, lowest) among biases that are provably small: where it excludes, the sum
  /// with a score is the lowest float again, so the weight is 0 exactly, and a row of nothing else
  /// is the mean.
  bool takeLowest() {
    if (!match.masks.empty())
      return false;
    SmallVector<BiasTerm> terms, rest;
    for (const BiasTerm &term : match.biases)
      summands(term, terms);
    std::optional<MaskTerm> lowest;
    for (BiasTerm &term : terms) {
      if (auto found = lowestMask(term)) {
        if (lowest)
          return false;
        lowest = found->first;
        term.value = found->second;
      }
      if (!isZero(term.value))
        rest.push_back(term);
    }
    if (!lowest || !sumIsWithin(rest, kOrdinary))
      return false;
    exclude(*lowest);
    match.biases = rest;
    return true;
  }

  /// Summands of 0 and -infinity become masks.
  void takeExclusions() {
    if (takeLowest())
      return;
    SmallVector<BiasTerm> biases;
    for (const BiasTerm &whole : match.biases) {
      SmallVector<BiasTerm> parts, rest;
      summands(whole, parts);
      bool found = false;
      for (const BiasTerm &part : parts) {
        std::optional<MaskTerm> mask = part.factor > 0 ? booleanMask(part.value) : std::nullopt;
        if (mask)
          exclude(*mask);
        if (mask || (part.factor > 0 && isFloat(part.value) && takeCausal(part.value, true)))
          found = true;
        else if (!isZero(part.value))
          rest.push_back(part);
      }
      if (found)
        biases.append(rest);
      else
        biases.push_back(whole);
    }
    match.biases = biases;
  }

  static bool isFloat(Value value) { return isa<FloatType>(tensorType(value).getElementType()); }

  void exclude(MaskTerm mask) {
    match.masks.push_back(mask);
    match.sentinel = mask.sentinel;
  }

  bool takeCausal(Value condition, bool seenWhenTrue) {
    if (match.causal)
      return false;
    std::optional<SymbolicExpr> offset =
        causalOffset(condition, seenWhenTrue, match.scores.getOutput(), shapes);
    // Both ends of a band are counted from the first key, or both from the last.
    if (offset && match.window &&
        offset->constant().has_value() != match.window->constant().has_value())
      return false;
    match.causal = offset;
    if (match.causal && isFloat(condition))
      match.sentinel = -HUGE_VAL;
    return match.causal.has_value();
  }

  /// A mask that is a diagonal or two: keys up to one, keys from one on, or both around a query.
  bool takeBand(Value condition, bool seenWhenTrue) {
    Value scores = match.scores.getOutput();
    if (match.window.has_value() || !tensorType(condition).getElementType().isInteger(1))
      return takeCausal(condition, seenWhenTrue);
    if (!match.causal)
      if (auto width = bandWidth(condition, seenWhenTrue, scores, shapes)) {
        SymbolicExpr last = width->second + width->first, first = width->second - width->first;
        if (!last.isKnown() || !first.isKnown())
          return false;
        match.causal = last;
        match.window = first;
        return true;
      }
    if (takeCausal(condition, seenWhenTrue))
      return true;
    // Not seen up to a diagonal is seen from the next one on.
    std::optional<SymbolicExpr> before = causalOffset(condition, !seenWhenTrue, scores, shapes);
    bool sameOrigin = !before || !match.causal ||
                      before->constant().has_value() == match.causal->constant().has_value();
    if (!before || !sameOrigin)
      return false;
    SymbolicExpr first = *before + SymbolicExpr(1);
    if (!first.isKnown())
      return false;
    match.window = first;
    return true;
  }

  AttentionMatch &match;
  onnx::ShapeInference &shapes;
};

} // namespace

std::optional<SymbolicExpr> causalOffset(Value condition, bool seenWhenTrue, Value scores,
                                         const onnx::ShapeInference &shapes) {
  ArrayRef<SymbolicExpr> own = shapes.shape(condition), all = shapes.shape(scores);
  if (own.size() < 2 || own.take_back(2) != all.take_back(2))
    return std::nullopt;
  std::optional<SymbolicExpr> offset = Causality(shapes).offsetOf(condition, seenWhenTrue);
  // attn.sdpa says it from the first key on, or to the last one.
  if (!offset || offset->constant())
    return offset;
  SymbolicExpr keys = all.back(), queries = all[all.size() - 2], end = *offset + queries;
  if ((end - keys).constant())
    return offset;
  // The sizes may have two names: past + seq is total. A window is a constant before that.
  SymbolicExpr before(0), difference = end - keys;
  for (const onnx::SymbolicTerm &term : difference.terms())
    if (term.factors.empty())
      before = SymbolicExpr(term.coefficient);
  SymbolicExpr last = end - before, found = keys - queries + before;
  bool atEnd = shapes.atMost(last, keys) && shapes.atMost(keys, last) && found.isKnown();
  return atEnd ? std::optional(found) : std::nullopt;
}

std::optional<std::pair<SymbolicExpr, SymbolicExpr>>
bandWidth(Value condition, bool seenWhenTrue, Value scores, const onnx::ShapeInference &shapes) {
  ArrayRef<SymbolicExpr> own = shapes.shape(condition), all = shapes.shape(scores);
  if (own.size() < 2 || own.take_back(2) != all.take_back(2))
    return std::nullopt;
  auto width = Causality(shapes).widthOf(condition, seenWhenTrue);
  if (!width || !width->first.constant())
    return std::nullopt;
  SymbolicExpr fromEnd = width->second - (all.back() - all[all.size() - 2]);
  return width->second.constant() || fromEnd.constant() ? width : std::nullopt;
}

void separateTerms(AttentionMatch &match, onnx::ShapeInference &shapes) {
  if (!match.masks.empty())
    match.sentinel = match.masks.front().sentinel;
  Separator(match, shapes).run();
}

} // namespace rapt::fuse
