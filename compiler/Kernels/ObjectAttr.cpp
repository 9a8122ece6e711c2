//===- ObjectAttr.cpp - KernelObject <=> DictionaryAttr ---------------------------------===//
//
// The attribute is what the host stage reads of a compiled kernel, so it is checked when it is
// read: IR that was edited by hand gives an error, not undefined behaviour.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/ObjectAttr.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"

using namespace mlir;
using namespace rapt::kernels;

namespace {

constexpr std::pair<ScalarType, const char *> typeNames[] = {
    {ScalarType::Bool, "bool"}, {ScalarType::I8, "i8"},   {ScalarType::I16, "i16"},
    {ScalarType::I32, "i32"},   {ScalarType::I64, "i64"}, {ScalarType::U8, "u8"},
    {ScalarType::F32, "f32"},   {ScalarType::F64, "f64"}, {ScalarType::F16, "f16"},
    {ScalarType::BF16, "bf16"}};

StringRef nameOf(ScalarType type) {
  return llvm::find_if(typeNames, [&](auto &entry) { return entry.first == type; })->second;
}

Attribute toAttr(Builder &b, const Extent &extent) {
  SmallVector<int64_t> numbers{extent.factor};
  numbers.append(extent.dims.begin(), extent.dims.end());
  return b.getDenseI64ArrayAttr(numbers);
}

Attribute toAttr(Builder &b, const std::vector<Extent> &extents) {
  return b.getArrayAttr(
      llvm::map_to_vector(extents, [&](auto &extent) { return toAttr(b, extent); }));
}

Attribute toAttr(Builder &b, const Tensor &tensor) {
  return b.getDictionaryAttr({b.getNamedAttr("type", b.getStringAttr(nameOf(tensor.type))),
                              b.getNamedAttr("shape", toAttr(b, tensor.shape)),
                              b.getNamedAttr("panel", b.getI64IntegerAttr(tensor.panel))});
}

/// Reads the parts of one attribute; `valid` becomes false at the first that does not fit.
struct Reader {
  int64_t numDims;
  bool valid = true;

  template <typename T> T get(DictionaryAttr dictionary, StringRef name) {
    T attr = dictionary ? dictionary.getAs<T>(name) : T();
    valid &= bool(attr);
    return attr;
  }

  Extent extent(Attribute attr) {
    auto numbers = dyn_cast_or_null<DenseI64ArrayAttr>(attr);
    if (!numbers || numbers.empty() || numbers[0] < 0) {
      valid = false;
      return {};
    }
    Extent result{numbers[0], {}};
    for (int64_t dim : numbers.asArrayRef().drop_front()) {
      valid &= dim >= 0 && dim < numDims;
      result.dims.push_back(int(dim));
    }
    return result;
  }

  std::vector<Extent> extents(ArrayAttr array) {
    std::vector<Extent> result;
    for (Attribute attr : array ? array.getValue() : ArrayRef<Attribute>())
      result.push_back(extent(attr));
    return result;
  }

  int64_t integer(DictionaryAttr dictionary, StringRef name) {
    auto attr = get<IntegerAttr>(dictionary, name);
    return attr ? attr.getValue().getSExtValue() : 0;
  }

  Tensor tensor(Attribute attr) {
    auto dictionary = dyn_cast<DictionaryAttr>(attr);
    Tensor result;
    auto name = get<StringAttr>(dictionary, "type");
    auto found =
        llvm::find_if(typeNames, [&](auto &entry) { return name && name == entry.second; });
    valid &= found != std::end(typeNames);
    if (found != std::end(typeNames))
      result.type = found->first;
    result.shape = extents(get<ArrayAttr>(dictionary, "shape"));
    result.panel = integer(dictionary, "panel");
    valid &= result.panel >= 0 && (result.panel == 0 || result.shape.size() == 2);
    return result;
  }

  KernelObject::Variant variant(Attribute attr) {
    auto dictionary = dyn_cast<DictionaryAttr>(attr);
    auto symbol = get<StringAttr>(dictionary, "symbol");
    return {symbol ? symbol.str() : "", integer(dictionary, "max_tile"),
            integer(dictionary, "max_rows")};
  }
};

} // namespace

DictionaryAttr rapt::kernels::objectToAttr(MLIRContext *context, const KernelObject &object,
                                           const KernelSpec &spec) {
  Builder b(context);
  auto variants = llvm::map_to_vector(object.variants, [&](auto &variant) -> Attribute {
    return b.getDictionaryAttr({b.getNamedAttr("symbol", b.getStringAttr(variant.symbol)),
                                b.getNamedAttr("max_tile", b.getI64IntegerAttr(variant.maxTile)),
                                b.getNamedAttr("max_rows", b.getI64IntegerAttr(variant.maxRows))});
  });
  auto inner = llvm::map_to_vector(object.innerElements, [&](auto &sum) { return toAttr(b, sum); });
  SmallVector<Attribute> tensors;
  for (int i = 0; i < spec.numInputs; ++i)
    tensors.push_back(toAttr(b, spec.tensors[i]));
  for (int output : spec.outputs)
    tensors.push_back(toAttr(b, spec.tensors[output]));
  return b.getDictionaryAttr({b.getNamedAttr("variants", b.getArrayAttr(variants)),
                              b.getNamedAttr("rows", toAttr(b, object.rows)),
                              b.getNamedAttr("scratch", toAttr(b, object.scratchBytes)),
                              b.getNamedAttr("inner", b.getArrayAttr(inner)),
                              b.getNamedAttr("tensors", b.getArrayAttr(tensors))});
}

FailureOr<ObjectInfo> rapt::kernels::objectFromAttr(Operation *kernel, DictionaryAttr attr,
                                                    int64_t numDims, size_t numTensors) {
  Reader reader{numDims};
  ObjectInfo info;
  if (auto variants = reader.get<ArrayAttr>(attr, "variants"))
    for (Attribute variant : variants)
      info.variants.push_back(reader.variant(variant));
  reader.valid &= !info.variants.empty() && info.variants.back().maxRows == 0;
  for (const KernelObject::Variant &variant : info.variants)
    reader.valid &= variant.maxTile >= 0 && variant.maxRows >= 0 &&
                    variant.maxTile <= info.variants.back().maxTile;
  info.rows = reader.extent(reader.get<DenseI64ArrayAttr>(attr, "rows"));
  info.scratchBytes = reader.extents(reader.get<ArrayAttr>(attr, "scratch"));
  if (auto inner = reader.get<ArrayAttr>(attr, "inner"))
    for (Attribute sum : inner) {
      reader.valid &= isa<ArrayAttr>(sum);
      info.innerElements.push_back(reader.extents(dyn_cast<ArrayAttr>(sum)));
    }
  if (auto tensors = reader.get<ArrayAttr>(attr, "tensors"))
    for (Attribute tensor : tensors)
      info.tensors.push_back(reader.tensor(tensor));
  if (!reader.valid || info.tensors.size() != numTensors)
    return kernel->emitOpError()
           << "expects `object` to hold variants, the last one for any rows and the "
              "largest tile, rows, scratch, inner and "
           << numTensors << " tensors over " << numDims << " dims, but it is " << attr;
  return info;
}
