//===- ShapeText.h - Shapes and types in messages ----------------------------------*- C++ -*-===//
#ifndef RAPT_DIALECTS_ONNX_SHAPETEXT_H
#define RAPT_DIALECTS_ONNX_SHAPETEXT_H

#include "dialects/Onnx/ShapeInference.h"

namespace rapt::onnx {

/// The dims of a value as "[batch, 4]".
std::string shapeText(const ShapeInference &shapes, mlir::Value value);

/// Element type and dims of a tensor as "f32[batch, 4]".
std::string typeText(const ShapeInference &shapes, mlir::Value value);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_SHAPETEXT_H
