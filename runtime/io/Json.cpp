//===- Json.cpp - Strings in JSON --------------------------------------------*- C++ -*-===//
#include "Json.h"

/// Bytes of the UTF-8 sequence at `text`; 0 when there is none.
static int sequenceLength(const unsigned char *text) {
  int length = text[0] < 0x80                      ? 1
               : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
               : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
               : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                   : 0;
  for (int i = 1; i < length; ++i)
    if ((text[i] & 0xc0) != 0x80)
      return 0;
  // Too long for what it says, a surrogate, or beyond U+10FFFF.
  if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
      (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
    return 0;
  return length;
}

void rapt::io::writeJsonString(FILE *file, const char *text) {
  fputc('"', file);
  for (const auto *at = reinterpret_cast<const unsigned char *>(text); *at;) {
    int length = sequenceLength(at);
    if (length == 0)
      fputs("\\ufffd", file);
    else if (*at < 0x20)
      fprintf(file, "\\u%04x", *at);
    else
      fprintf(file, "%s%.*s", *at == '"' || *at == '\\' ? "\\" : "", length,
              reinterpret_cast<const char *>(at));
    at += length ? length : 1;
  }
  fputc('"', file);
}
