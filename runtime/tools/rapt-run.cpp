//===- rapt-run.cpp - Runs a compiled model from the command line ------------*- C++ -*-===//
//
// See RunOptions.cpp for what it can do.
//===------------------------------------------------------------------------------------===//
#include "RunMain.h"

int main(int argc, char **argv) { return rapt_run_main(argc, argv, nullptr); }
