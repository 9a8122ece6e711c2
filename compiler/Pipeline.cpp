//===- Pipeline.cpp - The one list of what runs when -----------------------------------===//
//
// Read `compile` from top to bottom: that is the compiler.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Pipeline.h"

#include "compiler/Fuse/Fuse.h"
#include "compiler/Host/Host.h"
#include "compiler/Kernels/KernelCache.h"
#include "compiler/Kernels/Kernels.h"
#include "compiler/Kernels/Reference.h"
#include "compiler/Kernels/halide/Emit.h"
#include "compiler/Link/Link.h"
#include "compiler/Schedule/Schedule.h"
#include "compiler/Schedule/Target.h"
#include "compiler/Schedule/Uses.h"
#include "compiler/Simplify/Simplify.h"
#include "compiler/Tune/Tune.h"
#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Names.h"
#include "frontends/onnx/Import.h"
#include "frontends/onnx/MappedPages.h"
#include "frontends/onnx/Model.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"

#include <chrono>

using namespace mlir;
using namespace rapt;

StringRef rapt::stageName(Stage stage) {
  for (const auto &[value, name] : kStages)
    if (value == stage)
      return name;
  llvm_unreachable("every stage is in the table");
}

std::string rapt::producerText() {
  return "raptc " RAPT_VERSION " (LLVM " LLVM_VERSION_STRING ", Halide " +
         kernels::halide::version() + ")";
}

namespace {

/// "error: node 'x': text", whoever it comes from. A text that names its node stays as it is;
/// MLIR's name of the operation goes.
void print(Diagnostic &diagnostic, llvm::StringRef severity) {
  std::string text = diagnostic.str(), node = onnx::nodeText(diagnostic.getLocation());
  llvm::StringRef said = text;
  bool isNamed = !isa<UnknownLoc>(diagnostic.getLocation());
  size_t prefix = said.starts_with("'onnx.") ? said.find("' op ") : llvm::StringRef::npos;
  if (isNamed && prefix != llvm::StringRef::npos)
    said = said.drop_front(prefix + 5);
  llvm::errs() << severity << ": " << (isNamed && !said.contains(node) ? node + ": " : "") << said
               << "\n";
}

/// Everything but errors is for rapt-opt.
LogicalResult printErrors(Diagnostic &diagnostic) {
  if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
    print(diagnostic, "error");
  return success();
}

/// What the importer finds wrong with a file that it can use all the same.
LogicalResult printWarnings(Diagnostic &diagnostic) {
  if (diagnostic.getSeverity() != DiagnosticSeverity::Warning)
    return failure();
  print(diagnostic, "warning");
  return success();
}

void buildSimplify(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createSimplifyShapesPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createSimplifyCanonicalizePass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createSimplifyFoldPass());
  pm.addNestedPass<func::FuncOp>(createSimplifyCanonicalizePass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createSimplifyFoldWeightsPass());
}

/// The part of the fuse stage that still has the graph's own operations: afterwards it is known
/// what became attention and what did not.
void buildRaise(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createFuseWeightsPass());
  pm.addNestedPass<func::FuncOp>(createRaiseLayerNormPass());
  pm.addNestedPass<func::FuncOp>(createRaiseRmsNormPass());
  pm.addNestedPass<func::FuncOp>(createRaiseRotaryEmbeddingPass());
  pm.addNestedPass<func::FuncOp>(createRaiseGeluPass());
  pm.addNestedPass<func::FuncOp>(createFuseAttentionPass());
  pm.addNestedPass<func::FuncOp>(createFuseProjectionsPass());
  pm.addPass(createCSEPass());
}

void buildRegions(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createFuseLowerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createFormRegionsPass());
  pm.addPass(createCSEPass());
}

void buildSchedule(OpPassManager &pm, const kernels::TargetCpu &target, bool reference,
                   std::optional<kernels::Schedule::Variant> attention = std::nullopt,
                   std::shared_ptr<const TuningTable> tuning = nullptr) {
  pm.addNestedPass<func::FuncOp>(
      createSelectSchedulesPass({target, reference, attention, std::move(tuning)}));
}

void buildOutline(OpPassManager &pm) { pm.addPass(createOutlineKernelsPass()); }

void buildHost(OpPassManager &pm) {
  pm.addPass(createHostBufferizePass());
  pm.addPass(createHostPlanMemoryPass());
  pm.addPass(createReferenceKernelsPass());
  pm.addPass(createHostToLLVMPass());
}

/// One run of the compiler: what the stages share, and the few lines around each of them.
class Compilation {
public:
  Compilation(const CompileOptions &options, MLIRContext &context, Report &report)
      : options(options), context(context), report(report) {}

  bool run(llvm::raw_ostream &irOutput);
  bool tune(const std::string &file, llvm::raw_ostream &progress);

private:
  bool fail(llvm::Error error) {
    emitError(UnknownLoc::get(&context)) << llvm::toString(std::move(error));
    return false;
  }

  bool runPasses(llvm::function_ref<void(OpPassManager &)> build) {
    PassManager pm(&context, ModuleOp::getOperationName());
    if (!options.printIrAfter.empty())
      pm.enableIRPrinting(
          [](Pass *, Operation *) { return false; },
          [this](Pass *pass, Operation *) { return pass->getArgument() == options.printIrAfter; },
          /*printModuleScope=*/false, /*printAfterOnlyOnChange=*/false,
          /*printAfterOnlyOnFailure=*/false, llvm::errs(), printingFlags());
    build(pm);
    return succeeded(pm.run(*module));
  }

  bool prepare();
  bool importStage();
  bool simplifyStage();
  bool fuseStage();
  bool scheduleStage();
  bool attentionIsAsAsked();
  bool kernelsStage();
  bool hostStage();
  bool linkStage();

  void say(const llvm::Twine &text) {
    if (options.progress)
      llvm::errs() << "\r\033[K" << text;
  }
  /// Weights stay out of printed IR: it still parses, and a person can read it.
  static OpPrintingFlags printingFlags() { return OpPrintingFlags().elideLargeResourceString(64); }
  void printIr(llvm::raw_ostream &os) {
    os << linkPlan;
    module->print(os, printingFlags());
    os << "\n";
  }

  const CompileOptions &options;
  MLIRContext &context;
  Report &report;
  kernels::TargetCpu target;
  std::shared_ptr<const TuningTable> tuning; // null: the cost model decides
  std::optional<KernelCache> cache;
  std::unique_ptr<onnx::Model> model; // owns the bytes that the module's weights point to
  OwningOpRef<ModuleOp> module;
  KernelObjects objects;
  std::string linkPlan; // heads the IR of the last stage
};

bool Compilation::importStage() {
  onnx::LoadOptions load;
  load.externalDataDir = options.externalDataDir;
  auto loaded = onnx::loadModel(options.input, load);
  if (!loaded)
    return fail(loaded.takeError());
  model = std::move(*loaded);
  for (const std::string &file : model->externalFiles)
    for (const std::string &written : options.writes)
      if (llvm::sys::fs::equivalent(file, written))
        return fail(llvm::createStringError("'" + written +
                                            "' holds weights of the model; the "
                                            "output needs another name"));
  if (auto error = onnx::inlineFunctions(*model))
    return fail(std::move(error));
  onnx::ImportOptions import;
  import.dims = options.dims;
  import.values = options.values;
  ScopedDiagnosticHandler warn(&context, printWarnings);
  module = onnx::importModel(*model, import, context);
  if (!module)
    return false;
  if (auto name = (*module)->getAttrOfType<StringAttr>(onnx::kModelNameAttr))
    report.model = name.str();
  return succeeded(verify(*module));
}

bool Compilation::simplifyStage() {
  bool done = runPasses(buildSimplify);
  onnx::dropMappedPages(); // of weights that were folded
  return done;
}

bool Compilation::fuseStage() {
  if (!runPasses(buildRaise))
    return false;
  report.addAttention(*module);
  return runPasses(buildRegions);
}

bool Compilation::scheduleStage() {
  return runPasses([this](OpPassManager &pm) {
           buildSchedule(pm, target, options.referenceKernels, options.attention, tuning);
         }) &&
         attentionIsAsAsked();
}

/// With --attention, every fused attention is a kernel of that variant.
bool Compilation::attentionIsAsAsked() {
  if (!options.attention)
    return true;
  std::string asked = std::string("--attention=") + kernels::variantName(*options.attention);
  int sites = 0;
  bool valid = true;
  module->walk([&](attn::SdpaOp site) {
    ++sites;
    Operation *kernel = site->getParentOp();
    auto schedule = kernel->getAttrOfType<kernel::ScheduleAttr>("schedule");
    if (schedule && schedule.getRecipe() == kernel::Recipe::Attention)
      return;
    auto reason = kernel->getAttrOfType<StringAttr>("kernel.reference_reason");
    site.emitError() << asked << ": this attention has no such kernel: "
                     << (reason ? reason.getValue() : StringRef("it goes to no kernel at all"));
    valid = false;
  });
  if (valid && sites == 0)
    return fail(llvm::createStringError(asked + ": no attention of the model was fused"));
  return valid;
}

bool Compilation::kernelsStage() {
  if (!runPasses(buildOutline))
    return false;
  llvm::Expected<DimSizes> sizes = assumeSizes(*module, options.assume);
  if (!sizes)
    return fail(sizes.takeError());
  auto progress = [&](size_t done, size_t all) {
    say("kernels " + llvm::Twine(done) + " of " + llvm::Twine(all));
  };
  auto build = compileKernels(*module, target, cache ? &*cache : nullptr, objects, progress);
  if (failed(build))
    return false;
  for (const std::string &refused : build->refused)
    llvm::errs() << "warning: slow loops stand in for kernel " << refused << "\n";
  if (!build->problem.empty())
    llvm::errs() << "warning: kernel cache: " << build->problem << "\n";
  if (options.verbose && cache)
    llvm::errs() << build->found << " of " << build->kernels << " kernels from the cache\n";
  if (!attentionIsAsAsked())
    return false;
  report.addKernels(*module, *sizes, kernelUses(*module, target, *sizes));
  return true;
}

bool Compilation::hostStage() {
  if (!runPasses(buildHost))
    return false;
  MemoryReport memory = memoryReport(*module);
  report.buffers = memory.buffers;
  report.arenaBytes = memory.bytes;
  report.weightBytes = memory.weightBytes;
  return true;
}

bool Compilation::linkStage() {
  LinkInput input{*module, {}, onnx::dropMappedPages};
  for (auto &[name, object] : objects)
    input.objects.push_back({name, std::move(object)});
  LinkOptions link;
  link.output = options.output;
  link.cpu = target;
  link.modelName = report.model;
  link.producer = producerText();
  link.linker = options.linker;
  link.libraryDir = options.runtimeDir;
  llvm::raw_string_ostream plan(linkPlan);
  auto error =
      options.output.empty() ? printLinkPlan(input, link, plan) : linkArtifact(input, link);
  return !error || fail(std::move(error));
}

/// What the command line says about the machine.
bool Compilation::prepare() {
  auto resolved = resolveTarget(options.targetCpu);
  if (!resolved)
    return fail(resolved.takeError());
  target = std::move(*resolved);
  report.target = target.cpu;
  if (!options.tuning.empty()) {
    auto table = TuningTable::read(options.tuning, target, context);
    if (!table)
      return fail(table.takeError());
    tuning = std::make_shared<const TuningTable>(std::move(*table));
  }
  if (!options.kernelCache.empty()) {
    auto opened = KernelCache::open(options.kernelCache);
    if (!opened)
      return fail(opened.takeError());
    cache = std::move(*opened);
  }
  return true;
}

bool Compilation::tune(const std::string &file, llvm::raw_ostream &progress) {
  if (!prepare() || !importStage() || !simplifyStage() || !fuseStage() || !scheduleStage() ||
      !runPasses(buildOutline))
    return false;
  llvm::Expected<DimSizes> sizes = assumeSizes(*module, options.assume);
  if (!sizes)
    return fail(sizes.takeError());
  TuneOptions tuneOptions{file, options.linker, options.runtimeDir};
  llvm::Error error =
      rapt::tune(kernelUses(*module, target, *sizes), target, tuneOptions, progress);
  return !error || fail(std::move(error));
}

bool Compilation::run(llvm::raw_ostream &irOutput) {
  if (!prepare())
    return false;

  struct Step {
    Stage stage;
    bool (Compilation::*run)();
  };
  static constexpr Step steps[] = {
      {Stage::Import, &Compilation::importStage},   {Stage::Simplify, &Compilation::simplifyStage},
      {Stage::Fuse, &Compilation::fuseStage},       {Stage::Schedule, &Compilation::scheduleStage},
      {Stage::Kernels, &Compilation::kernelsStage}, {Stage::Host, &Compilation::hostStage},
      {Stage::Link, &Compilation::linkStage}};
  for (const Step &step : steps) {
    say(stageName(step.stage));
    auto start = std::chrono::steady_clock::now();
    bool done = (this->*step.run)();
    say("");
    if (!done)
      return false;
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (options.verbose)
      llvm::errs() << llvm::format("%-9s %8.3f s\n", stageName(step.stage).data(), seconds.count());
    if (options.printIrAfter == stageName(step.stage) || options.printIrAfter == "all") {
      llvm::errs() << "// IR after " << stageName(step.stage) << "\n";
      printIr(llvm::errs());
    }
    if (step.stage == options.stopAfter)
      break;
  }
  if (options.output.empty())
    printIr(irOutput);
  return true;
}

} // namespace

bool rapt::compile(const CompileOptions &options, MLIRContext &context, llvm::raw_ostream &irOutput,
                   Report &report) {
  ScopedDiagnosticHandler print(&context, printErrors);
  return Compilation(options, context, report).run(irOutput);
}

bool rapt::tuneSchedules(const CompileOptions &options, MLIRContext &context,
                         const std::string &file, llvm::raw_ostream &progress) {
  Report unused;
  return Compilation(options, context, unused).tune(file, progress);
}

void rapt::buildPasses(OpPassManager &pm, Stage last, const kernels::TargetCpu &target,
                       bool referenceKernels, std::shared_ptr<const TuningTable> tuning) {
  if (last >= Stage::Simplify)
    buildSimplify(pm);
  if (last >= Stage::Fuse) {
    buildRaise(pm);
    buildRegions(pm);
  }
  if (last >= Stage::Schedule)
    buildSchedule(pm, target, referenceKernels, std::nullopt, std::move(tuning));
  if (last >= Stage::Kernels)
    buildOutline(pm);
  if (last >= Stage::Host)
    buildHost(pm);
}
