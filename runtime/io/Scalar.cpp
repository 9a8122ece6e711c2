//===- Scalar.cpp - Single elements of any type as double --------------------*- C++ -*-===//
//
// Half and bfloat16 are widened and rounded by integer arithmetic on their bits (IEEE 754), so that
// no CPU feature is needed.
//===------------------------------------------------------------------------------------===//
#include "Scalar.h"
#include "rapt.h"

#include <math.h>
#include <string.h>

using namespace rapt::io;

bool rapt::io::isFloat(int32_t dtype) {
  return dtype == RAPT_F32 || dtype == RAPT_F64 || dtype == RAPT_F16 || dtype == RAPT_BF16;
}

static double fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  double value = exponent == 31 ? (mantissa ? NAN : INFINITY)
                 : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                : ldexp(mantissa, -24);
  return bits >> 15 ? -value : value;
}

static uint16_t toHalf(double value) {
  uint16_t sign = signbit(value) ? 0x8000 : 0;
  double magnitude = fabs(value);
  if (magnitude != magnitude)
    return sign | 0x7e00;
  if (magnitude >= 65520) // half way from the largest half to 2^16
    return sign | 0x7c00;
  if (magnitude == 0)
    return sign;
  int exponent;
  frexp(magnitude, &exponent);
  // The place of the last bit: 2^-24 for subnormal halves, else 10 bits below the first one.
  int last = exponent - 11 < -24 ? -24 : exponent - 11;
  int units = int(nearbyint(ldexp(magnitude, -last)));
  // A carry into the next power of two lands in the exponent field by itself.
  return uint16_t(sign | (units + ((last + 24) << 10)));
}

template <typename T> static T load(const void *data, int64_t index) {
  return static_cast<const T *>(data)[index];
}

double rapt::io::getScalar(const void *data, int32_t dtype, int64_t index) {
  switch (dtype) {
  case RAPT_F32:
    return double(load<float>(data, index));
  case RAPT_F64:
    return load<double>(data, index);
  case RAPT_F16:
    return fromHalf(load<uint16_t>(data, index));
  case RAPT_BF16: {
    uint32_t bits = uint32_t(load<uint16_t>(data, index)) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return double(value);
  }
  case RAPT_I8:
    return load<int8_t>(data, index);
  case RAPT_U8:
  case RAPT_BOOL:
    return load<uint8_t>(data, index);
  case RAPT_I16:
    return load<int16_t>(data, index);
  case RAPT_U16:
    return load<uint16_t>(data, index);
  case RAPT_I32:
    return load<int32_t>(data, index);
  case RAPT_U32:
    return load<uint32_t>(data, index);
  case RAPT_I64:
    return double(load<int64_t>(data, index));
  case RAPT_U64:
    return double(load<uint64_t>(data, index));
  }
  return 0;
}

template <typename T> static void store(void *data, int64_t index, T value) {
  static_cast<T *>(data)[index] = value;
}

void rapt::io::setScalar(void *data, int32_t dtype, int64_t index, double value) {
  switch (dtype) {
  case RAPT_F32:
    return store<float>(data, index, float(value));
  case RAPT_F64:
    return store<double>(data, index, value);
  case RAPT_F16:
    return store<uint16_t>(data, index, toHalf(value));
  case RAPT_BF16: {
    float single = float(value);
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    return store<uint16_t>(data, index,
                           uint16_t((value != value ? bits | 0x400000 : rounded) >> 16));
  }
  case RAPT_I8:
    return store<int8_t>(data, index, int8_t(value));
  case RAPT_U8:
  case RAPT_BOOL:
    return store<uint8_t>(data, index, uint8_t(value));
  case RAPT_I16:
    return store<int16_t>(data, index, int16_t(value));
  case RAPT_U16:
    return store<uint16_t>(data, index, uint16_t(value));
  case RAPT_I32:
    return store<int32_t>(data, index, int32_t(value));
  case RAPT_U32:
    return store<uint32_t>(data, index, uint32_t(value));
  case RAPT_I64:
    return store<int64_t>(data, index, int64_t(value));
  case RAPT_U64:
    return store<uint64_t>(data, index, uint64_t(value));
  }
}
