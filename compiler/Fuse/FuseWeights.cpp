//===- FuseWeights.cpp - onnx.Constant => kernel.weight --------------------------------===//
//
// In:  onnx with constants of any size.
// Out: constants of more than one element are kernel.weight, except where an operation reads them
//      as a shape or as slice bounds; Transpose of a weight is its `perm`; Reshape of a weight is a
//      weight with the same data. Constants of one element stay: they become literals in kernels.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Match.h"
#include "compiler/HoistInvariants.h"
#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;

namespace {

/// The operand is read when the compiler runs: a shape, slice bounds, repeats.
bool isMetadata(OpOperand &use) {
  Operation *op = use.getOwner();
  if (isa<onnx::ReshapeOp, onnx::ExpandOp, onnx::SliceOp, onnx::TileOp, onnx::PadOp, onnx::ResizeOp,
          onnx::TopKOp>(op))
    return use.getOperandNumber() > 0;
  return isa<onnx::ConstantOfShapeOp, onnx::RangeOp>(op);
}

kernel::WeightOp makeWeight(OpBuilder &builder, Location loc, RankedTensorType type,
                            ElementsAttr source, DenseI64ArrayAttr perm) {
  return kernel::WeightOp::create(builder, loc, type, builder.getArrayAttr({source}), perm);
}

void makeWeights(func::FuncOp func) {
  for (auto constant :
       llvm::make_early_inc_range(func.getBody().front().getOps<onnx::ConstantOp>())) {
    auto type = fuse::tensorType(constant.getOutput());
    if (type.getNumElements() <= 1)
      continue;
    if (llvm::all_of(constant->getUses(), isMetadata))
      continue;
    OpBuilder builder(constant);
    auto weight = makeWeight(builder, constant.getLoc(), type, constant.getValue(), {});
    constant.getOutput().replaceUsesWithIf(weight.getResult(),
                                           [](OpOperand &use) { return !isMetadata(use); });
    if (constant.use_empty())
      constant.erase();
  }
}

/// weight with perm p, transposed by q: dim i of the result is dim p[q[i]] of the source.
void foldTranspose(onnx::TransposeOp op, kernel::WeightOp weight) {
  OpBuilder builder(op);
  SmallVector<int64_t> perm(op.getPerm());
  if (weight.getPerm())
    for (int64_t &dim : perm)
      dim = (*weight.getPerm())[dim];
  bool identity = llvm::equal(perm, llvm::seq<int64_t>(0, perm.size()));
  auto folded = makeWeight(builder, weight.getLoc(), fuse::tensorType(op.getTransposed()),
                           cast<ElementsAttr>(weight.getSources()[0]),
                           identity ? DenseI64ArrayAttr() : builder.getDenseI64ArrayAttr(perm));
  op.getTransposed().replaceAllUsesWith(folded.getResult());
}

/// The same data under another shape; nothing for attributes that cannot say so.
ElementsAttr reshaped(ElementsAttr source, RankedTensorType type) {
  if (auto dense = dyn_cast<DenseElementsAttr>(source))
    return dense.reshape(type);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(source))
    return DenseResourceElementsAttr::get(type, resource.getRawHandle());
  return {};
}

bool foldReshape(Operation *op, kernel::WeightOp weight) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type || !type.hasStaticShape() || weight.getPerm() ||
      type.getNumElements() != fuse::tensorType(weight.getResult()).getNumElements())
    return false;
  ElementsAttr source = reshaped(cast<ElementsAttr>(weight.getSources()[0]), type);
  if (!source)
    return false;
  OpBuilder builder(op);
  op->getResult(0).replaceAllUsesWith(
      makeWeight(builder, weight.getLoc(), type, source, {}).getResult());
  return true;
}

struct FuseWeights : PassWrapper<FuseWeights, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseWeights)
  StringRef getArgument() const final { return "fuse-weights"; }
  StringRef getDescription() const final {
    return "onnx.Constant with more than one element => kernel.weight";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<kernel::KernelDialect>();
  }
  void runOnOperation() final {
    if (getOperation().isExternal())
      return;
    Block &body = getOperation().getBody().front();
    hoistInvariants(getOperation());
    makeWeights(getOperation());
    for (Operation &op : llvm::make_early_inc_range(body)) {
      auto weight =
          op.getNumOperands() ? op.getOperand(0).getDefiningOp<kernel::WeightOp>() : nullptr;
      if (!weight || weight.getSources().size() != 1)
        continue;
      if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
        foldTranspose(transpose, weight);
        op.erase();
      } else if (isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(op) &&
                 foldReshape(&op, weight)) {
        op.erase();
      }
    }
    eraseDead(body);
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createFuseWeightsPass() { return std::make_unique<FuseWeights>(); }
