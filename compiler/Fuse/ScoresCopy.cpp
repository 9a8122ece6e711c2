//===- ScoresCopy.cpp - Attention beside another reader of its scores --------------------===//

#include "compiler/Fuse/ScoresCopy.h"

#include "compiler/Fuse/AttentionMatch.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace rapt::fuse {

namespace {
constexpr int kDeepest = 16;

/// The MatMul that reads `probabilities`, past casts and guards, on its left.
onnx::MatMulOp readerOf(Value probabilities, int depth = 0) {
  for (Operation *user : probabilities.getUsers()) {
    if (auto matmul = dyn_cast<onnx::MatMulOp>(user); matmul && matmul.getA() == probabilities)
      return matmul;
    auto where = dyn_cast<onnx::WhereOp>(user);
    bool isGuard = where && where.getCondition() != probabilities;
    if ((isGuard || isa<onnx::CastOp, onnx::SliceOp>(user)) && depth < kDeepest)
      if (onnx::MatMulOp matmul = readerOf(user->getResult(0), depth + 1))
        return matmul;
  }
  return {};
}

/// Scores, with a sink beside them or less their maximum.
bool leadsToScores(Value value, int depth = 0) {
  constexpr int deepest = 6; // as far as a sink is from the softmax
  Operation *op = value.getDefiningOp();
  if (!op || depth > deepest)
    return false;
  if (isFloatCast(op) || withoutMaximum(value))
    return leadsToScores(op->getOperand(0), depth + 1);
  if (isa<onnx::ConcatOp>(op) && op->getNumOperands() == 2)
    return leadsToMatMul(op->getOperand(0)) || leadsToMatMul(op->getOperand(1));
  return leadsToMatMul(value);
}

/// Copies what makes `value` of the scores, in front of `output`: guards down to the softmax, then
/// arithmetic on the scores.
Value copyOf(Value value, onnx::MatMulOp output, bool isScore, IRMapping &mapping,
             SmallVectorImpl<Operation *> &copies, int depth = 0) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  bool isGuard =
      isa_and_nonnull<onnx::SoftmaxOp, onnx::CastOp, onnx::WhereOp, onnx::IsNaNOp, onnx::SliceOp>(
          op);
  if (!op || depth > kDeepest || !(isScore ? leadsToScores(value) : isGuard))
    return value;
  isScore |= isa<onnx::SoftmaxOp>(op);
  if (!isa<onnx::MatMulOp>(op))
    for (Value operand : op->getOperands())
      mapping.map(operand, copyOf(operand, output, isScore, mapping, copies, depth + 1));
  OpBuilder builder(output);
  if (isScore && withoutMaximum(value)) {
    Operation *maximum = op->getOperand(1).getDefiningOp();
    auto column = dyn_cast<onnx::ReshapeOp>(maximum);
    if (column)
      copies.push_back(builder.clone(*column.getData().getDefiningOp(), mapping));
    if (column)
      mapping.map(column.getData(), copies.back()->getResult(0));
    copies.push_back(builder.clone(*maximum, mapping));
    mapping.map(op->getOperand(1), copies.back()->getResult(0));
  }
  copies.push_back(builder.clone(*op, mapping));
  mapping.map(value, copies.back()->getResult(0));
  return copies.back()->getResult(0);
}
} // namespace

std::optional<ScoresCopy> ScoresCopy::make(onnx::SoftmaxOp softmax, onnx::ShapeInference &shapes) {
  ScoresCopy copy;
  copy.output = readerOf(softmax.getOutput());
  if (!copy.output || !leadsToScores(softmax.getInput()))
    return std::nullopt;
  IRMapping mapping;
  copy.original = copy.output.getA();
  Value probabilities = copyOf(copy.original, copy.output, /*isScore=*/false, mapping, copy.copies);
  auto *own = mapping.lookupOrDefault(softmax.getOutput()).getDefiningOp();
  copy.copied = cast<onnx::SoftmaxOp>(own);
  copy.output.getAMutable().assign(probabilities);
  bool known = own != softmax.getOperation() && llvm::all_of(copy.copies, [&](Operation *op) {
                 return succeeded(shapes.infer(op));
               });
  if (known)
    return copy;
  copy.undo(shapes);
  return std::nullopt;
}

void ScoresCopy::undo(onnx::ShapeInference &shapes) {
  output.getAMutable().assign(original);
  for (Operation *op : llvm::reverse(copies)) {
    shapes.forget(op);
    op->erase();
  }
}

} // namespace rapt::fuse
