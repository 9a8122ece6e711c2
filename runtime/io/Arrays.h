//===- Arrays.h - Named arrays from and to .npy and .npz files ---------------*- C++ -*-===//
//
// Reading trusts nothing: every size is checked against the file before memory is taken. Files with
// Fortran order come out in row-major order; big-endian data is refused. Writing goes to a
// temporary file in the same folder that is renamed at the end, so a file appears complete or not
// at all.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_IO_ARRAYS_H
#define RAPT_IO_ARRAYS_H

#include "IoError.h"
#include "List.h"
#include "rapt.h"

namespace rapt::io {

/// An array with memory of its own: row-major, little endian, 64-byte aligned.
class Array {
public:
  Array() = default;
  Array(Array &&other) { swap(other); }
  Array &operator=(Array &&other) {
    swap(other);
    return *this;
  }
  ~Array();

  /// Takes zeroed memory for the tensor's name (null: ""), dtype, rank and dims. Error: too large,
  /// or out of memory.
  bool allocate(const rapt_tensor &like, IoError &error);
  bool setName(const char *name, size_t length, IoError &error);

  /// The array as the runtime takes it; pointers live as long as the array. A null name reads "".
  rapt_tensor tensor{};
  uint64_t bytes() const { return rapt_tensor_bytes(&tensor); }
  int64_t numElements() const;
  /// Whether some dim is 0.
  bool isEmpty() const;

private:
  void swap(Array &other);
};

/// Appends the arrays of the .npy file (one, named "") or .npz archive at `path`; the kind is told
/// from the first bytes.
bool readArrays(const char *path, List<Array> &arrays, IoError &error);

/// Writes one array as .npy. bfloat16 is written as the two-byte void type, as ml_dtypes does.
bool writeNpy(const char *path, const rapt_tensor &tensor, IoError &error);

/// Writes `count` named tensors as an uncompressed .npz archive of less than 4 GB.
bool writeNpz(const char *path, const rapt_tensor *tensors, int32_t count, IoError &error);

} // namespace rapt::io

#endif // RAPT_IO_ARRAYS_H
