//===- Interface.h - What the caller of a model sees ------------------------------*- C++ -*-===//
//
// Names, element types and dims of the inputs and outputs, as plain structs. host-bufferize writes
// them into the module (attribute kernel.interface), compiler/Link into the artifact's tables.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_HOST_INTERFACE_H
#define RAPT_COMPILER_HOST_INTERFACE_H

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace rapt::host {

/// The fields are rapt_abi_dim's, rapt_abi_tensor's and rapt_abi_model's.
struct InterfaceDim {
  int64_t value = 0;
  std::string text;
};
struct InterfaceTensor {
  std::string name;
  int32_t dtype = 0;
  std::vector<InterfaceDim> dims;
};
struct Interface {
  std::vector<std::string> symbols;
  std::vector<int32_t> least; // of each symbol: 0 or 1
  std::vector<InterfaceTensor> inputs, outputs;
};

/// ONNX's number of an element type, 0 when it has none.
int32_t onnxTypeNumber(mlir::Type element);

mlir::DictionaryAttr toAttr(mlir::MLIRContext *context, const Interface &interface);
mlir::FailureOr<Interface> readInterface(mlir::ModuleOp module);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_INTERFACE_H
