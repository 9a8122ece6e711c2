//===- PrintSpecs.cpp - Shows what Halide is given ---------------------------------------===//
//
// In and out: the same IR. Prints the KernelSpec of every kernel.region and kernel.func and the
// work of a call to stdout, or why there is none.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/BuildSpec.h"
#include "compiler/Kernels/Kernels.h"
#include "compiler/Kernels/Work.h"

#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;

namespace {

class PrintKernelSpecs : public PassWrapper<PrintKernelSpecs, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PrintKernelSpecs)

  StringRef getArgument() const final { return "print-kernel-specs"; }
  StringRef getDescription() const final { return "print the KernelSpec of every kernel"; }

  void runOnOperation() final {
    getOperation().walk([](Operation *op) {
      if (auto region = dyn_cast<kernel::RegionOp>(op))
        print(region.getName(), region.getBody().front(), region.getDims().size(),
              region.getInputShapes(), {});
      else if (auto func = dyn_cast<kernel::FuncOp>(op))
        print(func.getSymName(), func.getBody().front(), func.getNumDims(), func.getInputShapes(),
              func.getInputPanels());
    });
    markAllAnalysesPreserved();
  }

private:
  static void print(StringRef name, Block &body, int64_t numDims, ArrayAttr shapes,
                    ArrayRef<int64_t> panels) {
    auto spec = kernels::buildSpec(body, numDims, shapes, panels);
    llvm::outs() << "kernel " << name << "\n";
    if (!spec) {
      llvm::outs() << "  no spec: " << llvm::toString(spec.takeError()) << "\n";
      return;
    }
    kernels::Work work = kernels::workOf(*spec);
    llvm::outs() << spec->print() << "  work: " << work.flops.print() << " flops, "
                 << work.bytes.print() << " bytes\n";
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createPrintKernelSpecsPass() {
  return std::make_unique<PrintKernelSpecs>();
}
