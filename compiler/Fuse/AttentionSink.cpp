//===- AttentionSink.cpp - A score that belongs to no key --------------------------------===//

#include "compiler/Fuse/AttentionSink.h"

using namespace mlir;

namespace rapt::fuse {

Value weightsOfKeys(Value weights, AttentionMatch &match) {
  auto slice = weights.hasOneUse() ? dyn_cast<onnx::SliceOp>(*weights.user_begin()) : nullptr;
  int64_t rank = tensorType(weights).getRank();
  if (!slice || slice.getData() != weights ||
      !llvm::equal(slice.getAxes(), ArrayRef<int64_t>{rank - 1}) ||
      !llvm::equal(slice.getSteps(), ArrayRef<int64_t>{1}))
    return {};
  match.keys = slice;
  return slice.getOutput();
}

Value scoresBesideSink(Value input, AttentionMatch &match) {
  auto step = [](Value value) -> Value {
    Operation *op = value.getDefiningOp();
    bool passes = isFloatCast(op) && !isNarrowingCast(op);
    return value.hasOneUse() && passes ? op->getOperand(0) : Value();
  };
  Value value = input;
  while (Value next = step(value))
    value = next;
  Value shifted = value.hasOneUse() ? withoutMaximum(value) : Value();
  if (shifted)
    value = shifted;
  while (Value next = step(value))
    value = next;
  auto concat = value.getDefiningOp<onnx::ConcatOp>();
  if (!concat || concat.getInputs().size() != 2 || (!value.hasOneUse() && value != shifted) ||
      static_cast<int64_t>(concat.getAxis()) != tensorType(value).getRank() - 1)
    return input;
  for (int sink : {1, 0}) {
    Value column = concat.getInputs()[sink], scores = concat.getInputs()[1 - sink];
    if (tensorType(column).getShape().back() != 1 || !leadsToMatMul(scores))
      continue;
    match.sink = column;
    match.sinkIsFirst = sink == 0;
    return scores;
  }
  return input;
}

bool keepsKeys(const AttentionMatch &match, const onnx::ShapeInference &shapes) {
  onnx::SliceOp slice = match.keys;
  onnx::MatMulOp scores = match.scores;
  const onnx::Content &starts = shapes.content(slice.getStarts());
  if (!starts.hasElements() || starts.elements()[0].kind != onnx::Element::Int)
    return false;
  // From there on as many as there are keys.
  std::optional<int64_t> first = starts.elements()[0].expr.constant();
  return first == (match.sinkIsFirst ? 1 : 0) &&
         shapes.shape(slice.getOutput()).back() == shapes.shape(scores.getOutput()).back();
}

} // namespace rapt::fuse
