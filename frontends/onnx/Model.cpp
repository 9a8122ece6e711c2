//===- Model.cpp - An ONNX model as plain structs over its file -----------===//
//
// Names and sizes of the element types, small queries, storage, and the entry point that maps a
// file and hands its bytes to the protobuf (Decode.h) or the text reader (Text.h).
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Model.h"

#include "frontends/onnx/Decode.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/MappedPages.h"
#include "frontends/onnx/Text.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/StringSaver.h"

#include <cstdlib>

using namespace llvm;

namespace rapt::onnx {
namespace {

struct ElementTypeInfo {
  StringLiteral name;
  unsigned bits;
};

/// Indexed by ElementType.
constexpr ElementTypeInfo elementTypes[] = {
    {"undefined", 0},      {"float", 32},       {"uint8", 8},          {"int8", 8},
    {"uint16", 16},        {"int16", 16},       {"int32", 32},         {"int64", 64},
    {"string", 0},         {"bool", 8},         {"float16", 16},       {"double", 64},
    {"uint32", 32},        {"uint64", 64},      {"complex64", 64},     {"complex128", 128},
    {"bfloat16", 16},      {"float8e4m3fn", 8}, {"float8e4m3fnuz", 8}, {"float8e5m2", 8},
    {"float8e5m2fnuz", 8}, {"uint4", 4},        {"int4", 4},           {"float4e2m1", 4},
    {"float8e8m0", 8},     {"uint2", 2},        {"int2", 2},           {"float6e2m3", 6},
    {"float6e3m2", 6},
};
static_assert(std::size(elementTypes) == maxElementType + 1);

const ElementTypeInfo &infoOf(ElementType type) {
  auto index = static_cast<uint32_t>(type);
  return elementTypes[index <= static_cast<uint32_t>(maxElementType) ? index : 0];
}

/// Text starts with `<` after blanks and comments. No ModelProto does: `<`, `#` and the blanks are
/// the tags of groups or of fields with another wire type.
bool looksLikeText(ArrayRef<uint8_t> bytes) {
  StringRef rest(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  for (rest = rest.ltrim(); rest.consume_front("#"); rest = rest.ltrim())
    rest = rest.drop_until([](char c) { return c == '\n'; });
  return rest.starts_with("<");
}

Expected<std::unique_ptr<Model>> parse(ArrayRef<uint8_t> bytes, StringRef folder, bool text) {
  auto model = std::make_unique<Model>();
  ExternalData externalData(folder);
  if (text) {
    StringRef source(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    RAPT_TRY(parseText(source, externalData, *model));
  } else {
    RAPT_TRY(decodeModel(bytes, externalData, *model));
  }
  model->externalFiles = externalData.paths();

  std::vector<StringRef> constants;
  for (const Tensor &initializer : model->graph.initializers)
    constants.push_back(initializer.name);
  llvm::sort(constants);
  llvm::erase_if(model->graph.inputs, [&](const ValueInfo &input) {
    return std::binary_search(constants.begin(), constants.end(), input.name);
  });
  return model;
}

} // namespace

StringRef nameOf(ElementType type) { return infoOf(type).name; }

unsigned bitWidthOf(ElementType type) { return infoOf(type).bits; }

ElementType elementTypeNamed(StringRef name) {
  for (int32_t i = 1; i <= maxElementType; ++i)
    if (elementTypes[i].name == name)
      return static_cast<ElementType>(i);
  return ElementType::Undefined;
}

StringRef nameOf(AttributeType type) {
  static constexpr StringLiteral names[] = {
      "undefined",      "float",      "int",        "string",  "tensor", "graph",
      "floats",         "ints",       "strings",    "tensors", "graphs", "sparse_tensor",
      "sparse_tensors", "type_proto", "type_protos"};
  auto index = static_cast<uint32_t>(type);
  return names[index < std::size(names) ? index : 0];
}

int64_t Tensor::numElements() const {
  int64_t count = 1;
  for (int64_t dim : dims)
    count *= dim;
  return count;
}

const Attribute *Node::find(StringRef attributeName) const {
  for (const Attribute &attribute : attributes)
    if (attribute.name == attributeName)
      return &attribute;
  return nullptr;
}

std::string Node::describe() const {
  std::string op = escaped(domain.empty() ? opType.str() : (domain + "." + opType).str());
  if (!name.empty())
    return "node " + quoted(name) + " (" + op + ")";
  std::string result = outputs.empty() ? "" : " -> " + quoted(outputs.front());
  return "node #" + std::to_string(index) + " (" + op + result + ")";
}

std::string Function::describe() const {
  std::string full = domain.empty() ? name.str() : (domain + "." + name).str();
  return "function " + quoted(overload.empty() ? full : full + ":" + overload.str());
}

StringRef Storage::save(const Twine &text) { return StringSaver(strings).save(text); }

void Storage::Free::operator()(void *pointer) const { std::free(pointer); }

Expected<MutableArrayRef<uint8_t>> Storage::allocate(uint64_t size) {
  if (size == 0)
    return MutableArrayRef<uint8_t>();
  // aligned_alloc wants a multiple of the alignment.
  void *pointer = size > UINT64_MAX - 63 ? nullptr : std::aligned_alloc(64, (size + 63) & ~63ull);
  if (!pointer)
    return fail("out of memory for " + Twine(size) + " bytes");
  buffers.emplace_back(pointer);
  if (size >= 1 << 20) // what follows reads a file, and what was read before is no longer needed
    dropMappedPages();
  return MutableArrayRef<uint8_t>(static_cast<uint8_t *>(pointer), size);
}

void Storage::keep(std::shared_ptr<MappedFile> file) {
  if (!llvm::is_contained(files, file))
    files.push_back(std::move(file));
}

std::optional<int64_t> Model::opset(StringRef opDomain) const {
  for (const OpsetImport &import : opsets)
    if (import.domain == opDomain)
      return import.version;
  return std::nullopt;
}

Expected<std::unique_ptr<Model>> parseModel(ArrayRef<uint8_t> bytes, StringRef baseDir) {
  return parse(bytes, baseDir, looksLikeText(bytes));
}

Expected<std::unique_ptr<Model>> loadModel(StringRef path, const LoadOptions &options) {
  Expected<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file)
    return addContext(path, file.takeError());
  ArrayRef<uint8_t> bytes = (*file)->bytes();
  if (bytes.empty())
    return fail(path + ": the file is empty");

  StringRef folder = options.externalDataDir;
  if (folder.empty())
    folder = sys::path::parent_path(path);
  Expected<std::unique_ptr<Model>> model =
      parse(bytes, folder, path.ends_with(".onnxtxt") || looksLikeText(bytes));
  if (!model)
    return addContext(path, model.takeError());
  (*model)->storage.keep(*file);
  if (Error error = verifyModel(**model))
    return addContext(path, std::move(error));
  return model;
}

} // namespace rapt::onnx
