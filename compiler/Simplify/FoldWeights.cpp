//===- FoldWeights.cpp - simplify-fold-weights ------------------------------------------------===//
//
// op(weights)  =>  onnx.Constant
//
// Positions that every layer projects anew, adapters added to weights, norms of tables: work that
// is the same in every run, on tensors too large for simplify-fold. The pass finds the operations
// that depend on constants alone, decides which of their results the artifact should hold, and
// computes those and what leads to them. What it does not hold is computed in each run, as before.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Simplify/EvaluateConstants.h"
#include "compiler/Simplify/Simplify.h"

#include "dialects/Onnx/Names.h"
#include "dialects/Onnx/ShapeInference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace rapt {

namespace {
/// A result that makes the artifact larger is held when it saves as many operations for each of its
/// bytes. A processor computes some 4 operations in the time in which it reads a byte from memory,
/// so from there on reading is quicker; 4 times as much makes it worth the file. An f32 product
/// over 32 or more is, a sum or an Expand is not.
constexpr double minOperationsPerByte = 16;

/// Bounds of the time and memory that one model takes: about 10 seconds, and what it may write.
constexpr double maxOperations = 50e9;
constexpr int64_t maxBytes = int64_t(2) << 30;

/// Constants of at most this size are printed with the IR.
constexpr int64_t maxInlineBytes = 1024;

/// An operation that depends on constants alone.
struct Candidate {
  int64_t bytes = 0;           // of the result
  double operations = 0;       // to get at the result from constants and results worth holding
  bool isWorthHolding = false; // rather than its operands
  bool isNeeded = false;       // by an operation that runs
  bool isComputed = false;     // here
  int64_t pendingUses = 0;     // by operations that are computed here
};

class WeightFolder {
public:
  explicit WeightFolder(Block &block) : block(block) {}

  void run() {
    collect();
    for (auto &[op, candidate] : candidates)
      judge(op, candidate);
    choose();
    compute();
  }

private:
  using Entry = std::pair<Operation *, Candidate>;

  Candidate *candidateOf(Value value) {
    auto *found = candidates.find(value.getDefiningOp());
    return found == candidates.end() ? nullptr : &found->second;
  }

  static std::optional<HostTensor> constantOf(Value value) {
    auto constant = value.getDefiningOp<onnx::ConstantOp>();
    return constant ? readConstant(constant.getValue()) : std::nullopt;
  }

  static int64_t bytesOf(Value value) { return byteSize(cast<RankedTensorType>(value.getType())); }

  static llvm::SmallSetVector<Value, 4> distinctOperands(Operation *op) {
    SmallVector<Value, 4> operands = dataOperands(op);
    return {operands.begin(), operands.end()};
  }

  void collect() {
    for (Operation &op : block) {
      if (!isa_and_nonnull<onnx::OnnxDialect>(op.getDialect()) || isa<onnx::ConstantOp>(op) ||
          !canEvaluate(&op) || !llvm::all_of(dataOperands(&op), [&](Value operand) {
            return candidateOf(operand) || constantOf(operand);
          }))
        continue;
      Candidate candidate;
      candidate.bytes = bytesOf(op.getResult(0));
      candidates.insert({&op, candidate});
    }
    for (auto &[op, candidate] : candidates)
      candidate.isNeeded = isReadInRuns(op->getResult(0));
  }

  bool isReadInRuns(Value value) {
    return llvm::any_of(value.getUsers(),
                        [&](Operation *user) { return candidates.find(user) == candidates.end(); });
  }

  /// The part of `operand`'s bytes that the artifact need not hold when it has the results of the
  /// operations that read it: all of them share it by their sizes.
  double replacedBytes(Value operand, int64_t bytes) {
    Candidate *source = candidateOf(operand);
    if (isReadInRuns(operand) || (source && !source->isWorthHolding))
      return 0;
    double all = 0;
    for (Operation *user :
         llvm::SmallPtrSet<Operation *, 8>(operand.user_begin(), operand.user_end()))
      all += candidates.find(user)->second.bytes;
    return bytesOf(operand) * (bytes / all);
  }

  /// Operands are judged before.
  void judge(Operation *op, Candidate &candidate) {
    double replaced = 0, before = 0;
    for (Value operand : distinctOperands(op)) {
      replaced += replacedBytes(operand, candidate.bytes);
      // The most of one operand, because several may come from the same work.
      if (Candidate *source = candidateOf(operand); source && !source->isWorthHolding)
        before = std::max(before, source->operations);
    }
    candidate.operations = before + operationCount(op);
    candidate.isWorthHolding = candidate.bytes <= replaced * (1 + 1e-9) ||
                               candidate.operations >= minOperationsPerByte * candidate.bytes;
  }

  /// fuse-weights makes weights of these without a copy: reshaped constants, and then transposed.
  static bool isWeightAsItIs(Value value) {
    while (auto transpose = value.getDefiningOp<onnx::TransposeOp>())
      value = transpose.getData();
    while (
        isa_and_nonnull<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(value.getDefiningOp()))
      value = value.getDefiningOp()->getOperand(0);
    return constantOf(value).has_value();
  }

  /// Marks what leads to `root` as computed, unless that is too much.
  bool claim(Operation *root) {
    llvm::SetVector<Operation *> cone;
    cone.insert(root);
    double operations = 0;
    int64_t bytes = 0;
    for (size_t next = 0; next < cone.size(); ++next) {
      Operation *op = cone[next];
      operations += operationCount(op);
      bytes += candidateOf(op->getResult(0))->bytes;
      if (operations > maxOperations - doneOperations || bytes > maxBytes - doneBytes)
        return false;
      for (Value operand : distinctOperands(op))
        if (Candidate *source = candidateOf(operand); source && !source->isComputed)
          cone.insert(operand.getDefiningOp());
    }
    doneOperations += operations;
    doneBytes += bytes;
    for (Operation *op : cone) {
      candidateOf(op->getResult(0))->isComputed = true;
      for (Value operand : distinctOperands(op))
        if (Candidate *source = candidateOf(operand))
          ++source->pendingUses;
    }
    return true;
  }

  /// Last first: an operation whose result is not held needs its operands.
  void choose() {
    for (auto &[op, candidate] : llvm::reverse(candidates)) {
      if (!candidate.isNeeded)
        continue;
      bool isHeld = candidate.isWorthHolding && !isWeightAsItIs(op->getResult(0)) &&
                    (candidate.isComputed || claim(op));
      if (isHeld)
        held.insert(op);
      for (Value operand : distinctOperands(op))
        if (Candidate *source = candidateOf(operand); source && !isHeld)
          source->isNeeded = true;
    }
  }

  void compute() {
    for (auto &[op, candidate] : candidates) {
      if (!candidate.isComputed)
        continue;
      SmallVector<HostTensor> operands;
      for (Value operand : dataOperands(op))
        operands.push_back(candidateOf(operand) ? tensors.at(operand.getDefiningOp())
                                                : *constantOf(operand));
      tensors.insert({op, evaluate(op, operands)});
      for (Value operand : distinctOperands(op))
        if (Candidate *source = candidateOf(operand))
          if (--source->pendingUses == 0 && !held.contains(operand.getDefiningOp()))
            tensors.erase(operand.getDefiningOp());
    }
    for (Operation *op : held) {
      OpBuilder builder(op);
      Value result = op->getResult(0);
      auto constant = onnx::ConstantOp::create(builder, op->getLoc(), result.getType(),
                                               attributeOf(op, tensors.at(op)));
      tensors.erase(op);
      result.replaceAllUsesWith(constant.getOutput());
    }
    eraseDead(block);
  }

  /// Large tensors keep their memory, and lie outside of the IR as the model's own weights do.
  static ElementsAttr attributeOf(Operation *op, HostTensor &tensor) {
    if (tensor.isSplat || byteSize(tensor.type) <= maxInlineBytes)
      return DenseElementsAttr::getFromRawBuffer(tensor.type, tensor.bytes);
    bool isOwn = tensor.storage && tensor.storage.use_count() == 1;
    AsmResourceBlob blob = isOwn ? std::move(*tensor.storage)
                                 : HeapAsmResourceBlob::allocateAndCopyWithAlign(tensor.bytes, 64);
    return DenseResourceElementsAttr::get(tensor.type, onnx::nodeName(op), std::move(blob));
  }

  Block &block;
  llvm::MapVector<Operation *, Candidate> candidates; // in the order of the block
  llvm::SetVector<Operation *> held;
  llvm::DenseMap<Operation *, HostTensor> tensors;
  double doneOperations = 0;
  int64_t doneBytes = 0;
};

struct SimplifyFoldWeights : PassWrapper<SimplifyFoldWeights, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SimplifyFoldWeights)
  StringRef getArgument() const override { return "simplify-fold-weights"; }
  StringRef getDescription() const override {
    return "onnx operations on weights alone become weights";
  }

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    onnx::ShapeInference shapes;
    if (failed(shapes.run(getOperation())))
      return signalPassFailure();
    WeightFolder(getOperation().getBody().front()).run();
  }
};
} // namespace

std::unique_ptr<Pass> createSimplifyFoldWeightsPass() {
  return std::make_unique<SimplifyFoldWeights>();
}

} // namespace rapt
