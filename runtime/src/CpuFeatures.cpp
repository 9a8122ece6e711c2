//===- CpuFeatures.cpp - Does this CPU have what a model was compiled for? ---*- C++ -*-===//
//
// Bits as in Intel's and AMD's manuals of the CPUID instruction; names as `llc -mattr=help` lists
// them. These are the features that the compiler writes into a model
// (compiler/Link/HostObject.cpp); any other name is one that this runtime does not know how to
// find.
//===------------------------------------------------------------------------------------===//
#include "CpuFeatures.h"

#include <cpuid.h>
#include <stdint.h>
#include <string.h>

namespace {

enum Register : uint8_t { EAX, EBX, ECX, EDX };
/// Register state that the operating system must save (bits of XCR0).
enum State : uint32_t { None = 0, Ymm = 0x6, Zmm = 0xe6 };

struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  Register reg;
  uint8_t bit;
  State state;
};

constexpr uint32_t extended = 0x80000000;

constexpr Feature table[] = {
    {"sse3", 1, 0, ECX, 0, None},
    {"ssse3", 1, 0, ECX, 9, None},
    {"fma", 1, 0, ECX, 12, Ymm},
    {"sse4.1", 1, 0, ECX, 19, None},
    {"sse4.2", 1, 0, ECX, 20, None},
    {"movbe", 1, 0, ECX, 22, None},
    {"popcnt", 1, 0, ECX, 23, None},
    {"avx", 1, 0, ECX, 28, Ymm},
    {"f16c", 1, 0, ECX, 29, Ymm},
    {"bmi", 7, 0, EBX, 3, None},
    {"avx2", 7, 0, EBX, 5, Ymm},
    {"bmi2", 7, 0, EBX, 8, None},
    {"avx512f", 7, 0, EBX, 16, Zmm},
    {"avx512dq", 7, 0, EBX, 17, Zmm},
    {"adx", 7, 0, EBX, 19, None},
    {"avx512ifma", 7, 0, EBX, 21, Zmm},
    {"avx512cd", 7, 0, EBX, 28, Zmm},
    {"avx512bw", 7, 0, EBX, 30, Zmm},
    {"avx512vl", 7, 0, EBX, 31, Zmm},
    {"avx512vbmi", 7, 0, ECX, 1, Zmm},
    {"avx512vbmi2", 7, 0, ECX, 6, Zmm},
    {"gfni", 7, 0, ECX, 8, None},
    {"avx512vnni", 7, 0, ECX, 11, Zmm},
    {"avx512bitalg", 7, 0, ECX, 12, Zmm},
    {"avx512vpopcntdq", 7, 0, ECX, 14, Zmm},
    {"avx512fp16", 7, 0, EDX, 23, Zmm},
    {"avxvnni", 7, 1, EAX, 4, Ymm},
    {"avx512bf16", 7, 1, EAX, 5, Zmm},
    {"avxifma", 7, 1, EAX, 23, Ymm},
    {"avxvnniint8", 7, 1, EDX, 4, Ymm},
    {"avxneconvert", 7, 1, EDX, 5, Ymm},
    {"lzcnt", extended + 1, 0, ECX, 5, None},
    {"sse4a", extended + 1, 0, ECX, 6, None},
};

uint64_t readXcr0() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

bool present(const Feature &feature) {
  uint32_t registers[4];
  if (!__get_cpuid_count(feature.leaf, feature.subleaf, &registers[EAX], &registers[EBX],
                         &registers[ECX], &registers[EDX]) ||
      !(registers[feature.reg] >> feature.bit & 1))
    return false;
  if (feature.state == None)
    return true;
  constexpr uint32_t osxsave = 1u << 27;
  return __get_cpuid(1, &registers[EAX], &registers[EBX], &registers[ECX], &registers[EDX]) &&
         (registers[ECX] & osxsave) && (readXcr0() & feature.state) == feature.state;
}

bool satisfied(const char *name, size_t length) {
  for (const Feature &feature : table)
    if (strlen(feature.name) == length && memcmp(name, feature.name, length) == 0)
      return present(feature);
  return length == 0;
}

} // namespace

bool rapt::findMissingFeature(const char *features, char *missing, size_t size) {
  for (const char *name = features; name && *name;) {
    const char *comma = strchr(name, ',');
    size_t length = comma ? size_t(comma - name) : strlen(name);
    if (!satisfied(name, length)) {
      size_t kept = length < size ? length : size - 1;
      memcpy(missing, name, kept);
      missing[kept] = 0;
      return true;
    }
    name = comma ? comma + 1 : name + length;
  }
  return false;
}
