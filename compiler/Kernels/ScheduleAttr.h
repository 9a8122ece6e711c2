//===- ScheduleAttr.h - #kernel.schedule to and from kernels::Schedule -----------*- C++ -*-===//
#ifndef RAPT_COMPILER_KERNELS_SCHEDULEATTR_H
#define RAPT_COMPILER_KERNELS_SCHEDULEATTR_H

#include "compiler/Kernels/KernelSpec.h"
#include "dialects/Kernel/Kernel.h"

namespace rapt::kernels {

/// The attribute that says `schedule`; parameters that the recipe does not have are left out.
kernel::ScheduleAttr toAttr(mlir::MLIRContext *context, const Schedule &schedule);

/// The schedule that `attr` says; parameters it does not give keep their defaults.
Schedule fromAttr(kernel::ScheduleAttr attr);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_SCHEDULEATTR_H
