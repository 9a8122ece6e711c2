//===- ObjectCode.cpp - Halide's bitcode => object file ------------------------*- C++ -*-===//
//
// Halide can write objects itself, but its prefetches are non-temporal: into L1 only on Intel
// servers, where a panel of weights that is fetched ahead is gone before it is used. Here they go
// to all caches, which costs nothing where it made no difference (docs/rationale.md).
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/ObjectCode.h"

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;

static std::unique_ptr<TargetMachine> makeMachine(const Module &module, std::string &error) {
  static const bool initialized = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  (void)initialized;
  const Target *target = TargetRegistry::lookupTarget(module.getTargetTriple(), error);
  if (!target)
    return nullptr;
  // Without the flag, no multiply-add is formed of instructions that do not allow it.
  auto *strict = mdconst::extract_or_null<ConstantInt>(
      module.getModuleFlag("halide_per_instruction_fast_math_flags"));
  TargetOptions options;
  options.AllowFPOpFusion = strict && strict->isOne() ? FPOpFusion::Strict : FPOpFusion::Fast;
  options.FunctionSections = true;
  return std::unique_ptr<TargetMachine>(
      target->createTargetMachine(module.getTargetTriple(), "x86-64", "", options, Reloc::PIC_,
                                  CodeModel::Small, CodeGenOptLevel::Aggressive));
}

/// Prefetches fill every cache instead of passing by.
static void keepPrefetchedLines(Module &module) {
  constexpr unsigned locality = 2;
  constexpr uint64_t everyCache = 3;
  for (Function &function : module)
    if (function.getIntrinsicID() == Intrinsic::prefetch)
      for (User *user : function.users()) {
        auto *call = cast<CallInst>(user);
        call->setArgOperand(locality,
                            ConstantInt::get(call->getArgOperand(locality)->getType(), everyCache));
      }
}

bool rapt::kernels::makeObject(const std::string &bitcode, std::string &object,
                               std::string &error) {
  LLVMContext context;
  Expected<std::unique_ptr<Module>> module =
      parseBitcodeFile(MemoryBufferRef(bitcode, "kernel"), context);
  if (!module) {
    error = toString(module.takeError());
    return false;
  }
  std::unique_ptr<TargetMachine> machine = makeMachine(**module, error);
  if (!machine)
    return false;
  (*module)->setDataLayout(machine->createDataLayout());
  keepPrefetchedLines(**module);
  SmallVector<char, 0> bytes;
  raw_svector_ostream stream(bytes);
  legacy::PassManager emitter;
  if (machine->addPassesToEmitFile(emitter, stream, nullptr, CodeGenFileType::ObjectFile)) {
    error = "LLVM cannot write objects for " + (*module)->getTargetTriple().str();
    return false;
  }
  emitter.run(**module);
  object.assign(bytes.begin(), bytes.end());
  return true;
}
