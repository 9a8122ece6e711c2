//===- Kernel.cpp - The kernel dialect and its verifiers -------------------------------===//
//
// Verifiers: shapes name a dim for each `?`, regions and calls agree with their bodies, schedules
// have only the parameters of their recipe. Printing and parsing come from the ODS.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialects/Kernel/KernelDialect.cpp.inc"
#include "dialects/Kernel/KernelEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/KernelAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.cpp.inc"

namespace rapt::kernel {

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Kernel/KernelAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Kernel/KernelOps.cpp.inc"
      >();
}

ArrayRef<int64_t> dynamicDims(ArrayAttr shapes, unsigned index) {
  return cast<DenseI64ArrayAttr>(shapes[index]).asArrayRef();
}

MemRefType bufferOf(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

bool mayBeEmpty(Operation *function, StringRef symbol) {
  auto symbols = function->getAttrOfType<ArrayAttr>(kMaybeEmptyAttr);
  return symbols && llvm::any_of(symbols, [&](Attribute attr) {
           auto name = dyn_cast<StringAttr>(attr);
           return name && name.getValue() == symbol;
         });
}

bool isView(Operation *op) {
  return isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op);
}

bool isMeasured(RequireOp require) {
  return isMeasured(require.getLhs()) || isMeasured(require.getRhs());
}

bool isMeasured(Value index) {
  llvm::SmallPtrSet<Operation *, 16> seen;
  SmallVector<Operation *> work{index.getDefiningOp()};
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    if (isa_and_nonnull<MeasureOp>(op))
      return true;
    if (!op || op->getNumResults() != 1 || !op->getResult(0).getType().isIntOrIndex() ||
        !seen.insert(op).second)
      continue;
    for (Value operand : op->getOperands())
      work.push_back(operand.getDefiningOp());
  }
  return false;
}

LogicalResult MeasureOp::verify() {
  auto type = cast<ShapedType>(getCount().getType());
  if (!type.hasStaticShape() || type.getNumElements() != 1 || !type.getElementType().isInteger(64))
    return emitOpError() << "expects a count of one i64, but it is " << type;
  return success();
}

/// `shapes` has one DenseI64ArrayAttr a type, with one number below `numDims` for each of its `?`s.
static LogicalResult verifyShapes(Operation *op, ArrayAttr shapes, TypeRange types, int64_t numDims,
                                  StringRef what) {
  if (shapes.size() != types.size())
    return op->emitOpError() << "expects one shape for each of the " << types.size() << " " << what
                             << ", but has " << shapes.size();
  for (auto [index, type] : llvm::enumerate(types)) {
    auto dims = dyn_cast<DenseI64ArrayAttr>(shapes[index]);
    auto shaped = dyn_cast<ShapedType>(type);
    if (!dims || !shaped)
      return op->emitOpError() << "expects shape " << index << " of the " << what
                               << " to be an array of dim numbers of a shaped type";
    if (static_cast<size_t>(dims.size()) != shaped.getNumDynamicDims())
      return op->emitOpError() << "expects " << shaped.getNumDynamicDims() << " dim numbers for "
                               << what << " " << index << ", but has " << dims.size();
    for (int64_t dim : dims.asArrayRef())
      if (dim < 0 || dim >= numDims)
        return op->emitOpError() << "expects dim numbers from 0 to " << numDims - 1 << ", but has "
                                 << dim;
  }
  return success();
}

LogicalResult ScheduleAttr::verify(function_ref<InFlightDiagnostic()> emitError, Recipe recipe,
                                   DictionaryAttr params) {
  auto allowed = [&](StringRef name) -> bool {
    if (name == "vector" || name == "parallel")
      return recipe != Recipe::Reference;
    if (name == "tile_rows" || name == "tile_cols")
      return recipe == Recipe::Gemm || recipe == Recipe::Matmul;
    if (name == "prefetch" || name == "even_rows")
      return recipe == Recipe::Gemm;
    return recipe == Recipe::Attention &&
           (name == "variant" || name == "block_query" || name == "decode_queries");
  };
  for (NamedAttribute param : params) {
    StringRef name = param.getName();
    if (!allowed(name))
      return emitError() << "recipe '" << stringifyRecipe(recipe) << "' has no parameter '" << name
                         << "'";
    if (name == "parallel") {
      if (!isa<BoolAttr>(param.getValue()))
        return emitError() << "expects parameter 'parallel' to be a bool, but it is "
                           << param.getValue();
    } else if (name == "variant") {
      auto text = dyn_cast<StringAttr>(param.getValue());
      if (!text || (text != "strip" && text != "unfused" && text != "decode"))
        return emitError() << "expects parameter 'variant' to be \"strip\", \"unfused\" or "
                              "\"decode\", but it is "
                           << param.getValue();
    } else {
      auto number = dyn_cast<IntegerAttr>(param.getValue());
      int64_t least = name == "prefetch" || name == "even_rows" || name == "decode_queries" ? 0 : 1;
      if (!number || number.getInt() < least || number.getInt() > 4096)
        return emitError() << "expects parameter '" << name << "' to be an integer from " << least
                           << " to 4096, but it is " << param.getValue();
    }
  }
  auto few = params.getAs<IntegerAttr>("decode_queries");
  auto variant = params.getAs<StringAttr>("variant");
  if (few && few.getInt() > 0 && variant && variant != "strip")
    return emitError() << "expects parameter 'decode_queries' only with the variant \"strip\", but "
                          "it is "
                       << variant;
  return success();
}

LogicalResult WeightOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  int64_t rank = type.getRank(), concatDim = getConcatDim(), extent = 0;
  if (getSources().empty())
    return emitOpError() << "expects at least one source";
  if (concatDim != 0 && (concatDim < 0 || concatDim >= rank))
    return emitOpError() << "expects concat_dim below the rank " << rank << ", but it is "
                         << concatDim;
  if (getPerm()) {
    SmallVector<int64_t> sorted(*getPerm());
    llvm::sort(sorted);
    if (static_cast<int64_t>(sorted.size()) != rank ||
        !llvm::equal(sorted, llvm::seq<int64_t>(0, rank)))
      return emitOpError() << "expects perm to be a permutation of 0 to " << rank - 1;
  }
  for (Attribute source : getSources()) {
    auto elements = dyn_cast<ElementsAttr>(source);
    if (!elements || elements.getElementType() != type.getElementType() ||
        elements.getShapedType().getRank() != rank)
      return emitOpError() << "expects every source to have rank " << rank << " and element type "
                           << type.getElementType();
    for (int64_t i = 0; i < rank; ++i) {
      int64_t size = elements.getShapedType().getDimSize(getPerm() ? (*getPerm())[i] : i);
      if (i == concatDim)
        extent += size;
      else if (size != type.getDimSize(i))
        return emitOpError() << "expects dim " << i << " of every source to be "
                             << type.getDimSize(i) << ", but one has " << size;
    }
  }
  if (rank > 0 && extent != type.getDimSize(concatDim))
    return emitOpError() << "expects the sources to add up to " << type.getDimSize(concatDim)
                         << " along dim " << concatDim << ", but they have " << extent;
  if (getPanel() < 0 || (getPanel() > 0 && rank != 2))
    return emitOpError() << "expects a panel width of 0, or a positive one on a matrix, but it is "
                         << getPanel();
  return success();
}

LogicalResult RegionOp::verify() {
  int64_t numDims = getDims().size();
  if (failed(verifyShapes(*this, getInputShapes(), getInputs().getTypes(), numDims, "inputs")) ||
      failed(verifyShapes(*this, getResultShapes(), getResultTypes(), numDims, "results")))
    return failure();
  Block &block = getBody().front();
  SmallVector<Type> expected(numDims, IndexType::get(getContext()));
  llvm::append_range(expected, getInputs().getTypes());
  if (!llvm::equal(block.getArgumentTypes(), expected))
    return emitOpError() << "expects its block to take the dims and then the inputs";
  if (!llvm::equal(block.getTerminator()->getOperandTypes(), getResultTypes()))
    return emitOpError() << "expects its block to yield the result types";
  return success();
}

LogicalResult FuncOp::verify() {
  int64_t numDims = getNumDims();
  Block &block = getBody().front();
  if (numDims < 0 || numDims > static_cast<int64_t>(block.getNumArguments()) ||
      llvm::any_of(block.getArguments().take_front(numDims),
                   [](BlockArgument arg) { return !arg.getType().isIndex(); }))
    return emitOpError() << "expects its block to take " << numDims << " dims of index type first";
  SmallVector<Type> types(block.getArgumentTypes());
  TypeRange inputs = TypeRange(types).drop_front(numDims);
  if (getInputPanels().size() != inputs.size())
    return emitOpError() << "expects one panel width for each of the " << inputs.size()
                         << " inputs, but has " << getInputPanels().size();
  if (failed(verifyShapes(*this, getInputShapes(), inputs, numDims, "inputs")))
    return failure();
  return verifyShapes(*this, getResultShapes(), block.getTerminator()->getOperandTypes(), numDims,
                      "results");
}

LogicalResult CallOp::verify() {
  int64_t numDims = getDims().size();
  if (!getOuts().empty() && !getOutputs().empty())
    return emitOpError() << "expects either results or outs, but has both";
  TypeRange results =
      getOuts().empty() ? TypeRange(getResultTypes()) : TypeRange(getOuts().getTypes());
  if (failed(verifyShapes(*this, getInputShapes(), getInputs().getTypes(), numDims, "inputs")))
    return failure();
  return verifyShapes(*this, getResultShapes(), results, numDims, "results");
}

} // namespace rapt::kernel
