//===- Declared.h - What a model says of its inputs and outputs --------------------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_DECLARED_H
#define RAPT_FRONTENDS_ONNX_DECLARED_H

#include "dialects/Onnx/ShapeInference.h"
#include "frontends/onnx/Import.h"

namespace rapt::onnx {

/// What dim `i` of an input is called, which has no size: its name, or one made of the input's.
std::string dimName(const ValueInfo &input, size_t i);

/// Compares a graph output with what the file says of it; `dims` is that of its dims. Gives what is
/// wrong when the element types differ, as that decides what a caller reads; warns when the dims
/// provably do, which is common in files that tools have changed.
std::optional<std::string> checkDeclared(const ValueInfo &output, mlir::Value value,
                                         llvm::ArrayRef<SymbolicExpr> dims,
                                         const ShapeInference &shapes);

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
