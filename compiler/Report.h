//===- Report.h - What the compiler did, for --report ----------------------------*- C++ -*-===//
//
// Facts gathered from the IR while it passes by, printed as text for a person or as JSON for a program.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_REPORT_H
#define RAPT_COMPILER_REPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace rapt {

struct Report {
  /// One softmax of the source graph.
  struct AttentionSite {
    std::string node;   // name of the Softmax node
    bool fused = false; // it became attn.sdpa
    std::string detail; // fused: heads, head_dim, operands; else the reason
  };
  struct Kernel {
    std::string name;
    std::string schedule; // the attribute's text
    int64_t calls = 0;    // places that call it
    std::string reason;   // why it has the reference recipe, where that was not asked for
  };

  std::string model;
  std::string target;
  std::vector<AttentionSite> attention;
  std::vector<Kernel> kernels;
  int64_t regions = 0;
  int64_t weights = 0;      // kernel.weight operations
  int64_t weightBytes = 0;  // in the artifact, padding included
  int64_t buffers = 0;      // intermediate tensors
  std::string arenaBytes;   // a number, or an expression of the symbolic dims

  /// Takes the attention sites from `module`: attn.sdpa ops, and onnx.Softmax ops with their reason.
  void addAttention(mlir::ModuleOp module);
  /// Takes the kernels, regions and weights from `module` once kernels are outlined.
  void addKernels(mlir::ModuleOp module);

  void printText(llvm::raw_ostream &os) const;
  void printJson(llvm::raw_ostream &os) const;
};

/// The name of the ONNX node that `location` stands for, or "<unnamed>".
std::string nodeName(mlir::Location location);

} // namespace rapt

#endif // RAPT_COMPILER_REPORT_H
