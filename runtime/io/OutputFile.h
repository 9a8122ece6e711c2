//===- OutputFile.h - A file that appears complete or not at all -------------*- C++ -*-===//
#ifndef RAPT_IO_OUTPUTFILE_H
#define RAPT_IO_OUTPUTFILE_H

#include "IoError.h"

namespace rapt::io {

/// Whether all that was printed to standard output got there; else false with a text.
bool flushOutput(IoError &error);

/// A file under a temporary name in the folder of `path`; it gets its own name on commit and
/// vanishes otherwise.
class OutputFile {
public:
  /// `path` must outlive the object.
  OutputFile(const char *path, IoError &error);
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;
  ~OutputFile();

  /// False with a text when the file could not be made.
  bool opened() { return file || fails(); }
  /// Flushes, closes and renames the file; false with a text when one of these fails or a write
  /// before did.
  bool commit();

  FILE *file = nullptr;

private:
  bool fails();

  const char *path;
  IoError &error;
  char temporary[4096];
};

} // namespace rapt::io

#endif // RAPT_IO_OUTPUTFILE_H
