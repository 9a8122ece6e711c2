//===- InferSlicing.cpp - Concat, Split and Slice --------------------------------------------===//
//
// Shape: sums and clamped differences of dims. Content: the elements
// that are taken, where both they and the bounds are known.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
LogicalResult inferConcat(ShapeInference &shapes, ConcatOp op) {
  if (op.getInputs().empty())
    return op.emitOpError("has no operands, expected at least one");
  Shape shape = shapes.shapeOf(op.getInputs().front());
  int64_t axis = op.getAxis();
  Type type = elementTypeOf(op.getInputs().front());
  if (failed(checkAxis(op, axis, shape.size())))
    return failure();
  for (auto [i, input] : llvm::enumerate(op.getInputs().drop_front())) {
    ArrayRef<SymbolicExpr> other = shapes.shape(input);
    if (other.size() != shape.size())
      return op.emitOpError() << "operand " << i + 1 << " has rank " << other.size()
                              << ", expected " << shape.size() << " as operand 0";
    if (elementTypeOf(input) != type)
      return op.emitOpError() << "operand " << i + 1 << " has element type " << elementTypeOf(input)
                              << ", expected " << type << " as operand 0";
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d == static_cast<size_t>(axis)) {
        shape[d] = shape[d] + other[d];
        continue;
      }
      FailureOr<SymbolicExpr> dim =
          shapes.meet(op, shape[d], other[d], "dim " + Twine(d) + " of its operands");
      if (failed(dim))
        return failure();
      shape[d] = *dim;
    }
  }
  Content content;
  if (op.getInputs().size() == 1) {
    content = shapes.content(op.getInputs().front());
  } else if (auto dims = staticDims(shape); dims && shapes.isListable(*dims)) {
    std::vector<Element> elements(llvm::product_of(*dims));
    int64_t offset = 0;
    for (Value input : op.getInputs()) {
      auto inputDims = staticDims(shapes.shape(input));
      if (!inputDims) // a symbolic dim met a constant; its content is not listed
        return shapes.set(op, 0, std::move(shape), type);
      Content known = shapes.listed(input);
      forEachIndex(*inputDims, [&](ArrayRef<int64_t> index) {
        SmallVector<int64_t, 4> target(index);
        target[axis] += offset;
        if (known.hasElements())
          elements[linearIndex(*dims, target)] = known.elements()[linearIndex(*inputDims, index)];
      });
      offset += (*inputDims)[axis];
    }
    content = Content::ofElements(std::move(elements));
  }
  return shapes.set(op, 0, std::move(shape), type, std::move(content));
}

// --- Slices --------------------------------------------------------------------------------------
/// The content of data[start + i * step] along one axis at a time.
struct SliceRange {
  int64_t axis;
  SymbolicExpr start, size;
  int64_t step;
};

Content sliceContent(ShapeInference &shapes, Value data, ArrayRef<SliceRange> ranges,
                     ArrayRef<SymbolicExpr> to) {
  Content known = shapes.content(data);
  if (const Element *value = known.uniform())
    return Content::uniform(*value, to.size());
  auto dims = staticDims(shapes.shape(data)), resultDims = staticDims(to);
  if (known.hasElements() && dims && resultDims &&
      llvm::all_of(ranges, [](auto &r) { return r.start.constant().has_value(); })) {
    std::vector<Element> elements;
    forEachIndex(*resultDims, [&](ArrayRef<int64_t> index) {
      SmallVector<int64_t, 4> source(index);
      for (const SliceRange &range : ranges)
        source[range.axis] = *range.start.constant() + index[range.axis] * range.step;
      elements.push_back(known.elements()[linearIndex(*dims, source)]);
    });
    return Content::ofElements(std::move(elements));
  }
  if (dims)
    known = toAffine(known, *dims);
  if (!known.isAffine())
    return {};
  SymbolicExpr base = known.base().expr;
  Shape strides(known.strides());
  for (const SliceRange &range : ranges) {
    base = base + strides[range.axis] * range.start;
    strides[range.axis] = strides[range.axis] * SymbolicExpr(range.step);
  }
  return Content::affine(Element::ofInt(base), strides);
}

LogicalResult inferSplit(ShapeInference &shapes, SplitOp op) {
  Shape shape = shapes.shapeOf(op.getInput());
  int64_t axis = op.getAxis(), pieces = op.getNumResults();
  if (failed(checkAxis(op, axis, shape.size())))
    return failure();
  SmallVector<int64_t> sizes;
  SymbolicExpr extent = shape[axis];
  if (std::optional<ArrayRef<int64_t>> given = op.getSizes()) {
    sizes.assign(given->begin(), given->end());
  } else {
    std::optional<int64_t> size = extent.constant();
    if (!size)
      return op.emitOpError() << "dim " << axis << " is " << extent.str()
                              << ", expected a constant size to cut into equal pieces";
    int64_t each = pieces ? llvm::divideCeil(*size, pieces) : 0;
    for (int64_t i = 0; i < pieces; ++i)
      sizes.push_back(std::clamp<int64_t>(*size - i * each, 0, each));
  }
  if (static_cast<int64_t>(sizes.size()) != pieces)
    return op.emitOpError() << "split has " << sizes.size() << " sizes, expected " << pieces
                            << " as there are outputs";
  SymbolicExpr sum(0);
  for (int64_t size : sizes) {
    if (size < 0)
      return op.emitOpError() << "split has size " << size << ", expected no negative size";
    sum = sum + SymbolicExpr(size);
  }
  if (failed(shapes.meet(op, extent, sum, "sum of the sizes of split")))
    return failure();
  SymbolicExpr start(0);
  for (auto [i, size] : llvm::enumerate(sizes)) {
    Shape piece = shape;
    piece[axis] = SymbolicExpr(size);
    Content content = sliceContent(shapes, op.getInput(), SliceRange{axis, start, size, 1}, piece);
    if (failed(shapes.set(op, i, std::move(piece), elementTypeOf(op.getInput()), content)))
      return failure();
    start = start + SymbolicExpr(size);
  }
  return success();
}

/// A bound of a slice of `dim` elements: negative bounds count from the end, then all are clamped
/// to [low, dim + high].
SymbolicExpr clampBound(const SymbolicExpr &bound, const SymbolicExpr &dim, int64_t low,
                        int64_t high) {
  SymbolicExpr value = bound;
  if (std::optional<int64_t> constant = bound.constant()) {
    // INT64_MIN and INT64_MAX say "all", and must not be added to.
    if (*constant < -(int64_t(1) << 62))
      return SymbolicExpr(low);
    if (*constant > (int64_t(1) << 62))
      return dim + SymbolicExpr(high);
  }
  if (value.upperBound() < 0)
    value = value + dim;
  else if (value.lowerBound() < 0) // for some sizes: the factor is 1 there, else 0
    value = value + dim * SymbolicExpr::max(SymbolicExpr::min(SymbolicExpr(0) - value, 1), 0);
  return SymbolicExpr::min(SymbolicExpr::max(value, low), dim + SymbolicExpr(high));
}

LogicalResult inferSlice(ShapeInference &shapes, SliceOp op) {
  Shape shape = shapes.shapeOf(op.getData());
  ArrayRef<int64_t> axes = op.getAxes(), steps = op.getSteps();
  FailureOr<Shape> starts = shapes.integers(op, op.getStarts(), "starts");
  if (failed(starts))
    return failure();
  FailureOr<Shape> ends = shapes.integers(op, op.getEnds(), "ends");
  if (failed(ends) || failed(checkAxes(op, axes, shape.size())))
    return failure();
  if (starts->size() != axes.size() || ends->size() != axes.size() || steps.size() != axes.size())
    return op.emitOpError() << "has " << starts->size() << " starts, " << ends->size()
                            << " ends and " << steps.size() << " steps, expected " << axes.size()
                            << " as axes";
  SmallVector<SliceRange> ranges;
  for (auto [axis, step, start, end] : llvm::zip(axes, steps, *starts, *ends)) {
    const SymbolicExpr dim = shape[axis];
    if (step == 0 || step == std::numeric_limits<int64_t>::min())
      return op.emitOpError() << "step is " << step << " on axis " << axis;
    // Backwards, "one before the first" is a valid end.
    SymbolicExpr from = clampBound(start, dim, 0, step > 0 ? 0 : -1);
    SymbolicExpr to = clampBound(end, dim, step > 0 ? 0 : -1, step > 0 ? 0 : -1);
    if (!from.isKnown() || !to.isKnown())
      return op.emitOpError() << "bounds on axis " << axis << " are " << start.str() << " and "
                              << end.str() << ", expected shorter expressions";
    SymbolicExpr span = step > 0 ? to - from : from - to;
    SymbolicExpr stride(std::abs(step));
    SymbolicExpr count =
        SymbolicExpr::floorDiv(SymbolicExpr::max(span, 0) + stride - SymbolicExpr(1), stride);
    shape[axis] = count;
    ranges.push_back({axis, from, count, step});
  }
  Content content = sliceContent(shapes, op.getData(), ranges, shape);
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getData()), std::move(content));
}
} // namespace

void addSlicing(InferTable &table) {
  table.add<ConcatOp, inferConcat>();
  table.add<SplitOp, inferSplit>();
  table.add<SliceOp, inferSlice>();
}

} // namespace rapt::onnx
