//===- Scalar.h - Single elements of any type as double ----------------------*- C++ -*-===//
//
// For filling, comparing and summarising tensors, where clarity matters more than speed. 64-bit
// integers beyond 2^53 lose their last bits in a double, so equality is also asked bit by bit.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_IO_SCALAR_H
#define RAPT_IO_SCALAR_H

#include <stdint.h>

namespace rapt::io {

bool isFloat(int32_t dtype);

/// Element number `index` of dense data of element type `dtype`.
double getScalar(const void *data, int32_t dtype, int64_t index);

/// Sets it to `value`, rounded to nearest even; integers want a value in their range.
void setScalar(void *data, int32_t dtype, int64_t index, double value);

} // namespace rapt::io

#endif // RAPT_IO_SCALAR_H
