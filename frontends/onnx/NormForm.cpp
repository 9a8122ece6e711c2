//===- NormForm.cpp - What normalisations have in common -------------------------------------===//

#include "frontends/onnx/NormForm.h"

#include "frontends/onnx/Compose.h"

using namespace mlir;

namespace rapt::onnx {

Value inverseRoot(NodeBuilder &b, Value x, double epsilon) {
  return unary<ReciprocalOp>(b, unary<SqrtOp>(b, withScalar<AddOp>(b, x, epsilon)));
}

Value rootMeanSquareNorm(NodeBuilder &b, Value x, Value scale, int64_t axis, double epsilon,
                         Type wide, Type result, Value *inverse) {
  if (b.stopped())
    return {};
  Value own = castTo(b, x, wide);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq(axis, std::max(axis, b.rank(x))));
  Value mean = reduce<ReduceMeanOp>(b, binary<MulOp>(b, own, own), axes);
  Value factor = inverseRoot(b, mean, epsilon);
  if (inverse)
    *inverse = factor;
  Value normal = castTo(b, binary<MulOp>(b, own, factor), b.elementType(x));
  return binary<MulOp>(b, castTo(b, normal, result), castTo(b, scale, result));
}

} // namespace rapt::onnx
