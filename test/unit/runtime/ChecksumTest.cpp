//===- ChecksumTest.cpp - CRC-32 against zlib --------------------------------*- C++ -*-===//

#include "Checksum.h"
#include "gtest/gtest.h"

#include <random>
#include <string>
#include <zlib.h>

static uint32_t zlibs(const std::string &bytes) {
  return uint32_t(crc32(0, reinterpret_cast<const Bytef *>(bytes.data()), uInt(bytes.size())));
}

TEST(Checksum, IsZlibs) {
  std::mt19937 random(3);
  std::string bytes;
  for (int length = 0; length < 300; ++length) {
    rapt::Crc32 sum;
    sum.add(bytes.data(), bytes.size());
    EXPECT_EQ(sum.value(), zlibs(bytes)) << length;
    bytes += char(random());
  }
}

TEST(Checksum, PartsAddUp) {
  std::mt19937 random(4);
  std::string bytes(5000, 0);
  for (char &byte : bytes)
    byte = char(random());
  for (int i = 0; i < 100; ++i) {
    rapt::Crc32 sum;
    for (size_t at = 0; at < bytes.size();) {
      size_t part = std::min<size_t>(random() % 700, bytes.size() - at);
      sum.add(bytes.data() + at, part);
      at += part;
    }
    EXPECT_EQ(sum.value(), zlibs(bytes));
  }
}
