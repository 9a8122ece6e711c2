//===- Slice.h - Part of one dim ---------------------------------------------------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_SLICE_H
#define RAPT_FRONTENDS_ONNX_SLICE_H

#include "frontends/onnx/NodeBuilder.h"

namespace rapt::onnx {

/// x[begin : end] of dim `axis`, with bounds that are i64[1] or numbers. Null operands give null.
mlir::Value slice(NodeBuilder &b, mlir::Value x, int64_t axis, mlir::Value begin, mlir::Value end);
mlir::Value slice(NodeBuilder &b, mlir::Value x, int64_t axis, int64_t begin, int64_t end);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_SLICE_H
