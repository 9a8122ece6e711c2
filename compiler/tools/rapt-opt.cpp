//===- rapt-opt.cpp - Runs single passes over IR ---------------------------------------===//
//
// The tool of Rapt's own tests: reads MLIR in any of the dialects that appear between two stages, runs
// the passes named on the command line, prints the result. `rapt-opt --help` lists the passes.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/tools/Dialects.h"
#include "compiler/Pipeline.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  rapt::registerDialects(registry);
  rapt::registerPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Rapt pass driver\n", registry));
}
