//===- ScheduleAttr.cpp - #kernel.schedule to and from kernels::Schedule ---------------===//
//
// One table for recipes and one name for each parameter: what toAttr writes, fromAttr reads back.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/ScheduleAttr.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::kernels;
using R = Schedule::Recipe;

static constexpr std::pair<R, kernel::Recipe> kRecipes[] = {
    {R::Reference, kernel::Recipe::Reference}, {R::Gemm, kernel::Recipe::Gemm},
    {R::Matmul, kernel::Recipe::Matmul},       {R::Attention, kernel::Recipe::Attention},
    {R::Rows, kernel::Recipe::Rows},           {R::Pointwise, kernel::Recipe::Pointwise},
    {R::Loops, kernel::Recipe::Loops}};

kernel::ScheduleAttr rapt::kernels::toAttr(MLIRContext *context, const Schedule &schedule) {
  Builder builder(context);
  NamedAttrList params;
  auto number = [&](StringRef name, int64_t value) {
    params.set(name, builder.getI64IntegerAttr(value));
  };
  if (schedule.recipe != R::Reference) {
    number("vector", schedule.vector);
    params.set("parallel", builder.getBoolAttr(schedule.parallel));
  }
  if (schedule.recipe == R::Gemm || schedule.recipe == R::Matmul) {
    number("tile_rows", schedule.tileRows);
    number("tile_cols", schedule.tileCols);
  }
  if (schedule.recipe == R::Gemm) {
    number("prefetch", schedule.prefetch);
    number("even_rows", schedule.evenRows);
  }
  if (schedule.recipe == R::Attention) {
    params.set("variant", builder.getStringAttr(variantName(schedule.variant)));
    number("block_query", schedule.blockQuery);
    if (schedule.decodeQueries > 0)
      number("decode_queries", schedule.decodeQueries);
  }
  for (auto [recipe, attr] : kRecipes)
    if (recipe == schedule.recipe)
      return kernel::ScheduleAttr::get(context, attr, params.getDictionary(context));
  llvm_unreachable("every recipe is in the table");
}

Schedule rapt::kernels::fromAttr(kernel::ScheduleAttr attr) {
  Schedule schedule;
  for (auto [recipe, kind] : kRecipes)
    if (kind == attr.getRecipe())
      schedule.recipe = recipe;
  DictionaryAttr params = attr.getParams();
  auto number = [&](StringRef name, int64_t &field) {
    if (auto value = params.getAs<IntegerAttr>(name))
      field = value.getInt();
  };
  number("vector", schedule.vector);
  number("tile_rows", schedule.tileRows);
  number("tile_cols", schedule.tileCols);
  number("prefetch", schedule.prefetch);
  number("even_rows", schedule.evenRows);
  number("block_query", schedule.blockQuery);
  number("decode_queries", schedule.decodeQueries);
  if (auto parallel = params.getAs<BoolAttr>("parallel"))
    schedule.parallel = parallel.getValue();
  if (auto variant = params.getAs<StringAttr>("variant"))
    schedule.variant = variantOf(variant.str()).value_or(schedule.variant);
  return schedule;
}
