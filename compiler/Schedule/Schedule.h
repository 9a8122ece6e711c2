//===- Schedule.h - Which recipe and which numbers for each kernel ---------------*- C++ -*-===//
#ifndef RAPT_COMPILER_SCHEDULE_SCHEDULE_H
#define RAPT_COMPILER_SCHEDULE_SCHEDULE_H

#include "compiler/Kernels/KernelSpec.h"
#include "compiler/Schedule/Tuning.h"

#include <memory>
#include <optional>

namespace mlir {
class Pass;
}

namespace rapt {

/// The recipe that fits what `spec` computes, and numbers for it on `target`. `weightInputs` says
/// for each input whether it is a kernel.weight, that is, whether its layout may be chosen.
kernels::Schedule chooseSchedule(const kernels::KernelSpec &spec,
                                 const std::vector<bool> &weightInputs,
                                 const kernels::TargetCpu &target);

/// The input of a Gemm kernel that is its packed weight; -1 when the spec is not a Gemm.
int gemmWeight(const kernels::KernelSpec &spec, const std::vector<bool> &weightInputs);

struct SelectSchedulesOptions {
  kernels::TargetCpu target;
  bool reference = false; // every kernel through its reference lowering
  std::optional<kernels::Schedule::Variant> attention = {}; // for every attention; none: chosen
  std::shared_ptr<const TuningTable> tuning = nullptr; // what it says comes before the cost model
};

/// select-schedules: gives every kernel.region its #kernel.schedule, and lays the weight of each
/// Gemm out in the panels that its schedule wants.
std::unique_ptr<mlir::Pass> createSelectSchedulesPass(SelectSchedulesOptions options);

} // namespace rapt

#endif // RAPT_COMPILER_SCHEDULE_SCHEDULE_H
