//===- Link.h - From code and weights to an artifact ------------------------------*- C++ -*-===//
//
// The last stage: host function (LLVM dialect) -> host object, weights -> blob, both with the
// kernels' objects and the runtime's archives -> shared library, executable, or relocatable object
// with a C header. Output appears complete or not at all.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_LINK_LINK_H
#define RAPT_COMPILER_LINK_LINK_H

#include "compiler/Kernels/KernelSpec.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <functional>
#include <string>
#include <vector>

namespace rapt {

enum class ArtifactKind { SharedLibrary, Executable, Object };

/// By the file name: "x.so" is a shared library, "x.o" an object, anything else an executable.
ArtifactKind artifactKind(llvm::StringRef path);

/// The files that an artifact of that name may consist of: itself, its weights, its header.
std::vector<std::string> artifactFiles(llvm::StringRef path);

struct LinkOptions {
  std::string output;              // path of the artifact
  kernels::TargetCpu cpu;          // what the host function is compiled for
  std::string modelName;           // of the ONNX graph
  std::string producer;            // "raptc 0.1.0 (LLVM 22.1.8, Halide 21.0.0)"
  std::string linker;              // clang that links; empty: the one Rapt was configured with
  std::string libraryDir;          // folder of librapt_glue.a, librapt.a, ...
  uint64_t mostEmbedded = 1 << 30; // bytes of weights in the artifact; more go to a side file
};

struct KernelObject {
  std::string name;
  std::string bytes; // ELF
};

struct LinkInput {
  mlir::ModuleOp host;               // after host-to-llvm
  std::vector<KernelObject> objects; // in a fixed order
  /// Called while weights are written: what was read of their sources may leave memory. May be
  /// empty.
  std::function<void()> weightsWereRead;
};

/// Writes what a shared library of `input` would consist of as MLIR comments: the head of the IR
/// that --compile-to=link prints.
llvm::Error printLinkPlan(const LinkInput &input, const LinkOptions &options,
                          llvm::raw_ostream &os);

/// Writes `options.output`, and beside it `<output>.weights` when the weights are many, and
/// `<stem>.h` for an object. Errors name the file or the tool and what it said; then nothing is
/// left.
llvm::Error linkArtifact(const LinkInput &input, const LinkOptions &options);

} // namespace rapt

#endif // RAPT_COMPILER_LINK_LINK_H
