//===- FlagReader.h - Flags as `--name value` or `--name=value` ---------------*- C++ -*-===//
#ifndef RAPT_RUNTIME_TOOLS_FLAGREADER_H
#define RAPT_RUNTIME_TOOLS_FLAGREADER_H

#include "IoError.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

namespace rapt::tools {

/// Reads one flag after the other; a command line's parser derives from it. Functions that return
/// bool say false after an error, whose text is in `error`.
class FlagReader {
protected:
  FlagReader(int argc, char **argv, io::IoError &error) : argc(argc), argv(argv), error(error) {}

  /// Makes `text`, what follows the two dashes, the flag at hand.
  void begin(const char *text) {
    name = text;
    nameLength = strcspn(text, "=");
    value = nullptr;
  }

  /// Whether the flag at hand is `wanted`, which takes no value.
  bool is(const char *wanted) const { return strcmp(name, wanted) == 0; }

  /// Whether the flag at hand is `wanted`; if so, `value` is its value, or null with an error text.
  bool takes(const char *wanted) {
    if (strlen(wanted) != nameLength || memcmp(name, wanted, nameLength) != 0)
      return false;
    if (name[nameLength] == '=')
      value = name + nameLength + 1;
    else if (at + 1 < argc)
      value = argv[++at];
    else
      error.fail("--%s needs a value", wanted);
    return true;
  }

  bool unknown() { return error.fail("unknown flag '--%.*s'", int(nameLength), name); }

  bool integer(const char *text, int64_t lo, int64_t hi, int64_t &result) {
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (end == text || *end || errno || parsed < lo || parsed > hi)
      return error.fail("--%.*s is '%s', expected a number from %lld to %lld", int(nameLength),
                        name, text, (long long)lo, (long long)hi);
    result = parsed;
    return true;
  }

  int argc;
  char **argv;
  io::IoError &error;
  int at = 0;
  // The flag at hand.
  const char *name = nullptr;
  size_t nameLength = 0;
  const char *value = nullptr;
};

} // namespace rapt::tools

#endif // RAPT_RUNTIME_TOOLS_FLAGREADER_H
