//===- Elementwise.h - Which operations go element by element ----------------------*- C++ -*-===//
#ifndef RAPT_DIALECTS_ONNX_ELEMENTWISE_H
#define RAPT_DIALECTS_ONNX_ELEMENTWISE_H

namespace mlir {
class Operation;
}

namespace rapt::onnx {

/// Whether each element of the one result follows from the elements at the same place of the
/// operands, which are broadcast to each other.
bool isElementwise(mlir::Operation *op);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_ELEMENTWISE_H
