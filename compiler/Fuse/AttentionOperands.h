//===- AttentionOperands.h - Query, key and value of a site ----------------------*- C++ -*-===//
//
// The operands of the two MatMuls of a site, checked to be those of an attention, and what
// attn.sdpa takes in their place: without scalars, transposes, repeated heads and widening casts.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_ATTENTIONOPERANDS_H
#define RAPT_COMPILER_FUSE_ATTENTIONOPERANDS_H

#include "compiler/Fuse/AttentionMatch.h"
#include "dialects/Onnx/ShapeInference.h"

#include "mlir/IR/Builders.h"

namespace rapt::fuse {

/// Of the rank and one element type; `scale` multiplies query k^T.
struct AttentionOperands {
  mlir::Value query, key, value;
  double scale = 1.0;
};

/// f16 or bf16, of which attention computes in f32.
bool isNarrow(mlir::Type element);

/// Equal, or known to be: a dim may have a name from two inputs.
bool sameDim(const onnx::ShapeInference &shapes, mlir::Value a, int64_t i, mlir::Value b,
             int64_t j);

/// An onnx.Cast, or `value` itself.
mlir::Value castTo(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                   mlir::Type element);

/// Whether the operands of the two MatMuls are those of one attention; `reason` says why not.
mlir::LogicalResult checkOperands(AttentionMatch &match, const onnx::ShapeInference &shapes,
                                  std::string &reason);

/// The operands of a checked match. New operations go where `builder` stands. Failure: `reason`.
mlir::FailureOr<AttentionOperands> findOperands(AttentionMatch &match,
                                                const onnx::ShapeInference &shapes,
                                                mlir::OpBuilder &builder, mlir::Location loc,
                                                std::string &reason);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_ATTENTIONOPERANDS_H
