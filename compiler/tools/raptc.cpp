//===- raptc.cpp - The compiler driver ---------------------------------------------------===//
//
// Parses flags and calls the pipeline. Exit codes: 0 done, 1 the model or the machine says no, 2 the
// command line is wrong.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Pipeline.h"
#include "compiler/tools/Dialects.h"

#include "frontends/onnx/Versions.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/WithColor.h"

using namespace llvm;
using rapt::Stage;

static cl::OptionCategory outputs("Outputs");
static cl::OptionCategory model("Model");
static cl::OptionCategory code("Code generation");
static cl::OptionCategory insight("Insight");

static cl::opt<std::string> input(cl::Positional, cl::desc("<model.onnx>"), cl::init(""), cl::cat(model));
static cl::opt<std::string> output(
    "o", cl::value_desc("file"), cl::cat(outputs),
    cl::desc("Output: FILE.so is a shared library, FILE.o an object with a C header beside it, any "
             "other name an executable; with --compile-to, the IR (default: stdout)"));
static cl::opt<Stage> compileTo(
    "compile-to", cl::desc("Stop after a stage and print its IR"), cl::init(Stage::Link),
    cl::cat(outputs),
    cl::values(clEnumValN(Stage::Import, "import", "ONNX operators, as imported"),
               clEnumValN(Stage::Simplify, "simplify", "shapes resolved, constants folded"),
               clEnumValN(Stage::Fuse, "fuse", "attention fused, regions formed"),
               clEnumValN(Stage::Schedule, "schedule", "a schedule for every region"),
               clEnumValN(Stage::Kernels, "kernels", "kernels named and compiled"),
               clEnumValN(Stage::Host, "host", "buffers planned, host code in the LLVM dialect"),
               clEnumValN(Stage::Link, "link", "the same, once the artifact is written")));

static cl::list<std::string> dims("dim", cl::value_desc("name=size"), cl::cat(model),
                                  cl::desc("Fix a symbolic dim, for example --dim seq=128 (repeatable)"));
static cl::opt<std::string> externalDataDir(
    "external-data-dir", cl::value_desc("dir"), cl::cat(model),
    cl::desc("Folder of the model's external data (default: the model's own)"));

enum class Kernels { Halide, Reference };
static cl::opt<std::string> targetCpu(
    "target-cpu", cl::value_desc("cpu"), cl::init("native"), cl::cat(code),
    cl::desc("native (default), x86-64, x86-64-v2, x86-64-v3, x86-64-v4, or an LLVM CPU name"));
static cl::opt<Kernels> kernels(
    "kernels", cl::desc("How kernels are made"), cl::init(Kernels::Halide), cl::cat(code),
    cl::values(clEnumValN(Kernels::Halide, "halide", "tiled Halide schedules (default)"),
               clEnumValN(Kernels::Reference, "reference", "linalg to plain loops: slow and obvious")));
static cl::opt<std::string> linker("linker", cl::value_desc("program"), cl::cat(code),
                                   cl::desc("Compiler driver that links (default: clang-22, or cc)"));
static cl::opt<std::string> runtimeDir("runtime-dir", cl::value_desc("dir"), cl::cat(code),
                                       cl::desc("Folder of librapt*.a (default: ../lib of raptc)"));

enum class ReportForm { None, Text, Json };
static cl::opt<ReportForm> reportForm(
    "report", cl::ValueOptional, cl::init(ReportForm::None), cl::cat(insight),
    cl::desc("Say on stdout what was fused, which kernels were made, and how much memory is used"),
    cl::values(clEnumValN(ReportForm::Text, "text", "for a person (default)"),
               clEnumValN(ReportForm::Json, "json", "for a program"),
               clEnumValN(ReportForm::Text, "", "")));
static cl::opt<std::string> printIrAfter(
    "print-ir-after", cl::value_desc("stage or pass"), cl::cat(insight),
    cl::desc("Print the IR to stderr after a stage or a pass, \"all\" for every stage"));
static cl::opt<bool> verbose("verbose", cl::cat(insight), cl::desc("Print the time of each stage to stderr"));
static cl::opt<bool> printCoverage("print-onnx-coverage", cl::cat(insight),
                                   cl::desc("Print the table of supported ONNX operators and exit"));

/// Fills options.dims from "name=size" words; false after an error message.
static bool parseDims(rapt::CompileOptions &options) {
  for (const std::string &word : dims) {
    auto [name, text] = StringRef(word).split('=');
    int64_t size = 0;
    if (name.empty() || text.getAsInteger(10, size) || size < 1) {
      WithColor::error(errs(), "raptc") << "expected --dim name=size with a size of at least 1, but got '"
                                        << word << "'\n";
      return false;
    }
    options.dims[name.str()] = size;
  }
  return true;
}

/// Where the build and an installation put the runtime's archives: ../lib of this program.
static std::string defaultRuntimeDir(const char *argv0) {
  std::string self = sys::fs::getMainExecutable(argv0, reinterpret_cast<void *>(&defaultRuntimeDir));
  return (sys::path::parent_path(sys::path::parent_path(self)) + "/lib").str();
}

/// Whether --print-ir-after names something that will run.
static bool isStageOrPass(StringRef name) {
  rapt::registerPasses();
  return name.empty() || name == "all" || mlir::PassInfo::lookup(name) ||
         any_of(rapt::kStages, [&](const auto &stage) { return stage.second == name; });
}

static int usageError(const Twine &text) {
  WithColor::error(errs(), "raptc") << text << "\n";
  errs() << "try 'raptc --help'\n";
  return 2;
}

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions({&outputs, &model, &code, &insight});
  cl::SetVersionPrinter([](raw_ostream &os) { os << rapt::producerText() << "\n"; });
  std::string parseErrors;
  raw_string_ostream parseStream(parseErrors);
  if (!cl::ParseCommandLineOptions(argc, argv,
                                   "Compiles an ONNX transformer to native code.\n\n"
                                   "  raptc model.onnx -o model.so\n"
                                   "  raptc model.onnx --dim seq=128 --report\n",
                                   &parseStream))
    return usageError(StringRef(parseErrors).rtrim());

  if (printCoverage) {
    outs() << rapt::onnx::onnxCoverageMarkdown();
    return 0;
  }
  if (input.empty())
    return usageError("expected a model file");
  bool printsIr = compileTo.getNumOccurrences() > 0;
  if (output.empty() && !printsIr && reportForm == ReportForm::None)
    return usageError("expected an output (-o), a stage (--compile-to) or a report (--report)");

  if (!output.empty() && sys::fs::equivalent(input, output))
    return usageError("'" + output + "' is the model; the output needs another name");
  if (printsIr && output.empty() && reportForm != ReportForm::None)
    return usageError("--compile-to and --report both print to stdout; give the IR a file (-o)");
  if (!isStageOrPass(printIrAfter))
    return usageError("--print-ir-after: '" + printIrAfter + "' is neither a stage nor a pass");

  rapt::CompileOptions options;
  options.input = input;
  options.output = printsIr ? std::string() : output.getValue();
  options.externalDataDir = externalDataDir;
  options.targetCpu = targetCpu;
  options.referenceKernels = kernels == Kernels::Reference;
  options.linker = linker;
  options.runtimeDir = runtimeDir.empty() ? defaultRuntimeDir(argv[0]) : runtimeDir.getValue();
  options.stopAfter = compileTo;
  options.printIrAfter = printIrAfter;
  options.verbose = verbose;
  options.progress = sys::Process::StandardErrIsDisplayed() && !verbose;
  if (!parseDims(options))
    return 2;

  mlir::DialectRegistry registry;
  rapt::registerDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  // One function has nothing to gain from threads, and --print-ir-after wants the passes in order.
  context.disableMultithreading();

  std::string ir;
  raw_string_ostream irStream(ir);
  rapt::Report report;
  if (!rapt::compile(options, context, irStream, report))
    return 1;
  if (printsIr) {
    // Through a temporary file and a rename, so that the file is complete or not there.
    std::string path = output.empty() ? "-" : output.getValue();
    if (Error error = writeToOutput(path, [&](raw_ostream &os) { return os << ir, Error::success(); })) {
      WithColor::error(errs(), "raptc") << "cannot write " << toString(std::move(error)) << "\n";
      return 1;
    }
  }
  if (reportForm == ReportForm::Text)
    report.printText(outs());
  else if (reportForm == ReportForm::Json)
    report.printJson(outs());
  return 0;
}
