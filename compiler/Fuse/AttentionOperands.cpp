//===- AttentionOperands.cpp - Query, key and value of a site --------------------------------===//
//
// Where scalars, transposes and the repetition of shared heads stand does not matter: keys are
// taken from in front of all of them.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/AttentionOperands.h"

#include "compiler/Fuse/AttentionSink.h"
#include "dialects/Onnx/ShapeText.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

bool isNarrow(Type element) { return element.isF16() || element.isBF16(); }

bool sameDim(const onnx::ShapeInference &shapes, Value a, int64_t i, Value b, int64_t j) {
  const onnx::SymbolicExpr &x = shapes.shape(a)[i], &y = shapes.shape(b)[j];
  return x == y || (shapes.atMost(x, y) && shapes.atMost(y, x));
}

Value castTo(OpBuilder &builder, Location loc, Value value, Type element) {
  if (tensorType(value).getElementType() == element)
    return value;
  return onnx::CastOp::create(builder, loc, tensorType(value).clone(element), value).getOutput();
}

LogicalResult checkOperands(AttentionMatch &match, const onnx::ShapeInference &shapes,
                            std::string &reason) {
  auto fail = [&](const llvm::Twine &text) {
    reason = text.str();
    return failure();
  };
  auto text = [&](Value value) { return onnx::shapeText(shapes, value); };
  Value a = match.scores.getA(), b = match.scores.getB(), v = match.output.getB();
  int64_t rank = tensorType(match.scores.getOutput()).getRank();
  if (rank < 2 || rank > 4)
    return fail("scores of rank " + llvm::Twine(rank));
  for (Value value : {a, b, v}) {
    if (tensorType(value).getRank() != rank)
      return fail("operands of different ranks");
    if (!isa<FloatType>(tensorType(value).getElementType()))
      return fail("operands are not floats");
    if (llvm::is_contained(tensorType(value).getShape(), 0))
      return fail("an operand has no elements");
  }
  if (rank == 4 && (tensorType(a).isDynamicDim(1) || tensorType(b).isDynamicDim(1)))
    return fail("the number of heads is not static");
  // One key and value head may serve all query heads (S5).
  auto isHeads = [&](int64_t dim) { return rank == 4 && dim == 1; };
  for (Value value : {b, v})
    for (int64_t i = 0; i + 2 < rank; ++i)
      if (!sameDim(shapes, a, i, value, i) && !(isHeads(i) && shapes.shape(value)[i].is(1)))
        return fail("query " + text(a) + " and " + (value == v ? "value " : "key ") + text(value) +
                    " are broadcast");
  if (match.keys && !keepsKeys(match, shapes))
    return fail("another part of the weights is used than that of the keys");
  if (!sameDim(shapes, b, rank - 1, v, rank - 2))
    return fail("key " + text(b) + " and value " + text(v) + " differ in length");
  return success();
}

namespace {
class Finder {
public:
  Finder(AttentionMatch &match, const onnx::ShapeInference &shapes, OpBuilder &builder,
         Location loc)
      : match(match), shapes(shapes), builder(builder), loc(loc),
        rank(tensorType(match.scores.getOutput()).getRank()) {}

  FailureOr<AttentionOperands> run(std::string &reason) {
    double scale = match.factor;
    Value query = stripScalars(match.scores.getA(), scale);
    Value transposed = stripScalars(match.scores.getB(), scale);
    Value key = withoutRepeat(keyOf(stripScalars(withoutRepeat(transposed), scale), scale));
    Value value = withoutRepeat(match.output.getB());
    // Query heads share key and value heads, or none of both.
    if (rank == 4 && tensorType(key).getDimSize(1) != tensorType(value).getDimSize(1)) {
      double own = 1;
      key = keyOf(transposed, own);
      scale = match.factor;
      stripScalars(match.scores.getA(), scale);
      stripScalars(match.scores.getB(), scale);
      scale *= own;
      value = match.output.getB();
    }
    if (rank == 4 && tensorType(key).getDimSize(1) != tensorType(value).getDimSize(1)) {
      reason = "key and value have different numbers of heads";
      return failure();
    }
    if (!std::isfinite(scale)) {
      reason = "scale is not finite";
      return failure();
    }
    if (match.rowScale)
      query = onnx::MulOp::create(builder, loc, query.getType(), query, match.rowScale).getOutput();
    unifyTypes(query, key, value);
    return AttentionOperands{query, key, value, scale};
  }

private:
  /// x of Cast(x) or Transpose(Cast(x)), transposed, where the Cast widens f16 or bf16 to f32.
  Value withoutWidening(Value value) {
    auto transposed = value.getDefiningOp<onnx::TransposeOp>();
    auto cast = (transposed ? transposed.getData() : value).getDefiningOp<onnx::CastOp>();
    if (!cast || !tensorType(cast.getOutput()).getElementType().isF32() ||
        !isNarrow(tensorType(cast.getInput()).getElementType()))
      return value;
    return transposed ? transpose(cast.getInput(), transposed.getPerm()) : cast.getInput();
  }

  /// Attention has operands of one type. Where scores are computed in f32 of f16 or bf16, and the
  /// values are as narrow, that is theirs: it accumulates in f32. Else all become f32.
  void unifyTypes(Value &query, Value &key, Value &value) {
    auto agree = [](ArrayRef<Value> values) {
      return llvm::all_equal(
          llvm::map_range(values, [](Value value) { return tensorType(value).getElementType(); }));
    };
    if (agree({query, key, value}))
      return;
    Value narrow[] = {withoutWidening(query), withoutWidening(key), withoutWidening(value)};
    Type wide = builder.getF32Type();
    for (Value operand : {query, key, value})
      if (tensorType(operand).getElementType().isF64())
        wide = builder.getF64Type();
    bool stay = agree(narrow);
    query = stay ? narrow[0] : castTo(builder, loc, query, wide);
    key = stay ? narrow[1] : castTo(builder, loc, key, wide);
    value = stay ? narrow[2] : castTo(builder, loc, value, wide);
  }

  /// Follows Mul and Div by scalars up, multiplying them into `scale`.
  static Value stripScalars(Value value, double &scale) {
    while (Operation *op = value.getDefiningOp()) {
      if (!isa<onnx::MulOp, onnx::DivOp>(op))
        break;
      int scalar = isa<onnx::MulOp>(op) && scalarConstant(op->getOperand(0)) ? 0 : 1;
      std::optional<double> number = scalarConstant(op->getOperand(scalar));
      Value other = op->getOperand(1 - scalar);
      if (!number || !std::isfinite(*number) || *number == 0 || other.getType() != value.getType())
        break;
      scale = isa<onnx::MulOp>(op) ? scale * *number : scale / *number;
      value = other;
    }
    return value;
  }

  Value transpose(Value value, ArrayRef<int64_t> perm) {
    if (llvm::equal(perm, llvm::seq<int64_t>(0, perm.size())))
      return value;
    auto type = tensorType(value);
    SmallVector<int64_t> shape;
    for (int64_t dim : perm)
      shape.push_back(type.getDimSize(dim));
    return onnx::TransposeOp::create(builder, loc, type.clone(shape), value,
                                     builder.getDenseI64ArrayAttr(perm))
        .getTransposed();
  }

  /// [B, G, J, D] of which `value` [B, H, J, D] repeats every head H / G times; or `value`.
  Value withoutRepeat(Value value) {
    if (rank != 4)
      return value;
    Value merged = value;
    auto reshape = value.getDefiningOp<onnx::ReshapeOp>();
    if (reshape)
      merged = reshape.getData();
    auto expand = merged.getDefiningOp<onnx::ExpandOp>();
    if (!expand)
      return value;
    Value heads = expand.getInput();
    int64_t wide = tensorType(merged).getRank();
    // [B, 1, J, D] to [B, H, J, D], or [B, G, 1, J, D] to [B, G, H / G, J, D] to [B, H, J, D].
    if (wide != (reshape ? 5 : 4) || tensorType(heads).getRank() != wide ||
        !shapes.shape(heads)[wide - 3].is(1))
      return value;
    for (int64_t dim = 0; dim < wide; ++dim)
      if (dim != wide - 3 && !sameDim(shapes, heads, dim, merged, dim))
        return value;
    if (!reshape)
      return heads;
    int64_t own = tensorType(heads).getDimSize(1);
    if (ShapedType::isDynamic(own) || !sameDim(shapes, merged, 0, value, 0) ||
        !sameDim(shapes, merged, 3, value, 2) || !sameDim(shapes, merged, 4, value, 3))
      return value;
    SmallVector<int64_t> shape(tensorType(heads).getShape());
    shape.erase(shape.begin() + 2);
    return onnx::SqueezeOp::create(builder, loc, tensorType(heads).clone(shape), heads,
                                   builder.getDenseI64ArrayAttr({2}))
        .getSqueezed();
  }

  /// k from k^T: the transpose that stands there is undone, or another one is put on top.
  Value keyOf(Value transposed, double &scale) {
    if (Value key = throughMergedTranspose(transposed))
      return stripScalars(key, scale);
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    Value source = transposed;
    if (auto op = transposed.getDefiningOp<onnx::TransposeOp>()) {
      perm.assign(op.getPerm().begin(), op.getPerm().end());
      source = op.getData();
    }
    std::swap(perm[rank - 2], perm[rank - 1]);
    return stripScalars(transpose(source, perm), scale);
  }

  /// Reshape(Transpose(Reshape(k -> [B*H, J, D]), [0, 2, 1]) -> [B, H, D, J]) of k [B, H, J, D].
  Value throughMergedTranspose(Value transposed) {
    auto split = transposed.getDefiningOp<onnx::ReshapeOp>();
    auto swap = split ? split.getData().getDefiningOp<onnx::TransposeOp>() : nullptr;
    auto merge = swap ? swap.getData().getDefiningOp<onnx::ReshapeOp>() : nullptr;
    if (!merge || rank != 4 || !llvm::equal(swap.getPerm(), ArrayRef<int64_t>{0, 2, 1}))
      return {};
    Value key = merge.getData(), merged = merge.getReshaped();
    bool same = tensorType(key).getRank() == 4 && sameDim(shapes, key, 2, merged, 1) &&
                sameDim(shapes, key, 3, merged, 2);
    for (auto [i, j] : {std::pair(0, 0), {1, 1}, {2, 3}, {3, 2}})
      same = same && sameDim(shapes, key, i, transposed, j);
    return same ? key : Value();
  }

  AttentionMatch &match;
  const onnx::ShapeInference &shapes;
  OpBuilder &builder;
  Location loc;
  int64_t rank;
};
} // namespace

FailureOr<AttentionOperands> findOperands(AttentionMatch &match, const onnx::ShapeInference &shapes,
                                          OpBuilder &builder, Location loc, std::string &reason) {
  return Finder(match, shapes, builder, loc).run(reason);
}

} // namespace rapt::fuse
