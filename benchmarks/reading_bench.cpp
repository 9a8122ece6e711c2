//===- reading_bench.cpp - Kernels that memory decides -------------------------*- C++ -*-===//
//
// GEMM of few rows and attention of few queries read each weight, key and value for a handful of
// operations. Printed beside each is what a loop that only reads gets from memory.
//
//===-------------------------------------------------------------------------------------===//
#include "kernels_bench.h"
#include "tools/MachinePeak.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace rapt::kernels::test {

double readBandwidth() {
  static const std::unique_ptr<void, decltype(&free)> memory(rapt_peak_memory(), free);
  return memory ? rapt_read_bandwidth(1, memory.get()) : 0;
}

/// Whether a kernel computes `expected`; prints how far it is from it otherwise.
static bool isRight(const char *name, LoadedKernel &kernel, const std::vector<int64_t> &dims,
                    const std::vector<Values> &inputs, const Values &expected) {
  double error = difference(kernel.run(dims, inputs)[0], expected);
  if (error > 1e-4)
    printf("%s: wrong by %g\n", name, error);
  return error <= 1e-4;
}

namespace {
/// How keys and values lie in memory: as a cache holds them, or as a projection writes them.
enum class Layout { HeadsOutside, HeadsInside };
} // namespace

/// Dims: queries, keys.
static KernelSpec fewQueries(int64_t heads, int64_t kvHeads, int64_t headDim, Layout layout) {
  Builder b(2);
  AttentionStage stage;
  auto operand = [&](int64_t count, const Extent &tokens) {
    if (layout == Layout::HeadsOutside)
      return b.at(b.input({fixed(count), tokens, fixed(headDim)}), {loop(1), loop(2), loop(3)});
    return b.at(b.input({tokens, fixed(count * headDim)}),
                {loop(2), loop(1) * whole(headDim) + loop(3)});
  };
  stage.batch = fixed(1), stage.queries = dim(0), stage.keys = dim(1);
  stage.heads = heads, stage.kvHeads = kvHeads, stage.headDim = stage.valueDim = headDim;
  stage.scale = 1 / std::sqrt(static_cast<double>(headDim));
  stage.query = operand(heads, dim(0));
  stage.key = operand(kvHeads, dim(1)), stage.value = operand(kvHeads, dim(1));
  int attended = b.attention(stage);
  b.spec.outputs = {
      b.map({dim(0), fixed(heads * headDim)},
            b.at(attended, {whole(0), op(BinaryOp::FloorDiv, loop(1), whole(headDim)), loop(0),
                            op(BinaryOp::FloorMod, loop(1), whole(headDim))}))};
  return b.spec;
}

void benchDecode(bool narrow) {
  struct Case {
    int64_t heads, kvHeads, headDim;
    Layout layout;
  };
  Schedule s = schedule(Schedule::Recipe::Attention, narrow), blocks = s;
  s.variant = Schedule::Variant::Decode;
  for (const Case &self :
       {Case{12, 12, 64, Layout::HeadsOutside}, Case{12, 12, 64, Layout::HeadsInside},
        Case{32, 8, 128, Layout::HeadsOutside}, Case{12, 12, 32, Layout::HeadsOutside},
        Case{12, 3, 64, Layout::HeadsInside}, Case{32, 1, 64, Layout::HeadsOutside},
        Case{32, 1, 128, Layout::HeadsOutside}, Case{4, 1, 64, Layout::HeadsOutside}}) {
    KernelSpec spec = fewQueries(self.heads, self.kvHeads, self.headDim, self.layout);
    LoadedKernel decode(spec, s, hostCpu(narrow)), strip(spec, blocks, hostCpu(narrow));
    if (!decode.ok() || !strip.ok()) {
      printf("decode: %s%s\n", decode.error.c_str(), strip.error.c_str());
      continue;
    }
    std::vector<Values> inputs = randomInputs(spec, {2, 37});
    Values expected = interpret(spec, {2, 37}, inputs)[spec.outputs[0]];
    if (!isRight("decode", decode, {2, 37}, inputs, expected) ||
        !isRight("strip", strip, {2, 37}, inputs, expected))
      continue;
    for (int64_t queries : {1, 4, 8})
      for (int64_t keys : {128, 1024, 4096}) {
        double bytes = 8.0 * static_cast<double>(self.kvHeads * keys * self.headDim);
        double bandwidth = readBandwidth();
        int copies = static_cast<int>(1e8 / bytes) + 1;
        double warm = decode.time({queries, keys}, 50, 1);
        double cold = decode.time({queries, keys}, 3 * copies, 1, copies);
        double coldOnTwo = decode.time({queries, keys}, 3 * copies, 2, copies);
        double other = strip.time({queries, keys}, 10, 1);
        double otherCold = strip.time({queries, keys}, 2 * copies, 1, copies);
        printf("decode %2ld/%ld x %3ld %-8s %ld queries %4ld keys  %7.1f us %5.1f GB/s  cold %7.1f "
               "us %5.1f GB/s = %5.1f %% of %.1f, two threads %4.2fx  strip %4.1fx, cold %4.1fx\n",
               long(self.heads), long(self.kvHeads), long(self.headDim),
               self.layout == Layout::HeadsOutside ? "[h,j,d]" : "[j,h,d]", long(queries),
               long(keys), warm * 1e6, bytes / warm * 1e-9, cold * 1e6, bytes / cold * 1e-9,
               100 * bytes / cold * 1e-9 / bandwidth, bandwidth, cold / coldOnTwo, other / warm,
               otherCold / cold);
      }
  }
}

void benchRows(bool narrow) {
  for (auto [depth, columns] : std::vector<std::pair<int64_t, int64_t>>{
           {768, 768}, {768, 3072}, {3072, 768}, {384, 1536}, {768, 1000}}) {
    Schedule s = schedule(Schedule::Recipe::Gemm, narrow), plain = s;
    plain.prefetch = 0;
    KernelSpec spec = linear(s, depth, columns, false);
    LoadedKernel fetching(spec, s, hostCpu(narrow)), kernel(spec, plain, hostCpu(narrow));
    if (!kernel.ok() || !fetching.ok()) {
      printf("gemm: %s%s\n", kernel.error.c_str(), fetching.error.c_str());
      continue;
    }
    std::vector<Values> inputs = randomInputs(spec, {9}, 0.05);
    Values expected = interpret(spec, {9}, inputs)[spec.outputs[0]];
    if (!isRight("gemm", kernel, {9}, inputs, expected) ||
        !isRight("gemm with prefetches", fetching, {9}, inputs, expected))
      continue;
    double bytes = 4.0 * static_cast<double>(depth * columns);
    int copies = static_cast<int>(2e8 / bytes) + 1;
    for (int64_t rows : {1, 2, 4, 8, 16, 32, 37, 100, 128}) {
      double work = bytes / 2 * static_cast<double>(rows), peak = measurePeak();
      double bandwidth = readBandwidth();
      double cold = kernel.time({rows}, 3 * copies, 1, copies);
      double fetched = fetching.time({rows}, 3 * copies, 1, copies);
      printf("gemm %4ld x %4ld  %3ld rows  %7.1f us  %5.1f %% of %.1f GFLOP/s, %5.1f %% of %.1f "
             "GB/s   with prefetches %5.1f %%, %5.1f %%\n",
             static_cast<long>(depth), static_cast<long>(columns), static_cast<long>(rows),
             cold * 1e6, 1e-7 * work / cold / peak, peak, 1e-7 * bytes / cold / bandwidth,
             bandwidth, 1e-7 * work / fetched / peak, 1e-7 * bytes / fetched / bandwidth);
    }
  }
}

} // namespace rapt::kernels::test
