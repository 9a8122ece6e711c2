//===- TextTypes.cpp - Types and tensors in ONNX's text syntax ------------===//

#include "frontends/onnx/TextTypes.h"

#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Payload.h"
#include "llvm/ADT/StringSwitch.h"

using namespace llvm;

namespace rapt::onnx {
namespace {

constexpr unsigned maxTypeDepth = 32;

ValueInfo::Kind kindNamed(StringRef name) {
  return StringSwitch<ValueInfo::Kind>(name)
      .Case("seq", ValueInfo::Sequence)
      .Case("map", ValueInfo::Map)
      .Case("optional", ValueInfo::Optional)
      .Case("sparse_tensor", ValueInfo::SparseTensor)
      .Case("opaque", ValueInfo::Opaque)
      .Default(ValueInfo::Untyped);
}

bool parseShape(TextLexer &lexer, TensorType &type) {
  type.hasShape = true;
  if (!lexer.accept('['))
    return false;
  if (lexer.accept(']')) {
    type.hasShape = false;
    return false;
  }
  auto dimension = [&] {
    Dim &dim = type.dims.emplace_back();
    if (lexer.accept('?'))
      return false;
    if (lexer.peek() != '"' && lexer.peekIdentifier().empty()) {
      dim.kind = Dim::Value;
      return lexer.integer(dim.value);
    }
    dim.kind = Dim::Param;
    return lexer.quotableIdentifier(dim.param);
  };
  return lexer.list(dimension) || lexer.expect(']');
}

bool parseValue(TextLexer &lexer, PayloadWriter &writer, ValueField field) {
  if (field == ValueField::Strings) {
    StringRef value;
    return lexer.string(value) || lexer.check(writer.addString(value));
  }
  if (field == ValueField::Floats) {
    float value;
    return lexer.number(value) || lexer.check(writer.addFloat(value));
  }
  if (field == ValueField::Doubles) {
    double value;
    return lexer.number(value) || lexer.check(writer.addDouble(value));
  }
  if (field == ValueField::UInt64s) {
    uint64_t value;
    return lexer.unsignedInteger(value) || lexer.check(writer.addUnsigned(value));
  }
  int64_t value;
  return lexer.integer(value) || lexer.check(writer.addInteger(value));
}

} // namespace

bool parseStringPairs(TextLexer &lexer, SmallVectorImpl<StringPair> &pairs) {
  if (lexer.expect('['))
    return true;
  if (lexer.accept(']'))
    return false;
  auto entry = [&] {
    StringPair &pair = pairs.emplace_back();
    return lexer.string(pair.first) || lexer.expect(':') || lexer.string(pair.second);
  };
  return lexer.list(entry) || lexer.expect(']');
}

bool nextIsType(TextLexer &lexer) {
  StringRef name = lexer.peekIdentifier();
  return elementTypeNamed(name) != ElementType::Undefined || kindNamed(name) != ValueInfo::Untyped;
}

/// `float` is a scalar, `float[]` has unknown rank, `float[n, 2]` rank 2.
bool parseType(TextLexer &lexer, ValueInfo &info, unsigned depth) {
  StringRef name;
  if (lexer.identifier(name))
    return true;
  info.tensor.elementType = elementTypeNamed(name);
  if (info.tensor.elementType != ElementType::Undefined) {
    info.kind = ValueInfo::Tensor;
    return parseShape(lexer, info.tensor);
  }
  // Only the kind matters; the description in parentheses is read past.
  info.kind = kindNamed(name);
  if (info.kind == ValueInfo::Untyped)
    return lexer.error("unknown type " + quoted(name));
  if (lexer.expect('('))
    return true;
  if (info.kind == ValueInfo::Opaque) {
    while (lexer.accept('.') || lexer.accept(',') || !lexer.optionalIdentifier().empty())
      continue;
    return lexer.expect(')');
  }
  if (depth == maxTypeDepth)
    return lexer.error("types are nested deeper than " + Twine(maxTypeDepth) + " levels");
  ValueInfo inner;
  if (info.kind == ValueInfo::Map && (parseType(lexer, inner, depth + 1) || lexer.expect(',')))
    return true;
  return parseType(lexer, inner, depth + 1) || lexer.expect(')');
}

/// `{1, 2, 3}` or `["location": "file", "offset": "0", "length": "12"]`.
bool parseTensor(TextLexer &lexer, const ValueInfo &info, Tensor &tensor,
                 ExternalData &externalData, Storage &storage) {
  if (info.kind != ValueInfo::Tensor || !info.tensor.hasShape)
    return lexer.error("a constant needs a tensor type with a shape");
  tensor.elementType = info.tensor.elementType;
  for (const Dim &dim : info.tensor.dims) {
    if (dim.kind != Dim::Value)
      return lexer.error("a constant needs a shape of numbers");
    tensor.dims.push_back(dim.value);
  }
  if (lexer.check(checkDims(tensor)))
    return true;
  if (lexer.peek() == '[') {
    SmallVector<StringPair, 4> entries;
    return parseStringPairs(lexer, entries) ||
           lexer.check(setExternalPayload(tensor, entries, externalData, storage));
  }

  PayloadWriter writer(tensor, storage);
  ValueField field = valueFieldOf(tensor.elementType);
  if (lexer.expect('{') || lexer.check(writer.start(lexer.remaining())))
    return true;
  if (!lexer.accept('}') &&
      (lexer.list([&] { return parseValue(lexer, writer, field); }) || lexer.expect('}')))
    return true;
  return lexer.check(writer.finish());
}

} // namespace rapt::onnx
