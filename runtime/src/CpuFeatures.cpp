//===- CpuFeatures.cpp - Does this CPU have what a model was compiled for? ---*- C++ -*-===//
//
// Bits as in Intel's and AMD's manuals of the CPUID instruction; names as `llc -mattr=help` lists
// them. Only the features that -mcpu names can put into a model's list are here.
//===------------------------------------------------------------------------------------===//
#include "CpuFeatures.h"

#include <cpuid.h>
#include <stdint.h>
#include <string.h>

namespace {

enum Register : uint8_t { EAX, EBX, ECX, EDX };
/// Register state that the operating system must save (bits of XCR0).
enum State : uint32_t { None = 0, Ymm = 0x6, Zmm = 0xe6, Tile = 0x60000 };

struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  Register reg;
  uint8_t bit;
  State state;
};

constexpr uint32_t extended = 0x80000000;

constexpr Feature table[] = {
    {"cx8", 1, 0, EDX, 8, None},
    {"cmov", 1, 0, EDX, 15, None},
    {"mmx", 1, 0, EDX, 23, None},
    {"fxsr", 1, 0, EDX, 24, None},
    {"sse", 1, 0, EDX, 25, None},
    {"sse2", 1, 0, EDX, 26, None},
    {"sse3", 1, 0, ECX, 0, None},
    {"pclmul", 1, 0, ECX, 1, None},
    {"ssse3", 1, 0, ECX, 9, None},
    {"fma", 1, 0, ECX, 12, Ymm},
    {"cx16", 1, 0, ECX, 13, None},
    {"sse4.1", 1, 0, ECX, 19, None},
    {"sse4.2", 1, 0, ECX, 20, None},
    {"crc32", 1, 0, ECX, 20, None},
    {"movbe", 1, 0, ECX, 22, None},
    {"popcnt", 1, 0, ECX, 23, None},
    {"aes", 1, 0, ECX, 25, None},
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
    {"sha", 7, 0, EBX, 29, None},
    {"avx512bw", 7, 0, EBX, 30, Zmm},
    {"avx512vl", 7, 0, EBX, 31, Zmm},
    {"avx512vbmi", 7, 0, ECX, 1, Zmm},
    {"avx512vbmi2", 7, 0, ECX, 6, Zmm},
    {"gfni", 7, 0, ECX, 8, None},
    {"vaes", 7, 0, ECX, 9, Ymm},
    {"vpclmulqdq", 7, 0, ECX, 10, Ymm},
    {"avx512vnni", 7, 0, ECX, 11, Zmm},
    {"avx512bitalg", 7, 0, ECX, 12, Zmm},
    {"avx512vpopcntdq", 7, 0, ECX, 14, Zmm},
    {"avx512vp2intersect", 7, 0, EDX, 8, Zmm},
    {"amx-bf16", 7, 0, EDX, 22, Tile},
    {"avx512fp16", 7, 0, EDX, 23, Zmm},
    {"amx-tile", 7, 0, EDX, 24, Tile},
    {"amx-int8", 7, 0, EDX, 25, Tile},
    {"avxvnni", 7, 1, EAX, 4, Ymm},
    {"cmpccxadd", 7, 1, EAX, 7, None},
    {"avx512bf16", 7, 1, EAX, 5, Zmm},
    {"amx-fp16", 7, 1, EAX, 21, Tile},
    {"avxifma", 7, 1, EAX, 23, Ymm},
    {"avxvnniint8", 7, 1, EDX, 4, Ymm},
    {"avxneconvert", 7, 1, EDX, 5, Ymm},
    {"avxvnniint16", 7, 1, EDX, 10, Ymm},
    {"sahf", extended + 1, 0, ECX, 0, None},
    {"lzcnt", extended + 1, 0, ECX, 5, None},
    {"sse4a", extended + 1, 0, ECX, 6, None},
    {"64bit", extended + 1, 0, EDX, 29, None},
};

/// Instructions that compiled code holds only where its source names them, which kernels never do:
/// mostly for operating systems, and hints. Virtual machines often hide them from a CPU that a
/// model names.
constexpr const char *neverEmitted[] = {
    "clflushopt", "cldemote", "clwb",      "clzero",   "enqcmd", "fsgsbase", "hreset",
    "invpcid",    "kl",       "movdir64b", "movdiri",  "mwaitx", "pconfig",  "pku",
    "prefetchi",  "prfchw",   "ptwrite",   "rdpid",    "rdpru",  "rdrnd",    "rdseed",
    "serialize",  "sgx",      "shstk",     "tsxldtrk", "uintr",  "waitpkg",  "wbnoinvd",
    "widekl",     "xsave",    "xsavec",    "xsaveopt", "xsaves",
};

/// Names in LLVM's lists that choose between ways to say the same thing.
constexpr const char *tuningPrefixes[] = {"fast-", "slow-", "prefer-", "false-deps-", "tuning"};
constexpr const char *tuningNames[] = {
    "allow-light-256-bit",
    "branch-hint",
    "branchfusion",
    "ermsb",
    "fsrm",
    "idivl-to-divb",
    "idivq-to-divl",
    "macrofusion",
    "nopl",
    "no-bypass-delay-blend",
    "no-bypass-delay-mov",
    "no-bypass-delay-shuffle",
    "sbb-dep-breaking",
    "vzeroupper",
    "x87",
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

bool equal(const char *name, size_t length, const char *other) {
  return strlen(other) == length && memcmp(name, other, length) == 0;
}

bool doesNotMatter(const char *name, size_t length) {
  for (const char *prefix : tuningPrefixes)
    if (length >= strlen(prefix) && memcmp(name, prefix, strlen(prefix)) == 0)
      return true;
  for (const char *other : tuningNames)
    if (equal(name, length, other))
      return true;
  for (const char *other : neverEmitted)
    if (equal(name, length, other))
      return true;
  return false;
}

bool satisfied(const char *name, size_t length) {
  if (length == 0 || *name == '-')
    return true;
  if (*name == '+') {
    ++name;
    --length;
  }
  for (const Feature &feature : table)
    if (equal(name, length, feature.name))
      return present(feature);
  return doesNotMatter(name, length);
}

} // namespace

bool rapt::findMissingFeature(const char *features, char *missing, size_t size) {
  for (const char *name = features; name && *name;) {
    const char *comma = strchr(name, ',');
    size_t length = comma ? size_t(comma - name) : strlen(name);
    if (!satisfied(name, length)) {
      length -= *name == '+';
      name += *name == '+';
      size_t kept = length < size ? length : size - 1;
      memcpy(missing, name, kept);
      missing[kept] = 0;
      return true;
    }
    name = comma ? comma + 1 : name + length;
  }
  return false;
}
