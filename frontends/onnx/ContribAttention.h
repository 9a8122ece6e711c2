//===- ContribAttention.h - What com.microsoft's attention operators share ---------*- C++ -*-===//
//
// Attention, MultiHeadAttention and GroupQueryAttention take masks, biases and caches in many
// forms. Here each becomes a part of an AttentionForm.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_CONTRIBATTENTION_H
#define RAPT_FRONTENDS_ONNX_CONTRIBATTENTION_H

#include "frontends/onnx/AttentionForm.h"

namespace rapt::onnx {

/// Size of a dim; negative when it is dynamic.
int64_t staticDim(mlir::Value value, int64_t dim);
/// x [B, S, heads * D] as [B, S, heads, D].
mlir::Value tokensOf(NodeBuilder &b, mlir::Value x, int64_t heads, llvm::StringRef name);
/// One integer a batch row as i64 [B, 1, 1, 1].
mlir::Value toColumn(NodeBuilder &b, mlir::Value numbers);
/// Where a cache [B, G, P, D] gets the keys (or values) of this call.
struct CacheUpdate {
  mlir::Value offset;     ///< first new position, i64, a scalar or [B, 1]
  bool grows = true;      ///< the result has P + S rows; else it has P, and P bounds offset + S
  bool exact = false;     ///< offset is P: nothing but a concatenation
  bool keepsRest = false; ///< rows behind the new ones stay what they are in the cache; else zero

  /// The cache with `now` [B, S, G, D] put in, as [B, G, P (+ S), D].
  mlir::Value put(NodeBuilder &b, mlir::Value past, mlir::Value now) const;
};

/// Attributes and finishing touches that the operators share.
struct ContribAttention {
  AttentionForm form;
  mlir::Value queries, keys; ///< scalars: I and J
  mlir::Value past;          ///< scalar: number of keys before the first query's own
  bool isFixed = false;      ///< `past` is data, and a cache has rows behind the last query's

  void setScale(NodeBuilder &b);
  /// `queries` and `keys` from the form; `past` is 0 where no cache has set it.
  void setLengths(NodeBuilder &b);
  void addBias(NodeBuilder &b, mlir::Value bias);
  /// A mask of keys: B lengths, or B ends and B starts, or B lengths and more that says the same of
  /// the packed batch (3 B + 2 numbers); [B, J]; [B, I, J]. What it excludes gets `value` added.
  void maskKeys(NodeBuilder &b, mlir::Value mask, float value);
  /// Query i sees the keys up to past + i; where there are not past + I keys, and the cache has no
  /// fixed size, the last query sees all of them, as in onnxruntime's CPU kernels.
  void causal(NodeBuilder &b);
  /// Everything after query, key and value; the node's first output.
  void finish(NodeBuilder &b, mlir::Value mask, float filter, mlir::Value bias, bool isCausal);

private:
  void addWhere(NodeBuilder &b, mlir::Value seen, float otherwise);
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_CONTRIBATTENTION_H
