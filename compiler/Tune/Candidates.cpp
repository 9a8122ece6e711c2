//===- Candidates.cpp - Schedules worth trying ------------------------------------------===//
//
// Few, because each takes about a second to compile: the register tiles that the vector registers
// hold, wide and narrow; no prefetching, one line a step, or all that a step reads; attention with
// other blocks of queries and in another variant.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Tune/Tune.h"

#include <set>

using namespace rapt;
using kernels::Schedule;

static void addGemms(std::vector<Schedule> &list, int64_t columns,
                     const kernels::TargetCpu &target) {
  const Schedule first = list.front();
  // One row of the panel and a broadcast stay beside the accumulators.
  int64_t most = target.vectorRegisters >= 32 ? 4 : 2;
  for (int64_t vectors = 1; vectors <= most; ++vectors) {
    int64_t cols = vectors * first.vector;
    int64_t rows = std::min<int64_t>(12, (target.vectorRegisters - vectors - 1) / vectors);
    if (cols >= columns + first.vector || cols == first.tileCols)
      continue;
    Schedule other = first;
    other.tileCols = cols;
    other.tileRows = rows;
    list.push_back(other);
  }
  constexpr int64_t kFloatsPerLine = 16;
  for (int64_t lines : std::set<int64_t>{0, 1, first.tileCols / kFloatsPerLine})
    if (lines != first.prefetch) {
      Schedule other = first;
      other.prefetch = lines;
      list.push_back(other);
    }
}

static void addAttentions(std::vector<Schedule> &list) {
  const Schedule first = list.front();
  if (first.variant == Schedule::Variant::Decode) { // it has no blocks of queries
    Schedule other = first;
    other.variant = Schedule::Variant::Strip;
    list.push_back(other);
    return;
  }
  for (int64_t block : {8, 16, 32, 64})
    if (block != first.blockQuery) {
      Schedule other = first;
      other.blockQuery = block;
      list.push_back(other);
    }
  Schedule other = first;
  other.decodeQueries = 0;
  bool isStrip = first.variant == Schedule::Variant::Strip;
  other.variant = isStrip ? Schedule::Variant::Unfused : Schedule::Variant::Strip;
  list.push_back(other);
}

std::vector<Schedule> rapt::candidates(const Schedule &schedule, int64_t columns,
                                       const kernels::TargetCpu &target) {
  std::vector<Schedule> list{schedule};
  if (schedule.recipe == Schedule::Recipe::Gemm)
    addGemms(list, columns, target);
  if (schedule.recipe == Schedule::Recipe::Attention)
    addAttentions(list);
  return list;
}
