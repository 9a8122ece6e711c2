//===- ElfCheck.h - Is this file a whole, undamaged model library? -----------*- C++ -*-===//
//
// The dynamic loader maps and relocates a file as its headers and tables say: a truncated or
// changed one ends the process with a signal. So the loader sees only files whose headers are sound
// and whose checksum (rapt_abi_seal) holds.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_ELFCHECK_H
#define RAPT_RUNTIME_ELFCHECK_H

#include "rapt.h"

namespace rapt {

/// Checks the open regular file `file` of `size` bytes. RAPT_OK, or RAPT_ERROR_FILE /
/// RAPT_ERROR_FORMAT with a text that names `path` and the reason.
rapt_status checkSharedObject(const char *path, int file, uint64_t size);

} // namespace rapt

#endif // RAPT_RUNTIME_ELFCHECK_H
