//===- CompileKernels.cpp - Halide for every kernel of a module --------------------------===//
//
// In:  kernel.func ops with schedules, and a folder of kernels that were compiled before.
// Out: each has its `object` attribute and an entry in `objects`, or the reference recipe and the
//      reason. MLIR is touched by one thread only; the others see plain structs.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/Kernels.h"

#include "compiler/Kernels/BuildSpec.h"
#include "compiler/Kernels/KernelCache.h"
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
  std::string error;   // why it is not done
  std::string problem; // why it is not kept in the cache
  bool done = false, found = false, interrupted = false;

  void run(const kernels::TargetCpu &target, const KernelCache *cache);
};

void Job::run(const kernels::TargetCpu &target, const KernelCache *cache) {
  // The kernel's own name is the host's function around the object code.
  std::string symbolPrefix = name + "_halide", key;
  if (cache) {
    key = cache->keyOf(spec, schedule, target, symbolPrefix);
    done = found = cache->find(key, result);
    if (found)
      return;
  }
  done = kernels::halide::emitKernel(spec, schedule, target, symbolPrefix, result, error,
                                     &interrupted);
  if (cache && done)
    if (llvm::Error failed = cache->store(key, result))
      problem = llvm::toString(std::move(failed));
}

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
      jobs.push_back({func, func.getSymName().str(), std::move(*spec), schedule, {}, "", ""});
    else
      useReference(func, llvm::toString(spec.takeError()));
  }
  return jobs;
}

} // namespace

FailureOr<KernelBuild> rapt::compileKernels(ModuleOp module, const kernels::TargetCpu &target,
                                            const KernelCache *cache, KernelObjects &objects,
                                            const std::function<void(size_t, size_t)> &progress) {
  std::vector<Job> jobs = collectJobs(module);
  std::mutex lock;
  size_t finished = 0;
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (Job &job : jobs)
    pool.async([&, job = &job] {
      job->run(target, cache);
      std::lock_guard guard(lock);
      progress(++finished, jobs.size());
    });
  pool.wait();

  KernelBuild build{0, jobs.size(), "", {}};
  for (Job &job : jobs) {
    build.found += job.found;
    if (build.problem.empty())
      build.problem = job.problem;
    if (job.interrupted) {
      job.func.emitError() << "kernel '" << job.name << "' is not compiled: " << job.error;
      return failure();
    }
    if (!job.done) {
      build.refused.push_back(job.name + ": " + job.error);
      useReference(job.func, job.error);
      continue;
    }
    job.func.setObjectAttr(kernels::objectToAttr(module.getContext(), job.result, job.spec));
    objects[job.name] = std::move(job.result.object);
  }
  return build;
}
