//===- Payload.h - The bytes of a tensor ---------------------------*- C++ -*-===//
//
// In: a Tensor whose element type and dims are set, and its data in one of the forms a file may
// use: raw bytes, an external file, or single values. Out: Tensor::bytes, of exactly the size that
// dims and element type demand, aligned. Sizes are checked in 64 bits before anything is allocated.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_PAYLOAD_H
#define RAPT_FRONTENDS_ONNX_PAYLOAD_H

#include "frontends/onnx/Model.h"

namespace rapt::onnx {

/// The TensorProto field that holds an element type's values one by one.
enum class ValueField { None, Floats, Int32s, Int64s, Doubles, UInt64s, Strings };
ValueField valueFieldOf(ElementType type);

/// Checks dims and element type: no negative dim, and a number of elements and of bytes that fits
/// int64.
llvm::Error checkDims(const Tensor &tensor);

/// Bytes of the payload; the dims have been checked.
uint64_t payloadSize(const Tensor &tensor);

/// How many single values a file must hold: one per element, two for complex numbers, one per byte
/// for elements of 4 and 2 bits.
uint64_t payloadValues(const Tensor &tensor);

/// Makes `raw` the payload; copies it only when it is not aligned.
llvm::Error setRawPayload(Tensor &tensor, llvm::ArrayRef<uint8_t> raw, Storage &storage);

/// Makes the region described by the external_data `entries` (location, offset, length) the
/// payload. Without a length the region ends where the tensor does.
llvm::Error setExternalPayload(Tensor &tensor,
                               llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>> entries,
                               ExternalData &externalData, Storage &storage);

/// Writes single values into a new payload. `add` fails when the value does not fit the element
/// type or the tensor is full, `finish` when values are missing.
class PayloadWriter {
public:
  PayloadWriter(Tensor &tensor, Storage &storage) : tensor(tensor), storage(storage) {}

  /// Allocates the payload. `available` is an upper bound of the values that will follow, so that
  /// dims alone cannot make it large.
  llvm::Error start(uint64_t available);
  llvm::Error addInteger(int64_t value);
  llvm::Error addUnsigned(uint64_t value);
  llvm::Error addFloat(float value);
  llvm::Error addDouble(double value);
  llvm::Error addString(llvm::StringRef value);
  llvm::Error finish();

private:
  llvm::Error add(uint64_t bits, unsigned width);

  Tensor &tensor;
  Storage &storage;
  llvm::MutableArrayRef<uint8_t> bytes;
  uint64_t expected = 0, written = 0;
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_PAYLOAD_H
