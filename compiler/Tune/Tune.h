//===- Tune.h - Schedules by measurement -------------------------------------------*- C++ -*-===//
//
// What --tune does: the kernels that should take most of a model's time are compiled under a few
// other schedules, run on this machine, and where one is clearly faster than the cost model's
// choice, it goes into a tuning file (compiler/Schedule/Tuning.h) for later compilations.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_TUNE_TUNE_H
#define RAPT_COMPILER_TUNE_TUNE_H

#include "compiler/Schedule/Tuning.h"
#include "compiler/Schedule/Uses.h"
#include "llvm/Support/raw_ostream.h"

namespace rapt {

struct TuneOptions {
  std::string file;       // of the results; temporary files are beside it
  std::string linker;     // as in LinkOptions
  std::string libraryDir; // as in LinkOptions
  double seconds = 50;    // after which nothing more is compiled or measured
};

/// Measures candidates for `uses` on one thread and writes the tuning file. One line a kernel goes
/// to `progress`. A kernel that cannot be measured keeps its schedule and is named with the reason.
/// What is left of the model is compiled afterwards. Fails when no file can be written.
llvm::Error tune(const std::vector<KernelUse> &uses, const kernels::TargetCpu &target,
                 const TuneOptions &options, llvm::raw_ostream &progress);

/// Schedules worth trying in place of `schedule`, which is the first; only gemm and attention have
/// others. `columns` is a gemm's N.
std::vector<kernels::Schedule> candidates(const kernels::Schedule &schedule, int64_t columns,
                                          const kernels::TargetCpu &target);

} // namespace rapt

#endif // RAPT_COMPILER_TUNE_TUNE_H
