//===- Json.h - Strings in JSON ----------------------------------------------*- C++ -*-===//
#ifndef RAPT_IO_JSON_H
#define RAPT_IO_JSON_H

#include <stdio.h>

namespace rapt::io {

/// Writes `text` between quotes, with what JSON wants escaped. Bytes that are no UTF-8 become
/// U+FFFD, one each.
void writeJsonString(FILE *file, const char *text);

} // namespace rapt::io

#endif // RAPT_IO_JSON_H
