//===- ShapeInference.h - Types, symbolic shapes and contents ----------------------*- C++ -*-===//
//
// What is known of every tensor of a function: element type, each dim as an expression over the
// dims of the inputs, and the content where it is arithmetic on shapes (Content.h). One small
// function per operation, in the Infer*.cpp files beside this one; they are the verifiers of the
// dialect too.
//
// Nothing in a model file is believed: result types are set from the operands alone. Where a graph
// is only right for some sizes (two dims meet that are not the same expression), the analysis
// assumes what the graph assumes and records a Requirement for the runtime to check.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_SHAPEINFERENCE_H
#define RAPT_DIALECTS_ONNX_SHAPEINFERENCE_H

#include "dialects/Onnx/Content.h"
#include "dialects/Onnx/Names.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"

namespace mlir::func {
class FuncOp;
}

namespace rapt::onnx {

/// lhs <= rhs, or lhs == rhs, must hold when the model runs. `message` is a format of
/// kernel.require.
struct Requirement {
  SymbolicExpr lhs, rhs;
  bool equal = false;
  std::string message;
};

/// Contents of more elements than this are not followed while shapes are inferred.
inline constexpr int64_t kShapeContentLimit = 1024;
/// Nor are those of more than kShapeContentLimit once an analysis has listed so many that are no
/// constants of the graph.
inline constexpr size_t kListedElementsLimit = 2 * 1024 * 1024;

class ShapeInference {
public:
  explicit ShapeInference(int64_t contentLimit = kShapeContentLimit) : limit(contentLimit) {}

  /// Says what the dims of a function argument, or of a value that a pass has made, are; its type
  /// must have that rank.
  void bindArgument(mlir::Value value, llvm::ArrayRef<SymbolicExpr> dims);
  /// Says what an integer or index scalar is.
  void bindScalar(mlir::Value value, const SymbolicExpr &expr);
  /// Says what a value of static type holds.
  void bindContent(mlir::Value value, Content content);
  /// Infers the results of one operation, whose operands have been inferred, and sets their types.
  /// Operations outside onnx, kernel, attn, tensor.from_elements, arith: the dims that their static
  /// types show. Failure: an error on `op` that names attribute or operand, value and expectation.
  mlir::LogicalResult infer(mlir::Operation *op);
  /// Binds the arguments from their onnx.dims (static dims need none), takes the kernel.require
  /// operations as facts and infers the whole body. Updates the function's type.
  mlir::LogicalResult run(mlir::func::FuncOp function);

  /// The dims of a value; empty also for values never seen.
  llvm::ArrayRef<SymbolicExpr> shape(mlir::Value value) const;
  const Content &content(mlir::Value value) const;
  bool knows(mlir::Value value) const { return values.contains(value); }
  /// An index or integer scalar as an expression; unknown when it is none.
  SymbolicExpr scalar(mlir::Value value) const;
  /// Must be called before an operation is erased while the analysis lives on.
  void forget(mlir::Operation *op);

  llvm::ArrayRef<Requirement> requirements() const { return required; }
  /// Takes lhs <= rhs as given from now on: min and max in dims resolve by it.
  void assume(const Requirement &fact) { facts.push_back(fact); }

  /// a <= b, provably or by what is assumed.
  bool atMost(const SymbolicExpr &a, const SymbolicExpr &b) const;
  /// The content of a value as base and strides; unknown if it is no affine function of the index.
  Content affine(mlir::Value value) const;

  /// Builds the value of a known expression as an index: kernel.dim, arith and constants.
  static mlir::Value materialize(mlir::OpBuilder &builder, mlir::Location loc,
                                 const SymbolicExpr &expr);

  // --- For the functions in Infer*.cpp -----------------------------------------------------------
  int64_t contentLimit() const { return limit; }
  /// Whether a tensor of these dims is small enough for its elements to be listed.
  bool isListable(llvm::ArrayRef<int64_t> dims) const;
  /// Sets type, shape and content of a result. Errors: an unknown or negative dim, more than 2^63 -
  /// 1 bytes.
  mlir::LogicalResult set(mlir::Operation *op, unsigned result, Shape shape, mlir::Type elementType,
                          Content content = {});
  /// The dim that two dims which must agree have; records a requirement unless they are equal.
  mlir::FailureOr<SymbolicExpr> meet(mlir::Operation *op, const SymbolicExpr &a,
                                     const SymbolicExpr &b, const llvm::Twine &what);
  /// NumPy broadcasting of shapes.
  mlir::FailureOr<Shape> broadcast(mlir::Operation *op, llvm::ArrayRef<Shape> shapes);
  void require(mlir::Operation *op, const SymbolicExpr &lhs, const SymbolicExpr &rhs, bool equal,
               const llvm::Twine &what);
  /// The listed integers of a rank 0 or 1 operand; error if one of them is not known.
  mlir::FailureOr<Shape> integers(mlir::Operation *op, mlir::Value operand, llvm::StringRef name);
  /// The content with listed elements, for a tensor of static shape within the limit; else unknown.
  Content listed(mlir::Value value) const;
  Shape shapeOf(mlir::Value value) const { return Shape(shape(value)); }

private:
  struct Info {
    Shape shape;
    Content content;
  };
  Info fromType(mlir::Value value) const;
  SymbolicExpr simplify(const SymbolicExpr &expr) const;

  llvm::DenseMap<mlir::Value, Info> values;
  std::vector<Requirement> required, facts;
  int64_t limit;
  size_t listedElements = 0;
};

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_SHAPEINFERENCE_H
