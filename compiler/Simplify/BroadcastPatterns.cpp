//===- BroadcastPatterns.cpp - Expand goes down, and away where its user broadcasts ----------===//
//
// In:  onnx with Expand, as exporters write attention masks. Out: Expand behind what it feeds, with
//      the shape of its result, or gone where the consumer broadcasts anyway.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "dialects/Onnx/Elementwise.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt {

namespace {
/// op(Expand(x), y)  =>  Expand(op(x, y)), and without Expand where op(x, y) has the shape already
///
/// The result never has more elements to compute than before.
struct SinkExpand : RewritePattern {
  SinkExpand(MLIRContext *context, ShapeInference &shapes)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context), shapes(shapes) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    return replaceOrRestore(rewriter, op, [&] { return replacement(op, rewriter); });
  }

private:
  Value replacement(Operation *op, OpBuilder &builder) const {
    if (!onnx::isElementwise(op))
      return {};
    IRMapping operands;
    for (Value operand : op->getOperands())
      if (auto expand = operand.getDefiningOp<onnx::ExpandOp>())
        operands.map(operand, expand.getInput());
    if (operands.getValueMap().empty())
      return {};
    Operation *small = builder.clone(*op, operands);
    return expandLike(builder, shapes, small->getResult(0), op->getResult(0));
  }

  ShapeInference &shapes;
};

/// Expand(Expand(x))  =>  Expand(x)
struct MergeExpands : ShapePattern<onnx::ExpandOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ExpandOp op, OpBuilder &builder) const override {
    auto inner = op.getInput().getDefiningOp<onnx::ExpandOp>();
    if (!inner)
      return {};
    return expandLike(builder, shapes, inner.getInput(), op.getOutput());
  }
};

/// Expand with 1 or -1 for dims that it keeps  =>  Expand with the shape of its result
struct GiveExpandShape : ShapePattern<onnx::ExpandOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ExpandOp op, OpBuilder &builder) const override {
    Shape shape = shapes.shapeOf(op.getOutput());
    if (listsShape(shapes, op.getShape(), shape) || sameShape(shapes.shape(op.getInput()), shape))
      return {};
    return expandTo(builder, shapes, op.getLoc(), op.getInput(), shape);
  }
};

/// Reduce(Expand(x))  =>  Expand(Reduce(x)), where no reduced dim is expanded
template <typename Op> struct ReduceBeforeExpand : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    ShapeInference &shapes = this->shapes;
    auto expand = op.getData().template getDefiningOp<onnx::ExpandOp>();
    if (!expand)
      return {};
    ArrayRef<SymbolicExpr> from = shapes.shape(expand.getInput());
    ArrayRef<SymbolicExpr> to = shapes.shape(expand.getOutput());
    if (from.size() != to.size())
      return {};
    for (int64_t axis : op.getAxes())
      if (from[axis] != to[axis])
        return {};
    Value reduced =
        make<Op>(builder, op.getLoc(), expand.getInput(), op.getAxes(), op.getKeepdims());
    return expandLike(builder, shapes, reduced, op.getOutput());
  }
};

/// Gather(data, Expand(indices))  =>  Expand(Gather(data, indices))
struct GatherBeforeExpand : ShapePattern<onnx::GatherOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::GatherOp op, OpBuilder &builder) const override {
    auto expand = op.getIndices().getDefiningOp<onnx::ExpandOp>();
    if (!expand ||
        shapes.shape(expand.getInput()).size() != shapes.shape(expand.getOutput()).size())
      return {};
    Value gathered = make<onnx::GatherOp>(builder, op.getLoc(), op.getData(), expand.getInput(),
                                          static_cast<int64_t>(op.getAxis()));
    return expandLike(builder, shapes, gathered, op.getOutput());
  }
};

/// Reshape(Expand(x))  =>  Expand(Reshape(x)), where the Reshape only adds or drops dims of size
/// one
struct ReshapeBeforeExpand : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    auto expand = op.getData().getDefiningOp<onnx::ExpandOp>();
    if (!expand)
      return {};
    Shape from = shapes.shapeOf(expand.getInput()), wide = shapes.shapeOf(expand.getOutput());
    from.insert(from.begin(), wide.size() - from.size(), SymbolicExpr(1));
    Shape to = shapes.shapeOf(op.getReshaped()), narrow;
    size_t next = 0;
    auto skipOnes = [&] {
      while (next < wide.size() && wide[next].is(1))
        ++next;
    };
    for (const SymbolicExpr &dim : to) {
      if (dim.is(1)) {
        narrow.push_back(SymbolicExpr(1));
        continue;
      }
      skipOnes();
      if (next == wide.size() || wide[next] != dim)
        return {};
      narrow.push_back(from[next++]);
    }
    skipOnes();
    if (next != wide.size())
      return {};
    Value view = reshapeTo(builder, shapes, op.getLoc(), expand.getInput(), narrow);
    return expandTo(builder, shapes, op.getLoc(), view, to);
  }
};
} // namespace

void addBroadcastPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<SinkExpand, MergeExpands, GiveExpandShape, GatherBeforeExpand, ReshapeBeforeExpand,
               ReduceBeforeExpand<onnx::ReduceSumOp>, ReduceBeforeExpand<onnx::ReduceMeanOp>,
               ReduceBeforeExpand<onnx::ReduceMaxOp>, ReduceBeforeExpand<onnx::ReduceMinOp>,
               ReduceBeforeExpand<onnx::ReduceProdOp>, ReduceBeforeExpand<onnx::ReduceL1Op>,
               ReduceBeforeExpand<onnx::ReduceL2Op>, ReduceBeforeExpand<onnx::ReduceSumSquareOp>>(
      patterns.getContext(), shapes);
}

} // namespace rapt
