//===- Import.cpp - Model to the onnx dialect ------------------------------------------------===//

#include "frontends/onnx/Import.h"

#include "dialects/Kernel/Kernel.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Versions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// Nodes that are not supported, by operator and reason, in the order of the graph.
class UnsupportedList {
public:
  void add(const Node &node, std::optional<int64_t> version, StringRef reason) {
    std::string domain = node.domain.empty() ? "" : escaped(node.domain) + ".";
    std::string key = domain + escaped(node.opType) + " (" +
                      (node.domain.empty() ? "opset " : "version ") +
                      (version ? std::to_string(*version) : "?") + ")" +
                      (reason.empty() ? "" : ", " + reason.str());
    nodes[key].push_back(node.describe());
  }
  bool empty() const { return nodes.empty(); }

  void report(MLIRContext &context) const {
    constexpr size_t shown = 5;
    std::string text = "model uses what is not supported:";
    for (const auto &[what, names] : nodes) {
      text += "\n  " + what + ": ";
      for (size_t i = 0; i < std::min(shown, names.size()); ++i)
        text += (i ? ", " : "") + names[i];
      if (names.size() > shown)
        text += " and " + std::to_string(names.size() - shown) + " more";
    }
    emitError(UnknownLoc::get(&context)) << text;
  }

private:
  llvm::MapVector<std::string, std::vector<std::string>, std::map<std::string, unsigned>> nodes;
};

class Importer {
public:
  Importer(const Model &model, const ImportOptions &options, MLIRContext &context)
      : model(model), options(options), context(context), builder(&context) {}

  OwningOpRef<ModuleOp> run();

private:
  Location locationOf(StringRef name) { return NameLoc::get(builder.getStringAttr(escaped(name))); }
  LogicalResult fail(StringRef name, const Twine &what) {
    return emitError(locationOf(name)) << what.str();
  }
  LogicalResult importInput(const ValueInfo &input);
  LogicalResult checkOptions();
  func::FuncOp makeFunction(ModuleOp module);
  void collectUses();
  LogicalResult importNode(const Node &node);
  LogicalResult importOutputs(func::FuncOp function);
  /// The value of that name, importing the initialiser if it is one; null for what an unsupported
  /// node would have made.
  FailureOr<Value> valueOf(const Node *user, StringRef name);

  struct Input {
    StringRef name;
    RankedTensorType type;
    Shape shape;
    ArrayAttr dims;
  };

  const Model &model;
  const ImportOptions &options;
  MLIRContext &context;
  OpBuilder builder;
  ShapeInference shapes;
  std::vector<Input> inputs;
  SmallVector<mlir::Attribute> symbols;
  llvm::StringSet<> symbolNames, specialised, used;
  llvm::StringMap<Value> values;
  /// The parts of each sequence. A sequence is no value: SplitToSequence makes its parts,
  /// SequenceAt picks one, and nothing else may read it.
  llvm::StringMap<SmallVector<Value>> sequences;
  llvm::StringMap<const Tensor *> initializers;
  llvm::StringMap<Shape> declared; ///< dims of graph outputs, as the file gives them
  UnsupportedList unsupported;
};

LogicalResult Importer::importInput(const ValueInfo &input) {
  std::string what = "input " + quoted(input.name);
  if (input.kind != ValueInfo::Tensor)
    return fail(input.name, what + " is no tensor");
  Type elementType = elementTypeFor(&context, input.tensor.elementType);
  if (!elementType)
    return fail(input.name, what + " has element type " + nameOf(input.tensor.elementType) +
                                ", which is not supported");
  if (!input.tensor.hasShape)
    return fail(input.name, what + " has no shape, expected at least a rank");
  Input result{input.name, {}, {}, {}};
  SmallVector<mlir::Attribute> dims;
  SmallVector<int64_t> sizes;
  for (auto [i, dim] : llvm::enumerate(input.tensor.dims)) {
    if (dim.kind == Dim::Value) {
      if (dim.value < 0)
        return fail(input.name, what + " dim " + Twine(i) + " is " + Twine(dim.value) +
                                    ", expected at least 0");
      result.shape.push_back(SymbolicExpr(dim.value));
      dims.push_back(builder.getI64IntegerAttr(dim.value));
      sizes.push_back(dim.value);
      continue;
    }
    std::string name = dim.kind == Dim::Param && !dim.param.empty()
                           ? escaped(dim.param)
                           : escaped(input.name) + "_dim" + std::to_string(i);
    if (auto value = options.dims.find(name); value != options.dims.end()) {
      specialised.insert(name);
      result.shape.push_back(SymbolicExpr(value->second));
      dims.push_back(builder.getI64IntegerAttr(value->second));
      sizes.push_back(value->second);
      continue;
    }
    if (symbolNames.insert(name).second)
      symbols.push_back(builder.getStringAttr(name));
    result.shape.push_back(SymbolicExpr::symbol(name));
    dims.push_back(builder.getStringAttr(name));
    sizes.push_back(ShapedType::kDynamic);
  }
  __int128 bytes = elementType.getIntOrFloatBitWidth();
  for (int64_t size : sizes)
    if (bytes *= std::max<int64_t>(size, 1); bytes > std::numeric_limits<int64_t>::max())
      return fail(input.name, what + " has more bytes than fit 64 bits");
  result.type = RankedTensorType::get(sizes, elementType);
  result.dims = builder.getArrayAttr(dims);
  inputs.push_back(std::move(result));
  return success();
}

LogicalResult Importer::checkOptions() {
  for (const auto &[name, value] : options.dims) {
    if (value < 1)
      return emitError(UnknownLoc::get(&context))
             << "dim '" << name << "' is given as " << value << ", expected at least 1";
    if (specialised.contains(name))
      continue;
    std::string known;
    for (mlir::Attribute symbol : symbols)
      known += (known.empty() ? "'" : ", '") + cast<StringAttr>(symbol).getValue().str() + "'";
    for (const auto &entry : specialised)
      known += (known.empty() ? "'" : ", '") + entry.getKey().str() + "'";
    return emitError(UnknownLoc::get(&context))
           << "dim '" << name << "' is given, but the model's inputs have "
           << (known.empty() ? "no symbolic dims" : "the symbolic dims " + known);
  }
  return success();
}

func::FuncOp Importer::makeFunction(ModuleOp module) {
  SmallVector<Type> types;
  for (const Input &input : inputs)
    types.push_back(input.type);
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(builder, locationOf(model.graph.name), "main",
                                       builder.getFunctionType(types, {}));
  function->setAttr(kernel::kSymbolsAttr, builder.getArrayAttr(symbols));
  Block *body = function.addEntryBlock();
  for (auto [i, input] : llvm::enumerate(inputs)) {
    function.setArgAttr(i, kNameAttr, builder.getStringAttr(input.name));
    function.setArgAttr(i, kDimsAttr, input.dims);
    BlockArgument argument = body->getArgument(i);
    argument.setLoc(locationOf(input.name));
    shapes.bindArgument(argument, input.shape);
    values[input.name] = argument;
  }
  builder.setInsertionPointToEnd(body);
  return function;
}

void Importer::collectUses() {
  for (const Node &node : model.graph.nodes)
    for (StringRef name : node.inputs)
      used.insert(name);
  for (const ValueInfo &output : model.graph.outputs) {
    used.insert(output.name);
    Shape &dims = declared[output.name];
    for (const Dim &dim : output.tensor.dims) {
      auto given = options.dims.find(escaped(dim.param));
      dims.push_back(dim.kind == Dim::Value        ? SymbolicExpr(dim.value)
                     : dim.kind == Dim::Unknown    ? SymbolicExpr()
                     : given != options.dims.end() ? SymbolicExpr(given->second)
                                                   : SymbolicExpr::symbol(escaped(dim.param)));
    }
  }
}

FailureOr<Value> Importer::valueOf(const Node *user, StringRef name) {
  if (auto found = values.find(name); found != values.end())
    return found->second;
  std::string where = user ? user->describe() + " reads " : "graph output is ";
  if (sequences.contains(name)) {
    (void)fail(name, where + "sequence " + quoted(name) + ", which only SequenceAt can read");
    return failure();
  }
  auto found = initializers.find(name);
  if (found == initializers.end()) {
    (void)fail(name, where + quoted(name) + ", which nothing produces");
    return failure();
  }
  ElementsAttr data = elementsFor(&context, *found->second, name);
  if (!data) {
    (void)fail(name, where + "initializer " + quoted(name) + " of element type " +
                         nameOf(found->second->elementType) + ", which is not supported");
    return failure();
  }
  auto constant = ConstantOp::create(builder, locationOf(name), data.getType(), data);
  if (failed(shapes.infer(constant)))
    return failure();
  return values[name] = constant.getOutput();
}

LogicalResult Importer::importNode(const Node &node) {
  std::optional<int64_t> version = model.opset(node.domain);
  const Operator *known = findOperator(node.domain, node.opType);
  bool poisoned = false;
  SmallVector<Value> operands;
  if (known && version && *version >= known->since) {
    for (auto [i, name] : llvm::enumerate(node.inputs)) {
      if (name.empty()) {
        operands.emplace_back();
        continue;
      }
      if (i == 0 && node.opType == "SequenceAt") {
        if (auto found = sequences.find(name); found != sequences.end()) {
          operands.append(found->second);
          continue;
        }
        if (!values.contains(name) || values[name])
          return fail(node.name,
                      node.describe() + " reads " + quoted(name) + ", which is no sequence");
      }
      FailureOr<Value> value = valueOf(&node, name);
      if (failed(value))
        return failure();
      poisoned |= !*value;
      operands.push_back(*value);
    }
  } else {
    std::string reason =
        !known || !version ? "" : "it exists since opset " + std::to_string(known->since);
    unsupported.add(node, version, reason);
    poisoned = true;
  }
  // What follows from an unsupported node is only looked at by name.
  if (poisoned) {
    for (StringRef name : node.outputs)
      values[name] = Value();
    return success();
  }
  std::string name = node.name.empty() ? node.describe() : escaped(node.name);
  Location loc = NameLoc::get(builder.getStringAttr(name));
  NodeBuilder nodeBuilder(builder, shapes, node, *version, loc, operands, used);
  nodeBuilder.setDeclared(declared);
  known->upgrade(nodeBuilder);
  nodeBuilder.checkAllSeen();
  if (nodeBuilder.isWrong())
    return failure();
  if (!nodeBuilder.unsupportedReason().empty())
    unsupported.add(node, version, nodeBuilder.unsupportedReason());
  if (node.opType == "SplitToSequence" && !nodeBuilder.stopped() && !node.outputs.empty()) {
    sequences[node.outputs.front()] = SmallVector<Value>(nodeBuilder.results());
    return success();
  }
  for (auto [output, value] : llvm::zip(node.outputs, nodeBuilder.results()))
    if (!output.empty())
      values[output] = nodeBuilder.stopped() ? Value() : value;
  return success();
}

LogicalResult Importer::importOutputs(func::FuncOp function) {
  SmallVector<Value> results;
  SmallVector<Type> types;
  for (const ValueInfo &output : model.graph.outputs) {
    FailureOr<Value> value = valueOf(nullptr, output.name);
    if (failed(value))
      return failure();
    if (!*value)
      return fail(output.name, "graph output " + quoted(output.name) + " is not computed");
    results.push_back(*value);
    types.push_back(value->getType());
  }
  func::ReturnOp::create(builder, function.getLoc(), results);
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  for (auto [i, output] : llvm::enumerate(model.graph.outputs))
    function.setResultAttr(i, kNameAttr, builder.getStringAttr(output.name));
  return success();
}

OwningOpRef<ModuleOp> Importer::run() {
  for (const ValueInfo &input : model.graph.inputs)
    if (failed(importInput(input)))
      return {};
  if (failed(checkOptions()))
    return {};
  OwningOpRef<ModuleOp> module = ModuleOp::create(locationOf(model.graph.name));
  (*module)->setAttr(kModelNameAttr, builder.getStringAttr(model.graph.name));
  func::FuncOp function = makeFunction(*module);
  collectUses();
  for (const Tensor &initializer : model.graph.initializers)
    initializers[initializer.name] = &initializer;
  for (const Node &node : model.graph.nodes)
    if (failed(importNode(node)))
      return {};
  if (!unsupported.empty()) {
    unsupported.report(context);
    return {};
  }
  if (failed(importOutputs(function)) || failed(verify(*module)))
    return {};
  return module;
}
} // namespace

OwningOpRef<ModuleOp> importModel(const Model &model, const ImportOptions &options,
                                  MLIRContext &context) {
  context.loadDialect<OnnxDialect, kernel::KernelDialect, func::FuncDialect>();
  return Importer(model, options, context).run();
}

} // namespace rapt::onnx
