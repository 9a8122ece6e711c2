//===- Lowering.h - Onnx values as views, onnx operations as linalg.generic ------*- C++ -*-===//
//
// What the families of LowerXxx.cpp share. Every onnx value is bound to a View: a tensor and a map
// from the value's indices to the tensor's. Transposes, unit dims, broadcasts, windows and constant
// indices only change the map, so they cost nothing and vanish into the indexing of whoever reads
// them.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_LOWERING_H
#define RAPT_COMPILER_FUSE_LOWERING_H

#include "compiler/Fuse/ElementMath.h"
#include "compiler/Fuse/Match.h"
#include "dialects/Onnx/ShapeInference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace rapt::fuse {

/// How the elements of an onnx value are read. Exactly one of tensor, literal and base is set.
struct View {
  mlir::Value tensor;
  mlir::AffineMap map; ///< (indices of the value, or loops) -> indices of the tensor or of strides
  /// The map reaches a part of the tensor only, so that loops must not take their extents from it.
  bool window = false;
  mlir::TypedAttr literal; ///< the same number everywhere
  /// Integers that follow from the position: base + sum of strides * indices.
  mlir::OpFoldResult base;
  llvm::SmallVector<mlir::OpFoldResult, 4> strides;

  static View of(mlir::Value tensor);
  View through(mlir::AffineMap inner) const; ///< map becomes map(inner(...))
};

/// Indices ready to be used in a body.
struct Indices {
  View view;
  bool nonNegative = false; ///< none counts from the end
};

/// Computes one element. `args` are the inputs' elements, and for a reduction the accumulator last.
using Body =
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::ValueRange args)>;
using Sizes = llvm::SmallVector<mlir::OpFoldResult>;

class Lowering {
public:
  Lowering(mlir::func::FuncOp func, onnx::ShapeInference &shapes);

  /// Lowers the whole function. Errors, one for each operation that has no lowering, name the
  /// operation and its node.
  mlir::LogicalResult run();
  /// An error that begins with the name of `op` and of its node.
  static mlir::InFlightDiagnostic refuse(mlir::Operation *op);

  // --- Values ------------------------------------------------------------------------------------
  const View &view(mlir::Value value);
  /// The value as a dense tensor of its own shape; copies when its view is not one.
  mlir::Value tensor(mlir::Value value);
  void bind(mlir::Value value, View view) { views[value] = std::move(view); }
  void bind(mlir::Value value, mlir::Value tensor);
  /// The value as a tensor that is in memory, where there is room for one element in each empty
  /// dim.
  View stored(mlir::Value value);
  /// The view `view` of shape `sizes` as a dense tensor.
  mlir::Value materialize(const View &view, mlir::ArrayRef<mlir::OpFoldResult> sizes,
                          mlir::Type element);

  // --- Shapes ------------------------------------------------------------------------------------
  mlir::ArrayRef<onnx::SymbolicExpr> shape(mlir::Value value) { return shapes.shape(value); }
  const onnx::Content &content(mlir::Value value) { return shapes.content(value); }
  mlir::OpFoldResult size(const onnx::SymbolicExpr &expr);
  /// Has the host refuse a run in which `expr`, a dim that kernels loop over or clamp to, is below
  /// 1. Nothing is emitted where that is provable or said already, nor for dims of inputs that may
  /// be empty: the importer knows that all operations on those take them. Kernels may loop over a
  /// measured size, which the host does not call when it is 0, but not clamp to it.
  void requireNonEmpty(const onnx::SymbolicExpr &expr);
  /// Where a slice begins on its axis number `i`: the bound, counted from the end when negative,
  /// clamped to the dim. Nothing if that depends on the model's data.
  std::optional<onnx::SymbolicExpr> startOf(onnx::SliceOp slice, int64_t i);
  /// Whether `slice` may be empty where its operand is not, and only Concats along its axis read
  /// it: it is not lowered, they read the operand (torch.roll by a shift that may be 0).
  bool isReadThrough(onnx::SliceOp slice);
  Sizes sizes(mlir::Value value);
  mlir::Value indexValue(mlir::OpFoldResult size);

  // --- Loops -------------------------------------------------------------------------------------
  /// `value` read where the result's indices are the first `rank` of `loops` loops: aligned at the
  /// last dim, dims of size one read at 0.
  View broadcast(mlir::Value value, int64_t rank, int64_t loops);
  /// result[i...] = body(inputs at i...)
  mlir::Value map(mlir::ArrayRef<mlir::OpFoldResult> shape, mlir::Type element,
                  mlir::ArrayRef<View> inputs, Body body);
  /// result[i...] = fold of body over the `reduced` loops that follow the result's. Every reduced
  /// loop must be a plain index of some input.
  mlir::Value reduce(mlir::ArrayRef<mlir::OpFoldResult> shape, int64_t reduced,
                     mlir::TypedAttr init, mlir::ArrayRef<View> inputs, Body body);
  /// The view of `value` if loops may take the extents of its dims `used` from it, else one of a
  /// copy.
  View plain(mlir::Value value, mlir::ArrayRef<int64_t> used);
  /// Inside a body: the element of `view` at `indices`, converted to `element`.
  mlir::Value load(mlir::OpBuilder &b, mlir::Location loc, const View &view, mlir::Type element,
                   mlir::ValueRange indices);

  /// `source` of shape `extents` with pads, as the tensor of shape `result` whose first `begins`
  /// elements are pads (negative: as many are cut). `mode` as in onnx.Pad, `fill` read at the
  /// loops. With `mayBeEmpty` a source of no elements, which is `stored`, is all filled (constant
  /// mode).
  mlir::Value pad(const View &source, mlir::ArrayRef<mlir::OpFoldResult> extents,
                  mlir::ArrayRef<mlir::OpFoldResult> begins,
                  mlir::ArrayRef<mlir::OpFoldResult> result, mlir::Type element,
                  llvm::StringRef mode, const View &fill, bool mayBeEmpty = false);

  /// Emits kernel.check_indices for `indices` into dim `axis` of `data`, unless they are provably
  /// in range.
  /// With `column` only the elements at that place of the last dim are meant, and the result has a
  /// dim less.
  Indices checkIndices(mlir::Operation *op, mlir::Value indices, mlir::Value data, int64_t axis,
                       std::optional<int64_t> column = std::nullopt);
  /// Has the run fail unless the elements of `indices`, of shape `taking`, are in [lower, upper).
  void check(mlir::Value indices, mlir::ArrayRef<mlir::OpFoldResult> taking, int64_t lower,
             mlir::OpFoldResult upper, const std::string &message);
  /// Whether the operation being lowered is in the body of a loop: nothing can be checked before.
  bool inLoop() const { return !frames.empty(); }
  /// Inside a body: `index` as an index into a dim of `extent`, a negative one counted from the
  /// end.
  mlir::Value wrapIndex(mlir::OpBuilder &b, mlir::Location loc, mlir::Value index,
                        mlir::OpFoldResult extent);

  // --- Families: nothing for an operation that is not theirs
  // -----------------------------------------------
  bool lowerOnHost(mlir::Operation *op);
  std::optional<mlir::LogicalResult> lowerElementwise(mlir::Operation *op);
  std::optional<mlir::LogicalResult> lowerReduction(mlir::Operation *op);
  mlir::LogicalResult lowerContraction(onnx::MatMulOp op);
  std::optional<mlir::LogicalResult> lowerView(mlir::Operation *op);
  std::optional<mlir::LogicalResult> lowerIndexing(mlir::Operation *op);
  std::optional<mlir::LogicalResult> lowerWindows(mlir::Operation *op);
  std::optional<mlir::LogicalResult> lowerScatter(mlir::Operation *op);
  mlir::LogicalResult lowerConcat(onnx::ConcatOp op);
  mlir::LogicalResult lowerPad(onnx::PadOp op);
  mlir::LogicalResult lowerResize(onnx::ResizeOp op);
  mlir::LogicalResult lowerLoop(onnx::LoopOp op);
  mlir::LogicalResult lowerNonZero(onnx::NonZeroOp op);
  mlir::LogicalResult lowerRankRows(onnx::RankRowsOp op);

  mlir::OpBuilder builder;
  mlir::Location loc; ///< of the operation being lowered

private:
  /// A loop whose body is being lowered.
  struct LoopFrame {
    struct Check {
      mlir::Value first; ///< i64[1]: the first wrong index so far
      int64_t lower;
      mlir::OpFoldResult upper;
      std::string message;
    };
    mlir::Region *body;                   ///< of the onnx.Loop
    mlir::Operation *loop;                ///< the scf loop that it becomes
    llvm::SmallVector<mlir::Value> slots; ///< carried, i64[1]: one for each check there may be
    llvm::SmallVector<Check> checks;      ///< that were asked for
  };

  mlir::LogicalResult lower(mlir::Operation *op);
  /// Lowers the body of `op`; `carried` are states, stacked results, slots, and the condition.
  mlir::LogicalResult lowerBody(onnx::LoopOp op, mlir::Value index, mlir::OpFoldResult count,
                                mlir::ValueRange carried, llvm::SmallVectorImpl<mlir::Value> &next);
  /// Goes in front of the loops that `value` comes from outside of.
  void leaveLoops(mlir::Value value);
  mlir::Value generic(mlir::ArrayRef<mlir::OpFoldResult> shape, mlir::Type element, int64_t reduced,
                      mlir::TypedAttr init, mlir::ArrayRef<View> inputs, Body body);
  /// How many elements are not zero, i64[1].
  mlir::Value countNonZero(mlir::Value value);
  mlir::LogicalResult placeMeasuredDims();
  void retypeArguments();
  void retypeWeights();
  void retypeResults();
  std::optional<View> hostView(mlir::Value value);
  View constantView(onnx::ConstantOp op);
  View elementsView(mlir::Value value);

  mlir::func::FuncOp func;
  onnx::ShapeInference &shapes;
  llvm::DenseMap<mlir::Value, View> views;
  llvm::DenseMap<mlir::Value, mlir::Value> tensors;
  /// By the expression's text, which different expressions may share: names of dims are free.
  llvm::StringMap<llvm::SmallVector<std::pair<onnx::SymbolicExpr, mlir::Value>, 1>>
      materializedSizes;
  llvm::DenseMap<mlir::Value, onnx::SymbolicExpr> exprOfSize;
  llvm::SmallVector<onnx::SymbolicExpr> nonEmpty; ///< what requireNonEmpty has seen
  llvm::StringMap<mlir::Value> measured;          ///< by symbol, the kernel.measure
  llvm::SmallVector<mlir::Operation *> retyped;   ///< stand for unsigned arguments
  std::vector<LoopFrame> frames;                  ///< outermost first
  mlir::Operation *lastSize = nullptr; ///< sizes stand at the top of the function, after this one
};

/// The element that an elementwise onnx operation computes, of the result's storage type; `args`
/// have the operands' ones. Null when the operation has no meaning on its types.
mlir::Value emitElement(mlir::Operation *op, mlir::OpBuilder &b, mlir::Location loc,
                        mlir::ValueRange args);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_LOWERING_H
