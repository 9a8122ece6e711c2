//===- Constants.cpp - ONNX tensors as attributes --------------------------------------------===//

#include "frontends/onnx/Constants.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// Larger payloads stay where they are.
constexpr size_t maxInlineBytes = 1024;
} // namespace

Type elementTypeFor(MLIRContext *context, ElementType type) {
  auto integer = [&](unsigned width, bool isUnsigned = false) -> Type {
    return IntegerType::get(context, width,
                            isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  switch (type) {
  case ElementType::Float:
    return Float32Type::get(context);
  case ElementType::Double:
    return Float64Type::get(context);
  case ElementType::Float16:
    return Float16Type::get(context);
  case ElementType::BFloat16:
    return BFloat16Type::get(context);
  case ElementType::Bool:
    return integer(1);
  case ElementType::Int8:
    return integer(8);
  case ElementType::Int16:
    return integer(16);
  case ElementType::Int32:
    return integer(32);
  case ElementType::Int64:
    return integer(64);
  case ElementType::UInt8:
    return integer(8, true);
  case ElementType::UInt16:
    return integer(16, true);
  case ElementType::UInt32:
    return integer(32, true);
  case ElementType::UInt64:
    return integer(64, true);
  default:
    return {};
  }
}

ElementsAttr elementsFor(MLIRContext *context, const Tensor &tensor, StringRef name) {
  Type elementType = elementTypeFor(context, tensor.elementType);
  if (!elementType)
    return {};
  auto type = RankedTensorType::get(tensor.dims, elementType);
  if (tensor.bytes.empty())
    return DenseElementsAttr::get(type, ArrayRef<mlir::Attribute>());
  if (tensor.elementType == ElementType::Bool) {
    // Builtin attributes pack booleans, so these are always copied; any byte but 0 is true.
    SmallVector<bool> values;
    for (uint8_t byte : tensor.bytes)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, values);
  }
  ArrayRef<char> data(reinterpret_cast<const char *>(tensor.bytes.data()), tensor.bytes.size());
  if (data.size() <= maxInlineBytes)
    return DenseElementsAttr::getFromRawBuffer(type, data);
  size_t alignment = elementType.getIntOrFloatBitWidth() / 8;
  return DenseResourceElementsAttr::get(
      type, name.empty() ? "constant" : name,
      UnmanagedAsmResourceBlob::allocateWithAlign(data, alignment));
}

} // namespace rapt::onnx
