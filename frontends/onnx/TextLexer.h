//===- TextLexer.h - Tokens of ONNX's text syntax -------------------*- C++ -*-===//
//
// In: the text. Out: identifiers and literals as views into it. Functions return true on failure,
// as LLVM's own parsers do; the first message is kept with its line and column.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_TEXTLEXER_H
#define RAPT_FRONTENDS_ONNX_TEXTLEXER_H

#include "frontends/onnx/Model.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rapt::onnx {

class TextLexer {
public:
  TextLexer(llvm::StringRef text, Storage &storage) : text(text), storage(storage) {}

  struct Literal {
    enum Kind { Integer, Float, String } kind = Integer;
    llvm::StringRef text; ///< of a string: without quotes and escapes
  };

  /// The next character after blanks and `#` comments; NUL at the end.
  char peek();
  bool atEnd();
  /// Upper bound of the literals that can follow.
  uint64_t remaining() const { return text.size() - position; }

  /// Consumes `c` when it is next.
  bool accept(char c);
  bool expect(char c);
  /// `=>`
  bool expectArrow();

  /// An identifier, or "" when none is next. `peekIdentifier` does not consume it.
  llvm::StringRef optionalIdentifier();
  llvm::StringRef peekIdentifier();
  bool identifier(llvm::StringRef &name);
  /// An identifier or a string.
  bool quotableIdentifier(llvm::StringRef &name);

  bool literal(Literal &value);
  bool string(llvm::StringRef &value);
  bool integer(int64_t &value);
  bool unsignedInteger(uint64_t &value);
  bool number(float &value);
  bool number(double &value);
  /// True when `inf`, `infinity` or `nan` is next.
  bool nextIsNamedFloat();

  /// Converts the text of a literal.
  bool convert(const Literal &literal, int64_t &value);
  bool convert(const Literal &literal, float &value);

  /// Notes an error at the current position; always true.
  bool error(const llvm::Twine &message);
  /// Notes an llvm::Error, if there is one.
  bool check(llvm::Error error);
  /// Calls `item` for each element of a list with commas between.
  bool list(llvm::function_ref<bool()> item);
  /// The noted error.
  llvm::Error takeError();

private:
  template <typename T> bool convertFloat(const Literal &literal, T &value);
  void skipBlanks();
  size_t identifierEnd() const;

  llvm::StringRef text;
  Storage &storage;
  size_t position = 0;
  std::string message;
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_TEXTLEXER_H
