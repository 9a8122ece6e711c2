//===- IoError.h - The text of a failed read or write ------------------------*- C++ -*-===//
//
// Functions of RaptIo return false after `return error.fail(...)`. Texts are lower case, without a
// full stop, and name the file; longer ones are cut.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_IO_IOERROR_H
#define RAPT_IO_IOERROR_H

#include <stdarg.h>
#include <stdio.h>

namespace rapt::io {

struct IoError {
  char text[1024] = {};

  /// Records the printf-like text; always false.
  __attribute__((format(printf, 2, 3))) bool fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return false;
  }
};

} // namespace rapt::io

#endif // RAPT_IO_IOERROR_H
