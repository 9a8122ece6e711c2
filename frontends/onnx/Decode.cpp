//===- Decode.cpp - Protobuf message to Model -----------------------------===//
//
// One function per message of onnx.proto, fields by their number there. Fields without a case are
// skipped. A field that holds one message must not be repeated: protobuf would merge the copies,
// other readers take the first or the last, so such a file means different things to different
// programs.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Decode.h"

#include "frontends/onnx/Errors.h"
#include "llvm/ADT/bit.h"

using namespace llvm;

namespace rapt::onnx {
namespace {

/// Reads a field that may occur once.
Error readOnce(const Field &field, bool &seen, Message &message) {
  if (seen)
    return field.error("field " + Twine(field.number) + " occurs twice in one message");
  seen = true;
  return field.read(message);
}

class Decoder {
public:
  Decoder(ExternalData &externalData, Storage &storage)
      : externalData(externalData), storage(storage) {}

  Error model(const Message &message, Model &model);

private:
  Error graph(const Message &message, Graph &graph);
  Error node(const Message &message, Node &node);
  Error attribute(const Message &message, Attribute &attribute);
  Error attributeFields(const Message &message, Attribute &attribute);
  Error tensor(const Message &message, Tensor &tensor) {
    return decodeTensor(message, tensor, externalData, storage);
  }
  Error function(const Message &message, Function &function);
  Error valueInfo(const Message &message, ValueInfo &info);
  Error type(const Message &message, ValueInfo &info);
  Error tensorType(const Message &message, TensorType &type);
  Error shape(const Message &message, TensorType &type);
  Error opset(const Message &message, OpsetImport &import);
  Error stringPair(const Message &message, StringPair &pair) {
    return decodeStringPair(message, pair);
  }

  /// Appends one element to `list` and decodes the field's message into it.
  template <typename List>
  Error append(const Field &field, List &list,
               Error (Decoder::*decode)(const Message &, typename List::value_type &)) {
    Message message;
    RAPT_TRY(field.read(message));
    return (this->*decode)(message, list.emplace_back());
  }

  Error appendNode(const Field &field, std::vector<Node> &nodes);
  Error appendInitializer(const Field &field, std::vector<Tensor> &initializers);
  Error appendString(const Field &field, auto &list) {
    StringRef text;
    RAPT_TRY(field.read(text));
    list.push_back(text);
    return Error::success();
  }

  ExternalData &externalData;
  Storage &storage;
};

Error Decoder::opset(const Message &message, OpsetImport &import) {
  return forEachField(message, [&](const Field &field) -> Error {
    switch (field.number) {
    case 1:
      RAPT_TRY(field.read(import.domain));
      import.domain = canonicalDomain(import.domain);
      return Error::success();
    case 2:
      return field.read(import.version);
    }
    return Error::success();
  });
}

Error Decoder::shape(const Message &message, TensorType &type) {
  type.hasShape = true;
  return forEachField(message, [&](const Field &field) -> Error {
    if (field.number != 1)
      return Error::success();
    Message dimension;
    RAPT_TRY(field.read(dimension));
    Dim &dim = type.dims.emplace_back();
    return forEachField(dimension, [&](const Field &part) -> Error {
      switch (part.number) {
      case 1:
        dim.kind = Dim::Value;
        return part.read(dim.value);
      case 2:
        RAPT_TRY(part.read(dim.param));
        dim.kind = dim.param.empty() ? Dim::Unknown : Dim::Param;
        return Error::success();
      }
      return Error::success();
    });
  });
}

Error Decoder::tensorType(const Message &message, TensorType &type) {
  bool hasShape = false;
  return forEachField(message, [&](const Field &field) -> Error {
    Message part;
    switch (field.number) {
    case 1:
      return readElementType(field, type.elementType);
    case 2:
      RAPT_TRY(readOnce(field, hasShape, part));
      return shape(part, type);
    }
    return Error::success();
  });
}

Error Decoder::type(const Message &message, ValueInfo &info) {
  bool hasValue = false;
  return forEachField(message, [&](const Field &field) -> Error {
    Message part;
    switch (field.number) {
    case 1:
      info.kind = ValueInfo::Tensor;
      RAPT_TRY(readOnce(field, hasValue, part));
      return tensorType(part, info.tensor);
    case 4:
      info.kind = ValueInfo::Sequence;
      return readOnce(field, hasValue, part);
    case 5:
      info.kind = ValueInfo::Map;
      return readOnce(field, hasValue, part);
    case 7:
      info.kind = ValueInfo::Opaque;
      return readOnce(field, hasValue, part);
    case 8:
      info.kind = ValueInfo::SparseTensor;
      return readOnce(field, hasValue, part);
    case 9:
      info.kind = ValueInfo::Optional;
      return readOnce(field, hasValue, part);
    }
    return Error::success();
  });
}

Error Decoder::valueInfo(const Message &message, ValueInfo &info) {
  bool hasType = false;
  return forEachField(message, [&](const Field &field) -> Error {
    Message part;
    switch (field.number) {
    case 1:
      return field.read(info.name);
    case 2:
      RAPT_TRY(readOnce(field, hasType, part));
      return type(part, info);
    }
    return Error::success();
  });
}

Error Decoder::attributeFields(const Message &message, Attribute &attribute) {
  bool hasTensor = false, hasGraph = false;
  return forEachField(message, [&](const Field &field) -> Error {
    Message part;
    int32_t number;
    switch (field.number) {
    case 1:
      return field.read(attribute.name);
    case 2:
      return field.read(attribute.f);
    case 3:
      return field.read(attribute.i);
    case 4:
      return field.read(attribute.s);
    case 5:
      RAPT_TRY(readOnce(field, hasTensor, part));
      return tensor(part, attribute.tensors.emplace_back());
    case 6:
      RAPT_TRY(readOnce(field, hasGraph, part));
      return graph(part, attribute.graphs.emplace_back());
    case 7:
      return field.forEachFixed32([&](uint32_t bits) {
        attribute.floats.push_back(bit_cast<float>(bits));
        return Error::success();
      });
    case 8:
      return field.forEachVarint([&](uint64_t value) {
        attribute.ints.push_back(static_cast<int64_t>(value));
        return Error::success();
      });
    case 9:
      return appendString(field, attribute.strings);
    case 10:
      return append(field, attribute.tensors, &Decoder::tensor);
    case 11:
      return append(field, attribute.graphs, &Decoder::graph);
    case 20:
      RAPT_TRY(field.read(number));
      if (number < 0 || number > static_cast<int32_t>(AttributeType::TypeProtos))
        return field.error("attribute type " + Twine(number) + " is outside 0 to 14");
      attribute.type = static_cast<AttributeType>(number);
      return Error::success();
    case 21:
      return field.read(attribute.refAttrName);
    }
    return Error::success();
  });
}

Error Decoder::attribute(const Message &message, Attribute &attribute) {
  Error error = attributeFields(message, attribute);
  std::string context = "attribute " + quoted(attribute.name);
  if (error)
    return addContext(context, std::move(error));
  if (!attribute.refAttrName.empty())
    return Error::success();
  bool oneTensor = attribute.type == AttributeType::Tensor;
  bool oneGraph = attribute.type == AttributeType::Graph;
  if (attribute.type == AttributeType::Undefined)
    return fail(context + " has no type");
  if (attribute.tensors.size() != 1 && oneTensor)
    return fail(context + " of type tensor has no tensor");
  if (attribute.graphs.size() != 1 && oneGraph)
    return fail(context + " of type graph has no graph");
  return Error::success();
}

Error Decoder::node(const Message &message, Node &node) {
  return forEachField(message, [&](const Field &field) -> Error {
    switch (field.number) {
    case 1:
      return appendString(field, node.inputs);
    case 2:
      return appendString(field, node.outputs);
    case 3:
      return field.read(node.name);
    case 4:
      return field.read(node.opType);
    case 5:
      return append(field, node.attributes, &Decoder::attribute);
    case 7:
      RAPT_TRY(field.read(node.domain));
      node.domain = canonicalDomain(node.domain);
      return Error::success();
    case 8:
      return field.read(node.overload);
    }
    return Error::success();
  });
}

Error Decoder::appendNode(const Field &field, std::vector<Node> &nodes) {
  Message message;
  RAPT_TRY(field.read(message));
  Node &node = nodes.emplace_back();
  node.index = nodes.size() - 1;
  Error error = this->node(message, node);
  return error ? addContext(node.describe(), std::move(error)) : Error::success();
}

Error Decoder::appendInitializer(const Field &field, std::vector<Tensor> &initializers) {
  Message message;
  RAPT_TRY(field.read(message));
  Tensor &tensor = initializers.emplace_back();
  Error error = this->tensor(message, tensor);
  return error ? addContext("initializer " + quoted(tensor.name), std::move(error))
               : Error::success();
}

Error Decoder::graph(const Message &message, Graph &graph) {
  return forEachField(message, [&](const Field &field) -> Error {
    switch (field.number) {
    case 1:
      return appendNode(field, graph.nodes);
    case 2:
      return field.read(graph.name);
    case 5:
      return appendInitializer(field, graph.initializers);
    case 11:
      return append(field, graph.inputs, &Decoder::valueInfo);
    case 12:
      return append(field, graph.outputs, &Decoder::valueInfo);
    case 13:
      return append(field, graph.valueInfo, &Decoder::valueInfo);
    case 15:
      return field.error("sparse initializers are not supported");
    }
    return Error::success();
  });
}

Error Decoder::function(const Message &message, Function &function) {
  return forEachField(message, [&](const Field &field) -> Error {
    switch (field.number) {
    case 1:
      return field.read(function.name);
    case 4:
      return appendString(field, function.inputs);
    case 5:
      return appendString(field, function.outputs);
    case 6:
      return appendString(field, function.attributes);
    case 7:
      return appendNode(field, function.nodes);
    case 9:
      return append(field, function.opsets, &Decoder::opset);
    case 10:
      RAPT_TRY(field.read(function.domain));
      function.domain = canonicalDomain(function.domain);
      return Error::success();
    case 11:
      return append(field, function.attributeDefaults, &Decoder::attribute);
    case 13:
      return field.read(function.overload);
    }
    return Error::success();
  });
}

Error Decoder::model(const Message &message, Model &model) {
  bool hasGraph = false;
  RAPT_TRY(forEachField(message, [&](const Field &field) -> Error {
    Message part;
    switch (field.number) {
    case 1:
      return field.read(model.irVersion);
    case 2:
      return field.read(model.producerName);
    case 3:
      return field.read(model.producerVersion);
    case 4:
      return field.read(model.domain);
    case 5:
      return field.read(model.modelVersion);
    case 7:
      RAPT_TRY(readOnce(field, hasGraph, part));
      return graph(part, model.graph);
    case 8:
      return append(field, model.opsets, &Decoder::opset);
    case 14:
      return append(field, model.metadata, &Decoder::stringPair);
    case 25:
      return append(field, model.functions, &Decoder::function);
    }
    return Error::success();
  }));
  if (!hasGraph)
    return fail("the file has no graph, so it is not an ONNX model");
  return Error::success();
}

} // namespace

Error decodeModel(ArrayRef<uint8_t> bytes, ExternalData &externalData, Model &model) {
  return Decoder(externalData, model.storage).model({bytes, 0, 0}, model);
}

} // namespace rapt::onnx
