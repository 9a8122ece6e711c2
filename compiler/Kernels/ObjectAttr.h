//===- ObjectAttr.h - What the IR keeps of a compiled kernel ----------------------*- C++ -*-===//
//
// kernel.func's `object` attribute: how to call into a kernel's object code. The ELF bytes stay
// outside of the IR.
//
//   {variants = [{symbol = "k_m4", max_tile = 4, max_rows = 0}, {symbol = "k_m8", ...}],
//    rows = array<i64: 1, 0, 1>,                    factor, then dim numbers
//    scratch = [array<i64: 4096, 0>],               bytes, summed up
//    inner = [[array<i64: 64, 0>, array<i64: 32>]], elements of each tensor inside, summed up
//    tensors = [{type = "f32", shape = [array<i64: 1, 0>, array<i64: 384>], panel = 0}, ...]}
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_OBJECTATTR_H
#define RAPT_COMPILER_KERNELS_OBJECTATTR_H

#include "compiler/Kernels/KernelSpec.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace mlir {
class Operation;
}

namespace rapt::kernels {

/// How to call a kernel: what is in the attribute.
struct ObjectInfo {
  std::vector<KernelObject::Variant> variants;
  Extent rows;
  std::vector<Extent> scratchBytes;
  std::vector<std::vector<Extent>> innerElements;
  std::vector<Tensor> tensors; // inputs, then outputs
};

/// The attribute for `object`, which was compiled from `spec`.
mlir::DictionaryAttr objectToAttr(mlir::MLIRContext *context, const KernelObject &object,
                                  const KernelSpec &spec);

/// Reads the attribute of `kernel` (a kernel.func with `numDims` dims and `numTensors` inputs and
/// outputs together); what does not fit is an error at `kernel`.
mlir::FailureOr<ObjectInfo> objectFromAttr(mlir::Operation *kernel, mlir::DictionaryAttr attr,
                                           int64_t numDims, size_t numTensors);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_OBJECTATTR_H
