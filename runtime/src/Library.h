//===- Library.h - Model libraries that are loaded ---------------------------*- C++ -*-===//
//
// The dynamic loader takes a path that it has seen for the library that it has loaded, also when
// another file stands there by now, as after compiling a model again. So libraries are known here
// by file, and loaded through the descriptor that was checked.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_LIBRARY_H
#define RAPT_RUNTIME_LIBRARY_H

#include "rapt.h"

namespace rapt {

struct Library;

/// Checks the file at `path` and loads it, or counts another user when that very file is loaded.
/// Errors: RAPT_ERROR_FILE, _FORMAT, _MEMORY.
rapt_status openLibrary(const char *path, Library **library);

/// The address of a symbol, or null.
void *findSymbol(const Library *library, const char *name);

/// The last user's call unloads the file; null is fine.
void closeLibrary(Library *library);

} // namespace rapt

#endif // RAPT_RUNTIME_LIBRARY_H
