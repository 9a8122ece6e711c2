//===- AttentionSink.h - A score that belongs to no key --------------------------*- C++ -*-===//
//
// Scores that get one more column before the softmax, whose weights are cut off behind it: what is
// in that column takes weight from the keys and gives nothing.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_ATTENTIONSINK_H
#define RAPT_COMPILER_FUSE_ATTENTIONSINK_H

#include "compiler/Fuse/AttentionMatch.h"
#include "dialects/Onnx/ShapeInference.h"

namespace rapt::fuse {

/// The slice of `weights` along the keys that is their only reader, which becomes match.keys; else
/// null.
mlir::Value weightsOfKeys(mlir::Value weights, AttentionMatch &match);

/// The scores where `input`, a softmax's, is a concatenation of them and one column, which becomes
/// match.sink; else `input`. Past casts, and less the greatest of a row, which changes no weight.
mlir::Value scoresBesideSink(mlir::Value input, AttentionMatch &match);

/// Whether match.keys takes the columns of the scores, all of them, and not that of the sink.
bool keepsKeys(const AttentionMatch &match, const onnx::ShapeInference &shapes);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_ATTENTIONSINK_H
