//===- AttentionTerms.cpp - Biases and masks of an attention site ----------------------===//

#include "compiler/Fuse/AttentionTerms.h"

#include "compiler/Fuse/Diagonals.h"
#include "compiler/Fuse/Intervals.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

namespace {

using onnx::SymbolicExpr;

/// The lowest f32 over 16, rounded: what is left of it where scores are divided after the mask.
constexpr double kScaledLowest = -2e37;

/// Scores and biases of f16 within this are far from the lowest f16.
constexpr double kOrdinaryHalf = 1e4;

/// No mask or bias is split into many more parts than this: And(x, x) of itself doubles them.
constexpr size_t kParts = 64;

/// The conditions that `mask` is the conjunction of.
void conjuncts(MaskTerm mask, SmallVectorImpl<MaskTerm> &terms, int depth = 0) {
  Operation *op = mask.condition.getDefiningOp();
  bool splits = op && depth < 16 && terms.size() < kParts &&
                (mask.seenWhenTrue ? isa<onnx::AndOp>(op) : isa<onnx::OrOp>(op));
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
    conjuncts({operand, mask.seenWhenTrue, mask.sentinel, mask.element}, terms, depth + 1);
}

/// The terms that `term` is the sum of.
void summands(BiasTerm term, SmallVectorImpl<BiasTerm> &terms, int depth = 0) {
  auto add = term.value.getDefiningOp<onnx::AddOp>();
  if (!add || depth > 16 || terms.size() >= kParts) {
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
    if (match.weakMask ? takeWeak() : takeTwoLowest())
      return;
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

  /// Where(seen, b, lowest), below Expands, as the mask with the sentinel that the factor leaves,
  /// and b.
  static std::optional<std::pair<MaskTerm, Value>> lowestMask(BiasTerm term) {
    Value bias = onnx::withoutExpand(term.value);
    auto where = bias.getDefiningOp<onnx::WhereOp>();
    auto element = dyn_cast<FloatType>(tensorType(bias).getElementType());
    if (!where || !element || !(term.factor > 0))
      return std::nullopt;
    for (bool seenWhenTrue : {true, false}) {
      std::optional<double> low = scalarConstant(seenWhenTrue ? where.getY() : where.getX());
      if (low && onnx::isLowest(*low, element))
        return std::pair(MaskTerm{where.getCondition(), seenWhenTrue, *low * term.factor, element},
                         seenWhenTrue ? where.getX() : where.getY());
    }
    return std::nullopt;
  }

  /// Biases whose summands Where(seen, b, lowest) are masks and b.
  struct LowestMasks {
    SmallVector<MaskTerm> masks;
    SmallVector<BiasTerm> rest; ///< provably small
  };

  /// The `count` masks among the summands of all biases whose sentinel is `most` or lower; nothing
  /// where there are more or fewer, or where the rest may not be within `small`.
  std::optional<LowestMasks> lowestMasks(size_t count, double most,
                                         double small = kOrdinary) const {
    if (!match.masks.empty())
      return std::nullopt;
    SmallVector<BiasTerm> terms;
    for (const BiasTerm &term : match.biases)
      summands(term, terms);
    LowestMasks result;
    for (BiasTerm &term : terms) {
      if (auto found = lowestMask(term); found && found->first.sentinel <= most) {
        result.masks.push_back(found->first);
        term.value = found->second;
      }
      if (!isZero(term.value))
        result.rest.push_back(term);
    }
    if (result.masks.size() != count || !sumIsWithin(result.rest, small))
      return std::nullopt;
    return result;
  }

  /// One Where(seen, b, lowest) among biases that are provably small: where it excludes, the sum
  /// with a score is the lowest float again, so the weight is 0 exactly, and a row of nothing else
  /// is the mean.
  bool takeLowest() {
    std::optional<LowestMasks> lowest = lowestMasks(1, kScaledLowest);
    if (!lowest)
      return false;
    exclude(lowest->masks.front());
    match.biases = lowest->rest;
    return true;
  }

  /// The same of f16 where it is a band that leaves each query a key. A row of nothing else is no
  /// mean: a score beyond 16 changes the lowest f16.
  bool takeLowestHalf() {
    auto half = FloatType(Float16Type::get(match.scores.getContext()));
    std::optional<LowestMasks> lowest = lowestMasks(1, -greatestOf(half), kOrdinaryHalf);
    if (!lowest || lowest->masks.front().element != half || !takeWholeBand(lowest->masks.front()))
      return false;
    if (!everyQueryHasKey()) {
      match.causal.reset();
      match.window.reset();
      return false;
    }
    match.sentinel = lowest->masks.front().sentinel;
    match.biases = lowest->rest;
    return true;
  }

  /// match.causal and match.window leave a key in every row.
  bool everyQueryHasKey() const {
    ArrayRef<SymbolicExpr> dims = shapes.shape(match.scores.getOutput());
    const SymbolicExpr &keys = dims.back(), &queries = dims[dims.size() - 2];
    if (match.causal && !shapes.atMost(SymbolicExpr(0), *match.causal))
      return false;
    if (match.window && !shapes.atMost(queries + *match.window, keys))
      return false;
    return !match.causal || !match.window || shapes.atMost(*match.window, *match.causal);
  }

  /// One of the conditions that a mask is the conjunction of, and the diagonal behind which it
  /// excludes keys. `whole`: it excludes nothing else.
  struct Diagonal {
    size_t part;
    SymbolicExpr offset;
    bool whole;
  };

  std::optional<Diagonal> diagonalOf(ArrayRef<MaskTerm> parts) const {
    Value scores = match.scores.getOutput();
    for (auto [i, part] : llvm::enumerate(parts)) {
      if (auto offset = causalOffset(part.condition, part.seenWhenTrue, scores, shapes))
        return Diagonal{i, *offset, true};
      if (auto band = constantBand(part.condition, part.seenWhenTrue, scores, shapes))
        return Diagonal{i, band->second, false};
    }
    return std::nullopt;
  }

  /// Two masks of the lowest float with one diagonal in common: the sum of both is -infinity, so
  /// that what lies behind it is excluded exactly. What else they exclude stays a bias, as in a row
  /// of nothing else all keys that only one of them excludes have the same weight.
  bool takeCommonDiagonal() {
    constexpr double most = -3e38; // twice that is beyond the lowest f32
    std::optional<LowestMasks> lowest = lowestMasks(2, most);
    if (!lowest || match.causal || match.window)
      return false;
    SmallVector<MaskTerm> left;
    std::optional<SymbolicExpr> common;
    for (const MaskTerm &mask : lowest->masks) {
      SmallVector<MaskTerm> parts;
      conjuncts(mask, parts);
      std::optional<Diagonal> diagonal = diagonalOf(parts);
      if (!diagonal || (common && !(*common == diagonal->offset)))
        return false;
      common = diagonal->offset;
      if (diagonal->whole)
        parts.erase(parts.begin() + diagonal->part);
      if (!parts.empty())
        left.push_back(parts.size() == 1 ? parts.front() : mask);
    }
    match.causal = common;
    match.sentinel = -HUGE_VAL;
    match.biases = lowest->rest;
    match.addedMasks = left;
    return true;
  }

  /// Nothing but masks and a band can make a row empty, and nothing looks at such rows afterwards.
  bool isPlain() const {
    return !match.nanGuard && !match.rowGuard && !match.zeroed && !match.keptFinite && !match.sink;
  }

  /// `mask` as match.causal and match.window; false, and nothing changes, if it is more than that.
  bool takeWholeBand(const MaskTerm &mask) {
    if (match.causal || match.window)
      return false;
    SmallVector<MaskTerm> parts;
    conjuncts(mask, parts);
    if (llvm::all_of(parts, [&](const MaskTerm &part) {
          return takeBand(part.condition, part.seenWhenTrue);
        }))
      return true;
    match.causal.reset();
    match.window.reset();
    return false;
  }

  /// The rest of what `mask` is the conjunction of where match.causal is one of these.
  std::optional<SmallVector<MaskTerm>> withoutCausal(const MaskTerm &mask) const {
    SmallVector<MaskTerm> parts;
    conjuncts(mask, parts);
    std::optional<Diagonal> diagonal = match.causal ? diagonalOf(parts) : std::nullopt;
    if (!diagonal || !diagonal->whole || !(diagonal->offset == *match.causal))
      return std::nullopt;
    parts.erase(parts.begin() + diagonal->part);
    return parts;
  }

  /// A band whose sentinel is not the lowest float, below a mask of that: what the mask hides has
  /// the lowest float, what the band alone hides its own sentinel. Alone it is a band like any
  /// other.
  bool takeWeak() {
    constexpr double kLeast = -1e29; // the lowest float does not change by it
    std::optional<LowestMasks> lowest =
        match.biases.empty() ? LowestMasks{} : lowestMasks(1, kScaledLowest);
    bool isAlone = match.biases.empty();
    if (!match.masks.empty() || !lowest || !lowest->rest.empty() || !isPlain() ||
        (!isAlone && !(match.weakMask->sentinel >= kLeast)) || !takeWholeBand(*match.weakMask))
      return false;
    match.sentinel = match.weakMask->sentinel;
    match.weakMask.reset();
    if (isAlone)
      return true;
    match.biases.clear();
    match.masks = lowest->masks;
    match.emptyRow = attn::EmptyRow::MaskMean;
    // A mask that hides what the band does: a row of nothing else holds the lowest float only.
    if (auto rest = match.window ? std::nullopt : withoutCausal(match.masks.front())) {
      match.masks = *rest;
      match.emptyRow = attn::EmptyRow::Mean;
    }
    return true;
  }

  /// A band and a mask of the lowest float that are added: what both hide has -infinity, what one
  /// of them hides the lowest float.
  bool takeTwoLowest() {
    constexpr double most = -3e38; // twice that is beyond the lowest f32
    std::optional<LowestMasks> lowest = lowestMasks(2, most);
    if (!lowest || !lowest->rest.empty() || !isPlain() ||
        lowest->masks[0].sentinel != lowest->masks[1].sentinel)
      return false;
    auto done = [&](ArrayRef<MaskTerm> masks, attn::EmptyRow emptyRow) {
      match.biases.clear();
      match.masks.assign(masks.begin(), masks.end());
      match.sentinel = lowest->masks.front().sentinel;
      match.emptyRow = emptyRow;
      return true;
    };
    // With a diagonal in common, what lies behind it is never averaged over. The mask that is a
    // window is rather the band than the other one.
    enum Form { CommonWindow, CommonDiagonal, Apart };
    for (Form form : {CommonWindow, CommonDiagonal, Apart})
      for (int band : {0, 1}) {
        const MaskTerm &mask = lowest->masks[1 - band];
        if (!takeWholeBand(lowest->masks[band]))
          continue;
        auto rest = withoutCausal(mask);
        if (rest && (match.window || (form == CommonDiagonal && !rest->empty())))
          return done(*rest, attn::EmptyRow::CausalMean);
        if (form == Apart && !rest)
          return done(mask, attn::EmptyRow::EitherMean);
        match.causal.reset();
        match.window.reset();
      }
    return false;
  }

  /// Summands of 0 and -infinity become masks.
  void takeExclusions() {
    if (takeLowest() || takeLowestHalf() || takeCommonDiagonal())
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
        if (mask || (part.factor > 0 && isFloat(part.value) && takeNumbers(part.value)))
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
    return match.causal.has_value();
  }

  /// Numbers of 0 and -infinity that are a diagonal, or a table of two.
  bool takeNumbers(Value bias) {
    if (!takeCausal(bias, true) && !takeConstantBand(bias, true))
      return false;
    match.sentinel = -HUGE_VAL;
    return true;
  }

  bool takeConstantBand(Value condition, bool seenWhenTrue) {
    if (match.causal || match.window)
      return false;
    auto band = constantBand(condition, seenWhenTrue, match.scores.getOutput(), shapes);
    if (!band)
      return false;
    match.window = band->first;
    match.causal = band->second;
    return true;
  }

  /// A mask that is a diagonal or two: keys up to one, keys from one on, or both around a query.
  bool takeBand(Value condition, bool seenWhenTrue) {
    Value scores = match.scores.getOutput();
    if (match.window.has_value() || !tensorType(condition).getElementType().isInteger(1))
      return takeCausal(condition, seenWhenTrue);
    if (!match.causal) {
      if (auto width = bandWidth(condition, seenWhenTrue, scores, shapes)) {
        SymbolicExpr last = width->second + width->first, first = width->second - width->first;
        if (!last.isKnown() || !first.isKnown())
          return false;
        match.causal = last;
        match.window = first;
        return true;
      }
      if (takeConstantBand(condition, seenWhenTrue))
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

void separateTerms(AttentionMatch &match, onnx::ShapeInference &shapes) {
  if (!match.masks.empty())
    match.sentinel = match.masks.front().sentinel;
  Separator(match, shapes).run();
}

} // namespace rapt::fuse
