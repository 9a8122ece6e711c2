//===- KernelLibrary.cpp - One kernel as a shared library -------------------------------===//
//
// What --tune runs: the object that an artifact would contain, with the same glue to the context.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/KernelLibrary.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace rapt;

Expected<std::string> link::linkKernelLibrary(const TempDir &dir, StringRef linker,
                                              StringRef libraryDir, StringRef object,
                                              const Twine &name) {
  std::string objectPath = dir.file(name + ".o"), path = dir.file(name + ".so");
  if (Error error = dir.write(objectPath, object))
    return std::move(error);
  SmallString<128> glue(libraryDir);
  sys::path::append(glue, "librapt_glue.a");
  if (Error error = runTool(dir, linker.empty() ? RAPT_CLANG : linker,
                            {"-fuse-ld=lld", "-shared", "-nostartfiles", "-o", path, objectPath,
                             glue.str().str(), "-Wl,--no-undefined", "-lm"}))
    return std::move(error);
  return path;
}
