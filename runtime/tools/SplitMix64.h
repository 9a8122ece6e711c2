//===- SplitMix64.h - The tools' random numbers ------------------------------*- C++ -*-===//
#ifndef RAPT_TOOLS_SPLITMIX64_H
#define RAPT_TOOLS_SPLITMIX64_H

#include <stdint.h>

namespace rapt::tools {

/// The generator of Steele, Lea and Flood (2014). The same numbers on every machine.
class SplitMix64 {
public:
  explicit SplitMix64(uint64_t seed = 0) : state(seed) {}

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, 1), from the upper 53 bits.
  double uniform() { return double(next() >> 11) * 0x1p-53; }

private:
  uint64_t state;
};

} // namespace rapt::tools

#endif // RAPT_TOOLS_SPLITMIX64_H
