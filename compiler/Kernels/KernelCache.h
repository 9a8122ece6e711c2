//===- KernelCache.h - Compiled kernels on disk --------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_KERNELCACHE_H
#define RAPT_COMPILER_KERNELS_KERNELCACHE_H

#include "compiler/Kernels/KernelSpec.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace rapt {

/// A folder with the objects of kernels, each under a hash of all that its bytes depend on: the
/// spec, the schedule, the target, the symbols and the compiler itself. So a model that is compiled
/// again, or another one with the same kernels, gets the bytes that it would get without. Several
/// processes may use a folder at once.
class KernelCache {
public:
  /// The cache in `folder`, which is made where it does not exist, without what a week has not
  /// asked for and, above 1 GiB, without what was not asked for the longest.
  static llvm::Expected<KernelCache> open(llvm::StringRef folder);

  /// The name of a kernel's entry: 64 hexadecimal digits.
  std::string keyOf(const kernels::KernelSpec &spec, const kernels::Schedule &schedule,
                    const kernels::TargetCpu &target, llvm::StringRef symbolPrefix) const;

  /// Fills `object` from the entry `key`; false where there is none, or one that is damaged.
  bool find(llvm::StringRef key, kernels::KernelObject &object) const;

  /// Keeps `object` as the entry `key`, which appears complete or not at all.
  llvm::Error store(llvm::StringRef key, const kernels::KernelObject &object) const;

private:
  std::string folder;
  std::string compiler; // what tells this build of the compiler from others

  std::string fileOf(llvm::StringRef key) const;
};

} // namespace rapt

#endif // RAPT_COMPILER_KERNELS_KERNELCACHE_H
