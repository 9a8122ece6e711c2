//===- MutatePipeline.cpp - Damaged models through the compiler ------------------------------===//
//
// rapt-mutate [--count=N] [--seed=N] [--first=N] [--to=STAGE] [--limit=SECONDS] [--data=FOLDER]
//             [--messages] [--print] model...
//
// Damages each model N times, in its bytes (a bit flipped, cut short, a range overwritten) or in
// its structure (ModelMutator.h), and runs what raptc runs up to STAGE (default: kernels, without
// Halide): read, verify, inline, import, and the passes. A mutant may be compiled or refused with
// an error. It may not end by a signal (abort, sanitiser report, more than SECONDS of processor
// time), be refused without an error, or leave a pass with IR that does not verify: those are
// printed with their number, --first=NUMBER --count=1 repeats one of them, and the exit code is 1.
//
// Mutants run in child processes, a few hundred each, so that the run goes on after one that dies.
//
//===-------------------------------------------------------------------------------------===//

#include "ModelMutator.h"

#include "compiler/Pipeline.h"
#include "compiler/Schedule/Target.h"
#include "compiler/tools/Dialects.h"
#include "frontends/onnx/Import.h"
#include "frontends/onnx/Model.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <map>
#include <random>
#include <string>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace llvm;
using namespace rapt;

namespace {

cl::list<std::string> modelPaths(cl::Positional, cl::desc("<models>"), cl::OneOrMore);
cl::opt<uint64_t> count("count", cl::desc("mutants of each model"), cl::init(100));
cl::opt<uint64_t> seed("seed", cl::desc("of the changes"), cl::init(1));
cl::opt<uint64_t> first("first", cl::desc("number of the first mutant"), cl::init(0));
cl::opt<std::string> to("to", cl::desc("last stage: import to host"), cl::init("kernels"));
cl::opt<unsigned> limit("limit", cl::desc("seconds of processor time a mutant may take"),
                        cl::init(10));
cl::opt<std::string> folder("data", cl::desc("folder of external data"), cl::init("."));
cl::opt<bool> messages("messages", cl::desc("print the error of each refused mutant"));
cl::opt<bool> printIr("print", cl::desc("print the IR of each mutant as imported"));

enum Outcome { Unreadable, Refused, Compiled, Wrong, NumOutcomes };

/// What a child tells its parent, also when it dies.
struct Progress {
  uint64_t current; // mutant that runs now
  uint64_t outcomes[NumOutcomes];
};

/// Verifies after each pass; says which pass left something that does not verify, and which one
/// refused.
class VerifyEachPass : public mlir::PassInstrumentation {
public:
  VerifyEachPass(std::string &broken, std::string &refused) : broken(broken), refused(refused) {}
  void runAfterPassFailed(mlir::Pass *pass, mlir::Operation *) override {
    if (refused.empty())
      refused = pass->getArgument().str();
  }
  void runAfterPass(mlir::Pass *pass, mlir::Operation *op) override {
    if (broken.empty() && failed(mlir::verify(op)))
      broken = pass->getArgument().str();
  }

private:
  std::string &broken, &refused;
};

/// Few damaged bytes, anywhere.
void damage(std::vector<uint8_t> &bytes, std::mt19937_64 &random) {
  if (bytes.empty())
    return;
  size_t at = random() % bytes.size();
  size_t length = std::min<size_t>(1 + random() % 16, bytes.size() - at);
  switch (random() % 5) {
  case 0:
    bytes.resize(at);
    return;
  case 1:
    bytes.erase(bytes.begin() + at, bytes.begin() + at + length);
    return;
  case 2:
    std::fill_n(bytes.begin() + at, length, 0xff);
    return;
  default:
    bytes[at] ^= 1 << random() % 8;
  }
}

class Runner {
public:
  Runner(StringRef path, StringRef text, Stage last) : path(path), text(text), last(last) {
    target = cantFail(resolveTarget("x86-64-v3"));
  }

  Outcome run(uint64_t number);

private:
  Outcome passes(onnx::Model &model);
  Outcome refuse(Outcome outcome, llvm::Error error) {
    std::string text = llvm::toString(std::move(error));
    if (messages)
      outs() << path << " #" << number << ": " << text << "\n";
    return text.empty() ? Wrong : outcome;
  }

  StringRef path, text;
  Stage last;
  kernels::TargetCpu target;
  uint64_t number = 0;
};

Outcome Runner::run(uint64_t which) {
  number = which;
  std::seed_seq mix{seed.getValue(), number};
  std::mt19937_64 random(mix);
  std::vector<uint8_t> bytes(text.begin(), text.end());
  bool structure = number % 8 != 0; // damaged bytes rarely get far
  if (!structure)
    damage(bytes, random);
  bytes.shrink_to_fit();
  auto model = onnx::parseModel(bytes, folder);
  if (!model)
    return refuse(Unreadable, model.takeError());
  if (structure) {
    onnx::test::ModelMutator mutator(**model, random());
    for (uint64_t changes = 1 + (random() % 3) * (random() % 3); changes > 0; --changes)
      mutator.change();
  }
  if (Error error = onnx::verifyModel(**model))
    return refuse(Unreadable, std::move(error));
  if (Error error = onnx::inlineFunctions(**model))
    return refuse(Refused, std::move(error));
  return passes(**model);
}

Outcome Runner::passes(onnx::Model &model) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  std::string error, broken, refused;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error && error.empty())
      error = diagnostic.str();
    return mlir::success();
  });
  auto finish = [&](bool done) {
    if (messages && !error.empty())
      outs() << path << " #" << number << ": " << error << "\n";
    if (!broken.empty())
      errs() << path << " #" << number << ": " << broken << " leaves: " << error << "\n";
    else if (!done && error.empty())
      errs() << path << " #" << number << ": refused without an error by "
             << (refused.empty() ? "import" : refused) << "\n";
    else
      return done ? Compiled : Refused;
    return Wrong;
  };

  mlir::OwningOpRef<mlir::ModuleOp> module = onnx::importModel(model, {}, context);
  if (!module)
    return finish(false);
  if (printIr)
    module->print(outs());
  if (failed(mlir::verify(*module))) {
    broken = "import";
    return finish(false);
  }
  mlir::PassManager manager(&context, mlir::ModuleOp::getOperationName());
  manager.enableVerifier(false); // VerifyEachPass does it, and knows whose fault it is
  manager.addInstrumentation(std::make_unique<VerifyEachPass>(broken, refused));
  buildPasses(manager, last, target, last == Stage::Host);
  return finish(succeeded(manager.run(*module)) && broken.empty());
}

/// Runs mutants [first, first + count) of one model; false when one was wrong.
bool runModel(StringRef path, StringRef text, Stage last, uint64_t (&total)[NumOutcomes]) {
  auto *progress = static_cast<Progress *>(
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  *progress = {};
  for (uint64_t next = first, end = first + count; next < end;) {
    outs().flush();
    pid_t child = fork();
    if (child == 0) {
      Runner runner(path, text, last);
      for (uint64_t stop = std::min(end, next + 200); next < stop; ++next) {
        progress->current = next;
        itimerval time{{0, 0}, {static_cast<time_t>(limit), 0}};
        setitimer(ITIMER_PROF, &time, nullptr); // SIGPROF ends the process
        ++progress->outcomes[runner.run(next)];
      }
      outs().flush();
      _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
      errs() << "rapt-mutate: cannot start a process\n";
      return false;
    }
    next = progress->current + 1;
    if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0) {
      ++progress->outcomes[Wrong];
      errs() << path << " #" << progress->current << ": ";
      if (!WIFSIGNALED(status))
        errs() << "exit code " << WEXITSTATUS(status) << "\n";
      else if (WTERMSIG(status) == SIGPROF)
        errs() << "takes more than " << limit << " s\n";
      else
        errs() << "signal " << WTERMSIG(status) << "\n";
    }
  }
  for (unsigned i = 0; i < NumOutcomes; ++i)
    total[i] += progress->outcomes[i];
  bool good = progress->outcomes[Wrong] == 0;
  munmap(progress, sizeof(Progress));
  return good;
}

} // namespace

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "Damaged models through the compiler\n");
  Stage last = Stage::Link;
  for (const auto &[stage, name] : kStages)
    if (name == to)
      last = stage;
  if (last == Stage::Link) {
    errs() << "rapt-mutate: expected a stage from import to host, but got '" << to << "'\n";
    return 2;
  }
  uint64_t total[NumOutcomes] = {};
  bool good = true;
  for (const std::string &path : modelPaths) {
    auto file = MemoryBuffer::getFile(path);
    if (!file) {
      errs() << "rapt-mutate: cannot read " << path << "\n";
      return 1;
    }
    good &= runModel(path, (*file)->getBuffer(), last, total);
  }
  outs() << "unreadable " << total[Unreadable] << ", refused " << total[Refused] << ", compiled "
         << total[Compiled] << ", wrong " << total[Wrong] << "\n";
  return good ? 0 : 1;
}
