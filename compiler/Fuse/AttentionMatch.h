//===- AttentionMatch.h - One attention site in onnx -----------------------------*- C++ -*-===//
//
// What FuseAttention finds around a softmax, before anything is rewritten.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_ATTENTIONMATCH_H
#define RAPT_COMPILER_FUSE_ATTENTIONMATCH_H

#include "compiler/Fuse/Match.h"
#include "dialects/Attn/Attn.h"
#include "dialects/Onnx/SymbolicExpr.h"

#include <string>

namespace rapt::fuse {

/// A term added to the scores; `factor` is what the sum is multiplied by further down.
struct BiasTerm {
  mlir::Value value;
  double factor = 1.0;
};

/// A boolean tensor that chooses between the scores and a sentinel.
struct MaskTerm {
  mlir::Value condition;
  bool seenWhenTrue = true;
  double sentinel = 0.0;
  mlir::Type element = {}; ///< what the sentinel is stored as; null where nothing asks for it
};

/// The parts of  [guard] softmax([where] (bias + factor * (q' k'))) v, the product perhaps capped;
/// with a sink, of  [guard] slice(softmax(concat([where] (bias + factor * (q' k')), sink))) v.
struct AttentionMatch {
  onnx::MatMulOp scores;   // q' k', scalars and transposes still inside
  onnx::MatMulOp output;   // the MatMul with v
  double factor = 1.0;     // product of the scalars after the first MatMul
  mlir::Value rowScale;    // multiplies the product as well, a number a row; or null
  double softcap = 0.0;    // softcap * tanh(factor * (q' k') / softcap); 0: none
  bool keptFinite = false; // Max(scores, lowest float) stands before the softmax
  bool nanGuard = false;   // Where(IsNaN(p), 0, p) stands before the second MatMul
  /// Weights are set to 0 where this excludes a key; it is the mask of the scores, too.
  std::optional<MaskTerm> zeroed;
  mlir::Value rowGuard; // Where(max of this over the keys == -inf, 0, p) stands there; or null
  mlir::Value sink;     // one more score a row, [.., 1], that belongs to no key; or null
  onnx::SliceOp keys;   // takes the weights of the keys from among them and the sink's; or null
  bool sinkIsFirst = false;
  llvm::SmallVector<BiasTerm> biases;
  llvm::SmallVector<MaskTerm> masks;
  /// Masks of the lowest float below a bias: as exact as the bias Where(seen, 0, sentinel).
  llvm::SmallVector<MaskTerm> addedMasks; // of f32 or bf16
  /// A mask below all of these with a sentinel that they, or the scores, may come near to: exact
  /// where it is a band and nothing else (AttentionTerms.h), or there is no match.
  std::optional<MaskTerm> weakMask;
  /// Scores are cast to this type, of less range than what they had, and then multiplied by
  /// `factorBehind`.
  mlir::FloatType narrowed;
  double factorBehind = 1.0;

  // What separateTerms (AttentionTerms.h) finds.
  std::optional<onnx::SymbolicExpr> causal; // key j is seen by query i iff j <= i + causal
  std::optional<onnx::SymbolicExpr> window; // ... and iff j >= i + window
  std::optional<double> sentinel;           // score of the keys that masks and the band exclude
  std::optional<attn::EmptyRow> emptyRow;   // where band and masks have a sentinel each
};

/// Scores may lie behind `value`: scalars, sums and selects lead up to a MatMul.
bool leadsToMatMul(mlir::Value value, int depth = 0);

/// x where `value` is x minus the greatest element of its row and nothing else reads x; else null.
mlir::Value withoutMaximum(mlir::Value value);

/// The greatest finite number of a float type.
double greatestOf(mlir::FloatType type);

/// A Cast from one float type to another.
bool isFloatCast(mlir::Operation *op);

/// One to a type of less range, in which finite numbers become infinite.
bool isNarrowingCast(mlir::Operation *op);

/// A layer with a weight gives what goes into `softmax`, and no MatMul takes its result at once:
/// the router of experts or the kernels of a dynamic convolution, and no attention.
bool isSoftmaxOfLayer(onnx::SoftmaxOp softmax);

/// Follows `softmax` down to its MatMul and up to the scores. Without a match `reason` says why.
std::optional<AttentionMatch> matchAttention(onnx::SoftmaxOp softmax, std::string &reason);

/// Where(condition, 0, -inf) or Where(condition, -inf, 0), below Expands: an additive mask that is
/// a boolean one.
std::optional<MaskTerm> booleanMask(mlir::Value bias);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_ATTENTIONMATCH_H
