//===- PointwiseTest.cpp - Kernels without a reduction -------------------------*- C++ -*-===//
#include "Bits.h"

namespace rapt::kernels::test {

using Recipe = Schedule::Recipe;

TEST(Pointwise, GeluOfBiasAtEverySize) {
  for (bool narrow : {false, true})
    for (int64_t width : {1, 5, 16, 48, 384}) {
      Builder b(2);
      int x = b.input({dim(0), dim(1), fixed(width)}), bias = b.input({fixed(width)});
      ExprRef v = b.at(x, {loop(0), loop(1), loop(2)}) + b.at(bias, {loop(2)});
      b.spec.outputs = {
          b.map({dim(0), dim(1), fixed(width)},
                real(0.5) * v * (real(1) + op(UnaryOp::Erf, v * real(0.70710678118654752))))};
      checkAll(b.spec, schedule(Recipe::Pointwise, narrow), {{1, 1}, {2, 7}, {3, 129}}, 2e-6, 4);
    }
}

TEST(Pointwise, ElementsDoNotDependOnTheirPlace) {
  for (bool narrow : {false, true})
    for (int64_t width : {1, 5, 48}) {
      Builder b(1);
      int x = b.input({dim(0), fixed(width)}), bias = b.input({fixed(width)});
      ExprRef v = b.at(x, {loop(0), loop(1)}) * real(3) + b.at(bias, {loop(1)});
      b.spec.outputs = {
          b.map({dim(0), fixed(width)},
                v * op(UnaryOp::Erf, v) + op(UnaryOp::Exp, v) * op(UnaryOp::Tanh, v))};
      checkBits(b.spec, schedule(Recipe::Pointwise, narrow), {{40}});
    }
}

TEST(Pointwise, DynamicInnermostAndMergedExtent) {
  Builder b(2);
  int x = b.input({{3, {0, 1}}}), y = b.input({dim(0), dim(1)});
  int twice = b.map({{3, {0, 1}}}, b.at(x, {loop(0)}) * real(2));
  int sum = b.map({dim(0), dim(1)},
                  b.at(y, {loop(0), loop(1)}) + b.at(x, {loop(0) * Expr::makeDim(1) + loop(1)}));
  b.spec.outputs = {twice, sum};
  checkAll(b.spec, schedule(Recipe::Pointwise), {{1, 1}, {2, 9}, {1, 16}, {300, 61}}, 1e-6);
}

TEST(Pointwise, BlocksEndWithTheirLastElement) {
  for (bool narrow : {false, true}) {
    Schedule s = schedule(Recipe::Pointwise, narrow);
    Builder b(1);
    int x = b.input({dim(0)});
    b.spec.outputs = {b.map({dim(0)}, op(UnaryOp::Exp, b.at(x, {loop(0)})))};
    checkAll(b.spec, s, {{1}, {8}, {16383}, {16384}, {16385}, {16401}, {40000}}, 1e-6);
    Builder fixedSize(0);
    int y = fixedSize.input({fixed(16448)});
    fixedSize.spec.outputs = {
        fixedSize.map({fixed(16448)}, op(UnaryOp::Exp, fixedSize.at(y, {loop(0)})))};
    checkAll(fixedSize.spec, s, {{}}, 1e-6);
    // A few elements take a small part of the time of a whole block: less than a 500th without the
    // call itself.
    LoadedKernel kernel(b.spec, s, hostCpu(narrow));
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    EXPECT_LT(8 * kernel.time({8}, 500, 1), kernel.time({16384}, 500, 1));
  }
}

TEST(Pointwise, EveryElementaryFunction) {
  struct Case {
    UnaryOp op;
    double scale, shift, tolerance;
  };
  for (Case c : {Case{UnaryOp::Exp, 20, 0, 1e-6},
                 {UnaryOp::Exp, 88, 0, 1e-6},
                 {UnaryOp::Log, 3, 3.5, 1e-6},
                 {UnaryOp::Erf, 6, 0, 1e-6},
                 {UnaryOp::Tanh, 12, 0, 1e-6},
                 {UnaryOp::Sin, 1000, 0, 1e-6},
                 {UnaryOp::Cos, 1000, 0, 1e-6},
                 {UnaryOp::Sqrt, 3, 3.5, 1e-6},
                 {UnaryOp::Rsqrt, 3, 3.5, 1e-6},
                 {UnaryOp::Floor, 9, 0, 0},
                 {UnaryOp::Ceil, 9, 0, 0},
                 {UnaryOp::Round, 9, 0, 0},
                 {UnaryOp::Abs, 9, 0, 0},
                 {UnaryOp::Neg, 9, 0, 0}}) {
    Builder b(1);
    int x = b.input({dim(0)});
    b.spec.outputs = {b.map({dim(0)}, op(c.op, b.at(x, {loop(0)}) + real(c.shift)))};
    // The interpreter must see the f32 sum, as the kernel does.
    LoadedKernel kernel(b.spec, schedule(Recipe::Pointwise), hostCpu());
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    for (const std::string &symbol : importedSymbols(kernel.object.object))
      EXPECT_EQ(symbol.find("halide_") == 0 || symbol == "_GLOBAL_OFFSET_TABLE_", true) << symbol;
    auto inputs = randomInputs(b.spec, {1003}, c.scale);
    auto truth = interpret(b.spec, {1003}, inputs, Rounding::Single);
    EXPECT_LE(difference(kernel.run({1003}, inputs)[0], truth[1]), c.tolerance)
        << static_cast<int>(c.op);
  }
}

TEST(Pointwise, PowersOfBothSigns) {
  for (double exponent : {2.0, 3.0, 0.5, -1.0, 2.5}) {
    Builder b(1);
    int x = b.input({dim(0)});
    b.spec.outputs = {
        b.map({dim(0)}, op(BinaryOp::Pow, op(UnaryOp::Abs, b.at(x, {loop(0)})), real(exponent)))};
    checkAll(b.spec, schedule(Recipe::Pointwise), {{100}}, 1e-5, 3);
  }
}

TEST(Pointwise, SelectsIntegersAndBools) {
  Builder b(1);
  int mask = b.input({dim(0)}, ScalarType::I64), flag = b.input({dim(0)}, ScalarType::Bool);
  ExprRef m = b.at(mask, {loop(0)}), keep = op(BinaryOp::Gt, m, whole(3));
  int bias = b.map({dim(0)}, Expr::makeSelect(keep, real(0), real(-HUGE_VAL)));
  int both = b.map({dim(0)}, op(BinaryOp::And, keep, b.at(flag, {loop(0)})));
  int scaled = b.map({dim(0)},
                     (real(1) - Expr::makeCast(ScalarType::F32, m)) * real(-3.4028234663852886e38));
  int rest = b.map({dim(0)}, op(BinaryOp::Mod, m - whole(3), whole(2)) +
                                 op(BinaryOp::Div, m - whole(5), whole(2)));
  int counted =
      b.map({dim(0)}, Expr::makeCast(ScalarType::I64, b.at(flag, {loop(0)})) * whole(5000000000));
  b.spec.outputs = {bias, both, scaled, rest, counted};
  // -3.4e38 * 2 overflows: inputs of 0 and 1 only decide where it does not.
  LoadedKernel kernel(b.spec, schedule(Recipe::Pointwise), hostCpu());
  ASSERT_TRUE(kernel.ok()) << kernel.error;
  for (int64_t size : {1, 15, 64, 129}) {
    auto inputs = randomInputs(b.spec, {size}, 1, 7);
    auto truth = interpret(b.spec, {size}, inputs);
    auto outputs = kernel.run({size}, inputs);
    for (int i : {0, 1, 3, 4})
      EXPECT_EQ(outputs[i], truth[b.spec.outputs[i]]) << "output " << i << " size " << size;
  }
}

TEST(Pointwise, GatherStaysInsideTheTable) {
  Builder b(2);
  int ids = b.input({dim(0), dim(1)}, ScalarType::I64), table = b.input({fixed(5), fixed(24)});
  b.spec.outputs = {
      b.map({dim(0), dim(1), fixed(24)}, b.at(table, {b.at(ids, {loop(0), loop(1)}), loop(2)}))};
  checkAll(b.spec, schedule(Recipe::Pointwise), {{1, 1}, {2, 9}}, 0, 1, 100); // ids up to 99
}

TEST(Pointwise, ConcatReadsOnlyTheTakenSide) {
  Builder b(1);
  int left = b.input({dim(0), fixed(20)}), right = b.input({dim(0), fixed(13)});
  ExprRef first = op(BinaryOp::Lt, loop(1), whole(20));
  b.spec.outputs = {
      b.map({dim(0), fixed(33)}, Expr::makeSelect(first, b.at(left, {loop(0), loop(1) + whole(0)}),
                                                  b.at(right, {loop(0), loop(1) - whole(20)})))};
  checkAll(b.spec, schedule(Recipe::Pointwise), {{1}, {4}}, 0);
}

TEST(Pointwise, ScalarResult) {
  Builder b(0);
  int x = b.input({});
  b.spec.outputs = {b.map({}, b.at(x, {}) + real(1))};
  checkAll(b.spec, schedule(Recipe::Pointwise), {{}}, 1e-6);
}

} // namespace rapt::kernels::test
