//===- HeadPatterns.cpp - Batch and heads stay two dims around attention ---------------------===//
//
// In:  batched products on [batch * heads, length, ...] beside a mask or softmax on
//      [batch, heads, length, ...]. Out: all of it on the latter, the reshapes at the products'
//      operands, where they meet those that merged the dims. No element is computed differently.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt {

namespace {
/// Whether `merged` is [B * H, I, J] of `split` [B, H, I, J].
bool merges(ArrayRef<SymbolicExpr> split, ArrayRef<SymbolicExpr> merged) {
  return split.size() == 4 && merged.size() == 3 && split[0] * split[1] == merged[0] &&
         split[2] == merged[1] && split[3] == merged[2];
}

/// A product of two tensors of rank 3 whose first dims are `batch`.
bool isBatchedMatMul(onnx::MatMulOp op, ShapeInference &shapes, const SymbolicExpr &batch) {
  return op && llvm::all_of(op->getOperands(), [&](Value value) {
           ArrayRef<SymbolicExpr> shape = shapes.shape(value);
           return shape.size() == 3 && shape[0] == batch;
         });
}

bool isScoreMath(Operation *op) {
  return isa_and_nonnull<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::WhereOp,
                         onnx::TanhOp, onnx::CastOp>(op);
}

/// `value` is a batched product, or elementwise arithmetic on one that nothing else reads.
bool leadsToProduct(Value value, ShapeInference &shapes, const SymbolicExpr &batch, int depth = 0) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > 8 || !value.hasOneUse())
    return false;
  if (auto matmul = dyn_cast<onnx::MatMulOp>(op))
    return isBatchedMatMul(matmul, shapes, batch);
  return isScoreMath(op) && llvm::any_of(op->getOperands(), [&](Value operand) {
           return leadsToProduct(operand, shapes, batch, depth + 1);
         });
}

/// [B * H, M, N] as [B, H, M, N]
Value split(OpBuilder &builder, ShapeInference &shapes, Value value, const SymbolicExpr &batch,
            const SymbolicExpr &heads) {
  Shape shape = shapes.shapeOf(value);
  Shape wide{batch, heads, shape[1], shape[2]};
  return reshapeTo(builder, shapes, value.getLoc(), value, wide);
}

/// Reshape(f(a, b)) : [B * H, I, J] -> [B, H, I, J]  =>  f(Reshape(a), Reshape(b)), where f is a
/// batched product, or elementwise and leads to one
struct SplitScores : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    Shape merged = shapes.shapeOf(op.getData()), wide = shapes.shapeOf(op.getReshaped());
    if (!merges(wide, merged) || !leadsToProduct(op.getData(), shapes, merged[0]))
      return {};
    Operation *source = op.getData().getDefiningOp();
    IRMapping mapping;
    for (Value operand : source->getOperands()) {
      Shape own = shapes.shapeOf(operand);
      if (own.size() < 3 || own[0].is(1))
        continue; // broadcast
      if (own[0] != merged[0])
        return {};
      mapping.map(operand, split(builder, shapes, operand, wide[0], wide[1]));
    }
    return builder.clone(*source, mapping)->getResult(0);
  }
};

/// MatMul(Reshape(p), v) : p [B, H, I, J] -> [B * H, I, J]  =>  Reshape(MatMul(p, Reshape(v))),
/// where p are the weights of attention
struct SplitWeighted : ShapePattern<onnx::MatMulOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::MatMulOp op, OpBuilder &builder) const override {
    auto merge = op.getA().getDefiningOp<onnx::ReshapeOp>();
    if (!merge || !isa_and_nonnull<onnx::SoftmaxOp, onnx::WhereOp, onnx::CastOp>(
                      merge.getData().getDefiningOp()))
      return {};
    Shape merged = shapes.shapeOf(op.getA()), wide = shapes.shapeOf(merge.getData());
    if (!merges(wide, merged) || !isBatchedMatMul(op, shapes, merged[0]))
      return {};
    Value value = split(builder, shapes, op.getB(), wide[0], wide[1]);
    Value product = make<onnx::MatMulOp>(builder, op.getLoc(), merge.getData(), value);
    return reshapeLike(builder, shapes, product, op.getOutput());
  }
};

/// Softmax(Reshape(s)) : s [B, H, I, J] -> [B * H, I, J]  =>  Reshape(Softmax(s))
struct SplitSoftmax : ShapePattern<onnx::SoftmaxOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::SoftmaxOp op, OpBuilder &builder) const override {
    auto merge = op.getInput().getDefiningOp<onnx::ReshapeOp>();
    if (!merge || op.getAxis() != 2 ||
        !merges(shapes.shape(merge.getData()), shapes.shape(merge.getReshaped())))
      return {};
    Value weights =
        make<onnx::SoftmaxOp>(builder, op.getLoc(), merge.getData(), builder.getI64IntegerAttr(3));
    return reshapeLike(builder, shapes, weights, op.getOutput());
  }
};

/// Reshape(Softmax(s)) : [B * H, I, J] -> [B, H, I, J]  =>  Softmax(Reshape(s)), where s leads to
/// a batched product
struct SplitWeights : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    auto softmax = op.getData().getDefiningOp<onnx::SoftmaxOp>();
    Shape merged = shapes.shapeOf(op.getData()), wide = shapes.shapeOf(op.getReshaped());
    if (!softmax || softmax.getAxis() != 2 || !op.getData().hasOneUse() || !merges(wide, merged) ||
        !leadsToProduct(softmax.getInput(), shapes, merged[0]))
      return {};
    Value scores = split(builder, shapes, softmax.getInput(), wide[0], wide[1]);
    return make<onnx::SoftmaxOp>(builder, softmax.getLoc(), scores, builder.getI64IntegerAttr(3));
  }
};
} // namespace

void addHeadPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<SplitScores, SplitWeighted, SplitSoftmax, SplitWeights>(patterns.getContext(),
                                                                       shapes);
}

} // namespace rapt
