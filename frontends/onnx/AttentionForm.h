//===- AttentionForm.h - The unfused form that attention operators expand to -------*- C++ -*-===//
//
// ONNX's Attention and the attention operators of com.microsoft differ in how operands and masks
// come in. All of them end in one form, on [batch, heads, length, head_dim]:
//
//   scores = softcap(scale * q k^T) + bias;  p = softmax(scores);  rows without a key: 0;  y = p v
//
// With a sink, the softmax is one of the scores and one more column, whose weights are left out.
// The fuse stage makes attn.sdpa of it. Keys that may not be seen are -infinity in `bias`.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_ATTENTIONFORM_H
#define RAPT_FRONTENDS_ONNX_ATTENTIONFORM_H

#include "frontends/onnx/Compose.h"

#include <functional>

namespace rapt::onnx {

struct AttentionForm {
  mlir::Value query; ///< [B, H, I, D]
  mlir::Value key;   ///< [B, G, J, D], H a multiple of G
  mlir::Value value; ///< [B, G, J, E]
  /// Both broadcast to [B, H, I, J] and may be null: added to the scores, and where false exclude.
  mlir::Value bias, seen;
  /// One more score a row that belongs to no key, broadcast to [B, H, I, 1]; may be null.
  mlir::Value sink;
  double scale = 1.0;
  bool scaleByHeadDim = false; ///< also divide by the square root of D, which need not be static
  double softcap = 0.0;        ///< 0: none
  mlir::Type softmaxType;      ///< null: the type of query
  /// What is done to the scores before, and to the probabilities after softmax; may be empty.
  std::function<mlir::Value(mlir::Value)> scoreMod, probMod;

  // What expand() gives.
  mlir::Value scores;        ///< scale * q k^T
  mlir::Value capped;        ///< after softcap
  mlir::Value biased;        ///< after bias and exclusions
  mlir::Value probabilities; ///< after softmax, rows without a key 0
  mlir::Value output;        ///< [B, H, I, E]

  void expand(NodeBuilder &b);
};

/// `x` in the shape `dims`, where 0 keeps the dim of x and -1 is what is left.
mlir::Value reshapeTo(NodeBuilder &b, mlir::Value x, llvm::ArrayRef<int64_t> dims);

/// [B, S, heads * D] as [B, heads, S, D]; error unless the last dim is a multiple of `heads`.
mlir::Value splitHeads(NodeBuilder &b, mlir::Value x, int64_t heads, llvm::StringRef name);
/// The opposite.
mlir::Value mergeHeads(NodeBuilder &b, mlir::Value x);

/// The first `dim` numbers of every head of x [B, S, heads, D] as pairs, each turned by an angle:
/// (i, i + dim / 2), or with `interleaved` (2 i, 2 i + 1). `cosine` and `sine` are [B or 1, S, 1,
/// dim / 2].
mlir::Value rotateHeads(NodeBuilder &b, mlir::Value x, mlir::Value cosine, mlir::Value sine,
                        int64_t dim, bool interleaved);

/// x and y where both may be null: the one that is not, or `and` of them.
mlir::Value bothSeen(NodeBuilder &b, mlir::Value x, mlir::Value y);

/// Where key j lies in 0 to the left and to the right of the position offset + i of query i, as
/// [.., I, J] of booleans. Negative `left` or `right`: no bound on that side. `offset` broadcasts
/// to [B, 1, I, 1].
mlir::Value windowMask(NodeBuilder &b, mlir::Value queries, mlir::Value keys, mlir::Value offset,
                       int64_t left, int64_t right);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_ATTENTIONFORM_H
