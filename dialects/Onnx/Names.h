//===- Names.h - What the ONNX graph calls things --------------------------------*- C++ -*-===//
//
// Names of the graph in the IR: those of nodes are locations, those of inputs, outputs and dims are
// attributes of the model's function and stay there up to the host stage.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_NAMES_H
#define RAPT_DIALECTS_ONNX_NAMES_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace rapt::onnx {

/// Attribute of a model function's argument: its dims, each a string (symbol) or an i64.
inline constexpr llvm::StringLiteral kDimsAttr = "onnx.dims";
/// Attribute of a model function's arguments and results: their ONNX name.
inline constexpr llvm::StringLiteral kNameAttr = "onnx.name";
/// The ONNX element type of an argument or result where it is unsigned; from fuse-lower on tensors
/// hold signless integers.
inline constexpr llvm::StringLiteral kElementAttr = "onnx.element_type";

/// The name of the ONNX node that `location` stands for, the first one of several; "<unnamed>" if
/// there is none.
std::string nodeName(mlir::Location location);
/// The same of an operation's location, or the operation's name if it has none.
std::string nodeName(mlir::Operation *op);

/// For messages: "node 'name'", or the importer's description of a node that has no name.
std::string nodeText(mlir::Location location);
std::string nodeText(mlir::Operation *op);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_NAMES_H
