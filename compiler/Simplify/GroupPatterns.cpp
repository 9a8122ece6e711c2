//===- GroupPatterns.cpp - Query heads in groups, and batches of blocks, become one dim ------===//
//
// In:  attention whose query heads are two dims, [batch, groups, heads of a group, length, ...], or
//      whose rows are the heads of a group and its queries, beside keys and values of [batch,
//      groups, ...]. Out: the same on [batch, heads, length, ...] with keys and values that are
//      repeated, which is how other exporters write it; fusion undoes the repeat. The same with
//      blocks or windows in front of the heads, [batch, blocks, heads, length, ...], whose number
//      may be dynamic: they become one dim with the batch. No element is computed differently.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt {

namespace {
constexpr int kDeepest = 8;

/// Whether `merged` is [B, G * R, I, J] of `wide` [B, G, R, I, J].
bool mergesGroups(ArrayRef<SymbolicExpr> wide, ArrayRef<SymbolicExpr> merged) {
  return wide.size() == 5 && merged.size() == 4 && wide[1].constant() && wide[2].constant() &&
         wide[0] == merged[0] && wide[1] * wide[2] == merged[1] && wide[3] == merged[2] &&
         wide[4] == merged[3];
}

/// The heads of a group, R > 1, for which `rows` [B, G, R * I, J] or [B * G, R * I, J] has the
/// elements of `merged` [B, G * R, I, J]; 0 if there are none.
int64_t groupSize(ArrayRef<SymbolicExpr> rows, ArrayRef<SymbolicExpr> merged) {
  std::optional<int64_t> heads = merged.size() == 4 ? merged[1].constant() : std::nullopt;
  if (!heads || rows.size() < 3 || rows.size() > 4 || rows.back() != merged[3])
    return 0;
  for (int64_t size = 2; size <= *heads; ++size) {
    if (*heads % size != 0 || SymbolicExpr(size) * merged[2] != rows[rows.size() - 2])
      continue;
    SymbolicExpr groups(*heads / size);
    if (rows.size() == 4 ? rows[0] == merged[0] && rows[1] == groups
                         : rows[0] == merged[0] * groups)
      return size;
  }
  return 0;
}

bool isScoreMath(Operation *op) {
  return isa_and_nonnull<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::WhereOp,
                         onnx::TanhOp, onnx::CastOp>(op);
}

/// `value` is a product, or elementwise arithmetic and reshapes of one that nothing else reads.
bool leadsToProduct(Value value, int depth = 0) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > kDeepest || !value.hasOneUse())
    return false;
  if (auto reshape = dyn_cast<onnx::ReshapeOp>(op))
    return leadsToProduct(reshape.getData(), depth + 1);
  return isa<onnx::MatMulOp>(op) ||
         (isScoreMath(op) &&
          llvm::any_of(op->getOperands(), [&](Value x) { return leadsToProduct(x, depth + 1); }));
}

/// A softmax over the last of `rank` dims reads `value`, past elementwise arithmetic.
bool feedsSoftmax(Value value, int64_t rank = 4, int depth = 0) {
  if (!value.hasOneUse() || depth > kDeepest)
    return false;
  Operation *user = *value.user_begin();
  if (auto softmax = dyn_cast<onnx::SoftmaxOp>(user))
    return static_cast<int64_t>(softmax.getAxis()) == rank - 1 &&
           cast<RankedTensorType>(value.getType()).getRank() == rank;
  return isScoreMath(user) && feedsSoftmax(user->getResult(0), rank, depth + 1);
}

/// A product has `weights` on its left, perhaps reshaped or cast.
bool feedsProduct(Value weights, int depth = 0) {
  return llvm::any_of(weights.getUsers(), [&](Operation *user) {
    if (auto matmul = dyn_cast<onnx::MatMulOp>(user))
      return matmul.getA() == weights;
    return isa<onnx::ReshapeOp, onnx::CastOp>(user) && depth < kDeepest &&
           feedsProduct(user->getResult(0), depth + 1);
  });
}

/// [B, G, X, Y], [B * G, X, Y] or [B, G, 1 or R, X, Y] as [B, G * R, X, Y], where head g of the
/// operand is R heads; null where it has other dims.
Value repeated(OpBuilder &builder, ShapeInference &shapes, Value value, const SymbolicExpr &batch,
               const SymbolicExpr &groups, const SymbolicExpr &size) {
  Shape own = shapes.shapeOf(value);
  Location loc = value.getLoc();
  size_t rank = own.size();
  bool fits = rank == 3   ? own[0] == batch * groups
              : rank == 4 ? own[0] == batch && own[1] == groups
                          : rank == 5 && own[0] == batch && own[1] == groups &&
                                (own[2].is(1) || own[2] == size);
  if (!fits)
    return {};
  SymbolicExpr rows = own[rank - 2], columns = own[rank - 1];
  if (rank != 5)
    value = reshapeTo(builder, shapes, loc, value, {batch, groups, SymbolicExpr(1), rows, columns});
  if (rank != 5 || own[2] != size)
    value = expandTo(builder, shapes, loc, value, {batch, groups, size, rows, columns});
  return reshapeTo(builder, shapes, loc, value, {batch, groups * size, rows, columns});
}

/// The product of `left`, which is reshaped to [B, H, .., ..], and the repeated `right`.
Value product(OpBuilder &builder, ShapeInference &shapes, Location loc, Value left, Value right,
              ArrayRef<SymbolicExpr> merged, int64_t size) {
  SymbolicExpr groups(*merged[1].constant() / size);
  Value heads = repeated(builder, shapes, right, merged[0], groups, SymbolicExpr(size));
  if (!heads)
    return {};
  Shape wanted{merged[0], merged[1], merged[2], shapes.shape(left).back()};
  return make<onnx::MatMulOp>(builder, loc, reshapeTo(builder, shapes, loc, left, wanted), heads);
}

/// Softmax(s) : s [B, G, R, I, J], a product  =>  Reshape(Softmax(Reshape(s)))
struct MergeSoftmax : ShapePattern<onnx::SoftmaxOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::SoftmaxOp op, OpBuilder &builder) const override {
    Shape wide = shapes.shapeOf(op.getInput());
    if (wide.size() != 5 || op.getAxis() != 4)
      return {};
    Shape merged{wide[0], wide[1] * wide[2], wide[3], wide[4]};
    if (!mergesGroups(wide, merged) || !leadsToProduct(op.getInput()) ||
        !feedsProduct(op.getOutput()))
      return {};
    Value scores = reshapeTo(builder, shapes, op.getLoc(), op.getInput(), merged);
    Value weights =
        make<onnx::SoftmaxOp>(builder, op.getLoc(), scores, builder.getI64IntegerAttr(3));
    return reshapeLike(builder, shapes, weights, op.getOutput());
  }
};

/// Reshape(f(a, b)) : [B, G, R, I, J] -> [B, H, I, J]  =>  f(Reshape(a), Reshape(b)), where f is a
/// product, or elementwise and leads to one
struct MergeScores : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;

  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    Value data = op.getData();
    if (!feedsSoftmax(op.getReshaped()) || !leadsToProduct(data))
      return {};
    Shape merged = shapes.shapeOf(op.getReshaped()), wide = shapes.shapeOf(data);
    bool isWide = mergesGroups(wide, merged);
    if (auto matmul = data.getDefiningOp<onnx::MatMulOp>()) {
      int64_t size = isWide ? *wide[2].constant() : groupSize(wide, merged);
      bool sameRank = shapes.shape(matmul.getA()).size() == wide.size() &&
                      ArrayRef(wide).drop_back() == shapes.shape(matmul.getA()).drop_back();
      return size && sameRank ? product(builder, shapes, matmul.getLoc(), matmul.getA(),
                                        matmul.getB(), merged, size)
                              : Value();
    }
    Operation *source = data.getDefiningOp();
    if (!isScoreMath(source) || (!isWide && !groupSize(wide, merged)))
      return {};
    IRMapping mapping;
    for (Value operand : source->getOperands()) {
      std::optional<Value> term =
          isWide ? mergedTerm(builder, operand, wide) : mergedRows(builder, operand, wide, merged);
      if (!term)
        return {};
      mapping.map(operand, *term);
    }
    Operation *copy = builder.clone(*source, mapping);
    return copy->getResult(0);
  }

private:
  /// What has the dims `rows`, or one element, with the dims `merged`.
  std::optional<Value> mergedRows(OpBuilder &builder, Value term, ArrayRef<SymbolicExpr> rows,
                                  ArrayRef<SymbolicExpr> merged) const {
    Shape own = shapes.shapeOf(term);
    if (own.size() <= 1 && llvm::all_of(own, [](const SymbolicExpr &dim) { return dim.is(1); }))
      return term;
    if (!sameShape(own, rows))
      return std::nullopt;
    return reshapeTo(builder, shapes, term.getLoc(), term, merged);
  }

  /// What broadcasts to `wide`, such that it broadcasts to the merged dims.
  std::optional<Value> mergedTerm(OpBuilder &builder, Value term,
                                  ArrayRef<SymbolicExpr> wide) const {
    Shape own = shapes.shapeOf(term);
    size_t rank = own.size();
    if (rank < 3 || (rank == 3 && own[0].is(1)))
      return term;
    Shape full(own);
    full.insert(full.begin(), 5 - rank, SymbolicExpr(1));
    bool oneForAll = full[1].is(1) && full[2].is(1);
    bool oneForSome = !oneForAll && (full[1] != wide[1] || full[2] != wide[2]);
    for (size_t i : {1, 2}) {
      if (full[i] != wide[i] && !full[i].is(1))
        return std::nullopt;
      full[i] = oneForAll ? SymbolicExpr(1) : wide[i];
    }
    Value value = oneForSome ? expandTo(builder, shapes, term.getLoc(), term, full) : term;
    return reshapeTo(builder, shapes, term.getLoc(), value,
                     {full[0], full[1] * full[2], full[3], full[4]});
  }
};

/// MatMul(Reshape(p), v) : p [B, H, I, J] -> [B, G, R, I, J] or [B, G, R * I, J]  =>
/// Reshape(MatMul(p, v')), where p are the weights of attention and v' is v repeated
struct MergeWeighted : ShapePattern<onnx::MatMulOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::MatMulOp op, OpBuilder &builder) const override {
    auto split = op.getA().getDefiningOp<onnx::ReshapeOp>();
    if (!split || !isa_and_nonnull<onnx::SoftmaxOp, onnx::CastOp>(split.getData().getDefiningOp()))
      return {};
    Shape wide = shapes.shapeOf(op.getA()), merged = shapes.shapeOf(split.getData());
    int64_t size = mergesGroups(wide, merged) ? *wide[2].constant() : groupSize(wide, merged);
    if (!size || shapes.shape(op.getB()).size() != wide.size())
      return {};
    Value result = product(builder, shapes, op.getLoc(), split.getData(), op.getB(), merged, size);
    return result ? reshapeLike(builder, shapes, result, op.getOutput()) : Value();
  }
};

/// Reshape(Transpose(x)) : [B, G, R, I, D] -> [B, H, I, D]  =>  Transpose(Reshape(x)) where G and R
/// are neighbours in x, too
struct MergeTransposed : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    auto transpose = op.getData().getDefiningOp<onnx::TransposeOp>();
    if (!transpose || !mergesGroups(shapes.shape(op.getData()), shapes.shape(op.getReshaped())))
      return {};
    ArrayRef<int64_t> perm = transpose.getPerm();
    int64_t groups = perm[1];
    if (perm[2] != groups + 1)
      return {};
    Shape merged = shapes.shapeOf(transpose.getData());
    merged[groups] = merged[groups] * merged[groups + 1];
    merged.erase(merged.begin() + groups + 1);
    SmallVector<int64_t> narrow;
    for (int64_t axis : {perm[0], perm[1], perm[3], perm[4]})
      narrow.push_back(axis > groups ? axis - 1 : axis);
    Value value = reshapeTo(builder, shapes, op.getLoc(), transpose.getData(), merged);
    return transposeBy(builder, op.getLoc(), value, narrow);
  }
};

/// Transpose(Reshape(x)) : x [B, H, I, D] -> [B, G, R, I, D]  =>  Reshape(Transpose(x)) where G and
/// R stay neighbours
struct SplitTransposed : ShapePattern<onnx::TransposeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::TransposeOp op, OpBuilder &builder) const override {
    auto split = op.getData().getDefiningOp<onnx::ReshapeOp>();
    if (!split || !mergesGroups(shapes.shape(op.getData()), shapes.shape(split.getData())))
      return {};
    SmallVector<int64_t> narrow;
    int64_t before = -1;
    for (int64_t axis : op.getPerm()) {
      if (axis == 2 && before != 1)
        return {};
      if (axis != 2)
        narrow.push_back(axis > 2 ? axis - 1 : axis);
      before = axis;
    }
    Value value = transposeBy(builder, op.getLoc(), split.getData(), narrow);
    return reshapeLike(builder, shapes, value, op.getTransposed());
  }
};

/// [A * B, ...] of `wide` [A, B, ...].
Shape mergeFirst(ArrayRef<SymbolicExpr> wide) {
  Shape merged(wide.drop_front());
  merged[0] = wide[0] * wide[1];
  return merged;
}

/// `value`, which broadcasts to [A, B, ...] `wide`, such that it broadcasts to [A * B, ...].
Value withMergedFirst(OpBuilder &builder, ShapeInference &shapes, Value value,
                      ArrayRef<SymbolicExpr> wide) {
  Shape own = shapes.shapeOf(value);
  if (own.size() + 1 < wide.size() || (own.size() + 1 == wide.size() && own[0].is(1)))
    return value;
  own.insert(own.begin(), wide.size() - own.size(), SymbolicExpr(1));
  if (!own[0].is(1) || !own[1].is(1)) {
    own[0] = wide[0];
    own[1] = wide[1];
  }
  Value full = expandTo(builder, shapes, value.getLoc(), value, own);
  return reshapeTo(builder, shapes, value.getLoc(), full, mergeFirst(own));
}

/// The same for an operand of a product, which is not repeated; null where it would have to be.
Value factorWithMergedFirst(OpBuilder &builder, ShapeInference &shapes, Value value,
                            ArrayRef<SymbolicExpr> wide) {
  ArrayRef<SymbolicExpr> own = shapes.shape(value);
  bool isWhole = own.size() == wide.size() && own[0] == wide[0] && own[1] == wide[1];
  return isWhole || own.size() + 1 < wide.size() ? withMergedFirst(builder, shapes, value, wide)
                                                 : Value();
}

/// Whether `merged` is [A * B, H, I, J] of scores [A, B, H, I, J] that MergeSoftmax leaves, or of
/// scores with more dims.
bool mergesBatches(ArrayRef<SymbolicExpr> wide, ArrayRef<SymbolicExpr> merged) {
  return wide.size() >= 5 && sameShape(mergeFirst(wide), merged) && !mergesGroups(wide, merged);
}

/// Softmax(s) : s [A, B, H, I, J], a product  =>  Reshape(Softmax(Reshape(s))), where B or H is
/// dynamic or there are more dims
struct MergeBatchSoftmax : ShapePattern<onnx::SoftmaxOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::SoftmaxOp op, OpBuilder &builder) const override {
    Shape wide = shapes.shapeOf(op.getInput());
    int64_t rank = wide.size();
    bool isOurs = rank > 5 || (rank == 5 && !(wide[1].constant() && wide[2].constant()));
    if (!isOurs || static_cast<int64_t>(op.getAxis()) != rank - 1 || !wide[rank - 3].constant() ||
        !leadsToProduct(op.getInput()) || !feedsProduct(op.getOutput()))
      return {};
    Value scores = reshapeTo(builder, shapes, op.getLoc(), op.getInput(), mergeFirst(wide));
    Value weights =
        make<onnx::SoftmaxOp>(builder, op.getLoc(), scores, builder.getI64IntegerAttr(rank - 2));
    return reshapeLike(builder, shapes, weights, op.getOutput());
  }
};

/// Reshape(f(a, b)) : [A, B, H, I, J] -> [A * B, H, I, J]  =>  f(Reshape(a), Reshape(b)), where f
/// is a product, or elementwise and leads to one, and a softmax reads it
struct MergeBatchScores : ShapePattern<onnx::ReshapeOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::ReshapeOp op, OpBuilder &builder) const override {
    Value data = op.getData();
    Shape wide = shapes.shapeOf(data);
    if (!mergesBatches(wide, shapes.shape(op.getReshaped())) || !leadsToProduct(data) ||
        !feedsSoftmax(op.getReshaped(), wide.size() - 1))
      return {};
    Operation *source = data.getDefiningOp();
    if (auto matmul = dyn_cast<onnx::MatMulOp>(source)) {
      Value a = factorWithMergedFirst(builder, shapes, matmul.getA(), wide);
      Value b = a ? factorWithMergedFirst(builder, shapes, matmul.getB(), wide) : Value();
      return b ? make<onnx::MatMulOp>(builder, matmul.getLoc(), a, b) : Value();
    }
    if (!isScoreMath(source))
      return {};
    IRMapping mapping;
    for (Value operand : source->getOperands())
      mapping.map(operand, withMergedFirst(builder, shapes, operand, wide));
    return builder.clone(*source, mapping)->getResult(0);
  }
};

/// MatMul(Reshape(p), v) : p [A * B, H, I, J] -> [A, B, H, I, J]  =>  Reshape(MatMul(p,
/// Reshape(v))), where p are the weights of attention
struct MergeBatchWeighted : ShapePattern<onnx::MatMulOp> {
  using ShapePattern::ShapePattern;
  Value replacement(onnx::MatMulOp op, OpBuilder &builder) const override {
    auto split = op.getA().getDefiningOp<onnx::ReshapeOp>();
    if (!split || !isa_and_nonnull<onnx::SoftmaxOp, onnx::CastOp>(split.getData().getDefiningOp()))
      return {};
    Shape wide = shapes.shapeOf(op.getA());
    if (!mergesBatches(wide, shapes.shape(split.getData())))
      return {};
    Value value = factorWithMergedFirst(builder, shapes, op.getB(), wide);
    if (!value)
      return {};
    Value product = make<onnx::MatMulOp>(builder, op.getLoc(), split.getData(), value);
    return reshapeLike(builder, shapes, product, op.getOutput());
  }
};
} // namespace

void addGroupPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<MergeSoftmax, MergeScores, MergeWeighted, MergeTransposed, SplitTransposed,
               MergeBatchSoftmax, MergeBatchScores, MergeBatchWeighted>(patterns.getContext(),
                                                                        shapes);
}

} // namespace rapt
