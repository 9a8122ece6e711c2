//===- ElfCheck.h - Is this file a whole x86-64 shared library? --------------*- C++ -*-===//
//
// The dynamic loader maps a file as its headers say; pages that a truncated file does not have then
// end the process with SIGBUS. So everything that the headers place in the file is checked first.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_ELFCHECK_H
#define RAPT_RUNTIME_ELFCHECK_H

#include "rapt.h"

namespace rapt {

/// RAPT_OK, or RAPT_ERROR_FILE / RAPT_ERROR_FORMAT with a text that names `path` and the reason.
rapt_status checkSharedObject(const char *path);

} // namespace rapt

#endif // RAPT_RUNTIME_ELFCHECK_H
