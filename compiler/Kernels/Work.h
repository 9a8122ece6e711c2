//===- Work.h - How much one call of a kernel has to do --------------------------*- C++ -*-===//
//
// Operations and bytes as polynomials of the kernel's dims: evaluated by the cost model, written
// into the artifact for `rapt-run --profile`, printed for people.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_WORK_H
#define RAPT_COMPILER_KERNELS_WORK_H

#include "compiler/Kernels/KernelSpec.h"

namespace rapt::kernels {

/// A polynomial of a kernel's dims: terms with distinct dims, none with factor 0, sorted by dims.
/// Factors may be negative.
class ExtentSum {
public:
  ExtentSum() = default;
  ExtentSum(const Extent &term) { add(term); }

  void add(const Extent &term);
  ExtentSum operator+(const ExtentSum &other) const;
  ExtentSum operator*(const ExtentSum &other) const;
  bool operator==(const ExtentSum &) const = default;

  const std::vector<Extent> &terms() const { return sum; }

  /// The value where dim i is dims[i]; `dims` holds every dim of the terms. In floating point, so
  /// that no size overflows.
  double evaluate(const std::vector<int64_t> &dims) const;

  /// "768*d0 + 2*d0*d1"; "0" without terms.
  std::string print() const;

private:
  std::vector<Extent> sum;
};

/// What a call does at least, however it is computed.
struct Work {
  /// Floating-point operations of matrix products and attention, a multiply-add as two; 0 for
  /// kernels without these. A stage counts as a matrix product when it sums products of loaded
  /// floats that do not all vary with the same loops of the result: convolutions do, sums of
  /// squares do not. Causal attention whose last query sees the last key counts the pairs that are
  /// seen (right for keys >= queries); any other attention counts all pairs, as masks and windows
  /// take nothing off.
  ExtentSum flops;
  /// Bytes of inputs and outputs that move at least: what the stages read of each input, once, and
  /// every output once. Of an input that is read at computed places (Gather), as many elements as
  /// reads.
  ExtentSum bytes;
};

/// The work of one call of `spec`.
Work workOf(const KernelSpec &spec);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_WORK_H
