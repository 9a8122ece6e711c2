//===- Problems.h - All that keeps a model from being imported ---------------------*- C++ -*-===//
//
// The importer goes on after a node that it can not take: what follows from it is skipped, and one
// report at the end names every other one as well.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_PROBLEMS_H
#define RAPT_FRONTENDS_ONNX_PROBLEMS_H

#include "frontends/onnx/Model.h"
#include "frontends/onnx/Versions.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallPtrSet.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rapt::onnx {

/// What is wrong with a model and what of it is not supported, in the order of the graph. A node
/// counts once, however often it is imported.
class ProblemList {
public:
  /// The node is right, but not supported; `reason` may be empty.
  void addUnsupported(const Node &node, std::optional<int64_t> version, llvm::StringRef reason);
  /// The operator of a node; null, and the node unsupported, when there is none in its version.
  const Operator *findSupported(const Model &model, const Node &node);
  /// The same for all nodes in the graphs of a node that is not imported.
  void lookInside(const Model &model, const Node &node, int nesting = 0);
  /// The node is wrong: `what` says what was seen and what is expected. `inputs`, which may be
  /// empty, are shown for the first of several nodes of which the same is said.
  void addWrong(const Node &node, const std::string &what, const std::string &inputs = "");
  /// A sentence of its own, about an input, an initialiser or an output.
  void add(const std::string &text) { wrong[text].what = text; }

  bool empty() const { return unsupported.empty() && wrong.empty(); }
  /// One error that names all of it, up to a hundred nodes for each operator and text.
  void report(mlir::MLIRContext &context) const;

private:
  /// Nodes of which the same is said.
  struct Group {
    std::string what;
    std::vector<std::string> nodes; ///< none: `what` is a sentence of its own
    std::string inputs;             ///< of the first node

    std::string text() const;
  };
  using Groups = llvm::MapVector<std::string, Group, std::map<std::string, unsigned>>;

  Groups unsupported; ///< by operator, version and reason
  Groups wrong;       ///< by operator and `what`
  llvm::SmallPtrSet<const Node *, 8> known;
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_PROBLEMS_H
