//===- ObjectCode.h - Halide's bitcode => object file --------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_OBJECTCODE_H
#define RAPT_COMPILER_KERNELS_OBJECTCODE_H

#include <string>

namespace rapt::kernels {

/// Native x86-64 code of a module that Halide optimised: `bitcode` is LLVM's, `object` becomes the
/// bytes of a relocatable object file (ELF). Each function names its CPU and features.
///
/// False and `error` when the bitcode cannot be read or LLVM has no code generator for it.
bool makeObject(const std::string &bitcode, std::string &object, std::string &error);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_OBJECTCODE_H
