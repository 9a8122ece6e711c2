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
/// A band and masks that exclude with a sentinel each become these with `match.emptyRow`; where
/// they do not, `match.weakMask` is left. Creates nothing: what is left of a mask of the lowest
/// float goes to `match.addedMasks`.
void separateTerms(AttentionMatch &match, onnx::ShapeInference &shapes);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_ATTENTIONTERMS_H
