//===- Lowering.cpp - Onnx values as views, onnx operations as linalg.generic ----------===//
//
// Sizes, views and loops of fuse-lower, without any operation's own meaning: what a value is read
// as, when it must be copied, and how a body becomes a linalg.generic. Expects inferred shapes;
// gives tensors whose dynamic sizes all come from the top of the function.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Lowering.h"

#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace rapt::fuse {

View View::through(AffineMap inner) const {
  View result = *this;
  if (map)
    result.map = map.compose(inner);
  return result;
}

View View::of(Value tensor) {
  View result;
  result.tensor = tensor;
  result.map = AffineMap::getMultiDimIdentityMap(tensorType(tensor).getRank(), tensor.getContext());
  return result;
}

Lowering::Lowering(func::FuncOp func, onnx::ShapeInference &shapes)
    : builder(func.getContext()), loc(func.getLoc()), func(func), shapes(shapes) {}

// --- Shapes --------------------------------------------------------------------------------------

OpFoldResult Lowering::size(const onnx::SymbolicExpr &expr) {
  if (std::optional<int64_t> constant = expr.constant())
    return builder.getIndexAttr(*constant);
  auto &alike = materializedSizes[expr.str()];
  for (auto &[known, value] : alike)
    if (known == expr)
      return value;
  OpBuilder::InsertionGuard guard(builder);
  Block &body = func.getBody().front();
  if (lastSize)
    builder.setInsertionPointAfter(lastSize);
  else
    builder.setInsertionPointToStart(&body);
  // A marker keeps the order: what a size needs stands before it.
  Value value = shapes.materialize(builder, func.getLoc(), expr);
  lastSize = value.getDefiningOp();
  alike.push_back({expr, value});
  exprOfSize[value] = expr;
  return value;
}

void Lowering::requireNonEmpty(const onnx::SymbolicExpr &expr) {
  if (expr.isPositiveUnlessInputsEmpty() || expr.constant() || llvm::is_contained(nonEmpty, expr) ||
      shapes.atMost(onnx::SymbolicExpr(1), expr))
    return;
  nonEmpty.push_back(expr);
  auto extent = cast<Value>(size(expr));
  OpBuilder::InsertionGuard guard(builder);
  if (lastSize)
    builder.setInsertionPointAfter(lastSize);
  else
    builder.setInsertionPointToStart(&func.getBody().front());
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  std::string node = onnx::nodeText(loc);
  lastSize = kernel::RequireOp::create(builder, loc, one, extent, /*equal=*/false,
                                       node + " needs %lld to be at most its dim " + expr.str() +
                                           " (%lld): empty tensors are not supported");
}

Sizes Lowering::sizes(Value value) {
  Sizes result;
  for (auto [index, expr] : llvm::enumerate(shape(value))) {
    auto type = tensorType(value);
    if (type.isDynamicDim(index))
      result.push_back(size(expr));
    else
      result.push_back(builder.getIndexAttr(type.getDimSize(index)));
  }
  return result;
}

Value Lowering::indexValue(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return value;
  return arith::ConstantOp::create(builder, loc, cast<IntegerAttr>(cast<Attribute>(size)));
}

static RankedTensorType typeOf(ArrayRef<OpFoldResult> sizes, Type element) {
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, storageType(element));
}

// --- Values --------------------------------------------------------------------------------------

void Lowering::bind(Value value, Value tensor) { bind(value, View::of(tensor)); }

View Lowering::constantView(onnx::ConstantOp op) {
  View result;
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (elements && elements.isSplat()) {
    result.literal = storageAttr(cast<TypedAttr>(elements.getSplatValue<Attribute>()));
    return result;
  }
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(op);
  ElementsAttr stored = storageAttr(op.getValue());
  auto type = tensorType(op.getOutput()).clone(stored.getElementType());
  Value weight = kernel::WeightOp::create(builder, op.getLoc(), type,
                                          builder.getArrayAttr({stored}), DenseI64ArrayAttr())
                     .getResult();
  return View::of(weight);
}

/// tensor.from_elements: one number, or a choice by position.
View Lowering::elementsView(Value value) {
  SmallVector<Value> elements;
  for (Value element : value.getDefiningOp<tensor::FromElementsOp>().getElements()) {
    llvm::APInt number;
    if (auto cast = element.getDefiningOp<arith::IndexCastOp>();
        cast && cast.getIn().getType().isIndex())
      element = cast.getIn();
    else if (matchPattern(element, m_ConstantInt(&number)))
      element = arith::ConstantIndexOp::create(builder, loc, number.getSExtValue());
    else if (!element.getType().isIndex())
      element = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), element);
    elements.push_back(element);
  }
  View result;
  Type type = tensorType(value).getElementType();
  if (elements.empty()) { // never read, but it needs a form
    result.literal = builder.getIntegerAttr(storageType(type), 0);
    return result;
  }
  if (elements.size() == 1) {
    result.base = elements.front();
    return result;
  }
  Value chosen = map({builder.getIndexAttr(elements.size())}, type, {},
                     [&](OpBuilder &b, Location at, ValueRange) -> Value {
                       Value position = linalg::IndexOp::create(b, at, 0), result = elements.back();
                       for (int64_t i = elements.size() - 2; i >= 0; --i) {
                         Value here =
                             arith::CmpIOp::create(b, at, arith::CmpIPredicate::eq, position,
                                                   arith::ConstantIndexOp::create(b, at, i));
                         result = arith::SelectOp::create(b, at, here, elements[i], result);
                       }
                       return arith::IndexCastOp::create(b, at, storageType(type), result);
                     });
  // The choice is by row-major position, whatever the value's rank.
  result = View::of(chosen);
  AffineExpr position = builder.getAffineConstantExpr(0);
  for (auto [dim, size] : llvm::enumerate(tensorType(value).getShape()))
    position = position * size + builder.getAffineDimExpr(dim);
  result.window = tensorType(value).getRank() > 1;
  return result.through(AffineMap::get(tensorType(value).getRank(), 0, position));
}

const View &Lowering::view(Value value) {
  if (auto it = views.find(value); it != views.end())
    return it->second;
  OpBuilder::InsertionGuard guard(builder);
  leaveLoops(value);
  View result;
  if (auto constant = value.getDefiningOp<onnx::ConstantOp>())
    result = constantView(constant);
  else if (value.getDefiningOp<tensor::FromElementsOp>())
    result = elementsView(value);
  else
    result = View::of(value);
  return views[value] = result;
}

Value Lowering::tensor(Value value) {
  Value &known = tensors[value];
  if (known)
    return known;
  OpBuilder::InsertionGuard guard(builder);
  leaveLoops(value);
  View source = view(value);
  Value result = materialize(source, sizes(value), tensorType(value).getElementType());
  return tensors[value] = result;
}

View Lowering::stored(Value value) {
  Value result = tensor(value), root = result;
  while (kernel::isView(root.getDefiningOp()))
    root = root.getDefiningOp()->getOperand(0);
  if (auto generic = root.getDefiningOp<linalg::GenericOp>())
    generic->setAttr(kernel::kStoredAttr, builder.getUnitAttr());
  return View::of(result);
}

/// Which dims of `type` are not statically one.
static SmallVector<int64_t> coreDims(RankedTensorType type) {
  SmallVector<int64_t> dims;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.getDimSize(i) != 1)
      dims.push_back(i);
  return dims;
}

/// Groups of dims with one dim of `core` in each; dims of size one join the group before them.
static SmallVector<ReassociationIndices> aroundCore(int64_t rank, ArrayRef<int64_t> core) {
  SmallVector<ReassociationIndices> groups(core.size());
  for (int64_t dim = 0, group = 0; dim < rank && !core.empty(); ++dim) {
    if (group + 1 < static_cast<int64_t>(core.size()) && dim >= core[group + 1])
      ++group;
    // Leading dims of size one belong to the first group.
    groups[group].push_back(dim);
  }
  return groups;
}

Value Lowering::materialize(const View &view, ArrayRef<OpFoldResult> sizes, Type element) {
  RankedTensorType type = typeOf(sizes, element);
  if (!view.tensor || view.window)
    return map(sizes, element, {view}, [&](OpBuilder &b, Location at, ValueRange args) {
      return convert(b, at, args[0], element);
    });
  RankedTensorType from = tensorType(view.tensor);
  if (from.getRank() == type.getRank() && view.map.isIdentity())
    return view.tensor;
  // The dims that matter stand in the same order: only dims of size one differ.
  SmallVector<int64_t> read;
  bool unitsOnly = true;
  for (auto [dim, expr] : llvm::enumerate(view.map.getResults())) {
    if (auto index = dyn_cast<AffineDimExpr>(expr)) {
      if (type.getDimSize(index.getPosition()) != 1)
        read.push_back(index.getPosition());
    } else {
      unitsOnly &= from.getDimSize(dim) == 1;
    }
  }
  SmallVector<int64_t> core = coreDims(type);
  unitsOnly &= read == core && coreDims(from).size() == core.size();
  // One side may know the size of a dim that the other does not: views do not convert between them.
  for (size_t i = 0; unitsOnly && i < core.size(); ++i)
    unitsOnly = from.getDimSize(coreDims(from)[i]) == type.getDimSize(core[i]);
  if (!unitsOnly)
    return map(sizes, element, {view}, [&](OpBuilder &b, Location at, ValueRange args) {
      return convert(b, at, args[0], element);
    });
  Value result = view.tensor;
  if (from.getRank() != static_cast<int64_t>(core.size()))
    result = tensor::CollapseShapeOp::create(builder, loc, result,
                                             aroundCore(from.getRank(), coreDims(from)));
  if (type.getRank() != static_cast<int64_t>(core.size()))
    result = tensor::ExpandShapeOp::create(builder, loc, type, result,
                                           aroundCore(type.getRank(), core), sizes);
  return result;
}

View Lowering::plain(Value value, ArrayRef<int64_t> used) {
  const View &known = view(value);
  bool suits = known.tensor && !known.window;
  llvm::SmallBitVector seen(tensorType(value).getRank());
  for (AffineExpr expr : suits ? known.map.getResults() : ArrayRef<AffineExpr>()) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      seen.set(dim.getPosition());
    else
      suits &= isa<AffineConstantExpr>(expr);
  }
  if (suits && llvm::all_of(used, [&](int64_t dim) { return seen.test(dim); }))
    return known;
  return View::of(tensor(value));
}

View Lowering::broadcast(Value value, int64_t rank, int64_t loops) {
  auto type = tensorType(value);
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < type.getRank(); ++i)
    indices.push_back(type.getDimSize(i) == 1 || shape(value)[i].is(1)
                          ? builder.getAffineConstantExpr(0)
                          : builder.getAffineDimExpr(rank - type.getRank() + i));
  return view(value).through(AffineMap::get(loops, 0, indices, builder.getContext()));
}

// --- Loops ---------------------------------------------------------------------------------------

static Value expand(OpBuilder &b, Location loc, AffineExpr expr, ValueRange dims) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return arith::ConstantIndexOp::create(b, loc, constant.getValue());
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = expand(b, loc, binary.getLHS(), dims), rhs = expand(b, loc, binary.getRHS(), dims);
  if (expr.getKind() == AffineExprKind::Add)
    return arith::AddIOp::create(b, loc, lhs, rhs);
  return arith::MulIOp::create(b, loc, lhs, rhs); // maps hold sums and products by constants only
}

Value Lowering::load(OpBuilder &b, Location at, const View &view, Type element,
                     ValueRange indices) {
  if (view.literal)
    return convert(b, at, arith::ConstantOp::create(b, at, storageAttr(view.literal)), element);
  auto host = [&](OpFoldResult number) -> Value {
    if (auto constant = getConstantIntValue(number))
      return arith::ConstantIndexOp::create(b, at, *constant);
    return cast<Value>(number);
  };
  if (view.base) {
    Value sum = host(view.base);
    for (auto [i, stride] : llvm::enumerate(view.strides)) {
      if (isConstantIntValue(stride, 0))
        continue;
      Value index = expand(b, at, view.map.getResult(i), indices);
      if (!isConstantIntValue(stride, 1))
        index = arith::MulIOp::create(b, at, index, host(stride));
      sum = isConstantIntValue(view.base, 0) && sum.getDefiningOp<arith::ConstantOp>()
                ? index
                : arith::AddIOp::create(b, at, sum, index).getResult();
    }
    return convert(b, at, arith::IndexCastOp::create(b, at, b.getI64Type(), sum), element);
  }
  SmallVector<Value> position;
  for (AffineExpr expr : view.map.getResults())
    position.push_back(expand(b, at, expr, indices));
  return convert(b, at, tensor::ExtractOp::create(b, at, view.tensor, position), element);
}

/// Reads through an operand of linalg.generic: plain indices only, each at most once.
static bool isOperand(const View &view) {
  if (!view.tensor || view.window)
    return false;
  llvm::SmallBitVector seen(view.map.getNumDims());
  for (AffineExpr expr : view.map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      if (seen.test(dim.getPosition()))
        return false;
      seen.set(dim.getPosition());
    } else if (!isa<AffineConstantExpr>(expr)) {
      return false;
    }
  }
  return true;
}

Value Lowering::generic(ArrayRef<OpFoldResult> shape, Type element, int64_t reduced, TypedAttr init,
                        ArrayRef<View> inputs, Body body) {
  int64_t parallel = shape.size(), loops = parallel + reduced;
  RankedTensorType type = typeOf(shape, element);
  auto isEmpty = [](RankedTensorType type) { return llvm::is_contained(type.getShape(), 0); };
  if (init && llvm::any_of(inputs, [&](const View &input) {
        return input.tensor && isEmpty(tensorType(input.tensor));
      })) { // the fold of no elements
    View literal;
    literal.literal = storageAttr(init);
    return generic(shape, element, 0, {}, {literal},
                   [](OpBuilder &, Location, ValueRange args) { return args[0]; });
  }
  SmallVector<Value> dynamic;
  for (OpFoldResult size : shape)
    if (auto value = dyn_cast<Value>(size); value && !getConstantIntValue(size))
      dynamic.push_back(value);
  for (Value size : dynamic)
    if (auto known = exprOfSize.find(size);
        known != exprOfSize.end() && !known->second.hasMeasured())
      requireNonEmpty(onnx::SymbolicExpr(known->second));
  Value out = tensor::EmptyOp::create(builder, loc, type, dynamic);
  if (isEmpty(type))
    return out;
  if (init)
    out = linalg::FillOp::create(
              builder, loc, ValueRange{arith::ConstantOp::create(builder, loc, storageAttr(init))},
              ValueRange{out})
              .getResult(0);
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  SmallVector<int> position; // of each input among the operands, or -1
  for (const View &input : inputs) {
    position.push_back(isOperand(input) ? static_cast<int>(operands.size()) : -1);
    if (position.back() < 0)
      continue;
    operands.push_back(input.tensor);
    maps.push_back(input.map);
  }
  AffineMap all = AffineMap::getMultiDimIdentityMap(loops, builder.getContext());
  maps.push_back(
      AffineMap::get(loops, 0, all.getResults().take_front(parallel), builder.getContext()));
  SmallVector<utils::IteratorType> iterators(parallel, utils::IteratorType::parallel);
  iterators.append(reduced, utils::IteratorType::reduction);
  auto op = linalg::GenericOp::create(
      builder, loc, type, operands, out, maps, iterators,
      [&](OpBuilder &b, Location at, ValueRange args) {
        SmallVector<Value> elements, indices;
        for (auto [input, operand] : llvm::zip_equal(inputs, position)) {
          if (operand >= 0) {
            elements.push_back(args[operand]);
            continue;
          }
          for (int64_t i = indices.size(); !input.literal && i < loops; ++i)
            indices.push_back(linalg::IndexOp::create(b, at, i));
          Type read = input.tensor    ? tensorType(input.tensor).getElementType()
                      : input.literal ? storageType(input.literal.getType())
                                      : b.getI64Type();
          elements.push_back(load(b, at, input, read, indices));
        }
        if (init)
          elements.push_back(args.back());
        linalg::YieldOp::create(b, at, body(b, at, elements));
      });
  return op.getResult(0);
}

Value Lowering::map(ArrayRef<OpFoldResult> shape, Type element, ArrayRef<View> inputs, Body body) {
  return generic(shape, element, 0, {}, inputs, body);
}

Value Lowering::reduce(ArrayRef<OpFoldResult> shape, int64_t reduced, TypedAttr init,
                       ArrayRef<View> inputs, Body body) {
  return generic(shape, init.getType(), reduced, init, inputs, body);
}

} // namespace rapt::fuse
