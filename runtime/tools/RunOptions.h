//===- RunOptions.h - The flags of rapt-run ----------------------------------*- C++ -*-===//
//
// Parsing only: no file is touched. Texts point into argv.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TOOLS_RUNOPTIONS_H
#define RAPT_TOOLS_RUNOPTIONS_H

#include "IoError.h"
#include "List.h"

namespace rapt::tools {

/// --input [name=]path
struct InputFile {
  const char *name = nullptr; ///< not zero-terminated; null: names come from the file
  size_t nameLength = 0;
  const char *path = nullptr;
};

/// --dim name=value
struct DimValue {
  const char *name = nullptr; ///< not zero-terminated
  size_t nameLength = 0;
  int64_t value = 0;
};

struct RunOptions {
  const char *program = "rapt-run";
  const char *modelPath = nullptr; ///< null for an embedded model
  io::List<InputFile> inputs;
  io::List<DimValue> dims;
  const char *output = nullptr;
  const char *expect = nullptr;
  double rtol = 1e-3, atol = 1e-5;
  bool random = false;
  int64_t seed = 0;
  int64_t maxInt = 2;
  int64_t repeat = 0;  ///< 0: one run, no timing
  int64_t threads = 0; ///< 0: the runtime's default
  bool profile = false;
  const char *trace = nullptr;
  bool describe = false, help = false, version = false;
};

/// False with a text for wrong usage. `embedded`: there is no model path among the arguments.
bool parseOptions(int argc, char **argv, bool embedded, RunOptions &options, io::IoError &error);

void printHelp(const RunOptions &options, bool embedded);

} // namespace rapt::tools

#endif // RAPT_TOOLS_RUNOPTIONS_H
