//===- InputValues.cpp - Elements of a graph input, given as text ----------------------------===//

#include "frontends/onnx/InputValues.h"

#include "frontends/onnx/Errors.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// The bits of an integer; nothing for what is no number of that type.
std::optional<llvm::APInt> parseInteger(StringRef text, IntegerType type) {
  unsigned width = type.getWidth();
  if (width == 1) {
    if (text != "true" && text != "false" && text != "0" && text != "1")
      return std::nullopt;
    return llvm::APInt(1, text == "true" || text == "1");
  }
  if (type.isUnsigned()) {
    uint64_t value = 0;
    if (text.getAsInteger(10, value) || !llvm::isUIntN(width, value))
      return std::nullopt;
    return llvm::APInt(width, value);
  }
  int64_t value = 0;
  if (text.getAsInteger(10, value) || !llvm::isIntN(width, value))
    return std::nullopt;
  return llvm::APInt(width, static_cast<uint64_t>(value), /*isSigned=*/true);
}

std::optional<llvm::APFloat> parseFloat(StringRef text, FloatType type) {
  double value = 0;
  if (text.getAsDouble(value))
    return std::nullopt;
  llvm::APFloat result(value);
  bool inexact = false;
  result.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  return result;
}
} // namespace

llvm::Expected<ElementsAttr> parseElements(RankedTensorType type, ArrayRef<std::string> texts) {
  if (static_cast<int64_t>(texts.size()) != type.getNumElements())
    return fail(Twine(texts.size()) + " elements, expected " + Twine(type.getNumElements()));
  std::string name;
  llvm::raw_string_ostream(name) << type.getElementType();
  SmallVector<llvm::APInt> integers;
  SmallVector<llvm::APFloat> floats;
  for (const std::string &text : texts) {
    bool good = false;
    if (auto integer = dyn_cast<IntegerType>(type.getElementType())) {
      if (std::optional<llvm::APInt> value = parseInteger(text, integer)) {
        integers.push_back(*value);
        good = true;
      }
    } else if (std::optional<llvm::APFloat> value =
                   parseFloat(text, cast<FloatType>(type.getElementType()))) {
      floats.push_back(*value);
      good = true;
    }
    if (!good)
      return fail(quoted(text) + ", expected a number of type " + name);
  }
  if (isa<IntegerType>(type.getElementType()))
    return DenseElementsAttr::get(type, integers);
  return DenseElementsAttr::get(type, floats);
}

} // namespace rapt::onnx
