//===- Outline.cpp - Regions become named kernels ---------------------------------------===//
//
// In:  func.func with scheduled kernel.region ops.
// Out: kernel.call ops in their place, and one kernel.func for each distinct kernel: the layers of
//      a transformer share theirs. A name is made of the region's name and a hash of the kernel's
//      text, so that the same kernel has the same name in every model.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/Kernels.h"

#include "dialects/Kernel/Kernel.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace rapt;

namespace {

class OutlineKernels : public PassWrapper<OutlineKernels, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OutlineKernels)

  StringRef getArgument() const final { return "outline-kernels"; }
  StringRef getDescription() const final {
    return "kernel.region => kernel.func @name + kernel.call @name";
  }

  void runOnOperation() final {
    kernels.clear();
    bool unscheduled = false;
    getOperation().walk([&](kernel::RegionOp region) {
      if (!region.getSchedule()) {
        region.emitOpError("expects a schedule before it is outlined");
        unscheduled = true;
      }
    });
    if (unscheduled)
      return signalPassFailure();
    SmallVector<kernel::RegionOp> regions;
    getOperation().walk([&](kernel::RegionOp region) { regions.push_back(region); });
    for (kernel::RegionOp region : regions)
      replaceByCall(region, kernelFor(region));
  }

private:
  /// The kernel.func with the body of `region`: an existing one, or a new one at the module's end.
  kernel::FuncOp kernelFor(kernel::RegionOp region) {
    SmallVector<int64_t> panels;
    for (Value input : region.getInputs()) {
      auto weight = input.getDefiningOp<kernel::WeightOp>();
      panels.push_back(weight ? weight.getPanel() : 0);
    }
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    auto func =
        kernel::FuncOp::create(builder, region.getLoc(), region.getName(), region.getDims().size(),
                               region.getInputShapes(), region.getResultShapes(), panels,
                               *region.getSchedule(), /*object=*/nullptr);
    if (Attribute reason = region->getAttr("kernel.reference_reason"))
      func->setAttr("kernel.reference_reason", reason);
    IRMapping mapping;
    func.getBody().getBlocks().clear();
    region.getBody().cloneInto(&func.getBody(), mapping);

    std::string text;
    llvm::raw_string_ostream stream(text);
    func->print(stream, OpPrintingFlags().useLocalScope());
    kernel::FuncOp &known = kernels[text];
    if (known) {
      func.erase();
      return known;
    }
    known = func;
    llvm::SmallString<16> hash;
    llvm::raw_svector_ostream(hash) << llvm::format_hex_no_prefix(llvm::xxh3_64bits(text), 16);
    func.setSymName((region.getName() + "_" + hash.str().take_front(10)).str());
    return func;
  }

  void replaceByCall(kernel::RegionOp region, kernel::FuncOp func) {
    OpBuilder builder(region);
    auto call = kernel::CallOp::create(
        builder, region.getLoc(), region.getResultTypes(), func.getSymName(), region.getDims(),
        region.getInputs(), ValueRange(), region.getInputShapes(), region.getResultShapes());
    region.replaceAllUsesWith(call.getResults());
    region.erase();
  }

  llvm::StringMap<kernel::FuncOp> kernels;
};

} // namespace

std::unique_ptr<Pass> rapt::createOutlineKernelsPass() {
  return std::make_unique<OutlineKernels>();
}
