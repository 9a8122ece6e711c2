//===- Text.cpp - ONNX's text syntax to Model -----------------------------===//
//
// Recursive descent, one function a nonterminal, in the order model, function, graph, node,
// attribute; types and tensors are in TextTypes.cpp. Functions return true on failure.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Text.h"

#include "frontends/onnx/Errors.h"
#include "frontends/onnx/TextLexer.h"
#include "frontends/onnx/TextTypes.h"

using namespace llvm;

namespace rapt::onnx {
namespace {

constexpr unsigned maxDepth = 32; ///< graphs in attributes

using Literal = TextLexer::Literal;

class Parser {
public:
  Parser(StringRef text, ExternalData &externalData, Model &model)
      : lexer(text, model.storage), externalData(externalData), model(model) {}

  Error run() { return parseModel() ? lexer.takeError() : Error::success(); }

private:
  bool parseModel();
  bool modelHeader();
  bool opsets(std::vector<OpsetImport> &imports);

  bool function(Function &function);
  bool functionHeader(Function &function);
  bool functionAttributes(Function &function);
  bool functionValues(std::vector<StringRef> &names);

  bool graph(Graph &graph);
  bool graphInputs(Graph &graph);
  bool graphValues(Graph &graph);
  bool valueInfos(std::vector<ValueInfo> &list, char close);
  bool valueInfo(ValueInfo &info);
  bool initializer(const ValueInfo &info, Graph &graph);

  bool nodes(std::vector<Node> &list);
  bool node(Node &node);
  bool nodeValues(auto &names);
  bool operatorName(Node &node);
  bool attributes(std::vector<Attribute> &list);
  bool attribute(Attribute &attribute);
  bool attributeList(Attribute &attribute);
  bool attributeValue(Attribute &attribute);
  bool typedValue(Attribute &attribute);

  bool tensor(const ValueInfo &info, Tensor &tensor) {
    return parseTensor(lexer, info, tensor, externalData, model.storage);
  }

  TextLexer lexer;
  ExternalData &externalData;
  Model &model;
  unsigned depth = 0;
};

bool Parser::parseModel() {
  if (modelHeader() || graph(model.graph))
    return true;
  while (!lexer.atEnd())
    if (function(model.functions.emplace_back()))
      return true;
  return false;
}

bool Parser::modelHeader() {
  if (!lexer.accept('<'))
    return false;
  auto entry = [&]() -> bool {
    StringRef key, ignored;
    if (lexer.identifier(key) || lexer.expect(':'))
      return true;
    if (key == "ir_version")
      return lexer.integer(model.irVersion);
    if (key == "opset_import")
      return opsets(model.opsets);
    if (key == "producer_name")
      return lexer.string(model.producerName);
    if (key == "producer_version")
      return lexer.string(model.producerVersion);
    if (key == "domain")
      return lexer.string(model.domain);
    if (key == "model_version")
      return lexer.integer(model.modelVersion);
    if (key == "doc_string")
      return lexer.string(ignored);
    if (key != "metadata_props")
      return lexer.error("unknown model property " + quoted(key));
    SmallVector<StringPair> pairs;
    if (parseStringPairs(lexer, pairs))
      return true;
    model.metadata.insert(model.metadata.end(), pairs.begin(), pairs.end());
    return false;
  };
  return lexer.list(entry) || lexer.expect('>');
}

bool Parser::opsets(std::vector<OpsetImport> &imports) {
  if (lexer.expect('['))
    return true;
  if (lexer.accept(']'))
    return false;
  auto entry = [&] {
    OpsetImport &import = imports.emplace_back();
    if (lexer.string(import.domain) || lexer.expect(':') || lexer.integer(import.version))
      return true;
    import.domain = canonicalDomain(import.domain);
    return false;
  };
  return lexer.list(entry) || lexer.expect(']');
}

bool Parser::functionHeader(Function &function) {
  if (!lexer.accept('<'))
    return false;
  auto entry = [&] {
    StringRef key, ignored;
    if (lexer.identifier(key) || lexer.expect(':'))
      return true;
    if (key == "opset_import")
      return opsets(function.opsets);
    if (key == "domain")
      return lexer.string(function.domain);
    if (key == "overload")
      return lexer.string(function.overload);
    if (key == "doc_string")
      return lexer.string(ignored);
    return lexer.error("unknown function property " + quoted(key));
  };
  if (lexer.list(entry) || lexer.expect('>'))
    return true;
  function.domain = canonicalDomain(function.domain);
  return false;
}

/// `<name, name: type = default>`
bool Parser::functionAttributes(Function &function) {
  if (!lexer.accept('<'))
    return false;
  auto entry = [&] {
    StringRef name;
    if (lexer.quotableIdentifier(name))
      return true;
    if (lexer.peek() != ':' && lexer.peek() != '=') {
      function.attributes.push_back(name);
      return false;
    }
    Attribute &attribute = function.attributeDefaults.emplace_back();
    attribute.name = name;
    return this->attribute(attribute);
  };
  return lexer.list(entry) || lexer.expect('>');
}

/// Inputs or outputs: names, with or without a type.
bool Parser::functionValues(std::vector<StringRef> &names) {
  std::vector<ValueInfo> values;
  if (lexer.expect('(') || valueInfos(values, ')'))
    return true;
  for (const ValueInfo &value : values)
    names.push_back(value.name);
  return false;
}

bool Parser::function(Function &function) {
  std::vector<ValueInfo> ignored;
  return functionHeader(function) || lexer.quotableIdentifier(function.name) ||
         functionAttributes(function) || functionValues(function.inputs) || lexer.expectArrow() ||
         functionValues(function.outputs) || (lexer.accept('<') && valueInfos(ignored, '>')) ||
         nodes(function.nodes);
}

bool Parser::graph(Graph &graph) {
  if (++depth > maxDepth)
    return lexer.error("graphs are nested deeper than " + Twine(maxDepth) + " levels");
  bool failed = lexer.quotableIdentifier(graph.name) || graphInputs(graph) || lexer.expectArrow() ||
                lexer.expect('(') || valueInfos(graph.outputs, ')') || graphValues(graph) ||
                nodes(graph.nodes);
  --depth;
  return failed;
}

bool Parser::initializer(const ValueInfo &info, Graph &graph) {
  Tensor &tensor = graph.initializers.emplace_back();
  tensor.name = info.name;
  return this->tensor(info, tensor);
}

/// `(type name, type name = default)`
bool Parser::graphInputs(Graph &graph) {
  if (!lexer.accept('(') || lexer.accept(')'))
    return false;
  auto entry = [&] {
    ValueInfo info;
    if (valueInfo(info))
      return true;
    graph.inputs.push_back(info);
    return lexer.accept('=') && initializer(info, graph);
  };
  return lexer.list(entry) || lexer.expect(')');
}

/// `<type name, type name = constant>`
bool Parser::graphValues(Graph &graph) {
  if (!lexer.accept('<') || lexer.accept('>'))
    return false;
  auto entry = [&] {
    ValueInfo info;
    if (valueInfo(info))
      return true;
    if (lexer.accept('='))
      return initializer(info, graph);
    graph.valueInfo.push_back(info);
    return false;
  };
  return lexer.list(entry) || lexer.expect('>');
}

/// The rest of a list whose opening bracket is consumed.
bool Parser::valueInfos(std::vector<ValueInfo> &values, char close) {
  if (lexer.accept(close))
    return false;
  return lexer.list([&] { return valueInfo(values.emplace_back()); }) || lexer.expect(close);
}

bool Parser::valueInfo(ValueInfo &info) {
  return (nextIsType(lexer) && parseType(lexer, info)) || lexer.quotableIdentifier(info.name);
}

bool Parser::nodes(std::vector<Node> &list) {
  if (lexer.expect('{'))
    return true;
  while (!lexer.accept('}')) {
    Node &node = list.emplace_back();
    node.index = list.size() - 1;
    if (this->node(node))
      return true;
  }
  return false;
}

/// Names with commas between; a name may be missing or "", and a trailing comma means nothing.
bool Parser::nodeValues(auto &names) {
  do {
    StringRef name;
    if (lexer.peek() == '"') {
      if (lexer.string(name))
        return true;
    } else if ((name = lexer.optionalIdentifier()).empty() && lexer.peek() != ',') {
      return false;
    }
    names.push_back(name);
  } while (lexer.accept(','));
  return false;
}

/// `domain.with.dots.Op:overload`
bool Parser::operatorName(Node &node) {
  std::string domain;
  if (lexer.identifier(node.opType))
    return true;
  while (lexer.accept('.')) {
    domain += (domain.empty() ? "" : ".") + node.opType.str();
    if (lexer.identifier(node.opType))
      return true;
  }
  node.domain = canonicalDomain(model.storage.save(domain));
  return lexer.accept(':') && lexer.identifier(node.overload);
}

bool Parser::node(Node &node) {
  if (lexer.accept('[')) {
    if (lexer.peek() != ']' && lexer.quotableIdentifier(node.name))
      return true;
    if (lexer.expect(']'))
      return true;
  }
  if (nodeValues(node.outputs) || lexer.expect('=') || operatorName(node) ||
      attributes(node.attributes) || lexer.expect('(') || nodeValues(node.inputs) ||
      lexer.expect(')'))
    return true;
  // Attributes may stand behind the inputs instead.
  return node.attributes.empty() && attributes(node.attributes);
}

bool Parser::attributes(std::vector<Attribute> &list) {
  if (!lexer.accept('<'))
    return false;
  auto entry = [&] {
    Attribute &attribute = list.emplace_back();
    return lexer.identifier(attribute.name) || this->attribute(attribute);
  };
  return lexer.list(entry) || lexer.expect('>');
}

/// `: type = value`, the name being consumed.
bool Parser::attribute(Attribute &attribute) {
  if (lexer.accept(':')) {
    StringRef name;
    if (lexer.identifier(name))
      return true;
    for (int32_t i = 1; i <= static_cast<int32_t>(AttributeType::TypeProtos); ++i)
      if (nameOf(static_cast<AttributeType>(i)) == name)
        attribute.type = static_cast<AttributeType>(i);
    if (attribute.type == AttributeType::Undefined)
      return lexer.error("unknown attribute type " + quoted(name));
  }
  if (lexer.expect('='))
    return true;
  if (lexer.accept('['))
    return attributeList(attribute);
  AttributeType declared = attribute.type;
  if (attributeValue(attribute))
    return true;
  if (declared != AttributeType::Undefined && declared != attribute.type)
    return lexer.error("attribute " + quoted(attribute.name) + " is declared as " +
                       nameOf(declared) + " but its value is of type " + nameOf(attribute.type));
  return false;
}

/// The rest of `[1, 2, 3]`. Without a declared type the first element decides.
bool Parser::attributeList(Attribute &attribute) {
  if (lexer.accept(']')) {
    if (attribute.type == AttributeType::Undefined)
      return lexer.error("an empty list needs a type, as in 'axes: ints = []'");
    return false;
  }
  auto entry = [&] {
    Attribute element;
    element.name = attribute.name;
    if (attribute.type == AttributeType::Floats)
      element.type = AttributeType::Float;
    if (attributeValue(element))
      return true;
    AttributeType type;
    switch (element.type) {
    case AttributeType::Int:
      attribute.ints.push_back(element.i);
      type = AttributeType::Ints;
      break;
    case AttributeType::Float:
      attribute.floats.push_back(element.f);
      type = AttributeType::Floats;
      break;
    case AttributeType::String:
      attribute.strings.push_back(element.s);
      type = AttributeType::Strings;
      break;
    default:
      return lexer.error("expected a list of integers, floats or strings");
    }
    if (attribute.type != AttributeType::Undefined && attribute.type != type)
      return lexer.error("attribute " + quoted(attribute.name) + " is of type " +
                         nameOf(attribute.type) + " but an element is of type " +
                         nameOf(element.type));
    attribute.type = type;
    return false;
  };
  return lexer.list(entry) || lexer.expect(']');
}

/// One value; `attribute.type` may already say float, so that `1` is read as a float.
bool Parser::attributeValue(Attribute &attribute) {
  if (lexer.accept('@'))
    return lexer.quotableIdentifier(attribute.refAttrName);
  if (nextIsType(lexer))
    return typedValue(attribute);
  if (!lexer.peekIdentifier().empty() && !lexer.nextIsNamedFloat()) {
    attribute.type = AttributeType::Graph;
    return graph(attribute.graphs.emplace_back());
  }
  Literal value;
  if (lexer.literal(value))
    return true;
  if (value.kind == Literal::String) {
    attribute.type = AttributeType::String;
    attribute.s = value.text;
    return false;
  }
  if (value.kind == Literal::Float || attribute.type == AttributeType::Float) {
    attribute.type = AttributeType::Float;
    return lexer.convert(value, attribute.f);
  }
  attribute.type = AttributeType::Int;
  return lexer.convert(value, attribute.i);
}

/// `float[2] name = {1, 2}` is a tensor, `float[2]` alone a type.
bool Parser::typedValue(Attribute &attribute) {
  ValueInfo info;
  if (parseType(lexer, info))
    return true;
  char next = lexer.peek();
  if (next != '{' && next != '=' && lexer.peekIdentifier().empty()) {
    attribute.type = AttributeType::TypeProto;
    return false;
  }
  attribute.type = AttributeType::Tensor;
  Tensor &tensor = attribute.tensors.emplace_back();
  tensor.name = lexer.optionalIdentifier();
  lexer.accept('=');
  return this->tensor(info, tensor);
}

} // namespace

Error parseText(StringRef text, ExternalData &externalData, Model &model) {
  return Parser(text, externalData, model).run();
}

} // namespace rapt::onnx
