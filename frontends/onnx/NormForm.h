//===- NormForm.h - What normalisations have in common -----------------------------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_NORMFORM_H
#define RAPT_FRONTENDS_ONNX_NORMFORM_H

#include "frontends/onnx/NodeBuilder.h"

namespace rapt::onnx {

/// 1 / sqrt(x + epsilon)
mlir::Value inverseRoot(NodeBuilder &b, mlir::Value x, double epsilon);

/// x / sqrt(mean(x^2) + epsilon) * scale over the dims from `axis` on, as `result`. The statistics
/// are of type `wide`; what they give is rounded to x's type before it is scaled. `inverse`, where
/// it is given, gets 1 / sqrt(mean(x^2) + epsilon) with these dims 1.
mlir::Value rootMeanSquareNorm(NodeBuilder &b, mlir::Value x, mlir::Value scale, int64_t axis,
                               double epsilon, mlir::Type wide, mlir::Type result,
                               mlir::Value *inverse = nullptr);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_NORMFORM_H
