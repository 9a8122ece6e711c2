//===- raptc.cpp - The compiler driver ---------------------------------------------------===//
//
// Parses flags, checks what can be checked before minutes of work, calls the pipeline. Exit codes:
// 0 done, 1 the model or the machine says no, 2 the command line is wrong.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/Link.h"
#include "compiler/Pipeline.h"
#include "compiler/Schedule/Target.h"
#include "compiler/tools/Dialects.h"

#include "frontends/onnx/Versions.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/StringExtras.h"
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

/// What is wrong with the values of flags that have choices, in raptc's own words: LLVM's parser
/// would say neither the flag as it was given nor the choices.
static std::string wrongChoices;

/// One of the flag's cl::values.
template <typename Choice> class ChoiceParser : public cl::parser<Choice> {
public:
  using cl::parser<Choice>::parser;

  /// True for a value that is none of them; it is then in wrongChoices.
  bool parse(cl::Option &option, StringRef, StringRef given, Choice &result) {
    std::string expected;
    for (const auto &known : this->Values) {
      if (known.Name == given) {
        result = known.V.getValue();
        return false;
      }
      if (!known.Name.empty())
        expected += (expected.empty() ? "" : ", ") + known.Name.str();
    }
    wrongChoices += (wrongChoices.empty() ? "--" : "; --") + option.ArgStr.str() + " is '" +
                    given.str() + "', expected one of " + expected;
    return true;
  }
};
template <typename Choice>
using ChoiceFlag = cl::opt<Choice, /*ExternalStorage=*/false, ChoiceParser<Choice>>;

static cl::opt<std::string> input(cl::Positional, cl::desc("<model.onnx>"), cl::init(""),
                                  cl::cat(model));
static cl::opt<std::string> output(
    "o", cl::value_desc("file"), cl::cat(outputs),
    cl::desc("Output: FILE.so is a shared library, FILE.o an object with a C header beside it, any "
             "other name an executable; with --compile-to, the IR (default: stdout)"));
static ChoiceFlag<Stage> compileTo(
    "compile-to", cl::desc("Stop after a stage and print its IR"), cl::init(Stage::Link),
    cl::cat(outputs),
    cl::values(clEnumValN(Stage::Import, "import", "ONNX operators, as imported"),
               clEnumValN(Stage::Simplify, "simplify", "shapes resolved, constants folded"),
               clEnumValN(Stage::Fuse, "fuse", "attention fused, regions formed"),
               clEnumValN(Stage::Schedule, "schedule", "a schedule for every region"),
               clEnumValN(Stage::Kernels, "kernels", "kernels named and compiled"),
               clEnumValN(Stage::Host, "host", "buffers planned, host code in the LLVM dialect"),
               clEnumValN(Stage::Link, "link", "the same, headed by a list of what is linked")));

static cl::list<std::string>
    dims("dim", cl::value_desc("name=size"), cl::cat(model),
         cl::desc("Fix a symbolic dim, for example --dim seq=128 (repeatable)"));
static cl::list<std::string> values(
    "set", cl::value_desc("name=value"), cl::cat(model),
    cl::desc("Make a graph input a constant, for example --set use_cache=true or --set n=1,2,3 "
             "(row-major, repeatable)"));
static cl::opt<std::string>
    externalDataDir("external-data-dir", cl::value_desc("dir"), cl::cat(model),
                    cl::desc("Folder of the model's external data (default: the model's own)"));

enum class Kernels { Halide, Reference };
static cl::opt<std::string> targetCpu(
    "target-cpu", cl::value_desc("cpu"), cl::init("native"), cl::cat(code),
    cl::desc("native (default), x86-64, x86-64-v2, x86-64-v3, x86-64-v4, or an LLVM CPU name"));
static ChoiceFlag<Kernels>
    kernels("kernels", cl::desc("How kernels are made"), cl::init(Kernels::Halide), cl::cat(code),
            cl::values(clEnumValN(Kernels::Halide, "halide", "tiled Halide schedules (default)"),
                       clEnumValN(Kernels::Reference, "reference",
                                  "linalg to plain loops: slow and obvious")));
enum class Attention { Auto, Strip, Unfused, Decode };
static ChoiceFlag<Attention> attention(
    "attention", cl::desc("Variant of every attention kernel"), cl::init(Attention::Auto),
    cl::cat(code),
    cl::values(clEnumValN(Attention::Auto, "auto", "by shape (default)"),
               clEnumValN(Attention::Strip, "strip", "all scores of a block of queries in a cache"),
               clEnumValN(Attention::Unfused, "unfused", "all scores in memory, step by step"),
               clEnumValN(Attention::Decode, "decode",
                          "keys and values read in place, for few queries")));
static cl::opt<std::string>
    tuning("tuning", cl::value_desc("file"), cl::cat(code),
           cl::desc("Schedules that come before those of the cost model (docs/kernels.md)"));
static cl::opt<std::string> tune(
    "tune", cl::ValueOptional, cl::value_desc("file"), cl::cat(code),
    cl::desc("Measure schedules on this machine for up to a minute, at the sizes that --assume "
             "gives, write those that win to a file for --tuning, and compile with it "
             "(default: <model>.tuning.json in this folder)"));
static cl::opt<std::string>
    kernelCache("kernel-cache", cl::value_desc("dir"), cl::cat(code),
                cl::desc("Folder that keeps compiled kernels for later compilations, up to 1 GiB "
                         "(default: RAPT_KERNEL_CACHE of the environment; empty: none)"));
static cl::opt<std::string>
    linker("linker", cl::value_desc("program"), cl::cat(code),
           cl::desc("Compiler driver that links (default: the one found when Rapt was built)"));
static cl::opt<std::string> runtimeDir("runtime-dir", cl::value_desc("dir"), cl::cat(code),
                                       cl::desc("Folder of librapt*.a (default: ../lib of raptc)"));

enum class ReportForm { None, Text, Json };
static ChoiceFlag<ReportForm> reportForm(
    "report", cl::ValueOptional, cl::init(ReportForm::None), cl::cat(insight),
    cl::desc("Say on stdout what was fused, which kernels were made, and how much memory is used"),
    cl::values(clEnumValN(ReportForm::Text, "text", "for a person (default)"),
               clEnumValN(ReportForm::Json, "json", "for a program"),
               clEnumValN(ReportForm::Text, "", "")));
static cl::list<std::string> assume(
    "assume", cl::value_desc("name=size"), cl::cat(insight),
    cl::desc("Size of a symbolic dim for which --report predicts times and --tune measures them "
             "(repeatable; default: 1 for a dim that comes first in every input, else 128)"));
static cl::opt<std::string> printIrAfter(
    "print-ir-after", cl::value_desc("stage or pass"), cl::cat(insight),
    cl::desc("Print the IR to stderr after a stage or a pass, \"all\" for every stage"));
static cl::opt<bool> verbose("verbose", cl::cat(insight),
                             cl::desc("Print the time of each stage to stderr"));
static cl::opt<bool>
    printCoverage("print-onnx-coverage", cl::cat(insight),
                  cl::desc("Print the table of supported ONNX operators and exit"));

static raw_ostream &errorStream() { return WithColor::error(errs(), "raptc"); }

static int usageError(const Twine &text) {
  errorStream() << text << "\n";
  errs() << "try 'raptc --help'\n";
  return 2;
}

/// For what LLVM's parser of the command line wrote: its own prefix and hint at --help go.
static int parserError(StringRef text) {
  SmallVector<StringRef> lines;
  text.trim().split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  std::string said;
  for (StringRef line : lines) {
    line.consume_front("raptc: ");
    line = line.take_front(line.find("  Try: ")).split(": See: ").first.rtrim(".!");
    said += (said.empty() ? "" : "; ") + std::string(1, toLower(line.front()));
    said += line.drop_front();
  }
  if (!wrongChoices.empty())
    said += (said.empty() ? "" : "; ") + wrongChoices;
  if (!said.empty())
    return usageError(said);
  errs() << "try 'raptc --help'\n"; // the parser has printed what is wrong with a value
  return 2;
}

/// Fills `sizes` from the "name=size" words of --`flag`; an empty text, or what is wrong.
static std::string parseSizes(StringRef flag, const cl::list<std::string> &words,
                              std::map<std::string, int64_t> &sizes) {
  for (const std::string &word : words) {
    auto [name, text] = StringRef(word).split('=');
    int64_t size = 0;
    if (name.empty() || text.getAsInteger(10, size) || size < 0)
      return ("expected --" + flag + " name=size with a size of at least 0, but got '" + word + "'")
          .str();
    if (!sizes.emplace(name.str(), size).second)
      return ("--" + flag + " gives '" + name + "' twice").str();
  }
  return "";
}

/// Fills options.values from "name=a,b,c" words; an empty text, or what is wrong.
static std::string parseValues(rapt::CompileOptions &options) {
  for (const std::string &word : values) {
    auto [name, text] = StringRef(word).split('=');
    if (name.empty() || name.size() == word.size())
      return "expected --set name=value or name=value,value,..., but got '" + word + "'";
    std::vector<std::string> elements;
    if (!text.empty())
      for (StringRef element : split(text, ','))
        elements.push_back(element.trim().str());
    if (!options.values.emplace(name.str(), elements).second)
      return "--set gives '" + name.str() + "' twice";
  }
  return "";
}

/// The variant that --attention names; none for auto.
static std::optional<rapt::kernels::Schedule::Variant> chosenAttention() {
  using Variant = rapt::kernels::Schedule::Variant;
  switch (attention) {
  case Attention::Auto:
    return std::nullopt;
  case Attention::Strip:
    return Variant::Strip;
  case Attention::Unfused:
    return Variant::Unfused;
  case Attention::Decode:
    return Variant::Decode;
  }
  llvm_unreachable("covered switch");
}

/// Where the build and an installation put the runtime's archives: ../lib of this program.
static std::string defaultRuntimeDir(const char *argv0) {
  std::string self =
      sys::fs::getMainExecutable(argv0, reinterpret_cast<void *>(&defaultRuntimeDir));
  return (sys::path::parent_path(sys::path::parent_path(self)) + "/lib").str();
}

/// Whether a pass of this name is among those that the stages up to --compile-to consist of.
static bool runsPass(StringRef name, const rapt::kernels::TargetCpu &target) {
  mlir::OpPassManager passes(mlir::ModuleOp::getOperationName());
  rapt::buildPasses(passes, compileTo, target, kernels == Kernels::Reference);
  std::string text; // builtin.module(func.func(simplify-shapes),cse,...)
  raw_string_ostream stream(text);
  passes.printAsTextualPipeline(stream);
  SmallVector<StringRef> words;
  SplitString(text, words, "(){}, ");
  return is_contained(words, name);
}

/// Whether --print-ir-after names something that runs; an empty text, or what is wrong.
static std::string checkPrintIrAfter(const rapt::kernels::TargetCpu &target) {
  const std::string &name = printIrAfter;
  if (name.empty() || name == "all")
    return "";
  std::string notReached = "--print-ir-after: '" + name +
                           "' does not run with --compile-to=" + rapt::stageName(compileTo).str();
  for (const auto &[stage, stageName] : rapt::kStages)
    if (stageName == name)
      return stage <= compileTo ? "" : notReached;
  rapt::registerPasses();
  if (!mlir::PassInfo::lookup(name))
    return "--print-ir-after: '" + name + "' is neither a stage nor a pass";
  return runsPass(name, target) ? "" : notReached;
}

/// Whether a file can appear at the output's place; an empty text, or the reason why not.
static std::string checkOutput(bool printsIr) {
  if (output.empty() || output == "-")
    return "";
  sys::fs::file_status status;
  bool exists = !sys::fs::status(output, status);
  std::string cannot = "cannot write '" + output + "': ";
  if (exists && sys::fs::is_directory(status))
    return cannot + "it is a folder";
  SmallString<128> path(output.getValue());
  if (exists && !sys::fs::is_regular_file(status)) // IR may go to a device; artifacts are renamed
    return printsIr ? "" : cannot + "it is not a regular file";
  if (!sys::fs::make_absolute(path) && path.str().contains('%'))
    return cannot + "the '%' in '" + path.str().str() + "' is taken for a place to fill in";
  StringRef folder = sys::path::parent_path(output);
  if (std::error_code code =
          sys::fs::access(folder.empty() ? "." : folder, sys::fs::AccessMode::Write))
    return cannot + "its folder: " + code.message();
  return "";
}

/// A context with Rapt's dialects.
static std::unique_ptr<mlir::MLIRContext> makeContext() {
  mlir::DialectRegistry registry;
  rapt::registerDialects(registry);
  auto context = std::make_unique<mlir::MLIRContext>(registry);
  // Nobody sees the notes, and each numbers all values of the module to print an operation.
  context->printOpOnDiagnostic(false);
  context->loadAllAvailableDialects();
  // One function has nothing to gain from threads, and --print-ir-after wants the passes in order.
  context->disableMultithreading();
  return context;
}

/// The file that --tune writes.
static std::string tuneFile() {
  return tune.empty() ? (sys::path::stem(input) + ".tuning.json").str() : tune.getValue();
}

/// Whether the flags fit each other; an empty text, or what is wrong.
static std::string checkFlags() {
  bool printsIr = compileTo.getNumOccurrences() > 0, tunes = tune.getNumOccurrences() > 0;
  bool reports = reportForm != ReportForm::None, isReference = kernels == Kernels::Reference;
  if (input.empty())
    return "expected a model file";
  if (output.empty() && !printsIr && !reports && !tunes)
    return "expected an output (-o), a stage (--compile-to), a report (--report) or --tune";
  if (tunes && !tuning.empty())
    return "--tune writes what --tuning reads; expected one of them";
  if (tunes && isReference)
    return "--tune measures schedules, and --kernels=reference has none";
  if (attention != Attention::Auto && isReference)
    return "--attention chooses among Halide's kernels; --kernels=reference has none";
  if (output == "-" && !printsIr)
    return "an artifact is not written to stdout; -o needs the name of a file";
  if (printsIr && output.empty() && reports)
    return "--compile-to and --report both print to stdout; give the IR a file (-o)";
  return "";
}

/// The files that -o stands for.
static std::vector<std::string> outputFiles() {
  if (output.empty())
    return {};
  if (compileTo.getNumOccurrences() > 0)
    return {output};
  return rapt::artifactFiles(output);
}

/// Whether no file is read and written; an empty text, or what is wrong.
static std::string checkFiles() {
  for (const std::string &file : outputFiles())
    if (sys::fs::equivalent(input, file))
      return "'" + file + "' is the model; the output needs another name";
  if (tune.getNumOccurrences() > 0 && sys::fs::equivalent(input, tuneFile()))
    return "'" + tuneFile() + "' is the model; --tune needs another name";
  return "";
}

/// Fills `options` from the flags; an empty text, or what is wrong with one of them.
static std::string readOptions(const char *argv0, rapt::CompileOptions &options) {
  options.input = input;
  options.output = compileTo.getNumOccurrences() > 0 ? std::string() : output.getValue();
  options.writes = outputFiles();
  if (tune.getNumOccurrences() > 0)
    options.writes.push_back(tuneFile());
  options.externalDataDir = externalDataDir;
  options.targetCpu = targetCpu;
  options.tuning = tuning;
  options.kernelCache = kernelCache;
  if (kernelCache.getNumOccurrences() == 0)
    options.kernelCache = sys::Process::GetEnv("RAPT_KERNEL_CACHE").value_or("");
  options.referenceKernels = kernels == Kernels::Reference;
  options.attention = chosenAttention();
  options.linker = linker;
  options.runtimeDir = runtimeDir.empty() ? defaultRuntimeDir(argv0) : runtimeDir.getValue();
  options.stopAfter = compileTo;
  options.printIrAfter = printIrAfter;
  options.verbose = verbose;
  options.progress = sys::Process::StandardErrIsDisplayed() && !verbose;
  Expected<rapt::kernels::TargetCpu> target = rapt::resolveTarget(targetCpu);
  if (!target)
    return toString(target.takeError());
  std::string wrong = checkPrintIrAfter(*target);
  if (wrong.empty())
    wrong = parseSizes("dim", dims, options.dims);
  if (wrong.empty())
    wrong = parseSizes("assume", assume, options.assume);
  return wrong.empty() ? parseValues(options) : wrong;
}

/// To a device or a pipe, whose place a rename would take.
static Error writeInPlace(StringRef path, StringRef text) {
  std::error_code code;
  raw_fd_ostream os(path, code, sys::fs::CD_OpenExisting);
  if (code)
    return createFileError(path, code);
  os << text;
  os.close();
  code = os.error();
  os.clear_error(); // its destructor ends the program otherwise
  return code ? createFileError(path, code) : Error(Error::success());
}

/// Writes what --compile-to prints: through a temporary file and a rename, so that the file is
/// complete or not there.
static bool writeIr(StringRef ir) {
  auto write = [&](raw_ostream &os) {
    os << ir;
    return Error::success();
  };
  std::string to = output.empty() ? "-" : output.getValue();
  bool isDevice = to != "-" && sys::fs::exists(to) && !sys::fs::is_regular_file(to);
  Error error = isDevice ? writeInPlace(to, ir) : writeToOutput(to, write);
  if (!error)
    return true;
  errorStream() << "cannot write " << toString(std::move(error)) << "\n";
  return false;
}

/// False when a diagnostic or a text on stderr says what failed.
static bool run(rapt::CompileOptions &options) {
  bool printsIr = compileTo.getNumOccurrences() > 0;
  if (tune.getNumOccurrences() > 0) {
    if (!rapt::tuneSchedules(options, *makeContext(), tuneFile(), errs()))
      return false;
    options.tuning = tuneFile();
    if (output.empty() && !printsIr && reportForm == ReportForm::None)
      return true;
  }
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  std::string ir;
  raw_string_ostream irStream(ir);
  rapt::Report report;
  if (!rapt::compile(options, *context, irStream, report) || (printsIr && !writeIr(ir)))
    return false;
  if (reportForm == ReportForm::Text)
    report.printText(outs());
  else if (reportForm == ReportForm::Json)
    report.printJson(outs());
  return true;
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
    return parserError(parseErrors);
  if (printCoverage) {
    outs() << rapt::onnx::onnxCoverageMarkdown();
    return 0;
  }
  rapt::CompileOptions options;
  std::string wrong = checkFlags();
  if (wrong.empty())
    wrong = checkFiles();
  if (wrong.empty())
    wrong = readOptions(argv[0], options);
  if (!wrong.empty())
    return usageError(wrong);
  std::string cannot = checkOutput(compileTo.getNumOccurrences() > 0);
  if (!cannot.empty()) {
    errorStream() << cannot << "\n";
    return 1;
  }
  return run(options) ? 0 : 1;
}
