//===- Checksum.h - CRC-32 ---------------------------------------------------*- C++ -*-===//
//
// The CRC-32 of ISO 3309, as zlib computes it: any change within 32 bits in a row gives another
// value.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_CHECKSUM_H
#define RAPT_RUNTIME_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

namespace rapt {

class Crc32 {
public:
  Crc32();
  void add(const void *data, size_t bytes);
  uint32_t value() const { return ~state; }

private:
  uint32_t state = ~0u;
  /// tables[k][b]: what the byte b does to the sum when k more bytes follow it.
  uint32_t tables[8][256];
};

} // namespace rapt

#endif // RAPT_RUNTIME_CHECKSUM_H
