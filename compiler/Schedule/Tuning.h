//===- Tuning.h - Schedules that a file decides -----------------------------------*- C++ -*-===//
//
// A tuning file overrides what the cost model chooses. JSON:
//
//   {"rapt_tuning": 1,
//    "kernels": [
//      {"target": "znver4",
//       "computes": {"kind": "gemm", "type": "f32", "rows": "dynamic", "depth": 384,
//                    "columns": 1536},
//       "schedule": {"tile_rows": 8, "tile_cols": 48, "prefetch": 1}},
//      {"computes": {"kind": "attention", "head_dim": 32},
//       "schedule": {"variant": "strip", "block_query": 16}}]}
//
// An entry fits a kernel that computes all it says, whatever the kernel is called and wherever it
// is in the model; what it leaves out may be anything, `kind` excepted. The first entry that fits
// decides the parameters that it names, the cost model the others.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_SCHEDULE_TUNING_H
#define RAPT_COMPILER_SCHEDULE_TUNING_H

#include "compiler/Kernels/KernelSpec.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <functional>
#include <string>
#include <vector>

namespace mlir {
class MLIRContext;
}

namespace rapt {

/// What a kernel computes, as far as its schedule depends on it: for gemm `kind`, `type`, `rows`,
/// `depth`, `columns`, for attention `kind`, `type`, `heads`, `kv_heads`, `head_dim`, `value_dim`,
/// `queries`, `keys`, `causal`, `window`, `bias`, `mask`. A size that depends on the model's inputs
/// is "dynamic". Empty for any other recipe. `isWeight` is as matchGemm wants it.
llvm::json::Object computes(const kernels::KernelSpec &spec, kernels::Schedule::Recipe recipe,
                            const std::function<bool(int input)> &isWeight);

class TuningTable {
public:
  struct Entry {
    std::string target; // TargetCpu::cpu; empty: any
    llvm::json::Object computes, schedule;
  };

  /// Reads a tuning file. `target` is what is compiled for: entries for another one are left out
  /// once their form was checked. Errors name the file, the entry, the key, the value seen and the
  /// values allowed.
  static llvm::Expected<TuningTable> read(llvm::StringRef path, const kernels::TargetCpu &target,
                                          mlir::MLIRContext &context);

  /// `schedule`, which the cost model chose for a kernel that computes `what`, as the table has it.
  kernels::Schedule apply(const llvm::json::Object &what, const kernels::Schedule &schedule,
                          mlir::MLIRContext &context) const;

  bool empty() const { return entries.empty(); }

private:
  std::vector<Entry> entries;
};

/// Writes entries as a tuning file.
void printTuning(const std::vector<TuningTable::Entry> &entries, llvm::raw_ostream &os);

} // namespace rapt

#endif // RAPT_COMPILER_SCHEDULE_TUNING_H
