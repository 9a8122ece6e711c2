//===- Specs.h - Building small KernelSpecs by hand ----------------------------*- C++ -*-===//
#ifndef RAPT_TEST_UNIT_KERNELS_SPECS_H
#define RAPT_TEST_UNIT_KERNELS_SPECS_H

#include "KernelRunner.h"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace rapt::kernels::test {

inline Extent fixed(int64_t value) { return {value, {}}; }
inline Extent dim(int number) { return {1, {number}}; }
inline ExprRef loop(int number) { return Expr::makeLoop(number); }
inline ExprRef whole(int64_t value) { return Expr::makeInt(value); }
inline ExprRef real(double value) { return Expr::makeFloat(value); }
inline ExprRef op(BinaryOp kind, ExprRef a, ExprRef b) { return Expr::makeBinary(kind, a, b); }
inline ExprRef op(UnaryOp kind, ExprRef a) { return Expr::makeUnary(kind, a); }
inline ExprRef operator+(ExprRef a, ExprRef b) { return op(BinaryOp::Add, a, b); }
inline ExprRef operator-(ExprRef a, ExprRef b) { return op(BinaryOp::Sub, a, b); }
inline ExprRef operator*(ExprRef a, ExprRef b) { return op(BinaryOp::Mul, a, b); }
inline ExprRef operator/(ExprRef a, ExprRef b) { return op(BinaryOp::Div, a, b); }

/// A spec under construction: inputs first, then stages, then outputs.
struct Builder {
  KernelSpec spec;

  explicit Builder(int numDims) { spec.numDims = numDims; }

  int input(std::vector<Extent> shape, ScalarType type = ScalarType::F32, int64_t panel = 0) {
    spec.tensors.push_back({type, std::move(shape), panel});
    return spec.numInputs++;
  }
  ExprRef at(int tensor, std::vector<ExprRef> indices) const {
    return Expr::makeLoad(tensor, spec.tensors[tensor].type, std::move(indices));
  }
  int map(std::vector<Extent> loops, ExprRef body) {
    int parallel = loops.size();
    return stage(std::move(loops), parallel, Reduction::None, std::move(body));
  }
  int reduce(Reduction kind, std::vector<Extent> loops, int parallel, ExprRef body) {
    return stage(std::move(loops), parallel, kind, std::move(body));
  }
  int stage(std::vector<Extent> loops, int parallel, Reduction kind, ExprRef body) {
    Tensor result{body->type, {loops.begin(), loops.begin() + parallel}, 0};
    Stage stage;
    stage.name = (kind == Reduction::None ? "map" : "reduce") + std::to_string(spec.stages.size());
    stage.result = spec.tensors.size();
    stage.loop = {parallel, std::move(loops), kind, std::move(body)};
    spec.tensors.push_back(std::move(result));
    spec.stages.push_back(std::move(stage));
    return spec.stages.back().result;
  }
  int attention(AttentionStage attention) {
    Stage stage;
    stage.name = "attention" + std::to_string(spec.stages.size());
    stage.result = spec.tensors.size();
    spec.tensors.push_back(
        {ScalarType::F32,
         {attention.batch, fixed(attention.heads), attention.queries, fixed(attention.valueDim)},
         0});
    stage.attention = std::move(attention);
    spec.stages.push_back(std::move(stage));
    return spec.stages.back().result;
  }
};

/// Values in [-scale, scale]; integers in [0, limit).
inline std::vector<Values> randomInputs(const KernelSpec &spec, const std::vector<int64_t> &dims,
                                        double scale = 1, int64_t limit = 7, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<Values> inputs;
  for (int t = 0; t < spec.numInputs; ++t) {
    const Tensor &tensor = spec.tensors[t];
    Values values(countElements(tensor, dims));
    for (double &value : values)
      value =
          isFloat(tensor.type)
              ? static_cast<float>(std::uniform_real_distribution<double>(-scale, scale)(random))
          : tensor.type == ScalarType::Bool ? static_cast<double>(random() % 2)
                                            : static_cast<double>(random() % limit);
    inputs.push_back(std::move(values));
  }
  return inputs;
}

inline Schedule schedule(Schedule::Recipe recipe, bool narrow = false) {
  Schedule result;
  result.recipe = recipe;
  result.vector = hostCpu(narrow).vectorBytes / 4;
  if (result.vector == 8) {
    result.tileRows = 6;
    result.tileCols = 16;
  }
  result.evenRows = 16 * result.tileRows - 1;
  return result;
}

/// Largest |actual - expected| / (1 + |expected|); infinite where only one of them is NaN.
inline double difference(const Values &actual, const Values &expected) {
  if (actual.size() != expected.size())
    return HUGE_VAL;
  double largest = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(actual[i]) != std::isnan(expected[i]))
      return HUGE_VAL;
    if (actual[i] == expected[i] || std::isnan(actual[i]))
      continue;
    largest = std::max(largest, std::abs(actual[i] - expected[i]) / (1 + std::abs(expected[i])));
  }
  return largest;
}

/// Runs `kernel` at `dims` with guard pages on either side and two thread counts, and compares
/// every output with the interpreter.
inline void check(LoadedKernel &kernel, const KernelSpec &spec, const std::vector<int64_t> &dims,
                  double tolerance, double scale = 1, int64_t limit = 7) {
  std::string where = "dims";
  for (int64_t value : dims)
    where += " " + std::to_string(value);
  // One spec is usually compiled in several ways; the interpreter takes most of the time.
  static std::map<std::string, std::pair<std::vector<Values>, std::vector<Values>>> known;
  auto [entry, isNew] = known.try_emplace(spec.print() + where + " " + std::to_string(scale) + " " +
                                          std::to_string(limit));
  auto &[inputs, truth] = entry->second;
  if (isNew) {
    inputs = randomInputs(spec, dims, scale, limit);
    truth = interpret(spec, dims, inputs);
  }
  for (auto guard : {LoadedKernel::Guard::After, LoadedKernel::Guard::Before}) {
    std::vector<Values> outputs =
        kernel.run(dims, inputs, guard == LoadedKernel::Guard::After ? 1 : 3, guard);
    for (size_t o = 0; o < outputs.size(); ++o)
      EXPECT_LE(difference(outputs[o], truth[spec.outputs[o]]), tolerance)
          << where << " output " << o;
    EXPECT_LE(kernel.scratchUsed, kernel.scratchBound) << where;
  }
}

inline void checkAll(const KernelSpec &spec, const Schedule &schedule,
                     const std::vector<std::vector<int64_t>> &dims, double tolerance,
                     double scale = 1, int64_t limit = 7) {
  LoadedKernel kernel(spec, schedule, hostCpu(schedule.vector <= 8));
  ASSERT_TRUE(kernel.ok()) << kernel.error << "\n" << spec.print();
  for (const std::string &symbol : importedSymbols(kernel.object.object))
    EXPECT_TRUE(symbol == "halide_malloc" || symbol == "halide_free" ||
                symbol == "halide_do_par_for" || symbol == "memset" || symbol == "memcpy" ||
                symbol == "_GLOBAL_OFFSET_TABLE_")
        << symbol;
  for (const std::vector<int64_t> &values : dims)
    check(kernel, spec, values, tolerance, scale, limit);
}

} // namespace rapt::kernels::test

#endif // RAPT_TEST_UNIT_KERNELS_SPECS_H
