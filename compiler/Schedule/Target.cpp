//===- Target.cpp - The CPU that code is made for --------------------------------------===//

#include "compiler/Schedule/Target.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace llvm;
using rapt::kernels::TargetCpu;

/// One cache of this machine in bytes, from sysfs; 0 when it does not say.
static int64_t cacheBytes(int index) {
  std::string path = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size";
  auto file = MemoryBuffer::getFile(path, /*IsText=*/true, /*RequiresNullTerminator=*/false);
  if (!file)
    return 0;
  StringRef text = (*file)->getBuffer().trim();
  int64_t unit = text.consume_back("K") ? 1024 : text.consume_back("M") ? 1024 * 1024 : 1;
  int64_t value = 0;
  return text.getAsInteger(10, value) ? 0 : value * unit;
}

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
    // index 0 is the first-level data cache, index 2 the second level, on every x86 Linux
    if (int64_t bytes = cacheBytes(0))
      target.l1Bytes = bytes;
    if (int64_t bytes = cacheBytes(2))
      target.l2Bytes = bytes;
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
