//===- NodeBuilder.h - One ONNX node becomes operations ----------------------------*- C++ -*-===//
//
// What an upgrade function (Versions.h) works with: the node's operands and attributes, and
// make<Op>() to build operations whose types are inferred at once. Errors are sticky: the first one
// is kept for the importer's report, after it every getter gives a default and make() gives null,
// so that upgrade functions need no checks of their own.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_NODEBUILDER_H
#define RAPT_FRONTENDS_ONNX_NODEBUILDER_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/ShapeInference.h"
#include "frontends/onnx/Model.h"
#include "frontends/onnx/Sequence.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <algorithm>

namespace rapt::onnx {

/// Imports the graphs that are attributes of nodes.
class SubgraphImporter {
public:
  virtual ~SubgraphImporter() = default;
  /// Imports the nodes of `graph` at the insertion point, with `inputs` for its inputs, and gives
  /// its outputs, which are null where they follow from what will be reported. Values of enclosing
  /// graphs are seen by their names.
  virtual llvm::SmallVector<Named> importSubgraph(const Graph &graph,
                                                  llvm::ArrayRef<Named> inputs) = 0;
  /// A name for the size of `output`, which depends on data: no dim of the model has it, and it is
  /// the same when the model is imported again.
  virtual std::string nameSize(llvm::StringRef output) = 0;
};

class NodeBuilder {
public:
  /// `inputs` has nothing for omitted ones; `used` holds the names that something reads.
  NodeBuilder(mlir::OpBuilder &builder, ShapeInference &shapes, SubgraphImporter &subgraphs,
              const Node &node, int64_t opset, mlir::Location loc, llvm::ArrayRef<Named> inputs,
              const llvm::StringSet<> &used)
      : builder(builder), shapes(shapes), subgraphs(subgraphs), node(node), version(opset),
        loc(loc), inputs(inputs), used(used), outputs(node.outputs.size()) {}

  int64_t opset() const { return version; }
  mlir::MLIRContext *context() const { return builder.getContext(); }
  mlir::OpBuilder &ops() { return builder; }
  mlir::Location location() const { return loc; }
  llvm::StringRef firstOutput() const { return node.outputs.empty() ? "" : node.outputs.front(); }

  /// Dims of graph outputs as the file gives them.
  void setDeclared(const llvm::StringMap<Shape> &dims) { declared = &dims; }

  // --- Operands ----------------------------------------------------------------------------------
  size_t numInputs() const { return inputs.size(); }
  /// Null when it is omitted; error when it is a sequence.
  mlir::Value optional(size_t i);
  /// Error when it is omitted.
  mlir::Value in(size_t i);
  /// All of them but one that grows; error when there is none, or one is omitted.
  llvm::SmallVector<mlir::Value> allInputs();
  bool isSequence(size_t i) const { return i < inputs.size() && inputs[i].sequence; }
  /// Error when it is omitted or a tensor; then it has no elements.
  Sequence sequence(size_t i);
  /// The constant integers of operand `i`, a tensor of rank 0 or 1. Not constant: unsupported.
  llvm::SmallVector<int64_t> constants(size_t i, llvm::StringRef name);
  int64_t constant(size_t i, llvm::StringRef name);
  /// The number that `value` holds everywhere, when it is known.
  std::optional<double> number(mlir::Value value) const;
  /// The integer that `value` holds everywhere, over the dims of the inputs; unknown if it is none.
  SymbolicExpr expression(mlir::Value value) const { return shapes.scalar(value); }
  /// Dim `axis` of a value, which must have that many.
  SymbolicExpr dim(mlir::Value value, int64_t axis) const { return shapes.shape(value)[axis]; }
  /// What the file says of a dim of output `i`, a graph output; unknown if it says nothing.
  SymbolicExpr declaredDim(size_t i, size_t axis) const;
  /// Whether all of its elements are known numbers.
  bool isConstant(mlir::Value value) const { return shapes.content(value).isConstant(); }
  /// All elements of a value for which isConstant holds.
  llvm::ArrayRef<Element> elements(mlir::Value value) const {
    return shapes.content(value).elements();
  }
  /// The same for floats.
  llvm::SmallVector<double> floatConstants(size_t i, llvm::StringRef name);
  int64_t rank(mlir::Value value) const;
  mlir::Type elementType(mlir::Value value) const;
  /// What is known of the values; block arguments that an upgrade makes are bound here.
  ShapeInference &analysis() { return shapes; }

  // --- Attributes --------------------------------------------------------------------------------
  int64_t intAttr(llvm::StringRef name, int64_t otherwise);
  /// An integer attribute that says yes or no: error unless it is 0 or 1.
  bool flagAttr(llvm::StringRef name, bool otherwise);
  float floatAttr(llvm::StringRef name, float otherwise);
  /// Error unless it is finite and at least `least`, if there is such a bound.
  float finiteAttr(llvm::StringRef name, float otherwise, std::optional<float> least = 0.0f);
  llvm::StringRef stringAttr(llvm::StringRef name, llvm::StringRef otherwise);
  std::optional<llvm::SmallVector<int64_t>> intsAttr(llvm::StringRef name);
  std::optional<llvm::SmallVector<float>> floatsAttr(llvm::StringRef name);
  std::optional<llvm::SmallVector<llvm::StringRef>> stringsAttr(llvm::StringRef name);
  const Tensor *tensorAttr(llvm::StringRef name);
  /// The graph of a required attribute; null after an error.
  const Graph *graphAttr(llvm::StringRef name);
  bool has(llvm::StringRef name) const { return node.find(name) != nullptr; }
  /// The attribute of that name and type, or null; error if it has another type.
  const Attribute *attribute(llvm::StringRef name, AttributeType type);
  /// Says that an attribute is known and has no bearing on what Rapt computes.
  void ignoreAttr(llvm::StringRef name) { seen.insert(name); }
  int64_t requiredInt(llvm::StringRef name);

  /// `axis`, which is called `name`, counted from 0; error unless -rank <= axis < rank (<= rank
  /// with `orEnd`).
  int64_t normalized(int64_t axis, int64_t rank, llvm::StringRef name = "axis", bool orEnd = false);
  /// The same for all, and sorted.
  llvm::SmallVector<int64_t> normalized(llvm::ArrayRef<int64_t> axes, int64_t rank,
                                        llvm::StringRef name = "axes");

  // --- Results -----------------------------------------------------------------------------------
  /// Builds an operation with one result of inferred type; null operands that an operation needs
  /// make it null, too.
  template <typename Op, typename... Args> mlir::Value make(Args &&...args) {
    return makeTyped<Op>(builder.getI1Type(), std::forward<Args>(args)...);
  }
  /// The same with the element type given, for operations that do not infer it.
  template <typename Op, typename... Args> mlir::Value makeTyped(mlir::Type type, Args &&...args) {
    if (stopped())
      return {};
    auto op =
        Op::create(builder, loc, mlir::UnrankedTensorType::get(type), std::forward<Args>(args)...);
    return finish(op);
  }
  mlir::Value makeConstant(mlir::ElementsAttr value);
  /// A scalar of a number type with this value.
  mlir::Value makeScalar(mlir::Type type, double value);
  mlir::Value makeInts(llvm::ArrayRef<int64_t> values);
  /// Infers `op`, which was built outside of make; null after an error.
  mlir::Value finish(mlir::Operation *op);
  /// The outputs of a subgraph that is imported here; as many as it has, null ones after an error.
  llvm::SmallVector<Named> importNamed(const Graph &graph, llvm::ArrayRef<Named> inputs);
  /// The same where sequences are not supported.
  llvm::SmallVector<mlir::Value> importGraph(const Graph &graph,
                                             llvm::ArrayRef<mlir::Value> inputs);
  /// The indices of the elements of `x` that are not zero, [rank, how many there are]. Unsupported
  /// in the body of a loop, where that differs from one iteration to the next.
  mlir::Value nonZero(mlir::Value x);
  void out(size_t i, Named value);
  size_t numOutputs() const { return outputs.size(); }
  /// Whether anything reads output `i`, which the operator has.
  bool wants(size_t i);
  /// Marks the node as unsupported if output `i` is read.
  void cannotGive(size_t i, llvm::StringRef name);

  // --- Outcome -----------------------------------------------------------------------------------
  /// The node is right, but this form of it is not supported.
  void unsupported(const llvm::Twine &why);
  /// The node is wrong.
  void error(const llvm::Twine &what);
  bool stopped() const { return skipped || !wrong.empty() || !reason.empty(); }
  /// What error() was called with first, and the node's operands in words, if they matter there.
  const std::string &wrongText() const { return wrong; }
  const std::string &givenText() const { return given; }
  const std::string &unsupportedReason() const { return reason; }
  llvm::ArrayRef<Named> results() const { return outputs; }
  /// After the upgrade: inputs and outputs that nobody asked for and outputs that are read but were
  /// not given make the node wrong, attributes that nobody asked for make it unsupported.
  void checkAllSeen();

private:
  mlir::OpBuilder &builder;
  ShapeInference &shapes;
  SubgraphImporter &subgraphs;
  const Node &node;
  int64_t version;
  mlir::Location loc;
  llvm::ArrayRef<Named> inputs;
  const llvm::StringSet<> &used;
  const llvm::StringMap<Shape> *declared = nullptr;
  llvm::SmallVector<Named> outputs;
  llvm::StringSet<> seen; // names of the attributes that were asked for
  size_t numAsked = 0;    // one more than the last input that was asked for
  size_t numKnown = 0;    // the same of outputs
  bool skipped = false;   // something in its graphs is wrong or not supported
  std::string wrong, given, reason;
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_NODEBUILDER_H
