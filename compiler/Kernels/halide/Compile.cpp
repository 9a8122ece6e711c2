//===- Compile.cpp - KernelSpec to object code, in this process ----------------*- C++ -*-===//
//
// Chooses the recipe, makes one function for each tile variant, lets Halide lower and optimise them
// and LLVM write one object file.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Compile.h"
#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/ObjectCode.h"
#include "compiler/Kernels/halide/Emit.h"
#include "compiler/Kernels/halide/Recipes.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

namespace rapt::kernels::halide {

namespace H = Halide;

std::string version() {
  return std::to_string(HALIDE_VERSION_MAJOR) + "." + std::to_string(HALIDE_VERSION_MINOR) + "." +
         std::to_string(HALIDE_VERSION_PATCH);
}

/// Halide's target for `cpu`. Objects carry no runtime and check nothing: the caller promises that
/// buffers are what the spec says.
static H::Target halideTarget(const TargetCpu &cpu, bool strict) {
  auto has = [&](const char *feature) {
    return std::find(cpu.features.begin(), cpu.features.end(), feature) != cpu.features.end();
  };
  H::Target target(H::Target::Linux, H::Target::X86, 64,
                   {H::Target::NoRuntime, H::Target::NoAsserts, H::Target::NoBoundsQuery,
                    H::Target::UserContext});
  auto set = [&](H::Target::Feature feature, bool value) { target.set_feature(feature, value); };
  bool avx512 = cpu.vectorBytes >= 64 && has("avx512f") && has("avx512vl") && has("avx512dq") &&
                has("avx512bw");
  set(H::Target::SSE41, has("sse4.1"));
  set(H::Target::AVX, has("avx"));
  // Halide takes these for processors that have more than their names say.
  auto hasAll = [&](std::initializer_list<const char *> names) {
    return std::all_of(names.begin(), names.end(), has);
  };
  bool haswell = hasAll({"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"});
  bool zen4 =
      avx512 && haswell && cpu.cpu.starts_with("znver") &&
      hasAll({"sse4a", "gfni", "vaes", "vpclmulqdq", "avx512cd", "avx512ifma", "avx512vbmi",
              "avx512vbmi2", "avx512vnni", "avx512bf16", "avx512bitalg", "avx512vpopcntdq"});
  set(H::Target::AVX2, haswell);
  set(H::Target::FMA, has("fma"));
  set(H::Target::F16C, has("f16c"));
  set(H::Target::AVX512, avx512);
  set(H::Target::AVX512_Skylake, avx512);
  set(H::Target::AVX512_Zen4, zen4);
  set(H::Target::AVX512_Zen5, zen4 && cpu.cpu == "znver5" && has("avxvnni"));
  set(H::Target::StrictFloat, strict);
  return target;
}

/// Optimises `module` and returns its LLVM bitcode. Halide writes to a path: one in memory.
static std::string bitcode(const H::Module &module) {
  int file = memfd_create("kernel.bc", MFD_CLOEXEC);
  if (file < 0)
    throw H::RuntimeError(std::string("cannot make a file in memory: ") + strerror(errno));
  module.compile({{H::OutputFileType::bitcode, "/proc/self/fd/" + std::to_string(file)}});
  std::string bytes;
  char block[65536];
  lseek(file, 0, SEEK_SET);
  for (ssize_t count; (count = read(file, block, sizeof block)) > 0;)
    bytes.append(block, count);
  close(file);
  return bytes;
}

namespace {
/// One function of a kernel: when it is called, and what its recipe makes of it.
struct Plan {
  std::string suffix; // of the symbol
  int64_t maxTile = 0, maxRows = 0;
  RowTile tile;       // Gemm
  AttentionForm form; // Attention
};
} // namespace

/// Builds the pipeline of one variant with the schedule's recipe. Matmul, Pointwise and Rows give
/// way to Loops where they do not fit; a Gemm that is none is an error, because its weight is
/// packed for it.
static Recipe buildVariant(std::unique_ptr<Lowering> &lowering, const KernelSpec &spec,
                           const Schedule &schedule, const TargetCpu &cpu, const Plan &plan) {
  lowering = std::make_unique<Lowering>(spec, schedule, cpu);
  Recipe recipe;
  bool built = false;
  switch (schedule.recipe) {
  case Schedule::Recipe::Gemm:
    if (!buildGemm(*lowering, plan.tile, recipe))
      throw H::CompileError("the schedule is for a gemm, which the spec is not: " +
                            schedule.print());
    return recipe;
  case Schedule::Recipe::Matmul:
    built = buildMatmul(*lowering, plan.tile.rows, recipe);
    break;
  case Schedule::Recipe::Attention:
    built = buildAttention(*lowering, plan.form, recipe);
    break;
  case Schedule::Recipe::Rows:
    built = buildRows(*lowering, recipe);
    break;
  case Schedule::Recipe::Pointwise:
    built = buildPointwise(*lowering, recipe);
    break;
  default:
    break;
  }
  if (built)
    return recipe;
  lowering = std::make_unique<Lowering>(spec, schedule, cpu);
  recipe = {};
  if (!buildLoops(*lowering, recipe))
    throw H::CompileError(
        schedule.recipe == Schedule::Recipe::Attention
            ? "attention in f64, or beside another reduction, has no Halide kernel"
            : "the spec has an attention stage and the schedule is not for "
              "attention: " +
                  schedule.print());
  return recipe;
}

/// The register tiles of a gemm: one for a static number of rows, all up to the largest for a
/// dynamic one. Rows of one or two tiles mostly wait for weights: even tiles would gain nothing
/// there. Even ones only for the two largest heights, as others do not serve more rows.
static std::vector<Plan> gemmPlans(const Schedule &schedule, const Extent &rows) {
  int largest = static_cast<int>(schedule.tileRows);
  auto plan = [&](int height, int64_t maxRows, int64_t evenUpTo = 0, bool many = false) {
    std::string suffix = "_r" + std::to_string(height) + (evenUpTo ? "_even" : many ? "_many" : "");
    bool fetch = schedule.prefetch > 0;
    RowTile tile{height, evenUpTo, fetch, fetch && many};
    return Plan{suffix, height, maxRows, tile, {}};
  };
  if (rows.isStatic()) {
    int64_t blocks = (rows.factor + largest - 1) / largest;
    int height = static_cast<int>((rows.factor + blocks - 1) / blocks);
    bool even = blocks > 2 && rows.factor <= schedule.evenRows && rows.factor % height != 0;
    return {plan(height, 0, even ? rows.factor : 0, !even && blocks > 2)};
  }
  std::vector<Plan> plans;
  for (int height = 1; height <= largest; ++height) {
    bool high = height > 1 && height >= largest - 1;
    plans.push_back(plan(height, high ? 2 * height : 0));
    if (high && schedule.evenRows > 2 * height)
      plans.push_back(plan(height, schedule.evenRows, schedule.evenRows));
  }
  plans.push_back(plan(largest, 0, 0, true));
  return plans;
}

/// The same of a product of two operands. Tiles of other heights than these gain little: packing
/// takes most of the time of few rows.
static std::vector<Plan> matmulPlans(const Schedule &schedule, const Extent &rows) {
  int64_t largest = schedule.tileRows;
  auto plan = [](int64_t height, int64_t maxRows) {
    int tile = static_cast<int>(height);
    return Plan{"_r" + std::to_string(height), 0, maxRows, {tile, 0, {}}, {}};
  };
  if (rows.isStatic()) {
    int64_t blocks = (rows.factor + largest - 1) / largest;
    return {plan((rows.factor + blocks - 1) / blocks, 0)};
  }
  std::vector<Plan> plans;
  for (int64_t height : {int64_t{1}, largest / 2})
    if (height < largest && (plans.empty() || height > 1))
      plans.push_back(plan(height, height == 1 && largest > 3 ? largest / 2 - 1 : largest - 1));
  plans.push_back(plan(largest, 0));
  return plans;
}

/// From so many keys on, a task packs its values: their rows may lie pages apart (docs/kernels.md).
static constexpr int64_t fewestLongKeys = 128;

/// One function for static numbers of queries and keys. A dynamic number of queries may have one
/// for a few of them. A dynamic number of keys has one for many keys, where the number of queries
/// stands for that of keys if both are dynamic: with few queries packing gains little.
static std::vector<Plan> attentionPlans(const KernelSpec &spec, const Schedule &schedule,
                                        const AttentionStage &attention, Extent &rows) {
  const Extent &queries = attention.queries, &keys = attention.keys;
  bool staticLong = keys.isStatic() && keys.factor >= fewestLongKeys;
  bool decode = schedule.variant == Schedule::Variant::Decode;
  std::vector<Plan> plans;
  if (schedule.decodeQueries > 0 && !decode)
    plans.push_back({"_few", 0, schedule.decodeQueries, {}, {true, false}});
  bool few = !plans.empty();
  bool inPlace = attention.valueDim % schedule.vector == 0 &&
                 attention.value->kind == Expr::Kind::Load &&
                 attention.value->integer < spec.numInputs;
  bool chooses = schedule.variant == Schedule::Variant::Strip && !keys.isStatic() && inPlace &&
                 !(few && queries.isStatic());
  if (chooses)
    plans.push_back({"_short", 0, fewestLongKeys - 1, {}, {}});
  plans.push_back({chooses ? "_long"
                   : few   ? "_many"
                           : "",
                   0,
                   0,
                   {},
                   {decode, staticLong || chooses}});
  if (plans.size() > 1)
    rows = !few && queries.isStatic() ? keys : queries;
  return plans;
}

/// The functions that are compiled, and in `rows` what their limits are about.
static std::vector<Plan> plansFor(const KernelSpec &spec, const Schedule &schedule, Extent &rows) {
  if (schedule.recipe == Schedule::Recipe::Gemm) {
    std::optional<Extent> found = gemmRows(spec, schedule);
    if (!found)
      return {Plan()}; // buildVariant says so
    rows = *found;
    return gemmPlans(schedule, rows);
  }
  if (schedule.recipe == Schedule::Recipe::Matmul)
    if (std::optional<ProductMatch> product = matchProduct(spec)) {
      rows = product->contraction->loop.loops[product->m];
      return matmulPlans(schedule, rows);
    }
  if (schedule.recipe == Schedule::Recipe::Attention)
    for (const Stage &stage : spec.stages)
      if (stage.attention)
        return attentionPlans(spec, schedule, *stage.attention, rows);
  return {Plan()};
}

/// A bound for both sums of terms, as the variants run one at a time: of the factors for each
/// product of dims the larger one.
static std::vector<Extent> largerOf(const std::vector<Extent> &a, const std::vector<Extent> &b) {
  std::map<std::vector<int>, int64_t> largest;
  for (const std::vector<Extent> *terms : {&a, &b}) {
    std::map<std::vector<int>, int64_t> sums;
    for (const Extent &term : *terms)
      sums[term.dims] += term.factor;
    for (const auto &[dims, factor] : sums)
      largest[dims] = std::max(largest[dims], factor);
  }
  std::vector<Extent> result;
  for (const auto &[dims, factor] : largest)
    result.push_back(Extent{factor, dims});
  return result;
}

/// What `elements` says that `all` does not.
static void addElements(std::vector<std::vector<Extent>> &all,
                        const std::vector<std::vector<Extent>> &elements) {
  auto same = [](const Extent &a, const Extent &b) {
    return a.factor == b.factor && a.dims == b.dims;
  };
  for (const std::vector<Extent> &sum : elements) {
    auto isSum = [&](const std::vector<Extent> &other) {
      return std::equal(sum.begin(), sum.end(), other.begin(), other.end(), same);
    };
    if (std::none_of(all.begin(), all.end(), isSum))
      all.push_back(sum);
  }
}

static void compileVariants(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &cpu,
                            const std::string &prefix, KernelObject &result) {
  // Gemm, Matmul and Attention keep fast-math (without it no FMA is formed); infinities do not
  // occur in them.
  using Recipe = Schedule::Recipe;
  bool fast = schedule.recipe == Recipe::Gemm || schedule.recipe == Recipe::Matmul ||
              schedule.recipe == Recipe::Attention;
  H::Target target = halideTarget(cpu, !fast && needsStrictFloat(spec));
  std::vector<H::Module> modules;
  std::set<std::string> symbols; // two plans may differ only in when they are called
  for (const Plan &plan : plansFor(spec, schedule, result.rows)) {
    std::string symbol = prefix + plan.suffix;
    result.variants.push_back({symbol, plan.maxTile, plan.maxRows});
    if (!symbols.insert(symbol).second)
      continue;
    std::unique_ptr<Lowering> lowering;
    halide::Recipe recipe = buildVariant(lowering, spec, schedule, cpu, plan);
    // Tiles are whole, so no loop over them has edges that would gain from a body of their own:
    // without, there is half the code, and it runs as fast.
    if (fast)
      for (H::Func &output : recipe.outputs)
        output.never_partition_all();
    H::Pipeline pipeline(recipe.outputs);
    if (recipe.pass)
      pipeline.add_custom_lowering_pass(recipe.pass);
    modules.push_back(pipeline.compile_to_module(lowering->arguments(), symbol, target,
                                                 H::LinkageType::ExternalPlusArgv));
    // A pass that matches loop names and finds none would silently do nothing.
    if (recipe.pass && !recipe.pass->foundAny())
      throw H::CompileError("the prefetch pass found no loop in " + symbol);
    result.scratchBytes = largerOf(result.scratchBytes, recipe.scratch);
    addElements(result.innerElements, recipe.innerElements);
  }
  std::string error;
  if (!makeObject(bitcode(modules.size() == 1 ? modules[0] : H::link_modules(prefix, modules)),
                  result.object, error))
    throw H::CompileError(error);
}

namespace {
/// Warnings are Halide's advice on targets (bf16 in integer arithmetic is slower than in hardware),
/// nothing that a user can act on.
struct Reporter : H::CompileTimeErrorReporter {
  void warning(const char *) override {}
  [[noreturn]] void error(const char *message) override { throw H::CompileError(message); }
};
} // namespace

bool compileKernel(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &target,
                   const std::string &symbolPrefix, KernelObject &result, std::string &error) {
  static Reporter reporter;
  H::set_custom_compile_time_error_reporter(&reporter);
  try {
    compileVariants(spec, schedule, target, symbolPrefix, result);
    return true;
  } catch (const H::Error &halideError) {
    error = halideError.what();
  } catch (const std::exception &exception) {
    error = exception.what();
  } catch (...) {
    error = "unknown exception in the kernel compiler";
  }
  while (!error.empty() && (error.back() == '\n' || error.back() == '.'))
    error.pop_back();
  return false;
}

} // namespace rapt::kernels::halide
