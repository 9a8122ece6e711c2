//===- Target.cpp - The CPU that code is made for --------------------------------------===//
//
// A CPU's name becomes LLVM's name for it and the features that LLVM says it has; the width and
// number of vector registers follow from the features, never from the name.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Schedule/Target.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace llvm;
using rapt::kernels::TargetCpu;

static void addVectors(TargetCpu &target) {
  auto has = [&](StringRef feature) { return is_contained(target.features, feature); };
  bool avx512 = has("avx512f") && has("avx512vl") && has("avx512dq") && has("avx512bw");
  target.vectorBytes = avx512 ? 64 : has("avx2") && has("fma") ? 32 : 16;
  target.vectorRegisters = avx512 ? 32 : 16;
}

Expected<TargetCpu> rapt::resolveTarget(StringRef name) {
  TargetCpu target;
  if (name == "native") {
    target.cpu = sys::getHostCPUName().str();
    for (const auto &[feature, enabled] : sys::getHostCPUFeatures())
      if (enabled)
        target.features.push_back(feature.str());
  } else {
    if (X86::parseArchX86(name, /*Only64Bit=*/true) == X86::CK_None)
      return createStringError("unknown --target-cpu '" + name +
                               "'; expected native, x86-64, x86-64-v2, x86-64-v3, x86-64-v4, or an "
                               "x86-64 CPU name that LLVM knows");
    target.cpu = name.str();
    SmallVector<StringRef> features;
    X86::getFeaturesForCPU(name, features);
    StringMap<bool> all; // with those that others imply
    for (StringRef feature : features) {
      X86::updateImpliedFeatures(feature, /*Enabled=*/true, all);
      all[feature] = true;
    }
    for (const auto &entry : all)
      target.features.push_back(entry.getKey().str());
  }
  sort(target.features);
  addVectors(target);
  return target;
}
