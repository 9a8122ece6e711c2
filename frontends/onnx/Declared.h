//===- Declared.h - What a model says of its inputs and outputs --------------------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_DECLARED_H
#define RAPT_FRONTENDS_ONNX_DECLARED_H

#include "dialects/Onnx/ShapeInference.h"
#include "frontends/onnx/Import.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace rapt::onnx {

/// What dim `i` of an input is called, which has no size: its name, or one made of the input's.
std::string dimName(const ValueInfo &input, size_t i);

/// Adds the names that something in `graph` reads, whichever graph they belong to: this only serves
/// to leave out what nobody wants.
void collectUses(const Graph &graph, llvm::StringSet<> &used);

/// What is wrong with the element type that the file gives a graph output: it decides what a caller
/// reads.
std::optional<std::string> checkDeclaredType(const ValueInfo &output, mlir::Value value,
                                             const ShapeInference &shapes);

/// Warns when the file's dims of a graph output (`dims`) provably differ from those that it has,
/// which is common in files that tools have changed.
void checkDeclaredDims(const ValueInfo &output, mlir::Value value,
                       llvm::ArrayRef<SymbolicExpr> dims, const ShapeInference &shapes);

/// Error unless every name that the options give is that of an input (`fixed` has those that became
/// constants) or of a symbolic dim: one of `symbols` (strings), or `specialised`.
mlir::LogicalResult checkOptions(const Model &model, const ImportOptions &options,
                                 const llvm::StringMap<mlir::ElementsAttr> &fixed,
                                 llvm::ArrayRef<mlir::Attribute> symbols,
                                 const llvm::StringSet<> &specialised, mlir::MLIRContext &context);

/// The options without the dims of inputs that are given as 0, and without the values of inputs
/// that have such a dim, too: they hold nothing. A dim of nothing but inputs with values stays.
ImportOptions withoutEmptyDims(const Model &model, const ImportOptions &options);

/// Error if a symbolic dim of `module` that `given` has and `symbolic` has not, and that is
/// therefore to be 0, is not among those that may be (`mayBeEmpty`). The others leave that list.
mlir::LogicalResult checkEmptyDims(mlir::ModuleOp module, const ImportOptions &given,
                                   const ImportOptions &symbolic,
                                   llvm::SmallVectorImpl<mlir::Attribute> &mayBeEmpty);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_DECLARED_H
