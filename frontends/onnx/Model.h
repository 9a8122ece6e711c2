//===- Model.h - An ONNX model as plain structs over its file -------*- C++ -*-===//
//
// In: a protobuf or text file. Out: structs that mirror onnx.proto, with three differences.
//   1. Names and payloads are views into the mapped files or into storage that the Model owns. They
//      live as long as the Model; copying a Node or Graph copies views.
//   2. Every tensor has its payload as little-endian bytes of the right size, aligned for its
//      element type, no matter how the file wrote it (raw, typed fields, external file).
//   3. The default domain is always "", also where the file says "ai.onnx".
//
// Order of use: loadModel (read, then verifyModel), inlineFunctions, import. What is not read:
// doc strings, training_info, quantisation annotations, device configurations.
//
// Source: onnx.proto, IR version 3 to 14.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_MODEL_H
#define RAPT_FRONTENDS_ONNX_MODEL_H

#include "frontends/onnx/ExternalData.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rapt::onnx {

constexpr int64_t minIrVersion = 3, maxIrVersion = 14;
constexpr int64_t minOpset = 7, maxOpset = 29; ///< of the default domain

/// TensorProto.DataType, same numbers.
enum class ElementType : int32_t {
  Undefined = 0,
  Float = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Double = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26,
  Float6E2M3 = 27,
  Float6E3M2 = 28,
};
constexpr int32_t maxElementType = 28;

/// The name in ONNX's text syntax: "float", "int64", "float8e4m3fn".
llvm::StringRef nameOf(ElementType type);
/// The type of that name, or Undefined.
ElementType elementTypeNamed(llvm::StringRef name);
/// Bits of one element; 0 for String and Undefined. Types below 8 bits are packed, low bits first.
unsigned bitWidthOf(ElementType type);

/// One dimension of a type: unknown, a number, or a symbol such as `batch`.
struct Dim {
  enum Kind { Unknown, Value, Param } kind = Unknown;
  int64_t value = 0;
  llvm::StringRef param;
};

struct TensorType {
  ElementType elementType = ElementType::Undefined;
  bool hasShape = false; ///< without a shape the rank is unknown
  llvm::SmallVector<Dim, 4> dims;
};

/// What a file says about a value. It may be missing or wrong: only graph inputs are to be trusted.
struct ValueInfo {
  enum Kind { Untyped, Tensor, Sequence, Map, Optional, SparseTensor, Opaque } kind = Untyped;
  llvm::StringRef name;
  TensorType tensor; ///< valid for kind Tensor; the other kinds are not described further
};

struct Tensor {
  llvm::StringRef name; ///< empty inside most attributes
  ElementType elementType = ElementType::Undefined;
  llvm::SmallVector<int64_t, 4> dims; ///< no negative ones; the product fits int64
  /// Row-major little-endian elements, aligned to min(element size, 8); empty for String. A bool is
  /// one byte, and any byte but 0 is true.
  llvm::ArrayRef<uint8_t> bytes;
  std::vector<llvm::StringRef> strings; ///< the elements of a String tensor

  /// Product of dims.
  int64_t numElements() const;
};

/// AttributeProto.AttributeType, same numbers.
enum class AttributeType : int32_t {
  Undefined = 0,
  Float = 1,
  Int = 2,
  String = 3,
  Tensor = 4,
  Graph = 5,
  Floats = 6,
  Ints = 7,
  Strings = 8,
  Tensors = 9,
  Graphs = 10,
  SparseTensor = 11,
  SparseTensors = 12,
  TypeProto = 13,
  TypeProtos = 14,
};

/// The name in ONNX's text syntax: "int", "floats".
llvm::StringRef nameOf(AttributeType type);

struct Graph;

/// One attribute; `type` says which field holds the value. Sparse tensors and types are recorded by
/// their type only: no operator that Rapt imports uses them.
struct Attribute {
  llvm::StringRef name;
  AttributeType type = AttributeType::Undefined;
  /// Inside a function: the name of the function's attribute that gives the value.
  llvm::StringRef refAttrName;
  float f = 0;
  int64_t i = 0;
  llvm::StringRef s;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<llvm::StringRef> strings;
  std::vector<Tensor> tensors; ///< exactly one for type Tensor
  std::vector<Graph> graphs;   ///< exactly one for type Graph

  const Tensor &t() const { return tensors.front(); }
  const Graph &g() const { return graphs.front(); }
};

struct Node {
  llvm::StringRef opType, domain, overload, name;
  llvm::SmallVector<llvm::StringRef, 4> inputs;  ///< "" is an omitted optional input
  llvm::SmallVector<llvm::StringRef, 2> outputs; ///< "" is an output that nobody wants
  std::vector<Attribute> attributes;
  size_t index = 0; ///< position in its graph or function

  /// The attribute of that name, or null.
  const Attribute *find(llvm::StringRef attributeName) const;
  /// The input's name, or "" where the node has no such input.
  llvm::StringRef input(size_t i) const { return i < inputs.size() ? inputs[i] : ""; }
  /// `node 'encoder/MatMul_3' (MatMul)`, or `node #17 (MatMul -> 'out')` when it has no name.
  std::string describe() const;
};

struct Graph {
  llvm::StringRef name;
  std::vector<Node> nodes; ///< sorted: a value is produced before it is used
  std::vector<Tensor> initializers;
  /// Of the main graph: what a caller feeds. An input with an initializer of the same name (all of
  /// them before IR 4, a default value since) is a constant to Rapt and is removed from the inputs.
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> valueInfo;
};

/// The default domain has two names, "" and "ai.onnx"; a Model only has the first.
inline llvm::StringRef canonicalDomain(llvm::StringRef domain) {
  return domain == "ai.onnx" ? "" : domain;
}

struct OpsetImport {
  llvm::StringRef domain;
  int64_t version = 0;
};

/// A model-local function.
struct Function {
  llvm::StringRef domain, name, overload;
  std::vector<llvm::StringRef> inputs, outputs;
  std::vector<llvm::StringRef> attributes;  ///< without default
  std::vector<Attribute> attributeDefaults; ///< with default
  std::vector<Node> nodes;
  std::vector<OpsetImport> opsets;

  /// `function 'domain.name'`.
  std::string describe() const;
};

/// What the views of a Model point into, besides the caller's bytes.
class Storage {
public:
  /// A copy of `text` that lives as long as the storage.
  llvm::StringRef save(const llvm::Twine &text);
  /// Uninitialised bytes, 64-byte aligned. Errors: out of memory.
  llvm::Expected<llvm::MutableArrayRef<uint8_t>> allocate(uint64_t size);
  /// Keeps a mapping alive.
  void keep(std::shared_ptr<MappedFile> file);

private:
  struct Free {
    void operator()(void *pointer) const;
  };
  llvm::BumpPtrAllocator strings;
  std::vector<std::unique_ptr<void, Free>> buffers;
  std::vector<std::shared_ptr<MappedFile>> files;
};

struct Model {
  Storage storage; ///< first member: destroyed after everything that looks into it
  int64_t irVersion = 0, modelVersion = 0;
  llvm::StringRef producerName, producerVersion, domain;
  std::vector<OpsetImport> opsets;
  std::vector<std::pair<llvm::StringRef, llvm::StringRef>> metadata;
  std::vector<Function> functions;
  Graph graph;
  std::vector<std::string> externalFiles; ///< paths of the files that tensors are mapped from

  /// The imported version of a domain ("" is the default one), if it is imported.
  std::optional<int64_t> opset(llvm::StringRef opDomain) const;
};

struct LoadOptions {
  /// Where external data is looked for instead of the model's folder; empty: the model's folder.
  std::string externalDataDir;
};

/// Reads and verifies the model at `path`: ONNX text syntax when the name ends in `.onnxtxt` or the
/// content starts with `<`, else protobuf. Errors start with the path.
llvm::Expected<std::unique_ptr<Model>> loadModel(llvm::StringRef path,
                                                 const LoadOptions &options = {});

/// Reads a model, text or protobuf, without verifying it. `bytes` must outlive the Model. External
/// data is looked for in `baseDir`.
llvm::Expected<std::unique_ptr<Model>> parseModel(llvm::ArrayRef<uint8_t> bytes,
                                                  llvm::StringRef baseDir);

/// Structure of the graph, its subgraphs and the functions: versions within range, every domain
/// imported, names defined once and before their use, graph outputs produced. Operators are not
/// looked at. The error names the node and the value.
llvm::Error verifyModel(const Model &model);

/// Replaces every call of a model-local function by its body; `model.functions` is empty
/// afterwards. Expects a verified model and leaves one. Limits: 32 calls deep, 1 000 000 nodes;
/// recursion is an error. Values inside get names that are unique in the model.
llvm::Error inlineFunctions(Model &model);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_MODEL_H
