//===- Onnx.cpp - The onnx dialect -----------------------------------------------------===//
//
// Registers what OnnxOps.td generates; what operations mean for shapes is in Infer*.cpp.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"

#include <cmath>

using namespace mlir;

#include "dialects/Onnx/OnnxDialect.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Onnx/OnnxOps.cpp.inc"

namespace rapt::onnx {

void OnnxDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Onnx/OnnxOps.cpp.inc"
      >();
}

SmallVector<Region *> LoopOp::getLoopRegions() { return {&getBody()}; }

bool isLowest(double number, Type type) {
  constexpr double lowestHalf = -65504;
  if (!type.isF32() && !type.isBF16() && !type.isF16())
    return false;
  return std::isfinite(number) && number <= (type.isF16() ? lowestHalf : kLowest);
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

} // namespace rapt::onnx
