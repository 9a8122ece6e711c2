//===- MaskPatterns.cpp - Masks of attention get the rank of the scores ----------------------===//
//
// In:  onnx in which a mask is chosen, then reshaped, or meets scores whose batch is split in two.
// Out: the reshape at the condition, and sums on the scores as the softmax reads them.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt {

namespace {
/// A constant that is one number everywhere, as a tensor of one element; null if it is none.
Value asNumber(ShapeInference &shapes, Value value, OpBuilder &builder) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return {};
  if (llvm::all_of(shapes.shape(value), [](const SymbolicExpr &dim) { return dim.is(1); }))
    return value;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!elements || !elements.isSplat())
    return {};
  return make<onnx::ConstantOp>(
      builder, value.getLoc(),
      elements.resizeSplat(RankedTensorType::get({}, elements.getElementType())));
}

/// Reshape(Where(c, a, b))  =>  Where(Reshape(c), a, b), where a and b are one number each
struct ReshapeBeforeChoice : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    auto where = op.getData().getDefiningOp<onnx::WhereOp>();
    if (!where || !sameShape(shapes.shape(where.getCondition()), shapes.shape(where.getOutput())))
      return {};
    Value x = asNumber(shapes, where.getX(), builder), y = asNumber(shapes, where.getY(), builder);
    if (!x || !y)
      return {};
    Value condition = reshapeTo(builder, shapes, where.getLoc(), where.getCondition(),
                                shapes.shapeOf(op.getReshaped()));
    return make<onnx::WhereOp>(builder, where.getLoc(), condition, x, y);
  }
};

/// Reshape(And(x, y))  =>  And(Reshape(x), Reshape(y)), where the Reshape only adds or drops dims
/// of size one; the same for Or and Not. Only Reshapes may read what is taken apart: each step
/// makes a copy of it.
struct ReshapeBeforeLogic : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    Operation *logic = op.getData().getDefiningOp();
    if (!isa_and_nonnull<onnx::AndOp, onnx::OrOp, onnx::NotOp>(logic) ||
        !onlyReadBy<onnx::ReshapeOp>(logic))
      return {};
    ArrayRef<SymbolicExpr> from = shapes.shape(op.getData());
    Shape to = shapes.shapeOf(op.getReshaped());
    SmallVector<std::optional<size_t>> origins; // the dim of `from` that is each dim of `to`
    size_t next = 0;
    for (const SymbolicExpr &dim : to) {
      while (!dim.is(1) && next < from.size() && from[next].is(1))
        ++next;
      if (!dim.is(1) && (next == from.size() || from[next] != dim))
        return {};
      origins.push_back(dim.is(1) ? std::nullopt : std::optional(next++));
    }
    if (!llvm::all_of(from.drop_front(next), [](const SymbolicExpr &dim) { return dim.is(1); }))
      return {};
    IRMapping mapping;
    for (Value operand : logic->getOperands()) {
      ArrayRef<SymbolicExpr> own = shapes.shape(operand);
      size_t missing = from.size() - own.size();
      Shape wanted;
      for (std::optional<size_t> origin : origins)
        wanted.push_back(origin && *origin >= missing ? own[*origin - missing] : SymbolicExpr(1));
      auto earlier = findEarlier<onnx::ReshapeOp>(operand, op, [&](onnx::ReshapeOp other) {
        return sameShape(shapes.shape(other.getReshaped()), wanted);
      });
      mapping.map(operand, earlier ? earlier.getReshaped()
                                   : reshapeTo(builder, shapes, operand.getLoc(), operand, wanted));
    }
    return builder.clone(*logic, mapping)->getResult(0);
  }
};

/// Reshape(Reshape(x) + m)  =>  x + Reshape(Expand(m)), where the inner Reshape splits dims of x
/// and the outer one merges them again: [B*W,H,I,J] -> [B,W,H,I,J] -> [B*W,H,I,J]. The same for
/// several terms one after the other, and for Where(m, number, Reshape(x)) and Where(m, Reshape(x),
/// number). Shifted windows do it, and relative positions along the rows and columns of an image.
struct SumUnsplit : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    Shape merged = shapes.shapeOf(op.getReshaped()), wide = shapes.shapeOf(op.getData());
    auto groups = wide.size() > merged.size() ? groupDims(wide, merged) : std::nullopt;
    if (!groups || op.getData().getDefiningOp<onnx::ReshapeOp>())
      return {};
    return unsplit(op.getData(), wide, merged, *groups, builder);
  }

private:
  static constexpr int kDeepest = 8;

  /// `value` of dims `wide` on dims `merged`; null unless it is a Reshape of such a tensor, or a
  /// sum with one that nothing else reads.
  Value unsplit(Value value, const Shape &wide, const Shape &merged,
                ArrayRef<SmallVector<int64_t>> groups, OpBuilder &builder, int depth = 0) const {
    Operation *sum = value.getDefiningOp();
    if (!sum || depth > kDeepest || !sameShape(shapes.shape(value), wide))
      return {};
    if (auto split = dyn_cast<onnx::ReshapeOp>(sum))
      return sameShape(shapes.shape(split.getData()), merged) ? split.getData() : Value();
    if (!isa<onnx::AddOp, onnx::WhereOp>(sum) || !value.hasOneUse())
      return {};
    for (OpOperand &operand : sum->getOpOperands()) {
      int position = operand.getOperandNumber();
      Value own = isa<onnx::WhereOp>(sum) && position == 0
                      ? Value()
                      : unsplit(operand.get(), wide, merged, groups, builder, depth + 1);
      if (!own)
        continue;
      SmallVector<Value> operands;
      for (OpOperand &other : sum->getOpOperands())
        operands.push_back(&other == &operand ? own : merge(other.get(), wide, groups, builder));
      if (isa<onnx::AddOp>(sum))
        return make<onnx::AddOp>(builder, sum->getLoc(), operands[0], operands[1]);
      Value &number = operands[3 - position];
      number = asNumber(shapes, sum->getOperand(3 - position), builder);
      return number ? make<onnx::WhereOp>(builder, sum->getLoc(), operands[0], operands[1],
                                          operands[2])
                    : Value();
    }
    return {};
  }

  /// What is broadcast to the dims `wide`, for those that are merged of `groups` of them.
  Value merge(Value value, const Shape &wide, ArrayRef<SmallVector<int64_t>> groups,
              OpBuilder &builder) const {
    Shape own = shapes.shapeOf(value);
    size_t kept = 0; // dims at the end that stay as they are
    while (kept < groups.size() && groups[groups.size() - 1 - kept].size() == 1)
      ++kept;
    if (own.size() <= kept)
      return value;
    own.insert(own.begin(), wide.size() - own.size(), SymbolicExpr(1));
    Shape expanded = own, narrow;
    for (ArrayRef<int64_t> group : groups) {
      bool same = llvm::all_of(group, [&](int64_t dim) { return own[dim].is(1); });
      SymbolicExpr merged(1);
      for (int64_t dim : group) {
        expanded[dim] = same ? SymbolicExpr(1) : wide[dim];
        merged = merged * expanded[dim];
      }
      narrow.push_back(merged);
    }
    Value full = expandTo(builder, shapes, value.getLoc(), value, expanded);
    return reshapeTo(builder, shapes, value.getLoc(), full, narrow);
  }
};
} // namespace

void addMaskPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<ReshapeBeforeLogic, ReshapeBeforeChoice, SumUnsplit>(patterns.getContext(), shapes);
}

} // namespace rapt
