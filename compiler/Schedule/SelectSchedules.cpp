//===- SelectSchedules.cpp - A schedule for every region --------------------------------===//
//
// In:  kernel.region ops without a schedule. One that has it keeps it, but a schedule for a gemm
//      must be on one, whose weight has the panels of that schedule.
// Out: each has a #kernel.schedule that fits its body; the weight of a Gemm is a kernel.weight of
//      its own with the panel width of that schedule. A body that has no KernelSpec gets the
//      reference recipe and an attribute `kernel.reference_reason` that says why.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Schedule/Schedule.h"

#include "compiler/Kernels/BuildSpec.h"
#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/ScheduleAttr.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;

namespace {

class SelectSchedules : public PassWrapper<SelectSchedules, OperationPass<func::FuncOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SelectSchedules)
  explicit SelectSchedules(SelectSchedulesOptions options) : options(std::move(options)) {}
  SelectSchedules(const SelectSchedules &other) : PassWrapper(other), options(other.options) {}

  StringRef getArgument() const final { return "select-schedules"; }
  StringRef getDescription() const final {
    return "kernel.region => kernel.region schedule(#kernel.schedule<...>), weights packed";
  }

  void runOnOperation() final {
    bool valid = true;
    getOperation().walk([&](kernel::RegionOp region) {
      if (region.getSchedule())
        valid &= succeeded(checkGiven(region));
      else
        select(region);
    });
    if (!valid)
      signalPassFailure();
  }

private:
  static LogicalResult checkGiven(kernel::RegionOp region) {
    kernels::Schedule schedule = kernels::fromAttr(*region.getSchedule());
    if (schedule.recipe != kernels::Schedule::Recipe::Gemm)
      return success();
    SmallVector<int64_t> panels;
    for (Value input : region.getInputs()) {
      auto weight = input.getDefiningOp<kernel::WeightOp>();
      panels.push_back(weight ? weight.getPanel() : 0);
    }
    auto spec = kernels::buildSpec(region.getBody().front(), region.getDims().size(),
                                   region.getInputShapes(), panels);
    if (!spec)
      return region.emitOpError("has a schedule for a gemm, but ")
             << llvm::toString(spec.takeError());
    if (!kernels::matchGemm(*spec, [&](int input) { return panels[input] == schedule.tileCols; }))
      return region.emitOpError("has a schedule for a gemm, but its body is no product with a "
                                "weight in panels of tile_cols = ")
             << schedule.tileCols;
    return success();
  }

  void select(kernel::RegionOp region) {
    kernels::Schedule schedule;
    schedule.recipe = kernels::Schedule::Recipe::Reference;
    if (options.reference)
      return region.setScheduleAttr(kernels::toAttr(&getContext(), schedule));

    std::vector<bool> weights; // whose layout may be chosen: panels are of matrices
    for (Value input : region.getInputs())
      weights.push_back(input.getDefiningOp<kernel::WeightOp>() &&
                        cast<RankedTensorType>(input.getType()).getRank() == 2);
    auto spec = kernels::buildSpec(region.getBody().front(), region.getDims().size(),
                                   region.getInputShapes(), {});
    if (spec) {
      schedule = chooseSchedule(*spec, weights, options.target);
      if (options.tuning)
        schedule = options.tuning->apply(
            computes(*spec, schedule.recipe, [&](int input) { return weights[input]; }), schedule,
            getContext());
      if (schedule.recipe == kernels::Schedule::Recipe::Reference)
        giveReason(region, "attention shares the region with another reduction");
      if (options.attention) {
        schedule.variant = *options.attention;
        schedule.decodeQueries = 0;
      }
      if (schedule.recipe == kernels::Schedule::Recipe::Gemm)
        packWeight(region, gemmWeight(*spec, weights), schedule.tileCols);
    } else {
      giveReason(region, llvm::toString(spec.takeError()));
    }
    region.setScheduleAttr(kernels::toAttr(&getContext(), schedule));
  }

  void giveReason(kernel::RegionOp region, const std::string &reason) {
    region->setAttr("kernel.reference_reason", StringAttr::get(&getContext(), reason));
  }

  /// A weight may serve several regions with different layouts, so each takes a copy of the op;
  /// equal ones share their bytes in the artifact.
  void packWeight(kernel::RegionOp region, int input, int64_t panel) {
    auto weight = region.getInputs()[input].getDefiningOp<kernel::WeightOp>();
    OpBuilder builder(weight);
    auto packed = cast<kernel::WeightOp>(builder.clone(*weight));
    packed.setPanel(panel);
    region.getInputsMutable()[input].set(packed.getResult());
    if (weight->use_empty())
      weight->erase();
  }

  SelectSchedulesOptions options;
};

} // namespace

std::unique_ptr<Pass> rapt::createSelectSchedulesPass(SelectSchedulesOptions options) {
  return std::make_unique<SelectSchedules>(std::move(options));
}
