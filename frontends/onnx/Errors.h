//===- Errors.h - Error values of the ONNX reader ------------------*- C++ -*-===//
//
// Every failure of the reader is an llvm::Error whose text is lower case, has no full stop and
// names what was seen and what was expected. Names that come from a model are hostile text: they
// enter a message only through quoted() or escaped().
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_ERRORS_H
#define RAPT_FRONTENDS_ONNX_ERRORS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

/// Returns the error of EXPR from the enclosing function, if there is one.
#define RAPT_TRY(EXPR)                                                                             \
  if (::llvm::Error raptError = (EXPR))                                                            \
  return raptError

namespace rapt::onnx {

/// An error with this text.
llvm::Error fail(const llvm::Twine &message);

/// Puts `context: ` in front of the text of `error`; success stays success.
llvm::Error addContext(const llvm::Twine &context, llvm::Error error);

/// `name` with control and non-ASCII bytes as \xNN, cut after 120 bytes.
std::string escaped(llvm::StringRef name);

/// `escaped(name)` in single quotes.
std::string quoted(llvm::StringRef name);

/// A number of a model in its shortest form, such as -1e+300 or nan.
std::string numberText(double number);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_ERRORS_H
