//===- Compare.h - Outputs against expected arrays ---------------------------*- C++ -*-===//
//
// The judgement behind --expect, printed as one line for each expected array.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TOOLS_COMPARE_H
#define RAPT_TOOLS_COMPARE_H

#include "Arrays.h"

namespace rapt::tools {

/// Compares every expected array with the output of its name (one array named "" with the only
/// output). Dtype and dims must be equal; integers and booleans too; floats within |seen -
/// expected| <= atol + rtol * |expected|, where NaN equals NaN and infinities equal themselves.
/// Prints a line for each; false when one differs, or when nothing is expected.
bool compareOutputs(const io::List<io::Array> &outputs, const io::List<io::Array> &expected,
                    double rtol, double atol);

/// Prints "name f32[1, 8, 384] min -1.2 max 3.4 mean 0.01" (NaN counted apart) to stdout.
void printSummary(const rapt_tensor &tensor);

} // namespace rapt::tools

#endif // RAPT_TOOLS_COMPARE_H
