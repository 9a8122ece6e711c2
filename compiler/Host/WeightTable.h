//===- WeightTable.h - Where each weight is in the blob ---------------------------*- C++ -*-===//
//
// All weights of a model are one blob; host-bufferize gives each an offset and leaves this table on
// the module, compiler/Link writes the bytes.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_HOST_WEIGHTTABLE_H
#define RAPT_COMPILER_HOST_WEIGHTTABLE_H

#include "dialects/Kernel/Kernel.h"
#include "mlir/IR/BuiltinOps.h"

#include <vector>

namespace rapt::host {

/// Bytes of one element in a buffer: i1 takes one, as ONNX's bool does.
int64_t elementBytes(mlir::Type element);

/// One distinct weight; the fields are kernel.weight's.
struct WeightEntry {
  mlir::ArrayAttr sources;
  llvm::SmallVector<int64_t> perm; // empty: not transposed
  int64_t concatDim = 0;
  int64_t panel = 0; // columns of a panel, 0: row-major
  mlir::RankedTensorType type;
  int64_t offset = 0; // in the blob, a multiple of 64

  int64_t bytes() const; // with the zero columns of the last panel
};

/// Collects weights: the same sources in the same layout get one offset.
class WeightTableBuilder {
public:
  /// Offset of `op`'s data.
  int64_t add(kernel::WeightOp op);
  /// Array of {offset, sources, perm, concat_dim, panel, type}, ascending by offset.
  mlir::ArrayAttr toAttr(mlir::MLIRContext *context) const;
  int64_t totalBytes() const { return end; }

private:
  llvm::DenseMap<mlir::Attribute, int64_t> offsets; // by the entry without its offset
  llvm::SmallVector<mlir::Attribute> entries;
  int64_t end = 0;
};

/// The table on `module`; one that was edited into nonsense is an error there.
mlir::FailureOr<std::vector<WeightEntry>> readWeightTable(mlir::ModuleOp module);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_WEIGHTTABLE_H
