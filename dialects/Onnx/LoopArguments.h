//===- LoopArguments.h - What the body of a loop is given --------------------------*- C++ -*-===//
#ifndef RAPT_DIALECTS_ONNX_LOOPARGUMENTS_H
#define RAPT_DIALECTS_ONNX_LOOPARGUMENTS_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/ShapeInference.h"

namespace rapt::onnx {

/// Gives the arguments of a loop's body the types and shapes that they have in each iteration:
/// i64[], the states', the scanned operands' without dim 0. There must be as many.
void bindLoopArguments(ShapeInference &shapes, LoopOp op);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_LOOPARGUMENTS_H
