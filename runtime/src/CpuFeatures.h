//===- CpuFeatures.h - Does this CPU have what a model was compiled for? -----*- C++ -*-===//
//
// Artifacts list LLVM's feature names. A feature counts as present when the CPU reports it and the
// operating system saves the registers it needs. Unknown names count as missing: better a clear
// error than an illegal instruction.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_CPUFEATURES_H
#define RAPT_RUNTIME_CPUFEATURES_H

#include <stddef.h>

namespace rapt {

/// Finds the first feature of the comma-separated list (null: none) that this CPU lacks or this
/// runtime does not know. Returns false when nothing is missing; else true, with the name, cut to
/// `size` bytes, in `missing`.
bool findMissingFeature(const char *features, char *missing, size_t size);

} // namespace rapt

#endif // RAPT_RUNTIME_CPUFEATURES_H
