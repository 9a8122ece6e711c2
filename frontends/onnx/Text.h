//===- Text.h - ONNX's text syntax to Model -------------------------*- C++ -*-===//
//
// In: a model in the syntax that `onnx.parser` reads and `onnx.printer` writes, for tests and small
// examples:
//
//   <ir_version: 8, opset_import: ["" : 17]>
//   example (float[batch, 4] x) => (float[batch, 4] y)
//   <float[4, 4] w = {...}, float[4] b = ["location": "w.bin", "offset": "64"]>
//   {
//     [project] h = MatMul (x, w)
//     y = LayerNormalization <axis = -1, epsilon: float = 1e-5> (h, b)
//   }
//
// followed by functions, `<domain: "d", opset_import: [...]> name <attributes> (a) => (b) {...}`.
// Out: the same Model as from protobuf. Errors start with line:column.
//
// Source: "ONNX Textual Syntax", onnx/docs/Syntax.md.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_TEXT_H
#define RAPT_FRONTENDS_ONNX_TEXT_H

#include "frontends/onnx/Model.h"

namespace rapt::onnx {

/// Fills `model` from `text`, which must outlive it. Errors: syntax, a literal that does not fit
/// its type, a tensor with too few or too many values, unsafe or missing external data.
llvm::Error parseText(llvm::StringRef text, ExternalData &externalData, Model &model);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_TEXT_H
