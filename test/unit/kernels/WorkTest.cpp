//===- WorkTest.cpp - Operations and bytes of kernels --------------------------*- C++ -*-===//
#include "compiler/Kernels/Work.h"
#include "Specs.h"

namespace rapt::kernels::test {

TEST(Work, PolynomialsCombineLikeTerms) {
  ExtentSum sum = Extent{3, {0, 1}};
  sum.add({2, {0}});
  sum.add({-1, {0, 1}});
  sum.add({7, {}});
  EXPECT_EQ(sum.print(), "7 + 2*d0 + 2*d0*d1");
  EXPECT_EQ((sum * Extent{-1, {1}}).print(), "-7*d1 - 2*d0*d1 - 2*d0*d1*d1");
  EXPECT_EQ((sum + sum * Extent{-1, {}}).print(), "0");
  EXPECT_EQ(sum.evaluate({10, 3}), 7 + 20 + 60);
  EXPECT_EQ(ExtentSum(Extent{int64_t(1) << 62, {0, 0}}).evaluate({1 << 30}), std::ldexp(1, 122));
}

TEST(Work, LinearWithResidual) {
  Builder b(2);
  Extent rows{1, {0, 1}};
  int x = b.input({rows, fixed(384)}),
      w = b.input({fixed(384), fixed(1536)}, ScalarType::F16, /*panel=*/48),
      residual = b.input({rows, fixed(1536)});
  int y = b.reduce(Reduction::Sum, {rows, fixed(1536), fixed(384)}, 2,
                   b.at(x, {loop(0), loop(2)}) *
                       Expr::makeCast(ScalarType::F32, b.at(w, {loop(2), loop(1)})));
  b.spec.outputs = {
      b.map({rows, fixed(1536)}, b.at(y, {loop(0), loop(1)}) + b.at(residual, {loop(0), loop(1)}))};
  Work work = workOf(b.spec);
  EXPECT_EQ(work.flops.print(), "1179648*d0*d1"); // 2 * 384 * 1536
  EXPECT_EQ(work.bytes.print(), "1179648 + 13824*d0*d1");
  EXPECT_EQ(work.flops.evaluate({2, 128}), 2.0 * 384 * 1536 * 256);
}

TEST(Work, NormsCountBytesOnly) {
  Builder b(1);
  int x = b.input({dim(0), fixed(64)}), scale = b.input({fixed(64)});
  ExprRef element = b.at(x, {loop(0), loop(1)});
  int mean = b.reduce(Reduction::Sum, {dim(0), fixed(64)}, 1, element * real(1.0 / 64));
  ExprRef centered = element - b.at(mean, {loop(0)});
  int variance = b.reduce(Reduction::Sum, {dim(0), fixed(64)}, 1, centered * centered);
  b.spec.outputs = {
      b.map({dim(0), fixed(64)},
            centered * op(UnaryOp::Rsqrt, b.at(variance, {loop(0)})) * b.at(scale, {loop(1)}))};
  Work work = workOf(b.spec);
  EXPECT_EQ(work.flops.print(), "0");
  EXPECT_EQ(work.bytes.print(), "256 + 512*d0");
}

TEST(Work, AProductWithAVectorCounts) {
  Builder b(0);
  int x = b.input({fixed(40)}), w = b.input({fixed(40), fixed(3)});
  b.spec.outputs = {b.reduce(Reduction::Sum, {fixed(3), fixed(40)}, 1,
                             b.at(x, {loop(1)}) * b.at(w, {loop(1), loop(0)}))};
  EXPECT_EQ(workOf(b.spec).flops.print(), "240");
}

TEST(Work, GatherReadsWhatItTakes) {
  Builder b(1);
  int table = b.input({fixed(30522), fixed(384)}), ids = b.input({dim(0)}, ScalarType::I64);
  b.spec.outputs = {b.map({dim(0), fixed(384)}, b.at(table, {b.at(ids, {loop(0)}), loop(1)}))};
  EXPECT_EQ(workOf(b.spec).bytes.print(), "3080*d0"); // 8 + 384 * 4 twice
}

TEST(Work, PartsOfATensorAddUpToItAtMost) {
  Builder b(1);
  int x = b.input({dim(0), fixed(96)});
  auto part = [&](int64_t from) { return b.at(x, {loop(0), loop(1) + whole(from)}); };
  b.spec.outputs = {b.map({dim(0), fixed(32)}, part(0) + part(32) + part(32))};
  EXPECT_EQ(workOf(b.spec).bytes.print(), "384*d0"); // two of three parts, and the result
  ExprRef turned = b.at(x, {loop(0), op(BinaryOp::FloorMod, loop(1) + whole(48), whole(96))});
  b.spec.outputs = {b.map({dim(0), fixed(96)}, turned + b.at(x, {loop(0), loop(1)}))};
  EXPECT_EQ(workOf(b.spec).bytes.print(), "768*d0");
}

namespace {
/// Heads 6 on 2, 32 dims of keys and 16 of values; dims are queries and keys.
Builder attention(std::optional<ExprRef> causalOffset) {
  Builder b(2);
  int q = b.input({fixed(2), fixed(6), dim(0), fixed(32)}),
      k = b.input({fixed(2), fixed(2), dim(1), fixed(32)}),
      v = b.input({fixed(2), fixed(2), dim(1), fixed(16)}),
      mask = b.input({dim(1)}, ScalarType::Bool);
  auto plain = [&](int t) { return b.at(t, {loop(0), loop(1), loop(2), loop(3)}); };
  AttentionStage stage;
  stage.batch = fixed(2), stage.queries = dim(0), stage.keys = dim(1);
  stage.heads = 6, stage.kvHeads = 2, stage.headDim = 32, stage.valueDim = 16;
  stage.causalOffset = std::move(causalOffset);
  stage.query = plain(q), stage.key = plain(k), stage.value = plain(v);
  stage.mask = b.at(mask, {loop(3)});
  b.spec.outputs = {b.attention(stage)};
  return b;
}
} // namespace

TEST(Work, Attention) {
  Work work = workOf(attention(std::nullopt).spec);
  EXPECT_EQ(work.flops.print(), "1152*d0*d1"); // 2 * 2 * 6 * (32 + 16)
  EXPECT_EQ(work.bytes.print(), "2304*d0 + 769*d1");
}

TEST(Work, CausalAttentionCountsWhatIsSeen) {
  Work work = workOf(attention(Expr::makeDim(1) - Expr::makeDim(0)).spec);
  for (auto [queries, keys] : {std::pair<int64_t, int64_t>{1, 1}, {1, 50}, {7, 40}, {40, 40}}) {
    int64_t pairs = 0;
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t j = 0; j < keys; ++j)
        pairs += j <= i + keys - queries;
    EXPECT_EQ(work.flops.evaluate({queries, keys}), 1152.0 * pairs) << queries << " " << keys;
  }
  // Offsets that hide nothing, or an unknown number of pairs: all of them.
  for (const ExprRef &offset : {whole(1 << 29), whole(0), Expr::makeDim(1)})
    EXPECT_EQ(workOf(attention(offset).spec).flops.print(), "1152*d0*d1");
}

} // namespace rapt::kernels::test
