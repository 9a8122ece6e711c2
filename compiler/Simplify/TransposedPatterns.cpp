//===- TransposedPatterns.cpp - Attention on maps becomes attention on rows -------------------===//
//
// In:  weights of attention that come transposed to the product with the values, v p^T, or whose
//      softmax goes along the columns of the scores. Out: softmax along the rows and p v^T, with
//      the transposes at the ends. No element is computed differently.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt {

namespace {
constexpr int kDeepest = 8;

int64_t rankOf(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }

/// The permutation of the last two dims.
SmallVector<int64_t> swapLast(int64_t rank) {
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[rank - 2], perm[rank - 1]);
  return perm;
}

/// What could not be inferred has no rank, and stays as it is until replaceOrRestore undoes it.
Value transposeLast(OpBuilder &builder, Value value) {
  if (!isa<RankedTensorType>(value.getType()))
    return value;
  return transposeBy(builder, value.getLoc(), value, swapLast(rankOf(value)));
}

/// `value` is the result of a softmax over its last dim, perhaps cast.
bool isWeights(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto cast = dyn_cast_or_null<onnx::CastOp>(op))
    op = cast.getInput().getDefiningOp();
  auto softmax = dyn_cast_or_null<onnx::SoftmaxOp>(op);
  return softmax && static_cast<int64_t>(softmax.getAxis()) == rankOf(value) - 1;
}

/// MatMul(v, Transpose(p))  =>  Transpose(MatMul(p, Transpose(v))), where p are the weights of
/// attention
struct ProductOfTransposed : ShapePattern<onnx::MatMulOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::MatMulOp op, OpBuilder &builder) const override {
    auto transpose = op.getB().getDefiningOp<onnx::TransposeOp>();
    int64_t rank = rankOf(op.getB());
    if (!transpose || rank < 2 || rankOf(op.getA()) != rank || isWeights(op.getA()) ||
        !isWeights(transpose.getData()) || !llvm::equal(transpose.getPerm(), swapLast(rank)))
      return {};
    Value product = make<onnx::MatMulOp>(builder, op.getLoc(), transpose.getData(),
                                         transposeLast(builder, op.getA()));
    return transposeLast(builder, product);
  }
};

/// Softmax(s, axis=-2)  =>  Transpose(Softmax(Transpose(s), axis=-1)), where s is a product, or
/// arithmetic on one, and the result is the right side of another
struct SoftmaxOfColumns : ShapePattern<onnx::SoftmaxOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::SoftmaxOp op, OpBuilder &builder) const override {
    int64_t rank = rankOf(op.getInput());
    bool isRight =
        op.getOutput().hasOneUse() && llvm::all_of(op.getOutput().getUsers(), [&](Operation *user) {
          auto matmul = dyn_cast<onnx::MatMulOp>(user);
          return matmul && matmul.getB() == op.getOutput() && rankOf(matmul.getA()) == rank &&
                 !isWeights(matmul.getA());
        });
    if (!isRight || static_cast<int64_t>(op.getAxis()) != rank - 2)
      return {};
    Value scores = transposed(op.getInput(), rank, builder);
    if (!scores)
      return {};
    Value weights =
        make<onnx::SoftmaxOp>(builder, op.getLoc(), scores, builder.getI64IntegerAttr(rank - 1));
    return transposeLast(builder, weights);
  }

private:
  /// The transpose of a product, or of arithmetic on one; null where `value` is neither.
  Value transposed(Value value, int64_t rank, OpBuilder &builder, int depth = 0) const {
    Operation *op = value.getDefiningOp();
    if (!op || rankOf(value) != rank || !value.hasOneUse() || depth > kDeepest)
      return {};
    if (auto matmul = dyn_cast<onnx::MatMulOp>(op)) {
      if (rankOf(matmul.getA()) != rank || rankOf(matmul.getB()) != rank)
        return {};
      Value left = transposeLast(builder, matmul.getB()),
            right = transposeLast(builder, matmul.getA());
      return make<onnx::MatMulOp>(builder, op->getLoc(), left, right);
    }
    if (!isa<onnx::AddOp, onnx::MulOp, onnx::DivOp>(op))
      return {};
    for (unsigned scores : {0, 1}) {
      Value other = op->getOperand(1 - scores);
      Value own = transposed(op->getOperand(scores), rank, builder, depth + 1);
      if (!own || (rankOf(other) == 1 && !shapes.shape(other)[0].is(1)))
        continue;
      IRMapping mapping;
      mapping.map(op->getOperand(scores), own);
      mapping.map(other, rankOf(other) < 2 ? other : transposeLast(builder, other));
      return builder.clone(*op, mapping)->getResult(0);
    }
    return {};
  }
};
} // namespace

void addTransposedPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<ProductOfTransposed, SoftmaxOfColumns>(patterns.getContext(), shapes);
}

} // namespace rapt
