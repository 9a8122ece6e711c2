//===- SymbolicExpr.cpp - Integer expressions over named dims --------------------------------===//
//
// Normal form: terms sorted by their factors, no zero coefficient, constants folded. Every
// operation checks for overflow and size, and gives the unknown expression instead.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/SymbolicExpr.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <limits>
#include <numeric>

namespace rapt::onnx {

namespace {
// Real shape arithmetic stays far below these; a hostile graph must not make expressions explode.
constexpr size_t maxTerms = 32, maxDegree = 8;
constexpr unsigned maxSize = 256;

constexpr int64_t lowest = std::numeric_limits<int64_t>::min();

int compareAtoms(const Atom &a, const Atom &b) {
  if (a == b)
    return 0;
  if (a->kind != b->kind)
    return a->kind < b->kind ? -1 : 1;
  if (a->kind == SymbolicAtom::Symbol)
    return a->name.compare(b->name);
  if (int order = SymbolicExpr::compare(a->lhs, b->lhs))
    return order;
  return SymbolicExpr::compare(a->rhs, b->rhs);
}

// Higher degrees first, so that constants print last.
int compareFactors(llvm::ArrayRef<Atom> a, llvm::ArrayRef<Atom> b) {
  if (a.size() != b.size())
    return a.size() > b.size() ? -1 : 1;
  for (auto [x, y] : llvm::zip(a, b))
    if (int order = compareAtoms(x, y))
      return order;
  return 0;
}
} // namespace

SymbolicExpr::SymbolicExpr(int64_t value) {
  auto terms = std::make_shared<Poly>();
  if (value != 0)
    terms->push_back({value, {}});
  poly = std::move(terms);
}

SymbolicExpr SymbolicExpr::symbol(llvm::StringRef name, int64_t least) {
  auto atom = std::make_shared<SymbolicAtom>();
  atom->name = name.str();
  atom->least = least;
  atom->findBounds();
  SymbolicTerm term{1, {}};
  term.factors.push_back(std::move(atom));
  return fromTerms({std::move(term)});
}

SymbolicExpr SymbolicExpr::measured(llvm::StringRef name, const SymbolicExpr &bound) {
  auto atom = std::make_shared<SymbolicAtom>();
  atom->name = name.str();
  atom->least = 0;
  atom->bound = bound;
  atom->findBounds();
  SymbolicTerm term{1, {}};
  term.factors.push_back(std::move(atom));
  return fromTerms({std::move(term)});
}

SymbolicExpr SymbolicExpr::fromTerms(Poly terms) {
  for (SymbolicTerm &term : terms)
    llvm::sort(term.factors, [](auto &a, auto &b) { return compareAtoms(a, b) < 0; });
  llvm::sort(terms, [](auto &a, auto &b) { return compareFactors(a.factors, b.factors) < 0; });
  Poly merged;
  for (SymbolicTerm &term : terms) {
    if (term.factors.size() > maxDegree)
      return {};
    if (merged.empty() || compareFactors(merged.back().factors, term.factors) != 0) {
      merged.push_back(std::move(term));
    } else if (llvm::AddOverflow(merged.back().coefficient, term.coefficient,
                                 merged.back().coefficient)) {
      return {};
    }
  }
  llvm::erase_if(merged, [](auto &term) { return term.coefficient == 0; });
  SymbolicExpr result;
  result.poly = std::make_shared<Poly>(std::move(merged));
  return result.terms().size() <= maxTerms && result.size() <= maxSize ? result : SymbolicExpr();
}

SymbolicExpr SymbolicExpr::fromAtom(int kind, const SymbolicExpr &a, const SymbolicExpr &b) {
  auto atom = std::make_shared<SymbolicAtom>();
  atom->kind = static_cast<SymbolicAtom::Kind>(kind);
  atom->lhs = a;
  atom->rhs = b;
  atom->size += a.size() + b.size();
  atom->findBounds();
  SymbolicTerm term{1, {}};
  term.factors.push_back(std::move(atom));
  return fromTerms({std::move(term)});
}

llvm::ArrayRef<SymbolicTerm> SymbolicExpr::terms() const {
  return poly ? llvm::ArrayRef<SymbolicTerm>(*poly) : llvm::ArrayRef<SymbolicTerm>();
}

unsigned SymbolicExpr::size() const {
  unsigned total = 0;
  for (const SymbolicTerm &term : terms())
    for (const Atom &factor : term.factors)
      total += factor->size;
  return total;
}

std::optional<int64_t> SymbolicExpr::constant() const {
  if (!poly)
    return std::nullopt;
  if (poly->empty())
    return 0;
  if (poly->size() == 1 && poly->front().factors.empty())
    return poly->front().coefficient;
  return std::nullopt;
}

const SymbolicAtom *SymbolicExpr::atom() const {
  if (!poly || poly->size() != 1 || poly->front().coefficient != 1 ||
      poly->front().factors.size() != 1)
    return nullptr;
  return poly->front().factors.front().get();
}

std::optional<llvm::StringRef> SymbolicExpr::symbolName() const {
  const SymbolicAtom *single = atom();
  if (!single || single->kind != SymbolicAtom::Symbol)
    return std::nullopt;
  return llvm::StringRef(single->name);
}

int SymbolicExpr::compare(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (a.poly == b.poly)
    return 0;
  if (!a.poly || !b.poly)
    return a.poly ? 1 : -1;
  for (auto [x, y] : llvm::zip(*a.poly, *b.poly)) {
    if (int order = compareFactors(x.factors, y.factors))
      return order;
    if (x.coefficient != y.coefficient)
      return x.coefficient < y.coefficient ? -1 : 1;
  }
  return a.poly->size() == b.poly->size() ? 0 : a.poly->size() < b.poly->size() ? -1 : 1;
}

bool operator==(const SymbolicExpr &a, const SymbolicExpr &b) {
  return a.poly && b.poly && SymbolicExpr::compare(a, b) == 0;
}

SymbolicExpr operator+(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (!a.poly || !b.poly)
    return {};
  SymbolicExpr::Poly terms = *a.poly;
  terms.insert(terms.end(), b.poly->begin(), b.poly->end());
  return SymbolicExpr::fromTerms(std::move(terms));
}

SymbolicExpr operator-(const SymbolicExpr &a, const SymbolicExpr &b) {
  return a + b * SymbolicExpr(-1);
}

SymbolicExpr operator*(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (!a.poly || !b.poly)
    return {};
  SymbolicExpr::Poly terms;
  for (const SymbolicTerm &x : *a.poly)
    for (const SymbolicTerm &y : *b.poly) {
      SymbolicTerm product = x;
      if (llvm::MulOverflow(x.coefficient, y.coefficient, product.coefficient))
        return {};
      product.factors.append(y.factors.begin(), y.factors.end());
      terms.push_back(std::move(product));
    }
  return SymbolicExpr::fromTerms(std::move(terms));
}

/// Whether `expr` is the greatest (or least) of `part` and something else.
static bool isExtremeOf(SymbolicAtom::Kind kind, const SymbolicExpr &expr,
                        const SymbolicExpr &part) {
  const SymbolicAtom *atom = expr.atom();
  return atom && atom->kind == kind && (atom->lhs == part || atom->rhs == part);
}

SymbolicExpr SymbolicExpr::min(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (!a.isKnown() || !b.isKnown())
    return {};
  if (auto x = a.constant(), y = b.constant(); x && y) // their difference may leave int64
    return std::min(*x, *y);
  if (provablyAtMost(a, b) || isExtremeOf(SymbolicAtom::Max, b, a))
    return a;
  if (provablyAtMost(b, a) || isExtremeOf(SymbolicAtom::Max, a, b))
    return b;
  return compare(a, b) < 0 ? fromAtom(SymbolicAtom::Min, a, b) : fromAtom(SymbolicAtom::Min, b, a);
}

SymbolicExpr SymbolicExpr::max(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (!a.isKnown() || !b.isKnown())
    return {};
  if (auto x = a.constant(), y = b.constant(); x && y)
    return std::max(*x, *y);
  if (provablyAtMost(a, b) || isExtremeOf(SymbolicAtom::Min, a, b))
    return b;
  if (provablyAtMost(b, a) || isExtremeOf(SymbolicAtom::Min, b, a))
    return a;
  return compare(a, b) < 0 ? fromAtom(SymbolicAtom::Max, a, b) : fromAtom(SymbolicAtom::Max, b, a);
}

SymbolicExpr SymbolicExpr::exactDiv(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (!a.isKnown() || !b.isKnown() || b.terms().empty())
    return {};
  if (b.terms().size() == 1) { // by a monomial: term by term
    const SymbolicTerm &divisor = b.terms().front();
    Poly quotient;
    for (const SymbolicTerm &term : a.terms()) {
      // The one overflow of division, INT64_MIN / -1, is left out with it.
      if (term.coefficient == lowest || term.coefficient % divisor.coefficient != 0)
        return {};
      SymbolicTerm result{term.coefficient / divisor.coefficient, term.factors};
      for (const Atom &factor : divisor.factors) {
        auto found = llvm::find_if(result.factors,
                                   [&](const Atom &other) { return !compareAtoms(factor, other); });
        if (found == result.factors.end())
          return {};
        result.factors.erase(found);
      }
      quotient.push_back(std::move(result));
    }
    return fromTerms(std::move(quotient));
  }
  if (a.terms().empty())
    return SymbolicExpr(0);
  // By a polynomial: the quotient that the leading terms suggest, checked by multiplying back.
  // Enough for (2 * seq + 2) * batch / (seq + 1).
  const SymbolicTerm &top = a.terms().front();
  if (a.terms().size() % b.terms().size() != 0)
    return {};
  SymbolicExpr candidate = exactDiv(fromTerms({top}), fromTerms({b.terms().front()}));
  return candidate * b == a ? candidate : SymbolicExpr();
}

SymbolicExpr SymbolicExpr::commonFactor(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (a.terms().empty() || b.terms().empty()) // zero has every factor
    return SymbolicExpr(1);
  std::optional<SymbolicTerm> common;
  for (const SymbolicExpr *side : {&a, &b})
    for (const SymbolicTerm &term : side->terms()) {
      if (term.coefficient == lowest)
        return SymbolicExpr(1);
      if (!common) {
        common = SymbolicTerm{std::abs(term.coefficient), {}};
        for (const Atom &factor : term.factors)
          if (fromTerms({{1, {factor}}}).lowerBound() > 0)
            common->factors.push_back(factor);
        continue;
      }
      common->coefficient = std::gcd(common->coefficient, term.coefficient);
      llvm::SmallVector<Atom, 2> left(term.factors), shared;
      for (const Atom &factor : common->factors)
        if (auto found = llvm::find_if(
                left, [&](const Atom &other) { return !compareAtoms(factor, other); });
            found != left.end()) {
          shared.push_back(factor);
          left.erase(found);
        }
      common->factors = shared;
    }
  return fromTerms({*common});
}

/// a = quotient * b + rest for b > 0: every term that b divides is in the quotient, and as much of
/// the constant as leaves the rest its sign.
static void takeMultiples(llvm::ArrayRef<SymbolicTerm> a, int64_t b,
                          std::vector<SymbolicTerm> &quotient, std::vector<SymbolicTerm> &rest) {
  for (SymbolicTerm term : a) {
    int64_t coefficient = term.coefficient;
    bool splits = term.factors.empty() || coefficient % b == 0;
    if (term.coefficient = splits ? coefficient / b : 0; term.coefficient != 0)
      quotient.push_back(term);
    if (term.coefficient = splits ? coefficient % b : coefficient; term.coefficient != 0)
      rest.push_back(term);
  }
}

SymbolicExpr SymbolicExpr::floorDiv(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (!a.isKnown() || !b.isKnown() || b.lowerBound() <= 0)
    return {};
  if (auto x = a.constant(), y = b.constant(); x && y)
    return SymbolicExpr(*x / *y - (*x % *y < 0));
  if (SymbolicExpr quotient = exactDiv(a, b); quotient.isKnown())
    return quotient;
  std::optional<int64_t> divisor = b.constant();
  if (!divisor)
    return fromAtom(SymbolicAtom::FloorDiv, a, b);
  // What the divisor divides comes out: (2 * seq + 5) / 2 is seq + 2 and a half rounded down.
  Poly whole, rest;
  for (const SymbolicTerm &term : a.terms()) {
    int64_t quotient = term.coefficient / *divisor, left = term.coefficient % *divisor;
    if (left < 0) {
      left += *divisor;
      --quotient;
    }
    bool split = term.factors.empty() || left == 0;
    if (split && quotient != 0)
      whole.push_back({quotient, term.factors});
    if (!split || left != 0)
      rest.push_back({split ? left : term.coefficient, term.factors});
  }
  SymbolicExpr outside = fromTerms(std::move(whole)), inside = fromTerms(std::move(rest));
  // (x / m + c) / n is (x + m * c) / (m * n), all rounded down: windows of windows.
  for (const SymbolicTerm &term : inside.terms()) {
    const SymbolicAtom *atom = term.factors.size() == 1 ? term.factors.front().get() : nullptr;
    SymbolicExpr other = inside - fromTerms({term});
    if (!atom || atom->kind != SymbolicAtom::FloorDiv || term.coefficient != 1 ||
        !atom->rhs.constant() || !other.constant())
      continue;
    SymbolicExpr merged = floorDiv(atom->lhs + atom->rhs * other, atom->rhs * b);
    if (merged.isKnown())
      return outside + merged;
  }
  if (inside.constant()) // a remainder, less than the divisor
    return outside;
  SymbolicExpr result = outside + fromAtom(SymbolicAtom::FloorDiv, inside, b);
  return result.isKnown() ? result : fromAtom(SymbolicAtom::FloorDiv, a, b);
}

SymbolicExpr SymbolicExpr::mod(const SymbolicExpr &a, const SymbolicExpr &b) {
  if (!a.isKnown() || !b.isKnown() || b.lowerBound() <= 0)
    return {};
  if (auto x = a.constant(), y = b.constant(); x && y)
    return SymbolicExpr(*x % *y + (*x % *y < 0 ? *y : 0));
  if (exactDiv(a, b).isKnown())
    return SymbolicExpr(0);
  if (std::optional<int64_t> divisor = b.constant()) {
    Poly quotient, rest;
    takeMultiples(a.terms(), *divisor, quotient, rest);
    if (!quotient.empty())
      return mod(fromTerms(std::move(rest)), b);
    // A remainder by a multiple of the divisor counts as what it is the remainder of.
    for (const SymbolicTerm &term : a.terms()) {
      const SymbolicAtom *atom = term.factors.size() == 1 ? term.factors.front().get() : nullptr;
      if (!atom || atom->kind != SymbolicAtom::Mod || !exactDiv(atom->rhs, b).isKnown())
        continue;
      SymbolicExpr replaced = a - fromTerms({term}) + SymbolicExpr(term.coefficient) * atom->lhs;
      if (replaced.isKnown())
        return mod(replaced, b);
    }
    // What is missing to a multiple, as x + mod(-x, 4) is: 4 * ((x + 3) / 4).
    if (a.terms().front().coefficient < 0) {
      SymbolicExpr missing = a + b * floorDiv(b - SymbolicExpr(1) - a, b);
      if (missing.isKnown())
        return missing;
    }
  }
  return fromAtom(SymbolicAtom::Mod, a, b);
}

bool SymbolicExpr::contains(llvm::StringRef symbol) const {
  return llvm::any_of(terms(), [&](const SymbolicTerm &term) {
    return llvm::any_of(term.factors, [&](const Atom &factor) {
      return factor->kind == SymbolicAtom::Symbol
                 ? factor->name == symbol
                 : factor->lhs.contains(symbol) || factor->rhs.contains(symbol);
    });
  });
}

/// The expression with each symbol replaced by what `choose` gives for its atom.
SymbolicExpr
SymbolicExpr::replaceSymbols(llvm::function_ref<SymbolicExpr(const Atom &)> choose) const {
  auto replaced = [&](const Atom &atom) {
    if (atom->kind == SymbolicAtom::Symbol)
      return choose(atom);
    SymbolicExpr a = atom->lhs.replaceSymbols(choose), b = atom->rhs.replaceSymbols(choose);
    switch (atom->kind) {
    case SymbolicAtom::FloorDiv:
      return SymbolicExpr::floorDiv(a, b);
    case SymbolicAtom::Mod:
      return SymbolicExpr::mod(a, b);
    case SymbolicAtom::Min:
      return SymbolicExpr::min(a, b);
    default:
      return SymbolicExpr::max(a, b);
    }
  };
  SymbolicExpr sum(0);
  for (const SymbolicTerm &term : terms()) {
    SymbolicExpr product(term.coefficient);
    for (const Atom &factor : term.factors)
      product = product * replaced(factor);
    sum = sum + product;
  }
  return sum;
}

bool SymbolicExpr::cancelTerms(SymbolicExpr &lhs, SymbolicExpr &rhs) {
  SymbolicExpr difference = lhs - rhs;
  Poly left, right;
  for (SymbolicTerm term : difference.terms()) {
    if (term.coefficient == lowest)
      return false;
    Poly &side = term.coefficient > 0 ? left : right;
    term.coefficient = std::abs(term.coefficient);
    side.push_back(std::move(term));
  }
  if (left.empty() || right.empty() ||
      left.size() + right.size() >= lhs.terms().size() + rhs.terms().size())
    return false;
  lhs = fromTerms(std::move(left));
  rhs = fromTerms(std::move(right));
  return true;
}

SymbolicExpr SymbolicExpr::substitute(llvm::StringRef symbol, const SymbolicExpr &value) const {
  if (!contains(symbol))
    return *this;
  return replaceSymbols(
      [&](const Atom &atom) { return atom->name == symbol ? value : fromTerms({{1, {atom}}}); });
}

bool SymbolicExpr::isPositiveUnlessInputsEmpty() const {
  if (lowerBound() >= 1)
    return true;
  SymbolicExpr filled = replaceSymbols([](const Atom &atom) {
    return atom->bound.isKnown() ? fromTerms({{1, {atom}}}) : symbol(atom->name);
  });
  return isKnown() && filled.lowerBound() >= 1;
}

unsigned SymbolicExpr::complexity() const {
  unsigned result = 0;
  for (const SymbolicTerm &term : terms()) {
    result += term.factors.empty() ? 0 : (term.coefficient != 1);
    for (const Atom &factor : term.factors)
      result += factor->kind == SymbolicAtom::Symbol
                    ? 1
                    : 2 + factor->lhs.complexity() + factor->rhs.complexity();
  }
  return result + (terms().size() > 1 ? terms().size() : 0);
}

std::string SymbolicExpr::str() const {
  if (!poly)
    return "?";
  if (poly->empty())
    return "0";
  static const char *const names[] = {"", "floordiv", "mod", "min", "max"};
  std::string text;
  for (const SymbolicTerm &term : *poly) {
    std::string product;
    for (const Atom &factor : term.factors) {
      product += product.empty() ? "" : " * ";
      product +=
          factor->kind == SymbolicAtom::Symbol
              ? factor->name
              : names[factor->kind] + ("(" + factor->lhs.str()) + ", " + factor->rhs.str() + ")";
    }
    bool negative = term.coefficient < 0;
    std::string magnitude = std::to_string(term.coefficient).substr(negative ? 1 : 0);
    if (text.empty())
      text = negative ? "-" : "";
    else
      text += negative ? " - " : " + ";
    if (product.empty())
      text += magnitude;
    else
      text += (magnitude == "1" ? "" : magnitude + " * ") + product;
  }
  return text;
}

} // namespace rapt::onnx
