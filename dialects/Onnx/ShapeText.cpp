//===- ShapeText.cpp - Shapes and types in messages ------------------------------------------===//

#include "dialects/Onnx/ShapeText.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

namespace rapt::onnx {

std::string shapeText(const ShapeInference &shapes, Value value) {
  std::string text = "[";
  for (auto [i, dim] : llvm::enumerate(shapes.shape(value)))
    text += (i ? ", " : "") + dim.str();
  return text + "]";
}

std::string typeText(const ShapeInference &shapes, Value value) {
  std::string text;
  llvm::raw_string_ostream(text) << cast<ShapedType>(value.getType()).getElementType();
  return text + shapeText(shapes, value);
}

} // namespace rapt::onnx
