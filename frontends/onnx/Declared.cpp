//===- Declared.cpp - What a model says of its inputs and outputs ----------------------------===//

#include "frontends/onnx/Declared.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Errors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace rapt::onnx {

std::string dimName(const ValueInfo &input, size_t i) {
  const Dim &dim = input.tensor.dims[i];
  return dim.kind == Dim::Param && !dim.param.empty()
             ? escaped(dim.param)
             : escaped(input.name) + "_dim" + std::to_string(i);
}

void collectUses(const Graph &graph, llvm::StringSet<> &used) {
  for (const Node &node : graph.nodes) {
    for (StringRef name : node.inputs)
      used.insert(name);
    for (const Attribute &attribute : node.attributes)
      for (const Graph &subgraph : attribute.graphs)
        collectUses(subgraph, used);
  }
  for (const ValueInfo &output : graph.outputs)
    used.insert(output.name);
}

static std::string outputText(const ValueInfo &output) {
  return "graph output " + quoted(output.name);
}

std::optional<std::string> checkDeclaredType(const ValueInfo &output, Value value,
                                             const ShapeInference &shapes) {
  ElementType wanted = output.tensor.elementType;
  Type type = cast<RankedTensorType>(value.getType()).getElementType();
  if (output.kind != ValueInfo::Tensor || wanted == ElementType::Undefined ||
      elementTypeFor(value.getContext(), wanted) == type)
    return std::nullopt;
  return outputText(output) + " is declared as " + nameOf(wanted).str() +
         ", but the graph computes " + typeText(shapes, value);
}

void checkDeclaredDims(const ValueInfo &output, Value value, ArrayRef<SymbolicExpr> dims,
                       const ShapeInference &shapes) {
  if (output.kind != ValueInfo::Tensor || !output.tensor.hasShape)
    return;
  ArrayRef<SymbolicExpr> own = shapes.shape(value);
  bool same = own.size() == dims.size();
  for (size_t i = 0; same && i < own.size(); ++i)
    same = !SymbolicExpr::provablyDifferent(own[i], dims[i]);
  if (same)
    return;
  std::string text;
  for (const SymbolicExpr &dim : dims)
    text += (text.empty() ? "" : ", ") + (dim.isKnown() ? dim.str() : "?");
  emitWarning(UnknownLoc::get(value.getContext()))
      << outputText(output) << " is declared with dims [" << text << "], but the graph computes "
      << typeText(shapes, value);
}

static std::string listed(StringRef name, std::string list) {
  return list + (list.empty() ? "'" : ", '") + name.str() + "'";
}

LogicalResult checkOptions(const Model &model, const ImportOptions &options,
                           const llvm::StringMap<ElementsAttr> &fixed,
                           ArrayRef<mlir::Attribute> symbols, const llvm::StringSet<> &specialised,
                           MLIRContext &context) {
  auto refuse = [&] { return emitError(UnknownLoc::get(&context)); };
  std::string known;
  for (const ValueInfo &input : model.graph.inputs)
    known = listed(escaped(input.name), known);
  for (const auto &[name, texts] : options.values)
    if (!fixed.contains(name))
      return refuse() << "input '" << name << "' is given, but the model's inputs are " << known;
  known.clear();
  for (mlir::Attribute symbol : symbols)
    known = listed(cast<StringAttr>(symbol).getValue(), known);
  for (const auto &entry : specialised)
    known = listed(entry.getKey(), known);
  for (const auto &[name, value] : options.dims) {
    if (value < 0)
      return refuse() << "dim '" << name << "' is given as " << value << ", expected at least 0";
    if (!specialised.contains(name))
      return refuse() << "dim '" << name << "' is given, but the model's inputs have "
                      << (known.empty() ? "no symbolic dims" : "the symbolic dims " + known);
  }
  return success();
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
