//===- TextTypes.h - Types and tensors in ONNX's text syntax --------*- C++ -*-===//
//
// In: a lexer in front of a type or a tensor. Out: the struct, the lexer behind it. Functions
// return true on failure, which the lexer has noted.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_TEXTTYPES_H
#define RAPT_FRONTENDS_ONNX_TEXTTYPES_H

#include "frontends/onnx/TextLexer.h"

namespace rapt::onnx {

using StringPair = std::pair<llvm::StringRef, llvm::StringRef>;

/// True when the name of a type is next.
bool nextIsType(TextLexer &lexer);

/// A type without a name behind it; `depth` counts the types around it.
bool parseType(TextLexer &lexer, ValueInfo &info, unsigned depth = 0);

/// The values of a tensor whose type is read already.
bool parseTensor(TextLexer &lexer, const ValueInfo &info, Tensor &tensor,
                 ExternalData &externalData, Storage &storage);

/// `["key": "value", "key": "value"]`
bool parseStringPairs(TextLexer &lexer, llvm::SmallVectorImpl<StringPair> &pairs);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_TEXTTYPES_H
