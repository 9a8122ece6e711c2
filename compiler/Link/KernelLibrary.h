//===- KernelLibrary.h - One kernel as a shared library ---------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_KERNELLIBRARY_H
#define RAPT_COMPILER_LINK_KERNELLIBRARY_H

#include "compiler/Link/TempDir.h"

namespace rapt::link {

/// Links a kernel's object (ELF bytes) to a shared library, file `name` of `dir`, that exports the
/// kernel's symbols. `linker` and `libraryDir` are as in LinkOptions. The library's path, or what
/// the linker said.
llvm::Expected<std::string> linkKernelLibrary(const TempDir &dir, llvm::StringRef linker,
                                              llvm::StringRef libraryDir, llvm::StringRef object,
                                              const llvm::Twine &name);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_KERNELLIBRARY_H
