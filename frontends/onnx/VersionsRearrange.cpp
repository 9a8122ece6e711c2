//===- VersionsRearrange.cpp - Blocks, one-hot, reversals, crops, grids ----------------------===//
//
// All of these are compositions of Reshape, Transpose, Gather, comparisons of positions and Pad.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
// --- Comparisons of positions -------------------------------------------------------------------
/// values[1] where the new dim's position is the index (negative ones count from the end), else
/// values[0].
void upgradeOneHot(NodeBuilder &b) {
  Value indices = b.in(0), depth = b.in(1), values = b.in(2);
  int64_t rank = b.rank(indices) + 1, axis = b.normalized(b.intAttr("axis", -1), rank);
  if (b.rank(depth) > 1)
    b.error("input 'depth' has rank " + Twine(b.rank(depth)) + ", expected 0 or 1");
  if (b.rank(values) != 1)
    b.error("input 'values' has rank " + Twine(b.rank(values)) + ", expected 1");
  else if (SymbolicExpr size = b.dim(values, 0); SymbolicExpr::provablyDifferent(size, 2))
    b.error("input 'values' has " + size.str() + " elements, expected 2");
  if (std::optional<double> size = b.number(depth); size && !(*size >= 0))
    b.error("input 'depth' is " + numberText(*size) + ", expected at least 0");
  if (b.stopped())
    return;
  Type i64 = b.ops().getI64Type();
  depth = castTo(b, b.rank(depth) == 1 ? squeeze(b, depth, {0}) : depth, i64);
  Value wanted = unsqueeze(b, castTo(b, indices, i64), {axis});
  Value isNegative = withScalar<LessOp>(b, wanted, 0);
  wanted = where(b, isNegative, binary<AddOp>(b, wanted, depth), wanted);
  Value here = binary<EqualOp>(b, iota(b, depth, axis, rank), wanted);
  auto valueAt = [&](int64_t i) {
    Value index = scalarInt(b, i);
    return b.stopped() ? Value() : b.make<GatherOp>(values, index, 0);
  };
  Value off = valueAt(0), on = valueAt(1);
  b.out(0, where(b, here, on, off));
}

/// 1 where column = row + k; only the shape of the operand matters.
void upgradeEyeLike(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t k = clampDistance(b.intAttr("k", 0)), to = b.intAttr("dtype", 0);
  if (b.rank(x) != 2)
    b.error("input has rank " + Twine(b.rank(x)) + ", expected 2");
  if (b.stopped())
    return;
  Type type = b.elementType(x);
  if (b.has("dtype")) {
    if (to <= 0 || to > maxElementType)
      return b.error("attribute 'dtype' is " + Twine(to) + ", expected an element type from 1 to " +
                     Twine(maxElementType));
    type = elementTypeFor(b.context(), static_cast<ElementType>(to));
    if (!type)
      return b.unsupported("element type " + nameOf(static_cast<ElementType>(to)));
  }
  Value rows = iota(b, scalarDimOf(b, x, 0), 0, 2), columns = iota(b, scalarDimOf(b, x, 1), 1, 2);
  if (k != 0)
    rows = withScalar<AddOp>(b, rows, static_cast<double>(k));
  b.out(0, castTo(b, binary<EqualOp>(b, columns, rows), type));
}

/// A diagonal that is known stays an attribute; else positions are compared with it.
void upgradeTrilu(NodeBuilder &b) {
  Value x = b.in(0), k = b.optional(1);
  bool upper = b.flagAttr("upper", true);
  if (b.stopped())
    return;
  if (!k || b.isConstant(k)) {
    int64_t diagonal = k ? clampDistance(b.constant(1, "k")) : 0;
    return b.stopped() ? void() : b.out(0, b.make<TriluOp>(x, upper, diagonal));
  }
  int64_t rank = b.rank(x);
  if (rank < 2)
    return b.error("input has rank " + Twine(rank) + ", expected at least 2");
  if (b.rank(k) > 1)
    return b.error("input 'k' has rank " + Twine(b.rank(k)) + ", expected 0 or 1");
  Value diagonal = castTo(b, b.rank(k) == 1 ? squeeze(b, k, {0}) : k, b.ops().getI64Type());
  if (!diagonal)
    return;
  // What follows from dims is no farther than they are.
  ArrayRef<Element> known = b.elements(diagonal);
  if (known.size() != 1 || !known.front().isKnown()) {
    Value limit = scalarInt(b, farDistance), least = scalarInt(b, -farDistance);
    if (b.stopped())
      return;
    diagonal = b.make<ClipOp>(diagonal, least, limit);
  }
  Value first = binary<AddOp>(b, iota(b, scalarDimOf(b, x, rank - 2), 0, 2), diagonal);
  Value column = iota(b, scalarDimOf(b, x, rank - 1), 1, 2);
  Value kept =
      upper ? binary<GreaterOrEqualOp>(b, column, first) : binary<LessOrEqualOp>(b, column, first);
  b.out(0, where(b, kept, x, b.makeScalar(b.elementType(x), 0)));
}

/// The first seq_lens[b] elements along the time axis in reverse order, the rest as it is.
void upgradeReverseSequence(NodeBuilder &b) {
  Value x = b.in(0), lengths = b.in(1);
  int64_t rank = b.rank(x), batch = b.normalized(b.intAttr("batch_axis", 1), rank, "batch_axis"),
          time = b.normalized(b.intAttr("time_axis", 0), rank, "time_axis");
  if (batch == time)
    b.error("attributes 'batch_axis' and 'time_axis' are both " + Twine(time) +
            ", expected two axes");
  if (b.rank(lengths) != 1)
    b.error("input 'sequence_lens' has rank " + Twine(b.rank(lengths)) + ", expected 1");
  if (b.stopped())
    return;
  if (SymbolicExpr count = b.dim(lengths, 0), size = b.dim(x, batch);
      SymbolicExpr::provablyDifferent(count, size))
    b.error("input 'sequence_lens' has " + count.str() + " elements, expected " + size.str() +
            " as dim " + Twine(batch) + " of the operand");
  std::optional<int64_t> steps = b.dim(x, time).constant();
  for (const Element &element : b.elements(lengths))
    if (std::optional<int64_t> given = element.expr.constant();
        given && (*given < 0 || (steps && *given > *steps)))
      b.error("input 'sequence_lens' has " + Twine(*given) + ", expected 0 to " +
              (steps ? std::to_string(*steps) : "dim " + std::to_string(time) + " of the operand"));
  if (b.stopped())
    return;
  Value length = alongAxis(b, castTo(b, lengths, b.ops().getI64Type()), batch, rank);
  Value position = iota(b, scalarDimOf(b, x, time), time, rank);
  Value mirrored = binary<SubOp>(b, withScalar<SubOp>(b, length, 1), position);
  Value index = where(b, binary<LessOp>(b, position, length), mirrored, position);
  // Too long a length reads before the first step, which is refused; so is what a negative one
  // gives.
  if (!b.isConstant(lengths))
    index = where(b, withScalar<LessOp>(b, length, 0), scalarDimOf(b, x, time), index);
  Value shape = shapeOf(b, x);
  if (b.stopped())
    return;
  index = b.make<ExpandOp>(index, shape);
  if (!b.stopped())
    b.out(0, b.make<GatherElementsOp>(x, index, time));
}

// --- Blocks -------------------------------------------------------------------------------------
/// `blocksize` of an image [batch, channels, height, width], and whether `mode` is CRD.
struct Blocks {
  int64_t size;
  bool channelFirst;
};
Blocks blocksOf(NodeBuilder &b, Value x) {
  constexpr int64_t maxSize = 1 << 15;
  int64_t size = b.requiredInt("blocksize");
  StringRef mode = b.stringAttr("mode", "DCR");
  if (b.rank(x) != 4)
    b.error("input has rank " + Twine(b.rank(x)) + ", expected 4");
  if (size < 1 || size > maxSize)
    b.error("attribute 'blocksize' is " + Twine(size) + ", expected 1 to " + Twine(maxSize));
  if (mode != "DCR" && mode != "CRD")
    b.error("attribute 'mode' is '" + mode + "', expected DCR or CRD");
  return {size, mode == "CRD"};
}

/// Dim `axis` of `x` over `size`, an i64[1]; the Reshape that takes it finds a remainder.
Value over(NodeBuilder &b, Value x, int64_t axis, int64_t size) {
  if (b.stopped())
    return {};
  auto type = cast<RankedTensorType>(x.getType());
  if (!type.isDynamicDim(axis) && type.getDimSize(axis) % size != 0)
    b.error("dim " + Twine(axis) + " is " + Twine(type.getDimSize(axis)) +
            ", expected a multiple of " + Twine(size));
  return binary<DivOp>(b, dimOf(b, x, axis), b.makeInts({size}));
}

Value times(NodeBuilder &b, Value dim, int64_t factor) {
  return binary<MulOp>(b, dim, b.makeInts({factor}));
}

void upgradeDepthToSpace(NodeBuilder &b) {
  Value x = b.in(0);
  auto [size, channelFirst] = blocksOf(b, x);
  if (b.stopped())
    return;
  Value n = dimOf(b, x, 0), c = over(b, x, 1, size * size), h = dimOf(b, x, 2), w = dimOf(b, x, 3);
  Value block = b.makeInts({size});
  Value split = channelFirst ? joinDims(b, {n, c, block, block, h, w})
                             : joinDims(b, {n, block, block, c, h, w});
  SmallVector<int64_t> perm = channelFirst ? SmallVector<int64_t>{0, 1, 4, 2, 5, 3}
                                           : SmallVector<int64_t>{0, 3, 4, 1, 5, 2};
  Value moved = transpose(b, reshape(b, x, split), perm);
  b.out(0, reshape(b, moved, joinDims(b, {n, c, times(b, h, size), times(b, w, size)})));
}

void upgradeSpaceToDepth(NodeBuilder &b) {
  Value x = b.in(0);
  auto [size, channelFirst] = blocksOf(b, x);
  if (b.stopped())
    return;
  Value n = dimOf(b, x, 0), c = dimOf(b, x, 1), h = over(b, x, 2, size), w = over(b, x, 3, size);
  Value block = b.makeInts({size});
  SmallVector<int64_t> perm = channelFirst ? SmallVector<int64_t>{0, 1, 3, 5, 2, 4}
                                           : SmallVector<int64_t>{0, 3, 5, 1, 2, 4};
  Value moved = transpose(b, reshape(b, x, joinDims(b, {n, c, h, block, w, block})), perm);
  b.out(0, reshape(b, moved, joinDims(b, {n, times(b, c, size * size), h, w})));
}

// --- Crops --------------------------------------------------------------------------------------
/// How CenterCropPad changes axes whose old and new size are numbers.
Value cropFixed(NodeBuilder &b, Value x, ArrayRef<int64_t> axes, ArrayRef<int64_t> wanted) {
  SmallVector<int64_t> starts, ends, before, after;
  for (auto [axis, size] : llvm::zip_equal(axes, wanted)) {
    int64_t dim = cast<RankedTensorType>(x.getType()).getDimSize(axis);
    if (size < 0)
      b.error("input 'shape' has " + Twine(size) + ", expected no negative size");
    int64_t start = std::max<int64_t>(dim - size, 0) / 2, lack = std::max<int64_t>(size - dim, 0);
    starts.push_back(start);
    ends.push_back(start + std::min(dim, size));
    before.push_back(lack / 2);
    after.push_back(lack - lack / 2);
  }
  before.append(after);
  Value from = b.makeInts(starts), to = b.makeInts(ends), pads = b.makeInts(before);
  if (b.stopped())
    return {};
  Value cropped = b.make<SliceOp>(x, from, to, axes, SmallVector<int64_t>(axes.size(), 1));
  return cropped ? b.make<PadOp>(cropped, pads, Value(), axes, b.ops().getStringAttr("constant"))
                 : Value();
}

/// The same for one axis and a size that need not be numbers: elements are gathered, and those from
/// outside are zero.
Value cropAxis(NodeBuilder &b, Value x, int64_t axis, Value wanted) {
  int64_t rank = b.rank(x);
  Value dim = scalarDimOf(b, x, axis), zero = scalarInt(b, 0);
  auto half = [&](Value more, Value fewer) {
    Value excess = binary<SubOp>(b, more, fewer);
    return excess && zero ? withScalar<DivOp>(b, b.make<MaxOp>(SmallVector<Value>{excess, zero}), 2)
                          : Value();
  };
  // Position p of the result, from `low` up to `high`, is position p - low + start of x. Numbers of
  // the host are not negative.
  Value start = half(dim, wanted), low = half(wanted, dim), position = iota(b, wanted, 0, 1);
  if (b.stopped())
    return {};
  Value high = binary<AddOp>(b, low, b.make<MinOp>(SmallVector<Value>{dim, wanted}));
  Value moved = binary<SubOp>(b, b.make<MaxOp>(SmallVector<Value>{position, low}), low);
  Value index = binary<AddOp>(b, moved, start), last = withScalar<SubOp>(b, dim, 1);
  Value isInside = binary<AndOp>(b, binary<GreaterOrEqualOp>(b, position, low),
                                 binary<LessOp>(b, position, high));
  if (b.stopped())
    return {};
  Value inside = b.make<MinOp>(SmallVector<Value>{index, last});
  Value taken = inside ? b.make<GatherOp>(x, inside, axis) : Value();
  return where(b, alongAxis(b, isInside, axis, rank), taken, b.makeScalar(b.elementType(x), 0));
}

/// Along each axis as many elements as `shape` says, from the middle: fewer of them, or zeros
/// around. The odd one is at the end.
void upgradeCenterCropPad(NodeBuilder &b) {
  Value x = b.in(0), shape = b.in(1);
  int64_t rank = b.rank(x);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (std::optional<SmallVector<int64_t>> given = b.intsAttr("axes")) {
    axes = *given;
    for (int64_t &axis : axes)
      axis = b.normalized(axis, rank, "axes");
  }
  auto shapeType = shape ? cast<RankedTensorType>(shape.getType()) : RankedTensorType();
  if (shapeType &&
      (shapeType.getRank() != 1 || shapeType.getDimSize(0) != static_cast<int64_t>(axes.size())))
    b.error("input 'shape' is " + typeText(b.analysis(), shape) + ", expected " +
            Twine(axes.size()) + " numbers, one for each axis");
  if (b.stopped())
    return;
  SmallVector<int64_t> sizes, fixedAxes, fixedSizes;
  if (b.isConstant(shape))
    sizes = b.constants(1, "shape");
  Value wanted = castTo(b, shape, b.ops().getI64Type()), result = x;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (!sizes.empty() && !cast<RankedTensorType>(x.getType()).isDynamicDim(axis)) {
      fixedAxes.push_back(axis);
      fixedSizes.push_back(sizes[i]);
      continue;
    }
    Value index = scalarInt(b, i);
    if (!b.stopped())
      result = cropAxis(b, result, axis, b.make<GatherOp>(wanted, index, 0));
  }
  if (!fixedAxes.empty() && !b.stopped())
    result = cropFixed(b, result, fixedAxes, fixedSizes);
  b.out(0, result);
}

// --- Grids --------------------------------------------------------------------------------------
/// theta * (x, y, z, 1) at the positions of an image of `size` [batch, channels, (depth,) height,
/// width], whose corners, or with align_corners the middles of whose corner elements, are -1 and 1.
void upgradeAffineGrid(NodeBuilder &b) {
  Value theta = b.in(0), size = b.in(1);
  bool alignCorners = b.flagAttr("align_corners", false);
  expectFloat(b, theta, "theta");
  auto sizeType = size ? cast<RankedTensorType>(size.getType()) : RankedTensorType();
  if (sizeType &&
      (sizeType.getRank() != 1 || (sizeType.getDimSize(0) != 4 && sizeType.getDimSize(0) != 5)))
    b.error("input 'size' is " + typeText(b.analysis(), size) + ", expected 4 or 5 numbers");
  if (b.rank(theta) != 3)
    b.error("input 'theta' has rank " + Twine(b.rank(theta)) + ", expected 3");
  if (b.stopped())
    return;
  int64_t spatial = sizeType.getDimSize(0) - 2;
  Type type = wideType(b, theta), i64 = b.ops().getI64Type();
  Value wide = castTo(b, theta, type), sizes = castTo(b, size, i64);
  Value dims = slice(b, sizes, 0, 2, spatial + 2);
  if (b.stopped())
    return;
  // Each coordinate, and the one, in every place: [spatial..., 1].
  SmallVector<Value> columns;
  for (int64_t axis = spatial - 1; axis >= 0; --axis) {
    Value index = scalarInt(b, axis);
    if (b.stopped())
      return;
    Value dim = b.make<GatherOp>(dims, index, 0);
    Value position = castTo(b, iota(b, dim, axis, spatial + 1), type),
          length = castTo(b, dim, type);
    Value twice = withScalar<MulOp>(b, position, 2);
    Value value = alignCorners ? binary<DivOp>(b, twice, withScalar<SubOp>(b, length, 1))
                               : binary<DivOp>(b, withScalar<AddOp>(b, twice, 1), length);
    columns.push_back(withScalar<SubOp>(b, value, 1));
  }
  Value full = joinDims(b, {dims, b.makeInts({1})});
  columns.push_back(b.makeScalar(type, 1));
  if (b.stopped())
    return;
  for (Value &column : columns)
    if (column)
      column = b.make<ExpandOp>(column, full);
  if (b.stopped())
    return;
  Value points = b.make<ConcatOp>(columns, spatial);
  Value rows = b.makeInts({-1, spatial + 1});
  if (b.stopped())
    return;
  points = b.make<ReshapeOp>(points, rows, /*allowzero=*/false);
  Value grid = binary<MatMulOp>(b, points, transpose(b, wide, {0, 2, 1}));
  Value shape = joinDims(b, {dimOf(b, theta, 0), dims, b.makeInts({spatial})});
  b.out(0, castTo(b, reshape(b, grid, shape), b.elementType(theta)));
}
} // namespace

void addRearrangements(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral all = "float, int, bool";
  table.insert(
      table.end(),
      {
          {"AffineGrid", 20, "float", "size must follow from constants and input dims",
           upgradeAffineGrid},
          {"CenterCropPad", 18, all, "shape must follow from constants and input dims",
           upgradeCenterCropPad},
          {"DepthToSpace", 7, all, "", upgradeDepthToSpace},
          {"EyeLike", 9, all, "", upgradeEyeLike},
          {"OneHot", 9, all, "depth must follow from constants and input dims", upgradeOneHot},
          {"ReverseSequence", 10, all, "", upgradeReverseSequence},
          {"SpaceToDepth", 7, all, "", upgradeSpaceToDepth},
          {"Trilu", 14, all, "", upgradeTrilu},
      });
}

} // namespace rapt::onnx
