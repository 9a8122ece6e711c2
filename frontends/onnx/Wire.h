//===- Wire.h - Bounds-checked protobuf wire format ----------------*- C++ -*-===//
//
// In: the bytes of one protobuf message. Out: its fields, one after the other, as views into the
// same bytes. Nothing is copied and nothing outside the message is read; every error says at which
// byte of the file it was found. Groups (wire types 3 and 4, unused by ONNX) are an error, nesting
// is limited, and a caller skips an unknown field by ignoring it.
//
// Source: the protobuf encoding specification (varint, fixed32, fixed64, length-delimited).
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_WIRE_H
#define RAPT_FRONTENDS_ONNX_WIRE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>

namespace rapt::onnx {

/// Messages inside messages: a subgraph costs three levels (graph, node, attribute).
constexpr unsigned maxMessageDepth = 64;

/// One message: its bytes, where they start in the file, and how many messages enclose it.
struct Message {
  llvm::ArrayRef<uint8_t> bytes;
  uint64_t offset = 0;
  unsigned depth = 0;
};

enum class WireType : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

/// One field of a message. The read functions convert its value and fail, naming the byte offset,
/// when the wire type or the range does not fit what the caller expects.
class Field {
public:
  uint32_t number = 0;
  WireType type = WireType::Varint;
  uint64_t scalar = 0;           ///< the value of a varint or fixed field
  llvm::ArrayRef<uint8_t> bytes; ///< the value of a length-delimited field
  uint64_t offset = 0;           ///< of the value, from the start of the file
  unsigned depth = 0;            ///< of the message that holds the field

  llvm::Error read(int64_t &value) const;
  llvm::Error read(int32_t &value) const;
  llvm::Error read(float &value) const;
  llvm::Error read(llvm::StringRef &value) const;
  llvm::Error read(llvm::ArrayRef<uint8_t> &value) const;
  llvm::Error read(Message &value) const;

  /// Calls `visit` with each value of a repeated field, written packed or one by one.
  llvm::Error forEachVarint(llvm::function_ref<llvm::Error(uint64_t)> visit) const;
  llvm::Error forEachFixed32(llvm::function_ref<llvm::Error(uint32_t)> visit) const;
  llvm::Error forEachFixed64(llvm::function_ref<llvm::Error(uint64_t)> visit) const;

  /// An error at this field's byte offset.
  llvm::Error error(const llvm::Twine &message) const;

private:
  llvm::Error expect(WireType expected) const;
};

/// Calls `visit` with each field of `message` in file order; stops at the first error.
llvm::Error forEachField(const Message &message,
                         llvm::function_ref<llvm::Error(const Field &)> visit);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_WIRE_H
