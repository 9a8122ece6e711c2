//===- HiddenKeysTest.cpp - Rows in which every key is excluded ----------------*- C++ -*-===//
//
// Band and mask that exclude with a sentinel each (docs/semantics.md S2): which excluded keys such
// a row averages over.
//
//===-------------------------------------------------------------------------------------===//
#include "Bits.h"

namespace rapt::kernels::test {

using EmptyRow = AttentionStage::EmptyRow;
using Variant = Schedule::Variant;

namespace {
/// Dims: batch, queries, keys. The mask, bool, is one of keys or [batch, 1, queries, keys].
struct Hidden {
  Builder b{3};
  AttentionStage stage;
  int mask;

  Hidden(EmptyRow empty, std::optional<int64_t> causal, std::optional<int64_t> window,
         bool maskOfRows) {
    int q = b.input({dim(0), fixed(4), dim(1), fixed(32)}),
        k = b.input({dim(0), fixed(2), dim(2), fixed(32)}),
        v = b.input({dim(0), fixed(2), dim(2), fixed(20)});
    std::vector<Extent> shape = {dim(0), dim(2)};
    if (maskOfRows)
      shape.insert(shape.begin() + 1, dim(1));
    mask = b.input(shape, ScalarType::Bool);
    auto plain = [&](int t) { return b.at(t, {loop(0), loop(1), loop(2), loop(3)}); };
    stage.batch = dim(0), stage.queries = dim(1), stage.keys = dim(2);
    stage.heads = 4, stage.kvHeads = 2, stage.headDim = 32, stage.valueDim = 20;
    stage.scale = 0.2, stage.emptyRow = empty;
    if (causal)
      stage.causalOffset = whole(*causal);
    if (window)
      stage.windowOffset = whole(*window);
    stage.mask =
        maskOfRows ? b.at(mask, {loop(0), loop(2), loop(3)}) : b.at(mask, {loop(0), loop(3)});
    stage.query = plain(q), stage.key = plain(k), stage.value = plain(v);
    b.spec.outputs = {b.attention(stage)};
  }

  /// Batches take turns: keys padded on the left, on the right, all of them, every fifth one shown.
  std::vector<Values> inputs(const std::vector<int64_t> &dims) const {
    std::vector<Values> all = randomInputs(b.spec, dims);
    int64_t keys = dims[2], rows = static_cast<int64_t>(all[mask].size()) / keys;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t j = 0; j < keys; ++j) {
        int64_t batch = row * dims[0] / rows;
        bool shown[] = {j >= keys / 2, j < keys / 2, false, j % 5 == 4};
        all[mask][row * keys + j] = shown[batch % 4] && (rows == dims[0] || row % 7 != 3);
      }
    return all;
  }
};

void check(const Hidden &hidden, Variant variant, bool narrow, bool expectsNaN) {
  Schedule schedule = test::schedule(Schedule::Recipe::Attention, narrow);
  schedule.variant = variant;
  LoadedKernel kernel(hidden.b.spec, schedule, hostCpu(narrow));
  ASSERT_TRUE(kernel.ok()) << kernel.error;
  int output = hidden.b.spec.outputs[0];
  int64_t nans = 0;
  for (auto [queries, keys] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 50}, {7, 40}, {40, 40}, {70, 101}}) {
    std::vector<int64_t> dims = {4, queries, keys};
    std::vector<Values> inputs = hidden.inputs(dims);
    Values truth = interpret(hidden.b.spec, dims, inputs)[output],
           actual = kernel.run(dims, inputs, 2)[0];
    double largest = 0;
    for (size_t i = 0; i < truth.size(); ++i) {
      ASSERT_EQ(std::isnan(actual[i]), std::isnan(truth[i])) << queries << " at " << i;
      nans += std::isnan(truth[i]);
      if (!std::isnan(truth[i]))
        largest = std::max(largest, std::abs(actual[i] - truth[i]));
    }
    EXPECT_LE(largest, 2e-6) << queries << " queries " << keys << " keys";
    EXPECT_LE(kernel.scratchUsed, kernel.scratchBound) << queries;
  }
  EXPECT_EQ(nans > 0, expectsNaN);
}
} // namespace

TEST(HiddenKeys, TheMaskIsStrongerThanTheBand) {
  for (Variant variant : {Variant::Strip, Variant::Decode}) {
    check(Hidden(EmptyRow::MaskMean, 0, {}, false), variant, false, false);
    check(Hidden(EmptyRow::MaskMean, 0, -3, true), variant, true, false);
  }
}

TEST(HiddenKeys, MaskAndBandAreAlike) {
  for (Variant variant : {Variant::Strip, Variant::Decode}) {
    check(Hidden(EmptyRow::EitherMean, 0, {}, true), variant, false, false);
    check(Hidden(EmptyRow::EitherMean, -2, {}, false), variant, false, true);
    check(Hidden(EmptyRow::EitherMean, {}, 45, true), variant, true, true);
  }
}

TEST(HiddenKeys, NothingBehindTheDiagonal) {
  for (Variant variant : {Variant::Strip, Variant::Decode}) {
    check(Hidden(EmptyRow::CausalMean, 0, {}, false), variant, false, false);
    check(Hidden(EmptyRow::CausalMean, 0, -6, true), variant, true, false);
    check(Hidden(EmptyRow::CausalMean, -1, -6, false), variant, false, true);
  }
}

TEST(HiddenKeys, WindowsWithoutAMask) {
  for (Variant variant : {Variant::Strip, Variant::Unfused, Variant::Decode}) {
    Hidden hidden(EmptyRow::CausalMean, 0, 3, false); // no query sees a key
    hidden.stage.mask = nullptr;
    hidden.b.spec.stages[0].attention = hidden.stage;
    check(hidden, variant, false, false);
  }
}

} // namespace rapt::kernels::test
