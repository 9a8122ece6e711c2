//===- ShapeInference.cpp - Types, symbolic shapes and contents ------------------------------===//
//
// In:  a function of onnx and what stands beside it. Out: for each value its most precise type, its
//      symbolic dims and what is known of its elements, and what the graph assumes of its dims.
//      Declared types are not trusted beyond their element type; contradictions are errors that
//      name the node.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/ShapeInference.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Infer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
const InferTable &inferTable() {
  static const InferTable table = [] {
    InferTable table;
    addElementwise(table);
    addMath(table);
    addMovement(table);
    addSlicing(table);
    addGathers(table);
    addShapeOps(table);
    addHostOps(table);
    addWindows(table);
    addResize(table);
    addScatter(table);
    addLoops(table);
    addSelection(table);
    return table;
  }();
  return table;
}

} // namespace

// --- Values --------------------------------------------------------------------------------------
void ShapeInference::bindArgument(Value value, ArrayRef<SymbolicExpr> dims) {
  values[value] = {Shape(dims), {}};
}

/// The content with every expression that has symbols replaced by what `simpler` makes of it.
static Content mapExpressions(const Content &content,
                              llvm::function_ref<SymbolicExpr(const SymbolicExpr &)> simpler) {
  bool changed = false;
  auto map = [&](SymbolicExpr &expr) {
    if (expr.constant())
      return;
    SymbolicExpr mapped = simpler(expr);
    changed |= mapped != expr;
    expr = std::move(mapped);
  };
  if (content.isAffine()) {
    Element base = content.base();
    Shape strides(content.strides());
    if (base.kind == Element::Int)
      map(base.expr);
    llvm::for_each(strides, map);
    return changed ? Content::affine(std::move(base), strides) : content;
  }
  std::vector<Element> elements = content.elements();
  for (Element &element : elements)
    if (element.kind == Element::Int)
      map(element.expr);
  return changed ? Content::ofElements(std::move(elements)) : content;
}

void ShapeInference::bindScalar(Value value, const SymbolicExpr &expr) {
  values[value] = {{}, Content::ofElements({Element::ofInt(expr)})};
}

void ShapeInference::bindContent(Value value, Content content) {
  Info info = fromType(value);
  info.content = mapExpressions(content, [&](auto &expr) { return simplify(expr); });
  values[value] = std::move(info);
}

ShapeInference::Info ShapeInference::fromType(Value value) const {
  Info info;
  if (auto type = dyn_cast<RankedTensorType>(value.getType()))
    for (int64_t dim : type.getShape())
      info.shape.push_back(ShapedType::isDynamic(dim) ? SymbolicExpr() : SymbolicExpr(dim));
  return info;
}

ArrayRef<SymbolicExpr> ShapeInference::shape(Value value) const {
  auto found = values.find(value);
  return found == values.end() ? ArrayRef<SymbolicExpr>()
                               : ArrayRef<SymbolicExpr>(found->second.shape);
}

const Content &ShapeInference::content(Value value) const {
  static const Content nothing;
  auto found = values.find(value);
  return found == values.end() ? nothing : found->second.content;
}

SymbolicExpr ShapeInference::scalar(Value value) const {
  const Element *element = content(value).uniform();
  return element && element->kind == Element::Int ? element->expr : SymbolicExpr();
}

void ShapeInference::forget(Operation *op) {
  for (Value result : op->getResults())
    values.erase(result);
}

Content ShapeInference::listed(Value value) const {
  const Content &known = content(value);
  return known.hasElements() ? known : Content();
}

bool ShapeInference::isListable(ArrayRef<int64_t> dims) const {
  int64_t count = 1;
  if (llvm::is_contained(dims, 0))
    return true;
  for (int64_t dim : dims)
    if (dim < 0 || llvm::MulOverflow(count, dim, count) || count > limit)
      return false;
  return true;
}

Content ShapeInference::affine(Value value) const {
  std::optional<SmallVector<int64_t, 4>> dims = staticDims(shape(value));
  const Content &known = content(value);
  return dims ? toAffine(known, *dims) : known.isAffine() ? known : Content();
}

/// Lists the elements of an affine content.
static Content listAffine(const Content &content, ArrayRef<int64_t> dims) {
  std::vector<Element> elements;
  forEachIndex(dims, [&](ArrayRef<int64_t> index) {
    Element element = content.base();
    if (element.kind == Element::Int) {
      SymbolicExpr value = element.expr;
      for (auto [stride, i] : llvm::zip(content.strides(), index))
        value = value + stride * SymbolicExpr(i);
      element = Element::ofInt(value);
    }
    elements.push_back(std::move(element));
  });
  return Content::ofElements(std::move(elements));
}

LogicalResult ShapeInference::set(Operation *op, unsigned result, Shape shape, Type elementType,
                                  Content content) {
  SmallVector<int64_t> dims;
  // Zero elements or not: every partial product must fit, so that nobody's arithmetic overflows.
  __int128 bytes = std::max(1u, elementType.getIntOrFloatBitWidth() / 8);
  for (auto [i, dim] : llvm::enumerate(shape)) {
    // Its size goes by its own name, also where that is required to equal another: who measures it
    // can not count on it.
    if (!isa<NonZeroOp>(op))
      dim = simplify(dim);
    if (!dim.isKnown())
      return op->emitOpError() << "result dim " << i
                               << " does not follow from the dims of the model's inputs, or does "
                               << "not fit 64 bits";
    std::optional<int64_t> value = dim.constant();
    if (value && *value < 0)
      return op->emitOpError() << "result dim " << i << " is " << *value << ", expected at least 0";
    dims.push_back(value ? *value : ShapedType::kDynamic);
    bytes *= value ? std::max<int64_t>(*value, 1) : 1;
    if (bytes > std::numeric_limits<int64_t>::max())
      return op->emitOpError("result has more bytes than fit 64 bits");
  }
  // Small tensors list their elements, large ones do not: one form for each.
  if (std::optional<SmallVector<int64_t, 4>> fixed = staticDims(shape)) {
    if (content.isAffine() && isListable(*fixed))
      content = listAffine(content, *fixed);
    else if (content.hasElements() && !isListable(*fixed))
      content = {};
  } else if (content.hasElements()) {
    content = {};
  }
  // What the tensors of a graph list together is bounded, too.
  if (!isa<ConstantOp>(op) && content.hasElements())
    listedElements += content.elements().size();
  if (listedElements > kListedElementsLimit)
    limit = std::min(limit, kShapeContentLimit);
  content = mapExpressions(content, [&](auto &expr) { return simplify(expr); });
  op->getResult(result).setType(RankedTensorType::get(dims, elementType));
  values[op->getResult(result)] = {std::move(shape), std::move(content)};
  return success();
}

// --- Meeting dims --------------------------------------------------------------------------------
/// `expr` by one fact; `expr` itself where the fact says nothing about it.
static SymbolicExpr applyFact(const SymbolicExpr &expr, const Requirement &fact) {
  if (fact.equal) {
    if (expr == fact.lhs)
      return fact.rhs;
    std::optional<StringRef> symbol = fact.lhs.symbolName();
    if (!symbol || fact.rhs.contains(*symbol))
      return expr;
    SymbolicExpr replaced = expr.substitute(*symbol, fact.rhs);
    return replaced.isKnown() ? replaced : expr;
  }
  const SymbolicAtom *atom = expr.atom();
  if (!atom || (atom->kind != SymbolicAtom::Min && atom->kind != SymbolicAtom::Max))
    return expr;
  bool isMin = atom->kind == SymbolicAtom::Min;
  if (atom->lhs == fact.lhs && atom->rhs == fact.rhs)
    return isMin ? atom->lhs : atom->rhs;
  if (atom->rhs == fact.lhs && atom->lhs == fact.rhs)
    return isMin ? atom->rhs : atom->lhs;
  return expr;
}

/// `expr` with every min and max in it that is decided by what `shapes` assumes.
static SymbolicExpr resolveExtremes(const ShapeInference &shapes, const SymbolicExpr &expr) {
  SymbolicExpr sum(0);
  for (const SymbolicTerm &term : expr.terms()) {
    SymbolicExpr product(term.coefficient);
    for (const Atom &atom : term.factors) {
      if (atom->kind == SymbolicAtom::Symbol) {
        product = product * (atom->bound.isKnown() ? SymbolicExpr::measured(atom->name, atom->bound)
                                                   : SymbolicExpr::symbol(atom->name, atom->least));
        continue;
      }
      SymbolicExpr a = resolveExtremes(shapes, atom->lhs), b = resolveExtremes(shapes, atom->rhs);
      bool isMin = atom->kind == SymbolicAtom::Min, isMax = atom->kind == SymbolicAtom::Max;
      product = product * ((isMin || isMax) && shapes.atMost(a, b)   ? (isMin ? a : b)
                           : (isMin || isMax) && shapes.atMost(b, a) ? (isMin ? b : a)
                           : isMin                                   ? SymbolicExpr::min(a, b)
                           : isMax                                   ? SymbolicExpr::max(a, b)
                           : atom->kind == SymbolicAtom::Mod ? SymbolicExpr::mod(a, b)
                                                             : SymbolicExpr::floorDiv(a, b));
    }
    sum = sum + product;
  }
  return sum;
}

SymbolicExpr ShapeInference::simplify(const SymbolicExpr &expr) const {
  // Every fact leads to something simpler (require orients them), so this ends; the bound is for
  // facts that somebody wrote by hand.
  SymbolicExpr result = expr;
  for (int round = 0; round < 8; ++round) {
    SymbolicExpr before = result;
    for (const Requirement &fact : facts)
      result = applyFact(result, fact);
    if (!result.isKnown() || result == before)
      break;
  }
  SymbolicExpr resolved =
      facts.empty() || !result.isKnown() ? SymbolicExpr() : resolveExtremes(*this, result);
  return resolved.isKnown() ? resolved : result;
}

bool ShapeInference::atMost(const SymbolicExpr &a, const SymbolicExpr &b) const {
  return SymbolicExpr::provablyAtMost(a, b) || llvm::any_of(facts, [&](const Requirement &fact) {
           return SymbolicExpr::provablyAtMost(fact.rhs - fact.lhs, b - a) ||
                  (fact.equal && SymbolicExpr::provablyAtMost(fact.lhs - fact.rhs, b - a));
         });
}

void ShapeInference::require(Operation *op, const SymbolicExpr &left, const SymbolicExpr &right,
                             bool equal, const Twine &what) {
  SymbolicExpr lhs = left, rhs = right;
  std::string context = what.str();
  if (equal) {
    // The simpler side on the right, and common factors gone: batch * seq == seq says batch == 1,
    // and what that says of a tensor's number of elements is said of a dim.
    SymbolicExpr common = SymbolicExpr::commonFactor(lhs, rhs);
    if (SymbolicExpr a = SymbolicExpr::exactDiv(lhs, common),
        b = SymbolicExpr::exactDiv(rhs, common);
        !common.is(1) && a.isKnown() && b.isKnown()) {
      lhs = a;
      rhs = b;
      context.clear();
    }
    // past + seq == other + seq says past == other.
    if (SymbolicExpr::cancelTerms(lhs, rhs))
      context.clear();
    if (std::pair(lhs.complexity(), SymbolicExpr::compare(lhs, rhs)) <
        std::pair(rhs.complexity(), 0))
      std::swap(lhs, rhs);
    SymbolicExpr quotient = SymbolicExpr::exactDiv(lhs, rhs);
    if (!rhs.is(1) && rhs.lowerBound() > 0 && quotient.isKnown()) {
      lhs = quotient;
      rhs = SymbolicExpr(1);
      context.clear();
    }
  }
  std::string message = nodeText(op) + " needs " + (context.empty() ? "" : context + ": ") +
                        lhs.str() + " (%lld) to be " + (equal ? "" : "at most ") + rhs.str() +
                        " (%lld)";
  if (equal && rhs.constant())
    message += "; the model was exported for that size only";
  for (const Requirement &known : required)
    if (known.lhs == lhs && known.rhs == rhs && known.equal == equal)
      return;
  required.push_back({lhs, rhs, equal, std::move(message)});
}

FailureOr<SymbolicExpr> ShapeInference::meet(Operation *op, const SymbolicExpr &first,
                                             const SymbolicExpr &second, const Twine &what) {
  SymbolicExpr a = simplify(first), b = simplify(second);
  if (a == b)
    return a;
  if (!a.isKnown() || !b.isKnown()) {
    // Dims of tensors from outside the vocabulary; whoever made them vouches for them.
    return a.isKnown() ? a : b;
  }
  if (SymbolicExpr::provablyDifferent(a, b)) {
    op->emitOpError() << what << ": " << a.str() << " and " << b.str() << " can not be equal";
    return failure();
  }
  // Between an expression and its minimum with a bound stands the bound.
  for (auto [x, y] : {std::pair(a, b), std::pair(b, a)}) {
    const SymbolicAtom *atom = y.atom();
    if (!atom || atom->kind != SymbolicAtom::Min || (atom->lhs != x && atom->rhs != x))
      continue;
    require(op, x, atom->lhs == x ? atom->rhs : atom->lhs, /*equal=*/false, "");
    return x;
  }
  bool keepFirst = a.complexity() <= b.complexity();
  const SymbolicExpr &simple = keepFirst ? a : b, &other = keepFirst ? b : a;
  require(op, other, simple, /*equal=*/true, what);
  return simple;
}

FailureOr<Shape> ShapeInference::broadcast(Operation *op, ArrayRef<Shape> shapes) {
  size_t rank = 0;
  for (const Shape &shape : shapes)
    rank = std::max(rank, shape.size());
  Shape result(rank, SymbolicExpr(1));
  for (const Shape &shape : shapes)
    for (size_t i = 0; i < shape.size(); ++i) {
      SymbolicExpr &dim = result[rank - shape.size() + i];
      if (shape[i].is(1))
        continue;
      if (dim.is(1)) {
        dim = shape[i];
        continue;
      }
      std::string what = "dim " + std::to_string(rank - shape.size() + i) + " of its operands";
      // What is 0 or 1 is 1 here: x[:, 1:2] beside x.
      bool isOne = shape[i].upperBound() <= 1, wasOne = dim.upperBound() <= 1;
      if (shape[i] != dim && isOne != wasOne) {
        require(op, isOne ? shape[i] : dim, SymbolicExpr(1), /*equal=*/true, what);
        if (wasOne)
          dim = shape[i];
        continue;
      }
      FailureOr<SymbolicExpr> common = meet(op, dim, shape[i], what);
      if (failed(common))
        return failure();
      dim = *common;
    }
  return result;
}

FailureOr<Shape> ShapeInference::integers(Operation *op, Value operand, StringRef name) {
  if (failed(checkIntegers(op, operand, name)))
    return failure();
  if (shape(operand).size() > 1) {
    op->emitOpError() << name << " has rank " << shape(operand).size() << ", expected 0 or 1";
    return failure();
  }
  const Content &known = content(operand);
  if (!known.hasElements()) {
    op->emitOpError() << name << " " << kFromData;
    return failure();
  }
  Shape result;
  for (auto [i, element] : llvm::enumerate(known.elements())) {
    if (element.kind != Element::Int) {
      op->emitOpError() << "element " << i << " of " << name << " " << kFromData;
      return failure();
    }
    result.push_back(element.expr);
  }
  return result;
}

// --- Operations ----------------------------------------------------------------------------------
LogicalResult ShapeInference::infer(Operation *op) {
  for (Value operand : op->getOperands())
    if (!knows(operand))
      values[operand] = fromType(operand);
  if (InferTable::Function function = inferTable().find(op)) {
    if (isa_and_nonnull<OnnxDialect>(op->getDialect()))
      for (Value operand : op->getOperands())
        if (!isa<RankedTensorType>(operand.getType()))
          return op->emitOpError()
                 << "operand has type " << operand.getType() << ", expected a tensor of known rank";
    return function(*this, op);
  }
  if (isa_and_nonnull<OnnxDialect>(op->getDialect()))
    return op->emitOpError("has no shape inference");
  for (Value result : op->getResults())
    values[result] = fromType(result);
  return success();
}

LogicalResult ShapeInference::run(func::FuncOp function) {
  if (function.isExternal())
    return success();
  for (auto [i, argument] : llvm::enumerate(function.getArguments())) {
    Info info = fromType(argument);
    if (auto dims = function.getArgAttrOfType<ArrayAttr>(i, kDimsAttr)) {
      if (dims.size() != info.shape.size())
        return function.emitOpError() << "argument " << i << " has " << info.shape.size()
                                      << " dims but " << dims.size() << " in onnx.dims";
      for (auto [dim, attribute] : llvm::zip(info.shape, dims)) {
        if (auto symbol = dyn_cast<StringAttr>(attribute))
          dim = SymbolicExpr::symbol(symbol.getValue(),
                                     !kernel::mayBeEmpty(function, symbol.getValue()));
        else if (auto value = dyn_cast<IntegerAttr>(attribute))
          dim = SymbolicExpr(value.getValue().getSExtValue());
      }
    }
    for (SymbolicExpr &dim : info.shape)
      if (!dim.isKnown())
        return function.emitOpError() << "argument " << i << " has a dynamic dim without a name in "
                                      << "onnx.dims";
    bindArgument(argument, info.shape);
  }
  for (Operation &op : function.getBody().front())
    if (failed(infer(&op)))
      return failure();
  Operation *terminator = function.getBody().front().getTerminator();
  function.setType(FunctionType::get(function.getContext(), function.getArgumentTypes(),
                                     terminator->getOperandTypes()));
  return success();
}

// --- Expressions as code -------------------------------------------------------------------------
static Value materializeAtom(OpBuilder &builder, Location loc, const SymbolicAtom &atom) {
  if (atom.kind == SymbolicAtom::Symbol && atom.bound.isKnown())
    return kernel::MeasuredDimOp::create(builder, loc, atom.name,
                                         ShapeInference::materialize(builder, loc, atom.bound));
  if (atom.kind == SymbolicAtom::Symbol)
    return kernel::DimOp::create(builder, loc, atom.name, /*maybe_empty=*/atom.least == 0);
  Value lhs = ShapeInference::materialize(builder, loc, atom.lhs);
  Value rhs = ShapeInference::materialize(builder, loc, atom.rhs);
  switch (atom.kind) {
  case SymbolicAtom::FloorDiv:
    return arith::FloorDivSIOp::create(builder, loc, lhs, rhs);
  case SymbolicAtom::Mod: {
    Value quotient = arith::FloorDivSIOp::create(builder, loc, lhs, rhs);
    Value product = arith::MulIOp::create(builder, loc, quotient, rhs);
    return arith::SubIOp::create(builder, loc, lhs, product);
  }
  case SymbolicAtom::Min:
    return arith::MinSIOp::create(builder, loc, lhs, rhs);
  default:
    return arith::MaxSIOp::create(builder, loc, lhs, rhs);
  }
}

Value ShapeInference::materialize(OpBuilder &builder, Location loc, const SymbolicExpr &expr) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  Value sum;
  for (const SymbolicTerm &term : expr.terms()) {
    Value product;
    for (const Atom &factor : term.factors) {
      Value value = materializeAtom(builder, loc, *factor);
      product = product ? arith::MulIOp::create(builder, loc, product, value).getResult() : value;
    }
    if (!product)
      product = constant(term.coefficient);
    else if (term.coefficient != 1)
      product = arith::MulIOp::create(builder, loc, product, constant(term.coefficient));
    sum = sum ? arith::AddIOp::create(builder, loc, sum, product).getResult() : product;
  }
  return sum ? sum : constant(0);
}

} // namespace rapt::onnx
