//===- Report.h - What the compiler did, for --report ----------------------------*- C++ -*-===//
//
// Facts gathered from the IR while it passes by, printed as text for a person or as JSON for a
// program. A compilation that stops early knows less: what was not computed is not printed as 0.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_REPORT_H
#define RAPT_COMPILER_REPORT_H

#include "compiler/Schedule/Uses.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <utility>
#include <vector>

namespace rapt {

struct Report {
  /// Named facts in the order in which they are printed; values are integers, booleans or strings.
  using Fields = std::vector<std::pair<std::string, llvm::json::Value>>;

  /// One softmax of the source graph.
  struct AttentionSite {
    std::string node;   // name of the Softmax node
    bool fused = false; // it became attn.sdpa
    std::string reason; // why not; fused: why its scores are computed a second time, if they are
    /// Fused: heads, kv_heads, head_dim, bias, mask, causal, window, softcap, empty_rows. With a
    /// band of keys causal_offset, window_offset and causal_from_end, too; `causal` says that no
    /// query sees a later key.
    Fields detail;
  };
  struct Kernel {
    std::string name;
    std::string recipe;
    Fields parameters;  // of the recipe
    int64_t calls = 0;  // places that call it
    std::string reason; // why it has the reference recipe, where that was not asked for
    /// What it computes, as a tuning file says it; empty where none can say it.
    llvm::json::Object computes;
    Prediction call, all; // one call, the longest, and all of them; cycles are 0 where not known
  };

  std::string model;
  std::string target;

  bool knowsAttention = false; // from stage fuse on
  std::vector<AttentionSite> attention;
  Fields recognised; // norms, activations and rotary positions by operator: how many

  bool knowsKernels = false; // from stage kernels on
  std::vector<Kernel> kernels;
  int64_t regions = 0;
  int64_t weights = 0; // kernel.weight operations
  DimSizes assumed;    // sizes of symbolic dims for which times are predicted

  // From stage host on.
  int64_t weightBytes = 0; // in the artifact, padding included
  int64_t buffers = 0;     // intermediate tensors
  std::string arenaBytes;  // a number, or an expression of the symbolic dims; empty: not known yet

  /// Takes the attention sites from `module`: attn.sdpa ops, and onnx.Softmax ops with the reason;
  /// and counts what stands for several operators of most exporters.
  void addAttention(mlir::ModuleOp module);
  /// Takes the kernels, regions and weights from `module` once kernels are outlined, and what is
  /// predicted of them.
  void addKernels(mlir::ModuleOp module, DimSizes assumed, llvm::ArrayRef<KernelUse> uses);

  void printText(llvm::raw_ostream &os) const;
  /// One object; keys of what is not known are absent. "arena_bytes" is a number for static shapes,
  /// else {"expression": "1024 * batch * seq"}.
  void printJson(llvm::raw_ostream &os) const;

private:
  bool knowsMemory() const { return !arenaBytes.empty(); }
  double predictedCycles() const; // of all calls of all kernels
};

} // namespace rapt

#endif // RAPT_COMPILER_REPORT_H
