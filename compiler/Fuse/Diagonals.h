//===- Diagonals.h - Masks of positions ------------------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_FUSE_DIAGONALS_H
#define RAPT_COMPILER_FUSE_DIAGONALS_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/ShapeInference.h"

#include <optional>

namespace rapt::fuse {

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

/// The (first, last) for which `condition`, broadcast to the scores, is i + first <= j <= i + last:
/// a constant, or a part of one that begins where lengths say. A single diagonal is causalOffset's.
std::optional<std::pair<onnx::SymbolicExpr, onnx::SymbolicExpr>>
constantBand(mlir::Value condition, bool seenWhenTrue, mlir::Value scores,
             const onnx::ShapeInference &shapes);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_DIAGONALS_H
