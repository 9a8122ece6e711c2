//===- Header.h - The C header of a model object ----------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_HEADER_H
#define RAPT_COMPILER_LINK_HEADER_H

#include "compiler/Host/Interface.h"
#include "llvm/ADT/StringRef.h"

namespace rapt::link {

/// `text` as a C identifier: other characters become '_'.
std::string identifier(llvm::StringRef text);

/// The header for the model `symbol` in object file `object`: its declaration, how to use it, its
/// inputs and outputs.
std::string headerText(llvm::StringRef object, llvm::StringRef symbol,
                       const host::Interface &interface);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_HEADER_H
