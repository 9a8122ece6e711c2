//===- LowerViews.cpp - Reshape, Transpose, Expand, Slice => other ways to read --------===//
//
// None of these computes. All but a Reshape that regroups dims only change the map of the view;
// that one is tensor.collapse_shape and expand_shape with the groups found from the symbolic dims.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace rapt::fuse {

namespace {

using onnx::SymbolicExpr;

SmallVector<int64_t> nonUnitDims(ArrayRef<SymbolicExpr> shape) {
  SmallVector<int64_t> dims;
  for (auto [index, dim] : llvm::enumerate(shape))
    if (!dim.is(1))
      dims.push_back(index);
  return dims;
}

/// Consecutive dims of `from` and of `to` that hold the same elements; as fine as the expressions
/// show.
struct Group {
  SmallVector<int64_t, 2> from, to;
  SymbolicExpr size{1};
};
SmallVector<Group> groupDims(ArrayRef<SymbolicExpr> from, ArrayRef<SymbolicExpr> to) {
  SmallVector<Group> groups;
  int64_t i = 0, j = 0, numFrom = from.size(), numTo = to.size();
  while (i < numFrom && j < numTo) {
    Group group;
    SymbolicExpr left = from[i], right = to[j];
    group.from.push_back(i++);
    group.to.push_back(j++);
    while (left != right && (i < numFrom || j < numTo)) {
      bool growLeft = i < numFrom && (j == numTo || SymbolicExpr::exactDiv(right, left).isKnown());
      bool growRight =
          !growLeft && j < numTo && (i == numFrom || SymbolicExpr::exactDiv(left, right).isKnown());
      if (growLeft || !growRight) {
        left = left * from[i];
        group.from.push_back(i++);
      }
      if (growRight || !growLeft) {
        right = right * to[j];
        group.to.push_back(j++);
      }
    }
    group.size = left;
    groups.push_back(std::move(group));
  }
  if (groups.empty())
    return groups;
  for (; i < numFrom; ++i)
    groups.back().from.push_back(i);
  for (; j < numTo; ++j)
    groups.back().to.push_back(j);
  return groups;
}

/// The view of a value with dims of size one added or dropped: (indices of result) -> (of operand).
AffineMap unitMap(MLIRContext *context, ArrayRef<SymbolicExpr> from, ArrayRef<SymbolicExpr> to) {
  SmallVector<int64_t> target = nonUnitDims(to);
  SmallVector<AffineExpr> indices;
  auto *next = target.begin();
  for (const SymbolicExpr &dim : from)
    indices.push_back(dim.is(1) ? getAffineConstantExpr(0, context)
                                : getAffineDimExpr(*next++, context));
  return AffineMap::get(to.size(), 0, indices, context);
}

Sizes pick(ArrayRef<OpFoldResult> sizes, ArrayRef<int64_t> dims) {
  Sizes result;
  for (int64_t dim : dims)
    result.push_back(sizes[dim]);
  return result;
}

/// Whether `core`, its dims merged as in `groups`, can be split into `sizes` by
/// tensor.expand_shape: in each group both sides are the same static number of elements, or both
/// are dynamic. Otherwise dims are equal only by what the graph requires, which is not in the
/// types.
bool canSplit(RankedTensorType core, ArrayRef<OpFoldResult> sizes, ArrayRef<Group> groups) {
  return !groups.empty() && llvm::all_of(groups, [&](const Group &group) {
    auto product = [](ArrayRef<int64_t> dims, auto sizeOf) -> std::optional<int64_t> {
      int64_t result = 1;
      for (int64_t dim : dims) {
        std::optional<int64_t> size = sizeOf(dim);
        if (!size || llvm::MulOverflow(result, *size, result))
          return std::nullopt;
      }
      return result;
    };
    return product(group.from, [&](int64_t dim) {
             return core.isDynamicDim(dim) ? std::nullopt : std::optional(core.getDimSize(dim));
           }) == product(group.to, [&](int64_t dim) { return getConstantIntValue(sizes[dim]); });
  });
}

/// The elements of `core` in row-major order under the shape `sizes`, by division and remainder.
Value copyReshaped(Lowering &lowering, Value core, ArrayRef<SymbolicExpr> from,
                   ArrayRef<SymbolicExpr> to, ArrayRef<OpFoldResult> sizes) {
  // Of each dim of both sides, how many elements one step covers.
  auto steps = [&](ArrayRef<SymbolicExpr> shape) {
    SmallVector<Value> result(shape.size());
    SymbolicExpr step(1);
    for (int64_t i = static_cast<int64_t>(shape.size()) - 1; i >= 0; --i) {
      result[i] = lowering.indexValue(lowering.size(step));
      step = step * shape[i];
    }
    return result;
  };
  SmallVector<Value> fromSteps = steps(from), toSteps = steps(to);
  Type element = tensorType(core).getElementType();
  return lowering.map(sizes, element, {}, [&](OpBuilder &b, Location loc, ValueRange) {
    Value rest = arith::ConstantIndexOp::create(b, loc, 0);
    for (auto [i, step] : llvm::enumerate(toSteps))
      rest = arith::AddIOp::create(
          b, loc, rest, arith::MulIOp::create(b, loc, linalg::IndexOp::create(b, loc, i), step));
    SmallVector<Value> position;
    for (Value step : fromSteps) {
      position.push_back(arith::DivUIOp::create(b, loc, rest, step));
      rest = arith::RemUIOp::create(b, loc, rest, step);
    }
    return lowering.load(b, loc, View::of(core), element, position);
  });
}

LogicalResult lowerReshape(Lowering &lowering, Value data, Value result) {
  MLIRContext *context = lowering.builder.getContext();
  SmallVector<SymbolicExpr> from(lowering.shape(data)), to(lowering.shape(result));
  SmallVector<int64_t> fromDims = nonUnitDims(from), toDims = nonUnitDims(to);
  SmallVector<SymbolicExpr> fromCore, toCore;
  for (int64_t dim : fromDims)
    fromCore.push_back(from[dim]);
  for (int64_t dim : toDims)
    toCore.push_back(to[dim]);
  View source = lowering.view(data);
  if (source.literal)
    return lowering.bind(result, source), success();
  if (fromCore == toCore)
    return lowering.bind(result, source.through(unitMap(context, from, to))), success();

  Type element = tensorType(data).getElementType();
  Value core = lowering.materialize(source.through(unitMap(context, from, fromCore)),
                                    pick(lowering.sizes(data), fromDims), element);
  SmallVector<Group> groups = groupDims(fromCore, toCore);
  SmallVector<ReassociationIndices> collapse, expand;
  bool merges = false, splits = false;
  for (Group &group : groups) {
    collapse.emplace_back(group.from.begin(), group.from.end());
    expand.emplace_back(group.to.begin(), group.to.end());
    merges |= group.from.size() > 1;
    splits |= group.to.size() > 1;
  }
  Location loc = lowering.loc;
  Sizes sizes = pick(lowering.sizes(result), toDims);
  if ((splits || groups.empty()) && !canSplit(tensorType(core), sizes, groups)) {
    core = copyReshaped(lowering, core, fromCore, toCore, sizes);
    lowering.bind(result, View::of(core).through(unitMap(context, toCore, to)));
    return success();
  }
  if (merges)
    core = tensor::CollapseShapeOp::create(lowering.builder, loc, core, collapse);
  if (splits) {
    SmallVector<int64_t> shape;
    for (OpFoldResult size : sizes)
      shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
    core = tensor::ExpandShapeOp::create(lowering.builder, loc, tensorType(core).clone(shape), core,
                                         expand, sizes);
  }
  lowering.bind(result, View::of(core).through(unitMap(context, toCore, to)));
  return success();
}

LogicalResult lowerTranspose(Lowering &lowering, onnx::TransposeOp op) {
  // Dim perm[i] of the operand is dim i of the result.
  SmallVector<AffineExpr> indices(op.getPerm().size());
  for (auto [index, dim] : llvm::enumerate(op.getPerm()))
    indices[dim] = lowering.builder.getAffineDimExpr(index);
  AffineMap map = AffineMap::get(indices.size(), 0, indices, lowering.builder.getContext());
  lowering.bind(op.getTransposed(), View(lowering.view(op.getData())).through(map));
  return success();
}

LogicalResult lowerExpand(Lowering &lowering, onnx::ExpandOp op) {
  int64_t rank = tensorType(op.getOutput()).getRank(), own = tensorType(op.getInput()).getRank();
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < own; ++i)
    indices.push_back(lowering.shape(op.getInput())[i].is(1)
                          ? lowering.builder.getAffineConstantExpr(0)
                          : lowering.builder.getAffineDimExpr(rank - own + i));
  AffineMap map = AffineMap::get(rank, 0, indices, lowering.builder.getContext());
  lowering.bind(op.getOutput(), View(lowering.view(op.getInput())).through(map));
  return success();
}

LogicalResult lowerSlice(Lowering &lowering, onnx::SliceOp op) {
  int64_t rank = tensorType(op.getData()).getRank();
  MLIRContext *context = lowering.builder.getContext();
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < rank; ++i)
    indices.push_back(lowering.builder.getAffineDimExpr(i));
  if (lowering.isReadThrough(op))
    return success();
  SmallVector<std::pair<int64_t, Value>> moved; // axis, start computed by the host
  bool window = false;
  for (auto [i, axis] : llvm::enumerate(op.getAxes())) {
    std::optional<SymbolicExpr> start = lowering.startOf(op, i);
    if (!start)
      return Lowering::refuse(op)
             << "with a start that depends on the model's data is not supported";
    int64_t step = op.getSteps()[i];
    if (start->is(0) && step == 1 &&
        lowering.shape(op.getData())[axis] == lowering.shape(op.getOutput())[axis])
      continue;
    window = true;
    indices[axis] = indices[axis] * step;
    if (std::optional<int64_t> constant = start->constant())
      indices[axis] = indices[axis] + *constant;
    else
      moved.push_back({axis, lowering.indexValue(lowering.size(*start))});
  }
  View source = View(lowering.view(op.getData()));
  AffineMap map = AffineMap::get(rank, 0, indices, context);
  if (moved.empty()) {
    source = source.through(map);
    source.window |= window;
    lowering.bind(op.getOutput(), source);
    return success();
  }
  Type element = tensorType(op.getData()).getElementType();
  Value copy = lowering.map(
      lowering.sizes(op.getOutput()), element, {}, [&](OpBuilder &b, Location loc, ValueRange) {
        SmallVector<Value> position;
        for (int64_t i = 0; i < rank; ++i) {
          Value index = linalg::IndexOp::create(b, loc, i);
          for (auto [slot, step] : llvm::zip(op.getAxes(), op.getSteps()))
            if (slot == i && step != 1)
              index = arith::MulIOp::create(b, loc, index,
                                            arith::ConstantIndexOp::create(b, loc, step));
          for (auto [axis, start] : moved)
            if (axis == i)
              index = arith::AddIOp::create(b, loc, index, start);
          if (auto sum = dyn_cast<AffineBinaryOpExpr>(indices[i]);
              sum && sum.getKind() == AffineExprKind::Add)
            index = arith::AddIOp::create(
                b, loc, index,
                arith::ConstantIndexOp::create(b, loc,
                                               cast<AffineConstantExpr>(sum.getRHS()).getValue()));
          position.push_back(index);
        }
        return lowering.load(b, loc, source, element, position);
      });
  lowering.bind(op.getOutput(), copy);
  return success();
}

LogicalResult lowerSplit(Lowering &lowering, onnx::SplitOp op) {
  int64_t axis = op.getAxis(), rank = tensorType(op.getInput()).getRank(), start = 0;
  for (Value result : op.getOutputs()) {
    SmallVector<AffineExpr> indices;
    for (int64_t i = 0; i < rank; ++i)
      indices.push_back(lowering.builder.getAffineDimExpr(i) + (i == axis ? start : 0));
    View part = View(lowering.view(op.getInput()))
                    .through(AffineMap::get(rank, 0, indices, lowering.builder.getContext()));
    part.window = true;
    lowering.bind(result, part);
    std::optional<int64_t> size = lowering.shape(result)[axis].constant();
    if (!size && result != op.getOutputs().back())
      return Lowering::refuse(op) << "into parts of dynamic size is not supported";
    start += size.value_or(0);
  }
  return success();
}

LogicalResult lowerConstantOfShape(Lowering &lowering, onnx::ConstantOfShapeOp op) {
  View literal;
  literal.literal =
      cast<TypedAttr>(cast<DenseElementsAttr>(op.getValue()).getSplatValue<Attribute>());
  lowering.bind(op.getOutput(), literal);
  return success();
}

} // namespace

std::optional<SymbolicExpr> Lowering::startOf(onnx::SliceOp slice, int64_t i) {
  const onnx::Content &starts = content(slice.getStarts());
  if (!starts.hasElements() || starts.elements()[i].kind != onnx::Element::Int)
    return std::nullopt;
  SymbolicExpr start = starts.elements()[i].expr, dim = shape(slice.getData())[slice.getAxes()[i]];
  SymbolicExpr last = dim - SymbolicExpr(slice.getSteps()[i] < 0 ? 1 : 0);
  if (start.upperBound() < 0)
    start = SymbolicExpr::max(start + dim, 0);
  else if (start.lowerBound() < 0) // for some sizes, where the factor is 1 and not 0
    start = SymbolicExpr::max(
        start + dim * SymbolicExpr::max(SymbolicExpr::min(SymbolicExpr(0) - start, 1), 0), 0);
  start = SymbolicExpr::min(start, last);
  return start.isKnown() ? std::optional(start) : std::nullopt;
}

bool Lowering::isReadThrough(onnx::SliceOp slice) {
  if (slice.getAxes().size() != 1 || slice.getSteps()[0] != 1 || !startOf(slice, 0))
    return false;
  int64_t axis = slice.getAxes()[0];
  auto isPositive = [&](const SymbolicExpr &dim) {
    return dim.isPositiveUnlessInputsEmpty() || shapes.atMost(SymbolicExpr(1), dim);
  };
  if (isPositive(shape(slice.getOutput())[axis]) || !isPositive(shape(slice.getData())[axis]))
    return false;
  return llvm::all_of(slice.getOutput().getUsers(), [&](Operation *user) {
    auto concat = dyn_cast<onnx::ConcatOp>(user);
    return concat && static_cast<int64_t>(concat.getAxis()) == axis &&
           concat.getInputs().size() > 1;
  });
}

std::optional<LogicalResult> Lowering::lowerView(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::FlattenOp>(
          [&](Operation *reshape) {
            return lowerReshape(*this, reshape->getOperand(0), reshape->getResult(0));
          })
      .Case([&](onnx::IdentityOp identity) {
        return bind(identity.getOutput(), View(view(identity.getInput()))), success();
      })
      .Case([&](onnx::TransposeOp transpose) { return lowerTranspose(*this, transpose); })
      .Case([&](onnx::ExpandOp expand) { return lowerExpand(*this, expand); })
      .Case([&](onnx::SliceOp slice) { return lowerSlice(*this, slice); })
      .Case([&](onnx::SplitOp split) { return lowerSplit(*this, split); })
      .Case([&](onnx::ConstantOfShapeOp constant) { return lowerConstantOfShape(*this, constant); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace rapt::fuse
