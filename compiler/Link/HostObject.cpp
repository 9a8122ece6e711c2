//===- HostObject.cpp - LLVM dialect => object file -------------------------------------===//
//
// MLIR -> LLVM IR, + descriptor, + room for weights, LLVM's -O2, code generation. The code uses
// what the descriptor lists and nothing else: the target is plain x86-64 with those features, tuned
// for the CPU that was asked for.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/HostObject.h"

#include "compiler/Link/Descriptor.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace rapt;

static const char *const triple = "x86_64-unknown-linux-gnu";

std::string link::requiredFeatures(const kernels::TargetCpu &cpu) {
  static const llvm::StringSet<> used = {"sse3",        "ssse3",        "sse4.1",
                                         "sse4.2",      "popcnt",       "avx",
                                         "avx2",        "fma",          "f16c",
                                         "bmi",         "bmi2",         "lzcnt",
                                         "movbe",       "adx",          "avx512f",
                                         "avx512cd",    "avx512bw",     "avx512dq",
                                         "avx512vl",    "avx512vnni",   "avx512bf16",
                                         "avx512fp16",  "avx512vbmi",   "avx512vbmi2",
                                         "avx512ifma",  "avx512bitalg", "avx512vpopcntdq",
                                         "gfni",        "avxvnni",      "avxifma",
                                         "avxvnniint8", "avxneconvert", "sse4a"};
  std::string result;
  for (StringRef feature : cpu.features) {
    feature.consume_front("+");
    if (used.contains(feature))
      result += (result.empty() ? "" : ",") + feature.str();
  }
  return result;
}

static std::unique_ptr<llvm::TargetMachine> makeMachine(StringRef features, std::string &error) {
  static const bool initialized = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser(); // for the weights' section
    return true;
  }();
  (void)initialized;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(llvm::Triple(triple), error);
  if (!target)
    return nullptr;
  std::string enabled;
  for (StringRef feature : llvm::split(features, ','))
    if (!feature.empty())
      enabled += (enabled.empty() ? "+" : ",+") + feature.str();
  llvm::TargetOptions options;
  options.FunctionSections = options.DataSections = true;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      llvm::Triple(triple), "x86-64", enabled, options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      llvm::CodeGenOptLevel::Default));
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

llvm::Error link::writeHostObject(ModuleOp host, const host::Interface &interface,
                                  const ModelFacts &facts, StringRef path) {
  registerBuiltinDialectTranslation(*host.getContext());
  registerLLVMDialectTranslation(*host.getContext());
  FailureOr<host::CallTable> calls = host::readCallTable(host);
  if (failed(calls))
    return llvm::createStringError("the host module does not say what it calls");
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(host, context, "host");
  if (!module)
    return llvm::createStringError("the host function has no form in LLVM IR");
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = makeMachine(facts.features, error);
  if (!machine)
    return llvm::createStringError("no code generator for " + Twine(triple) + ": " + error);
  module->setTargetTriple(llvm::Triple(triple));
  module->setDataLayout(machine->createDataLayout());
  if (llvm::Error failed = addDescriptor(*module, interface, *calls, facts))
    return failed;
  for (llvm::Function &function : *module) {
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("tune-cpu", facts.cpu);
  }
  optimize(*module, *machine);

  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (code)
    return llvm::createStringError("cannot write '" + path + "': " + code.message());
  llvm::legacy::PassManager emitter;
  if (machine->addPassesToEmitFile(emitter, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return llvm::createStringError("LLVM cannot write objects for " + Twine(triple));
  emitter.run(*module);
  stream.close();
  if (stream.has_error()) {
    code = stream.error();
    stream.clear_error();
    return llvm::createStringError("cannot write '" + path + "': " + code.message());
  }
  return llvm::Error::success();
}
