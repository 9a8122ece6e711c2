//===- ModelMutator.cpp - Damages the structure of a model ---------------------------------===//

#include "ModelMutator.h"

#include <algorithm>
#include <cstring>
#include <limits>

using namespace llvm;
using namespace rapt::onnx;
using rapt::onnx::test::ModelMutator;

namespace {

constexpr StringLiteral kOperators[] = {"Abs",
                                        "Add",
                                        "And",
                                        "Cast",
                                        "Ceil",
                                        "Clip",
                                        "Concat",
                                        "Constant",
                                        "ConstantOfShape",
                                        "Cos",
                                        "CumSum",
                                        "Div",
                                        "Dropout",
                                        "Einsum",
                                        "Equal",
                                        "Erf",
                                        "Exp",
                                        "Expand",
                                        "Flatten",
                                        "Floor",
                                        "Gather",
                                        "GatherElements",
                                        "GatherND",
                                        "Gelu",
                                        "Gemm",
                                        "Greater",
                                        "GreaterOrEqual",
                                        "Identity",
                                        "IsInf",
                                        "IsNaN",
                                        "LayerNormalization",
                                        "Less",
                                        "LessOrEqual",
                                        "Log",
                                        "LogSoftmax",
                                        "MatMul",
                                        "Max",
                                        "Mean",
                                        "Min",
                                        "Mod",
                                        "Mul",
                                        "Neg",
                                        "NonZero",
                                        "Not",
                                        "Or",
                                        "Pad",
                                        "Pow",
                                        "Range",
                                        "Reciprocal",
                                        "ReduceL2",
                                        "ReduceMax",
                                        "ReduceMean",
                                        "ReduceMin",
                                        "ReduceProd",
                                        "ReduceSum",
                                        "ReduceSumSquare",
                                        "Relu",
                                        "Reshape",
                                        "ScatterND",
                                        "Shape",
                                        "Sigmoid",
                                        "Sign",
                                        "Sin",
                                        "Size",
                                        "Slice",
                                        "Softmax",
                                        "Split",
                                        "Sqrt",
                                        "Squeeze",
                                        "Sub",
                                        "Sum",
                                        "Tanh",
                                        "Tile",
                                        "Transpose",
                                        "Trilu",
                                        "Unsqueeze",
                                        "Where",
                                        "Xor"};

constexpr StringLiteral kAttributes[] = {
    "alpha",       "approximate", "axes",      "axis",     "beta",        "end",
    "epsilon",     "equation",    "fmod",      "keepdims", "mode",        "noop_with_empty_axes",
    "num_outputs", "perm",        "split",     "start",    "stash_type",  "to",
    "transA",      "transB",      "upper",     "value",    "value_float", "value_int",
    "value_ints",  "allowzero",   "batch_dims"};

constexpr StringLiteral kStrings[] = {
    "",    "none",         "tanh",           "constant", "ij,jk->ik", "->",
    "...", "bij,bkj->bik", "i...,...j->...", "edge",     "i,i",       "\xff\xfe"};

constexpr int64_t kIntegers[] = {0,
                                 1,
                                 2,
                                 3,
                                 4,
                                 7,
                                 8,
                                 16,
                                 32,
                                 64,
                                 -1,
                                 -2,
                                 -3,
                                 -4,
                                 -5,
                                 255,
                                 65536,
                                 1ll << 31,
                                 (1ll << 31) - 1,
                                 -(1ll << 31),
                                 1ll << 32,
                                 1ll << 40,
                                 1ll << 62,
                                 std::numeric_limits<int64_t>::max(),
                                 std::numeric_limits<int64_t>::min()};

constexpr ElementType kTypes[] = {
    ElementType::Float,  ElementType::Float, ElementType::Int64,     ElementType::Int64,
    ElementType::Int32,  ElementType::Bool,  ElementType::Float16,   ElementType::Double,
    ElementType::UInt8,  ElementType::Int8,  ElementType::BFloat16,  ElementType::UInt64,
    ElementType::String, ElementType::Int4,  ElementType::Complex64, ElementType::Float8E5M2};

} // namespace

int64_t ModelMutator::integer() {
  return chance(3) ? static_cast<int64_t>(below(9)) - 4 : kIntegers[below(std::size(kIntegers))];
}

float ModelMutator::real() {
  constexpr float values[] = {0,
                              -0.0f,
                              1,
                              -1,
                              0.5f,
                              1e-30f,
                              3e38f,
                              -3e38f,
                              1e-5f,
                              8,
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()};
  return values[below(std::size(values))];
}

StringRef ModelMutator::operatorName() { return kOperators[below(std::size(kOperators))]; }

/// The model's graph, or often one of those in a node, at any depth.
Graph &ModelMutator::anyGraph() {
  for (Graph *graph = &model.graph;;) {
    SmallVector<Graph *> inner;
    for (Node &node : graph->nodes)
      for (Attribute &attribute : node.attributes)
        for (Graph &subgraph : attribute.graphs)
          inner.push_back(&subgraph);
    if (inner.empty() || chance(2))
      return *graph;
    graph = inner[below(inner.size())];
  }
}

/// A value that exists somewhere in the graph, or none.
StringRef ModelMutator::valueName() {
  Graph &graph = anyGraph();
  switch (below(8)) {
  case 0:
    return graph.inputs.empty() ? "" : pick(graph.inputs).name;
  case 1:
  case 2:
    return graph.initializers.empty() ? "" : pick(graph.initializers).name;
  case 3:
    return "";
  default: {
    if (graph.nodes.empty())
      return "";
    Node &node = pick(graph.nodes);
    return node.outputs.empty() ? "" : node.outputs[below(node.outputs.size())];
  }
  }
}

StringRef ModelMutator::freshName() { return model.storage.save("mutant" + Twine(fresh++)); }

/// Gives `tensor` bytes of the size that its type and dims want: the old ones as far as they reach.
void ModelMutator::setPayload(Tensor &tensor) {
  uint64_t elements = static_cast<uint64_t>(tensor.numElements());
  if (tensor.elementType == ElementType::String) {
    tensor.bytes = {};
    tensor.strings.assign(elements, "text");
    return;
  }
  tensor.strings.clear();
  uint64_t size = (elements * bitWidthOf(tensor.elementType) + 7) / 8;
  MutableArrayRef<uint8_t> bytes = cantFail(model.storage.allocate(size));
  for (uint64_t i = 0; i < size; ++i)
    bytes[i] = i < tensor.bytes.size() ? tensor.bytes[i] : 0;
  if (tensor.elementType == ElementType::Int64 && chance(2))
    for (uint64_t i = 0; i + 8 <= size && i < 64; i += 8)
      if (chance(2)) {
        int64_t value = integer();
        std::memcpy(&bytes[i], &value, 8);
      }
  if (tensor.elementType == ElementType::Float && size >= 4 && chance(2)) {
    float value = real();
    std::memcpy(bytes.data(), &value, 4);
  }
  tensor.bytes = bytes;
}

Tensor ModelMutator::tensor() {
  Tensor tensor;
  tensor.elementType = kTypes[below(std::size(kTypes))];
  for (size_t i = below(4); i > 0; --i)
    tensor.dims.push_back(static_cast<int64_t>(below(5)));
  setPayload(tensor);
  return tensor;
}

Attribute ModelMutator::attribute(StringRef name) {
  Attribute attribute;
  attribute.name = name;
  constexpr AttributeType types[] = {
      AttributeType::Int,    AttributeType::Int,    AttributeType::Ints,
      AttributeType::Ints,   AttributeType::Float,  AttributeType::String,
      AttributeType::Tensor, AttributeType::Floats, AttributeType::Strings};
  attribute.type = types[below(std::size(types))];
  attribute.i = integer();
  attribute.f = real();
  attribute.s = kStrings[below(std::size(kStrings))];
  if (attribute.type == AttributeType::Ints)
    for (size_t i = below(6); i > 0; --i)
      attribute.ints.push_back(integer());
  if (attribute.type == AttributeType::Floats)
    attribute.floats = {real(), real()};
  if (attribute.type == AttributeType::Strings)
    attribute.strings = {attribute.s};
  if (attribute.type == AttributeType::Tensor)
    attribute.tensors.push_back(tensor());
  return attribute;
}

void ModelMutator::changeIntegers(std::vector<int64_t> &values) {
  switch (below(4)) {
  case 0:
    values.push_back(integer());
    return;
  case 1:
    if (!values.empty())
      values.pop_back();
    return;
  case 2:
    std::reverse(values.begin(), values.end());
    return;
  default:
    if (!values.empty())
      pick(values) = integer();
  }
}

void ModelMutator::changeTensor(Tensor &tensor) {
  switch (below(6)) {
  case 0:
    tensor.elementType = kTypes[below(std::size(kTypes))];
    break;
  case 1: // one dim more, fewer, or other; the size stays moderate
    if (chance(2) && !tensor.dims.empty())
      tensor.dims.pop_back();
    else if (chance(2))
      tensor.dims.insert(tensor.dims.begin() + below(tensor.dims.size() + 1), chance(4) ? 0 : 1);
    else if (!tensor.dims.empty())
      tensor.dims[below(tensor.dims.size())] = static_cast<int64_t>(below(10));
    break;
  case 2:
    std::reverse(tensor.dims.begin(), tensor.dims.end());
    break;
  default:
    break; // only values
  }
  if (tensor.numElements() > 1 << 20)
    tensor.dims.assign({2, 3});
  setPayload(tensor);
}

void ModelMutator::changeType(ValueInfo &info) {
  TensorType &type = info.tensor;
  auto dim = [&] {
    Dim dim;
    dim.kind = static_cast<Dim::Kind>(below(3));
    dim.value = integer();
    if (dim.kind == Dim::Value && dim.value < 0 && chance(2))
      dim.value = 1;
    dim.param = chance(2) ? "batch" : chance(2) ? "mutant + 1" : "";
    return dim;
  };
  switch (below(6)) {
  case 0:
    type.elementType = kTypes[below(std::size(kTypes))];
    return;
  case 1:
    type.hasShape = !type.hasShape;
    return;
  case 2:
    info.kind = static_cast<ValueInfo::Kind>(below(7));
    return;
  case 3:
    type.dims.insert(type.dims.begin() + below(type.dims.size() + 1), dim());
    return;
  case 4:
    if (!type.dims.empty())
      type.dims.pop_back();
    return;
  default:
    if (!type.dims.empty())
      type.dims[below(type.dims.size())] = dim();
  }
}

void ModelMutator::changeAttribute(Node &node) {
  if (node.attributes.empty() || chance(6)) {
    node.attributes.push_back(attribute(kAttributes[below(std::size(kAttributes))]));
    return;
  }
  Attribute &old = pick(node.attributes);
  switch (below(8)) {
  case 0:
    node.attributes.erase(node.attributes.begin() + below(node.attributes.size()));
    return;
  case 1:
    old = attribute(old.name);
    return;
  default:
    old.i = integer();
    old.f = real();
    old.s = kStrings[below(std::size(kStrings))];
    if (old.type == AttributeType::Ints)
      changeIntegers(old.ints);
    if (old.type == AttributeType::Tensor)
      changeTensor(old.tensors.front());
  }
}

void ModelMutator::changeInputs(Node &node) {
  switch (below(5)) {
  case 0:
    if (node.inputs.size() > 1)
      std::swap(node.inputs[below(node.inputs.size())], node.inputs[below(node.inputs.size())]);
    return;
  case 1:
    if (!node.inputs.empty())
      node.inputs.pop_back();
    return;
  case 2:
    node.inputs.push_back(valueName());
    return;
  default:
    if (!node.inputs.empty())
      node.inputs[below(node.inputs.size())] = valueName();
  }
}

/// A node of any operator on values that are there at its place, in the way of one that used them.
void ModelMutator::addNode() {
  Graph &graph = anyGraph();
  if (graph.nodes.empty())
    return;
  size_t at = below(graph.nodes.size());
  Node node;
  node.opType = operatorName();
  Node &user = graph.nodes[at];
  for (StringRef input : user.inputs)
    node.inputs.push_back(input);
  if (chance(2) && !graph.initializers.empty())
    node.inputs.push_back(pick(graph.initializers).name);
  while (node.inputs.size() > 1 && chance(2))
    node.inputs.pop_back();
  node.outputs.push_back(freshName());
  for (size_t i = below(3); i > 0; --i)
    node.attributes.push_back(attribute(kAttributes[below(std::size(kAttributes))]));
  if (!user.inputs.empty())
    user.inputs[below(user.inputs.size())] = node.outputs.front();
  graph.nodes.insert(graph.nodes.begin() + at, std::move(node));
}

/// Its users get its first input in its place.
void ModelMutator::removeNode() {
  Graph &graph = anyGraph();
  if (graph.nodes.empty())
    return;
  size_t at = below(graph.nodes.size());
  Node node = graph.nodes[at];
  graph.nodes.erase(graph.nodes.begin() + at);
  if (node.inputs.empty() || node.outputs.empty())
    return;
  for (Node &user : graph.nodes)
    for (StringRef &input : user.inputs)
      if (input == node.outputs.front())
        input = node.inputs.front();
}

void ModelMutator::change() {
  Graph &graph = anyGraph();
  if (graph.nodes.empty())
    return;
  switch (below(18)) {
  case 0:
  case 1:
    pick(graph.nodes).opType = operatorName();
    return;
  case 2:
    pick(graph.nodes).opType = pick(graph.nodes).opType;
    return;
  case 3:
  case 4:
  case 5:
    return changeAttribute(pick(graph.nodes));
  case 6:
  case 7:
  case 8:
    return changeInputs(pick(graph.nodes));
  case 9:
  case 10:
    if (!graph.initializers.empty())
      changeTensor(pick(graph.initializers));
    return;
  case 11:
    if (!graph.inputs.empty())
      changeType(pick(graph.inputs));
    return;
  case 12:
    if (!graph.valueInfo.empty())
      changeType(pick(graph.valueInfo));
    return;
  case 13: { // another value becomes the result
    if (graph.outputs.empty())
      return;
    ValueInfo &result = pick(graph.outputs);
    Node &node = pick(graph.nodes);
    if (!node.outputs.empty())
      result.name = node.outputs.front();
    if (chance(2))
      changeType(result);
    return;
  }
  case 14:
    for (OpsetImport &opset : model.opsets)
      opset.version = minOpset + static_cast<int64_t>(below(maxOpset - minOpset + 1));
    return;
  case 15:
    return removeNode();
  case 16: {
    Node &node = pick(graph.nodes);
    if (chance(2))
      node.outputs.push_back(freshName());
    else if (!node.outputs.empty())
      node.outputs[below(node.outputs.size())] = chance(2) ? "" : freshName();
    return;
  }
  default:
    return addNode();
  }
}
