//===- CompileKernels.cpp - Halide for every kernel of a module --------------------------===//
//
// In:  kernel.func ops with schedules.
// Out: each has its `object` attribute and an entry in `objects`, or the reference recipe and the
//      reason. MLIR is touched by one thread only; the others see plain structs.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/Kernels.h"

#include "compiler/Kernels/BuildSpec.h"
#include "compiler/Kernels/ObjectAttr.h"
#include "compiler/Kernels/ScheduleAttr.h"
#include "compiler/Kernels/halide/Emit.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/ThreadPool.h"

#include <mutex>

using namespace mlir;
using namespace rapt;

namespace {

/// One kernel on its way through Halide.
struct Job {
  kernel::FuncOp func;
  std::string name;
  kernels::KernelSpec spec;
  kernels::Schedule schedule;
  kernels::KernelObject result;
  std::string error;
  bool done = false;
};

/// The reference lowering reads row-major weights, so the callers' packed ones are unpacked.
void unpackWeights(ModuleOp module, kernel::FuncOp func) {
  module.walk([&](kernel::CallOp call) {
    if (call.getCallee() != func.getSymName())
      return;
    for (OpOperand &input : call.getInputsMutable()) {
      auto weight = input.get().getDefiningOp<kernel::WeightOp>();
      if (!weight || weight.getPanel() == 0)
        continue;
      OpBuilder builder(weight);
      auto plain = cast<kernel::WeightOp>(builder.clone(*weight));
      plain.setPanel(0);
      input.set(plain.getResult());
    }
  });
  func.setInputPanels(SmallVector<int64_t>(func.getInputPanels().size(), 0));
}

void useReference(kernel::FuncOp func, const std::string &reason) {
  emitWarning(func.getLoc()) << "kernel '" << func.getSymName()
                             << "' goes through its slow reference lowering: " << reason;
  unpackWeights(func->getParentOfType<ModuleOp>(), func);
  kernels::Schedule reference;
  reference.recipe = kernels::Schedule::Recipe::Reference;
  func.setScheduleAttr(kernels::toAttr(func.getContext(), reference));
  func->setAttr("kernel.reference_reason", StringAttr::get(func.getContext(), reason));
}

std::vector<Job> collectJobs(ModuleOp module) {
  std::vector<Job> jobs;
  for (auto func : module.getOps<kernel::FuncOp>()) {
    kernels::Schedule schedule = kernels::fromAttr(func.getSchedule());
    if (schedule.recipe == kernels::Schedule::Recipe::Reference || func.getObject())
      continue;
    auto spec = kernels::buildSpec(func.getBody().front(), func.getNumDims(), func.getInputShapes(),
                                   func.getInputPanels());
    if (spec)
      jobs.push_back({func, func.getSymName().str(), std::move(*spec), schedule, {}, "", false});
    else
      useReference(func, llvm::toString(spec.takeError()));
  }
  return jobs;
}

} // namespace

void rapt::compileKernels(ModuleOp module, const kernels::TargetCpu &target, KernelObjects &objects,
                          const std::function<void(size_t, size_t)> &progress) {
  std::vector<Job> jobs = collectJobs(module);
  std::mutex lock;
  size_t finished = 0;
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (Job &job : jobs)
    pool.async([&, job = &job] {
      // The kernel's own name is the host's function around the object code.
      job->done = kernels::halide::emitKernel(job->spec, job->schedule, target,
                                              job->name + "_halide", job->result, job->error);
      std::lock_guard guard(lock);
      progress(++finished, jobs.size());
    });
  pool.wait();

  for (Job &job : jobs) {
    if (!job.done) {
      useReference(job.func, job.error);
      continue;
    }
    job.func.setObjectAttr(kernels::objectToAttr(module.getContext(), job.result, job.spec));
    objects[job.name] = std::move(job.result.object);
  }
}
