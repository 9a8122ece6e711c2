//===- EmptyDims.h - Which symbolic dims may be 0 ----------------------------------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_EMPTYDIMS_H
#define RAPT_FRONTENDS_ONNX_EMPTYDIMS_H

#include "dialects/Onnx/ShapeInference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace rapt::onnx {

/// The symbolic dims among `symbols` (strings) with which `function` works when they are 0: every
/// tensor that is empty then is only cast, transposed, computed with element by element, asked for
/// its shape, concatenated with others or returned. A cache of keys and values, say, before the
/// first step. `shapes` has inferred the function with every symbol at least 1.
llvm::SmallVector<mlir::Attribute> dimsThatMayBeEmpty(mlir::func::FuncOp function,
                                                      const ShapeInference &shapes,
                                                      llvm::ArrayRef<mlir::Attribute> symbols);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_EMPTYDIMS_H
