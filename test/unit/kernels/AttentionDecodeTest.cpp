//===- AttentionDecodeTest.cpp - Attention of few queries, in every order of its keys --------===//
//
// Keys in chunks and whole, heads of a key beside each other and apart, few and many query heads
// for a kv head.
//
//===-------------------------------------------------------------------------------------===//
#include "Bits.h"

namespace rapt::kernels::test {

using EmptyRow = AttentionStage::EmptyRow;

namespace {
struct Case {
  int64_t heads, kvHeads, headDim, valueDim;
  bool headsInside; // [batch, keys, heads, dim]
};

constexpr Case cases[] = {{32, 1, 64, 64, false}, {9, 1, 20, 16, false},  {16, 2, 32, 48, true},
                          {4, 1, 64, 80, false},  {6, 3, 32, 40, true},   {5, 5, 24, 7, true},
                          {8, 8, 32, 16, true},   {24, 8, 16, 64, false}, {71, 1, 8, 8, false}};

enum class Exclude { Nothing, Padding, Band };

/// Dims: batch, queries, keys. Inputs: query, keys, values, a sink for each head, and with Padding
/// a mask [batch, keys].
KernelSpec fewQueries(const Case &self, Exclude exclude, EmptyRow empty, Extent keys = dim(2)) {
  Builder b(3);
  auto operand = [&](int64_t heads, int64_t width, const Extent &tokens) {
    if (self.headsInside)
      return b.at(b.input({dim(0), tokens, fixed(heads * width)}),
                  {loop(0), loop(2), loop(1) * whole(width) + loop(3)});
    return b.at(b.input({dim(0), fixed(heads), tokens, fixed(width)}),
                {loop(0), loop(1), loop(2), loop(3)});
  };
  AttentionStage stage;
  stage.batch = dim(0), stage.queries = dim(1), stage.keys = keys;
  stage.heads = self.heads, stage.kvHeads = self.kvHeads;
  stage.headDim = self.headDim, stage.valueDim = self.valueDim;
  stage.scale = 0.3, stage.emptyRow = empty;
  stage.query = operand(self.heads, self.headDim, dim(1));
  stage.key = operand(self.kvHeads, self.headDim, keys);
  stage.value = operand(self.kvHeads, self.valueDim, keys);
  int sink = b.input({fixed(self.heads)});
  if (exclude != Exclude::Band)
    stage.sink = b.at(sink, {loop(1)});
  if (exclude == Exclude::Padding)
    stage.mask = b.at(b.input({dim(0), keys}, ScalarType::Bool), {loop(0), loop(3)});
  if (exclude == Exclude::Band) // nothing is seen by the first query of two
    stage.causalOffset = Expr::makeDim(2) - whole(150), stage.windowOffset = whole(1);
  int attended = b.attention(stage), width = static_cast<int>(self.valueDim);
  b.spec.outputs = {
      b.map({dim(0), dim(1), fixed(self.heads * width)},
            b.at(attended, {loop(0), op(BinaryOp::FloorDiv, loop(2), whole(width)), loop(1),
                            op(BinaryOp::FloorMod, loop(2), whole(width))}))};
  return b.spec;
}

Schedule decodeSchedule(bool narrow) {
  Schedule result = schedule(Schedule::Recipe::Attention, narrow);
  result.variant = Schedule::Variant::Decode;
  return result;
}
} // namespace

TEST(AttentionDecode, KeysOfEveryNumber) {
  int next = 0;
  for (const Case &self : cases)
    for (bool narrow : {false, true}) {
      auto exclude = static_cast<Exclude>(next % 3);
      auto empty = static_cast<EmptyRow>(next++ % 2); // NaN is compared below
      checkAll(fewQueries(self, exclude, empty), decodeSchedule(narrow),
               {{1, 1, 1}, {2, 1, 31}, {1, 3, 32}, {1, 1, 128}, {1, 2, 129}, {1, 1, 300}}, 1e-5, 1,
               2);
    }
}

TEST(AttentionDecode, KeysOfStaticNumber) {
  for (const Case &self : {cases[0], cases[3], cases[4], cases[7]})
    for (int64_t keys : {1, 100, 128, 300})
      checkAll(fewQueries(self, Exclude::Nothing, EmptyRow::Zero, fixed(keys)),
               decodeSchedule(false), {{2, 1, 7}}, 1e-5);
}

TEST(AttentionDecode, EmptyRowsAndEmptyChunks) {
  // The first sequence sees nothing, the second one key of a later chunk, the third all.
  for (const Case &self : cases)
    for (EmptyRow empty : {EmptyRow::Zero, EmptyRow::Mean, EmptyRow::Nan}) {
      KernelSpec spec = fewQueries(self, Exclude::Padding, empty);
      LoadedKernel kernel(spec, decodeSchedule(false), hostCpu());
      ASSERT_TRUE(kernel.ok()) << kernel.error;
      const int64_t keys = 290;
      std::vector<int64_t> dims = {3, 1, keys};
      std::vector<Values> inputs = randomInputs(spec, dims);
      for (double &sink : inputs[3])
        sink = -HUGE_VAL;
      for (int64_t j = 0; j < keys; ++j)
        inputs[4][j] = 0, inputs[4][keys + j] = j == 200, inputs[4][2 * keys + j] = 1;
      Values expected = interpret(spec, dims, inputs)[spec.outputs[0]];
      Values actual = kernel.run(dims, inputs, 2)[0];
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t at = 0; at < actual.size(); ++at)
        if (std::isnan(expected[at]))
          EXPECT_TRUE(std::isnan(actual[at])) << at;
        else
          ASSERT_NEAR(actual[at], expected[at], 1e-5) << at;
      EXPECT_LE(kernel.scratchUsed, kernel.scratchBound);
    }
}

TEST(AttentionDecode, BitsDependNeitherOnThreadsNorOnTheBatch) {
  for (const Case &self : cases)
    for (bool narrow : {false, true})
      checkBits(fewQueries(self, Exclude::Padding, EmptyRow::Zero), decodeSchedule(narrow),
                {{3, 1, 300}, {2, 2, 130}});
}

} // namespace rapt::kernels::test
