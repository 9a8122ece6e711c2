//===- Constants.h - ONNX tensors as attributes ------------------------------------*- C++ -*-===//
//
// In: a Tensor of the Model. Out: its elements as an attribute, small ones by value, large ones as
// a dense_resource over the Model's bytes, which are not copied: the Model must outlive the module.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_CONSTANTS_H
#define RAPT_FRONTENDS_ONNX_CONSTANTS_H

#include "frontends/onnx/Model.h"

#include "mlir/IR/BuiltinAttributes.h"

namespace rapt::onnx {

/// The builtin type of an ONNX element type, or null for strings, complex numbers and types below 8
/// bits. Booleans are i1, unsigned integers ui8 and so on.
mlir::Type elementTypeFor(mlir::MLIRContext *context, ElementType type);

/// The elements of `tensor`; null if its element type has no builtin type. `name` is what a
/// resource is called.
mlir::ElementsAttr elementsFor(mlir::MLIRContext *context, const Tensor &tensor,
                               llvm::StringRef name);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_CONSTANTS_H
