//===- Diagonals.cpp - Masks of positions -----------------------------------------------===//
//
// A mask over queries and keys that is a comparison of positions, a triangle, or a stored table of
// these, as the diagonals between which keys are seen.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Diagonals.h"

#include "compiler/Fuse/Match.h"
#include "dialects/Kernel/Kernel.h"

using namespace mlir;

namespace rapt::fuse {

namespace {

using onnx::SymbolicExpr;

/// Constants with more elements than this are not looked at: 2048 queries by 2048 keys.
constexpr int64_t kMaskElements = 1 << 22;

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
    if (isView(op))
      return keepsPlane(op) ? offsetOf(op->getOperand(0), seenWhenTrue, depth + 1, asNumber)
                            : std::nullopt;
    if (auto slice = dyn_cast<onnx::SliceOp>(op))
      return ofSlice(slice, seenWhenTrue, depth, asNumber);
    if (auto trilu = dyn_cast<onnx::TriluOp>(op))
      return ofTrilu(trilu, seenWhenTrue, asNumber);
    if (auto concat = dyn_cast<onnx::ConcatOp>(op))
      return ofConcat(concat, seenWhenTrue, depth, asNumber);
    if (isa<onnx::AndOp, onnx::OrOp>(op))
      return ofTwo(op, seenWhenTrue, isa<onnx::AndOp>(op) == seenWhenTrue, depth);
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

  /// The w with (value == seenWhenTrue) == (|i + w.second - j| <= w.first), from |x| <= w, or from
  /// |x| > w where that excludes.
  std::optional<std::pair<SymbolicExpr, SymbolicExpr>> widthOf(Value value,
                                                               bool seenWhenTrue) const {
    Operation *op = value.getDefiningOp();
    while (op && (isa<onnx::NotOp>(op) || (isView(op) && keepsPlane(op)))) {
      seenWhenTrue ^= isa<onnx::NotOp>(op);
      op = op->getOperand(0).getDefiningOp();
    }
    bool less = isa_and_nonnull<onnx::LessOp, onnx::LessOrEqualOp>(op);
    if (!less && !isa_and_nonnull<onnx::GreaterOp, onnx::GreaterOrEqualOp>(op))
      return std::nullopt;
    // Seen keys are the near ones: where true is seen the distance is the lesser side, else the
    // greater one, and then equality is what the comparison leaves out.
    bool first = less == seenWhenTrue;
    bool strict = isa<onnx::LessOp, onnx::GreaterOp>(op) == seenWhenTrue;
    auto distance = op->getOperand(first ? 0 : 1).getDefiningOp<onnx::AbsOp>();
    std::optional<Plane> most = planeOf(op->getOperand(first ? 1 : 0));
    std::optional<Plane> x = distance ? planeOf(distance.getInput()) : std::nullopt;
    if (!x || !most || !most->row.is(0) || !most->column.is(0))
      return std::nullopt;
    bool rowFirst = x->row.is(1) && x->column.is(-1), keyFirst = x->row.is(-1) && x->column.is(1);
    if (!rowFirst && !keyFirst)
      return std::nullopt;
    return std::pair(most->base - SymbolicExpr(strict ? 1 : 0),
                     rowFirst ? x->base : SymbolicExpr(0) - x->base);
  }

  /// The diagonals between which keys are seen, from a constant and slices of it.
  std::optional<std::pair<SymbolicExpr, SymbolicExpr>> bandOf(Value value,
                                                              bool seenWhenTrue) const {
    SymbolicExpr shift(0);
    for (int depth = 0; depth < 16; ++depth) {
      Operation *op = value.getDefiningOp();
      if (isa_and_nonnull<kernel::WeightOp, onnx::ConstantOp>(op)) {
        std::optional<Table> table = tableOf(value, seenWhenTrue, /*asNumber=*/false);
        auto band = table ? ofBand(*table) : std::nullopt;
        if (!band)
          return std::nullopt;
        SymbolicExpr first = SymbolicExpr(band->first) + shift,
                     last = SymbolicExpr(band->second) + shift;
        bool known = first.isKnown() && last.isKnown();
        return known ? std::optional(std::pair(first, last)) : std::nullopt;
      }
      auto slice = dyn_cast_or_null<onnx::SliceOp>(op);
      std::optional<SymbolicExpr> step = slice ? shiftOf(slice) : std::nullopt;
      if (step)
        shift = shift + *step;
      else if (!op || !isView(op) || !keepsPlane(op))
        return std::nullopt;
      value = op->getOperand(0);
    }
    return std::nullopt;
  }

private:
  static bool isOne(const SymbolicExpr &dim) { return dim.is(1); }

  static bool isView(Operation *op) {
    return isa<onnx::ReshapeOp, onnx::ExpandOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(op);
  }

  /// Whether a view's operand has its last two dims, and element (.., i, j) is the operand's.
  bool keepsPlane(Operation *view) const {
    ArrayRef<SymbolicExpr> from = shapes.shape(view->getOperand(0)),
                           to = shapes.shape(view->getResult(0));
    return from.size() >= 2 && to.size() >= 2 && from.take_back(2) == to.take_back(2) &&
           (isa<onnx::ExpandOp>(view) || llvm::all_of(from.drop_back(2), isOne));
  }

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

  /// Keys that are all seen, and behind them others of which a diagonal is.
  std::optional<SymbolicExpr> ofConcat(onnx::ConcatOp op, bool seenWhenTrue, int depth,
                                       bool asNumber) const {
    int64_t rank = tensorType(op.getConcatResult()).getRank();
    if (op.getInputs().size() != 2 || static_cast<int64_t>(op.getAxis()) != rank - 1 || asNumber)
      return std::nullopt;
    const onnx::Element *before = shapes.content(op.getInputs()[0]).uniform();
    if (!before || before->kind != onnx::Element::Int || !before->expr.is(seenWhenTrue))
      return std::nullopt;
    std::optional<SymbolicExpr> offset = offsetOf(op.getInputs()[1], seenWhenTrue, depth + 1);
    if (!offset || !shapes.atMost(SymbolicExpr(-1), *offset))
      return std::nullopt;
    offset = *offset + shapes.shape(op.getInputs()[0]).back();
    return offset->isKnown() ? offset : std::nullopt;
  }

  /// Two diagonals of the same rows and keys, of which the lower one (`both`) or the upper one
  /// bounds what is seen.
  std::optional<SymbolicExpr> ofTwo(Operation *op, bool seenWhenTrue, bool both, int depth) const {
    for (Value operand : op->getOperands())
      if (shapes.shape(operand).size() < 2 ||
          shapes.shape(operand).take_back(2) != shapes.shape(op->getResult(0)).take_back(2))
        return std::nullopt;
    std::optional<SymbolicExpr> a = offsetOf(op->getOperand(0), seenWhenTrue, depth + 4),
                                b = a ? offsetOf(op->getOperand(1), seenWhenTrue, depth + 4)
                                      : std::nullopt;
    if (!a || !b)
      return std::nullopt;
    if (shapes.atMost(*a, *b))
      return both ? a : b;
    return shapes.atMost(*b, *a) ? (both ? b : a) : std::nullopt;
  }

  std::optional<SymbolicExpr> ofSlice(onnx::SliceOp op, bool seenWhenTrue, int depth,
                                      bool asNumber) const {
    std::optional<SymbolicExpr> shift = shiftOf(op); // before a table is read
    std::optional<SymbolicExpr> offset =
        shift ? offsetOf(op.getData(), seenWhenTrue, depth + 1, asNumber) : std::nullopt;
    if (!offset)
      return std::nullopt;
    offset = *offset + *shift;
    return offset->isKnown() ? offset : std::nullopt;
  }

  /// How much further up in the result a diagonal of the operand lies: first row - first column.
  std::optional<SymbolicExpr> shiftOf(onnx::SliceOp op) const {
    const onnx::Content &starts = shapes.content(op.getStarts());
    int64_t rank = tensorType(op.getData()).getRank();
    if (!starts.hasElements())
      return std::nullopt;
    SymbolicExpr shift(0);
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
      shift = fromEnd == 2 ? shift + start : shift - start;
    }
    return shift.isKnown() ? std::optional(shift) : std::nullopt;
  }

  /// A constant that is the same for all leading indices: which of its elements are seen.
  struct Table {
    SmallVector<bool> seen;
    int64_t rows, columns;
  };

  static std::optional<Table> tableOf(Value value, bool seenWhenTrue, bool asNumber) {
    Attribute source;
    if (auto constant = value.getDefiningOp<onnx::ConstantOp>())
      source = constant.getValue();
    else if (auto weight = value.getDefiningOp<kernel::WeightOp>();
             weight.getSources().size() == 1 && !weight.getPerm())
      source = weight.getSources()[0];
    auto elements = dyn_cast_or_null<DenseElementsAttr>(source);
    auto type = tensorType(value);
    if (!elements || type.getRank() < 2 || type.getNumElements() > kMaskElements ||
        type.getNumElements() == 0 || elements.getNumElements() != type.getNumElements())
      return std::nullopt;
    int64_t rank = type.getRank(), rows = type.getDimSize(rank - 2),
            columns = type.getDimSize(rank - 1);
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
    size_t plane = rows * columns;
    for (size_t i = plane; i < seen.size(); ++i)
      if (seen[i] != seen[i - plane])
        return std::nullopt;
    seen.truncate(plane);
    return Table{std::move(seen), rows, columns};
  }

  static std::optional<SymbolicExpr> ofConstant(Value value, bool seenWhenTrue, bool asNumber) {
    std::optional<Table> table = tableOf(value, seenWhenTrue, asNumber);
    return table ? ofTriangle(table->seen, table->rows, table->columns) : std::nullopt;
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

  /// The diagonals (first, last) between which a table sees keys: j >= i + first and j <= i + last.
  /// Both must show: some row has keys before, some row has keys behind.
  static std::optional<std::pair<int64_t, int64_t>> ofBand(const Table &table) {
    std::optional<int64_t> first, last;
    for (int64_t i = 0; i < table.rows; ++i) {
      ArrayRef<bool> row = ArrayRef(table.seen).slice(i * table.columns, table.columns);
      const bool *begin = llvm::find(row, true);
      int64_t before = begin - row.begin(), count = llvm::count(row, true);
      if (count == 0)
        continue;
      if (before > 0 && !first)
        first = before - i;
      if (before + count < table.columns && !last)
        last = before + count - 1 - i;
    }
    if (!first || !last)
      return std::nullopt;
    for (int64_t i = 0; i < table.rows; ++i)
      for (int64_t j = 0; j < table.columns; ++j)
        if (table.seen[i * table.columns + j] != (j >= i + *first && j <= i + *last))
          return std::nullopt;
    return std::pair(*first, *last);
  }

  const onnx::ShapeInference &shapes;
};

} // namespace

/// Whether the last two dims of a mask are those of the scores.
static bool coversScores(ArrayRef<SymbolicExpr> own, ArrayRef<SymbolicExpr> all) {
  return own.size() >= 2 && own.take_back(2) == all.take_back(2);
}

/// `offset` as attn.sdpa can say it; nothing if it can not.
static std::optional<SymbolicExpr> counted(std::optional<SymbolicExpr> offset,
                                           ArrayRef<SymbolicExpr> all,
                                           const onnx::ShapeInference &shapes) {
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

std::optional<SymbolicExpr> causalOffset(Value condition, bool seenWhenTrue, Value scores,
                                         const onnx::ShapeInference &shapes) {
  ArrayRef<SymbolicExpr> all = shapes.shape(scores);
  if (!coversScores(shapes.shape(condition), all))
    return std::nullopt;
  return counted(Causality(shapes).offsetOf(condition, seenWhenTrue), all, shapes);
}

std::optional<std::pair<SymbolicExpr, SymbolicExpr>>
constantBand(Value condition, bool seenWhenTrue, Value scores, const onnx::ShapeInference &shapes) {
  ArrayRef<SymbolicExpr> all = shapes.shape(scores);
  if (!coversScores(shapes.shape(condition), all))
    return std::nullopt;
  auto band = Causality(shapes).bandOf(condition, seenWhenTrue);
  if (!band)
    return std::nullopt;
  std::optional<SymbolicExpr> first = counted(band->first, all, shapes),
                              last = counted(band->second, all, shapes);
  bool sameOrigin = first && last && first->constant().has_value() == last->constant().has_value();
  return sameOrigin ? std::optional(std::pair(*first, *last)) : std::nullopt;
}

std::optional<std::pair<SymbolicExpr, SymbolicExpr>>
bandWidth(Value condition, bool seenWhenTrue, Value scores, const onnx::ShapeInference &shapes) {
  ArrayRef<SymbolicExpr> all = shapes.shape(scores);
  if (!coversScores(shapes.shape(condition), all))
    return std::nullopt;
  auto width = Causality(shapes).widthOf(condition, seenWhenTrue);
  if (!width || !width->first.constant())
    return std::nullopt;
  SymbolicExpr fromEnd = width->second - (all.back() - all[all.size() - 2]);
  return width->second.constant() || fromEnd.constant() ? width : std::nullopt;
}

} // namespace rapt::fuse
