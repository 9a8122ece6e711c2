//===- Payload.cpp - The bytes of a tensor --------------------------------===//
//
// Sizes first, then the three forms: raw bytes, an external file, single values.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Payload.h"

#include "frontends/onnx/Errors.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace llvm;

namespace rapt::onnx {
namespace {

/// `float[2,3]`, for messages.
std::string describeType(const Tensor &tensor) {
  std::string text = nameOf(tensor.elementType).str() + "[";
  for (size_t i = 0; i < tensor.dims.size(); ++i)
    text += (i ? "," : "") + std::to_string(tensor.dims[i]);
  return text + "]";
}

/// Elements are read through typed pointers later on, so a payload must be aligned for them.
bool isAligned(ArrayRef<uint8_t> bytes, ElementType type) {
  unsigned alignment = std::clamp(bitWidthOf(type) / 8, 1u, 8u);
  return bytes.empty() || reinterpret_cast<uintptr_t>(bytes.data()) % alignment == 0;
}

Error copyPayload(Tensor &tensor, ArrayRef<uint8_t> raw, Storage &storage) {
  Expected<MutableArrayRef<uint8_t>> copy = storage.allocate(raw.size());
  if (!copy)
    return copy.takeError();
  std::memcpy(copy->data(), raw.data(), raw.size());
  tensor.bytes = *copy;
  return Error::success();
}

} // namespace

ValueField valueFieldOf(ElementType type) {
  switch (type) {
  case ElementType::Float:
  case ElementType::Complex64:
    return ValueField::Floats;
  case ElementType::Double:
  case ElementType::Complex128:
    return ValueField::Doubles;
  case ElementType::Int64:
    return ValueField::Int64s;
  case ElementType::UInt32:
  case ElementType::UInt64:
    return ValueField::UInt64s;
  case ElementType::String:
    return ValueField::Strings;
  case ElementType::Undefined:
  case ElementType::Float6E2M3: // written one element a value but packed in bytes: raw data only
  case ElementType::Float6E3M2:
    return ValueField::None;
  default:
    return ValueField::Int32s;
  }
}

Error checkDims(const Tensor &tensor) {
  if (tensor.elementType == ElementType::Undefined)
    return fail("tensor has no element type");
  // A zero dim makes the tensor empty but must not hide the overflow of the others: strides are
  // computed from them later.
  int64_t count = 1;
  for (int64_t dim : tensor.dims) {
    if (dim < 0)
      return fail("dimension " + Twine(dim) + " of " + describeType(tensor) + " is negative");
    if (MulOverflow(count, std::max<int64_t>(dim, 1), count))
      return fail("the number of elements of " + describeType(tensor) + " overflows 64 bits");
  }
  int64_t bits;
  if (MulOverflow<int64_t>(count, std::max(bitWidthOf(tensor.elementType), 8u), bits))
    return fail("the size of " + describeType(tensor) + " overflows 64 bits");
  return Error::success();
}

uint64_t payloadSize(const Tensor &tensor) {
  return divideCeil(static_cast<uint64_t>(tensor.numElements()) * bitWidthOf(tensor.elementType),
                    8);
}

uint64_t payloadValues(const Tensor &tensor) {
  switch (tensor.elementType) {
  case ElementType::Complex64:
  case ElementType::Complex128:
    return 2 * static_cast<uint64_t>(tensor.numElements());
  case ElementType::String:
    return tensor.numElements();
  default:
    return bitWidthOf(tensor.elementType) < 8 ? payloadSize(tensor) : tensor.numElements();
  }
}

Error setRawPayload(Tensor &tensor, ArrayRef<uint8_t> raw, Storage &storage) {
  if (tensor.elementType == ElementType::String)
    return fail("string tensor has raw data, expected string_data");
  if (raw.size() != payloadSize(tensor))
    return fail("payload has " + Twine(raw.size()) + " bytes, but " + describeType(tensor) +
                " needs " + Twine(payloadSize(tensor)));
  if (!isAligned(raw, tensor.elementType))
    return copyPayload(tensor, raw, storage);
  tensor.bytes = raw;
  return Error::success();
}

Error setExternalPayload(Tensor &tensor, ArrayRef<std::pair<StringRef, StringRef>> entries,
                         ExternalData &externalData, Storage &storage) {
  if (tensor.elementType == ElementType::String)
    return fail("string tensor has external data, expected string_data");
  StringRef location;
  uint64_t offset = 0, needed = payloadSize(tensor), length = needed;
  for (auto [key, value] : entries) {
    if (key == "location")
      location = value;
    else if (key == "offset" && (!all_of(value, isDigit) || value.getAsInteger(10, offset)))
      return fail("external data has offset " + quoted(value) + ", expected a number of bytes");
    else if (key == "length" && (!all_of(value, isDigit) || value.getAsInteger(10, length)))
      return fail("external data has length " + quoted(value) + ", expected a number of bytes");
  }
  if (length != needed)
    return fail("external data has length " + Twine(length) + ", but " + describeType(tensor) +
                " needs " + Twine(needed));

  Expected<std::shared_ptr<MappedFile>> file = externalData.open(location);
  if (!file)
    return addContext("external data " + quoted(location), file.takeError());
  ArrayRef<uint8_t> bytes = (*file)->bytes();
  if (offset > bytes.size() || length > bytes.size() - offset)
    return fail("external data " + quoted(location) + ": offset " + Twine(offset) + " and length " +
                Twine(length) + " exceed the file's " + Twine(bytes.size()) + " bytes");
  ArrayRef<uint8_t> region = bytes.slice(offset, length);
  if (!isAligned(region, tensor.elementType)) {
    (*file)->copiedBytes += length;
    if ((*file)->copiedBytes > bytes.size())
      return fail("external data " + quoted(location) + ": offset " + Twine(offset) +
                  " is not aligned for " + nameOf(tensor.elementType) +
                  " and the tensors before it overlap");
    return copyPayload(tensor, region, storage);
  }
  storage.keep(*file);
  tensor.bytes = region;
  return Error::success();
}

Error PayloadWriter::start(uint64_t available) {
  if (valueFieldOf(tensor.elementType) == ValueField::None)
    return fail(nameOf(tensor.elementType) + " values are not supported, expected raw data");
  expected = payloadValues(tensor);
  if (expected > available)
    return fail(describeType(tensor) + " needs " + Twine(expected) + " values, found at most " +
                Twine(available));
  if (tensor.elementType == ElementType::String)
    return Error::success();
  Expected<MutableArrayRef<uint8_t>> buffer = storage.allocate(payloadSize(tensor));
  if (!buffer)
    return buffer.takeError();
  bytes = *buffer;
  return Error::success();
}

Error PayloadWriter::add(uint64_t bits, unsigned width) {
  if (written == expected)
    return fail(describeType(tensor) + " needs " + Twine(expected) + " values, found more");
  uint64_t position = written++ * (width / 8);
  for (unsigned i = 0; i < width / 8; ++i)
    bytes[position + i] = static_cast<uint8_t>(bits >> (8 * i));
  return Error::success();
}

Error PayloadWriter::addInteger(int64_t value) {
  // Narrow floats and packed elements are written as their bits, so both readings of a byte or a
  // half word are accepted: as signed and as unsigned.
  unsigned width = std::max(bitWidthOf(tensor.elementType), 8u);
  bool fits = width == 64 || isIntN(width, value) || (width < 32 && isUIntN(width, value));
  if (tensor.elementType == ElementType::Bool)
    fits = value == 0 || value == 1;
  if (!fits)
    return fail("value " + Twine(value) + " does not fit " + nameOf(tensor.elementType));
  return add(static_cast<uint64_t>(value), width);
}

Error PayloadWriter::addUnsigned(uint64_t value) {
  unsigned width = bitWidthOf(tensor.elementType);
  if (!isUIntN(width, value))
    return fail("value " + Twine(value) + " does not fit " + nameOf(tensor.elementType));
  return add(value, width);
}

Error PayloadWriter::addFloat(float value) { return add(bit_cast<uint32_t>(value), 32); }

Error PayloadWriter::addDouble(double value) { return add(bit_cast<uint64_t>(value), 64); }

Error PayloadWriter::addString(StringRef value) {
  if (written++ == expected)
    return fail(describeType(tensor) + " needs " + Twine(expected) + " values, found more");
  tensor.strings.push_back(value);
  return Error::success();
}

Error PayloadWriter::finish() {
  if (written != expected)
    return fail(describeType(tensor) + " needs " + Twine(expected) + " values, found " +
                Twine(written));
  tensor.bytes = bytes;
  return Error::success();
}

} // namespace rapt::onnx
