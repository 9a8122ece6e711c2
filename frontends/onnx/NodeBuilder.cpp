//===- NodeBuilder.cpp - One ONNX node becomes operations ------------------------------------===//

#include "frontends/onnx/NodeBuilder.h"

#include "dialects/Onnx/Evaluate.h"
#include "dialects/Onnx/Names.h"
#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/Errors.h"

#include "mlir/IR/Diagnostics.h"

#include <cmath>

using namespace mlir;

namespace rapt::onnx {

void NodeBuilder::error(const Twine &what) {
  // After the first complaint, also one about what is not supported, the values are dummies.
  if (!stopped())
    wrong = what.str();
}

void NodeBuilder::unsupported(const Twine &why) {
  if (!stopped())
    reason = why.str();
}

// --- Operands ------------------------------------------------------------------------------------
Value NodeBuilder::optional(size_t i) {
  numAsked = std::max(numAsked, i + 1);
  if (isSequence(i))
    error("input " + Twine(i) + " is a sequence, expected a tensor");
  return i < inputs.size() ? inputs[i].value : Value();
}

Sequence NodeBuilder::sequence(size_t i) {
  numAsked = std::max(numAsked, i + 1);
  if (isSequence(i))
    return *inputs[i].sequence;
  error("input " + Twine(i) + " is " +
        (i < inputs.size() && inputs[i] ? "a tensor, expected a sequence" : "missing"));
  return {};
}

Value NodeBuilder::in(size_t i) {
  Value value = optional(i);
  if (!value)
    error("input " + Twine(i) + " is missing");
  return value;
}

SmallVector<Value> NodeBuilder::allInputs() {
  SmallVector<Value> values;
  if (inputs.empty())
    error("has no inputs, expected at least one");
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].grows)
      values.push_back(in(i));
  return values;
}

SmallVector<int64_t> NodeBuilder::constants(size_t i, StringRef name) {
  Value value = in(i);
  if (stopped())
    return {};
  const Content &content = shapes.content(value);
  if (!isa<IntegerType>(elementType(value)) || rank(value) > 1) {
    error("input '" + name + "' is " + typeText(shapes, value) +
          ", expected integers of rank 0 or 1");
    return {};
  }
  if (!content.isConstant()) {
    unsupported("input '" + name + "' is not a constant");
    return {};
  }
  SmallVector<int64_t> result;
  for (const Element &element : content.elements())
    result.push_back(*element.expr.constant());
  return result;
}

SmallVector<double> NodeBuilder::floatConstants(size_t i, StringRef name) {
  Value value = in(i);
  if (stopped())
    return {};
  if (!isa<FloatType>(elementType(value)) || rank(value) > 1) {
    error("input '" + name + "' has rank " + Twine(rank(value)) +
          " or no floats, expected floats of rank 0 or 1");
    return {};
  }
  const Content &content = shapes.content(value);
  if (!content.isConstant()) {
    unsupported("input '" + name + "' is not a constant");
    return {};
  }
  SmallVector<double> result;
  for (const Element &element : content.elements())
    result.push_back(element.number);
  return result;
}

int64_t NodeBuilder::constant(size_t i, StringRef name) {
  SmallVector<int64_t> values = constants(i, name);
  if (!stopped() && values.size() != 1)
    error("input '" + name + "' has " + Twine(values.size()) + " elements, expected 1");
  return stopped() ? 0 : values.front();
}

std::optional<double> NodeBuilder::number(Value value) const {
  const Element *element = value ? shapes.content(value).uniform() : nullptr;
  if (!element || !element->isConstant())
    return std::nullopt;
  return element->kind == Element::Float ? element->number
                                         : static_cast<double>(*element->expr.constant());
}

SymbolicExpr NodeBuilder::declaredDim(size_t i, size_t axis) const {
  if (!declared || i >= node.outputs.size())
    return {};
  auto found = declared->find(node.outputs[i]);
  return found == declared->end() || axis >= found->second.size() ? SymbolicExpr()
                                                                  : found->second[axis];
}

int64_t NodeBuilder::rank(Value value) const {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
  return type ? type.getRank() : 0;
}

Type NodeBuilder::elementType(Value value) const {
  return value ? cast<ShapedType>(value.getType()).getElementType() : builder.getI1Type();
}

// --- Attributes ----------------------------------------------------------------------------------
const Attribute *NodeBuilder::attribute(StringRef name, AttributeType type) {
  seen.insert(name);
  const Attribute *found = node.find(name);
  if (!found)
    return nullptr;
  if (!found->refAttrName.empty()) {
    error("attribute '" + name + "' refers to an attribute of a function, but the node is in none");
    return nullptr;
  }
  if (found->type != type) {
    error("attribute '" + name + "' has type " + nameOf(found->type) + ", expected " +
          nameOf(type));
    return nullptr;
  }
  return found;
}

int64_t NodeBuilder::intAttr(StringRef name, int64_t otherwise) {
  const Attribute *found = attribute(name, AttributeType::Int);
  return found ? found->i : otherwise;
}

int64_t NodeBuilder::requiredInt(StringRef name) {
  if (!has(name))
    error("attribute '" + name + "' is missing");
  return intAttr(name, 0);
}

bool NodeBuilder::flagAttr(StringRef name, bool otherwise) {
  int64_t value = intAttr(name, otherwise);
  if (value != 0 && value != 1)
    error("attribute '" + name + "' is " + Twine(value) + ", expected 0 or 1");
  return value != 0;
}

float NodeBuilder::finiteAttr(StringRef name, float otherwise, std::optional<float> least) {
  float value = floatAttr(name, otherwise);
  if (!std::isfinite(value) || (least && value < *least))
    error("attribute '" + name + "' is " + numberText(value) + ", expected a finite number" +
          (least ? " of at least " + numberText(*least) : ""));
  return value;
}

float NodeBuilder::floatAttr(StringRef name, float otherwise) {
  const Attribute *found = attribute(name, AttributeType::Float);
  return found ? found->f : otherwise;
}

StringRef NodeBuilder::stringAttr(StringRef name, StringRef otherwise) {
  const Attribute *found = attribute(name, AttributeType::String);
  return found ? found->s : otherwise;
}

std::optional<SmallVector<int64_t>> NodeBuilder::intsAttr(StringRef name) {
  const Attribute *found = attribute(name, AttributeType::Ints);
  if (!found)
    return std::nullopt;
  return SmallVector<int64_t>(found->ints.begin(), found->ints.end());
}

std::optional<SmallVector<float>> NodeBuilder::floatsAttr(StringRef name) {
  const Attribute *found = attribute(name, AttributeType::Floats);
  if (!found)
    return std::nullopt;
  return SmallVector<float>(found->floats.begin(), found->floats.end());
}

std::optional<SmallVector<StringRef>> NodeBuilder::stringsAttr(StringRef name) {
  const Attribute *found = attribute(name, AttributeType::Strings);
  if (!found)
    return std::nullopt;
  return SmallVector<StringRef>(found->strings.begin(), found->strings.end());
}

const Graph *NodeBuilder::graphAttr(StringRef name) {
  if (!has(name))
    error("attribute '" + name + "' is missing");
  const Attribute *found = attribute(name, AttributeType::Graph);
  return found ? &found->g() : nullptr;
}

const Tensor *NodeBuilder::tensorAttr(StringRef name) {
  const Attribute *found = attribute(name, AttributeType::Tensor);
  return found ? &found->t() : nullptr;
}

int64_t NodeBuilder::normalized(int64_t axis, int64_t rank, StringRef name, bool orEnd) {
  if (stopped())
    return 0;
  if (axis < -rank || axis >= rank + (orEnd ? 1 : 0)) {
    error(name + " is " + Twine(axis) + ", expected " + Twine(-rank) + " to " +
          Twine(orEnd ? rank : rank - 1) + " for rank " + Twine(rank));
    return 0;
  }
  return axis < 0 ? axis + rank : axis;
}

SmallVector<int64_t> NodeBuilder::normalized(ArrayRef<int64_t> axes, int64_t rank, StringRef name) {
  SmallVector<int64_t> result;
  for (auto [i, axis] : llvm::enumerate(axes))
    result.push_back(normalized(axis, rank, (name + "[" + Twine(i) + "]").str()));
  llvm::sort(result);
  return result;
}

void NodeBuilder::checkAllSeen() {
  for (size_t i = numAsked; i < inputs.size(); ++i)
    if (inputs[i] && i < node.inputs.size())
      error("has a surplus input " + quoted(node.inputs[i]) + ", expected at most " +
            Twine(numAsked) + " inputs at opset " + Twine(version));
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!outputs[i] && i < node.outputs.size() && !node.outputs[i].empty() &&
        (i >= numKnown || used.contains(node.outputs[i])))
      error("has a surplus output " + quoted(node.outputs[i]) + ", expected at most " + Twine(i) +
            " outputs at opset " + Twine(version));
  for (const Attribute &attribute : node.attributes)
    if (!seen.contains(attribute.name))
      unsupported("attribute " + quoted(attribute.name));
}

// --- Results -------------------------------------------------------------------------------------
/// The operands as "'x' f32[n, 3], 'w' f32[4]", the first few.
static std::string inputsText(const Node &node, ArrayRef<Named> inputs,
                              const ShapeInference &shapes) {
  constexpr size_t shown = 6;
  std::string text;
  for (size_t i = 0; i < std::min(inputs.size(), shown); ++i)
    if (inputs[i].value)
      text += (text.empty() ? "" : ", ") +
              (i < node.inputs.size() ? quoted(node.inputs[i]) + " " : std::string()) +
              typeText(shapes, inputs[i].value);
  return inputs.size() > shown ? text + ", ..." : text;
}

/// What shape inference said of an operation, in the words of the node at `loc`.
static std::string complaint(const Diagnostic &diagnostic, const Node &node, Location loc) {
  std::string text = diagnostic.str(), where;
  StringRef said = text;
  if (said.starts_with("'onnx.") && said.contains("' op ")) {
    auto [inner, rest] = said.drop_front(6).split("' op ");
    said = rest;
    if (inner != node.opType)
      where = "its " + inner.str() + ": ";
  }
  if (diagnostic.getLocation() != loc)
    where = nodeText(diagnostic.getLocation()) + ": " + where;
  return where + said.str();
}

Value NodeBuilder::finish(Operation *op) {
  std::string said;
  {
    ScopedDiagnosticHandler listen(context(), [&](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
        return failure(); // a warning is for whoever listens to all of them
      if (said.empty())
        said = complaint(diagnostic, node, loc);
      return success();
    });
    if (succeeded(shapes.infer(op)))
      return op->getResult(0);
  }
  if (said.empty())
    said = "its shape or type can not be inferred";
  given = inputsText(node, inputs, shapes);
  error(said);
  return {};
}

Value NodeBuilder::makeConstant(ElementsAttr value) {
  return makeTyped<ConstantOp>(value.getElementType(), value);
}

Value NodeBuilder::makeScalar(Type type, double value) {
  if (stopped())
    return {};
  auto scalar = RankedTensorType::get({}, type);
  Element element = convert(Element::ofFloat(value), type);
  if (!element.isKnown()) {
    error("constant " + numberText(value) + " does not fit its element type");
    return {};
  }
  return makeConstant(writeContent(Content::ofElements({element}), scalar));
}

Value NodeBuilder::makeInts(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, builder.getI64Type());
  return makeConstant(DenseElementsAttr::get(type, values));
}

SmallVector<Named> NodeBuilder::importNamed(const Graph &graph, ArrayRef<Named> inputs) {
  SmallVector<Named> nothing(graph.outputs.size());
  if (!wrong.empty() || !reason.empty()) // what is in several graphs is found in all of them
    return nothing;
  if (graph.inputs.size() != inputs.size()) {
    error("graph " + quoted(graph.name) + " has " + Twine(graph.inputs.size()) +
          " inputs, expected " + Twine(inputs.size()));
    return nothing;
  }
  SmallVector<Named> imported = subgraphs.importSubgraph(graph, inputs);
  skipped |= !llvm::all_of(imported, [](const Named &output) { return bool(output); });
  return skipped ? nothing : imported;
}

SmallVector<Value> NodeBuilder::importGraph(const Graph &graph, ArrayRef<Value> inputs) {
  SmallVector<Named> imported =
      importNamed(graph, SmallVector<Named>(inputs.begin(), inputs.end()));
  SmallVector<Value> values;
  for (auto [i, output] : llvm::enumerate(imported)) {
    if (output.sequence)
      unsupported("output " + Twine(i) + " of graph " + quoted(graph.name) + " is a sequence");
    values.push_back(output.value);
  }
  return stopped() ? SmallVector<Value>(imported.size()) : values;
}

Value NodeBuilder::nonZero(Value x) {
  if (stopped() || !x)
    return {};
  Block *block = builder.getInsertionBlock();
  for (Operation *user : x.getUsers()) // sizes of one tensor are one size
    if (auto known = dyn_cast<NonZeroOp>(user); known && known->getBlock() == block)
      return known.getIndices();
  if (isa_and_nonnull<LoopOp>(block->getParentOp())) {
    unsupported("the size of its result depends on data, in the body of a loop");
    return {};
  }
  return make<NonZeroOp>(x, subgraphs.nameSize(firstOutput()));
}

void NodeBuilder::out(size_t i, Named value) {
  numKnown = std::max(numKnown, i + 1);
  if (i < outputs.size())
    outputs[i] = std::move(value);
}

bool NodeBuilder::wants(size_t i) {
  numKnown = std::max(numKnown, i + 1);
  return i < node.outputs.size() && !node.outputs[i].empty() && used.contains(node.outputs[i]);
}

void NodeBuilder::cannotGive(size_t i, StringRef name) {
  if (wants(i))
    unsupported("output '" + name + "'");
}

} // namespace rapt::onnx
