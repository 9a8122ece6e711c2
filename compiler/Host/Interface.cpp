//===- Interface.cpp - What the caller of a model sees ----------------------------------===//
//
// Interface <=> the module attribute kernel.interface, and element types <=> ONNX's numbers. An
// attribute that was edited into nonsense is an error of the module, not a wrong table.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/Interface.h"

#include "compiler/Host/Host.h"
#include "mlir/IR/Builders.h"
#include "runtime/include/rapt_abi.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

int32_t host::onnxTypeNumber(Type element) {
  if (element.isF32())
    return RAPT_ABI_F32;
  if (element.isF64())
    return RAPT_ABI_F64;
  if (element.isF16())
    return RAPT_ABI_F16;
  if (element.isBF16())
    return RAPT_ABI_BF16;
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer)
    return 0;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return RAPT_ABI_BOOL;
  case 8:
    return isUnsigned ? RAPT_ABI_U8 : RAPT_ABI_I8;
  case 16:
    return isUnsigned ? RAPT_ABI_U16 : RAPT_ABI_I16;
  case 32:
    return isUnsigned ? RAPT_ABI_U32 : RAPT_ABI_I32;
  case 64:
    return isUnsigned ? RAPT_ABI_U64 : RAPT_ABI_I64;
  default:
    return 0;
  }
}

static Attribute toAttr(Builder &b, const std::vector<InterfaceTensor> &tensors) {
  return b.getArrayAttr(
      llvm::map_to_vector(tensors, [&](const InterfaceTensor &tensor) -> Attribute {
        SmallVector<int64_t> values;
        SmallVector<Attribute> texts;
        for (const InterfaceDim &dim : tensor.dims) {
          values.push_back(dim.value);
          texts.push_back(b.getStringAttr(dim.text));
        }
        return b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr(tensor.name)),
                                    b.getNamedAttr("dtype", b.getI32IntegerAttr(tensor.dtype)),
                                    b.getNamedAttr("dims", b.getDenseI64ArrayAttr(values)),
                                    b.getNamedAttr("texts", b.getArrayAttr(texts))});
      }));
}

DictionaryAttr host::toAttr(MLIRContext *context, const Interface &interface) {
  Builder b(context);
  auto symbols = llvm::map_to_vector(interface.symbols, [&](const std::string &name) -> Attribute {
    return b.getStringAttr(name);
  });
  return b.getDictionaryAttr({b.getNamedAttr("symbols", b.getArrayAttr(symbols)),
                              b.getNamedAttr("least", b.getDenseI32ArrayAttr(interface.least)),
                              b.getNamedAttr("inputs", ::toAttr(b, interface.inputs)),
                              b.getNamedAttr("outputs", ::toAttr(b, interface.outputs))});
}

static bool read(ArrayAttr attrs, std::vector<InterfaceTensor> &tensors) {
  for (Attribute attr : attrs ? attrs.getValue() : ArrayRef<Attribute>()) {
    auto dictionary = dyn_cast<DictionaryAttr>(attr);
    if (!dictionary)
      return false;
    auto name = dictionary.getAs<StringAttr>("name");
    auto dtype = dictionary.getAs<IntegerAttr>("dtype");
    auto dims = dictionary.getAs<DenseI64ArrayAttr>("dims");
    auto texts = dictionary.getAs<ArrayAttr>("texts");
    if (!name || !dtype || !dims || !texts || static_cast<int64_t>(texts.size()) != dims.size())
      return false;
    InterfaceTensor tensor{name.str(), int32_t(dtype.getInt()), {}};
    for (auto [value, text] : llvm::zip(dims.asArrayRef(), texts)) {
      if (!isa<StringAttr>(text))
        return false;
      tensor.dims.push_back({value, cast<StringAttr>(text).str()});
    }
    tensors.push_back(std::move(tensor));
  }
  return bool(attrs);
}

FailureOr<Interface> host::readInterface(ModuleOp module) {
  Interface result;
  auto attr = module->getAttrOfType<DictionaryAttr>(kInterfaceAttr);
  auto symbols = attr ? attr.getAs<ArrayAttr>("symbols") : ArrayAttr();
  bool valid = symbols && read(attr.getAs<ArrayAttr>("inputs"), result.inputs) &&
               read(attr.getAs<ArrayAttr>("outputs"), result.outputs);
  auto least = attr ? attr.getAs<DenseI32ArrayAttr>("least") : DenseI32ArrayAttr();
  valid = valid && least && static_cast<size_t>(least.size()) == symbols.size();
  if (valid)
    result.least.assign(least.asArrayRef().begin(), least.asArrayRef().end());
  for (Attribute symbol : symbols ? symbols.getValue() : ArrayRef<Attribute>()) {
    valid &= isa<StringAttr>(symbol);
    result.symbols.push_back(isa<StringAttr>(symbol) ? cast<StringAttr>(symbol).str() : "");
  }
  if (!valid) {
    module.emitError() << "expects an attribute '" << kInterfaceAttr
                       << "', which host-bufferize makes";
    return failure();
  }
  return result;
}
