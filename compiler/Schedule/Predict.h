//===- Predict.h - How long a kernel should take ---------------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_SCHEDULE_PREDICT_H
#define RAPT_COMPILER_SCHEDULE_PREDICT_H

#include "compiler/Kernels/KernelSpec.h"

#include <vector>

namespace rapt {

/// One call of a kernel (or several, added up) on the nominal core that Predict.cpp describes.
struct Prediction {
  double flops = 0;      // of matrix products and attention (Work.h)
  double bytes = 0;      // that move at least (Work.h)
  double cycles = 0;     // predicted
  double peakCycles = 0; // that the flops take at the FMA peak
  double moveCycles = 0; // that the bytes take

  void add(const Prediction &other);
  /// Share of the FMA peak, 0 to 1; 0 without flops.
  double peakShare() const { return cycles > 0 ? peakCycles / cycles : 0; }
  /// Moving bytes takes longer than computing.
  bool isMoving() const { return moveCycles >= cycles; }
};

/// One call of `spec` under `schedule` on one thread, where dim i is dims[i].
Prediction predict(const kernels::KernelSpec &spec, const kernels::Schedule &schedule,
                   const kernels::TargetCpu &target, const std::vector<int64_t> &dims);

} // namespace rapt

#endif // RAPT_COMPILER_SCHEDULE_PREDICT_H
