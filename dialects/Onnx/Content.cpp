//===- Content.cpp - What is known of a tensor's elements ------------------------------------===//
//
// Reads constants, bounded by the caller's limit, and writes what is known back as
// a constant. What cannot be represented is unknown, never a guess.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Content.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <cstring>

using namespace mlir;

namespace rapt::onnx {

SymbolicExpr numElements(ArrayRef<SymbolicExpr> shape) {
  SymbolicExpr product(1);
  for (const SymbolicExpr &dim : shape)
    product = product * dim;
  return product;
}

std::optional<SmallVector<int64_t, 4>> staticDims(ArrayRef<SymbolicExpr> shape) {
  SmallVector<int64_t, 4> dims;
  for (const SymbolicExpr &dim : shape) {
    std::optional<int64_t> value = dim.constant();
    if (!value)
      return std::nullopt;
    dims.push_back(*value);
  }
  return dims;
}

bool operator==(const Element &a, const Element &b) {
  if (a.kind != b.kind || a.kind == Element::Unknown)
    return false;
  return a.kind == Element::Int
             ? a.expr == b.expr
             : llvm::bit_cast<uint64_t>(a.number) == llvm::bit_cast<uint64_t>(b.number);
}

Content Content::ofElements(std::vector<Element> elements) {
  Content result;
  auto state = std::make_shared<State>();
  state->elements = std::move(elements);
  result.state = std::move(state);
  return result;
}

Content Content::affine(Element base, ArrayRef<SymbolicExpr> strides) {
  if (!base.isKnown() || !llvm::all_of(strides, [](auto &s) { return s.isKnown(); }))
    return {};
  Content result;
  auto state = std::make_shared<State>();
  state->elements.push_back(std::move(base));
  state->strides.assign(strides.begin(), strides.end());
  state->isAffine = true;
  result.state = std::move(state);
  return result;
}

Content Content::uniform(Element value, size_t rank) {
  return affine(std::move(value), Shape(rank, SymbolicExpr(0)));
}

ArrayRef<Element> Content::elements() const {
  return hasElements() ? ArrayRef<Element>(state->elements) : ArrayRef<Element>();
}

const Element *Content::uniform() const {
  if (!state || state->elements.empty() || !state->elements.front().isKnown())
    return nullptr;
  if (state->isAffine && !llvm::all_of(state->strides, [](auto &s) { return s.is(0); }))
    return nullptr;
  if (!llvm::all_equal(state->elements))
    return nullptr;
  return &state->elements.front();
}

bool Content::isComplete() const {
  return hasElements() && llvm::all_of(elements(), [](auto &e) { return e.isKnown(); });
}

bool Content::isConstant() const {
  return hasElements() && llvm::all_of(elements(), [](auto &e) { return e.isConstant(); });
}

void forEachIndex(ArrayRef<int64_t> dims, llvm::function_ref<void(ArrayRef<int64_t>)> visit) {
  if (llvm::is_contained(dims, 0))
    return;
  SmallVector<int64_t, 4> index(dims.size(), 0);
  while (true) {
    visit(index);
    int64_t axis = static_cast<int64_t>(dims.size()) - 1;
    while (axis >= 0 && ++index[axis] == dims[axis])
      index[axis--] = 0;
    if (axis < 0)
      return;
  }
}

int64_t linearIndex(ArrayRef<int64_t> dims, ArrayRef<int64_t> index) {
  int64_t result = 0;
  for (auto [dim, i] : llvm::zip(dims, index))
    result = result * dim + i;
  return result;
}

Content toAffine(const Content &content, ArrayRef<int64_t> dims) {
  if (content.isAffine())
    return content;
  if (const Element *value = content.uniform())
    return Content::uniform(*value, dims.size());
  ArrayRef<Element> elements = content.elements();
  if (elements.empty() || !llvm::all_of(elements, [](auto &e) { return e.kind == Element::Int; }))
    return {};
  Shape strides(dims.size(), SymbolicExpr(0));
  int64_t distance = 1;
  for (int64_t axis = static_cast<int64_t>(dims.size()) - 1; axis >= 0; --axis) {
    if (dims[axis] > 1)
      strides[axis] = elements[distance].expr - elements[0].expr;
    distance *= dims[axis];
  }
  bool fits = true;
  forEachIndex(dims, [&](ArrayRef<int64_t> index) {
    if (!fits)
      return;
    SymbolicExpr value = elements[0].expr;
    for (auto [stride, i] : llvm::zip(strides, index))
      value = value + stride * SymbolicExpr(i);
    fits = value == elements[linearIndex(dims, index)].expr;
  });
  return fits ? Content::affine(elements[0], strides) : Content();
}

double roundTo(Type type, double value) {
  auto floatType = dyn_cast<FloatType>(type);
  if (!floatType || floatType.isF64())
    return value;
  if (floatType.isF32())
    return static_cast<float>(value);
  llvm::APFloat number(value);
  bool inexact;
  number.convert(floatType.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  number.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  return number.convertToDouble();
}

Element wrapTo(Type type, const SymbolicExpr &value) {
  auto intType = dyn_cast<IntegerType>(type);
  if (!intType || !value.isKnown())
    return {};
  unsigned width = intType.getWidth();
  std::optional<int64_t> constant = value.constant();
  if (!constant)
    return value.fits(width, intType.isUnsigned()) ? Element::ofInt(value) : Element();
  if (width == 1)
    return Element::ofInt(*constant != 0);
  if (width == 64) {
    // Above INT64_MAX an unsigned value has no expression.
    return intType.isUnsigned() && *constant < 0 ? Element() : Element::ofInt(value);
  }
  llvm::APInt bits(64, static_cast<uint64_t>(*constant), /*isSigned=*/true);
  llvm::APInt wrapped = bits.trunc(width);
  return Element::ofInt(intType.isUnsigned() ? static_cast<int64_t>(wrapped.getZExtValue())
                                             : wrapped.getSExtValue());
}

namespace {
Element elementOf(Type type, const llvm::APInt &bits) {
  if (auto floatType = dyn_cast<FloatType>(type)) {
    llvm::APFloat number(floatType.getFloatSemantics(), bits);
    bool inexact;
    number.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &inexact);
    return Element::ofFloat(number.convertToDouble());
  }
  auto intType = cast<IntegerType>(type);
  if (intType.isUnsigned() || intType.getWidth() == 1) {
    if (bits.getActiveBits() > 63)
      return {};
    return Element::ofInt(static_cast<int64_t>(bits.getZExtValue()));
  }
  return Element::ofInt(bits.getSExtValue());
}

/// Little-endian data of a resource, element by element; i1 takes a byte.
Content readBlob(DenseResourceElementsAttr attribute, Type type, int64_t count) {
  AsmResourceBlob *blob = attribute.getRawHandle().getBlob();
  unsigned width = type.getIntOrFloatBitWidth(), size = llvm::divideCeil(width, 8u);
  if (!blob || size > 8 || blob->getData().size() < static_cast<uint64_t>(count) * size)
    return {};
  std::vector<Element> elements;
  elements.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, blob->getData().data() + i * size, size);
    elements.push_back(elementOf(type, llvm::APInt(width, bits, false, /*implicitTrunc=*/true)));
  }
  return Content::ofElements(std::move(elements));
}
} // namespace

Content readContent(ElementsAttr attribute, int64_t limit) {
  auto type = dyn_cast<RankedTensorType>(attribute.getType());
  if (!type || !type.getElementType().isIntOrFloat())
    return {};
  auto dense = dyn_cast<DenseElementsAttr>(attribute);
  if (dense && dense.isSplat() && dense.getNumElements() > limit) {
    Type element = type.getElementType();
    llvm::APInt bits = isa<FloatType>(element) ? dense.getSplatValue<APFloat>().bitcastToAPInt()
                                               : dense.getSplatValue<APInt>();
    return Content::uniform(elementOf(element, bits), type.getRank());
  }
  if (attribute.getNumElements() > limit)
    return {};
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute))
    return readBlob(resource, type.getElementType(), resource.getNumElements());
  if (!dense)
    return {};
  std::vector<Element> elements;
  elements.reserve(dense.getNumElements());
  if (isa<FloatType>(type.getElementType())) {
    for (const APFloat &value : dense.getValues<APFloat>())
      elements.push_back(elementOf(type.getElementType(), value.bitcastToAPInt()));
  } else {
    for (const APInt &value : dense.getValues<APInt>())
      elements.push_back(elementOf(type.getElementType(), value));
  }
  return Content::ofElements(std::move(elements));
}

DenseElementsAttr writeContent(const Content &content, RankedTensorType type) {
  Type elementType = type.getElementType();
  if (auto floatType = dyn_cast<FloatType>(elementType)) {
    SmallVector<APFloat> values;
    for (const Element &element : content.elements()) {
      APFloat value(element.number);
      bool inexact;
      value.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &inexact);
      values.push_back(value);
    }
    return DenseElementsAttr::get(type, values);
  }
  SmallVector<APInt> values;
  for (const Element &element : content.elements())
    values.emplace_back(elementType.getIntOrFloatBitWidth(),
                        static_cast<uint64_t>(element.expr.constant().value_or(0)),
                        /*isSigned=*/false, /*implicitTrunc=*/true);
  return DenseElementsAttr::get(type, values);
}

} // namespace rapt::onnx
