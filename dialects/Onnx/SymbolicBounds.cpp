//===- SymbolicBounds.cpp - Between which numbers an expression stays -------------------------===//
//
// Interval arithmetic over the bounds of symbols: a term's interval is the product of its factors',
// an expression's the sum of its terms'. Each term is bounded alone, so that seq - min(seq, 4) has
// no lower bound of 0: a bound that is found holds, a better one may exist.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/SymbolicExpr.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <limits>

namespace rapt::onnx {

namespace {
constexpr int64_t lowest = std::numeric_limits<int64_t>::min();
constexpr int64_t highest = std::numeric_limits<int64_t>::max();

/// A closed interval whose ends saturate at the ends of int64, which mean "no bound".
struct Interval {
  int64_t low, high;
};

int64_t clampTo64(__int128 value) {
  return value < lowest ? lowest : value > highest ? highest : static_cast<int64_t>(value);
}

int64_t addBound(int64_t a, int64_t b, int64_t none) {
  return a == none || b == none ? none : clampTo64(static_cast<__int128>(a) + b);
}

Interval multiply(Interval a, Interval b) {
  // An open end times zero is zero, so open ends may take part as large numbers: the saturated
  // product of anything else with them is an open end again.
  __int128 products[] = {
      static_cast<__int128>(a.low) * b.low, static_cast<__int128>(a.low) * b.high,
      static_cast<__int128>(a.high) * b.low, static_cast<__int128>(a.high) * b.high};
  int64_t low = clampTo64(*std::min_element(std::begin(products), std::end(products)));
  // The negative of an open end is open.
  return {low == -highest ? lowest : low,
          clampTo64(*std::max_element(std::begin(products), std::end(products)))};
}

/// floor(a / b) for b > 0, where either may be "no bound".
int64_t floorDivBound(int64_t a, int64_t b) {
  if ((a == lowest || a == highest) && b != highest)
    return a;
  b = std::max<int64_t>(b, 1);
  return a / b - (a % b < 0);
}

/// Of a min, max, mod or floordiv of operands that stay in `a` and `b`.
Interval boundsOf(SymbolicAtom::Kind kind, Interval a, Interval b) {
  switch (kind) {
  case SymbolicAtom::Min:
    return {std::min(a.low, b.low), std::min(a.high, b.high)};
  case SymbolicAtom::Max:
    return {std::max(a.low, b.low), std::max(a.high, b.high)};
  case SymbolicAtom::Mod:
    return {0, b.high == highest ? highest : b.high - 1};
  default: // FloorDiv by something positive: by 1 at least, and by no more than b.high
    return {floorDivBound(a.low, a.low < 0 ? b.low : b.high),
            floorDivBound(a.high, a.high < 0 ? b.high : b.low)};
  }
}

Interval boundsOf(const SymbolicTerm &term) {
  Interval result = {term.coefficient, term.coefficient};
  for (const Atom &atom : term.factors)
    result = multiply(result, {atom->low, atom->high});
  return result;
}

/// The bounds of an expression where dims are below a limit. Not kept in the atoms: the expressions
/// asked about are small.
struct Reach {
  int64_t largestDim, largestProduct;

  Interval of(const SymbolicAtom &atom) const {
    if (atom.kind != SymbolicAtom::Symbol)
      return boundsOf(atom.kind, of(atom.lhs), of(atom.rhs));
    int64_t measured = atom.bound.isKnown() ? of(atom.bound).high : largestDim;
    return {atom.least, std::min(measured, largestDim)};
  }
  Interval of(const SymbolicTerm &term) const {
    Interval product = {1, 1};
    for (const Atom &atom : term.factors)
      product = multiply(product, of(*atom));
    if (term.factors.size() > 1 && product.low >= 0)
      product.high = std::min(product.high, largestProduct);
    return multiply(product, {term.coefficient, term.coefficient});
  }
  Interval of(const SymbolicExpr &expr) const {
    Interval sum = {0, 0};
    for (const SymbolicTerm &term : expr.terms()) {
      Interval next = of(term);
      sum = {addBound(sum.low, next.low, lowest), addBound(sum.high, next.high, highest)};
    }
    return sum;
  }
};
} // namespace

void SymbolicAtom::findBounds() {
  auto bounds = [](const SymbolicExpr &expr) {
    return Interval{expr.lowerBound(), expr.upperBound()};
  };
  Interval found = kind == Symbol ? Interval{least, bound.upperBound()}
                                  : boundsOf(kind, bounds(lhs), bounds(rhs));
  low = found.low;
  high = found.high;
}

bool SymbolicExpr::fits(unsigned width, bool isUnsigned) const {
  if (!isKnown())
    return false;
  Reach reach = width > 32 ? Reach{std::numeric_limits<int32_t>::max(), int64_t(1) << 47}
                           : Reach{1 << 24, 1 << 24};
  Interval range = reach.of(*this);
  if (range.low == lowest || range.high == highest)
    return false;
  int64_t half = width == 64 ? highest : (int64_t(1) << (width - 1)) - 1;
  int64_t most = isUnsigned && width < 64 ? 2 * half + 1 : half;
  return range.low >= (isUnsigned ? 0 : -half - 1) && range.high <= most;
}

int64_t SymbolicExpr::lowerBound() const {
  if (!poly)
    return lowest;
  int64_t sum = 0;
  for (const SymbolicTerm &term : *poly)
    sum = addBound(sum, boundsOf(term).low, lowest);
  return sum;
}

int64_t SymbolicExpr::upperBound() const {
  if (!poly)
    return highest;
  int64_t sum = 0;
  for (const SymbolicTerm &term : *poly)
    sum = addBound(sum, boundsOf(term).high, highest);
  return sum;
}

/// A minimum that is subtracted is no more than either of its operands, a maximum that is added no
/// less: x - min(x, 2) is at least x - x. A measured symbol that is subtracted is no more than its
/// bound. `steps` bounds how many of them are replaced.
bool SymbolicExpr::isNeverNegative(const SymbolicExpr &expr, int &steps) {
  if (!expr.isKnown() || expr.lowerBound() >= 0)
    return expr.isKnown();
  for (const SymbolicTerm &term : expr.terms()) {
    const SymbolicAtom *atom = term.factors.size() == 1 ? term.factors.front().get() : nullptr;
    if (!atom || atom->kind != (term.coefficient < 0 ? SymbolicAtom::Min : SymbolicAtom::Max))
      continue;
    SymbolicExpr others = expr - fromTerms({term});
    for (const SymbolicExpr &operand : {atom->lhs, atom->rhs})
      if (--steps < 0)
        return false;
      else if (isNeverNegative(others + SymbolicExpr(term.coefficient) * operand, steps))
        return true;
  }
  if (!expr.hasMeasured()) // once is enough: bounds have none
    return false;
  SymbolicExpr bounded(0);
  for (const SymbolicTerm &term : expr.terms()) {
    SymbolicExpr whole = fromTerms({term});
    bounded = bounded + (term.coefficient < 0 && whole.hasMeasured()
                             ? SymbolicExpr(0) - (SymbolicExpr(0) - whole).withoutMeasured()
                             : whole);
  }
  return bounded != expr && bounded.isKnown() && --steps >= 0 && isNeverNegative(bounded, steps);
}

// --- Measured symbols ----------------------------------------------------------------------------
bool SymbolicExpr::hasMeasured() const {
  return llvm::any_of(terms(), [](const SymbolicTerm &term) {
    return llvm::any_of(term.factors, [](const Atom &factor) {
      return factor->kind == SymbolicAtom::Symbol
                 ? factor->bound.isKnown()
                 : factor->lhs.hasMeasured() || factor->rhs.hasMeasured();
    });
  });
}

SymbolicExpr SymbolicExpr::withPositiveMeasured() const {
  if (!hasMeasured())
    return *this;
  return replaceSymbols([](const Atom &atom) {
    return atom->bound.isKnown() ? symbol(atom->name) : fromTerms({{1, {atom}}});
  });
}

/// Each term is bounded alone: its measured factors by their bounds where it is added, by 0 where
/// it is subtracted, if none of its factors is ever negative.
SymbolicExpr SymbolicExpr::withoutMeasured() const {
  SymbolicExpr sum(0);
  for (const SymbolicTerm &term : terms()) {
    SymbolicExpr product(term.coefficient);
    for (const Atom &atom : term.factors) {
      SymbolicExpr factor = fromTerms({{1, {atom}}});
      if (!factor.hasMeasured()) {
        product = product * factor;
        continue;
      }
      bool signs = llvm::all_of(term.factors, [](const Atom &other) {
        return fromTerms({{1, {other}}}).lowerBound() >= 0;
      });
      if (!signs)
        return {};
      if (term.coefficient < 0) {
        product = SymbolicExpr(0);
        break;
      }
      SymbolicExpr a = atom->lhs.withoutMeasured(), b = atom->rhs.withoutMeasured();
      if (atom->kind == SymbolicAtom::Symbol)
        product = product * atom->bound;
      else if (atom->kind == SymbolicAtom::FloorDiv)
        product = product * (atom->rhs.hasMeasured() ? SymbolicExpr() : floorDiv(a, atom->rhs));
      else if (atom->kind == SymbolicAtom::Min)
        product = product * (a.isKnown() && b.isKnown() ? min(a, b) : a.isKnown() ? a : b);
      else if (atom->kind == SymbolicAtom::Max)
        product = product * max(a, b);
      else
        product = product * (b - SymbolicExpr(1));
    }
    sum = sum + product;
  }
  return isKnown() ? sum : SymbolicExpr();
}

bool SymbolicExpr::provablyAtMost(const SymbolicExpr &a, const SymbolicExpr &b) {
  int steps = 24;
  return isNeverNegative(b - a, steps);
}

bool SymbolicExpr::provablyDifferent(const SymbolicExpr &a, const SymbolicExpr &b) {
  SymbolicExpr difference = a - b;
  return difference.isKnown() && (difference.lowerBound() > 0 || difference.upperBound() < 0);
}

} // namespace rapt::onnx
