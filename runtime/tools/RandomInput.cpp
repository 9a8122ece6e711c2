//===- RandomInput.cpp - Reproducible random inputs --------------------------*- C++ -*-===//
//
// Generator: SplitMix64.h. Normal numbers: Box and Muller (1958).
//===------------------------------------------------------------------------------------===//
#include "RandomInput.h"
#include "Scalar.h"
#include "SplitMix64.h"

#include <math.h>

using namespace rapt::io;
using namespace rapt::tools;

namespace {

double normal(SplitMix64 &random) {
  auto uniform = [&] { return double((random.next() >> 11) + 1) * 0x1p-53; }; // in (0, 1]
  double radius = sqrt(-2 * log(uniform()));
  return radius * cos(2 * M_PI * uniform());
}

/// The number of values from 0 that the type holds, at most `maxInt`.
uint64_t limitFor(int32_t dtype, int64_t maxInt) {
  uint64_t limit = uint64_t(maxInt);
  uint64_t most = dtype == RAPT_BOOL  ? 2
                  : dtype == RAPT_I8  ? 128
                  : dtype == RAPT_U8  ? 256
                  : dtype == RAPT_I16 ? 32768
                  : dtype == RAPT_U16 ? 65536
                                      : limit;
  return dtype == RAPT_BOOL ? most : limit < most ? limit : most;
}

} // namespace

void rapt::tools::fillRandom(io::Array &array, uint64_t seed, int64_t maxInt) {
  // Each input has its own sequence, so that their order does not matter (FNV-1a of the name).
  uint64_t hash = 0xcbf29ce484222325;
  for (const char *c = array.tensor.name; *c; ++c)
    hash = (hash ^ uint64_t(static_cast<unsigned char>(*c))) * 0x100000001b3;
  SplitMix64 random(seed ^ hash);
  int32_t dtype = array.tensor.dtype;
  uint64_t limit = limitFor(dtype, maxInt);
  int64_t count = array.numElements();
  for (int64_t i = 0; i < count; ++i)
    setScalar(array.tensor.data, dtype, i,
              isFloat(dtype) ? normal(random) : double(random.next() % limit));
}
