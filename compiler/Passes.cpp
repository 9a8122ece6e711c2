//===- Passes.cpp - Every pass by its name -----------------------------------------------===//
//
// What rapt-opt can run. Which of these run when is Pipeline.cpp's.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Pipeline.h"

#include "compiler/Fuse/Fuse.h"
#include "compiler/Host/Host.h"
#include "compiler/Kernels/Kernels.h"
#include "compiler/Kernels/Reference.h"
#include "compiler/Schedule/Schedule.h"
#include "compiler/Schedule/Target.h"
#include "compiler/Simplify/Simplify.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace rapt;

/// For tests, select-schedules has a machine that is the same everywhere.
static std::unique_ptr<Pass> selectSchedulesForTests() {
  return createSelectSchedulesPass({llvm::cantFail(resolveTarget("x86-64-v4")), false});
}

void rapt::registerPasses() {
  registerCanonicalizerPass();
  registerCSEPass();
  for (auto create : {createSimplifyShapesPass,   createSimplifyCanonicalizePass,
                      createSimplifyFoldPass,     createSimplifyFoldWeightsPass,
                      createFuseWeightsPass,      createRaiseLayerNormPass,
                      createRaiseRmsNormPass,     createRaiseRotaryEmbeddingPass,
                      createRaiseGeluPass,        createFuseAttentionPass,
                      createFuseProjectionsPass,  createFuseLowerPass,
                      createFormRegionsPass,      selectSchedulesForTests,
                      createOutlineKernelsPass,   createPrintKernelSpecsPass,
                      createHostBufferizePass,    createHostPlanMemoryPass,
                      createReferenceKernelsPass, createHostToLLVMPass})
    registerPass(create);
}
