//===- Declared.cpp - What a model says of its inputs and outputs ----------------------------===//

#include "frontends/onnx/Declared.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Errors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace rapt::onnx {

std::string dimName(const ValueInfo &input, size_t i) {
  const Dim &dim = input.tensor.dims[i];
  return dim.kind == Dim::Param && !dim.param.empty()
             ? escaped(dim.param)
             : escaped(input.name) + "_dim" + std::to_string(i);
}

std::optional<std::string> checkDeclared(const ValueInfo &output, Value value,
                                         ArrayRef<SymbolicExpr> dims,
                                         const ShapeInference &shapes) {
  if (output.kind != ValueInfo::Tensor)
    return std::nullopt;
  Location nowhere = UnknownLoc::get(value.getContext());
  Type type = cast<RankedTensorType>(value.getType()).getElementType();
  std::string what = "graph output " + quoted(output.name), given = typeText(shapes, value);
  ElementType wanted = output.tensor.elementType;
  if (wanted != ElementType::Undefined && elementTypeFor(value.getContext(), wanted) != type)
    return what + " is declared as " + nameOf(wanted).str() + ", but the graph computes " + given;
  if (!output.tensor.hasShape)
    return std::nullopt;
  ArrayRef<SymbolicExpr> own = shapes.shape(value);
  bool same = own.size() == dims.size();
  for (size_t i = 0; same && i < own.size(); ++i)
    same = !SymbolicExpr::provablyDifferent(own[i], dims[i]);
  if (same)
    return std::nullopt;
  std::string text;
  for (const SymbolicExpr &dim : dims)
    text += (text.empty() ? "" : ", ") + (dim.isKnown() ? dim.str() : "?");
  emitWarning(nowhere) << what << " is declared with dims [" << text << "], but the graph computes "
                       << given;
  return std::nullopt;
}

ImportOptions withoutEmptyDims(const Model &model, const ImportOptions &options) {
  ImportOptions rest = options;
  auto eachEmptyDim = [&](const ValueInfo &input, auto visit) {
    for (size_t i = 0; i < input.tensor.dims.size(); ++i) {
      auto given = input.tensor.dims[i].kind == Dim::Value ? options.dims.end()
                                                           : options.dims.find(dimName(input, i));
      if (given != options.dims.end() && given->second == 0)
        visit(given->first);
    }
  };
  for (const ValueInfo &input : model.graph.inputs)
    if (!options.values.count(input.name.str()))
      eachEmptyDim(input, [&](const std::string &name) { rest.dims.erase(name); });
  for (const ValueInfo &input : model.graph.inputs)
    eachEmptyDim(input, [&](const std::string &name) {
      if (!rest.dims.count(name))
        rest.values.erase(input.name.str());
    });
  return rest;
}

LogicalResult checkEmptyDims(ModuleOp module, const ImportOptions &given,
                             const ImportOptions &symbolic,
                             SmallVectorImpl<mlir::Attribute> &mayBeEmpty) {
  auto symbols =
      (*module.getOps<func::FuncOp>().begin())->getAttrOfType<ArrayAttr>(kernel::kSymbolsAttr);
  for (mlir::Attribute symbol : symbols) {
    std::string name = cast<StringAttr>(symbol).getValue().str();
    if (!given.dims.count(name) || symbolic.dims.count(name))
      continue;
    if (!llvm::is_contained(mayBeEmpty, symbol))
      return emitError(UnknownLoc::get(module.getContext()))
             << "dim '" << name << "' is given as 0, expected at least 1: the graph does more with "
             << "a tensor of that size than compute element by element, concatenate or return it";
    llvm::erase(mayBeEmpty, symbol);
  }
  return success();
}

} // namespace rapt::onnx
