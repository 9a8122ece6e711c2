//===- OutputFile.cpp - A file that appears complete or not at all -----------*- C++ -*-===//
//
// Written beside its place and renamed: a rename within a folder is one step.
//===------------------------------------------------------------------------------------===//
#include "OutputFile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rapt::io;

bool rapt::io::flushOutput(IoError &error) {
  if (fflush(stdout) == 0 && !ferror(stdout))
    return true;
  return error.fail("cannot write to standard output: %s", strerror(errno));
}

OutputFile::OutputFile(const char *path, IoError &error) : path(path), error(error) {
  struct stat info;
  if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) { // a rename would replace the device
    errno = EINVAL;
    return;
  }
  // In a container each process may have the same number, and one that was killed leaves its file.
  constexpr int mostLeft = 1000;
  int descriptor = -1;
  for (int number = 0; descriptor < 0 && number < mostLeft; ++number) {
    int length =
        snprintf(temporary, sizeof temporary, "%s.%ld-%d.tmp", path, long(getpid()), number);
    if (length < 0 || size_t(length) >= sizeof temporary) {
      errno = ENAMETOOLONG;
      return;
    }
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno != EEXIST)
      return;
  }
  if (descriptor >= 0)
    file = fdopen(descriptor, "wb");
}

OutputFile::~OutputFile() {
  if (!file)
    return;
  fclose(file);
  unlink(temporary);
}

bool OutputFile::fails() { return error.fail("cannot write '%s': %s", path, strerror(errno)); }

bool OutputFile::commit() {
  bool bad = fflush(file) != 0 || ferror(file);
  if (bad)
    return fails();
  int closed = fclose(file);
  file = nullptr;
  if (closed == 0 && rename(temporary, path) == 0)
    return true;
  fails();
  unlink(temporary);
  return false;
}
