//===- RandomInput.h - Reproducible random inputs ----------------------------*- C++ -*-===//
//
// For trying and timing a model without data. The same seed, input name, shape and limit give the
// same values on every machine with IEEE arithmetic.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TOOLS_RANDOMINPUT_H
#define RAPT_TOOLS_RANDOMINPUT_H

#include "Arrays.h"

namespace rapt::tools {

/// Fills the array: floats standard normal, integers uniform in [0, maxInt) (capped to what the
/// type holds), booleans 0 or 1.
void fillRandom(io::Array &array, uint64_t seed, int64_t maxInt);

} // namespace rapt::tools

#endif // RAPT_TOOLS_RANDOMINPUT_H
