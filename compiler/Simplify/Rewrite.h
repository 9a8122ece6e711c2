//===- Rewrite.h - Patterns that know shapes ---------------------------------------*- C++ -*-===//
//
// Base of the patterns of simplify-canonicalize. Every operation that a pattern creates is inferred
// as it is inserted (InferListener), so patterns ask for symbolic shapes and never compute types.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_SIMPLIFY_REWRITE_H
#define RAPT_COMPILER_SIMPLIFY_REWRITE_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/ShapeInference.h"

#include "mlir/IR/PatternMatch.h"

namespace rapt {

using onnx::Content;
using onnx::Element;
using onnx::Shape;
using onnx::ShapeInference;
using onnx::SymbolicExpr;

/// Keeps the analysis in step with the IR.
struct InferListener : mlir::RewriterBase::Listener {
  explicit InferListener(ShapeInference &shapes) : shapes(shapes) {}
  void notifyOperationInserted(mlir::Operation *op, mlir::OpBuilder::InsertPoint previous) override;
  void notifyOperationErased(mlir::Operation *op) override { shapes.forget(op); }
  ShapeInference &shapes;
};

/// Replaces `op`, which has one result, by what `build` makes in front of it. Where that is null or
/// has another type than `op`, the pattern does not apply, and what was made is erased.
mlir::LogicalResult replaceOrRestore(mlir::PatternRewriter &rewriter, mlir::Operation *op,
                                     llvm::function_ref<mlir::Value()> build);

/// A pattern that replaces an operation with one result by a value of the same type.
template <typename Op> struct ShapePattern : mlir::OpRewritePattern<Op> {
  ShapePattern(mlir::MLIRContext *context, ShapeInference &shapes)
      : mlir::OpRewritePattern<Op>(context), shapes(shapes) {}

  /// The value in place of `op`'s result; null where the pattern does not apply.
  virtual mlir::Value replacement(Op op, mlir::OpBuilder &builder) const = 0;

  mlir::LogicalResult matchAndRewrite(Op op, mlir::PatternRewriter &rewriter) const final {
    return replaceOrRestore(rewriter, op, [&] { return replacement(op, rewriter); });
  }

  ShapeInference &shapes;
};

/// Builds an onnx operation with one result, whose type the listener infers.
template <typename Op, typename... Args>
mlir::Value make(mlir::OpBuilder &builder, mlir::Location loc, Args &&...args) {
  auto placeholder = mlir::UnrankedTensorType::get(builder.getI1Type());
  return Op::create(builder, loc, placeholder, std::forward<Args>(args)...)
      .getOperation()
      ->getResult(0);
}

/// Whether there are no other operations than `Op` among those that read the result of `op`.
template <typename Op> bool onlyReadBy(mlir::Operation *op) {
  return llvm::all_of(op->getUsers(), [](mlir::Operation *user) { return mlir::isa<Op>(user); });
}

/// An `Op` in front of `op` that reads `value` and for which `same` holds, so that rules which take
/// a graph apart from its end do not copy what is read on several ways; null if there is none.
template <typename Op>
Op findEarlier(mlir::Value value, mlir::Operation *op, llvm::function_ref<bool(Op)> same) {
  for (mlir::Operation *user : value.getUsers())
    if (auto found = mlir::dyn_cast<Op>(user); found && found->getOperand(0) == value &&
                                               found->getBlock() == op->getBlock() &&
                                               found->isBeforeInBlock(op) && same(found))
      return found;
  return {};
}

/// The float that every element of `value` is.
std::optional<double> numberOf(const ShapeInference &shapes, mlir::Value value);

/// A shape as an operand of Reshape or Expand: a constant, or tensor.from_elements.
mlir::Value makeShape(mlir::OpBuilder &builder, mlir::Location loc,
                      llvm::ArrayRef<SymbolicExpr> shape);
/// The elements as an operation in place of arithmetic on shapes; null if they are not integers of
/// 32 or 64 bits. `type` is static.
mlir::Value makeElements(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::ArrayRef<Element> elements, mlir::RankedTensorType type);
mlir::Value makeScalar(mlir::OpBuilder &builder, mlir::Location loc, const Element &element,
                       mlir::Type type, size_t rank = 0);

/// `value` itself where it has that shape already.
mlir::Value reshapeTo(mlir::OpBuilder &builder, ShapeInference &shapes, mlir::Location loc,
                      mlir::Value value, llvm::ArrayRef<SymbolicExpr> shape);
mlir::Value expandTo(mlir::OpBuilder &builder, ShapeInference &shapes, mlir::Location loc,
                     mlir::Value value, llvm::ArrayRef<SymbolicExpr> shape);
/// The same with the shape and the location of the value `like`.
mlir::Value reshapeLike(mlir::OpBuilder &builder, ShapeInference &shapes, mlir::Value value,
                        mlir::Value like);
mlir::Value expandLike(mlir::OpBuilder &builder, ShapeInference &shapes, mlir::Value value,
                       mlir::Value like);
mlir::Value transposeBy(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                        llvm::ArrayRef<int64_t> perm);

/// Equal dim for dim.
bool sameShape(llvm::ArrayRef<SymbolicExpr> a, llvm::ArrayRef<SymbolicExpr> b);
/// Whether the shape operand `operand` lists the dims of `shape` one by one.
bool listsShape(ShapeInference &shapes, mlir::Value operand, llvm::ArrayRef<SymbolicExpr> shape);

/// For each dim of `merged` the neighbouring dims of `shape` whose product it is; none if they do
/// not line up.
std::optional<llvm::SmallVector<llvm::SmallVector<int64_t>>>
groupDims(llvm::ArrayRef<SymbolicExpr> shape, llvm::ArrayRef<SymbolicExpr> merged);

void addViewPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addBroadcastPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addArithmeticPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addGatherPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addChoicePatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addBlendPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addMaskPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addGroupPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addHeadPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);
void addTransposedPatterns(mlir::RewritePatternSet &patterns, ShapeInference &shapes);

} // namespace rapt

#endif // RAPT_COMPILER_SIMPLIFY_REWRITE_H
