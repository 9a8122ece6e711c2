//===- rapt-run.cpp - Runs a compiled model from the command line ------------*- C++ -*-===//
//
// See RunOptions.cpp and GenerateMain.cpp for what it can do.
//===------------------------------------------------------------------------------------===//
#include "GenerateMain.h"
#include "RunMain.h"

#include <string.h>

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "generate") == 0)
    return rapt::tools::generateMain(argv[0], argc - 2, argv + 2);
  return rapt_run_main(argc, argv, nullptr);
}
