//===- Checksum.cpp - CRC-32 -------------------------------------------------*- C++ -*-===//
//
// Eight bytes at a time ("slicing by 8", Kounavis and Berry 2005): some 2 GB/s without special
// instructions, so that opening a model stays a matter of milliseconds. Little endian only.
//===------------------------------------------------------------------------------------===//
#include "Checksum.h"

#include <string.h>

using namespace rapt;

Crc32::Crc32() {
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit)
      sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
    tables[0][byte] = sum;
  }
  for (uint32_t byte = 0; byte < 256; ++byte)
    for (int k = 1; k < 8; ++k)
      tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
}

void Crc32::add(const void *data, size_t bytes) {
  const unsigned char *at = static_cast<const unsigned char *>(data);
  uint32_t sum = state;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    word ^= sum;
    sum = 0;
    for (int k = 0; k < 8; ++k)
      sum ^= tables[7 - k][word >> 8 * k & 255];
  }
  for (; bytes; --bytes)
    sum = sum >> 8 ^ tables[0][(sum ^ *at++) & 255];
  state = sum;
}
