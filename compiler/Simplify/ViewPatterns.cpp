//===- ViewPatterns.cpp - Reshapes, transposes, slices that move nothing ---------------------===//
//
// In:  Squeeze, Flatten, Identity, Tile and their like in any combination. Out: Reshape with every
//      dim given, Transpose and Expand, and none of them twice in a row. No element is computed.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

using namespace mlir;

namespace rapt {

namespace {
/// Identity, Expand to the same shape, Concat of one operand, ...  =>  the operand
template <typename Op> struct DropSameShape : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    Operation *any = op;
    if (any->getNumOperands() == 0 || any->getNumResults() != 1 ||
        any->getOperand(0).getType() != any->getResult(0).getType() ||
        !sameShape(this->shapes.shape(any->getOperand(0)), this->shapes.shape(any->getResult(0))))
      return {};
    return any->getOperand(0);
  }
};

/// Slice that takes every element in order  =>  the operand
struct DropWholeSlice : ShapePattern<onnx::SliceOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::SliceOp op, OpBuilder &builder) const override {
    if (llvm::any_of(op.getSteps(), [](int64_t step) { return step < 0; }) ||
        !sameShape(shapes.shape(op.getData()), shapes.shape(op.getOutput())))
      return {};
    return op.getData();
  }
};

/// Concat(x), Max(x), Min(x)  =>  x
template <typename Op> struct DropVariadicOfOne : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    if (op.getInputs().size() != 1)
      return {};
    return op.getInputs().front();
  }
};

/// Cast(Cast(x))  =>  Cast(x) for boolean x: 0 and 1 are exact in every type between
struct MergeBoolCasts : ShapePattern<onnx::CastOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::CastOp op, OpBuilder &builder) const override {
    auto inner = op.getInput().getDefiningOp<onnx::CastOp>();
    if (!inner || !cast<ShapedType>(inner.getInput().getType()).getElementType().isInteger(1))
      return {};
    return onnx::CastOp::create(builder, op.getLoc(), op.getType(), inner.getInput());
  }
};

/// Squeeze, Unsqueeze, Flatten  =>  Reshape
template <typename Op> struct ViewToReshape : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    Operation *any = op;
    Value view = reshapeLike(builder, this->shapes, any->getOperand(0), any->getResult(0));
    return view;
  }
};

/// Reshape with 0 or -1 in its shape  =>  Reshape with every dim given
struct GiveEveryDim : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    Shape shape = shapes.shapeOf(op.getReshaped());
    if (op.getAllowzero() && listsShape(shapes, op.getShape(), shape))
      return {};
    Value operand = makeShape(builder, op.getLoc(), shape);
    return make<onnx::ReshapeOp>(builder, op.getLoc(), op.getData(), operand, true);
  }
};

/// Reshape(Reshape(x))  =>  Reshape(x)
struct MergeReshapes : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    auto inner = op.getData().getDefiningOp<onnx::ReshapeOp>();
    if (!inner)
      return {};
    Value view = reshapeLike(builder, shapes, inner.getData(), op.getReshaped());
    return view;
  }
};

/// Transpose that only moves dims of size one  =>  Reshape
struct TransposeToReshape : ShapePattern<onnx::TransposeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::TransposeOp op, OpBuilder &builder) const override {
    ArrayRef<SymbolicExpr> shape = shapes.shape(op.getData());
    int64_t last = -1;
    for (int64_t axis : op.getPerm()) {
      if (shape[axis].is(1))
        continue;
      if (axis < last)
        return {};
      last = axis;
    }
    Value view = reshapeLike(builder, shapes, op.getData(), op.getTransposed());
    return view;
  }
};

/// Transpose(Transpose(x))  =>  Transpose(x)
struct MergeTransposes : ShapePattern<onnx::TransposeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::TransposeOp op, OpBuilder &builder) const override {
    auto inner = op.getData().getDefiningOp<onnx::TransposeOp>();
    if (!inner)
      return {};
    SmallVector<int64_t> perm;
    for (int64_t axis : op.getPerm())
      perm.push_back(inner.getPerm()[axis]);
    return transposeBy(builder, op.getLoc(), inner.getData(), perm);
  }
};

/// Reshape(Transpose(Reshape(x)))  =>  Transpose(x), where the first Reshape merges dims and the
/// last one splits them again: [B,H,S,D] -> [B*H,S,D] -> [B*H,D,S] -> [B,H,D,S].
struct TransposeUnmerged : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    auto transpose = op.getData().getDefiningOp<onnx::TransposeOp>();
    auto merge =
        transpose ? transpose.getData().getDefiningOp<onnx::ReshapeOp>() : onnx::ReshapeOp();
    if (!merge)
      return {};
    Shape shape = shapes.shapeOf(merge.getData());
    auto groups = groupDims(shape, shapes.shape(merge.getReshaped()));
    if (!groups)
      return {};
    SmallVector<int64_t> perm;
    Shape result;
    for (int64_t axis : transpose.getPerm())
      for (int64_t dim : (*groups)[axis]) {
        perm.push_back(dim);
        result.push_back(shape[dim]);
      }
    if (!sameShape(result, shapes.shape(op.getReshaped())))
      return {};
    return transposeBy(builder, op.getLoc(), merge.getData(), perm);
  }
};

/// Tile that repeats only dims of size one  =>  Expand
struct TileToExpand : ShapePattern<onnx::TileOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::TileOp op, OpBuilder &builder) const override {
    Shape to = shapes.shapeOf(op.getOutput());
    for (auto [from, dim] : llvm::zip(shapes.shape(op.getInput()), to))
      if (from != dim && !from.is(1))
        return {};
    return expandTo(builder, shapes, op.getLoc(), op.getInput(), to);
  }
};
} // namespace

void addViewPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<DropSameShape<onnx::IdentityOp>, DropSameShape<onnx::CastOp>,
               DropSameShape<onnx::ExpandOp>, DropSameShape<onnx::ReshapeOp>,
               DropSameShape<onnx::SplitOp>, DropSameShape<onnx::TileOp>, DropWholeSlice,
               DropVariadicOfOne<onnx::ConcatOp>, DropVariadicOfOne<onnx::MaxOp>,
               DropVariadicOfOne<onnx::MinOp>, MergeBoolCasts, ViewToReshape<onnx::SqueezeOp>,
               ViewToReshape<onnx::UnsqueezeOp>, ViewToReshape<onnx::FlattenOp>, GiveEveryDim,
               MergeReshapes, TransposeToReshape, MergeTransposes, TransposeUnmerged, TileToExpand>(
      patterns.getContext(), shapes);
}

} // namespace rapt
