//===- Inline.cpp - Calls of model-local functions ------------------------===//
//
// Form in: a verified model with functions. Form out: a verified model without; each call is
// replaced by the nodes of the body, with
//   - the function's inputs and outputs renamed to the call's, all other values to fresh names,
//   - attributes that refer to a function attribute replaced by the call's value or the default,
//     and left out when there is neither.
// A function that hands an input through as an output becomes an Identity.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Model.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

#include <tuple>

using namespace llvm;

namespace rapt::onnx {
namespace {

constexpr size_t maxCallDepth = 32;
constexpr uint64_t maxNodes = 1'000'000;
/// Numbers and strings in copied attributes: a long attribute times many calls.
constexpr uint64_t maxCopiedElements = 64'000'000;

/// Nodes and elements that a copy of `attribute` adds.
std::pair<uint64_t, uint64_t> sizeOf(const Attribute &attribute) {
  uint64_t nodes = 0;
  uint64_t elements =
      1 + attribute.ints.size() + attribute.floats.size() + attribute.strings.size();
  for (const Tensor &tensor : attribute.tensors)
    elements += 1 + tensor.strings.size() + tensor.dims.size();
  for (const Graph &graph : attribute.graphs) {
    nodes += graph.nodes.size();
    elements += graph.initializers.size() + graph.inputs.size() + graph.outputs.size();
    for (const Node &node : graph.nodes) {
      elements += node.inputs.size() + node.outputs.size();
      for (const Attribute &inner : node.attributes) {
        auto [innerNodes, innerElements] = sizeOf(inner);
        nodes += innerNodes;
        elements += innerElements;
      }
    }
  }
  return {nodes, elements};
}

/// Names handed out so far, with the suffix to try next for each.
class Names {
public:
  explicit Names(Storage &storage) : storage(storage) {}

  void collect(const Graph &graph);
  /// `prefix/name`, with a number behind it when it is taken.
  StringRef fresh(StringRef prefix, StringRef name);

private:
  Storage &storage;
  StringMap<unsigned> taken;
};

void Names::collect(const Graph &graph) {
  for (const ValueInfo &input : graph.inputs)
    taken.try_emplace(input.name);
  for (const Tensor &initializer : graph.initializers)
    taken.try_emplace(initializer.name);
  for (const Node &node : graph.nodes) {
    for (StringRef output : node.outputs)
      taken.try_emplace(output);
    for (const Attribute &attribute : node.attributes)
      for (const Graph &subgraph : attribute.graphs)
        collect(subgraph);
  }
}

StringRef Names::fresh(StringRef prefix, StringRef name) {
  // Calls inside calls lengthen the prefix; the end of a name tells most.
  constexpr size_t longest = 512;
  std::string base = (prefix + "/" + name).str();
  if (base.size() > longest)
    base.erase(0, base.size() - longest);
  auto [entry, isNew] = taken.try_emplace(base, 0);
  std::string candidate = base;
  while (!isNew) {
    candidate = base + "_" + std::to_string(++entry->second);
    isNew = taken.try_emplace(candidate, 0).second;
  }
  return storage.save(candidate);
}

class Inliner {
public:
  explicit Inliner(Model &model) : model(model), names(model.storage) {}

  Error run();

private:
  /// One call: what its body's names and attributes stand for.
  struct Call {
    const Function &function;
    const Node &node;
    StringRef prefix;
    SmallVector<StringMap<StringRef>, 2> scopes; ///< the body, then the subgraphs around a node

    StringRef renamed(StringRef name) const;
  };

  Error inlineGraph(Graph &graph);
  Error inlineNode(Node node, std::vector<Node> &result);
  Error expand(const Function &function, const Node &node, std::vector<Node> &result);
  Error bindSignature(Call &call, std::vector<Node> &identities);
  Error copyNode(const Node &from, Call &call, Node &to);
  Error copyAttribute(const Attribute &from, Call &call, std::vector<Attribute> &to);
  Error copyGraph(const Graph &from, Call &call, Graph &to);
  StringRef define(StringRef name, Call &call);
  Error checkVersion(const Node &node, const Call &call);
  Error count(uint64_t moreNodes, uint64_t moreElements);

  Model &model;
  Names names;
  DenseMap<std::tuple<StringRef, StringRef, StringRef>, const Function *> functions;
  SmallVector<const Function *, 8> stack;
  uint64_t nodes = 0, copiedElements = 0;
};

StringRef Inliner::Call::renamed(StringRef name) const {
  for (const StringMap<StringRef> &scope : reverse(scopes))
    if (auto known = scope.find(name); known != scope.end())
      return known->second;
  return name;
}

Error Inliner::count(uint64_t moreNodes, uint64_t moreElements) {
  nodes += moreNodes;
  copiedElements += moreElements;
  if (nodes > maxNodes)
    return fail("inlining gives more than " + Twine(maxNodes) + " nodes");
  if (copiedElements > maxCopiedElements)
    return fail("inlining copies more than " + Twine(maxCopiedElements) + " attribute elements");
  return Error::success();
}

/// A value the body defines: an output of the call when it is bound already, else a fresh name.
StringRef Inliner::define(StringRef name, Call &call) {
  if (name.empty())
    return name;
  auto [entry, isNew] = call.scopes.back().try_emplace(name);
  if (isNew)
    entry->second = names.fresh(call.prefix, name);
  return entry->second;
}

/// Body and model share one opset afterwards, so both must have meant the same.
Error Inliner::checkVersion(const Node &node, const Call &call) {
  for (const OpsetImport &import : call.function.opsets) {
    if (import.domain != node.domain)
      continue;
    std::optional<int64_t> version = model.opset(import.domain);
    if (!version)
      model.opsets.push_back(import);
    else if (*version != import.version)
      return fail("it imports opset " + Twine(import.version) + " of domain " +
                  quoted(import.domain) + ", but the model imports " + Twine(*version));
  }
  return Error::success();
}

Error Inliner::copyGraph(const Graph &from, Call &call, Graph &to) {
  call.scopes.emplace_back();
  to.name = from.name;
  to.inputs = from.inputs;
  to.outputs = from.outputs;
  to.initializers = from.initializers;
  RAPT_TRY(count(0, from.initializers.size() + from.inputs.size() + from.outputs.size()));
  for (ValueInfo &input : to.inputs)
    input.name = define(input.name, call);
  for (Tensor &initializer : to.initializers)
    initializer.name = define(initializer.name, call);
  to.nodes.reserve(from.nodes.size());
  for (const Node &node : from.nodes)
    RAPT_TRY(copyNode(node, call, to.nodes.emplace_back()));
  for (ValueInfo &output : to.outputs)
    output.name = call.renamed(output.name);
  call.scopes.pop_back();
  return Error::success();
}

Error Inliner::copyAttribute(const Attribute &from, Call &call, std::vector<Attribute> &to) {
  const Attribute *value = &from;
  if (!from.refAttrName.empty()) {
    value = call.node.find(from.refAttrName);
    if (!value)
      for (const Attribute &attribute : call.function.attributeDefaults)
        if (attribute.name == from.refAttrName)
          value = &attribute;
    if (!value && is_contained(call.function.attributes, from.refAttrName))
      return Error::success();
    if (!value)
      return fail("attribute " + quoted(from.name) + " refers to " + quoted(from.refAttrName) +
                  ", which the function does not declare");
    if (from.type != AttributeType::Undefined && from.type != value->type)
      return fail("attribute " + quoted(from.refAttrName) + " is of type " + nameOf(value->type) +
                  ", expected " + nameOf(from.type));
  }
  auto [valueNodes, valueElements] = sizeOf(*value);
  RAPT_TRY(count(value == &from ? 0 : valueNodes, valueElements));

  // The body's own graphs use the body's names; a value given from outside uses the caller's.
  Attribute &copy = to.emplace_back(*value);
  copy.name = from.name;
  if (value != &from)
    return Error::success();
  for (auto [graph, original] : zip_equal(copy.graphs, from.graphs)) {
    graph = Graph();
    RAPT_TRY(copyGraph(original, call, graph));
  }
  return Error::success();
}

Error Inliner::copyNode(const Node &from, Call &call, Node &to) {
  RAPT_TRY(count(1, from.inputs.size() + from.outputs.size()));
  RAPT_TRY(checkVersion(from, call));
  to.opType = from.opType;
  to.domain = from.domain;
  to.overload = from.overload;
  if (!from.name.empty())
    to.name = names.fresh(call.prefix, from.name);
  for (StringRef input : from.inputs)
    to.inputs.push_back(call.renamed(input));
  for (const Attribute &attribute : from.attributes)
    RAPT_TRY(copyAttribute(attribute, call, to.attributes));
  for (StringRef output : from.outputs)
    to.outputs.push_back(define(output, call));
  return Error::success();
}

/// Binds the function's inputs and outputs to the call's names.
Error Inliner::bindSignature(Call &call, std::vector<Node> &identities) {
  const Function &function = call.function;
  const Node &node = call.node;
  if (node.inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size())
    return fail("it takes " + Twine(function.inputs.size()) + " inputs and gives " +
                Twine(function.outputs.size()) + " outputs, the call has " +
                Twine(node.inputs.size()) + " and " + Twine(node.outputs.size()));
  for (const Attribute &attribute : node.attributes)
    if (!is_contained(function.attributes, attribute.name) &&
        none_of(function.attributeDefaults,
                [&](const Attribute &known) { return known.name == attribute.name; }))
      return fail("it has no attribute " + quoted(attribute.name));

  RAPT_TRY(count(0, function.inputs.size()));
  StringMap<StringRef> &scope = call.scopes.emplace_back();
  for (auto [i, input] : enumerate(function.inputs))
    scope[input] = node.input(i);
  for (auto [output, target] : zip(function.outputs, node.outputs)) {
    if (target.empty() || scope.try_emplace(output, target).second)
      continue;
    // An input or an earlier output under a second name.
    if (call.renamed(output).empty())
      return fail("output " + quoted(output) + " is an input that the call omits");
    if (!model.opset(""))
      return fail("output " + quoted(output) +
                  " needs an Identity, but the model does not import "
                  "the default domain");
    RAPT_TRY(count(1, 2));
    Node &identity = identities.emplace_back();
    identity.opType = "Identity";
    identity.inputs.push_back(call.renamed(output));
    identity.outputs.push_back(target);
  }
  return Error::success();
}

Error Inliner::expand(const Function &function, const Node &node, std::vector<Node> &result) {
  if (is_contained(stack, &function))
    return fail("it calls itself");
  if (stack.size() == maxCallDepth)
    return fail("calls are nested deeper than " + Twine(maxCallDepth));

  Call call{function, node, node.name.empty() ? function.name : node.name, {}};
  std::vector<Node> identities, copies;
  RAPT_TRY(bindSignature(call, identities));
  copies.reserve(function.nodes.size());
  for (const Node &inner : function.nodes)
    RAPT_TRY(copyNode(inner, call, copies.emplace_back()));

  stack.push_back(&function);
  for (Node &copy : copies)
    RAPT_TRY(inlineNode(std::move(copy), result));
  stack.pop_back();
  llvm::move(identities, std::back_inserter(result));
  return Error::success();
}

Error Inliner::inlineNode(Node node, std::vector<Node> &result) {
  for (Attribute &attribute : node.attributes)
    for (Graph &subgraph : attribute.graphs)
      RAPT_TRY(inlineGraph(subgraph));
  auto callee = functions.find({node.domain, node.opType, node.overload});
  if (callee != functions.end()) {
    const Function *function = callee->second;
    Error error = expand(*function, node, result);
    return error ? addContext(node.describe() + ": " + function->describe(), std::move(error))
                 : Error::success();
  }
  node.index = result.size();
  result.push_back(std::move(node));
  return Error::success();
}

Error Inliner::inlineGraph(Graph &graph) {
  std::vector<Node> result;
  result.reserve(graph.nodes.size());
  for (Node &node : graph.nodes)
    RAPT_TRY(inlineNode(std::move(node), result));
  for (auto [index, node] : enumerate(result))
    node.index = index;
  graph.nodes = std::move(result);
  return Error::success();
}

Error Inliner::run() {
  names.collect(model.graph);
  for (const Function &function : model.functions)
    functions[{function.domain, function.name, function.overload}] = &function;
  RAPT_TRY(inlineGraph(model.graph));
  model.functions.clear();
  return Error::success();
}

} // namespace

Error inlineFunctions(Model &model) {
  if (model.functions.empty())
    return Error::success();
  return Inliner(model).run();
}

} // namespace rapt::onnx
