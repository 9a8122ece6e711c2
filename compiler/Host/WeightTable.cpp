//===- WeightTable.cpp - Where each weight is in the blob -------------------------------===//
//
// kernel.weight operations => offsets in one blob => the module attribute kernel.weight_table, and
// back. Equal weights share an offset; offsets ascend and never overlap.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/WeightTable.h"

#include "compiler/Host/Host.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

// A cache line, and the widest vector.
static constexpr int64_t alignment = 64;

int64_t host::elementBytes(Type element) {
  return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

int64_t WeightEntry::bytes() const {
  int64_t elements = type.getNumElements();
  if (panel > 0)
    elements = type.getDimSize(0) * int64_t(llvm::alignTo(type.getDimSize(1), panel));
  return elements * elementBytes(type.getElementType());
}

int64_t WeightTableBuilder::add(kernel::WeightOp op) {
  Builder b(op.getContext());
  auto type = cast<RankedTensorType>(op.getResult().getType());
  NamedAttrList entry;
  entry.set("sources", op.getSources());
  if (op.getPerm())
    entry.set("perm", op.getPermAttr());
  entry.set("concat_dim", op.getConcatDimAttr());
  entry.set("panel", op.getPanelAttr());
  entry.set("type", TypeAttr::get(type));
  auto [found, isNew] = offsets.try_emplace(entry.getDictionary(op.getContext()), end);
  if (!isNew)
    return found->second;
  int64_t offset = end;
  entry.set("offset", b.getI64IntegerAttr(offset));
  entries.push_back(entry.getDictionary(op.getContext()));
  WeightEntry sized{op.getSources(), {}, 0, int64_t(op.getPanel()), type, 0};
  end = offset + int64_t(llvm::alignTo(sized.bytes(), alignment));
  return offset;
}

ArrayAttr WeightTableBuilder::toAttr(MLIRContext *context) const {
  return ArrayAttr::get(context, entries);
}

static FailureOr<WeightEntry> readEntry(Attribute attr) {
  auto dictionary = dyn_cast<DictionaryAttr>(attr);
  if (!dictionary)
    return failure();
  auto sources = dictionary.getAs<ArrayAttr>("sources");
  auto type = dictionary.getAs<TypeAttr>("type");
  auto offset = dictionary.getAs<IntegerAttr>("offset");
  auto concatDim = dictionary.getAs<IntegerAttr>("concat_dim");
  auto panel = dictionary.getAs<IntegerAttr>("panel");
  auto tensor = type ? dyn_cast<RankedTensorType>(type.getValue()) : RankedTensorType();
  if (!sources || !tensor || !tensor.hasStaticShape() || !offset || !concatDim || !panel ||
      !llvm::all_of(sources, [](Attribute source) { return isa<ElementsAttr>(source); }))
    return failure();
  WeightEntry entry{sources, {}, concatDim.getInt(), panel.getInt(), tensor, offset.getInt()};
  if (auto perm = dictionary.getAs<DenseI64ArrayAttr>("perm"))
    entry.perm = llvm::to_vector(perm.asArrayRef());
  return entry;
}

FailureOr<std::vector<WeightEntry>> host::readWeightTable(ModuleOp module) {
  std::vector<WeightEntry> result;
  auto table = module->getAttrOfType<ArrayAttr>(kWeightTableAttr);
  if (!table) {
    module.emitError() << "has no attribute '" << kWeightTableAttr
                       << "': host-bufferize did not run";
    return failure();
  }
  int64_t end = 0;
  for (Attribute attr : table) {
    FailureOr<WeightEntry> entry = readEntry(attr);
    if (failed(entry) || entry->offset < end) {
      module.emitError() << "has a weight that is not understood or overlaps the one before: "
                         << attr;
      return failure();
    }
    end = entry->offset + entry->bytes();
    result.push_back(std::move(*entry));
  }
  return result;
}
