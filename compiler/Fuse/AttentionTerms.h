//===- AttentionTerms.h - Biases and masks of an attention site ------------------*- C++ -*-===//
//
// What is added to the scores, and what excludes keys, taken apart: additive masks of -infinity
// become boolean ones, and a mask that only depends on the positions of query and key becomes an
// offset (docs/semantics.md S4).
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_ATTENTIONTERMS_H
#define RAPT_COMPILER_FUSE_ATTENTIONTERMS_H

#include "compiler/Fuse/AttentionMatch.h"
#include "dialects/Onnx/ShapeInference.h"

namespace rapt::fuse {

/// Takes the sums among `match.biases` and the conjunctions among `match.masks` apart as far as
/// that finds exclusions, and moves a mask that is a band into `match.causal` and `match.window`.
/// Creates nothing.
void separateTerms(AttentionMatch &match, onnx::ShapeInference &shapes);

/// The o for which `condition`, broadcast to the scores [.., I, J], is (j <= i + o), or with
/// `seenWhenTrue` false its opposite; nothing when it is something else. I and J are the last dims
/// of `scores`.
std::optional<onnx::SymbolicExpr> causalOffset(mlir::Value condition, bool seenWhenTrue,
                                               mlir::Value scores,
                                               const onnx::ShapeInference &shapes);

/// The (width, offset) for which `condition`, broadcast to the scores, is
/// |i + offset - j| <= width with a constant width; nothing when it is something else.
std::optional<std::pair<onnx::SymbolicExpr, onnx::SymbolicExpr>>
bandWidth(mlir::Value condition, bool seenWhenTrue, mlir::Value scores,
          const onnx::ShapeInference &shapes);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_ATTENTIONTERMS_H
