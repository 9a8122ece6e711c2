//===- VersionsEinsum.cpp - Einsum => MatMul, Mul, ReduceSum, Transpose ----------------------===//
//
// Operands are contracted from left to right. Two of them that share summed labels become one
// MatMul of [batch..., rows, summed] and [batch..., summed, columns], batch labels in the order of
// the result: so attention written with any labels is the same MatMul that other exporters write.
// Without shared summed labels the product is a broadcast Mul.
//
// Source: ONNX Einsum-12; numpy.einsum.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

#include "llvm/ADT/StringExtras.h"

#include <map>

using namespace mlir;

namespace rapt::onnx {

namespace {
/// A letter, or a negative number for a dim of the ellipsis: -1 is the last one.
using Label = int;
using Labels = SmallVector<Label>;

/// A tensor and the label of each of its dims.
struct Operand {
  Value value;
  Labels labels;
};

class Einsum {
public:
  explicit Einsum(NodeBuilder &b) : b(b) {}
  Value run(StringRef equation, ArrayRef<Value> inputs);

private:
  /// One term of the equation: letters, and where the ellipsis stands.
  struct Term {
    Labels letters;
    std::optional<size_t> ellipsis;
  };
  // The equation. After an error these are false or nothing.
  std::optional<Term> parse(StringRef text);
  bool parseOperands(StringRef text, ArrayRef<Value> inputs);
  /// `text` is what follows the arrow; none: the result is implied.
  bool parseResult(std::optional<StringRef> text);
  bool checkSizes();
  Labels expand(const Term &term, int64_t dots) const;

  // The product.
  /// Whether the result or an operand from number `from` on has the label.
  bool isNeeded(Label label, size_t from) const;
  /// The product of all operands before number `i`, and that one.
  Operand join(Operand total, size_t i);
  Value diagonal(Operand &operand);
  Operand sumAway(Operand operand, function_ref<bool(Label)> isNeeded);
  Operand multiply(const Operand &x, const Operand &y);
  Operand contract(const Operand &x, const Operand &y, const Labels &summed);
  /// `operand` with its dims in the order of `labels`, those it lacks with size 1 if `fill`.
  Value arranged(const Operand &operand, const Labels &labels, bool fill = false);
  /// Those of the result first, in its order.
  Labels inOrder(const Labels &labels) const;
  bool isOne(const Operand &operand, Label label);
  size_t rankIn(const Labels &order, Label label) const {
    return llvm::find(order, label) - order.begin();
  }

  NodeBuilder &b;
  SmallVector<Operand> operands;
  std::map<Label, int> uses; ///< how often each label occurs among the operands
  int64_t dots = 0;          ///< dims that the ellipsis stands for, in the operand with most
  Labels output;
};

std::string nameOf(Label label) {
  return label > 0 ? "label '" + std::string(1, static_cast<char>(label)) + "'"
                   : "dim " + std::to_string(label) + " of the ellipsis";
}

std::optional<Einsum::Term> Einsum::parse(StringRef text) {
  Term term;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("...")) {
      if (term.ellipsis) {
        b.error("attribute 'equation' has two ellipses in a term, expected at most one");
        return std::nullopt;
      }
      term.ellipsis = term.letters.size();
      i += 2;
      continue;
    }
    if (!llvm::isAlpha(text[i])) {
      b.error("attribute 'equation' has '" + Twine(text.substr(i, 1)) +
              "', expected letters, '...', ',' and '->'");
      return std::nullopt;
    }
    term.letters.push_back(text[i]);
  }
  return term;
}

Labels Einsum::expand(const Term &term, int64_t dots) const {
  Labels labels(term.letters);
  if (term.ellipsis) {
    Labels inner;
    for (int64_t i = -dots; i < 0; ++i)
      inner.push_back(static_cast<Label>(i));
    labels.insert(labels.begin() + *term.ellipsis, inner.begin(), inner.end());
  }
  return labels;
}

/// Drops dims whose label comes earlier: the elements off the diagonal become zero, then their sum
/// is the diagonal.
Value Einsum::diagonal(Operand &operand) {
  for (size_t j = 0; j < operand.labels.size() && !b.stopped();) {
    size_t i = rankIn(operand.labels, operand.labels[j]);
    if (i == j) {
      ++j;
      continue;
    }
    int64_t rank = b.rank(operand.value);
    Value rows = iota(b, scalarDimOf(b, operand.value, i), i, rank);
    Value columns = iota(b, scalarDimOf(b, operand.value, j), j, rank);
    Value zero = b.makeScalar(b.elementType(operand.value), 0);
    Value kept = where(b, binary<EqualOp>(b, rows, columns), operand.value, zero);
    operand.value = reduce<ReduceSumOp>(b, kept, {static_cast<int64_t>(j)}, /*keepdims=*/false);
    operand.labels.erase(operand.labels.begin() + j);
  }
  return operand.value;
}

Operand Einsum::sumAway(Operand operand, function_ref<bool(Label)> isNeeded) {
  SmallVector<int64_t> axes;
  Labels kept;
  for (auto [axis, label] : llvm::enumerate(operand.labels)) {
    if (isNeeded(label))
      kept.push_back(label);
    else
      axes.push_back(axis);
  }
  if (!axes.empty())
    operand.value = reduce<ReduceSumOp>(b, operand.value, axes, /*keepdims=*/false);
  operand.labels = kept;
  return operand;
}

Value Einsum::arranged(const Operand &operand, const Labels &labels, bool fill) {
  SmallVector<int64_t> perm, missing;
  for (auto [i, label] : llvm::enumerate(labels)) {
    if (llvm::is_contained(operand.labels, label))
      perm.push_back(rankIn(operand.labels, label));
    else
      missing.push_back(i);
  }
  Value value = transpose(b, operand.value, perm);
  return fill ? unsqueeze(b, value, missing) : value;
}

Labels Einsum::inOrder(const Labels &labels) const {
  Labels result;
  for (Label label : output)
    if (llvm::is_contained(labels, label))
      result.push_back(label);
  for (Label label : labels)
    if (!llvm::is_contained(output, label))
      result.push_back(label);
  return result;
}

bool Einsum::isOne(const Operand &operand, Label label) {
  auto type = cast<RankedTensorType>(operand.value.getType());
  return type.getDimSize(rankIn(operand.labels, label)) == 1;
}

Operand Einsum::multiply(const Operand &x, const Operand &y) {
  Labels all(x.labels);
  for (Label label : y.labels)
    if (!llvm::is_contained(all, label))
      all.push_back(label);
  all = inOrder(all);
  // Leading dims that an operand lacks need not be there.
  auto aligned = [&](const Operand &operand) {
    ArrayRef<Label> order(all);
    while (!order.empty() && !llvm::is_contained(operand.labels, order.front()))
      order = order.drop_front();
    return arranged(operand, Labels(order), /*fill=*/true);
  };
  return {binary<MulOp>(b, aligned(x), aligned(y)), all};
}

Operand Einsum::contract(const Operand &left, const Operand &right, const Labels &summed) {
  Operand x = left, y = right;
  auto split = [&](const Operand &one, const Operand &other, bool shared) {
    Labels result;
    for (Label label : one.labels)
      if (!llvm::is_contained(summed, label) && llvm::is_contained(other.labels, label) == shared)
        result.push_back(label);
    return inOrder(result);
  };
  Labels batch = split(x, y, true), rows = split(x, y, false), columns = split(y, x, false);
  // The operand whose labels come first in the result is on the left.
  if (!rows.empty() && !columns.empty() &&
      rankIn(output, columns.front()) < rankIn(output, rows.front())) {
    std::swap(x, y);
    std::swap(rows, columns);
  }
  // Where the product is transposed in any case, the operands keep the order that they have.
  Labels direct(batch);
  llvm::append_range(direct, rows);
  llvm::append_range(direct, columns);
  if (direct != inOrder(direct))
    for (auto [labels, operand] : {std::pair(&rows, &x), {&columns, &y}})
      llvm::sort(*labels, [&, own = &operand->labels](Label one, Label other) {
        return rankIn(*own, one) < rankIn(*own, other);
      });
  // One matrix for all rows: they stay dims of their own.
  if (batch.empty() && rows.size() > 1 && summed.size() == 1 && columns.size() == 1) {
    Labels order(rows), labels(rows);
    order.push_back(summed.front());
    labels.push_back(columns.front());
    Value matrix = arranged(y, {summed.front(), columns.front()});
    return {binary<MatMulOp>(b, arranged(x, order), matrix), labels};
  }
  // The sizes of the given labels of `operand`, and their product, as vectors.
  auto sizes = [&](const Operand &operand, const Labels &labels) {
    SmallVector<Value> dims;
    for (Label label : labels)
      dims.push_back(dimOf(b, operand.value, rankIn(operand.labels, label)));
    return dims;
  };
  auto product = [&](ArrayRef<Value> dims) {
    Value result = dims.empty() ? b.makeInts({1}) : dims.front();
    for (Value dim : dims.drop_front(dims.empty() ? 0 : 1))
      result = binary<MulOp>(b, result, dim);
    return result;
  };
  auto matrix = [&](const Operand &operand, const Labels &first, const Labels &second) {
    Labels order(batch);
    llvm::append_range(order, first);
    llvm::append_range(order, second);
    Value value = arranged(operand, order);
    if (first.size() == 1 && second.size() == 1)
      return value;
    SmallVector<Value> dims = sizes(operand, batch);
    dims.push_back(product(sizes(operand, first)));
    dims.push_back(product(sizes(operand, second)));
    return reshape(b, value, joinDims(b, dims));
  };
  Value matmul = binary<MatMulOp>(b, matrix(x, rows, summed), matrix(y, summed, columns));
  Labels labels(batch);
  llvm::append_range(labels, rows);
  llvm::append_range(labels, columns);
  if (rows.size() != 1 || columns.size() != 1) {
    int64_t count = batch.size();
    SmallVector<Value> dims;
    if (count && !b.stopped())
      dims.push_back(dimsOf(b, matmul, 0, count));
    llvm::append_range(dims, sizes(x, rows));
    llvm::append_range(dims, sizes(y, columns));
    matmul = reshape(b, matmul, joinDims(b, dims));
  }
  return {matmul, labels};
}

bool Einsum::parseOperands(StringRef text, ArrayRef<Value> inputs) {
  SmallVector<StringRef> terms;
  text.split(terms, ',');
  if (terms.size() != inputs.size()) {
    b.error("attribute 'equation' has " + Twine(terms.size()) + " terms, expected " +
            Twine(inputs.size()) + " as there are inputs");
    return false;
  }
  for (auto [i, text] : llvm::enumerate(terms)) {
    std::optional<Term> term = parse(text);
    if (!term)
      return false;
    int64_t rank = b.rank(inputs[i]), letters = term->letters.size();
    if (term->ellipsis ? rank < letters : rank != letters) {
      b.error("input " + Twine(i) + " has rank " + Twine(rank) + ", expected " +
              (term->ellipsis ? "at least " : "") + Twine(letters) + " as term '" + text +
              "' of the equation says");
      return false;
    }
    if (term->ellipsis)
      dots = std::max(dots, rank - letters);
    operands.push_back({inputs[i], expand(*term, rank - letters)});
    for (Label label : operands.back().labels)
      ++uses[label];
  }
  return true;
}

bool Einsum::parseResult(std::optional<StringRef> text) {
  Term result;
  if (text) {
    std::optional<Term> parsed = parse(*text);
    if (!parsed)
      return false;
    result = *parsed;
  } else { // the ellipsis, then in alphabetical order what occurs once
    result.ellipsis = 0;
    for (auto [label, count] : uses)
      if (label > 0 && count == 1)
        result.letters.push_back(label);
  }
  output = expand(result, dots);
  for (auto [i, label] : llvm::enumerate(output))
    if (!uses.count(label) || rankIn(output, label) != i) {
      b.error("attribute 'equation' has " + nameOf(label) +
              " in its result, expected labels of the operands, each once");
      return false;
    }
  return true;
}

/// One label stands for one size, or 1.
bool Einsum::checkSizes() {
  std::map<Label, std::pair<size_t, SymbolicExpr>> known; // the operand that has it first
  for (auto [i, operand] : llvm::enumerate(operands))
    for (auto [axis, label] : llvm::enumerate(operand.labels)) {
      SymbolicExpr size = b.dim(operand.value, axis);
      if (size.is(1))
        continue;
      auto [found, isNew] = known.try_emplace(label, i, size);
      if (isNew || !SymbolicExpr::provablyDifferent(found->second.second, size))
        continue;
      b.error(nameOf(label) + " of the equation is " + found->second.second.str() + " in input " +
              Twine(found->second.first) + " and " + size.str() + " in input " + Twine(i) +
              ", expected one size");
      return false;
    }
  return true;
}

bool Einsum::isNeeded(Label label, size_t from) const {
  return llvm::is_contained(output, label) ||
         llvm::any_of(llvm::drop_begin(operands, from), [&](const Operand &operand) {
           return llvm::is_contained(operand.labels, label);
         });
}

Operand Einsum::join(Operand total, size_t i) {
  // What only one of the two has, and nobody needs, goes first.
  Operand next = operands[i];
  Labels before(total.labels);
  total = sumAway(total, [&](Label label) {
    return isNeeded(label, i + 1) || llvm::is_contained(next.labels, label);
  });
  next = sumAway(next, [&](Label label) {
    return isNeeded(label, i + 1) || llvm::is_contained(before, label);
  });
  if (b.stopped())
    return total;
  Labels summed;
  bool isMatMul = true;
  for (Label label : total.labels)
    if (!isNeeded(label, i + 1)) {
      summed.push_back(label);
      isMatMul &= isOne(total, label) == isOne(next, label); // MatMul does not broadcast these
    }
  if (!summed.empty() && isMatMul)
    return contract(total, next, summed);
  return sumAway(multiply(total, next), [&](Label label) { return isNeeded(label, i + 1); });
}

Value Einsum::run(StringRef equation, ArrayRef<Value> inputs) {
  std::string text = equation.str();
  llvm::erase_if(text, [](char c) { return c == ' '; });
  auto [left, right] = StringRef(text).split("->");
  bool isExplicit = StringRef(text).contains("->");
  if (!parseOperands(left, inputs) ||
      !parseResult(isExplicit ? std::optional(right) : std::nullopt) || !checkSizes())
    return {};
  for (Operand &operand : operands)
    operand.value = diagonal(operand);
  Operand total = operands.front();
  for (size_t i = 1; i < operands.size() && !b.stopped(); ++i)
    total = join(total, i);
  if (b.stopped())
    return {};
  total = sumAway(total, [&](Label label) { return llvm::is_contained(output, label); });
  return arranged(total, output);
}

void upgradeEinsum(NodeBuilder &b) {
  SmallVector<Value> inputs = b.allInputs();
  if (!b.has("equation"))
    b.error("attribute 'equation' is missing");
  StringRef equation = b.stringAttr("equation", "");
  if (!b.stopped())
    b.out(0, Einsum(b).run(equation, inputs));
}
} // namespace

void addEinsum(std::vector<Operator> &table) {
  table.push_back({"Einsum", 12, "float, int",
                   "any number of operands, ellipsis, repeated labels; becomes MatMul, Mul and "
                   "ReduceSum",
                   upgradeEinsum});
}

} // namespace rapt::onnx
