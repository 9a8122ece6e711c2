//===- BroadcastPatterns.cpp - Expand goes down, and away where its user broadcasts ----------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt {

namespace {
bool isElementwise(Operation *op) {
  using namespace onnx;
  return isa<NegOp, AbsOp, ExpOp, LogOp, SqrtOp, ReciprocalOp, ErfOp, TanhOp, SigmoidOp, ReluOp,
             FloorOp, CeilOp, RoundOp, SinOp, CosOp, SignOp, NotOp, IsNaNOp, GeluOp, AddOp, SubOp,
             MulOp, DivOp, PowOp, ModOp, AndOp, OrOp, XorOp, EqualOp, GreaterOp, GreaterOrEqualOp,
             LessOp, LessOrEqualOp, MinOp, MaxOp, WhereOp, ClipOp, CastOp>(op);
}

/// op(Expand(x), y)  =>  Expand(op(x, y)), and without Expand where op(x, y) has the shape already
///
/// The result never has more elements to compute than before.
struct SinkExpand : RewritePattern {
  SinkExpand(MLIRContext *context, ShapeInference &shapes)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context), shapes(shapes) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isElementwise(op))
      return failure();
    IRMapping operands;
    for (Value operand : op->getOperands())
      if (auto expand = operand.getDefiningOp<onnx::ExpandOp>())
        operands.map(operand, expand.getInput());
    if (operands.getValueMap().empty())
      return failure();
    Operation *small = rewriter.clone(*op, operands);
    Value result = expandTo(rewriter, shapes, op->getLoc(), small->getResult(0),
                            shapes.shapeOf(op->getResult(0)));
    return replaceWith(rewriter, op, result);
  }

  ShapeInference &shapes;
};

/// Expand(Expand(x))  =>  Expand(x)
struct MergeExpands : ShapePattern<onnx::ExpandOp> {
  using ShapePattern::ShapePattern;
  LogicalResult matchAndRewrite(onnx::ExpandOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<onnx::ExpandOp>();
    if (!inner)
      return failure();
    return replaceWith(
        rewriter, op,
        expandTo(rewriter, shapes, op.getLoc(), inner.getInput(), shapes.shapeOf(op.getOutput())));
  }
};

/// Expand with 1 or -1 for dims that it keeps  =>  Expand with the shape of its result
struct GiveExpandShape : ShapePattern<onnx::ExpandOp> {
  using ShapePattern::ShapePattern;
  LogicalResult matchAndRewrite(onnx::ExpandOp op, PatternRewriter &rewriter) const override {
    Shape shape = shapes.shapeOf(op.getOutput());
    Content given = shapes.listed(op.getShape());
    bool complete = given.elements().size() == shape.size();
    for (auto [element, dim] : llvm::zip(given.elements(), shape))
      complete &= element.expr == dim;
    if (complete || sameShape(shapes.shape(op.getInput()), shape))
      return failure();
    return replaceWith(rewriter, op, expandTo(rewriter, shapes, op.getLoc(), op.getInput(), shape));
  }
};

/// Reduce(Expand(x))  =>  Expand(Reduce(x)), where no reduced dim is expanded
template <typename Op> struct ReduceBeforeExpand : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    ShapeInference &shapes = this->shapes;
    auto expand = op.getData().template getDefiningOp<onnx::ExpandOp>();
    if (!expand)
      return failure();
    ArrayRef<SymbolicExpr> from = shapes.shape(expand.getInput());
    ArrayRef<SymbolicExpr> to = shapes.shape(expand.getOutput());
    if (from.size() != to.size())
      return failure();
    for (int64_t axis : op.getAxes())
      if (from[axis] != to[axis])
        return failure();
    Value reduced =
        make<Op>(rewriter, op.getLoc(), expand.getInput(), op.getAxes(), op.getKeepdims());
    return replaceWith(
        rewriter, op,
        expandTo(rewriter, shapes, op.getLoc(), reduced, shapes.shapeOf(op.getOutput())));
  }
};

/// Gather(data, Expand(indices))  =>  Expand(Gather(data, indices))
struct GatherBeforeExpand : ShapePattern<onnx::GatherOp> {
  using ShapePattern::ShapePattern;
  LogicalResult matchAndRewrite(onnx::GatherOp op, PatternRewriter &rewriter) const override {
    auto expand = op.getIndices().getDefiningOp<onnx::ExpandOp>();
    if (!expand ||
        shapes.shape(expand.getInput()).size() != shapes.shape(expand.getOutput()).size())
      return failure();
    Value gathered = make<onnx::GatherOp>(rewriter, op.getLoc(), op.getData(), expand.getInput(),
                                          static_cast<int64_t>(op.getAxis()));
    return replaceWith(
        rewriter, op,
        expandTo(rewriter, shapes, op.getLoc(), gathered, shapes.shapeOf(op.getOutput())));
  }
};

/// Reshape(Expand(x))  =>  Expand(Reshape(x)), where the Reshape only adds or drops dims of size
/// one
struct ReshapeBeforeExpand : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  LogicalResult matchAndRewrite(onnx::ReshapeOp op, PatternRewriter &rewriter) const override {
    auto expand = op.getData().getDefiningOp<onnx::ExpandOp>();
    if (!expand)
      return failure();
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
        return failure();
      narrow.push_back(from[next++]);
    }
    skipOnes();
    if (next != wide.size())
      return failure();
    Value view = reshapeTo(rewriter, shapes, op.getLoc(), expand.getInput(), narrow);
    return replaceWith(rewriter, op, expandTo(rewriter, shapes, op.getLoc(), view, to));
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
