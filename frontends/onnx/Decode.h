//===- Decode.h - Protobuf message to Model ------------------------*- C++ -*-===//
//
// In: the bytes of a ModelProto. Out: a Model whose names and raw payloads are views into
// them.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_DECODE_H
#define RAPT_FRONTENDS_ONNX_DECODE_H

#include "frontends/onnx/Model.h"
#include "frontends/onnx/Wire.h"

namespace rapt::onnx {

/// Fills `model` from a ModelProto. Errors: malformed wire format, a value of the wrong wire type
/// or range, a tensor whose payload does not match its dims, unsafe or missing external data, a
/// sparse initializer. They name the enclosing node, initializer or attribute.
llvm::Error decodeModel(llvm::ArrayRef<uint8_t> bytes, ExternalData &externalData, Model &model);

/// One TensorProto with its payload.
llvm::Error decodeTensor(const Message &message, Tensor &tensor, ExternalData &externalData,
                         Storage &storage);

/// An element type by its number.
llvm::Error readElementType(const Field &field, ElementType &type);

using StringPair = std::pair<llvm::StringRef, llvm::StringRef>;
/// One StringStringEntryProto.
llvm::Error decodeStringPair(const Message &message, StringPair &pair);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_DECODE_H
