//===- Problems.cpp - All that keeps a model from being imported ---------------------------===//

#include "frontends/onnx/Problems.h"

#include "frontends/onnx/Errors.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"

#include <algorithm>

using namespace mlir;

namespace rapt::onnx {

static std::string operatorOf(const Node &node) {
  return (node.domain.empty() ? "" : escaped(node.domain) + ".") + escaped(node.opType);
}

/// A report lists all that a person may want to read, and not the 10^6 nodes of a damaged file.
constexpr size_t shown = 100;

/// The nodes from number `first` on, by name.
static std::string nodesText(ArrayRef<std::string> nodes, size_t first) {
  std::string text;
  ArrayRef<std::string> rest = nodes.drop_front(first);
  for (size_t i = 0; i < std::min(shown, rest.size()); ++i)
    text += (i ? ", " : "") + rest[i];
  if (rest.size() > shown)
    text += " and " + std::to_string(rest.size() - shown) + " more";
  return text;
}

void ProblemList::addUnsupported(const Node &node, std::optional<int64_t> version,
                                 StringRef reason) {
  if (!known.insert(&node).second)
    return;
  std::string key = operatorOf(node) + " (" + (node.domain.empty() ? "opset " : "version ") +
                    (version ? std::to_string(*version) : "?") + ")" +
                    (reason.empty() ? "" : ", " + reason.str());
  unsupported[key].nodes.push_back(node.describe());
}

const Operator *ProblemList::findSupported(const Model &model, const Node &node) {
  std::optional<int64_t> version = model.opset(node.domain);
  const Operator *known = findOperator(node.domain, node.opType);
  if (known && version && *version >= known->since)
    return known;
  std::string reason = !version ? "the model imports no version of its domain"
                       : !known ? ""
                                : "it exists since opset " + std::to_string(known->since);
  addUnsupported(node, version, reason);
  return nullptr;
}

void ProblemList::lookInside(const Model &model, const Node &node, int nesting) {
  constexpr int deepest = 8;
  if (nesting == deepest)
    return;
  for (const Attribute &attribute : node.attributes)
    for (const Graph &graph : attribute.graphs)
      for (const Node &inner : graph.nodes) {
        findSupported(model, inner);
        lookInside(model, inner, nesting + 1);
      }
}

void ProblemList::addWrong(const Node &node, const std::string &what, const std::string &inputs) {
  if (!known.insert(&node).second)
    return;
  // The operator is part of the key: other operators mean other things by the same words.
  Group &group = wrong[operatorOf(node) + ": " + what];
  if (group.nodes.empty()) {
    group.what = what;
    group.inputs = inputs;
  }
  group.nodes.push_back(node.describe());
}

std::string ProblemList::Group::text() const {
  if (nodes.empty())
    return what;
  std::string text = nodes.front() + ": " + what;
  if (!inputs.empty())
    text += "; inputs: " + inputs;
  if (nodes.size() > 1)
    text += "; the same of " + nodesText(nodes, 1);
  return text;
}

void ProblemList::report(MLIRContext &context) const {
  std::string text;
  if (wrong.size() == 1 && unsupported.empty()) {
    text = wrong.front().second.text();
  } else if (!wrong.empty()) {
    text = "model can not be compiled:";
    for (const auto &[key, group] : wrong.getArrayRef().take_front(shown))
      text += "\n  " + group.text();
    if (wrong.size() > shown)
      text += "\n  and " + std::to_string(wrong.size() - shown) + " more errors";
  }
  if (!unsupported.empty()) {
    text += wrong.empty() ? "" : "\n";
    text += "model uses what is not supported:";
  }
  for (const auto &[key, group] : unsupported)
    text += "\n  " + key + ": " + nodesText(group.nodes, 0);
  emitError(UnknownLoc::get(&context)) << text;
}

} // namespace rapt::onnx
