//===- Unsupported.h - What a model uses that is not supported ---------------------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_UNSUPPORTED_H
#define RAPT_FRONTENDS_ONNX_UNSUPPORTED_H

#include "frontends/onnx/Model.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/MapVector.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rapt::onnx {

/// Nodes that are not supported, by operator and reason, in the order of the graph.
class UnsupportedList {
public:
  void add(const Node &node, std::optional<int64_t> version, llvm::StringRef reason);
  bool empty() const { return nodes.empty(); }
  /// One error that names all of them, up to five nodes for each operator and reason.
  void report(mlir::MLIRContext &context) const;

private:
  llvm::MapVector<std::string, std::vector<std::string>, std::map<std::string, unsigned>> nodes;
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_UNSUPPORTED_H
