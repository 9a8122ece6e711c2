//===- Weights.h - The bytes of a model's weights ---------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_WEIGHTS_H
#define RAPT_COMPILER_LINK_WEIGHTS_H

#include "compiler/Host/WeightTable.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <functional>

namespace rapt::link {

/// Bytes of the blob, a multiple of 64.
uint64_t weightBytes(const std::vector<host::WeightEntry> &weights);

/// Writes the blob: each weight at its offset, zeros between them. Sources are read where they are
/// (usually a mapped file); of the result only one row is in memory at a time. Every few megabytes
/// `wereRead`, if there is one, is called, which may release what holds the sources in memory.
llvm::Error writeWeights(const std::vector<host::WeightEntry> &weights, llvm::raw_ostream &stream,
                         const std::function<void()> &wereRead = nullptr);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_WEIGHTS_H
