//===- Work.cpp - How much one call of a kernel has to do ------------------------===//
//
// A KernelSpec in, two polynomials out. Operations follow from the loops of the reductions. Bytes
// follow from the loads: one load reads as many elements as the loops in its indices have points;
// loads at the same indices read the same elements; and no tensor has more elements to read than it
// holds, as far as that can be said without the dims.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/Work.h"

#include "compiler/Kernels/SpecQueries.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

namespace rapt::kernels {

//===-------------------------------------------------------------------------------------===//
// Polynomials
//===-------------------------------------------------------------------------------------===//

/// Wraps around: only nonsensical sizes come near, and a count of work is all that depends on it.
static int64_t wrappingAdd(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
static int64_t wrappingMul(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }

static Extent multiply(const Extent &a, const Extent &b) {
  Extent product = Extent{1, a.dims} * Extent{1, b.dims};
  product.factor = wrappingMul(a.factor, b.factor);
  return product;
}

void ExtentSum::add(const Extent &term) {
  auto place = std::lower_bound(sum.begin(), sum.end(), term, [](const Extent &a, const Extent &b) {
    return std::pair(a.dims.size(), a.dims) < std::pair(b.dims.size(), b.dims);
  });
  if (place == sum.end() || place->dims != term.dims)
    place = sum.insert(place, Extent{0, term.dims});
  place->factor = wrappingAdd(place->factor, term.factor);
  if (place->factor == 0)
    sum.erase(place);
}

ExtentSum ExtentSum::operator+(const ExtentSum &other) const {
  ExtentSum result = *this;
  for (const Extent &term : other.sum)
    result.add(term);
  return result;
}

ExtentSum ExtentSum::operator*(const ExtentSum &other) const {
  ExtentSum result;
  for (const Extent &a : sum)
    for (const Extent &b : other.sum)
      result.add(multiply(a, b));
  return result;
}

double ExtentSum::evaluate(const std::vector<int64_t> &dims) const {
  double result = 0;
  for (const Extent &term : sum) {
    double product = double(term.factor);
    for (int dim : term.dims)
      product *= double(dims[dim]);
    result += product;
  }
  return result;
}

std::string ExtentSum::print() const {
  std::string text;
  for (const Extent &term : sum) {
    bool isNegative = term.factor < 0;
    text += text.empty() ? (isNegative ? "-" : "") : (isNegative ? " - " : " + ");
    uint64_t size = isNegative ? -uint64_t(term.factor) : uint64_t(term.factor);
    bool needsFactor = size != 1 || term.dims.empty();
    if (needsFactor)
      text += std::to_string(size);
    for (size_t i = 0; i < term.dims.size(); ++i)
      text += (i || needsFactor ? "*d" : "d") + std::to_string(term.dims[i]);
  }
  return text.empty() ? "0" : text;
}

//===-------------------------------------------------------------------------------------===//
// Operations
//===-------------------------------------------------------------------------------------===//

static bool hasLoad(const ExprRef &expr) {
  return anyNode(expr, [](const Expr &node) { return node.kind == Expr::Kind::Load; });
}

/// The factors of a product, however it is nested and cast between floats, each node once: x * x of
/// x * x of ... has as many factors as two to the number of nodes.
static void collectFactors(const ExprRef &expr, std::set<const Expr *> &seen,
                           std::vector<ExprRef> &factors) {
  if (!seen.insert(expr.get()).second)
    return;
  if (expr->kind == Expr::Kind::Cast && isFloat(expr->operands[0]->type))
    return collectFactors(expr->operands[0], seen, factors);
  if (expr->kind != Expr::Kind::Binary || expr->binary != BinaryOp::Mul)
    return factors.push_back(expr);
  collectFactors(expr->operands[0], seen, factors);
  collectFactors(expr->operands[1], seen, factors);
}

static bool isMatrixProduct(const LoopStage &loop) {
  if (loop.reduction != Reduction::Sum || !isFloat(loop.body->type))
    return false;
  std::vector<ExprRef> factors;
  std::set<const Expr *> seen;
  collectFactors(loop.body, seen, factors);
  std::set<std::vector<bool>> loopsOfFactors;
  for (const ExprRef &factor : factors) {
    if (!hasLoad(factor))
      continue;
    std::vector<bool> uses;
    for (int i = 0; i < loop.parallel; ++i)
      uses.push_back(usesLoop(factor, i));
    loopsOfFactors.insert(std::move(uses));
  }
  return loopsOfFactors.size() > 1;
}

/// An index expression as a polynomial of the dims; nothing when it is none, or when it takes more
/// than `steps` to say.
static std::optional<ExtentSum> polynomial(const ExprRef &expr, int &steps) {
  if (steps-- <= 0)
    return std::nullopt;
  if (expr->kind == Expr::Kind::Int)
    return ExtentSum(Extent{expr->integer, {}});
  if (expr->kind == Expr::Kind::Dim)
    return ExtentSum(Extent{1, {static_cast<int>(expr->integer)}});
  if (expr->kind != Expr::Kind::Binary)
    return std::nullopt;
  bool isProduct = expr->binary == BinaryOp::Mul, isDifference = expr->binary == BinaryOp::Sub;
  if (!isProduct && !isDifference && expr->binary != BinaryOp::Add)
    return std::nullopt;
  auto a = polynomial(expr->operands[0], steps);
  auto b = a ? polynomial(expr->operands[1], steps) : std::nullopt;
  if (!b)
    return std::nullopt;
  if (isProduct)
    return *a * *b;
  return *a + (isDifference ? *b * Extent{-1, {}} : *b);
}

/// Twice the number of (query, key) pairs of one head.
static ExtentSum twicePairs(const AttentionStage &attention) {
  ExtentSum queries = attention.queries, keys = attention.keys;
  ExtentSum before = keys + queries * Extent{-1, {}}; // keys that the first query has before it
  int steps = 32;                                     // a difference of lengths takes a few
  auto offset = attention.causalOffset ? polynomial(*attention.causalOffset, steps) : std::nullopt;
  if (offset != before)
    return queries * keys * Extent{2, {}};
  return queries * (queries + before * Extent{2, {}} + Extent{1, {}}); // 2 * sum of i + before + 1
}

static ExtentSum operations(const Stage &stage) {
  if (stage.attention) {
    const AttentionStage &a = *stage.attention;
    return twicePairs(a) * a.batch * Extent{a.heads, {}} * Extent{a.headDim + a.valueDim, {}};
  }
  if (!isMatrixProduct(stage.loop))
    return {};
  ExtentSum product = Extent{2, {}};
  for (const Extent &extent : stage.loop.loops)
    product = product * extent;
  return product;
}

//===-------------------------------------------------------------------------------------===//
// Bytes
//===-------------------------------------------------------------------------------------===//

static Extent elements(const std::vector<Extent> &shape) {
  Extent product;
  for (const Extent &extent : shape)
    product = multiply(product, extent);
  return product;
}

/// Whether a <= b for all dims from 1 up.
static bool atMost(const Extent &a, const Extent &b) {
  return a.factor <= b.factor &&
         std::includes(b.dims.begin(), b.dims.end(), a.dims.begin(), a.dims.end());
}

/// Whether no two points of the loops that `load` uses read the same element: every index is a sum
/// with one loop at most, and every loop is in one index at most.
static bool isSlice(const Expr &load, size_t numLoops) {
  std::vector<int> uses(numLoops);
  for (const ExprRef &index : load.operands) {
    int inThis = 0;
    for (size_t i = 0; i < numLoops; ++i) {
      bool isUsed = usesLoop(index, static_cast<int>(i));
      uses[i] += isUsed;
      inThis += isUsed;
    }
    bool isSum = !anyNode(index, [](const Expr &node) {
      return node.kind == Expr::Kind::Binary && node.binary != BinaryOp::Add &&
             node.binary != BinaryOp::Sub;
    });
    if (inThis > 1 || (inThis == 1 && !isSum))
      return false;
  }
  return std::all_of(uses.begin(), uses.end(), [](int count) { return count <= 1; });
}

namespace {
/// What the stages read of the inputs.
class Reads {
public:
  explicit Reads(const KernelSpec &spec) : spec(spec), read(spec.numInputs) {}

  /// Adds the loads of inputs in `expr`, whose loop i runs over loops[i]. Null adds nothing.
  void add(const ExprRef &expr, const std::vector<Extent> &loops) {
    numbers.clear();
    anyNode(expr, [&](const Expr &node) {
      if (node.kind == Expr::Kind::Load && node.integer < spec.numInputs)
        addLoad(node, loops);
      return false;
    });
  }

  ExtentSum bytes() const {
    ExtentSum result;
    for (int input = 0; input < spec.numInputs; ++input)
      result = result + elementsOf(input) * Extent{byteWidth(spec.tensors[input].type), {}};
    return result;
  }

private:
  struct Read {
    std::set<std::vector<int>> places; // the numbers of the indices
    ExtentSum elements;
    bool isCounted = true; // `elements` is right or best, even if the tensor may have less
  };
  using Key = std::tuple<int, int, int64_t, uint64_t, int, int, std::vector<int>>;

  /// Equal subtrees over equal loops have equal numbers.
  int numberOf(const Expr &expr, const std::vector<Extent> &loops) {
    if (auto found = numbers.find(&expr); found != numbers.end())
      return found->second;
    std::vector<int> parts;
    for (const ExprRef &operand : expr.operands)
      parts.push_back(numberOf(*operand, loops));
    if (expr.kind == Expr::Kind::Loop)
      parts.push_back(numberOf(loops[expr.integer]));
    Key key{int(expr.kind),  int(expr.type),   expr.integer,    std::bit_cast<uint64_t>(expr.real),
            int(expr.unary), int(expr.binary), std::move(parts)};
    int number = keys.try_emplace(std::move(key), int(keys.size())).first->second;
    numbers.emplace(&expr, number);
    return number;
  }

  int numberOf(const Extent &extent) {
    auto found = std::find(extents.begin(), extents.end(), extent);
    if (found == extents.end())
      found = extents.insert(extents.end(), extent);
    return static_cast<int>(found - extents.begin());
  }

  void addLoad(const Expr &load, const std::vector<Extent> &loops) {
    Read &input = read[load.integer];
    std::vector<int> place;
    for (const ExprRef &index : load.operands)
      place.push_back(numberOf(*index, loops));
    if (!input.places.insert(std::move(place)).second)
      return;
    std::vector<Extent> used;
    for (size_t i = 0; i < loops.size(); ++i)
      if (std::any_of(load.operands.begin(), load.operands.end(),
                      [&](const ExprRef &index) { return usesLoop(index, static_cast<int>(i)); }))
        used.push_back(loops[i]);
    input.elements.add(kernels::elements(used));
    bool isComputed = std::any_of(load.operands.begin(), load.operands.end(), hasLoad);
    input.isCounted &= isComputed || isSlice(load, loops.size());
  }

  /// The reads, or the whole tensor where that is less or where it is not known which is less.
  ExtentSum elementsOf(int input) const {
    const Read &reads = read[input];
    const std::vector<Extent> &terms = reads.elements.terms();
    Extent whole = kernels::elements(spec.tensors[input].shape);
    auto isLess = [&](const Extent &term) { return atMost(term, whole); };
    if (terms.empty() || (terms.size() == 1 && isLess(terms[0])))
      return reads.elements;
    bool isMore = std::any_of(terms.begin(), terms.end(),
                              [&](const Extent &term) { return atMost(whole, term); });
    return reads.isCounted && !isMore ? reads.elements : ExtentSum(whole);
  }

  const KernelSpec &spec;
  std::vector<Read> read; // by input
  std::unordered_map<const Expr *, int> numbers;
  std::map<Key, int> keys;
  std::vector<Extent> extents;
};
} // namespace

static void addReads(Reads &reads, const AttentionStage &a) {
  Extent heads{a.heads, {}}, kvHeads{a.kvHeads, {}}, depth{a.headDim, {}}, width{a.valueDim, {}};
  std::vector<Extent> pairs = {a.batch, heads, a.queries, a.keys};
  reads.add(a.query, {a.batch, heads, a.queries, depth});
  reads.add(a.key, {a.batch, kvHeads, a.keys, depth});
  reads.add(a.value, {a.batch, kvHeads, a.keys, width});
  reads.add(a.bias, pairs);
  reads.add(a.mask, pairs);
  reads.add(a.sink, {a.batch, heads, a.queries});
  for (const auto &offset : {a.causalOffset, a.windowOffset})
    reads.add(offset.value_or(nullptr), pairs);
}

Work workOf(const KernelSpec &spec) {
  Work work;
  Reads reads(spec);
  for (const Stage &stage : spec.stages) {
    work.flops = work.flops + operations(stage);
    if (stage.attention)
      addReads(reads, *stage.attention);
    else
      reads.add(stage.loop.body, stage.loop.loops);
  }
  work.bytes = reads.bytes();
  for (int output : spec.outputs) {
    const Tensor &tensor = spec.tensors[output];
    work.bytes.add(multiply(elements(tensor.shape), Extent{byteWidth(tensor.type), {}}));
  }
  return work;
}

} // namespace rapt::kernels
