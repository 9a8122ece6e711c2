//===- DecodeTensor.cpp - TensorProto to Tensor ---------------------------===//
//
// Two passes: the first reads everything but single values, which are only counted, as they may
// stand before the dims; the second writes the values into a payload whose size is known to be
// right.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Decode.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Payload.h"
#include "llvm/ADT/bit.h"

using namespace llvm;

namespace rapt::onnx {

Error readElementType(const Field &field, ElementType &type) {
  int32_t number;
  RAPT_TRY(field.read(number));
  if (number < 0 || number > maxElementType)
    return field.error("element type " + Twine(number) + " is outside 0 to " +
                       Twine(maxElementType));
  type = static_cast<ElementType>(number);
  return Error::success();
}

Error decodeStringPair(const Message &message, StringPair &pair) {
  return forEachField(message, [&](const Field &field) -> Error {
    switch (field.number) {
    case 1:
      return field.read(pair.first);
    case 2:
      return field.read(pair.second);
    }
    return Error::success();
  });
}

namespace {

/// Calls `visit` with each value of a `*_data` field, as its bits.
Error forEachValue(const Field &field, function_ref<Error(uint64_t)> visit) {
  switch (field.number) {
  case 4:
    return field.forEachFixed32([&](uint32_t bits) { return visit(bits); });
  case 10:
    return field.forEachFixed64(visit);
  case 6: // one length-delimited string a field
    return visit(0);
  default:
    return field.forEachVarint(visit);
  }
}

ValueField valueFieldNumbered(uint32_t number) {
  switch (number) {
  case 4:
    return ValueField::Floats;
  case 5:
    return ValueField::Int32s;
  case 6:
    return ValueField::Strings;
  case 7:
    return ValueField::Int64s;
  case 10:
    return ValueField::Doubles;
  case 11:
    return ValueField::UInt64s;
  default:
    return ValueField::None;
  }
}

StringRef nameOf(ValueField field) {
  switch (field) {
  case ValueField::None:
    return "none";
  case ValueField::Floats:
    return "float_data";
  case ValueField::Int32s:
    return "int32_data";
  case ValueField::Int64s:
    return "int64_data";
  case ValueField::Doubles:
    return "double_data";
  case ValueField::UInt64s:
    return "uint64_data";
  case ValueField::Strings:
    return "string_data";
  }
  llvm_unreachable("covered switch");
}

/// Second pass over a tensor whose `count` values lie in `*_data` fields.
Error decodeValues(const Message &message, Tensor &tensor, uint64_t count, Storage &storage) {
  PayloadWriter writer(tensor, storage);
  RAPT_TRY(writer.start(count));
  RAPT_TRY(forEachField(message, [&](const Field &field) -> Error {
    ValueField kind = valueFieldNumbered(field.number);
    if (kind == ValueField::None)
      return Error::success();
    return forEachValue(field, [&](uint64_t bits) -> Error {
      switch (kind) {
      case ValueField::Floats:
        return writer.addFloat(bit_cast<float>(static_cast<uint32_t>(bits)));
      case ValueField::Doubles:
        return writer.addDouble(bit_cast<double>(bits));
      case ValueField::UInt64s:
        return writer.addUnsigned(bits);
      case ValueField::Strings: {
        StringRef text;
        RAPT_TRY(field.read(text));
        return writer.addString(text);
      }
      default:
        return writer.addInteger(static_cast<int64_t>(bits));
      }
    });
  }));
  return writer.finish();
}

} // namespace

Error decodeTensor(const Message &message, Tensor &tensor, ExternalData &externalData,
                   Storage &storage) {
  ArrayRef<uint8_t> raw;
  bool hasRaw = false;
  int32_t location = 0;
  SmallVector<StringPair, 4> externalEntries;
  uint64_t values = 0;
  ValueField valueField = ValueField::None;

  // First pass: everything but the values, which are only counted. They can precede the dims.
  RAPT_TRY(forEachField(message, [&](const Field &field) -> Error {
    if (ValueField kind = valueFieldNumbered(field.number); kind != ValueField::None) {
      uint64_t before = values;
      RAPT_TRY(forEachValue(field, [&](uint64_t) {
        ++values;
        return Error::success();
      }));
      if (values != before && valueField != ValueField::None && valueField != kind)
        return field.error("tensor has values in two fields");
      if (values != before)
        valueField = kind;
      return Error::success();
    }
    switch (field.number) {
    case 1:
      return field.forEachVarint([&](uint64_t dim) {
        tensor.dims.push_back(static_cast<int64_t>(dim));
        return Error::success();
      });
    case 2:
      return readElementType(field, tensor.elementType);
    case 3:
      return field.error("tensor segments are not supported");
    case 8:
      return field.read(tensor.name);
    case 9:
      hasRaw = true;
      return field.read(raw);
    case 13: {
      Message entry;
      RAPT_TRY(field.read(entry));
      return decodeStringPair(entry, externalEntries.emplace_back());
    }
    case 14:
      RAPT_TRY(field.read(location));
      if (location != 0 && location != 1)
        return field.error("data location " + Twine(location) + " is neither 0 nor 1");
      return Error::success();
    }
    return Error::success();
  }));

  RAPT_TRY(checkDims(tensor));
  if (location == 1) {
    if (values != 0 || !raw.empty())
      return fail("tensor has both external and inline data");
    return setExternalPayload(tensor, externalEntries, externalData, storage);
  }
  if (hasRaw && values != 0)
    return fail("tensor has both raw data and single values");
  if (hasRaw && tensor.elementType != ElementType::String)
    return setRawPayload(tensor, raw, storage);
  if (values == 0 && payloadValues(tensor) == 0)
    return Error::success();
  if (values != 0 && valueField != valueFieldOf(tensor.elementType))
    return fail("the values of a " + nameOf(tensor.elementType) +
                " tensor are in the wrong field, " + nameOf(valueField) + ", expected " +
                nameOf(valueFieldOf(tensor.elementType)));
  return decodeValues(message, tensor, values, storage);
}

} // namespace rapt::onnx
