//===- SymbolicExpr.h - Integer expressions over named dims ------------------------*- C++ -*-===//
//
// What a dynamic dim or an element of a shape tensor is: a polynomial with int64 coefficients over
// atoms, where an atom is a symbol (`batch`) or one of floordiv, mod, min, max of two expressions.
// Expressions are immutable and kept in normal form, so that equal expressions compare equal.
//
// A symbol is a dim of an input. It is at least 1, or at least 0 where the importer found that the
// graph works with such an input empty (frontends/onnx/EmptyDims.h). A measured symbol is a size
// that data decides while the model runs (how many elements are not zero): from 0 up to a bound
// that is an expression over the dims of the inputs.
// Arithmetic that leaves int64, or grows past a fixed size, gives the unknown expression.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_SYMBOLICEXPR_H
#define RAPT_DIALECTS_ONNX_SYMBOLICEXPR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rapt::onnx {

struct SymbolicAtom;
using Atom = std::shared_ptr<const SymbolicAtom>;

/// coefficient * product of factors; the factors are sorted and may repeat.
struct SymbolicTerm {
  int64_t coefficient = 0;
  llvm::SmallVector<Atom, 2> factors;
};

class SymbolicExpr {
public:
  SymbolicExpr() = default; ///< unknown
  SymbolicExpr(int64_t value);
  /// `least` is 0 or 1, and the same wherever the symbol stands.
  static SymbolicExpr symbol(llvm::StringRef name, int64_t least = 1);
  /// `bound` is known, has no measured symbols, and is the same wherever the symbol stands.
  static SymbolicExpr measured(llvm::StringRef name, const SymbolicExpr &bound);

  bool isKnown() const { return poly != nullptr; }
  /// The value, when the expression has no symbols.
  std::optional<int64_t> constant() const;
  bool is(int64_t value) const { return constant() == value; }
  /// The symbol, when the expression is nothing else.
  std::optional<llvm::StringRef> symbolName() const;
  /// The atom, when the expression is one atom and nothing else; else null.
  const SymbolicAtom *atom() const;
  llvm::ArrayRef<SymbolicTerm> terms() const;

  /// Same normal form. Unknown equals nothing, itself included.
  friend bool operator==(const SymbolicExpr &a, const SymbolicExpr &b);
  friend bool operator!=(const SymbolicExpr &a, const SymbolicExpr &b) { return !(a == b); }
  friend SymbolicExpr operator+(const SymbolicExpr &a, const SymbolicExpr &b);
  friend SymbolicExpr operator-(const SymbolicExpr &a, const SymbolicExpr &b);
  friend SymbolicExpr operator*(const SymbolicExpr &a, const SymbolicExpr &b);
  static SymbolicExpr min(const SymbolicExpr &a, const SymbolicExpr &b);
  static SymbolicExpr max(const SymbolicExpr &a, const SymbolicExpr &b);
  /// Rounds towards minus infinity; `b` must be provably positive, else unknown.
  static SymbolicExpr floorDiv(const SymbolicExpr &a, const SymbolicExpr &b);
  /// a - b * floorDiv(a, b); `b` must be provably positive, else unknown.
  static SymbolicExpr mod(const SymbolicExpr &a, const SymbolicExpr &b);
  /// The polynomial q with q * b == a for all values of the symbols; unknown if none was found.
  static SymbolicExpr exactDiv(const SymbolicExpr &a, const SymbolicExpr &b);

  /// The greatest monomial that divides every term of both and is provably positive: 32 * batch of
  /// 32 * batch * seq and 224 * batch.
  static SymbolicExpr commonFactor(const SymbolicExpr &a, const SymbolicExpr &b);

  /// Takes the terms that both sides have off them, so that what is left is equal where they were.
  /// False, and nothing is changed, when there are none or a side would be 0.
  static bool cancelTerms(SymbolicExpr &lhs, SymbolicExpr &rhs);

  /// The expression with `value` in place of a symbol.
  SymbolicExpr substitute(llvm::StringRef symbol, const SymbolicExpr &value) const;
  bool contains(llvm::StringRef symbol) const;
  bool hasMeasured() const;
  /// The expression as if its measured symbols were dims of inputs that are at least 1.
  SymbolicExpr withPositiveMeasured() const;
  /// An expression over the dims of the inputs that is never below this one; unknown if none was
  /// found.
  SymbolicExpr withoutMeasured() const;

  /// What holds for all values of the symbols; INT64_MIN and INT64_MAX stand for no bound.
  int64_t lowerBound() const;
  int64_t upperBound() const;
  /// Whether integers of `width` bits hold the expression for all dims that a model can have: up to
  /// 2^31 - 1 each, and their products up to 2^47, as many elements as memory has place for. Beside
  /// numbers of 32 bits and less, dims and their products are up to 2^24: with more of them, what
  /// exporters add and multiply there would wrap around in the model, too.
  bool fits(unsigned width, bool isUnsigned) const;
  /// Whether the expression is at least 1 wherever all dims of inputs are: what is empty then is so
  /// because an input is.
  bool isPositiveUnlessInputsEmpty() const;
  /// a != b for all values of the symbols.
  static bool provablyDifferent(const SymbolicExpr &a, const SymbolicExpr &b);
  /// a <= b for all values of the symbols.
  static bool provablyAtMost(const SymbolicExpr &a, const SymbolicExpr &b);

  /// How much there is to compute: 0 for a constant, 1 for a symbol, more for the rest.
  unsigned complexity() const;
  /// "2 * seq + 1", "min(seq, 512)", "?" for unknown.
  std::string str() const;

  /// A total order of known expressions, by structure.
  static int compare(const SymbolicExpr &a, const SymbolicExpr &b);

private:
  using Poly = std::vector<SymbolicTerm>; // sorted by factors, no zero coefficients
  static SymbolicExpr fromTerms(Poly terms);
  unsigned size() const;
  static SymbolicExpr fromAtom(int kind, const SymbolicExpr &a, const SymbolicExpr &b);
  static bool isNeverNegative(const SymbolicExpr &expr, int &steps);
  SymbolicExpr replaceSymbols(llvm::function_ref<SymbolicExpr(const Atom &)> choose) const;

  std::shared_ptr<const Poly> poly; // null: unknown
};

/// A symbol, or an operation that polynomials cannot express.
struct SymbolicAtom {
  enum Kind { Symbol, FloorDiv, Mod, Min, Max } kind = Symbol;
  std::string name;      ///< of a Symbol
  int64_t least = 1;     ///< of a Symbol: 0 when it may be empty
  SymbolicExpr bound;    ///< of a measured Symbol
  SymbolicExpr lhs, rhs; ///< of the others
  unsigned size = 1;     ///< atoms in it, itself included
  int64_t low = 0,
          high = 0; ///< its bounds, found when it is made: operands may be many times there

  void findBounds();
};

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_SYMBOLICEXPR_H
