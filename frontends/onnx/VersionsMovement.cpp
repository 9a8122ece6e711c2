//===- VersionsMovement.cpp - Operators that move data ---------------------------------------===//
//
// Rows of the table for operators that move data. Bounds, axes and sizes that once were attributes
// become operands or the reverse, whichever the newest form has; a sequence is the list of its
// parts.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
void upgradeReshape(NodeBuilder &b) {
  Value x = b.in(0), shape = b.in(1);
  bool allowzero = b.opset() >= 14 && b.flagAttr("allowzero", false);
  if (!b.stopped())
    b.out(0, b.make<ReshapeOp>(x, shape, allowzero));
}

template <typename Op> void upgradeTwo(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  if (!b.stopped())
    b.out(0, b.make<Op>(x, y));
}

void upgradeTranspose(NodeBuilder &b) {
  Value x = b.in(0);
  std::optional<SmallVector<int64_t>> perm = b.intsAttr("perm");
  if (b.stopped())
    return;
  if (!perm)
    perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, b.rank(x))));
  b.out(0, b.make<TransposeOp>(x, *perm));
}

/// `axes` of Squeeze and Unsqueeze: an attribute below opset 13, an operand since.
std::optional<SmallVector<int64_t>> axesOf(NodeBuilder &b) {
  if (b.opset() < 13)
    return b.intsAttr("axes");
  if (!b.optional(1))
    return std::nullopt;
  return b.constants(1, "axes");
}

void upgradeSqueeze(NodeBuilder &b) {
  Value x = b.in(0);
  std::optional<SmallVector<int64_t>> axes = axesOf(b);
  if (b.stopped())
    return;
  SmallVector<std::pair<int64_t, SymbolicExpr>> open;
  if (!axes) { // all dims of size one
    axes.emplace();
    for (auto [i, dim] : llvm::enumerate(b.analysis().shapeOf(x)))
      if (dim.is(1))
        axes->push_back(i);
      else if (!dim.constant() && !b.analysis().atMost(SymbolicExpr(2), dim))
        open.emplace_back(i, dim);
  }
  SmallVector<int64_t> normal = b.normalized(*axes, b.rank(x));
  Value y = b.stopped() ? Value() : b.make<SqueezeOp>(x, normal);
  if (!y)
    return;
  // The rank of the result is known here, whatever sizes dims have when the model runs.
  for (const auto &[axis, dim] : open)
    requireDims(b, y.getDefiningOp(), SymbolicExpr(2), dim, /*equal=*/false,
                "no dim of size 1 where no axes are given, dim " + Twine(axis));
  b.out(0, y);
}

void upgradeUnsqueeze(NodeBuilder &b) {
  Value x = b.in(0);
  std::optional<SmallVector<int64_t>> axes = axesOf(b);
  if (!axes)
    b.error("axes are missing");
  if (b.stopped())
    return;
  SmallVector<int64_t> normal = b.normalized(*axes, b.rank(x) + axes->size());
  if (!b.stopped())
    b.out(0, b.make<UnsqueezeOp>(x, normal));
}

void upgradeFlatten(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t axis = b.normalized(b.intAttr("axis", 1), b.rank(x), "axis", /*orEnd=*/true);
  if (!b.stopped())
    b.out(0, b.make<FlattenOp>(x, axis));
}

void upgradeConcat(NodeBuilder &b) {
  SmallVector<Value> values = b.allInputs();
  if (b.stopped())
    return;
  int64_t axis = b.normalized(b.requiredInt("axis"), b.rank(values.front()));
  if (!b.stopped())
    b.out(0, b.make<ConcatOp>(values, axis));
}

/// Equal pieces of a dim that is not constant: as slices, the last of them smaller where the number
/// of pieces is no divisor.
void splitDynamic(NodeBuilder &b, Value x, int64_t axis) {
  int64_t pieces = b.numOutputs();
  Value size = dimOf(b, x, axis), start = b.makeInts({0});
  Value rounded = binary<AddOp>(b, size, b.makeInts({pieces - 1}));
  Value each = binary<DivOp>(b, rounded, b.makeInts({pieces}));
  for (int64_t i = 0; i < pieces; ++i) {
    Value end = i + 1 == pieces ? size : binary<AddOp>(b, start, each);
    b.out(i, slice(b, x, axis, start, end));
    start = end;
  }
}

/// Sizes are an attribute below opset 13 and an operand since; `num_outputs` came with 18.
void upgradeSplit(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t axis = b.normalized(b.intAttr("axis", 0), b.rank(x));
  std::optional<SmallVector<int64_t>> sizes;
  if (b.opset() < 13)
    sizes = b.intsAttr("split");
  else if (b.optional(1))
    sizes = b.constants(1, "split");
  if (b.opset() >= 18) {
    int64_t outputs = b.intAttr("num_outputs", b.numOutputs());
    if (outputs != static_cast<int64_t>(b.numOutputs()))
      b.error("attribute 'num_outputs' is " + Twine(outputs) + ", expected " +
              Twine(b.numOutputs()) + " as the node has outputs");
  }
  if (b.stopped())
    return;
  SmallVector<Type> types(b.numOutputs(), UnrankedTensorType::get(b.elementType(x)));
  if (types.empty())
    return b.error("has no outputs");
  if (!sizes && cast<RankedTensorType>(x.getType()).isDynamicDim(axis))
    return splitDynamic(b, x, axis);
  auto split = SplitOp::create(b.ops(), b.location(), types, x, axis,
                               sizes ? b.ops().getDenseI64ArrayAttr(*sizes) : DenseI64ArrayAttr());
  if (!b.finish(split))
    return;
  for (auto [i, result] : llvm::enumerate(split.getResults()))
    b.out(i, result);
}

/// A value of one element as one that it is computed from and a constant that is added to that.
std::pair<Value, int64_t> withoutOffset(NodeBuilder &b, Value value) {
  constexpr int deepest = 16;
  int64_t offset = 0;
  for (int depth = 0; depth < deepest; ++depth) {
    Operation *op = value.getDefiningOp();
    if (!op)
      break;
    if (isa<UnsqueezeOp, SqueezeOp, ReshapeOp, IdentityOp>(op)) {
      value = op->getOperand(0);
      continue;
    }
    if (!isa<AddOp, SubOp>(op))
      break;
    auto left = b.expression(op->getOperand(0)).constant();
    auto right = b.expression(op->getOperand(1)).constant();
    if (right)
      offset += clampDistance(*right) * (isa<AddOp>(op) ? 1 : -1);
    else if (left && isa<AddOp>(op))
      offset += clampDistance(*left);
    else
      break;
    value = op->getOperand(right ? 0 : 1);
  }
  return {value, offset};
}

/// A slice from data on, of constant length: x[:, t:t + 1]. The places that it reads must exist,
/// which Gather checks; null where it is none.
Value sliceFromData(NodeBuilder &b, Value x, Value starts, Value ends, int64_t axis) {
  constexpr int64_t longest = 4096;
  if (b.analysis().content(starts).isComplete())
    return {};
  auto [from, before] = withoutOffset(b, starts);
  auto [to, behind] = withoutOffset(b, ends);
  int64_t length = behind - before;
  if (from != to || length < 1 || length > longest)
    return {};
  Value first = castTo(b, starts, b.ops().getI64Type());
  // Counted from the end, a slice that ends at 0 has no elements.
  Value isNegative = withScalar<LessOp>(b, first, 0);
  Value nowhere = b.makeInts({farDistance});
  auto steps = llvm::to_vector(llvm::seq<int64_t>(0, length));
  Value places = binary<AddOp>(b, where(b, isNegative, nowhere, first), b.makeInts(steps));
  return places ? b.make<GatherOp>(x, places, axis) : Value();
}

/// Bounds are attributes below opset 10 and operands since; axes and steps must be constant.
void upgradeSlice(NodeBuilder &b) {
  Value x = b.in(0), starts, ends;
  std::optional<SmallVector<int64_t>> axes, steps;
  if (b.opset() < 10) {
    auto from = b.intsAttr("starts"), to = b.intsAttr("ends");
    if (!from || !to)
      b.error("attribute 'starts' or 'ends' is missing");
    axes = b.intsAttr("axes");
    if (b.stopped())
      return;
    starts = b.makeInts(*from);
    ends = b.makeInts(*to);
  } else {
    starts = b.in(1);
    ends = b.in(2);
    if (b.optional(3))
      axes = b.constants(3, "axes");
    if (b.optional(4))
      steps = b.constants(4, "steps");
  }
  if (b.stopped())
    return;
  auto type = cast<RankedTensorType>(starts.getType());
  if (type.getRank() != 1 || type.isDynamicDim(0))
    return b.error("input 'starts' has rank " + Twine(type.getRank()) +
                   " or a dynamic size, expected rank 1");
  int64_t count = type.getDimSize(0);
  if (!axes)
    axes = llvm::to_vector(llvm::seq<int64_t>(0, count));
  if (!steps)
    steps = SmallVector<int64_t>(count, 1);
  llvm::transform(*steps, steps->begin(), clampDistance);
  for (int64_t &axis : *axes)
    axis = b.normalized(axis, b.rank(x), "axes");
  if (!b.stopped() && *steps == ArrayRef<int64_t>{1} && axes->size() == 1)
    if (Value slice = sliceFromData(b, x, starts, ends, axes->front()))
      return b.out(0, slice);
  if (!b.stopped())
    b.out(0, b.make<SliceOp>(x, starts, ends, *axes, *steps));
}

template <typename Op> void upgradeGatherAlong(NodeBuilder &b) {
  Value x = b.in(0), indices = b.in(1);
  int64_t axis = b.normalized(b.intAttr("axis", 0), b.rank(x));
  if (!b.stopped())
    b.out(0, b.make<Op>(x, indices, axis));
}

void upgradeGatherND(NodeBuilder &b) {
  Value x = b.in(0), indices = b.in(1);
  int64_t batch = b.opset() >= 12 ? b.intAttr("batch_dims", 0) : 0;
  if (!b.stopped())
    b.out(0, b.make<GatherNDOp>(x, indices, batch));
}
} // namespace

void addMovement(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral all = "float, int, bool";
  constexpr llvm::StringLiteral shape = "the shape must follow from constants and input dims";
  table.insert(
      table.end(),
      {
          {"Concat", 7, all, "", upgradeConcat},
          {"Expand", 8, all, shape, upgradeTwo<ExpandOp>},
          {"Flatten", 7, all, "", upgradeFlatten},
          {"Gather", 7, all, "", upgradeGatherAlong<GatherOp>},
          {"GatherElements", 11, all, "", upgradeGatherAlong<GatherElementsOp>},
          {"GatherND", 11, all, "", upgradeGatherND},
          {"Reshape", 7, all, shape, upgradeReshape},
          {"Slice", 7, all,
           "bounds are attributes below 10; they must follow from constants and input dims, or "
           "be x and x + constant, both within the dim",
           upgradeSlice},
          {"Split", 7, all, "sizes are an attribute below 13, a constant operand since",
           upgradeSplit},
          {"Squeeze", 7, all, "axes are an attribute below 13, a constant operand since",
           upgradeSqueeze},
          {"Tile", 7, all, "repeats must follow from constants and input dims", upgradeTwo<TileOp>},
          {"Transpose", 7, all, "", upgradeTranspose},
          {"Unsqueeze", 7, all, "axes are an attribute below 13, a constant operand since",
           upgradeUnsqueeze},
      });
}

} // namespace rapt::onnx
