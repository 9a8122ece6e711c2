//===- Import.h - Model to the onnx dialect ----------------------------------------*- C++ -*-===//
//
// In: a verified Model without function calls (loadModel, inlineFunctions). Out: a module with
//
//   module attributes {kernel.model_name = "..."} {
//     func.func @main(%arg0: tensor<?x?xi64> {onnx.name = "input_ids", onnx.dims = ["batch",
//     "seq"]}, ...)
//         -> (tensor<?x?x384xf32> {onnx.name = "last_hidden_state"}, ...)
//         attributes {kernel.symbols = ["batch", "seq"]}
//
// and kernel.maybe_empty beside kernel.symbols, when some of those may be 0 (EmptyDims.h),
// whose operations are in the newest form (Versions.h) with inferred types (ShapeInference.h), each
// at the location of its node. Large constants are views of the Model's bytes: the Model must
// outlive the module.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_IMPORT_H
#define RAPT_FRONTENDS_ONNX_IMPORT_H

#include "frontends/onnx/Model.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <map>

namespace rapt::onnx {

/// Attribute of the module: the name of the graph.
inline constexpr llvm::StringLiteral kModelNameAttr = "kernel.model_name";

struct ImportOptions {
  /// Symbolic dims that get a value, at least 1, or 0 where the graph takes the inputs that it
  /// makes empty (EmptyDims.h). A name that no input has is an error.
  std::map<std::string, int64_t> dims;
  /// Graph inputs that become constants: their elements, row-major, as text ("3", "-0.5", "true").
  /// A name that no input has, and elements that are not what the input's type asks for, are
  /// errors.
  std::map<std::string, std::vector<std::string>> values;
};

/// Null after an error, which is reported through the diagnostics of `context`. Operators and forms
/// that are not supported are reported in one error that lists all of them.
mlir::OwningOpRef<mlir::ModuleOp> importModel(const Model &model, const ImportOptions &options,
                                              mlir::MLIRContext &context);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_IMPORT_H
