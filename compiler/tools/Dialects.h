//===- Dialects.h - What Rapt's tools can parse ----------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_TOOLS_DIALECTS_H
#define RAPT_COMPILER_TOOLS_DIALECTS_H

namespace mlir {
class DialectRegistry;
}

namespace rapt {

/// Registers the dialects that appear at any stage, and nothing else: a registry of everything
/// would triple the build.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace rapt

#endif // RAPT_COMPILER_TOOLS_DIALECTS_H
