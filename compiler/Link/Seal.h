//===- Seal.h - The checksum at the end of a shared library -----------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_SEAL_H
#define RAPT_COMPILER_LINK_SEAL_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace rapt::link {

/// Appends the rapt_abi_seal to the linked shared library at `path`: nothing may change the file
/// afterwards. Bytes of the section with the weights, if there is one, are not summed up.
llvm::Error seal(llvm::StringRef path);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_SEAL_H
