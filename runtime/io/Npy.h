//===- Npy.h - The header of a .npy file -------------------------------------*- C++ -*-===//
//
// Format: numpy.lib.format, versions 1.0, 2.0 and 3.0: magic, version, header length, a Python dict
// literal with the keys descr, fortran_order and shape, then the data.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_IO_NPY_H
#define RAPT_IO_NPY_H

#include "IoError.h"
#include "rapt.h"

#include <stddef.h>

namespace rapt::io {

struct NpyHeader {
  rapt_tensor tensor{}; ///< dtype, rank, dims
  bool fortranOrder = false;
  size_t dataOffset = 0;
};

/// Parses the header at bytes[0 .. size); the data that it promises lies within `size`. `name` is
/// for error texts.
bool parseNpyHeader(const unsigned char *bytes, size_t size, const char *name, NpyHeader &header,
                    IoError &error);

/// Writes a version 1.0 header, padded to a multiple of 64 bytes, to text[0 .. capacity) and
/// returns its length: always below 512.
size_t formatNpyHeader(const rapt_tensor &tensor, char *text, size_t capacity);

} // namespace rapt::io

#endif // RAPT_IO_NPY_H
