//===- GemmTest.cpp - Contractions with packed weights -------------------------*- C++ -*-===//
#include "Bits.h"
#include "compiler/Kernels/halide/Emit.h"

#include <algorithm>

namespace rapt::kernels::test {

using Recipe = Schedule::Recipe;

namespace {
/// x[rows, k] * w[k, n] + bias, then GELU or a residual.
struct Linear {
  Builder b;
  enum Epilogue { Bias, Gelu, Residual };

  Linear(Extent rows, int64_t depth, int64_t columns, const Schedule &schedule, Epilogue epilogue,
         int numDims)
      : b(numDims) {
    std::vector<Extent> full = {rows, fixed(columns)};
    int x = b.input({rows, fixed(depth)}),
        w = b.input({fixed(depth), fixed(columns)}, ScalarType::F32, schedule.tileCols),
        bias = b.input({fixed(columns)});
    int residual = epilogue == Residual ? b.input(full) : -1;
    int y = b.reduce(Reduction::Sum, {rows, fixed(columns), fixed(depth)}, 2,
                     b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}));
    ExprRef v = b.at(y, {loop(0), loop(1)}) + b.at(bias, {loop(1)});
    if (epilogue == Gelu)
      v = real(0.5) * v * (real(1) + op(UnaryOp::Erf, v * real(0.70710678118654752)));
    if (epilogue == Residual)
      v = v + b.at(residual, {loop(0), loop(1)});
    b.spec.outputs = {b.map(full, v)};
  }
};
} // namespace

TEST(Gemm, EveryRowCountAndEpilogue) {
  for (bool narrow : {false, true})
    for (auto epilogue : {Linear::Bias, Linear::Gelu, Linear::Residual}) {
      Schedule s = schedule(Recipe::Gemm, narrow);
      Linear linear({1, {0, 1}}, 40, 144, s, epilogue, 2);
      std::vector<std::vector<int64_t>> dims;
      for (int64_t rows = 1; rows <= 41; ++rows)
        dims.push_back({1, rows});
      dims.push_back({3, 43});
      dims.push_back({2, 300});
      checkAll(linear.b.spec, s, dims, 1e-5);
    }
}

TEST(Gemm, StaticRowsAndColumnsThatAreNoMultipleOfThePanel) {
  for (int64_t rows : {1, 7, 8, 37})
    for (int64_t columns : {1, 16, 50, 100, 768}) {
      Schedule s = schedule(Recipe::Gemm, rows == 7 || rows == 37);
      Linear linear(fixed(rows), 24, columns, s, Linear::Gelu, 0);
      checkAll(linear.b.spec, s, {{}}, 1e-5);
    }
}

TEST(Gemm, DynamicRowsAndColumnsThatAreNoMultipleOfThePanel) {
  for (bool narrow : {false, true})
    for (int64_t columns : {50, 97}) {
      Schedule s = schedule(Recipe::Gemm, narrow);
      Linear linear(dim(0), 7, columns, s, Linear::Residual, 1);
      checkAll(linear.b.spec, s, {{1}, {5}, {8}, {13}, {37}}, 1e-5);
    }
}

TEST(Gemm, TilesStayInRegistersWhereColumnsAreGuarded) {
  // A tile whose size the compiler does not know is memory that the kernel asks for.
  Schedule s = schedule(Recipe::Gemm);
  s.evenRows = 0;
  for (int64_t prefetch : {0, 1}) {
    s.prefetch = prefetch;
    Linear linear(dim(0), 64, 5 * s.tileCols + 7, s, Linear::Bias, 1);
    LoadedKernel kernel(linear.b.spec, s, hostCpu());
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    std::vector<std::string> symbols = importedSymbols(kernel.object.object);
    auto imports = [&](const char *name) {
      return std::find(symbols.begin(), symbols.end(), name) != symbols.end();
    };
    EXPECT_TRUE(imports("halide_do_par_for")) << "the list holds what is known to be there";
    EXPECT_FALSE(imports("halide_malloc")) << "prefetch " << prefetch;
  }
}

TEST(Gemm, EvenTilesKeepNothingButTheRowsOfAPanel) {
  for (bool narrow : {false, true}) {
    Schedule s = schedule(Recipe::Gemm, narrow);
    Linear linear(dim(0), 64, 5 * s.tileCols + 7, s, Linear::Bias, 1);
    LoadedKernel kernel(linear.b.spec, s, hostCpu(narrow));
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    std::vector<int64_t> dims = {37};
    kernel.run(dims, randomInputs(linear.b.spec, dims));
    int64_t panel = 37 * s.tileCols * 4, tile = s.tileRows * s.tileCols * 4;
    EXPECT_GE(kernel.scratchUsed, panel);
    EXPECT_LT(kernel.scratchUsed, panel + tile);
  }
}

TEST(Gemm, AnyNumberOfRows) { // shared out by tiles of two heights, and by overlapping ones
  for (bool narrow : {false, true}) {
    Schedule s = schedule(Recipe::Gemm, narrow);
    s.evenRows = 50;
    Linear linear(dim(0), 8, s.tileCols + 3, s, Linear::Residual, 1);
    std::vector<std::vector<int64_t>> dims;
    for (int64_t rows = 1; rows <= 60; ++rows)
      dims.push_back({rows});
    checkAll(linear.b.spec, s, dims, 1e-5);
  }
}

TEST(Gemm, ManyRowsWhoseTilesFetchRowsForTheNext) {
  for (bool narrow : {false, true})
    for (auto epilogue : {Linear::Gelu, Linear::Residual})
      for (bool isStatic : {false, true}) {
        Schedule s = schedule(Recipe::Gemm, narrow);
        s.prefetch = 1;
        Extent rows = isStatic ? fixed(301) : Extent{1, {0, 1}};
        Linear linear(rows, 200, 3 * s.tileCols + 7, s, epilogue, isStatic ? 0 : 2);
        checkAll(linear.b.spec, s,
                 isStatic ? std::vector<std::vector<int64_t>>{{}}
                          : std::vector<std::vector<int64_t>>{{1, 8}, {3, 43}, {1, 600}},
                 1e-5);
      }
}

TEST(Gemm, RowsThatAlwaysFillTiles) { // 14 a batch: no tile is one row less than seven
  Builder b(1);
  Schedule s = schedule(Recipe::Gemm);
  Extent rows = {14, {0}};
  int x = b.input({rows, fixed(40)}),
      w = b.input({fixed(40), fixed(96)}, ScalarType::F32, s.tileCols);
  b.spec.outputs = {b.reduce(Reduction::Sum, {rows, fixed(96), fixed(40)}, 2,
                             b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}))};
  checkAll(b.spec, s, {{1}, {3}, {10}}, 1e-5);
}

TEST(Gemm, BatchLoopOutsideTheRows) {
  Builder b(2);
  Schedule s = schedule(Recipe::Gemm);
  int x = b.input({dim(0), dim(1), fixed(32)}),
      w = b.input({fixed(32), fixed(96)}, ScalarType::F32, s.tileCols);
  b.spec.outputs = {b.reduce(Reduction::Sum, {dim(0), dim(1), fixed(96), fixed(32)}, 3,
                             b.at(x, {loop(0), loop(1), loop(3)}) * b.at(w, {loop(3), loop(2)}))};
  checkAll(b.spec, s, {{1, 1}, {3, 5}, {2, 37}}, 1e-5);
}

TEST(Gemm, ComputedOperandAndTwoOutputs) {
  Builder b(1);
  Schedule s = schedule(Recipe::Gemm);
  std::vector<Extent> full = {dim(0), fixed(96)};
  int x = b.input({dim(0), fixed(50)}),
      w = b.input({fixed(50), fixed(96)}, ScalarType::F32, s.tileCols);
  int t = b.map({dim(0), fixed(50)}, op(UnaryOp::Tanh, b.at(x, {loop(0), loop(1)})));
  int y = b.reduce(Reduction::Sum, {dim(0), fixed(96), fixed(50)}, 2,
                   b.at(t, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}));
  int z = b.map(full, op(UnaryOp::Neg, b.at(y, {loop(0), loop(1)})));
  b.spec.outputs = {y, z};
  checkAll(b.spec, s, {{1}, {9}, {100}}, 1e-5);
}

TEST(Gemm, FirstRowOfEachSequence) { // the pooler reads x[b, 0, k]
  Builder b(2);
  Schedule s = schedule(Recipe::Gemm);
  int x = b.input({dim(0), dim(1), fixed(48)}),
      w = b.input({fixed(48), fixed(48)}, ScalarType::F32, s.tileCols);
  int y = b.reduce(Reduction::Sum, {dim(0), fixed(48), fixed(48)}, 2,
                   b.at(x, {loop(0), whole(0), loop(2)}) * b.at(w, {loop(2), loop(1)}));
  b.spec.outputs = {b.map({dim(0), fixed(48)}, op(UnaryOp::Tanh, b.at(y, {loop(0), loop(1)})))};
  checkAll(b.spec, s, {{1, 3}, {17, 2}}, 1e-5);
}

TEST(Gemm, RowsDoNotDependOnTheBatch) {
  auto check = [](Linear::Epilogue epilogue, int64_t columns, bool narrow) {
    Schedule s = schedule(Recipe::Gemm, narrow);
    Linear linear(dim(0), 64, columns, s, epilogue, 1);
    SCOPED_TRACE(linear.b.spec.print() + s.print());
    checkBits(linear.b.spec, s, {{40}});
  };
  check(Linear::Bias, 100, false), check(Linear::Bias, 52, true);
  check(Linear::Gelu, 96, false), check(Linear::Gelu, 48, true);
  check(Linear::Residual, 100, false), check(Linear::Residual, 52, true);
}

TEST(Gemm, SequencesDoNotDependOnTheBatch) {
  Schedule s = schedule(Recipe::Gemm);
  Linear merged({1, {0, 1}}, 40, 96, s, Linear::Gelu, 2);
  checkBits(merged.b.spec, s, {{5, 7}, {3, 37}});
}

TEST(Gemm, RefusesWhatIsNoGemm) {
  Builder b(1);
  Schedule s = schedule(Recipe::Gemm);
  int x = b.input({dim(0), fixed(30)}),
      w = b.input({fixed(30), fixed(96)}, ScalarType::F32, s.tileCols);
  int y = b.reduce(Reduction::Sum, {dim(0), fixed(96), fixed(30)}, 2,
                   b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}));
  // The output is a transposed view of the product.
  b.spec.outputs = {b.map({fixed(96), dim(0)}, b.at(y, {loop(1), loop(0)}))};
  KernelObject object;
  std::string error;
  EXPECT_FALSE(halide::emitKernel(b.spec, s, hostCpu(), "kernel", object, error));
  EXPECT_NE(error.find("the schedule is for a gemm, which the spec is not"), std::string::npos)
      << error;
}

} // namespace rapt::kernels::test
