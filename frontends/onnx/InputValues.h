//===- InputValues.h - Elements of a graph input, given as text --------------------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_INPUTVALUES_H
#define RAPT_FRONTENDS_ONNX_INPUTVALUES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace rapt::onnx {

/// The elements of a tensor of static `type`, row-major, one text each: integers in decimal,
/// floats, "true", "false", "0" and "1" for booleans. The error begins with what was given.
llvm::Expected<mlir::ElementsAttr> parseElements(mlir::RankedTensorType type,
                                                 llvm::ArrayRef<std::string> texts);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_INPUTVALUES_H
