//===- WireTest.cpp - Protobuf wire format --------------------------------===//

#include "frontends/onnx/Wire.h"
#include "Helpers.h"
#include "ProtoWriter.h"
#include "frontends/onnx/Errors.h"

using namespace rapt::onnx;
using namespace rapt::onnx::test;

namespace {

Message messageOf(const std::string &bytes, uint64_t offset = 0, unsigned depth = 0) {
  return {{reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()}, offset, depth};
}

/// The error of reading every field of `bytes` with `visit`.
std::string walk(
    const std::string &bytes, llvm::function_ref<llvm::Error(const Field &)> visit =
                                  [](const Field &) { return llvm::Error::success(); }) {
  llvm::Error error = forEachField(messageOf(bytes), visit);
  return error ? llvm::toString(std::move(error)) : "";
}

TEST(Wire, ReadsEveryWireType) {
  Proto proto = Proto().integer(1, -5).string(2, "abc").real(3, 1.5f);
  proto.tag(4, 1).raw(std::string("\1\0\0\0\0\0\0\x80", 8));
  std::vector<uint32_t> numbers;
  EXPECT_EQ(walk(proto.bytes,
                 [&](const Field &field) -> llvm::Error {
                   numbers.push_back(field.number);
                   int64_t integer = 0;
                   llvm::StringRef text;
                   float real = 0;
                   switch (field.number) {
                   case 1:
                     RAPT_TRY(field.read(integer));
                     EXPECT_EQ(integer, -5);
                     break;
                   case 2:
                     RAPT_TRY(field.read(text));
                     EXPECT_EQ(text, "abc");
                     break;
                   case 3:
                     RAPT_TRY(field.read(real));
                     EXPECT_EQ(real, 1.5f);
                     break;
                   default:
                     EXPECT_EQ(field.scalar, 0x8000000000000001u);
                   }
                   return llvm::Error::success();
                 }),
            "");
  EXPECT_EQ(numbers, (std::vector<uint32_t>{1, 2, 3, 4}));
}

TEST(Wire, RepeatedFieldsPackedOrNot) {
  Proto proto = Proto().packed(1, {1, 300, -1}).integer(1, 7);
  std::vector<uint64_t> values;
  EXPECT_EQ(walk(proto.bytes,
                 [&](const Field &field) {
                   return field.forEachVarint([&](uint64_t value) {
                     values.push_back(value);
                     return llvm::Error::success();
                   });
                 }),
            "");
  EXPECT_EQ(values, (std::vector<uint64_t>{1, 300, UINT64_MAX, 7}));
}

TEST(Wire, TruncatedVarint) { EXPECT_EQ(walk("\x08\x80"), "at byte 1: truncated varint"); }

TEST(Wire, VarintLongerThan64Bits) {
  EXPECT_EQ(walk("\x08" + std::string(9, '\x80') + "\x02"),
            "at byte 1: varint does not fit 64 bits");
  EXPECT_EQ(walk("\x08" + std::string(9, '\xff') + "\x01"), "");
}

TEST(Wire, LengthBeyondTheMessage) {
  EXPECT_EQ(walk("\x12\x05"
                 "abc"),
            "at byte 1: length 5 exceeds the 3 bytes left in the enclosing message");
  EXPECT_HAS(walk("\x12" + std::string(9, '\xff') + "\x01"), "exceeds the 0 bytes left");
}

TEST(Wire, TruncatedFixedValues) {
  EXPECT_EQ(walk("\x0d\x01\x02"), "at byte 1: truncated 32-bit value");
  EXPECT_EQ(walk("\x09\x01\x02"), "at byte 1: truncated 64-bit value");
}

TEST(Wire, GroupsAndUnknownWireTypes) {
  EXPECT_HAS(walk("\x0b"), "at byte 0: field 1 is a group");
  EXPECT_HAS(walk("\x0c"), "is a group");
  EXPECT_EQ(walk("\x0e"), "at byte 0: field 1 has unknown wire type 6");
}

TEST(Wire, FieldNumberOutOfRange) {
  EXPECT_HAS(walk(std::string("\0\0", 2)), "field number 0 is outside 1 to 536870911");
  EXPECT_HAS(walk(Proto().varint(uint64_t(1) << 32).bytes), "is outside 1 to 536870911");
}

TEST(Wire, WrongWireTypeNamesBoth) {
  auto asText = [](const Field &field) {
    llvm::StringRef text;
    return field.read(text);
  };
  EXPECT_EQ(walk(Proto().integer(3, 1).bytes, asText),
            "at byte 1: field 3 is a varint, expected a length-delimited value");
}

TEST(Wire, Int32Range) {
  auto asInt = [](const Field &field) {
    int32_t value;
    return field.read(value);
  };
  EXPECT_EQ(walk(Proto().integer(1, -1).bytes, asInt), "");
  EXPECT_HAS(walk(Proto().integer(1, int64_t(1) << 31).bytes, asInt), "expected a 32-bit integer");
}

TEST(Wire, OffsetsOfNestedMessagesCountFromTheFile) {
  Proto inner = Proto().integer(1, 1).raw("\x12\x09");
  Proto outer = Proto().string(1, "abc").message(2, inner);
  EXPECT_EQ(walk(outer.bytes,
                 [](const Field &field) -> llvm::Error {
                   Message part;
                   RAPT_TRY(field.read(part));
                   if (field.number == 1)
                     return llvm::Error::success();
                   return forEachField(part, [](const Field &) { return llvm::Error::success(); });
                 }),
            "at byte 10: length 9 exceeds the 0 bytes left in the enclosing message");
}

TEST(Wire, DepthLimit) {
  std::string bytes = Proto().string(1, "").bytes;
  llvm::Error error =
      forEachField(messageOf(bytes, 0, maxMessageDepth - 1), [](const Field &field) {
        Message part;
        return field.read(part);
      });
  EXPECT_HAS(llvm::toString(std::move(error)), "nested deeper than 64 levels");
}

} // namespace
