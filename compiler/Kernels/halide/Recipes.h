//===- Recipes.h - From a lowering to scheduled Halide pipelines ---------------*- C++ -*-===//
//
// One function a recipe. Each defines the stages of the spec, schedules them and says what scratch
// a thread needs. A recipe that the spec does not fit answers false and changes nothing that
// matters; Compile.cpp decides what then happens.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_RECIPES_H
#define RAPT_COMPILER_KERNELS_HALIDE_RECIPES_H

#include "compiler/Kernels/halide/Prefetch.h"
#include "compiler/Kernels/halide/Translate.h"

namespace rapt::kernels::halide {

/// What a recipe makes: Funcs whose buffers, one after the other, are the spec's outputs.
struct Recipe {
  std::vector<Halide::Func> outputs;
  std::vector<Extent> scratch;
  std::vector<std::vector<Extent>> innerElements; ///< as KernelObject's
  Prefetch *pass = nullptr; ///< custom lowering pass, which the pipeline deletes
};

bool buildPointwise(Lowering &lowering, Recipe &recipe);
bool buildRows(Lowering &lowering, Recipe &recipe);
bool buildLoops(Lowering &lowering, Recipe &recipe);
/// The register tile of a Gemm kernel: `rows` high, at most the number of rows, the last one
/// overlapping the one before it. Even: the first tiles that high, the others one row less, without
/// overlap, which needs maxRows >= rows > (rows - 1) * blocks where blocks = ceil(rows /
/// tile.rows).
struct RowTile {
  int rows = 0;
  int64_t evenUpTo = 0;   ///< the most rows of an even kernel; 0: not even
  bool fetch = false;     ///< schedule.prefetch lines of what comes next, in each step
  bool fetchRows = false; ///< and of the rows that the next tile and an epilogue read
};
bool buildGemm(Lowering &lowering, const RowTile &tile, Recipe &recipe);
/// `tileRows` as above.
bool buildMatmul(Lowering &lowering, int tileRows, Recipe &recipe);
/// The extent of the row loop of a Gemm kernel, or nothing if the spec is no such kernel.
std::optional<Extent> gemmRows(const KernelSpec &spec, const Schedule &schedule);
/// What a kernel of an attention stage is for: any number of queries and keys, or for some of them.
struct AttentionForm {
  bool decode = false;   ///< a few queries: the variant for these instead of the schedule's
  bool longKeys = false; ///< so many keys that values are packed
};
bool buildAttention(Lowering &lowering, AttentionForm form, Recipe &recipe);

//===-------------------------------------------------------------------------------------===//
// Shared by the recipes (Common.cpp)
//===-------------------------------------------------------------------------------------===//

/// Adds the output Funcs of the kernel: one Func with a tuple where all outputs have one shape (so
/// that they share a loop nest), else one each. Outputs copy the Funcs in `results`.
void defineOutputs(Lowering &lowering, Recipe &recipe);

/// Vectorises loop `x` of extent `size` without touching anything outside of it.
void vectorizeExactly(Halide::Stage stage, Halide::Var x, const Extent &size, int lanes);

/// Computes all of `func`, of shape `shape` (outermost dim first), before what reads it. Bounds
/// inference would take many more rows than there are behind loops that are fused and guarded.
void computeWhole(Lowering &lowering, Halide::Func func, const std::vector<Extent> &shape);

/// Fuses the loops of `out` from `firstOuter` (in Halide's order) outwards into one, cut into tasks
/// of a useful size, and returns the innermost fused loop. `row` is what one step of it computes.
Halide::Var fuseIntoTasks(Lowering &lowering, Halide::Func out, size_t firstOuter,
                          const Extent &row);

/// Sums (or maximises...) along `r`, the innermost reduced loop of extent `size`, in several
/// vectors of partial results at once; everything is computed at loop `at` of `consumer`.
void reduceInLanes(Lowering &lowering, Halide::Func func, Halide::RVar r, const Extent &size,
                   Halide::Func consumer, Halide::Var at);

/// Announces a tensor of `shape` inside of the kernel: its elements, and its bytes, `elementBytes`
/// each, as a scratch term, with what alignment and padding may add.
void addScratch(Recipe &recipe, const std::vector<Extent> &shape, int64_t elementBytes);

/// Only the bytes, of one tensor or a few.
void addScratchBytes(Recipe &recipe, const Extent &bytes);

/// Whether `operand` is an input that is read as it is, with consecutive steps of Loop(row) side by
/// side.
bool readsRows(const Lowering &lowering, const ExprRef &operand, int row);

/// Number of places that read the result of `stage`: later stages, counted per load, and outputs.
int countUses(const KernelSpec &spec, const Stage &stage);

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_RECIPES_H
