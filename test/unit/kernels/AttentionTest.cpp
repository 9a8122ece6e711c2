//===- AttentionTest.cpp - The attention recipe against float64 ----------------*- C++ -*-===//
#include "Bits.h"

#include <algorithm>
#include <cfloat>

namespace rapt::kernels::test {

using Recipe = Schedule::Recipe;
using EmptyRow = AttentionStage::EmptyRow;

namespace {
enum class Mask { None, Additive, AdditiveInfinite, PerQuery, Bool };

/// Attention as it stands in a BERT export: packed QKV [b, s, 3 * h * d], a mask of int64 [b, s],
/// and the heads merged to [b, s, h * d] behind it. Dims: batch, sequence.
struct Self {
  Builder b{2};
  int64_t heads, headDim;
  AttentionStage stage;
  int qkv, mask;

  Self(int64_t heads, int64_t headDim, Mask kind, EmptyRow empty = EmptyRow::Zero)
      : heads(heads), headDim(headDim) {
    int64_t width = heads * headDim;
    qkv = b.input({dim(0), dim(1), fixed(3 * width)});
    mask = b.input({dim(0), dim(1)}, ScalarType::I64);
    auto part = [&](int64_t offset) {
      return b.at(qkv, {loop(0), loop(2), whole(offset) + (loop(1) * whole(headDim) + loop(3))});
    };
    stage.batch = dim(0), stage.queries = stage.keys = dim(1);
    stage.heads = stage.kvHeads = heads, stage.headDim = stage.valueDim = headDim;
    stage.scale = 1 / std::sqrt(static_cast<double>(headDim));
    stage.query = part(0), stage.key = part(width), stage.value = part(2 * width);
    stage.emptyRow = empty;
    ExprRef kept = b.at(mask, {loop(0), loop(3)});
    ExprRef isKept = op(BinaryOp::Ne, kept, whole(0));
    if (kind == Mask::Additive)
      stage.bias = (real(1) - Expr::makeCast(ScalarType::F32, kept)) * real(-FLT_MAX);
    if (kind == Mask::AdditiveInfinite)
      stage.bias = Expr::makeSelect(isKept, real(0), real(-HUGE_VAL));
    if (kind == Mask::PerQuery)
      stage.bias = Expr::makeSelect(op(BinaryOp::Or, isKept, op(BinaryOp::Eq, loop(2), whole(1))),
                                    real(0.5), real(-FLT_MAX));
    if (kind == Mask::Bool)
      stage.mask = isKept;
  }

  const KernelSpec &finish() {
    int64_t width = heads * headDim;
    int attended = b.attention(stage);
    b.spec.outputs = {
        b.map({dim(0), dim(1), fixed(width)},
              b.at(attended, {loop(0), op(BinaryOp::FloorDiv, loop(2), whole(headDim)), loop(1),
                              op(BinaryOp::FloorMod, loop(2), whole(headDim))}))};
    return b.spec;
  }
};

/// Attention whose query, key and value are inputs [batch, heads, tokens, size] of their own.
struct Apart {
  Builder b;
  AttentionStage stage;

  Apart(int dims, Extent batch, Extent queries, Extent keys, int64_t heads, int64_t kvHeads,
        int64_t headDim, int64_t valueDim, double scale)
      : b(dims) {
    auto operand = [&](int64_t count, const Extent &tokens, int64_t size) {
      return atAll(b.input({batch, fixed(count), tokens, fixed(size)}));
    };
    stage.batch = batch, stage.queries = queries, stage.keys = keys;
    stage.heads = heads, stage.kvHeads = kvHeads;
    stage.headDim = headDim, stage.valueDim = valueDim, stage.scale = scale;
    stage.query = operand(heads, queries, headDim);
    stage.key = operand(kvHeads, keys, headDim);
    stage.value = operand(kvHeads, keys, valueDim);
  }

  /// Tensor `t` [batch, heads, queries, keys or size] at the loops of those names.
  ExprRef atAll(int t) { return b.at(t, {loop(0), loop(1), loop(2), loop(3)}); }
  /// Tensor `t` [queries, keys] at the loops of those names.
  ExprRef atPair(int t) { return b.at(t, {loop(2), loop(3)}); }

  const KernelSpec &finish() {
    b.spec.outputs = {b.attention(stage)};
    return b.spec;
  }
};

Schedule attentionSchedule(bool narrow = false,
                           Schedule::Variant variant = Schedule::Variant::Strip) {
  Schedule result = schedule(Recipe::Attention, narrow);
  result.variant = variant;
  return result;
}

constexpr Schedule::Variant allVariants[] = {Schedule::Variant::Strip, Schedule::Variant::Unfused,
                                             Schedule::Variant::Decode};

/// Compares with float64, and with what an unfused f32 computation would lose.
void checkAccuracy(LoadedKernel &kernel, const KernelSpec &spec, const std::vector<int64_t> &dims,
                   const std::vector<Values> &inputs, const std::string &what) {
  Values truth = interpret(spec, dims, inputs)[spec.outputs[0]];
  Values unfused = interpret(spec, dims, inputs, Rounding::Single)[spec.outputs[0]];
  Values actual = kernel.run(dims, inputs, 2)[0];
  double largest = 0, allowed = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    ASSERT_EQ(std::isnan(actual[i]), std::isnan(truth[i])) << what << " at " << i;
    if (std::isnan(truth[i]))
      continue;
    largest = std::max(largest, std::abs(actual[i] - truth[i]));
    allowed = std::max(allowed, std::abs(unfused[i] - truth[i]));
  }
  EXPECT_LE(largest, 2 * allowed + 3e-7) << what << " unfused " << allowed;
  EXPECT_LE(kernel.scratchUsed, kernel.scratchBound) << what;
}
} // namespace

TEST(Attention, SequencesOfEverySize) {
  for (auto variant : allVariants)
    for (bool narrow : {false, true})
      for (int64_t headDim : {32, 64}) {
        Self self(2, headDim, Mask::Additive);
        checkAll(self.finish(), attentionSchedule(narrow, variant),
                 {{1, 1}, {2, 7}, {1, 31}, {1, 32}, {2, 37}, {1, 64}, {1, 129}, {1, 300}}, 1e-5, 1,
                 2);
      }
}

TEST(Attention, KeysOfStaticLength) {
  // Whole panels only, a last one that is half empty, exactly half full, nearly full.
  for (int64_t keys : {64, 69, 80, 90}) {
    Apart apart(1, fixed(1), dim(0), fixed(keys), 2, 2, 24, 24, 0.25);
    apart.stage.bias = apart.atPair(apart.b.input({dim(0), fixed(keys)}));
    checkAll(apart.finish(), attentionSchedule(), {{1}, {9}, {45}}, 1e-5);
  }
}

TEST(Attention, TasksOfManyQueriesAndManyKeys) {
  // Tasks of 544 queries, the last one short; rows of scores a multiple of 2 KB long and not;
  // causal, so that tasks and blocks leave out panels.
  for (bool causal : {false, true}) {
    Apart apart(2, fixed(1), dim(0), dim(1), 8, 8, 4, 4, 0.5);
    if (causal)
      apart.stage.causalOffset = whole(0);
    checkAll(apart.finish(), attentionSchedule(causal), {{1100, 40}, {9, 1024}, {600, 512}}, 1e-5);
  }
}

TEST(Attention, HeadDimsThatAreNoMultipleOfAVector) {
  for (auto variant : {Schedule::Variant::Strip, Schedule::Variant::Decode})
    for (int64_t headDim : {4, 7, 8, 24, 40, 48, 80, 96, 100, 128}) {
      Self self(3, headDim, Mask::None);
      checkAll(self.finish(), attentionSchedule(headDim % 8 == 4, variant),
               {{1, 1}, {2, 19}, {1, 40}}, 1e-5, 1, 2);
    }
}

TEST(Attention, ErrorOfEveryVariantHeadDimAndTarget) {
  int next = 0; // the masks take turns, so that each meets each variant and each target
  for (auto variant : allVariants)
    for (bool narrow : {false, true})
      for (int64_t headDim : {32, 48, 64, 80, 96, 128}) {
        if (variant != Schedule::Variant::Strip && narrow == (headDim % 32 == 0))
          continue; // time: each head dim on one target only
        Self self(2, headDim, static_cast<Mask>(next++ % 5), EmptyRow::Mean);
        if (headDim == 64 || headDim == 80)
          self.stage.causalOffset = whole(0);
        const KernelSpec &spec = self.finish();
        LoadedKernel kernel(spec, attentionSchedule(narrow, variant), hostCpu(narrow));
        ASSERT_TRUE(kernel.ok()) << kernel.error;
        checkAccuracy(kernel, spec, {1, 41}, randomInputs(spec, {1, 41}, 3, 2),
                      spec.print() + (narrow ? "narrow " : "wide ") + variantName(variant));
      }
}

TEST(Attention, SequencesDoNotDependOnTheBatch) {
  for (auto variant : allVariants)
    for (bool narrow : {false, true}) {
      Self self(2, narrow ? 20 : 32, narrow ? Mask::PerQuery : Mask::Additive);
      checkBits(self.finish(), attentionSchedule(narrow, variant),
                {{5, 1}, {4, 7}, {3, 37}, {2, 129}});
    }
}

TEST(Attention, MasksOfEveryKindAndEmptyRows) {
  for (Mask mask : {Mask::None, Mask::Additive, Mask::AdditiveInfinite, Mask::PerQuery, Mask::Bool})
    for (auto [empty, variant] : std::vector<std::pair<EmptyRow, Schedule::Variant>>{
             {EmptyRow::Zero, Schedule::Variant::Strip},
             {EmptyRow::Mean, Schedule::Variant::Strip},
             {EmptyRow::Nan, Schedule::Variant::Strip},
             {EmptyRow::Zero, Schedule::Variant::Decode},
             {EmptyRow::Mean, Schedule::Variant::Decode},
             {EmptyRow::Nan, Schedule::Variant::Decode}}) {
      Self self(2, 16, mask, empty);
      const KernelSpec &spec = self.finish();
      LoadedKernel kernel(spec, attentionSchedule(false, variant), hostCpu());
      ASSERT_TRUE(kernel.ok()) << kernel.error;
      for (int64_t size : {1, 7, 37}) {
        std::vector<Values> inputs = randomInputs(spec, {3, size}, 1, 2);
        std::fill_n(inputs[1].begin(), size, 0.0); // every key masked
        std::fill_n(inputs[1].begin() + size, size, 0.0),
            inputs[1][size + size / 2] = 1; // all but one
        checkAccuracy(kernel, spec, {3, size}, inputs,
                      std::string(variantName(variant)) + " mask " +
                          std::to_string(static_cast<int>(mask)) + " empty " +
                          std::to_string(static_cast<int>(empty)) + " size " +
                          std::to_string(size));
      }
    }
}

TEST(Attention, MaskLoadedAsMinusInfinity) {
  Apart apart(1, fixed(1), dim(0), dim(0), 2, 2, 16, 16, 0.25);
  apart.stage.bias = apart.atPair(apart.b.input({dim(0), dim(0)}));
  const KernelSpec &spec = apart.finish();
  for (auto variant : allVariants)
    for (int64_t size : {3, 20, 37, 50}) { // the last key excluded before its padding
      LoadedKernel kernel(spec, attentionSchedule(false, variant), hostCpu());
      ASSERT_TRUE(kernel.ok()) << kernel.error;
      std::vector<Values> inputs = randomInputs(spec, {size});
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j)
          if (j > i || i == 2) // causal by -inf, and one row with nothing left
            inputs[3][i * size + j] = -HUGE_VAL;
      checkAccuracy(kernel, spec, {size}, inputs,
                    std::string(variantName(variant)) + " size " + std::to_string(size));
    }
}

TEST(Attention, LargeLogitsAndOneHotKey) {
  for (auto variant : {Schedule::Variant::Strip, Schedule::Variant::Decode}) {
    Self self(2, 64, Mask::Additive);
    const KernelSpec &spec = self.finish();
    LoadedKernel kernel(spec, attentionSchedule(false, variant), hostCpu());
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    for (double scale : {1.0, 10.0, 100.0})
      for (int64_t size : {1, 7, 128}) {
        std::vector<Values> inputs = randomInputs(spec, {1, size}, scale);
        std::fill(inputs[1].begin(), inputs[1].end(), 1.0);
        std::string what = std::string(variantName(variant)) + " scale " + std::to_string(scale);
        checkAccuracy(kernel, spec, {1, size}, inputs, what);
        for (int64_t d = 128; d < 256; ++d) // the key in the middle lies far from all others
          inputs[0][size / 2 * 384 + d] *= 30;
        checkAccuracy(kernel, spec, {1, size}, inputs, "hot key, " + what);
      }
  }
}

TEST(Attention, CausalOffsetSoftcapAndGroupedHeads) {
  for (auto variant : allVariants) {
    Apart apart(2, fixed(2), dim(0), dim(1), 6, 2, 32, 16, 0.2);
    apart.stage.softcap = 5;
    apart.stage.causalOffset = Expr::makeDim(1) - Expr::makeDim(0);
    Schedule both = attentionSchedule(false, variant);
    both.decodeQueries = variant == Schedule::Variant::Strip ? 4 : 0;
    checkAll(apart.finish(), both, {{1, 1}, {1, 50}, {4, 50}, {7, 40}, {40, 40}, {33, 20}}, 1e-5);
  }
}

/// Dims: queries, keys. A mask [queries, keys], if any, comes as the last input.
static KernelSpec banded(std::optional<int64_t> causal, std::optional<int64_t> window, bool mask,
                         EmptyRow empty, int64_t headDim = 32, int64_t valueDim = 16) {
  Apart apart(2, fixed(1), dim(0), dim(1), 4, 2, headDim, valueDim, 0.2);
  apart.stage.emptyRow = empty;
  ExprRef fromEnd = Expr::makeDim(1) - Expr::makeDim(0);
  if (causal)
    apart.stage.causalOffset = fromEnd + whole(*causal);
  if (window)
    apart.stage.windowOffset = fromEnd + whole(*window);
  if (mask)
    apart.stage.mask = apart.atPair(apart.b.input({dim(0), dim(1)}, ScalarType::Bool));
  return apart.finish();
}

TEST(Attention, QueriesDoNotDependOnOtherQueries) {
  for (auto variant : {Schedule::Variant::Strip, Schedule::Variant::Unfused})
    for (bool narrow : {false, true}) {
      Builder b(2); // queries, keys; all queries see the same keys
      int q = b.input({dim(0), fixed(4), fixed(32)}), k = b.input({dim(1), fixed(2), fixed(32)}),
          v = b.input({dim(1), fixed(2), fixed(16)});
      auto plain = [&](int t) { return b.at(t, {loop(2), loop(1), loop(3)}); };
      AttentionStage stage;
      stage.batch = fixed(1), stage.queries = dim(0), stage.keys = dim(1);
      stage.heads = 4, stage.kvHeads = 2, stage.headDim = 32, stage.valueDim = 16;
      stage.scale = 0.2;
      stage.query = plain(q), stage.key = plain(k), stage.value = plain(v);
      if (narrow)
        stage.mask = b.at(b.input({dim(0), dim(1)}, ScalarType::Bool), {loop(2), loop(3)});
      int attended = b.attention(stage);
      b.spec.outputs = {b.map({dim(0), fixed(4), fixed(16)},
                              b.at(attended, {whole(0), loop(1), loop(0), loop(2)}))};
      checkBits(b.spec, attentionSchedule(narrow, variant), {{40, 53}});
    }
}

TEST(Attention, TilesThatNoQuerySees) {
  // Rows of every kind of emptiness: before the first key, after the last, between two windows.
  using Offset = std::optional<int64_t>;
  auto check = [](Offset causal, Offset window, EmptyRow empty, Schedule::Variant variant) {
    KernelSpec spec = banded(causal, window, false, empty);
    LoadedKernel kernel(spec, attentionSchedule(false, variant), hostCpu());
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    for (auto [queries, keys] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 1}, {1, 50}, {7, 40}, {33, 20}, {40, 140}, {80, 40}, {290, 290}})
      checkAccuracy(kernel, spec, {queries, keys}, randomInputs(spec, {queries, keys}),
                    "causal " + std::to_string(causal.value_or(-1)) + " window " +
                        std::to_string(window.value_or(-1)) + " queries " +
                        std::to_string(queries) + " keys " + std::to_string(keys));
  };
  auto strip = Schedule::Variant::Strip, unfused = Schedule::Variant::Unfused;
  for (EmptyRow empty : {EmptyRow::Zero, EmptyRow::Mean, EmptyRow::Nan})
    check(-40, {}, empty, strip);
  check(-64, -70, EmptyRow::Mean, strip), check(0, {}, EmptyRow::Mean, strip),
      check(1 << 29, {}, EmptyRow::Zero, strip);
  check({}, -5, EmptyRow::Mean, strip), check({}, 40, EmptyRow::Zero, strip);
  check(-64, -70, EmptyRow::Mean, unfused);
  for (EmptyRow empty : {EmptyRow::Mean, EmptyRow::Nan})
    check(-40, -45, empty, Schedule::Variant::Decode);
}

TEST(Attention, BlockSparseMask) {
  for (auto variant : allVariants)
    for (int64_t valueDim : {16, 20})
      for (EmptyRow empty : {EmptyRow::Zero, EmptyRow::Mean}) {
        if (variant == Schedule::Variant::Unfused && valueDim != 16)
          continue;
        KernelSpec spec = banded({}, {}, true, empty, 32, valueDim);
        LoadedKernel kernel(spec, attentionSchedule(false, variant), hostCpu());
        ASSERT_TRUE(kernel.ok()) << kernel.error;
        for (auto [queries, keys] : std::vector<std::pair<int64_t, int64_t>>{
                 {1, 1}, {7, 40}, {40, 90}, {33, 140}, {290, 290}}) {
          std::vector<Values> inputs = randomInputs(spec, {queries, keys});
          for (int64_t i = 0; i < queries; ++i)
            for (int64_t j = 0; j < keys; ++j) // every third tile; query 40 sees nothing
              inputs[3][i * keys + j] = (i / 32 + j / 32) % 3 == 1 && i != 40;
          checkAccuracy(kernel, spec, {queries, keys}, inputs,
                        "queries " + std::to_string(queries));
        }
      }
}

TEST(Attention, SparseMaskOfHeadsWithPositionsAndBias) {
  // Dims: batch, sequence. A mask for each batch and head, a bias for each query and key.
  for (bool narrow : {false, true}) {
    Apart apart(2, dim(0), dim(1), dim(1), 2, 2, 16, 16, 0.25);
    const int bias = apart.b.input({dim(1), dim(1)}),
              mask = apart.b.input({dim(0), fixed(2), dim(1), dim(1)}, ScalarType::Bool);
    apart.stage.bias = apart.atPair(bias), apart.stage.mask = apart.atAll(mask);
    apart.stage.causalOffset = whole(40), apart.stage.windowOffset = whole(-200);
    apart.stage.emptyRow = EmptyRow::Mean;
    const KernelSpec &spec = apart.finish();
    LoadedKernel kernel(spec, attentionSchedule(narrow), hostCpu(narrow));
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    for (int64_t size : {5, 64, 333}) {
      std::vector<Values> inputs = randomInputs(spec, {2, size});
      for (int64_t row = 0; row < 4 * size; ++row) // batch, head and query
        for (int64_t j = 0; j < size; ++j)
          inputs[mask][row * size + j] = (row / 48 * 5 + j / 32 * 3) % 7 < 2 && row % 91 != 17;
      checkAccuracy(kernel, spec, {2, size}, inputs, "size " + std::to_string(size));

      // The second sequence alone, by another number of threads, gives the same bits.
      std::vector<Values> alone = inputs;
      for (int t = 0; t < static_cast<int>(alone.size()); ++t)
        if (t != bias)
          alone[t].erase(alone[t].begin(), alone[t].begin() + alone[t].size() / 2);
      Values both = kernel.run({2, size}, inputs, 3)[0], second = kernel.run({1, size}, alone)[0];
      EXPECT_TRUE(std::equal(second.begin(), second.end(), both.begin() + both.size() / 2)) << size;
    }
  }
}

TEST(Attention, MaskMadeByAStageBefore) {
  for (EmptyRow empty : {EmptyRow::Mean, EmptyRow::Zero, EmptyRow::Nan})
    for (auto variant : {Schedule::Variant::Strip, Schedule::Variant::Decode}) {
      Self self(2, 16, Mask::None, empty);
      ExprRef kept = op(BinaryOp::Ne, self.b.at(self.mask, {loop(0), loop(1)}), whole(0));
      int bias = self.b.map({dim(0), dim(1)}, Expr::makeSelect(kept, real(0), real(-HUGE_VAL)));
      self.stage.bias = self.b.at(bias, {loop(0), loop(3)});
      const KernelSpec &spec = self.finish();
      LoadedKernel kernel(spec, attentionSchedule(false, variant), hostCpu());
      ASSERT_TRUE(kernel.ok()) << kernel.error;
      for (int64_t size : {1, 37}) {
        std::vector<Values> inputs = randomInputs(spec, {2, size}, 1, 2);
        std::fill_n(inputs[1].begin(), size, 0.0); // every key of the first sequence masked
        checkAccuracy(kernel, spec, {2, size}, inputs,
                      std::string(variantName(variant)) + " empty " +
                          std::to_string(static_cast<int>(empty)) + " size " +
                          std::to_string(size));
      }
    }
}

TEST(Attention, SinksTakeWeight) {
  // Dims: batch, sequence. A sink for each head and query, some of them infinitely low.
  for (EmptyRow empty : {EmptyRow::Mean, EmptyRow::Zero, EmptyRow::Nan})
    for (auto variant : allVariants)
      for (bool causal : {false, true}) {
        Self self(2, 16, Mask::Bool, empty);
        int sink = self.b.input({fixed(2), dim(1)});
        self.stage.sink = self.b.at(sink, {loop(1), loop(2)});
        if (causal)
          self.stage.causalOffset = whole(-1);
        const KernelSpec &spec = self.finish();
        LoadedKernel kernel(spec, attentionSchedule(causal, variant), hostCpu(causal));
        ASSERT_TRUE(kernel.ok()) << kernel.error;
        for (int64_t size : {1, 6, 70}) {
          std::vector<Values> inputs = randomInputs(spec, {2, size}, 1, 2);
          std::fill_n(inputs[1].begin(), size, 0.0); // every key of the first sequence masked
          for (size_t i = 0; i < inputs[sink].size(); i += 3)
            inputs[sink][i] = -HUGE_VAL;
          checkAccuracy(kernel, spec, {2, size}, inputs,
                        std::string(variantName(variant)) + " empty " +
                            std::to_string(static_cast<int>(empty)) + " size " +
                            std::to_string(size));
        }
      }
}

TEST(Attention, ResultInOtherLayouts) {
  // rows of all sequences merged, with a residual behind it
  Self merged(2, 16, Mask::Additive);
  int residual = merged.b.input({{1, {0, 1}}, fixed(32)});
  int attended = merged.b.attention(merged.stage);
  auto at = [&](ExprRef m, ExprRef c) {
    return merged.b.at(attended, {op(BinaryOp::FloorDiv, m, Expr::makeDim(1)),
                                  op(BinaryOp::FloorDiv, c, whole(16)),
                                  op(BinaryOp::FloorMod, m, Expr::makeDim(1)),
                                  op(BinaryOp::FloorMod, c, whole(16))});
  };
  merged.b.spec.outputs = {merged.b.map(
      {{1, {0, 1}}, fixed(32)}, at(loop(0), loop(1)) + merged.b.at(residual, {loop(0), loop(1)}))};
  for (auto variant : allVariants)
    checkAll(merged.b.spec, attentionSchedule(false, variant), {{1, 1}, {2, 37}}, 1e-5, 1, 2);

  // a tail that is no permutation: every second query only
  Self strided(2, 16, Mask::Additive);
  attended = strided.b.attention(strided.stage);
  strided.b.spec.outputs = {strided.b.map(
      {dim(0), fixed(2), dim(1), fixed(16)},
      strided.b.at(attended, {loop(0), loop(1), op(BinaryOp::Div, loop(2), whole(2)), loop(3)}))};
  for (auto variant : allVariants)
    checkAll(strided.b.spec, attentionSchedule(false, variant), {{1, 1}, {2, 37}}, 1e-5, 1, 2);
}

TEST(Attention, ScratchOfPromptsIsTheStripsOwn) {
  // The second kernel of an artifact is for at most 6 queries, whatever the prompt's length.
  KernelSpec spec = banded(0, {}, false, EmptyRow::Zero);
  Schedule schedule = attentionSchedule();
  int64_t bounds[2];
  for (int64_t decodeQueries : {0, 6}) {
    schedule.decodeQueries = decodeQueries;
    LoadedKernel kernel(spec, schedule, hostCpu());
    ASSERT_TRUE(kernel.ok()) << kernel.error;
    for (int64_t queries : {6, 512}) {
      kernel.run({queries, 512}, randomInputs(spec, {queries, 512}));
      EXPECT_LE(kernel.scratchUsed, kernel.scratchBound) << queries;
    }
    bounds[decodeQueries > 0] = kernel.scratchBound;
  }
  EXPECT_LE(bounds[1], bounds[0] + bounds[0] / 2) << bounds[0];
}

TEST(Attention, FewQueriesKeepTheirBits) {
  // A query's result depends neither on the queries beside it, nor on batch and threads, as long as
  // one kernel computes it: where an artifact has two, their numbers decide which.
  Apart apart(3, dim(0), dim(1), dim(2), 4, 2, 32, 32, 0.3);
  const KernelSpec &spec = apart.finish();
  LoadedKernel kernel(spec, attentionSchedule(false, Schedule::Variant::Decode), hostCpu());
  ASSERT_TRUE(kernel.ok()) << kernel.error;
  const int64_t batch = 3, queries = 4, keys = 53;
  std::vector<Values> inputs = randomInputs(spec, {batch, queries, keys});
  Values together = kernel.run({batch, queries, keys}, inputs, 3)[0];
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t i = 0; i < queries; ++i) {
      Values query;
      for (int64_t h = 0; h < 4; ++h) {
        auto row = inputs[0].begin() + ((n * 4 + h) * queries + i) * 32;
        query.insert(query.end(), row, row + 32);
      }
      auto cache = [&](const Values &all) {
        return Values(all.begin() + n * 2 * keys * 32, all.begin() + (n + 1) * 2 * keys * 32);
      };
      Values alone = kernel.run({1, 1, keys}, {query, cache(inputs[1]), cache(inputs[2])})[0];
      for (int64_t h = 0; h < 4; ++h)
        for (int64_t d = 0; d < 32; ++d)
          EXPECT_EQ(alone[h * 32 + d], together[((n * 4 + h) * queries + i) * 32 + d])
              << "batch " << n << " query " << i << " head " << h << " at " << d;
    }
}

} // namespace rapt::kernels::test
