//===- Wire.cpp - Bounds-checked protobuf wire format ---------------------===//
//
// All reading goes through Cursor, which knows how many bytes are left; there is no pointer
// arithmetic anywhere else.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Wire.h"

#include "frontends/onnx/Errors.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"

#include <limits>

using namespace llvm;

namespace rapt::onnx {
namespace {

Error failAt(uint64_t offset, const Twine &message) {
  return fail("at byte " + Twine(offset) + ": " + message);
}

StringRef nameOf(WireType type) {
  switch (type) {
  case WireType::Varint:
    return "a varint";
  case WireType::Fixed64:
    return "a 64-bit value";
  case WireType::Bytes:
    return "a length-delimited value";
  case WireType::Fixed32:
    return "a 32-bit value";
  }
  return "an unknown value";
}

/// The unread rest of a byte range.
class Cursor {
public:
  Cursor(ArrayRef<uint8_t> bytes, uint64_t offset) : rest(bytes), offset(offset) {}

  bool atEnd() const { return rest.empty(); }
  uint64_t position() const { return offset; }

  Error varint(uint64_t &value) {
    uint64_t start = offset;
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest.empty())
        return failAt(start, "truncated varint");
      uint8_t byte = rest.front();
      skip(1);
      // The tenth byte carries bit 63 only.
      if (shift == 63 && byte > 1)
        return failAt(start, "varint does not fit 64 bits");
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return Error::success();
    }
    return failAt(start, "varint is longer than 10 bytes");
  }

  template <typename T> Error fixed(T &value) {
    if (rest.size() < sizeof(T))
      return failAt(offset, "truncated " + Twine(8 * sizeof(T)) + "-bit value");
    value = support::endian::read<T, endianness::little>(rest.data());
    skip(sizeof(T));
    return Error::success();
  }

  Error delimited(ArrayRef<uint8_t> &bytes) {
    uint64_t start = offset, length;
    RAPT_TRY(varint(length));
    if (length > rest.size())
      return failAt(start, "length " + Twine(length) + " exceeds the " + Twine(rest.size()) +
                               " bytes left in the enclosing message");
    bytes = rest.take_front(length);
    skip(length);
    return Error::success();
  }

private:
  void skip(size_t count) {
    rest = rest.drop_front(count);
    offset += count;
  }

  ArrayRef<uint8_t> rest;
  uint64_t offset;
};

} // namespace

Error Field::error(const Twine &message) const { return failAt(offset, message); }

Error Field::expect(WireType expected) const {
  if (type == expected)
    return Error::success();
  return error("field " + Twine(number) + " is " + nameOf(type) + ", expected " + nameOf(expected));
}

Error Field::read(int64_t &value) const {
  RAPT_TRY(expect(WireType::Varint));
  value = static_cast<int64_t>(scalar);
  return Error::success();
}

Error Field::read(int32_t &value) const {
  int64_t wide;
  RAPT_TRY(read(wide));
  if (wide < std::numeric_limits<int32_t>::min() || wide > std::numeric_limits<int32_t>::max())
    return error("field " + Twine(number) + " has value " + Twine(wide) +
                 ", expected a 32-bit integer");
  value = static_cast<int32_t>(wide);
  return Error::success();
}

Error Field::read(float &value) const {
  RAPT_TRY(expect(WireType::Fixed32));
  value = bit_cast<float>(static_cast<uint32_t>(scalar));
  return Error::success();
}

Error Field::read(ArrayRef<uint8_t> &value) const {
  RAPT_TRY(expect(WireType::Bytes));
  value = bytes;
  return Error::success();
}

Error Field::read(StringRef &value) const {
  RAPT_TRY(expect(WireType::Bytes));
  value = StringRef(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  return Error::success();
}

Error Field::read(Message &value) const {
  RAPT_TRY(expect(WireType::Bytes));
  if (depth + 1 >= maxMessageDepth)
    return error("messages are nested deeper than " + Twine(maxMessageDepth) + " levels");
  value = {bytes, offset, depth + 1};
  return Error::success();
}

Error Field::forEachVarint(function_ref<Error(uint64_t)> visit) const {
  if (type == WireType::Varint)
    return visit(scalar);
  RAPT_TRY(expect(WireType::Bytes));
  for (Cursor cursor(bytes, offset); !cursor.atEnd();) {
    uint64_t value;
    RAPT_TRY(cursor.varint(value));
    RAPT_TRY(visit(value));
  }
  return Error::success();
}

Error Field::forEachFixed32(function_ref<Error(uint32_t)> visit) const {
  if (type == WireType::Fixed32)
    return visit(static_cast<uint32_t>(scalar));
  RAPT_TRY(expect(WireType::Bytes));
  for (Cursor cursor(bytes, offset); !cursor.atEnd();) {
    uint32_t value;
    RAPT_TRY(cursor.fixed(value));
    RAPT_TRY(visit(value));
  }
  return Error::success();
}

Error Field::forEachFixed64(function_ref<Error(uint64_t)> visit) const {
  if (type == WireType::Fixed64)
    return visit(scalar);
  RAPT_TRY(expect(WireType::Bytes));
  for (Cursor cursor(bytes, offset); !cursor.atEnd();) {
    uint64_t value;
    RAPT_TRY(cursor.fixed(value));
    RAPT_TRY(visit(value));
  }
  return Error::success();
}

Error forEachField(const Message &message, function_ref<Error(const Field &)> visit) {
  Cursor cursor(message.bytes, message.offset);
  while (!cursor.atEnd()) {
    uint64_t start = cursor.position(), tag;
    RAPT_TRY(cursor.varint(tag));
    uint64_t number = tag >> 3;
    if (number == 0 || number >= (1u << 29))
      return failAt(start, "field number " + Twine(number) + " is outside 1 to 536870911");

    Field field;
    field.number = static_cast<uint32_t>(number);
    field.depth = message.depth;
    field.offset = cursor.position();
    unsigned type = tag & 7;
    switch (type) {
    case 0:
      RAPT_TRY(cursor.varint(field.scalar));
      break;
    case 1:
      RAPT_TRY(cursor.fixed(field.scalar));
      break;
    case 2:
      RAPT_TRY(cursor.delimited(field.bytes));
      field.offset = cursor.position() - field.bytes.size();
      break;
    case 5: {
      uint32_t value;
      RAPT_TRY(cursor.fixed(value));
      field.scalar = value;
      break;
    }
    case 3:
    case 4:
      return failAt(start, "field " + Twine(number) + " is a group, which ONNX does not use");
    default:
      return failAt(start, "field " + Twine(number) + " has unknown wire type " + Twine(type));
    }
    field.type = static_cast<WireType>(type);
    RAPT_TRY(visit(field));
  }
  return Error::success();
}

} // namespace rapt::onnx
