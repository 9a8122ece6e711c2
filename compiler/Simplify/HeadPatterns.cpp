//===- HeadPatterns.cpp - Batch and heads stay two dims through attention --------------------===//
//
// In:  onnx in which batch and heads are one dim around the products of attention, as batched
//      MatMuls of rank 3 want it. Out: the Reshape that merges them behind each operation, where it
//      meets the one that splits them again; masks keep [batch, 1, i, j].
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt {

namespace {
/// x [B, H, ...] of which `value` [B * H, ...] is a Reshape; null if it is none. Rank 3 or more is
/// left behind the batch, or it would be rows of a matrix. A dim of size one is no part of it.
Value unmerged(ShapeInference &shapes, Value value) {
  auto reshape = value.getDefiningOp<onnx::ReshapeOp>();
  if (!reshape)
    return {};
  ArrayRef<SymbolicExpr> from = shapes.shape(reshape.getData()), to = shapes.shape(value);
  bool merges = to.size() >= 3 && from.size() == to.size() + 1 &&
                sameShape(from.drop_front(2), to.drop_front(1)) && from[0] * from[1] == to[0] &&
                !from[0].is(1) && !from[1].is(1);
  return merges ? reshape.getData() : Value();
}

bool sameHeads(ShapeInference &shapes, Value a, Value b) {
  return sameShape(shapes.shape(a).take_front(2), shapes.shape(b).take_front(2));
}

/// MatMul(Reshape(a), Reshape(b))  =>  Reshape(MatMul(a, b))
struct MatMulOfHeads : ShapePattern<onnx::MatMulOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::MatMulOp op, OpBuilder &builder) const override {
    Value a = unmerged(shapes, op.getA()), b = unmerged(shapes, op.getB());
    if (!a || !b || !sameHeads(shapes, a, b) ||
        shapes.shape(op.getA()).size() != shapes.shape(op.getB()).size())
      return {};
    Value product = make<onnx::MatMulOp>(builder, op.getLoc(), a, b);
    return reshapeLike(builder, shapes, product, op.getOutput());
  }
};

/// Transpose(Reshape(x))  =>  Reshape(Transpose(x))
struct TransposeOfHeads : ShapePattern<onnx::TransposeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::TransposeOp op, OpBuilder &builder) const override {
    Value x = unmerged(shapes, op.getData());
    if (!x || op.getPerm()[0] != 0)
      return {};
    SmallVector<int64_t> perm{0};
    for (int64_t axis : op.getPerm())
      perm.push_back(axis + 1);
    Value transposed = transposeBy(builder, op.getLoc(), x, perm);
    return reshapeLike(builder, shapes, transposed, op.getTransposed());
  }
};

/// Softmax(Reshape(x))  =>  Reshape(Softmax(x)), where a MatMul with values of the same heads reads
/// it. Without them, the dims may be images and windows, which SumUnsplit merges.
struct SoftmaxOfHeads : ShapePattern<onnx::SoftmaxOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::SoftmaxOp op, OpBuilder &builder) const override {
    Value x = unmerged(shapes, op.getInput());
    int64_t axis = op.getAxis();
    if (!x || axis == 0 || !op.getOutput().hasOneUse())
      return {};
    auto product = dyn_cast<onnx::MatMulOp>(*op.getOutput().user_begin());
    Value values = product ? unmerged(shapes, product.getB()) : Value();
    if (!values || !sameHeads(shapes, x, values))
      return {};
    Value weights = make<onnx::SoftmaxOp>(builder, op.getLoc(), x, axis + 1);
    return reshapeLike(builder, shapes, weights, op.getOutput());
  }
};

/// op(Reshape(x), Reshape(y), number)  =>  Reshape(op(x, y, number))
template <typename Op> struct ElementsOfHeads : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    ShapeInference &shapes = this->shapes;
    Operation *any = op;
    IRMapping operands;
    Value first;
    for (Value operand : any->getOperands()) {
      if (Value x = unmerged(shapes, operand)) {
        if (first && !sameHeads(shapes, first, x))
          return {};
        first = x;
        operands.map(operand, x);
      } else if (shapes.shape(operand).size() > 1 ||
                 !llvm::all_of(shapes.shape(operand),
                               [](const SymbolicExpr &dim) { return dim.is(1); })) {
        return {};
      }
    }
    if (!first)
      return {};
    Operation *split = builder.clone(*any, operands);
    return reshapeLike(builder, shapes, split->getResult(0), any->getResult(0));
  }
};
} // namespace

void addHeadPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<MatMulOfHeads, TransposeOfHeads, SoftmaxOfHeads, ElementsOfHeads<onnx::AddOp>,
               ElementsOfHeads<onnx::MulOp>, ElementsOfHeads<onnx::DivOp>,
               ElementsOfHeads<onnx::WhereOp>, ElementsOfHeads<onnx::CastOp>>(patterns.getContext(),
                                                                              shapes);
}

} // namespace rapt
