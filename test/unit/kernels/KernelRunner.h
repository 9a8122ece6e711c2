//===- KernelRunner.h - Compiles, loads and calls one kernel -------------------*- C++ -*-===//
//
// What the artifact does with a kernel, in small: emitKernel, lld, dlopen, buffers, call. Every
// buffer and every block of scratch memory ends at an unmapped page (or starts after one), so that
// a kernel that reads or writes outside dies. Scratch memory is counted per thread and compared
// with the bound that the kernel announced.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_TEST_UNIT_KERNELS_KERNELRUNNER_H
#define RAPT_TEST_UNIT_KERNELS_KERNELRUNNER_H

#include "SpecInterpreter.h"

#include <string>

namespace rapt::kernels::test {

/// The machine that the tests run on: its widest vectors, or AVX2 with `narrow`.
TargetCpu hostCpu(bool narrow = false);

/// Names that the object imports.
std::vector<std::string> importedSymbols(const std::string &object);

class LoadedKernel {
public:
  LoadedKernel(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &cpu);
  ~LoadedKernel();
  LoadedKernel(const LoadedKernel &) = delete;

  bool ok() const { return handle != nullptr; }
  std::string error;
  KernelObject object;

  enum class Guard { After, Before };
  /// Runs on inputs in the interpreter's form; gives the outputs in the same form.
  std::vector<Values> run(const std::vector<int64_t> &dims, const std::vector<Values> &inputs,
                          int threads = 1, Guard guard = Guard::After);
  /// Best seconds of one call, of `repeat`, on `inputs`, or on random f32 buffers (integers zero).
  /// With several `copies` the calls take turns on as many sets of buffers, so that none is in a
  /// cache when its turn comes; where the kernel has packed weights, only of those.
  double time(const std::vector<int64_t> &dims, int repeat, int threads, int copies = 1,
              const std::vector<Values> *inputs = nullptr);

  /// The last run's largest scratch memory of any thread, and what the kernel announced for it.
  int64_t scratchUsed = 0, scratchBound = 0;

private:
  struct Call;
  void *variant(const std::vector<int64_t> &dims) const;
  const KernelSpec spec;
  void *handle = nullptr;
};

} // namespace rapt::kernels::test

#endif // RAPT_TEST_UNIT_KERNELS_KERNELRUNNER_H
