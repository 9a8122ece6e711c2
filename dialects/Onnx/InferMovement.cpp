//===- InferMovement.cpp - Views, transposes and broadcasts ----------------------------------===//
//
// Shape: from the shape operand's content, `-1` as an exact quotient. Content: moved along, listed
// or as base and strides.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
// --- Reshape -------------------------------------------------------------------------------------
/// The strides of an affine content after a change of shape that only adds or drops dims of size
/// one. Dims that are kept are matched in order.
Content viewAffine(const Content &content, ArrayRef<SymbolicExpr> from, ArrayRef<SymbolicExpr> to) {
  if (const Element *value = content.uniform())
    return Content::uniform(*value, to.size());
  if (!content.isAffine())
    return {};
  Shape strides;
  size_t next = 0;
  for (const SymbolicExpr &dim : to) {
    if (dim.is(1)) {
      strides.push_back(SymbolicExpr(0));
      continue;
    }
    while (next < from.size() && from[next].is(1))
      ++next;
    if (next == from.size() || from[next] != dim)
      return {};
    strides.push_back(content.strides()[next++]);
  }
  return Content::affine(content.base(), strides);
}

Content viewContent(ShapeInference &shapes, Value data, ArrayRef<SymbolicExpr> to) {
  if (Content listed = shapes.listed(data); listed.hasElements())
    return listed;
  return viewAffine(shapes.content(data), shapes.shape(data), to);
}

/// What `-1` stands for: the elements of `from` over those of the other dims of `to`.
SymbolicExpr inferDim(ArrayRef<SymbolicExpr> from, ArrayRef<SymbolicExpr> to) {
  // Common dims cancel first, so that min(...) and the like need not be divided.
  Shape numerator(from), denominator(to);
  for (size_t i = 0; i < denominator.size();) {
    auto same = llvm::find(numerator, denominator[i]);
    if (same == numerator.end()) {
      ++i;
      continue;
    }
    numerator.erase(same);
    denominator.erase(denominator.begin() + i);
  }
  return SymbolicExpr::floorDiv(numElements(numerator), numElements(denominator));
}

LogicalResult inferReshape(ShapeInference &shapes, ReshapeOp op) {
  FailureOr<Shape> wanted = shapes.integers(op, op.getShape(), "shape");
  if (failed(wanted))
    return failure();
  Shape from = shapes.shapeOf(op.getData()), to;
  std::optional<size_t> inferred;
  Shape others;
  for (auto [i, dim] : llvm::enumerate(*wanted)) {
    if (dim.is(-1)) {
      if (inferred)
        return op.emitOpError() << "shape has -1 at " << *inferred << " and at " << i
                                << ", expected it once";
      inferred = i;
      to.push_back(dim);
      continue;
    }
    if (dim.is(0) && !op.getAllowzero()) {
      if (i >= from.size())
        return op.emitOpError() << "shape has 0 at " << i << ", but the operand has rank "
                                << from.size();
      to.push_back(from[i]);
    } else {
      if (failed(checkSize(shapes, op, dim, "shape at " + Twine(i))))
        return failure();
      to.push_back(dim);
    }
    others.push_back(to.back());
  }
  SymbolicExpr total = numElements(from);
  if (inferred) {
    SymbolicExpr dim = inferDim(from, others), rest = numElements(others);
    if (!dim.isKnown()) {
      // Dims of which it is not known that none is empty: the graph takes it for granted, as
      // nothing says what -1 stands for then.
      dim = SymbolicExpr::exactDiv(total, rest);
      if (dim.isKnown())
        shapes.require(op, SymbolicExpr(1), rest, /*equal=*/false,
                       "elements in the dims beside -1");
    }
    if (!dim.isKnown() && (!total.isKnown() || !rest.isKnown()))
      return op.emitOpError() << "shape: the size for -1 has more terms than Rapt keeps track of; "
                                 "expected an operand with fewer symbolic dims (--dim gives them)";
    if (!dim.isKnown())
      return op.emitOpError() << "shape: no size for -1 makes " << total.str() << " elements from "
                              << rest.str();
    if (failed(checkSize(shapes, op, dim, "size for -1")))
      return failure();
    to[*inferred] = dim;
  }
  SymbolicExpr count = numElements(to);
  if (count != total) {
    if (!count.isKnown())
      return op.emitOpError() << "shape has more elements than fit 64 bits, expected the operand's "
                              << total.str();
    if (!total.isKnown() || SymbolicExpr::provablyDifferent(count, total))
      return op.emitOpError() << "shape has " << count.str() << " elements, expected the operand's "
                              << total.str();
    shapes.require(op, count, total, /*equal=*/true, "number of elements");
  }
  Content content = viewContent(shapes, op.getData(), to);
  return shapes.set(op, 0, std::move(to), elementTypeOf(op.getData()), std::move(content));
}

LogicalResult inferSqueeze(ShapeInference &shapes, SqueezeOp op) {
  Shape from = shapes.shapeOf(op.getData()), to;
  if (failed(checkAxes(op, op.getAxes(), from.size())))
    return failure();
  for (auto [i, dim] : llvm::enumerate(from)) {
    if (!llvm::is_contained(op.getAxes(), static_cast<int64_t>(i))) {
      to.push_back(dim);
      continue;
    }
    if (failed(shapes.meet(op, dim, SymbolicExpr(1), "dim " + Twine(i) + " of its operand")))
      return failure();
  }
  Content content = viewContent(shapes, op.getData(), to);
  return shapes.set(op, 0, std::move(to), elementTypeOf(op.getData()), std::move(content));
}

LogicalResult inferUnsqueeze(ShapeInference &shapes, UnsqueezeOp op) {
  Shape from = shapes.shapeOf(op.getData()), to;
  size_t rank = from.size() + op.getAxes().size();
  if (failed(checkAxes(op, op.getAxes(), rank)))
    return failure();
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i)
    to.push_back(llvm::is_contained(op.getAxes(), static_cast<int64_t>(i)) ? SymbolicExpr(1)
                                                                           : from[next++]);
  Content content = viewContent(shapes, op.getData(), to);
  return shapes.set(op, 0, std::move(to), elementTypeOf(op.getData()), std::move(content));
}

LogicalResult inferFlatten(ShapeInference &shapes, FlattenOp op) {
  ArrayRef<SymbolicExpr> from = shapes.shape(op.getInput());
  if (failed(checkAxis(op, op.getAxis(), from.size(), /*orEnd=*/true)))
    return failure();
  Shape to = {numElements(from.take_front(op.getAxis())),
              numElements(from.drop_front(op.getAxis()))};
  Content content = viewContent(shapes, op.getInput(), to);
  return shapes.set(op, 0, std::move(to), elementTypeOf(op.getInput()), std::move(content));
}

// --- Transpose, Expand, Tile, Trilu --------------------------------------------------------------
LogicalResult inferTranspose(ShapeInference &shapes, TransposeOp op) {
  Shape from = shapes.shapeOf(op.getData()), to;
  ArrayRef<int64_t> perm = op.getPerm();
  if (perm.size() != from.size())
    return op.emitOpError() << "perm has " << perm.size() << " entries, expected " << from.size()
                            << " as the operand has dims";
  if (failed(checkAxes(op, perm, from.size())))
    return failure();
  for (int64_t axis : perm)
    to.push_back(from[axis]);
  const Content &known = shapes.content(op.getData());
  Content content;
  auto dims = staticDims(from), resultDims = staticDims(to);
  if (known.hasElements() && dims) {
    std::vector<Element> elements;
    SmallVector<int64_t, 4> source(dims->size());
    forEachIndex(*resultDims, [&](ArrayRef<int64_t> index) {
      for (auto [axis, i] : llvm::zip(perm, index))
        source[axis] = i;
      elements.push_back(known.elements()[linearIndex(*dims, source)]);
    });
    content = Content::ofElements(std::move(elements));
  } else if (known.isAffine()) {
    Shape strides;
    for (int64_t axis : perm)
      strides.push_back(known.strides()[axis]);
    content = Content::affine(known.base(), strides);
  }
  return shapes.set(op, 0, std::move(to), elementTypeOf(op.getData()), std::move(content));
}

/// The content of `value` seen through broadcasting to `to`.
Content broadcastContent(ShapeInference &shapes, Value value, ArrayRef<SymbolicExpr> to) {
  const Content &known = shapes.content(value);
  Shape from = shapes.shapeOf(value);
  if (const Element *element = known.uniform())
    return Content::uniform(*element, to.size());
  size_t skip = to.size() - from.size();
  if (known.isAffine()) {
    Shape strides(skip, SymbolicExpr(0));
    for (auto [dim, stride] : llvm::zip(from, known.strides()))
      strides.push_back(dim.is(1) ? SymbolicExpr(0) : stride);
    return Content::affine(known.base(), strides);
  }
  auto dims = staticDims(from), resultDims = staticDims(to);
  if (!known.hasElements() || !dims || !resultDims || !shapes.isListable(*resultDims))
    return {};
  std::vector<Element> elements;
  SmallVector<int64_t, 4> source(dims->size());
  forEachIndex(*resultDims, [&](ArrayRef<int64_t> index) {
    for (size_t i = 0; i < source.size(); ++i)
      source[i] = (*dims)[i] == 1 ? 0 : index[skip + i];
    elements.push_back(known.elements()[linearIndex(*dims, source)]);
  });
  return Content::ofElements(std::move(elements));
}

LogicalResult inferExpand(ShapeInference &shapes, ExpandOp op) {
  FailureOr<Shape> wanted = shapes.integers(op, op.getShape(), "shape");
  if (failed(wanted))
    return failure();
  for (auto [i, dim] : llvm::enumerate(*wanted)) {
    // -1 keeps the operand's dim: not in the standard's text, but what exporters write.
    if (dim.is(-1))
      dim = SymbolicExpr(1);
    if (failed(checkSize(shapes, op, dim, "shape at " + Twine(i))))
      return failure();
  }
  FailureOr<Shape> to = shapes.broadcast(op, {shapes.shapeOf(op.getInput()), *wanted});
  if (failed(to))
    return failure();
  Content content = broadcastContent(shapes, op.getInput(), *to);
  return shapes.set(op, 0, *to, elementTypeOf(op.getInput()), std::move(content));
}

LogicalResult inferTile(ShapeInference &shapes, TileOp op) {
  FailureOr<Shape> repeats = shapes.integers(op, op.getRepeats(), "repeats");
  if (failed(repeats))
    return failure();
  Shape shape = shapes.shapeOf(op.getInput());
  if (repeats->size() != shape.size())
    return op.emitOpError() << "repeats has " << repeats->size() << " elements, expected "
                            << shape.size() << " as the operand has dims";
  for (auto [dim, repeat] : llvm::zip(shape, *repeats)) {
    if (repeat.lowerBound() < 0)
      return op.emitOpError() << "repeats has " << repeat.str() << ", expected no negative number";
    dim = dim * repeat;
  }
  const Element *value = shapes.content(op.getInput()).uniform();
  Content content = value ? Content::uniform(*value, shape.size()) : Content();
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getInput()), std::move(content));
}

LogicalResult inferTrilu(ShapeInference &shapes, TriluOp op) {
  Shape shape = shapes.shapeOf(op.getInput());
  if (shape.size() < 2)
    return op.emitOpError() << "operand has rank " << shape.size() << ", expected at least 2";
  return shapes.set(op, 0, std::move(shape), elementTypeOf(op.getInput()));
}
} // namespace

void addMovement(InferTable &table) {
  table.add<ReshapeOp, inferReshape>();
  table.add<SqueezeOp, inferSqueeze>();
  table.add<UnsqueezeOp, inferUnsqueeze>();
  table.add<FlattenOp, inferFlatten>();
  table.add<TransposeOp, inferTranspose>();
  table.add<ExpandOp, inferExpand>();
  table.add<TileOp, inferTile>();
  table.add<TriluOp, inferTrilu>();
}

} // namespace rapt::onnx
