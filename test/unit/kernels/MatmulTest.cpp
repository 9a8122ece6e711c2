//===- MatmulTest.cpp - Products of two operands, convolutions -----------------*- C++ -*-===//
#include "Bits.h"
#include "compiler/Kernels/Gemm.h"

namespace rapt::kernels::test {

using Recipe = Schedule::Recipe;

/// Fails if the recipe gives way to another one.
static void checkProduct(const KernelSpec &spec, bool narrow,
                         const std::vector<std::vector<int64_t>> &dims, double tolerance = 1e-5) {
  ASSERT_TRUE(matchProduct(spec).has_value()) << spec.print();
  checkAll(spec, schedule(Recipe::Matmul, narrow), dims, tolerance);
}

/// q[b, i, d] * k[b, j, d]: dims are b, i, j and d.
static KernelSpec scores(const Extent &depth) {
  Builder b(4);
  int q = b.input({dim(0), dim(1), depth}), k = b.input({dim(0), dim(2), depth});
  int s = b.reduce(Reduction::Sum, {dim(0), dim(1), dim(2), depth}, 3,
                   b.at(q, {loop(0), loop(1), loop(3)}) * b.at(k, {loop(0), loop(2), loop(3)}));
  b.spec.outputs = {b.map({dim(0), dim(1), dim(2)},
                          b.at(s, {loop(0), loop(1), loop(2)}) * real(0.125) + real(1))};
  return b.spec;
}

TEST(Matmul, EverySizeIsDynamic) {
  for (bool narrow : {false, true}) {
    std::vector<std::vector<int64_t>> dims;
    for (int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 37})
      dims.push_back({2, rows, 50, 13});
    for (int64_t columns : {1, 15, 16, 47, 48, 49, 97, 900})
      dims.push_back({1, 9, columns, 5});
    checkProduct(scores(dim(3)), narrow, dims);
    checkProduct(scores(fixed(64)), narrow, {{3, 20, 30, 1}});
  }
}

TEST(Matmul, EitherOperandOnEitherSideAndTransposed) {
  for (bool swapped : {false, true})
    for (bool transposed : {false, true}) {
      Builder b(2);
      int x = b.input(transposed ? std::vector{fixed(33), dim(0)} : std::vector{dim(0), fixed(33)}),
          y = b.input({dim(1), fixed(33)});
      ExprRef a = transposed ? b.at(x, {loop(2), loop(0)}) : b.at(x, {loop(0), loop(2)}),
              c = b.at(y, {loop(1), loop(2)});
      b.spec.outputs = {
          b.reduce(Reduction::Sum, {dim(0), dim(1), fixed(33)}, 2, swapped ? c * a : a * c)};
      checkProduct(b.spec, false, {{1, 1}, {6, 70}, {21, 48}});
    }
}

TEST(Matmul, ComputedOperands) {
  Builder b(2);
  int x = b.input({dim(0), fixed(24)}), y = b.input({fixed(24), dim(1)});
  int s = b.map({dim(0), fixed(24)}, op(UnaryOp::Tanh, b.at(x, {loop(0), loop(1)})));
  int t = b.map({fixed(24), dim(1)}, op(UnaryOp::Exp, b.at(y, {loop(0), loop(1)})));
  b.spec.outputs = {b.reduce(Reduction::Sum, {dim(0), dim(1), fixed(24)}, 2,
                             b.at(s, {loop(0), loop(2)}) * b.at(t, {loop(2), loop(1)}))};
  checkProduct(b.spec, false, {{5, 9}, {16, 100}}, 1e-4);
}

/// y[b, o, l] = bias[o] + sum of x[b, c, l * stride + k - pad] * w[o, c, k], zeros around x.
static KernelSpec convolution(int64_t channels, int64_t kernel, int64_t stride, int64_t pad) {
  Builder b(2); // batch, length
  int64_t outputs = 20;
  int x = b.input({dim(0), fixed(channels), dim(1)}),
      w = b.input({fixed(outputs), fixed(channels), fixed(kernel)}),
      bias = b.input({fixed(outputs)});
  std::vector<Extent> tile = {dim(0), fixed(outputs), dim(1)}, loops = tile;
  loops.insert(loops.end(), {fixed(channels), fixed(kernel)});
  ExprRef at = loop(2) * whole(stride) + loop(4) - whole(pad), end = Expr::makeDim(1) - whole(1);
  ExprRef inside = op(BinaryOp::Min, op(BinaryOp::Max, at, whole(0)), end);
  ExprRef value =
      Expr::makeSelect(op(BinaryOp::Eq, inside, at), b.at(x, {loop(0), loop(3), inside}), real(0));
  int sum = b.reduce(Reduction::Sum, loops, 3, value * b.at(w, {loop(1), loop(3), loop(4)}));
  b.spec.outputs = {b.map(tile, b.at(sum, {loop(0), loop(1), loop(2)}) + b.at(bias, {loop(1)}))};
  return b.spec;
}

TEST(Matmul, Convolutions) {
  for (bool narrow : {false, true}) {
    checkProduct(convolution(5, 3, 1, 1), narrow, {{1, 1}, {2, 50}, {1, 300}});
    checkProduct(convolution(3, 10, 2, 0), narrow, {{1, 70}, {3, 17}});
  }
}

TEST(Matmul, RowsWhereTheLastOuterLoopIsOfTheOtherOperand) { // two dims of space
  Builder b(1);
  int x = b.input({fixed(4), fixed(12), dim(0)}), w = b.input({fixed(10), fixed(4), fixed(3)});
  std::vector<Extent> loops = {fixed(10), fixed(10), dim(0), fixed(4), fixed(3)};
  b.spec.outputs = {b.reduce(Reduction::Sum, loops, 3,
                             b.at(x, {loop(3), loop(1) + loop(4), loop(2)}) *
                                 b.at(w, {loop(0), loop(3), loop(4)}))};
  ASSERT_TRUE(matchProduct(b.spec).has_value());
  EXPECT_EQ(matchProduct(b.spec)->m, 0);
  checkProduct(b.spec, false, {{1}, {60}});
}

TEST(Matmul, BitsOfAProductDependOnNothingAroundIt) {
  for (bool narrow : {false, true}) {
    Builder b(1);
    int x = b.input({dim(0), fixed(70)}), y = b.input({fixed(100), fixed(70)});
    int s = b.reduce(Reduction::Sum, {dim(0), fixed(100), fixed(70)}, 2,
                     b.at(x, {loop(0), loop(2)}) * b.at(y, {loop(1), loop(2)}));
    b.spec.outputs = {b.map({dim(0), fixed(100)},
                            b.at(s, {loop(0), loop(1)}) * real(0.3) + b.at(s, {loop(0), loop(1)}))};
    checkBits(b.spec, schedule(Recipe::Matmul, narrow), {{20}});
  }
}

TEST(Matmul, WhatIsNoProduct) {
  auto matches = [](const std::function<void(Builder &, int, int)> &make) {
    Builder b(1);
    int x = b.input({dim(0), fixed(9)}), y = b.input({dim(0), fixed(9)});
    make(b, x, y);
    return matchProduct(b.spec).has_value();
  };
  std::vector<Extent> loops = {dim(0), dim(0), fixed(9)};
  auto a = [](Builder &b, int x) { return b.at(x, {loop(0), loop(2)}); };
  auto c = [](Builder &b, int y) { return b.at(y, {loop(1), loop(2)}); };
  EXPECT_TRUE(matches([&](Builder &b, int x, int y) {
    b.spec.outputs = {b.reduce(Reduction::Sum, loops, 2, a(b, x) * c(b, y))};
  }));
  EXPECT_FALSE(matches([&](Builder &b, int x, int y) { // a maximum
    b.spec.outputs = {b.reduce(Reduction::Max, loops, 2, a(b, x) * c(b, y))};
  }));
  EXPECT_FALSE(matches([&](Builder &b, int x, int y) { // a sum of sums
    b.spec.outputs = {b.reduce(Reduction::Sum, loops, 2, a(b, x) + c(b, y))};
  }));
  EXPECT_FALSE(matches([&](Builder &b, int x, int) { // one operand has all loops
    b.spec.outputs = {
        b.reduce(Reduction::Sum, loops, 2, a(b, x) * (b.at(x, {loop(1), loop(2)}) + a(b, x)))};
  }));
  EXPECT_FALSE(matches([&](Builder &b, int x, int y) { // rows that both operands have
    b.spec.outputs = {b.reduce(Reduction::Sum, {dim(0), fixed(9), dim(0)}, 2,
                               b.at(x, {loop(0), loop(1)}) * b.at(y, {loop(0), loop(1)}))};
  }));
  EXPECT_FALSE(matches([&](Builder &b, int x, int y) { // what follows is transposed
    int s = b.reduce(Reduction::Sum, loops, 2, a(b, x) * c(b, y));
    b.spec.outputs = {b.map({dim(0), dim(0)}, b.at(s, {loop(1), loop(0)}))};
  }));
}

} // namespace rapt::kernels::test
