//===- GenerateMain.h - The command line of rapt-run generate ----------------*- C++ -*-===//
#ifndef RAPT_TOOLS_GENERATEMAIN_H
#define RAPT_TOOLS_GENERATEMAIN_H

namespace rapt::tools {

/// The arguments after "rapt-run generate". Returns the exit code: 0 done, 1 an error, 2 wrong
/// usage.
int generateMain(const char *program, int argc, char **argv);

} // namespace rapt::tools

#endif // RAPT_TOOLS_GENERATEMAIN_H
