//===- AccuracyTest.cpp - Elementary functions against float64, in ULP ---------*- C++ -*-===//
//
// Sweeps over the bit patterns of f32 through compiled kernels, for the widest vectors of this
// machine and for AVX2. docs/semantics.md has the bounds.
//
//===-------------------------------------------------------------------------------------===//
#include "Specs.h"

#include <cfloat>
#include <cstring>
#include <functional>

namespace rapt::kernels::test {

using Recipe = Schedule::Recipe;

namespace {
/// Every `stride`-th f32 from `from` to `to` (of one sign, `to` further from 0), then `to` itself.
void sweep(Values &values, float from, float to, uint32_t stride) {
  uint32_t first, last;
  memcpy(&first, &from, 4), memcpy(&last, &to, 4);
  for (uint64_t bits = first; bits < last; bits += stride) {
    uint32_t narrow = bits;
    float value;
    memcpy(&value, &narrow, 4);
    values.push_back(value);
  }
  values.push_back(to);
}

/// |actual - truth| in units of the last place that f32 has at `truth`.
double ulps(double actual, double truth) {
  int exponent;
  frexp(std::max(std::abs(truth), static_cast<double>(FLT_MIN)), &exponent);
  return std::abs(actual - truth) / ldexp(1.0, exponent - 24);
}

struct Worst {
  double error = 0, at = 0;
  void note(double candidate, double x) {
    if (!(candidate <= error))
      error = candidate, at = x;
  }
};

/// The kernel that applies `body` to its only input, of dim 0 elements.
Values apply(const Values &x, bool narrow, const std::function<ExprRef(ExprRef)> &body) {
  Builder b(1);
  int input = b.input({dim(0)});
  b.spec.outputs = {b.map({dim(0)}, body(b.at(input, {loop(0)})))};
  LoadedKernel kernel(b.spec, schedule(Recipe::Pointwise, narrow), hostCpu(narrow));
  EXPECT_TRUE(kernel.ok()) << kernel.error;
  return kernel.ok() ? kernel.run({static_cast<int64_t>(x.size())}, {x})[0] : Values(x.size());
}
} // namespace

TEST(Accuracy, ExpIsWithinFourUlp) {
  Values x;
  sweep(x, -0.0f, -104.0f, 1009);
  sweep(x, 0.0f, 88.72283f, 4001);
  sweep(x, -1e-3f, -1.001e-3f, 1);   // near 0
  sweep(x, -0.34657f, -0.34658f, 1); // where 2^n changes
  sweep(x, -86.98f, -87.0f, 7);      // where an attention's weight becomes 0
  sweep(x, -87.33f, -87.34f, 1);     // where the result becomes denormal
  sweep(x, -103.97f, -104.0f, 11);   // where it becomes 0
  for (bool narrow : {false, true}) {
    Values y = apply(x, narrow, [](ExprRef v) { return op(UnaryOp::Exp, v); });
    Worst worst;
    for (size_t i = 0; i < x.size(); ++i)
      if (double truth = std::exp(x[i]); truth >= FLT_MIN)
        worst.note(ulps(y[i], truth), x[i]);
      else // may be flushed to 0
        EXPECT_TRUE(y[i] == 0 || ulps(y[i], truth) <= 4) << x[i] << ": " << y[i];
    EXPECT_LE(worst.error, 4) << "at " << worst.at << (narrow ? " narrow" : "");
    RecordProperty(narrow ? "narrow" : "wide", std::to_string(worst.error));
  }
}

TEST(Accuracy, ExpOfAttentionIsWithinFourUlp) {
  // With two keys, of which one has score 0 and value 0 and the other score x and value 1, the
  // result is e / (1 + e): the sum, its reciprocal and the product add at most 2.5 ULP.
  Values x;
  sweep(x, -1e-6f, -86.99f, 4001);
  sweep(x, -86.9f, -87.0f, 31);
  for (bool narrow : {false, true})
    for (auto variant :
         {Schedule::Variant::Strip, Schedule::Variant::Unfused, Schedule::Variant::Decode}) {
      Builder b(1);
      int q = b.input({dim(0)}), k = b.input({fixed(2)});
      AttentionStage stage;
      stage.batch = fixed(1), stage.queries = dim(0), stage.keys = fixed(2);
      stage.query = b.at(q, {loop(2)}), stage.key = stage.value = b.at(k, {loop(2)});
      b.spec.outputs = {b.attention(stage)};
      Schedule s = schedule(Recipe::Attention, narrow);
      s.variant = variant;
      LoadedKernel kernel(b.spec, s, hostCpu(narrow));
      ASSERT_TRUE(kernel.ok()) << kernel.error;
      Values y = kernel.run({static_cast<int64_t>(x.size())}, {x, {0, 1}})[0];
      Worst worst;
      for (size_t i = 0; i < x.size(); ++i)
        worst.note(ulps(y[i], std::exp(x[i]) / (1 + std::exp(x[i]))), x[i]);
      EXPECT_LE(worst.error, 4 + 2.5) << "at " << worst.at << (narrow ? " narrow" : "");
    }
}

TEST(Accuracy, ErfTanhAndGelu) {
  Values x;
  for (float sign : {1.0f, -1.0f}) {
    sweep(x, sign * 0.0f, sign * 1e-30f, 100003);
    sweep(x, sign * 1e-30f, sign * 20.0f, 2003);
    sweep(x, sign * 3.9f, sign * 3.93f, 3);  // the last of erf's range
    sweep(x, sign * 8.99f, sign * 9.01f, 3); // and of tanh's
    sweep(x, sign * 20.0f, sign * FLT_MAX, 100003);
  }
  auto erf = [](ExprRef v) { return op(UnaryOp::Erf, v); };
  auto tanh = [](ExprRef v) { return op(UnaryOp::Tanh, v); };
  auto gelu = [&](ExprRef v) {
    return real(0.5) * v * (real(1) + erf(v * real(0.70710678118654752)));
  };
  auto geluTanh = [&](ExprRef v) {
    ExprRef inner = real(0.79788456080286536) * (v + real(0.044715) * v * v * v);
    return real(0.5) * v * (real(1) + tanh(inner));
  };
  for (bool narrow : {false, true}) {
    Values erfs = apply(x, narrow, erf), tanhs = apply(x, narrow, tanh),
           gelus = apply(x, narrow, gelu), geluTanhs = apply(x, narrow, geluTanh);
    Worst ofErf, ofTanh, ofGelu, ofGeluTanh;
    for (size_t i = 0; i < x.size(); ++i) {
      double v = x[i], size = std::max(1.0, std::abs(v));
      ofErf.note(std::abs(erfs[i] - std::erf(v)), v);
      ofTanh.note(std::abs(tanhs[i] - std::tanh(v)), v);
      ofGelu.note(std::abs(gelus[i] - 0.5 * v * std::erfc(-v / std::sqrt(2))) / size, v);
      double inner = std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v);
      ofGeluTanh.note(std::abs(geluTanhs[i] - v / (1 + std::exp(-2 * inner))) / size, v);
    }
    EXPECT_LE(ofErf.error, 1e-6) << "at " << ofErf.at;
    EXPECT_LE(ofTanh.error, 1e-6) << "at " << ofTanh.at;
    EXPECT_LE(ofGelu.error, 1e-6) << "at " << ofGelu.at;
    EXPECT_LE(ofGeluTanh.error, 1e-6) << "at " << ofGeluTanh.at;
  }
}

} // namespace rapt::kernels::test
