//===- FloatMode.h - Rounding and denormals while a model runs ---------------*- C++ -*-===//
//
// Which thread runs a task depends on time, and what the caller's thread does to denormals or how
// it rounds is a matter of the program around it: results depend on neither.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_FLOATMODE_H
#define RAPT_RUNTIME_FLOATMODE_H

#include <xmmintrin.h>

namespace rapt {

/// To nearest, denormals kept, no traps, until the end of the scope.
class FloatMode {
public:
  FloatMode() : before(_mm_getcsr()) { _mm_setcsr(standard); }
  ~FloatMode() { _mm_setcsr(before); }
  FloatMode(const FloatMode &) = delete;
  FloatMode &operator=(const FloatMode &) = delete;

private:
  static constexpr unsigned standard = 0x1f80;
  unsigned before;
};

} // namespace rapt

#endif // RAPT_RUNTIME_FLOATMODE_H
