//===- Pipeline.h - The stages of a compilation ----------------------------------*- C++ -*-===//
//
// What runs when, and what each stop of the driver means. Pipeline.cpp is the one list.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_PIPELINE_H
#define RAPT_COMPILER_PIPELINE_H

#include "compiler/Kernels/KernelSpec.h"
#include "compiler/Report.h"
#include "compiler/Schedule/Tuning.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringRef.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace mlir {
class OpPassManager;
}

namespace rapt {

/// The stops of the driver, in order. The IR after each can be printed, and read back by rapt-opt.
enum class Stage { Import, Simplify, Fuse, Schedule, Kernels, Host, Link };

inline constexpr std::pair<Stage, llvm::StringLiteral> kStages[] = {
    {Stage::Import, "import"},     {Stage::Simplify, "simplify"}, {Stage::Fuse, "fuse"},
    {Stage::Schedule, "schedule"}, {Stage::Kernels, "kernels"},   {Stage::Host, "host"},
    {Stage::Link, "link"}};

/// "import", "simplify", ...
llvm::StringRef stageName(Stage stage);

struct CompileOptions {
  std::string input;                   // .onnx or ONNX text
  std::string output;                  // .so, .o, or anything else for an executable; empty: none
  std::vector<std::string> writes;     // files to be written; none may be one that is read
  std::string externalDataDir;         // where external data lies; empty: beside the model
  std::map<std::string, int64_t> dims; // symbolic dims to specialise
  std::map<std::string, std::vector<std::string>> values; // elements of inputs made constants
  std::map<std::string, int64_t> assume; // sizes of symbolic dims that predictions are made for
  std::string targetCpu = "native";
  bool referenceKernels = false;                       // --kernels=reference
  std::optional<kernels::Schedule::Variant> attention; // --attention; none: chosen by shape
  std::string
      kernelCache;    // folder of compiled kernels (compiler/Kernels/KernelCache.h); empty: none
  std::string tuning; // file of schedules (compiler/Schedule/Tuning.h); empty: none
  std::string linker; // empty: the one found when Rapt was built
  std::string runtimeDir; // folder of librapt*.a
  Stage stopAfter = Stage::Link;
  std::string printIrAfter; // a stage's or pass's name; empty: none
  bool verbose = false;     // times per stage on stderr
  bool progress = false;    // a line on stderr that says what runs
};

/// Runs the stages up to `stopAfter` on `options.input`. With a stop before Link, or at Link
/// without an output, the IR then goes to `irOutput`. Fills `report` with what was reached. Every
/// failure has been reported as a diagnostic on `context` when this returns false; no output file
/// is then left behind.
bool compile(const CompileOptions &options, mlir::MLIRContext &context, llvm::raw_ostream &irOutput,
             Report &report);

/// Runs the stages up to Schedule on `options.input`, measures other schedules for its kernels and
/// writes them to the tuning file `file` (compiler/Tune/Tune.h); what is found is said on
/// `progress`. False when a diagnostic on `context` says what failed.
bool tuneSchedules(const CompileOptions &options, mlir::MLIRContext &context,
                   const std::string &file, llvm::raw_ostream &progress);

/// Adds the passes of the stages Simplify to `last` (at most Host), as `compile` runs them on the
/// imported module; what is not a pass (Halide, reports) is left out. For tools that look at each
/// pass.
void buildPasses(mlir::OpPassManager &pm, Stage last, const kernels::TargetCpu &target,
                 bool referenceKernels, std::shared_ptr<const TuningTable> tuning = nullptr);

/// Makes every pass of Rapt known to the pass registry (for rapt-opt and textual pipelines).
void registerPasses();

/// "raptc 0.1.0 (LLVM 22.1.8, Halide 21.0.0)"
std::string producerText();

} // namespace rapt

#endif // RAPT_COMPILER_PIPELINE_H
