//===- Import.cpp - Model to the onnx dialect ------------------------------------------------===//

#include "frontends/onnx/Import.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Requirements.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Declared.h"
#include "frontends/onnx/EmptyDims.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/InputValues.h"
#include "frontends/onnx/Problems.h"
#include "frontends/onnx/Versions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
class Importer : public SubgraphImporter {
public:
  /// `maybeEmpty`: the symbolic dims (strings) that may be 0. `assumed` is taken for granted and
  /// becomes kernel.require.
  Importer(const Model &model, const ImportOptions &options, MLIRContext &context,
           ArrayRef<mlir::Attribute> maybeEmpty, ArrayRef<Requirement> assumed)
      : model(model), options(options), context(context), builder(&context), maybeEmpty(maybeEmpty),
        assumed(assumed) {}

  /// Null when there are problems, which are then in that list, or after another error.
  OwningOpRef<ModuleOp> run();
  SmallVector<Named> importSubgraph(const Graph &graph, ArrayRef<Named> inputs) override;
  std::string nameSize(StringRef output) override;
  /// After a run: the symbolic dims with which the function that it made works when they are 0.
  /// What was taken for granted may say that they are not.
  SmallVector<mlir::Attribute> findMaybeEmpty(ModuleOp module) const {
    return assumed.empty()
               ? dimsThatMayBeEmpty(*module.getOps<func::FuncOp>().begin(), shapes, symbols)
               : SmallVector<mlir::Attribute>();
  }
  /// After a run, also one that failed: what the graph asks of its dims.
  ArrayRef<Requirement> requirements() const { return shapes.requirements(); }

  ProblemList problems;

private:
  Location locationOf(StringRef name) { return NameLoc::get(builder.getStringAttr(escaped(name))); }
  LogicalResult refuse(const Twine &what) {
    problems.add(what.str());
    return failure();
  }
  SymbolicExpr symbolOf(StringRef name) {
    bool least = !llvm::is_contained(maybeEmpty, builder.getStringAttr(name));
    return SymbolicExpr::symbol(name, least);
  }
  /// Error when a size that the file or an option gives is negative.
  LogicalResult checkDim(const std::string &what, size_t i, int64_t size);
  /// Error when a tensor is too large for 64 bits, its open dims being 1.
  LogicalResult checkBytes(const std::string &what, ArrayRef<int64_t> sizes, Type elementType);
  LogicalResult importInput(const ValueInfo &input);
  /// Makes a constant of an input whose elements are given by the options.
  LogicalResult fixInput(const ValueInfo &input, Type elementType);
  func::FuncOp makeFunction(ModuleOp module);
  void collectDeclared();
  void importNode(const Node &node);
  /// The operands of a node; none when it can not be imported, for a reason that is among the
  /// problems.
  std::optional<SmallVector<Named>> operandsOf(const Node &node);
  /// Says what `name` stands for until the current subgraph ends.
  void define(StringRef name, Named value);
  void importOutputs();
  /// What the name stands for, importing the initialiser if it is one; nothing for what would
  /// follow from one of the problems, of which this may be one.
  Named namedOf(const Node *user, StringRef name);

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
  ArrayRef<mlir::Attribute> maybeEmpty;
  ArrayRef<Requirement> assumed;
  ShapeInference shapes;
  std::vector<Input> inputs;
  SmallVector<mlir::Attribute> symbols;
  llvm::StringSet<> symbolNames, specialised, used;
  llvm::StringSet<>
      dimNames; ///< of dims of inputs, of graph outputs and of sizes that depend on data
  llvm::StringMap<Named> values;
  llvm::StringMap<const Tensor *> initializers;
  llvm::StringMap<ElementsAttr> fixedInputs;
  llvm::StringMap<Shape> declared; ///< dims of graph outputs, as the file gives them
  /// What names stood for before subgraphs that are being imported defined them.
  struct Shadowed {
    StringRef name;
    std::optional<Named> value;
    const Tensor *initializer;
  };
  std::vector<Shadowed> shadowed;
  int depth = 0; ///< of subgraphs around the current node
  func::FuncOp function;
};

LogicalResult Importer::checkDim(const std::string &what, size_t i, int64_t size) {
  if (size >= 0)
    return success();
  return refuse(what + " dim " + Twine(i) + " is " + Twine(size) + ", expected at least 0");
}

LogicalResult Importer::checkBytes(const std::string &what, ArrayRef<int64_t> sizes,
                                   Type elementType) {
  __int128 bits = elementType.getIntOrFloatBitWidth();
  for (int64_t size : sizes)
    if (bits *= std::max<int64_t>(size, 1); bits > std::numeric_limits<int64_t>::max())
      return refuse(what + " has more bytes than fit 64 bits");
  return success();
}

LogicalResult Importer::importInput(const ValueInfo &input) {
  std::string what = "input " + quoted(input.name);
  if (input.kind != ValueInfo::Tensor)
    return refuse(what + " is no tensor, expected one: other kinds of values are not supported");
  Type elementType = elementTypeFor(&context, input.tensor.elementType);
  if (!elementType)
    return refuse(what + " has element type " + nameOf(input.tensor.elementType) +
                  ", which is not supported");
  if (!input.tensor.hasShape)
    return refuse(what + " has no shape, expected at least a rank");
  if (options.values.count(input.name.str()))
    return fixInput(input, elementType);
  Input result{input.name, {}, {}, {}};
  SmallVector<mlir::Attribute> dims;
  SmallVector<int64_t> sizes;
  for (auto [i, dim] : llvm::enumerate(input.tensor.dims)) {
    if (dim.kind == Dim::Value) {
      if (failed(checkDim(what, i, dim.value)))
        return failure();
      result.shape.push_back(SymbolicExpr(dim.value));
      dims.push_back(builder.getI64IntegerAttr(dim.value));
      sizes.push_back(dim.value);
      continue;
    }
    std::string name = dimName(input, i);
    if (auto value = options.dims.find(name); value != options.dims.end()) {
      specialised.insert(name);
      result.shape.push_back(SymbolicExpr(value->second));
      dims.push_back(builder.getI64IntegerAttr(value->second));
      sizes.push_back(value->second);
      continue;
    }
    StringAttr symbol = builder.getStringAttr(name);
    dimNames.insert(name);
    if (symbolNames.insert(name).second)
      symbols.push_back(symbol);
    result.shape.push_back(symbolOf(name));
    dims.push_back(symbol);
    sizes.push_back(ShapedType::kDynamic);
  }
  if (failed(checkBytes(what, sizes, elementType)))
    return failure();
  result.type = RankedTensorType::get(sizes, elementType);
  result.dims = builder.getArrayAttr(dims);
  inputs.push_back(std::move(result));
  return success();
}

LogicalResult Importer::fixInput(const ValueInfo &input, Type elementType) {
  SmallVector<int64_t> sizes;
  std::string what = "input " + quoted(input.name), dims; // the latter given by an option
  for (auto [i, dim] : llvm::enumerate(input.tensor.dims)) {
    if (dim.kind == Dim::Value) {
      if (failed(checkDim(what, i, dim.value)))
        return failure();
      sizes.push_back(dim.value);
      continue;
    }
    std::string name = dimName(input, i);
    auto given = options.dims.find(name);
    if (given == options.dims.end())
      return refuse(what + " is given, but its dim " + Twine(i) + " is not: expected --dim " +
                    name + "=size, too");
    specialised.insert(name);
    if (failed(checkDim(what, i, given->second)))
      return failure();
    sizes.push_back(given->second);
    dims += (dims.empty() ? " with dim '" : ", '") + name + "' = " + std::to_string(given->second);
  }
  if (failed(checkBytes(what, sizes, elementType)))
    return failure();
  auto elements =
      parseElements(RankedTensorType::get(sizes, elementType), options.values.at(input.name.str()));
  if (!elements)
    return refuse(what + " is given as " + llvm::toString(elements.takeError()) + dims);
  fixedInputs[input.name] = *elements;
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
  if (!maybeEmpty.empty())
    function->setAttr(kernel::kMaybeEmptyAttr, builder.getArrayAttr(maybeEmpty));
  Block *body = function.addEntryBlock();
  for (auto [i, input] : llvm::enumerate(inputs)) {
    function.setArgAttr(i, kNameAttr, builder.getStringAttr(input.name));
    function.setArgAttr(i, kDimsAttr, input.dims);
    BlockArgument argument = body->getArgument(i);
    argument.setLoc(locationOf(input.name));
    shapes.bindArgument(argument, input.shape);
    values[input.name] = argument;
  }
  for (const Requirement &requirement : assumed)
    shapes.assume(requirement);
  emitRequirements(function, assumed);
  builder.setInsertionPointToEnd(body);
  return function;
}

void Importer::collectDeclared() {
  for (const ValueInfo &output : model.graph.outputs) {
    Shape &dims = declared[output.name];
    for (const Dim &dim : output.tensor.dims) {
      dimNames.insert(escaped(dim.param));
      auto given = options.dims.find(escaped(dim.param));
      dims.push_back(dim.kind == Dim::Value        ? SymbolicExpr(dim.value)
                     : dim.kind == Dim::Unknown    ? SymbolicExpr()
                     : given != options.dims.end() ? SymbolicExpr(given->second)
                                                   : symbolOf(escaped(dim.param)));
    }
  }
}

// --- Subgraphs -----------------------------------------------------------------------------------
void Importer::define(StringRef name, Named value) {
  if (depth > 0) {
    Shadowed before{name, std::nullopt, initializers.lookup(name)};
    if (auto known = values.find(name); known != values.end())
      before.value = known->second;
    shadowed.push_back(std::move(before));
  }
  values[name] = std::move(value);
}

SmallVector<Named> Importer::importSubgraph(const Graph &graph, ArrayRef<Named> inputs) {
  constexpr int deepest = 8;
  if (depth == deepest) {
    problems.add("graph " + quoted(graph.name) + " is nested deeper than " +
                 std::to_string(deepest) + " graphs in nodes");
    return SmallVector<Named>(graph.outputs.size());
  }
  size_t outer = shadowed.size();
  ++depth;
  llvm::scope_exit leave([&] {
    --depth;
    for (; shadowed.size() > outer; shadowed.pop_back()) {
      Shadowed &before = shadowed.back();
      if (before.value)
        values[before.name] = *before.value;
      else
        values.erase(before.name);
      if (before.initializer)
        initializers[before.name] = before.initializer;
      else
        initializers.erase(before.name);
    }
  });
  for (auto [input, value] : llvm::zip_equal(graph.inputs, inputs))
    define(input.name, value);
  for (const Tensor &initializer : graph.initializers) {
    define(initializer.name, {});
    values.erase(initializer.name);
    initializers[initializer.name] = &initializer;
  }
  for (const Node &node : graph.nodes)
    importNode(node);
  SmallVector<Named> outputs;
  for (const ValueInfo &output : graph.outputs)
    outputs.push_back(namedOf(nullptr, output.name));
  return outputs;
}

std::string Importer::nameSize(StringRef output) {
  std::string name = "count(" + escaped(output) + ")";
  while (!dimNames.insert(name).second)
    name += "'";
  return name;
}

/// Where a constant is made that every graph around the current node may use: in front of the
/// operation of the function's own block.
static void moveToFunction(OpBuilder &builder, func::FuncOp function) {
  Block &body = function.getBody().front();
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  if (parent != function.getOperation())
    builder.setInsertionPoint(body.findAncestorOpInBlock(*parent));
}

Named Importer::namedOf(const Node *user, StringRef name) {
  if (auto found = values.find(name); found != values.end())
    return found->second;
  std::string where = user ? user->describe() + " reads " : "graph output is ";
  auto found = initializers.find(name);
  ElementsAttr data = fixedInputs.lookup(name);
  if (!data && found == initializers.end()) {
    problems.add(where + quoted(name) + ", which nothing produces");
    return {};
  }
  if (!data)
    data = elementsFor(&context, *found->second, name);
  if (!data) {
    problems.add(where + "initializer " + quoted(name) + " of element type " +
                 nameOf(found->second->elementType).str() + ", which is not supported");
    return values[name] = Named();
  }
  OpBuilder::InsertionGuard guard(builder);
  moveToFunction(builder, function);
  auto constant = ConstantOp::create(builder, locationOf(name), data.getType(), data);
  ScopedDiagnosticHandler listen(&context, [&](Diagnostic &diagnostic) {
    problems.add("initializer " + quoted(name) + ": " + diagnostic.str());
    return success();
  });
  return values[name] = succeeded(shapes.infer(constant)) ? constant.getOutput() : Value();
}

std::optional<SmallVector<Named>> Importer::operandsOf(const Node &node) {
  SmallVector<Named> operands;
  bool follows = false; // from what is reported already
  for (StringRef name : node.inputs) {
    operands.push_back(name.empty() ? Named() : namedOf(&node, name));
    follows |= !name.empty() && !operands.back();
  }
  return follows ? std::nullopt : std::optional(std::move(operands));
}

void Importer::importNode(const Node &node) {
  std::optional<int64_t> version = model.opset(node.domain);
  const Operator *known = problems.findSupported(model, node);
  std::optional<SmallVector<Named>> operands;
  if (known)
    operands = operandsOf(node);
  // What follows from a problem is only looked at by name.
  if (!operands) {
    problems.lookInside(model, node);
    for (StringRef name : node.outputs)
      define(name, {});
    return;
  }
  Location loc =
      NameLoc::get(builder.getStringAttr(node.name.empty() ? node.describe() : escaped(node.name)));
  NodeBuilder nodeBuilder(builder, shapes, *this, node, *version, loc, *operands, used);
  nodeBuilder.setDeclared(declared);
  known->upgrade(nodeBuilder);
  nodeBuilder.checkAllSeen();
  if (!nodeBuilder.wrongText().empty())
    problems.addWrong(node, nodeBuilder.wrongText(), nodeBuilder.givenText());
  if (!nodeBuilder.unsupportedReason().empty())
    problems.addUnsupported(node, version, nodeBuilder.unsupportedReason());
  // An If whose condition is known has a branch that need not be supported.
  if (nodeBuilder.stopped() && node.opType != "If")
    problems.lookInside(model, node);
  for (auto [output, value] : llvm::zip(node.outputs, nodeBuilder.results()))
    if (!output.empty())
      define(output, nodeBuilder.stopped() ? Named() : value);
}

void Importer::importOutputs() {
  SmallVector<Value> results;
  SmallVector<Type> types;
  for (const ValueInfo &output : model.graph.outputs) {
    Named named = namedOf(nullptr, output.name);
    Value value = named.value;
    if (named.sequence)
      problems.add("graph output " + quoted(output.name) +
                   " is a sequence, expected a tensor: other kinds of values are not supported");
    if (!value) {
      if (problems.empty())
        problems.add("graph output " + quoted(output.name) + " is not computed");
      continue;
    }
    if (std::optional<std::string> wrong = checkDeclaredType(output, value, shapes))
      problems.add(*wrong);
    results.push_back(value);
    types.push_back(value.getType());
  }
  if (!problems.empty())
    return;
  for (auto [output, result] : llvm::zip_equal(model.graph.outputs, results))
    checkDeclaredDims(output, result, declared[output.name], shapes);
  func::ReturnOp::create(builder, function.getLoc(), results);
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  for (auto [i, output] : llvm::enumerate(model.graph.outputs))
    function.setResultAttr(i, kNameAttr, builder.getStringAttr(output.name));
}

OwningOpRef<ModuleOp> Importer::run() {
  for (const ValueInfo &input : model.graph.inputs)
    if (failed(importInput(input)))
      values[input.name] = Value();
  // What an option says of an input that is refused can not be checked.
  if (problems.empty() &&
      failed(checkOptions(model, options, fixedInputs, symbols, specialised, context)))
    return {};
  OwningOpRef<ModuleOp> module = ModuleOp::create(locationOf(model.graph.name));
  (*module)->setAttr(kModelNameAttr, builder.getStringAttr(model.graph.name));
  function = makeFunction(*module);
  collectUses(model.graph, used);
  collectDeclared();
  for (const Tensor &initializer : model.graph.initializers)
    initializers[initializer.name] = &initializer;
  for (const Node &node : model.graph.nodes)
    importNode(node);
  importOutputs();
  if (!problems.empty() || failed(verify(*module)))
    return {};
  return module;
}

/// Whether a size follows may depend on what a later node asks of the dims: while an import fails,
/// the next one is told what those before it found. `found` becomes the dims that may be 0.
OwningOpRef<ModuleOp> importWith(const Model &model, const ImportOptions &options,
                                 MLIRContext &context, ArrayRef<mlir::Attribute> maybeEmpty,
                                 SmallVector<mlir::Attribute> &found) {
  constexpr int maxRounds = 3;
  std::vector<Requirement> assumed;
  for (int round = 1;; ++round) {
    Importer importer(model, options, context, maybeEmpty, assumed);
    OwningOpRef<ModuleOp> module = importer.run();
    if (module)
      found = importer.findMaybeEmpty(*module);
    if (module || importer.problems.empty())
      return module;
    if (round < maxRounds && addRequirements(assumed, importer.requirements()))
      continue;
    importer.problems.report(context);
    return {};
  }
}
} // namespace

OwningOpRef<ModuleOp> importModel(const Model &model, const ImportOptions &options,
                                  MLIRContext &context) {
  context.loadDialect<OnnxDialect, kernel::KernelDialect, arith::ArithDialect, func::FuncDialect>();
  // Whether a dim may be 0 is found out with the dim as a symbol.
  ImportOptions symbolic = withoutEmptyDims(model, options);
  SmallVector<mlir::Attribute> maybeEmpty, unused;
  OwningOpRef<ModuleOp> module = importWith(model, symbolic, context, {}, maybeEmpty);
  if (!module)
    return module;
  if (symbolic.dims.size() < options.dims.size()) {
    if (failed(checkEmptyDims(*module, options, symbolic, maybeEmpty)))
      return {};
    // It has warned.
    ScopedDiagnosticHandler errorsOnly(&context, [](Diagnostic &diagnostic) {
      return success(diagnostic.getSeverity() != DiagnosticSeverity::Error);
    });
    module = importWith(model, options, context, {}, unused);
  }
  if (!module || maybeEmpty.empty())
    return module;
  // What the first import took for granted about these dims may have shaped what it made, so the
  // model is imported with what is known now. A graph that needs one of them after all keeps them.
  ScopedDiagnosticHandler silence(&context, [](Diagnostic &) { return success(); });
  OwningOpRef<ModuleOp> general = importWith(model, options, context, maybeEmpty, unused);
  return general ? std::move(general) : std::move(module);
}

} // namespace rapt::onnx
