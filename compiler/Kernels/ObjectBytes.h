//===- ObjectBytes.h - A KernelObject as bytes ---------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_OBJECTBYTES_H
#define RAPT_COMPILER_KERNELS_OBJECTBYTES_H

#include "compiler/Kernels/KernelSpec.h"

#include <string_view>

namespace rapt::kernels {

/// `object` as bytes, for the same build of the compiler to read back: integers of 8 bytes as this
/// machine has them, strings behind their length.
std::string toBytes(const KernelObject &object);

/// Fills `object` with what toBytes wrote; false where `bytes` end too early.
bool fromBytes(std::string_view bytes, KernelObject &object);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_OBJECTBYTES_H
