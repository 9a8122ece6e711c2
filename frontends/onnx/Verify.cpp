//===- Verify.cpp - Structure of a model ----------------------------------===//
//
// Form in: a Model as read. What holds afterwards: versions are in range, every function imports
// the domains of its nodes, each name is defined once in its graph, every input is defined before
// it is used (in the graph or one that encloses it), every graph output is produced. A subgraph may
// reuse an outer name for its own value; the inner one then counts.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Model.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace rapt::onnx {
namespace {

/// The names of one graph or function during the walk over its nodes.
struct Scope {
  const Scope *outer;
  ArrayRef<Node> nodes;
  DenseSet<StringRef> defined;            ///< before the current node
  DenseMap<StringRef, size_t> producedBy; ///< all outputs of all nodes

  Scope(const Scope *outer, ArrayRef<Node> nodes) : outer(outer), nodes(nodes) {
    for (size_t i = 0; i < nodes.size(); ++i)
      for (StringRef output : nodes[i].outputs)
        producedBy.try_emplace(output, i);
  }

  bool isDefined(StringRef name) const {
    for (const Scope *scope = this; scope; scope = scope->outer)
      if (scope->defined.contains(name))
        return true;
    return false;
  }

  /// True when node `from` uses, through any chain of nodes, a value of node `to`.
  bool dependsOn(size_t from, size_t to) const {
    SmallVector<size_t> work = {from};
    DenseSet<size_t> seen;
    while (!work.empty()) {
      size_t current = work.pop_back_val();
      if (current == to)
        return true;
      if (!seen.insert(current).second)
        continue;
      for (StringRef input : nodes[current].inputs)
        if (auto producer = producedBy.find(input); producer != producedBy.end())
          work.push_back(producer->second);
    }
    return false;
  }
};

class Verifier {
public:
  explicit Verifier(const Model &model) : model(model) {}

  Error versions();
  Error functions();
  Error graph(const Graph &graph, const Scope *outer);

private:
  Error node(const Node &node, size_t index, Scope &scope);
  Error nodeInputs(const Node &node, size_t index, const Scope &scope);
  Error function(const Function &function);

  const Model &model;
  ArrayRef<OpsetImport> opsets; ///< of the function being checked; empty in the main graph
  bool inFunction = false;
};

Error checkOpsets(ArrayRef<OpsetImport> opsets) {
  DenseSet<StringRef> domains;
  for (const OpsetImport &import : opsets) {
    if (!domains.insert(import.domain).second)
      return fail("domain " + quoted(import.domain) + " is imported twice");
    if (import.domain.empty() && (import.version < minOpset || import.version > maxOpset))
      return fail("opset " + Twine(import.version) +
                  " of the default domain is not supported, "
                  "expected " +
                  Twine(minOpset) + " to " + Twine(maxOpset));
  }
  return Error::success();
}

Error Verifier::versions() {
  if (model.irVersion < minIrVersion || model.irVersion > maxIrVersion)
    return fail("IR version " + Twine(model.irVersion) + " is not supported, expected " +
                Twine(minIrVersion) + " to " + Twine(maxIrVersion));
  if (model.opsets.empty())
    return fail("the model imports no opset");
  return checkOpsets(model.opsets);
}

/// Adds `name` to the names of `scope`.
Error define(StringRef what, StringRef name, Scope &scope) {
  if (name.empty())
    return fail(what + " has an empty name");
  if (!scope.defined.insert(name).second)
    return fail(what + " " + quoted(name) + " is defined twice");
  return Error::success();
}

Error Verifier::nodeInputs(const Node &node, size_t index, const Scope &scope) {
  for (auto [position, input] : enumerate(node.inputs)) {
    if (input.empty() || scope.isDefined(input))
      continue;
    std::string what =
        node.describe() + ": input " + std::to_string(position) + " " + quoted(input);
    auto producer = scope.producedBy.find(input);
    if (producer == scope.producedBy.end()) {
      for (const Scope *outer = scope.outer; outer; outer = outer->outer)
        if (outer->producedBy.contains(input))
          return fail(what + " of the enclosing graph is produced later, so the graph is not "
                             "topologically sorted");
      return fail(what + " is not defined");
    }
    std::string maker = scope.nodes[producer->second].describe();
    if (scope.dependsOn(producer->second, index))
      return fail(what + " depends on the node's own result, so the graph is cyclic");
    return fail(what + " is produced later by " + maker +
                ", so the graph is not topologically sorted");
  }
  return Error::success();
}

Error Verifier::node(const Node &node, size_t index, Scope &scope) {
  if (node.opType.empty())
    return fail(node.describe() + " has no operator");
  // What a model's own nodes need is reported with all else that is not supported (Import.cpp).
  if (inFunction && llvm::none_of(opsets, [&](const OpsetImport &import) {
        return import.domain == node.domain;
      }))
    return fail(node.describe() + ": no opset is imported for domain " + quoted(node.domain));
  RAPT_TRY(nodeInputs(node, index, scope));

  DenseSet<StringRef> names;
  for (const Attribute &attribute : node.attributes) {
    if (attribute.name.empty())
      return fail(node.describe() + " has an attribute without a name");
    if (!names.insert(attribute.name).second)
      return fail(node.describe() + " has attribute " + quoted(attribute.name) + " twice");
    if (!attribute.refAttrName.empty() && !inFunction)
      return fail(node.describe() + ": attribute " + quoted(attribute.name) +
                  " refers to function attribute " + quoted(attribute.refAttrName) +
                  " outside of a function");
    for (const Graph &subgraph : attribute.graphs)
      if (Error error = graph(subgraph, &scope))
        return addContext(node.describe() + ": attribute " + quoted(attribute.name),
                          std::move(error));
  }
  for (StringRef output : node.outputs)
    if (!output.empty())
      RAPT_TRY(addContext(node.describe(), define("output", output, scope)));
  return Error::success();
}

Error Verifier::graph(const Graph &graph, const Scope *outer) {
  Scope scope(outer, graph.nodes);
  for (const ValueInfo &input : graph.inputs)
    RAPT_TRY(define("graph input", input.name, scope));
  for (const Tensor &initializer : graph.initializers)
    RAPT_TRY(define("initializer", initializer.name, scope));
  for (auto [index, node] : enumerate(graph.nodes))
    RAPT_TRY(this->node(node, index, scope));

  DenseSet<StringRef> outputs;
  for (const ValueInfo &output : graph.outputs) {
    if (!scope.isDefined(output.name))
      return fail("graph output " + quoted(output.name) + " is not produced");
    // A body may give one value for a state and a stacked result; a model's results go by name.
    if (!outputs.insert(output.name).second && &graph == &model.graph)
      return fail("graph output " + quoted(output.name) + " is listed twice");
  }
  if (graph.outputs.empty())
    return fail("the graph has no output");
  return Error::success();
}

Error Verifier::function(const Function &function) {
  if (function.name.empty())
    return fail("the function has no name");
  inFunction = true;
  opsets = function.opsets;
  RAPT_TRY(checkOpsets(opsets));
  Scope scope(nullptr, function.nodes);
  for (StringRef input : function.inputs)
    RAPT_TRY(define("input", input, scope));
  for (auto [index, node] : enumerate(function.nodes))
    RAPT_TRY(this->node(node, index, scope));
  for (StringRef output : function.outputs)
    if (!scope.isDefined(output))
      return fail("output " + quoted(output) + " is not produced");

  // A default stands for itself wherever the function is called: it sees no names and no attributes
  // of the function.
  inFunction = false;
  DenseSet<StringRef> names(function.attributes.begin(), function.attributes.end());
  for (const Attribute &attribute : function.attributeDefaults) {
    if (!names.insert(attribute.name).second || !attribute.refAttrName.empty())
      return fail("attribute " + quoted(attribute.name) + " is declared twice or has no value");
    for (const Graph &subgraph : attribute.graphs)
      RAPT_TRY(addContext("attribute " + quoted(attribute.name), graph(subgraph, nullptr)));
  }
  return Error::success();
}

Error Verifier::functions() {
  DenseSet<std::pair<StringRef, std::pair<StringRef, StringRef>>> seen;
  for (const Function &function : model.functions) {
    RAPT_TRY(addContext(function.describe(), this->function(function)));
    if (!seen.insert({function.domain, {function.name, function.overload}}).second)
      return fail(function.describe() + " is defined twice");
  }
  inFunction = false;
  opsets = {};
  return Error::success();
}

} // namespace

Error verifyModel(const Model &model) {
  Verifier verifier(model);
  RAPT_TRY(verifier.versions());
  RAPT_TRY(verifier.functions());
  return verifier.graph(model.graph, nullptr);
}

} // namespace rapt::onnx
