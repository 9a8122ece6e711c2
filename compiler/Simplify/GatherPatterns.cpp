//===- GatherPatterns.cpp - Gathers whose indices follow from shapes -------------------------===//
//
// Exporters write mask[b, j] as a gather with indices built from Range. Where the indices are an
// affine function of the position, the gather is a view, a slice or a broadcast.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

using namespace mlir;

namespace rapt {

namespace {
Value slice(OpBuilder &builder, Location loc, Value data, int64_t axis, const SymbolicExpr &start,
            const SymbolicExpr &end) {
  Value starts = makeShape(builder, loc, start), ends = makeShape(builder, loc, end);
  return make<onnx::SliceOp>(builder, loc, data, starts, ends, ArrayRef<int64_t>(axis),
                             ArrayRef<int64_t>(1));
}

/// The single dim that an index steps through one by one from `base` 0; none otherwise. Dims of
/// size one have no say.
std::optional<int64_t> steppingDim(const Content &index, ArrayRef<SymbolicExpr> shape) {
  if (!index.isAffine() || index.base().kind != Element::Int || !index.base().expr.is(0))
    return std::nullopt;
  std::optional<int64_t> found;
  for (size_t i = 0; i < shape.size(); ++i) {
    const SymbolicExpr &stride = index.strides()[i];
    if (shape[i].is(1) || stride.is(0))
      continue;
    if (found || !stride.is(1))
      return std::nullopt;
    found = i;
  }
  return found;
}

/// Gather(data, 0, 1, 2, ... in any shape)  =>  Reshape(data)
struct GatherAll : ShapePattern<onnx::GatherOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::GatherOp op, OpBuilder &builder) const override {
    Content index = shapes.affine(op.getIndices());
    if (!index.isAffine() || index.base().kind != Element::Int || !index.base().expr.is(0))
      return {};
    // Row-major: each stride is the number of elements behind its dim.
    ArrayRef<SymbolicExpr> shape = shapes.shape(op.getIndices());
    SymbolicExpr behind(1);
    for (size_t i = shape.size(); i-- > 0;) {
      if (!shape[i].is(1) && index.strides()[i] != behind)
        return {};
      behind = behind * shape[i];
    }
    if (behind != shapes.shape(op.getData())[op.getAxis()])
      return {};
    return reshapeLike(builder, shapes, op.getData(), op.getOutput());
  }
};

/// Gather(data, k)  =>  Reshape(Slice(data, k : k + 1)), and
/// Gather(data, k, k + 1, ... along one dim)  =>  Reshape(Slice(data, k : k + n))
struct GatherRun : ShapePattern<onnx::GatherOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::GatherOp op, OpBuilder &builder) const override {
    Content index = shapes.affine(op.getIndices());
    if (!index.isAffine() || index.base().kind != Element::Int)
      return {};
    ArrayRef<SymbolicExpr> shape = shapes.shape(op.getIndices());
    int64_t axis = op.getAxis();
    SymbolicExpr dim = shapes.shape(op.getData())[axis], start = index.base().expr, count(1);
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i].is(1))
        continue;
      if (!count.is(1) || !index.strides()[i].is(1))
        return {};
      count = shape[i];
    }
    if (start.upperBound() < 0)
      start = start + dim;
    if (start.lowerBound() < 0 || !shapes.atMost(start + count, dim))
      return {};
    Value part = slice(builder, op.getLoc(), op.getData(), axis, start, start + count);
    if (shapes.shape(part)[axis] != count)
      return {};
    return reshapeLike(builder, shapes, part, op.getOutput());
  }
};

/// GatherND(data, indices), where indices is Concat(i0, i1, ...) or constant, and each component
/// walks one dim of the result in step with one dim of data  =>  Expand(Reshape(Transpose(data)))
struct GatherNDToView : ShapePattern<onnx::GatherNDOp> {
  using ShapePattern::ShapePattern;

  /// The components of the index tuples, each an affine function of the position; none if one is
  /// not.
  std::optional<SmallVector<Content>> indexComponents(Value indices, size_t most) const {
    SmallVector<Content> components;
    size_t rank = shapes.shape(indices).size() - 1;
    if (auto concat = indices.getDefiningOp<onnx::ConcatOp>()) {
      if (concat.getAxis() != rank)
        return std::nullopt;
      for (Value piece : concat.getInputs()) {
        Content index = shapes.affine(piece);
        if (!shapes.shape(piece).back().is(1) || !index.isAffine())
          return std::nullopt;
        components.push_back(Content::affine(index.base(), index.strides().drop_back()));
      }
    } else {
      std::optional<SmallVector<int64_t, 4>> dims = onnx::staticDims(shapes.shape(indices));
      ArrayRef<Element> elements = shapes.content(indices).elements();
      for (int64_t i = 0; dims && !elements.empty() && i < dims->back(); ++i) {
        std::vector<Element> component;
        for (size_t at = i; at < elements.size(); at += dims->back())
          component.push_back(elements[at]);
        components.push_back(onnx::toAffine(Content::ofElements(std::move(component)),
                                            ArrayRef<int64_t>(*dims).drop_back()));
        if (!components.back().isAffine())
          return std::nullopt;
      }
    }
    return components.empty() || components.size() > most
               ? std::nullopt
               : std::optional<SmallVector<Content>>(std::move(components));
  }

  Value replacement(onnx::GatherNDOp op, OpBuilder &builder) const override {
    Shape data = shapes.shapeOf(op.getData()), result = shapes.shapeOf(op.getOutput());
    int64_t indexRank = shapes.shape(op.getIndices()).size() - 1;
    std::optional<SmallVector<Content>> components = indexComponents(op.getIndices(), data.size());
    if (op.getBatchDims() != 0 || !components)
      return {};
    // Which dim of the result each dim of data goes to; -1: it has one element, which is taken.
    SmallVector<int64_t> target;
    ArrayRef<SymbolicExpr> shape = shapes.shape(op.getIndices()).drop_back();
    for (const Content &index : *components) {
      const SymbolicExpr &extent = data[target.size()];
      const Element *only = index.uniform();
      std::optional<int64_t> dim = steppingDim(index, shape);
      if (dim && result[*dim] == extent && !llvm::is_contained(target, *dim))
        target.push_back(*dim);
      else if (only && only->kind == Element::Int && only->expr.is(0) && extent.is(1))
        target.push_back(-1);
      else
        return {};
    }
    // Dims of data in the order of the result, those with nothing to say first.
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, target.size()));
    llvm::sort(perm, [&](int64_t a, int64_t b) {
      return std::pair(target[a], a) < std::pair(target[b], b);
    });
    Shape view(result.size(), SymbolicExpr(1));
    for (auto [axis, dim] : llvm::enumerate(target))
      if (dim >= 0)
        view[dim] = data[axis];
    for (size_t axis = target.size(), to = indexRank; axis < data.size(); ++axis, ++to) {
      perm.push_back(axis);
      view[to] = data[axis];
    }
    Location loc = op.getLoc();
    Value transposed = transposeBy(builder, loc, op.getData(), perm);
    Value shaped = reshapeTo(builder, shapes, loc, transposed, view);
    return expandTo(builder, shapes, loc, shaped, result);
  }
};
} // namespace

void addGatherPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<GatherAll, GatherRun, GatherNDToView>(patterns.getContext(), shapes);
}

} // namespace rapt
