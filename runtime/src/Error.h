//===- Error.h - Status codes with a text per thread -------------------------*- C++ -*-===//
//
// A failing function of the public interface returns `fail(status, format, ...)`: the text goes to
// the calling thread's slot, which rapt_last_error() shows. Texts are lower case, without a full
// stop, and name the thing, the value seen and the value expected. Longer texts are cut.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_ERROR_H
#define RAPT_RUNTIME_ERROR_H

#include "rapt.h"

namespace rapt {

/// Records the printf-like text for the calling thread and returns `status`.
rapt_status fail(rapt_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

} // namespace rapt

#endif // RAPT_RUNTIME_ERROR_H
