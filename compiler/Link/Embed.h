//===- Embed.h - The weights' bytes into a linked file ----------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_EMBED_H
#define RAPT_COMPILER_LINK_EMBED_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace rapt::link {

/// Writes the ELF file `linked`, whose weights section (kWeightsSection, SHT_NOBITS) has a size and
/// no bytes, to `stream` with that section filled by `writeWeights`, which writes as many bytes as
/// the section has. Addresses stay what they are. Errors: a file that has no such section, or one
/// that is not the end of its segment.
llvm::Error embedWeights(llvm::StringRef linked, llvm::raw_ostream &stream,
                         llvm::function_ref<llvm::Error(llvm::raw_ostream &)> writeWeights);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_EMBED_H
