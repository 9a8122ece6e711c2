//===- kernels_bench.cpp - How near single kernels come to the FMA peak --------*- C++ -*-===//
//
// rapt-kernel-bench [avx2] [8x48...]: GEMM with bias and GELU at BERT-base's and MiniLM's shapes,
// attention at head dims 32 and 64, LayerNorm; `sparse [length...]`: attention whose mask excludes
// whole tiles, against the dense kernel in turn; `attention head_dim length...`: dense attention;
// `decode`: attention of one query; `rows`: GEMM with few rows; `threads`: loops of empty tasks on
// the runtime's pool. Each kernel is checked against the interpreter at a small size before it is
// timed. Printed: GFLOP/s and % of a loop of FMAs measured right before, the gain of a second
// thread, and the % with weights that come from memory (200 MB of them in turn).
//
//===-------------------------------------------------------------------------------------===//
#include "kernels_bench.h"
#include "threads_bench.h"
#include "tools/MachinePeak.h"

#include <algorithm>
#include <cstdio>
#include <functional>

using namespace rapt::kernels;
using namespace rapt::kernels::test;

namespace rapt::kernels::test {

double measurePeak() {
  double peak = rapt_fma_peak(1, RAPT_PEAK_AVX2);
  return hostCpu().vectorBytes == 64 ? std::max(peak, rapt_fma_peak(1, RAPT_PEAK_AVX512)) : peak;
}

KernelSpec linear(const Schedule &s, int64_t depth, int64_t columns, bool gelu) {
  Builder b(1);
  int x = b.input({dim(0), fixed(depth)}),
      w = b.input({fixed(depth), fixed(columns)}, ScalarType::F32, s.tileCols),
      bias = b.input({fixed(columns)});
  int y = b.reduce(Reduction::Sum, {dim(0), fixed(columns), fixed(depth)}, 2,
                   b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}));
  ExprRef v = b.at(y, {loop(0), loop(1)}) + b.at(bias, {loop(1)});
  if (gelu)
    v = real(0.5) * v * (real(1) + op(UnaryOp::Erf, v * real(0.70710678118654752)));
  b.spec.outputs = {b.map({dim(0), fixed(columns)}, v)};
  return b.spec;
}

} // namespace rapt::kernels::test

static KernelSpec attention(int64_t heads, int64_t headDim,
                            const std::function<void(Builder &, AttentionStage &)> &exclude = {}) {
  Builder b(1);
  int64_t width = heads * headDim;
  int qkv = b.input({dim(0), fixed(3 * width)}), mask = b.input({dim(0)});
  auto part = [&](int64_t offset) {
    return b.at(qkv, {loop(2), whole(offset) + (loop(1) * whole(headDim) + loop(3))});
  };
  AttentionStage stage;
  stage.batch = fixed(1), stage.queries = stage.keys = dim(0);
  stage.heads = stage.kvHeads = heads, stage.headDim = stage.valueDim = headDim;
  stage.scale = 1 / std::sqrt(static_cast<double>(headDim));
  stage.query = part(0), stage.key = part(width), stage.value = part(2 * width);
  stage.bias = b.at(mask, {loop(3)});
  if (exclude)
    exclude(b, stage);
  int attended = b.attention(stage);
  b.spec.outputs = {
      b.map({dim(0), fixed(width)},
            b.at(attended, {whole(0), op(BinaryOp::FloorDiv, loop(1), whole(headDim)), loop(0),
                            op(BinaryOp::FloorMod, loop(1), whole(headDim))}))};
  return b.spec;
}

/// LayerNorm of x + residual as its decomposed stages.
static KernelSpec layerNorm(int64_t width) {
  Builder b(1);
  std::vector<Extent> full = {dim(0), fixed(width)}, row = {dim(0)};
  int x = b.input(full), r = b.input(full), scale = b.input({fixed(width)}),
      bias = b.input({fixed(width)});
  auto value = [&](int t) { return b.at(t, {loop(0), loop(1)}); };
  auto scalar = [&](int t) { return b.at(t, {loop(0)}); };
  int s = b.map(full, value(x) + value(r));
  int mean = b.map(row, scalar(b.reduce(Reduction::Sum, full, 1, value(s))) / real(width));
  int centred = b.map(full, value(s) - scalar(mean));
  int squares = b.reduce(Reduction::Sum, full, 1, value(centred) * value(centred));
  int deviation = b.map(row, op(UnaryOp::Sqrt, scalar(squares) / real(width) + real(1e-12)));
  b.spec.outputs = {b.map(full, value(centred) / scalar(deviation) * b.at(scale, {loop(1)}) +
                                    b.at(bias, {loop(1)}))};
  return b.spec;
}

/// Bytes of the packed weights, 0 where the kernel has none.
static int64_t weightBytes(const KernelSpec &spec) {
  int64_t bytes = 0;
  for (const Tensor &tensor : spec.tensors)
    if (tensor.panel)
      bytes += 4 * tensor.shape[0].factor * tensor.shape[1].factor;
  return bytes;
}

/// Attention over one packed QKV with the exclusions that `exclude` adds to the stage; true in
/// `seen` says that query i sees key j.
struct SparseCase {
  const char *name;
  std::function<void(Builder &, AttentionStage &)> exclude;
  std::function<bool(int64_t, int64_t)> seen;
};

/// Time of attention with tiles left out, as a share of the dense kernel's, beside the share of
/// tiles of 32 queries by 32 keys in which a query sees a key.
static void benchSparse(const SparseCase &self, const KernelSpec &dense, const Schedule &s,
                        int64_t heads, int64_t headDim, const std::vector<int64_t> &sizes) {
  KernelSpec spec = attention(heads, headDim, self.exclude);
  LoadedKernel sparse(spec, s, hostCpu(s.vector <= 8)), full(dense, s, hostCpu(s.vector <= 8));
  if (!sparse.ok() || !full.ok()) {
    printf("%s: %s%s\n", self.name, sparse.error.c_str(), full.error.c_str());
    return;
  }
  auto fill = [&](int64_t size) {
    std::vector<Values> inputs = randomInputs(spec, {size}, 0.05);
    if (inputs.size() > 2)
      for (int64_t i = 0; i < size * size; ++i)
        inputs[2][i] = self.seen(i / size, i % size);
    return inputs;
  };
  std::vector<Values> few = fill(70), bare(few.begin(), few.begin() + 2);
  double error = difference(sparse.run({70}, few)[0], interpret(spec, {70}, few)[spec.outputs[0]]);
  double fullError =
      difference(full.run({70}, bare)[0], interpret(dense, {70}, bare)[dense.outputs[0]]);
  if (error > 1e-4 || fullError > 1e-4) {
    printf("%s: wrong by %g, dense by %g\n", self.name, error, fullError);
    return;
  }
  for (int64_t size : sizes) {
    int64_t tiles = (size + 31) / 32, seen = 0;
    for (int64_t tile = 0; tile < tiles * tiles; ++tile) {
      bool any = false;
      for (int64_t i = tile / tiles * 32; i < std::min(size, tile / tiles * 32 + 32); ++i)
        for (int64_t j = tile % tiles * 32; j < std::min(size, tile % tiles * 32 + 32); ++j)
          any |= self.seen(i, j);
      seen += any;
    }
    std::vector<Values> inputs = fill(size), none(inputs.begin(), inputs.begin() + 2);
    double fast = 1e30, slow = 1e30;
    for (int round = 0; round < 5; ++round) {
      fast = std::min(fast, sparse.time({size}, 3, 1, 1, &inputs));
      slow = std::min(slow, full.time({size}, 3, 1, 1, &none));
    }
    printf("%-28s %4ld rows  %8.1f us  %5.1f %% of the dense kernel's time for %5.1f %% of the "
           "tiles\n",
           self.name, static_cast<long>(size), fast * 1e6, 100 * fast / slow,
           100.0 * static_cast<double>(seen) / static_cast<double>(tiles * tiles));
  }
}

/// Compiles, checks at 9 rows, then prints one line per row count; `flops` is the work of `rows`
/// rows.
template <typename Work>
static void bench(const char *name, const KernelSpec &spec, const Schedule &s,
                  std::vector<int64_t> sizes, const Work &flops) {
  LoadedKernel kernel(spec, s, hostCpu(s.vector <= 8));
  if (!kernel.ok()) {
    printf("%s: %s\n", name, kernel.error.c_str());
    return;
  }
  std::vector<Values> inputs = randomInputs(spec, {9}, 0.05);
  double error =
      difference(kernel.run({9}, inputs)[0], interpret(spec, {9}, inputs)[spec.outputs[0]]);
  if (error > 1e-4) {
    printf("%s: wrong by %g\n", name, error);
    return;
  }
  for (int64_t rows : sizes) {
    double work = flops(rows), peak = measurePeak();
    int repeat = std::max(5, std::min(200, static_cast<int>(1e11 / work)));
    double one = kernel.time({rows}, repeat, 1), two = kernel.time({rows}, repeat, 2);
    printf("%-28s %4ld rows  %8.1f us  %6.1f GFLOP/s  %5.1f %%   2 threads %5.2fx", name,
           static_cast<long>(rows), one * 1e6, work / one * 1e-9, 100 * work / one * 1e-9 / peak,
           one / two);
    if (int64_t weights = weightBytes(spec)) {
      int copies = static_cast<int>(200000000 / weights) + 1;
      double cold = kernel.time({rows}, std::max(3 * copies, 3), 1, copies);
      printf("   cold weights %5.1f %%", 100 * work / cold * 1e-9 / peak);
    }
    printf("\n");
  }
}

/// Attention with tiles left out, of every kind, at 12 heads of 64.
static void benchSparseKinds(bool narrow, const std::vector<int64_t> &sizes) {
  auto causal = [](Builder &, AttentionStage &stage) { stage.causalOffset = whole(0); };
  auto window = [](Builder &, AttentionStage &stage) {
    stage.causalOffset = whole(0), stage.windowOffset = whole(-255);
  };
  auto masked = [](Builder &b, AttentionStage &stage) {
    stage.mask = b.at(b.input({dim(0), dim(0)}, ScalarType::Bool), {loop(2), loop(3)});
  };
  const SparseCase cases[] = {
      {"causal", causal, [](int64_t i, int64_t j) { return j <= i; }},
      {"causal window of 256", window, [](int64_t i, int64_t j) { return j <= i && j > i - 256; }},
      {"block-sparse mask", masked,
       [](int64_t i, int64_t j) { // BigBird: the first block, the neighbours, some others
         int64_t a = i / 64, b = j / 64;
         return b == 0 || std::abs(a - b) <= 1 || (a * 7 + b * 3) % 11 == 0;
       }},
      {"mask that sees everything", masked, [](int64_t, int64_t) { return true; }}};
  for (const SparseCase &self : cases)
    benchSparse(self, attention(12, 64), schedule(Schedule::Recipe::Attention, narrow), 12, 64,
                sizes);
}

static void benchAttention(bool narrow, int64_t headDim, Schedule::Variant variant,
                           const std::vector<int64_t> &sizes) {
  Schedule s = schedule(Schedule::Recipe::Attention, narrow);
  s.variant = variant;
  std::string name = std::string(variant == Schedule::Variant::Strip ? "strip" : "unfused") +
                     " attention 12x" + std::to_string(headDim);
  bench(name.c_str(), attention(12, headDim), s, sizes,
        [headDim](double m) { return 4 * m * m * 12 * headDim; });
}

int main(int argc, char **argv) {
  bool narrow = argc > 1 && std::string(argv[1]) == "avx2";
  if (narrow)
    --argc, ++argv;
  if (argc == 2 && std::string(argv[1]) == "threads") {
    benchThreads();
    return 0;
  }
  printf("peak %.1f GFLOP/s\n", measurePeak());
  if (argc == 2 && std::string(argv[1]) == "decode") {
    benchDecode(narrow);
    return 0;
  }
  if (argc == 2 && std::string(argv[1]) == "rows") {
    benchRows(narrow);
    return 0;
  }
  std::string what = argc > 1 ? argv[1] : "";
  std::vector<int64_t> sizes; // arguments behind a word, or what stands for them
  for (int i = what == "attention" ? 3 : 2; i < argc; ++i)
    sizes.push_back(atol(argv[i]));
  if (what == "sparse") {
    benchSparseKinds(narrow, sizes.empty() ? std::vector<int64_t>{128, 512, 1024, 2048} : sizes);
    return 0;
  }
  if (what == "attention" && sizes.size() > 0) {
    benchAttention(narrow, atol(argv[2]), Schedule::Variant::Strip, sizes);
    return 0;
  }
  std::vector<std::pair<int64_t, int64_t>> tiles;
  for (int i = 1; i < argc; ++i) {
    long rows = 0, columns = 0;
    if (sscanf(argv[i], "%ldx%ld", &rows, &columns) != 2) {
      fprintf(stderr,
              "usage: %s [avx2] [sparse [length...] | attention head_dim length... | decode | rows "
              "| threads | rows x columns of a GEMM tile, as 8x48...]\n",
              argv[0]);
      return 1;
    }
    tiles.emplace_back(rows, columns);
  }
  bool all = tiles.empty();
  if (all)
    tiles.emplace_back(schedule(Schedule::Recipe::Gemm, narrow).tileRows,
                       schedule(Schedule::Recipe::Gemm, narrow).tileCols);
  for (auto [rows, columns] : tiles)
    for (auto [depth, width] : std::vector<std::pair<int64_t, int64_t>>{{768, 2304},
                                                                        {768, 768},
                                                                        {768, 3072},
                                                                        {3072, 768},
                                                                        {384, 1152},
                                                                        {384, 384},
                                                                        {384, 1536},
                                                                        {1536, 384}}) {
      Schedule s = schedule(Schedule::Recipe::Gemm, narrow);
      s.tileRows = rows, s.tileCols = columns;
      std::string name = std::to_string(rows) + "x" + std::to_string(columns) + " gemm " +
                         std::to_string(depth) + "x" + std::to_string(width);
      bench(name.c_str(), linear(s, depth, width, width > 3 * depth), s, {8, 32, 128, 512},
            [d = depth, w = width](double m) { return 2 * m * d * w; });
    }
  if (!all)
    return 0;
  for (int64_t width : {384, 768}) // printed as GFLOP/s: one flop per byte moved, so GB/s
    bench(("layernorm " + std::to_string(width)).c_str(), layerNorm(width),
          schedule(Schedule::Recipe::Rows, narrow), {8, 128, 512, 4096},
          [width](double m) { return 12 * m * width; });
  for (int64_t headDim : {32, 64})
    for (auto variant : {Schedule::Variant::Strip, Schedule::Variant::Unfused})
      benchAttention(narrow, headDim, variant, {8, 37, 128, 512});
}
