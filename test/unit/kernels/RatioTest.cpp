//===- RatioTest.cpp - Scheduled kernels beside plain loops --------------------*- C++ -*-===//
//
// A gate against slow schedules that no busy machine trips over: both sides run in this process, in
// turn, and a schedule that works is faster by ten times and more where three are asked for.
//
//===-------------------------------------------------------------------------------------===//
#include "Specs.h"

#include <chrono>

namespace rapt::kernels::test {

namespace {

constexpr int64_t kRows = 64, kDepth = 256, kColumns = 384;

/// sum over k of x[m, k] * w[k, n], one element after the other.
[[gnu::noinline]] void plainGemm(const float *x, const float *w, float *y) {
  for (int64_t m = 0; m < kRows; ++m)
    for (int64_t n = 0; n < kColumns; ++n) {
      float sum = 0;
      for (int64_t k = 0; k < kDepth; ++k)
        sum += x[m * kDepth + k] * w[k * kColumns + n];
      y[m * kColumns + n] = sum;
    }
}

/// softmax(q k' / 8) v for `heads` heads of 64 over `keys` keys, [heads][keys][64] each.
[[gnu::noinline]] void plainAttention(int64_t heads, int64_t keys, const float *q, const float *k,
                                      const float *v, float *y) {
  std::vector<float> scores(keys);
  for (int64_t h = 0; h < heads; ++h, q += keys * 64, k += keys * 64, v += keys * 64)
    for (int64_t i = 0; i < keys; ++i, y += 64) {
      float largest = -1e30f, sum = 0;
      for (int64_t j = 0; j < keys; ++j) {
        scores[j] = 0;
        for (int64_t d = 0; d < 64; ++d)
          scores[j] += q[i * 64 + d] * k[j * 64 + d] / 8;
        largest = std::max(largest, scores[j]);
      }
      for (int64_t j = 0; j < keys; ++j)
        sum += scores[j] = std::exp(scores[j] - largest);
      for (int64_t d = 0; d < 64; ++d) {
        y[d] = 0;
        for (int64_t j = 0; j < keys; ++j)
          y[d] += scores[j] / sum * v[j * 64 + d];
      }
    }
}

template <typename Body> double secondsOf(const Body &body) {
  auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Times of the plain loops over times of the kernel, best of turns that alternate.
template <typename Body>
double ratio(LoadedKernel &kernel, const std::vector<int64_t> &dims, const Body &plain) {
  double best = 1e30, bestPlain = 1e30;
  for (int turn = 0; turn < 5; ++turn) {
    best = std::min(best, kernel.time(dims, 3, 1));
    bestPlain = std::min(bestPlain, secondsOf(plain));
  }
  return bestPlain / best;
}

std::vector<float> someValues(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(i % 17) / 17 - 0.5f;
  return values;
}

} // namespace

TEST(Ratio, GemmBesidePlainLoops) {
  for (bool narrow : {false, true}) {
    Schedule s = schedule(Schedule::Recipe::Gemm, narrow);
    Builder b(1);
    int x = b.input({dim(0), fixed(kDepth)}),
        w = b.input({fixed(kDepth), fixed(kColumns)}, ScalarType::F32, s.tileCols);
    b.spec.outputs = {b.reduce(Reduction::Sum, {dim(0), fixed(kColumns), fixed(kDepth)}, 2,
                               b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}))};
    LoadedKernel kernel(b.spec, s, hostCpu(narrow));
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    std::vector<float> left = someValues(kRows * kDepth), right = someValues(kDepth * kColumns),
                       result(kRows * kColumns);
    EXPECT_GT(ratio(kernel, {kRows}, [&] { plainGemm(left.data(), right.data(), result.data()); }),
              3);
    EXPECT_TRUE(std::isfinite(result[0]));
  }
}

TEST(Ratio, AttentionBesidePlainLoops) {
  constexpr int64_t heads = 4, keys = 128;
  Schedule s = schedule(Schedule::Recipe::Attention);
  Builder b(1);
  std::vector<Extent> shape = {fixed(1), fixed(heads), dim(0), fixed(64)};
  AttentionStage stage;
  stage.batch = fixed(1), stage.queries = stage.keys = dim(0);
  stage.heads = stage.kvHeads = heads, stage.headDim = stage.valueDim = 64;
  stage.scale = 0.125;
  ExprRef *parts[] = {&stage.query, &stage.key, &stage.value};
  for (ExprRef *part : parts)
    *part = b.at(b.input(shape), {loop(0), loop(1), loop(2), loop(3)});
  b.spec.outputs = {b.attention(stage)};
  LoadedKernel kernel(b.spec, s, hostCpu());
  ASSERT_TRUE(kernel.ok()) << kernel.error;
  std::vector<float> q = someValues(heads * keys * 64), result(heads * keys * 64);
  EXPECT_GT(
      ratio(kernel, {keys},
            [&] { plainAttention(heads, keys, q.data(), q.data(), q.data(), result.data()); }),
      3);
  EXPECT_TRUE(std::isfinite(result[0]));
}

} // namespace rapt::kernels::test
