//===- rapt-opt.cpp - Runs single passes over IR ---------------------------------------===//
//
// The tool of Rapt's own tests: reads MLIR in any of the dialects that appear between two stages,
// runs the passes named on the command line, prints the result. The flags are upstream's; --help
// lists Rapt's passes, and leaves the rest (LLVM has hundreds) to --help-hidden.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Pipeline.h"
#include "compiler/tools/Dialects.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"

/// printRegisteredPasses writes to stdout by itself, so the rest goes there too.
static void printHelp() {
  llvm::outs() << "usage: rapt-opt [options] [FILE.mlir]\n\n"
                  "Runs passes over MLIR and prints the result. Without a file it reads stdin.\n\n"
                  "  -o FILE                    the output (default: stdout)\n"
                  "  --PASS                     run a pass, in the order of the command line\n"
                  "  --pass-pipeline=PIPELINE   run a textual pipeline: "
                  "\"builtin.module(func.func(fuse-lower),cse)\"\n"
                  "  --split-input-file         each part between lines of // ----- by itself\n"
                  "  --verify-diagnostics       compare errors with // expected-error comments\n"
                  "  --mlir-print-ir-after-all  the IR after every pass, on stderr\n"
                  "  --help-hidden              every option of MLIR and LLVM\n"
                  "  --version, --help\n\n";
  llvm::outs().flush();
  mlir::printRegisteredPasses();
}

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  rapt::registerDialects(registry);
  rapt::registerPasses();
  for (llvm::StringRef argument : llvm::ArrayRef(argv, argc).drop_front())
    if (argument == "--help" || argument == "-help" || argument == "-h") {
      printHelp();
      return 0;
    }
  llvm::cl::SetVersionPrinter(
      [](llvm::raw_ostream &os) { os << "rapt-opt, with " << rapt::producerText() << "\n"; });
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Runs Rapt's passes over MLIR\n", registry));
}
