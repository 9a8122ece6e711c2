//===- Errors.cpp - Error values of the ONNX reader -----------------------===//

#include "frontends/onnx/Errors.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace rapt::onnx {

Error fail(const Twine &message) {
  return make_error<StringError>(message, inconvertibleErrorCode());
}

Error addContext(const Twine &context, Error error) {
  if (!error)
    return Error::success();
  return fail(context + ": " + toString(std::move(error)));
}

std::string escaped(StringRef name) {
  constexpr size_t longest = 120;
  std::string text;
  for (unsigned char c : name.take_front(longest)) {
    if (isPrint(c)) {
      text += static_cast<char>(c);
      continue;
    }
    text += "\\x";
    text += hexdigit(c >> 4);
    text += hexdigit(c & 15);
  }
  return name.size() > longest ? text + "..." : text;
}

std::string quoted(StringRef name) { return "'" + escaped(name) + "'"; }

std::string numberText(double number) {
  std::string text;
  raw_string_ostream(text) << format("%g", number);
  return text;
}

} // namespace rapt::onnx
