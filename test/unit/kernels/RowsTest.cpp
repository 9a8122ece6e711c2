//===- RowsTest.cpp - Reductions along rows, and Loops on the same specs -------*- C++ -*-===//
#include "Bits.h"

namespace rapt::kernels::test {

using Recipe = Schedule::Recipe;

/// LayerNorm of `v` over loops (dim 0, dim 1, width), as the stages of a decomposed LayerNorm.
static int layerNorm(Builder &b, int v, Extent width, ExprRef count, int scale, int bias) {
  std::vector<Extent> row = {dim(0), dim(1)}, full = {dim(0), dim(1), width};
  auto value = [&](int t) { return b.at(t, {loop(0), loop(1), loop(2)}); };
  auto scalar = [&](int t) { return b.at(t, {loop(0), loop(1)}); };
  int sum = b.reduce(Reduction::Sum, full, 2, value(v));
  int mean = b.map(row, scalar(sum) / count);
  int centred = b.map(full, value(v) - scalar(mean));
  int squares = b.reduce(Reduction::Sum, full, 2, value(centred) * value(centred));
  int deviation = b.map(row, op(UnaryOp::Sqrt, scalar(squares) / count + real(1e-12)));
  return b.map(full,
               value(centred) / scalar(deviation) * b.at(scale, {loop(2)}) + b.at(bias, {loop(2)}));
}

TEST(Rows, LayerNormWithResidualAndItsSum) {
  for (Recipe recipe : {Recipe::Rows, Recipe::Loops})
    for (int64_t width : {3, 20, 64, 384, 768}) {
      Builder b(2);
      std::vector<Extent> full = {dim(0), dim(1), fixed(width)};
      int x = b.input(full), r = b.input(full), scale = b.input({fixed(width)}),
          bias = b.input({fixed(width)});
      int s =
          b.map(full, b.at(x, {loop(0), loop(1), loop(2)}) + b.at(r, {loop(0), loop(1), loop(2)}));
      int out = layerNorm(b, s, fixed(width), real(width), scale, bias);
      b.spec.outputs = {s, out};
      checkAll(b.spec, schedule(recipe, width == 20 || width == 64), {{1, 1}, {2, 7}, {1, 129}},
               1e-5);
    }
}

TEST(Rows, RowsDoNotDependOnTheBatch) {
  for (Recipe recipe : {Recipe::Rows, Recipe::Loops})
    for (bool narrow : {false, true}) {
      int64_t width = narrow ? 20 : 100;
      Builder b(2);
      std::vector<Extent> full = {dim(0), dim(1), fixed(width)};
      int x = b.input(full), scale = b.input({fixed(width)}), bias = b.input({fixed(width)});
      b.spec.outputs = {layerNorm(b, x, fixed(width), real(width), scale, bias)};
      checkBits(b.spec, schedule(recipe, narrow), {{40, 1}, {5, 7}});

      Builder softmax(2);
      x = softmax.input({dim(0), dim(1)});
      auto value = [&](int t) { return softmax.at(t, {loop(0), loop(1)}); };
      int largest = softmax.reduce(Reduction::Max, {dim(0), dim(1)}, 1, value(x));
      int e = softmax.map({dim(0), dim(1)},
                          op(UnaryOp::Exp, value(x) - softmax.at(largest, {loop(0)})));
      int sum = softmax.reduce(Reduction::Sum, {dim(0), dim(1)}, 1, value(e));
      softmax.spec.outputs = {softmax.map({dim(0), dim(1)}, value(e) / softmax.at(sum, {loop(0)}))};
      checkBits(softmax.spec, schedule(recipe, narrow), {{9, 5}, {9, 37}});
    }
}

TEST(Rows, EmbeddingsWithLayerNorm) {
  Builder b(2);
  int ids = b.input({dim(0), dim(1)}, ScalarType::I64), table = b.input({fixed(100), fixed(384)}),
      positions = b.input({fixed(64), fixed(384)}), scale = b.input({fixed(384)}),
      bias = b.input({fixed(384)});
  int sum =
      b.map({dim(0), dim(1), fixed(384)}, b.at(table, {b.at(ids, {loop(0), loop(1)}), loop(2)}) +
                                              b.at(positions, {loop(1), loop(2)}));
  b.spec.outputs = {layerNorm(b, sum, fixed(384), real(384), scale, bias)};
  checkAll(b.spec, schedule(Recipe::Rows), {{1, 1}, {3, 37}}, 1e-5, 1, 120);
}

TEST(Rows, SoftmaxOfDynamicRows) {
  for (Recipe recipe : {Recipe::Rows, Recipe::Loops})
    for (bool narrow : {false, true}) {
      Builder b(2);
      std::vector<Extent> full = {dim(0), dim(1)};
      int x = b.input(full);
      auto value = [&](int t) { return b.at(t, {loop(0), loop(1)}); };
      int largest = b.reduce(Reduction::Max, full, 1, value(x));
      int e = b.map(full, op(UnaryOp::Exp, value(x) - b.at(largest, {loop(0)})));
      int sum = b.reduce(Reduction::Sum, full, 1, value(e));
      b.spec.outputs = {b.map(full, value(e) / b.at(sum, {loop(0)}))};
      checkAll(b.spec, schedule(recipe, narrow),
               {{1, 1}, {2, 5}, {3, 16}, {2, 37}, {40, 129}, {1, 2000}}, 1e-6, 10);
    }
}

TEST(Rows, L2NormOfRows) {
  Builder b(1);
  int x = b.input({dim(0), fixed(384)});
  ExprRef v = b.at(x, {loop(0), loop(1)});
  int squares = b.reduce(Reduction::Sum, {dim(0), fixed(384)}, 1, v * v);
  int norm =
      b.map({dim(0)}, op(BinaryOp::Max, op(UnaryOp::Sqrt, b.at(squares, {loop(0)})), real(1e-12)));
  b.spec.outputs = {b.map({dim(0), fixed(384)}, v / b.at(norm, {loop(0)}))};
  checkAll(b.spec, schedule(Recipe::Rows), {{1}, {7}, {100}}, 1e-6);
}

TEST(Loops, MeanPoolingOverTheSequence) {
  Builder b(2);
  int x = b.input({dim(0), dim(1), fixed(40)}), mask = b.input({dim(0), dim(1)}, ScalarType::I64);
  // loops (b, h, s): s is reduced
  ExprRef m = Expr::makeCast(ScalarType::F32, b.at(mask, {loop(0), loop(2)}));
  int sum = b.reduce(Reduction::Sum, {dim(0), fixed(40), dim(1)}, 2,
                     b.at(x, {loop(0), loop(2), loop(1)}) * m);
  ExprRef weight = Expr::makeCast(ScalarType::F32, b.at(mask, {loop(0), loop(1)}));
  int count = b.reduce(Reduction::Sum, {dim(0), dim(1)}, 1, weight);
  ExprRef divisor = op(BinaryOp::Max, b.at(count, {loop(0)}), real(1e-9));
  b.spec.outputs = {b.map({dim(0), fixed(40)}, b.at(sum, {loop(0), loop(1)}) / divisor)};
  checkAll(b.spec, schedule(Recipe::Rows), {{1, 1}, {2, 7}, {3, 129}},
           1e-5); // Rows falls back to Loops
  checkBits(b.spec, schedule(Recipe::Loops), {{5, 37}});
}

TEST(Loops, ContractionOfTwoInputs) {
  Builder b(1);
  int x = b.input({dim(0), fixed(20)}), w = b.input({fixed(20), fixed(33)});
  int y = b.reduce(Reduction::Sum, {dim(0), fixed(33), fixed(20)}, 2,
                   b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}));
  b.spec.outputs = {b.map({dim(0), fixed(33)}, op(UnaryOp::Tanh, b.at(y, {loop(0), loop(1)})))};
  checkAll(b.spec, schedule(Recipe::Loops), {{1}, {9}}, 1e-5);
}

TEST(Loops, DynamicInnermostContraction) {
  Builder b(2);
  int x = b.input({dim(0), fixed(20)}), w = b.input({fixed(20), dim(1)});
  b.spec.outputs = {b.reduce(Reduction::Sum, {dim(0), dim(1), fixed(20)}, 2,
                             b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}))};
  checkAll(b.spec, schedule(Recipe::Loops), {{1, 1}, {9, 31}, {2, 64}}, 1e-5);
}

TEST(Loops, OutputsOfDifferentShapes) {
  Builder b(1);
  int x = b.input({dim(0), fixed(50)});
  ExprRef v = b.at(x, {loop(0), loop(1)});
  int largest = b.reduce(Reduction::Max, {dim(0), fixed(50)}, 1, v);
  int least = b.reduce(Reduction::Min, {dim(0), fixed(50)}, 1, v);
  int shifted = b.map({dim(0), fixed(50)}, v - b.at(largest, {loop(0)}));
  b.spec.outputs = {largest, shifted, least};
  checkAll(b.spec, schedule(Recipe::Loops), {{1}, {30}}, 1e-6);
}

} // namespace rapt::kernels::test
