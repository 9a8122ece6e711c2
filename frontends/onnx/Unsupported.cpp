//===- Unsupported.cpp - What a model uses that is not supported ---------------------------===//

#include "frontends/onnx/Unsupported.h"

#include "frontends/onnx/Errors.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"

#include <algorithm>

using namespace mlir;

namespace rapt::onnx {

void UnsupportedList::add(const Node &node, std::optional<int64_t> version, StringRef reason) {
  std::string domain = node.domain.empty() ? "" : escaped(node.domain) + ".";
  std::string key = domain + escaped(node.opType) + " (" +
                    (node.domain.empty() ? "opset " : "version ") +
                    (version ? std::to_string(*version) : "?") + ")" +
                    (reason.empty() ? "" : ", " + reason.str());
  nodes[key].push_back(node.describe());
}

void UnsupportedList::report(MLIRContext &context) const {
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

} // namespace rapt::onnx
