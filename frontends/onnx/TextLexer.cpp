//===- TextLexer.cpp - Tokens of ONNX's text syntax -----------------------===//

#include "frontends/onnx/TextLexer.h"

#include "frontends/onnx/Errors.h"
#include "llvm/ADT/StringExtras.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <type_traits>

using namespace llvm;

namespace rapt::onnx {

bool TextLexer::error(const Twine &what) {
  if (!message.empty())
    return true;
  StringRef before = text.take_front(position);
  size_t line = before.count('\n') + 1;
  size_t column = position - (before.rfind('\n') + 1) + 1; // npos + 1 is 0
  message = (Twine(line) + ":" + Twine(column) + ": " + what).str();
  return true;
}

bool TextLexer::check(Error failure) {
  return failure ? error(toString(std::move(failure))) : false;
}

bool TextLexer::list(function_ref<bool()> item) {
  do {
    if (item())
      return true;
  } while (accept(','));
  return false;
}

Error TextLexer::takeError() { return fail(message); }

void TextLexer::skipBlanks() {
  while (position < text.size()) {
    if (text[position] == '#')
      position = std::min(text.find('\n', position), text.size());
    else if (isSpace(text[position]))
      ++position;
    else
      return;
  }
}

char TextLexer::peek() {
  skipBlanks();
  return position < text.size() ? text[position] : '\0';
}

bool TextLexer::atEnd() {
  skipBlanks();
  return position == text.size();
}

bool TextLexer::accept(char c) {
  if (atEnd() || text[position] != c)
    return false;
  ++position;
  return true;
}

bool TextLexer::expect(char c) { return accept(c) ? false : error("expected '" + Twine(c) + "'"); }

bool TextLexer::expectArrow() {
  skipBlanks();
  if (!text.substr(position).starts_with("=>"))
    return error("expected '=>'");
  position += 2;
  return false;
}

size_t TextLexer::identifierEnd() const {
  size_t end = position;
  if (end < text.size() && (isAlpha(text[end]) || text[end] == '_'))
    while (end < text.size() && (isAlnum(text[end]) || text[end] == '_'))
      ++end;
  return end;
}

StringRef TextLexer::peekIdentifier() {
  skipBlanks();
  return text.slice(position, identifierEnd());
}

StringRef TextLexer::optionalIdentifier() {
  StringRef name = peekIdentifier();
  position += name.size();
  return name;
}

bool TextLexer::identifier(StringRef &name) {
  name = optionalIdentifier();
  return name.empty() && error("expected an identifier");
}

bool TextLexer::quotableIdentifier(StringRef &name) {
  return peek() == '"' ? string(name) : identifier(name);
}

bool TextLexer::nextIsNamedFloat() {
  StringRef name = peekIdentifier();
  return name.equals_insensitive("inf") || name.equals_insensitive("infinity") ||
         name.equals_insensitive("nan");
}

bool TextLexer::literal(Literal &value) {
  size_t start = (skipBlanks(), position);
  if (accept('"')) {
    bool escaped = false;
    while (position < text.size() && text[position] != '"') {
      escaped |= text[position] == '\\';
      position += text[position] == '\\' ? 2 : 1;
    }
    if (position >= text.size()) {
      position = start;
      return error("the string has no end");
    }
    value = {Literal::String, text.slice(start + 1, position++)};
    if (!escaped)
      return false;
    std::string plain; // a backslash stands for the character behind it
    for (size_t i = 0; i < value.text.size(); ++i)
      plain += value.text[i] == '\\' ? value.text[++i] : value.text[i];
    value.text = storage.save(plain);
    return false;
  }

  accept('-');
  if (nextIsNamedFloat()) {
    optionalIdentifier();
    value = {Literal::Float, text.slice(start, position)};
    return false;
  }
  size_t digits = position;
  auto skipDigits = [&] {
    while (position < text.size() && isDigit(text[position]))
      ++position;
  };
  skipDigits();
  if (position == digits) {
    position = start;
    return error("expected a literal");
  }
  value.kind = Literal::Integer;
  if (position < text.size() && text[position] == '.') {
    value.kind = Literal::Float;
    ++position;
    skipDigits();
  }
  if (position < text.size() && toLower(text[position]) == 'e') {
    value.kind = Literal::Float;
    ++position;
    if (position < text.size() && (text[position] == '+' || text[position] == '-'))
      ++position;
    skipDigits();
  }
  value.text = text.slice(start, position);
  return false;
}

bool TextLexer::string(StringRef &value) {
  Literal token;
  if (peek() != '"')
    return error("expected a string");
  if (literal(token))
    return true;
  value = token.text;
  return false;
}

bool TextLexer::convert(const Literal &literal, int64_t &value) {
  if (literal.kind != Literal::Integer || literal.text.getAsInteger(10, value))
    return error("expected a 64-bit integer, found " + quoted(literal.text));
  return false;
}

template <typename T> bool TextLexer::convertFloat(const Literal &literal, T &value) {
  const char *end = literal.text.end();
  if (literal.kind != Literal::String) {
    auto [stop, status] = std::from_chars(literal.text.begin(), end, value);
    if (status == std::errc() && stop == end)
      return false;
    // Out of range is also said of numbers that round to zero, which are fine.
    if (status == std::errc::result_out_of_range && stop == end) {
      std::string copy = literal.text.str();
      if constexpr (std::is_same_v<T, float>)
        value = std::strtof(copy.c_str(), nullptr);
      else
        value = std::strtod(copy.c_str(), nullptr);
      if (!std::isinf(value))
        return false;
    }
  }
  return error("expected a number within range, found " + quoted(literal.text));
}

bool TextLexer::convert(const Literal &literal, float &value) {
  return convertFloat(literal, value);
}

bool TextLexer::integer(int64_t &value) {
  Literal token;
  return literal(token) || convert(token, value);
}

bool TextLexer::unsignedInteger(uint64_t &value) {
  Literal token;
  if (literal(token))
    return true;
  if (token.kind != Literal::Integer || token.text.getAsInteger(10, value))
    return error("expected an unsigned 64-bit integer, found " + quoted(token.text));
  return false;
}

bool TextLexer::number(float &value) {
  Literal token;
  return literal(token) || convertFloat(token, value);
}

bool TextLexer::number(double &value) {
  Literal token;
  return literal(token) || convertFloat(token, value);
}

} // namespace rapt::onnx
