//===- MemoryPlan.cpp - Which buffers share memory --------------------------------------===//
//
// Lifetimes and sizes => offsets (known sizes) or shared slots (symbolic sizes).
// Plain algorithms: nothing here knows MLIR, and equal input gives equal plans.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/MemoryPlan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace rapt::host;

namespace {

/// What an unknown dim is taken for when sizes must be put in some order. It decides how well
/// memory is shared, never whether a plan is right.
constexpr double nominalDim = 64;

double nominal(const SymbolicSize &size) {
  return double(size.factor) * std::pow(nominalDim, double(size.atoms.size()));
}

/// Whether `a` is at least `b` for all values of the atoms.
bool covers(const SymbolicSize &a, const SymbolicSize &b, const std::vector<bool> &positive) {
  if (a.factor < b.factor ||
      !std::includes(a.atoms.begin(), a.atoms.end(), b.atoms.begin(), b.atoms.end()))
    return false;
  std::vector<int> rest;
  std::set_difference(a.atoms.begin(), a.atoms.end(), b.atoms.begin(), b.atoms.end(),
                      std::back_inserter(rest));
  return std::all_of(rest.begin(), rest.end(), [&](int atom) { return positive[atom]; });
}

/// Buffers, largest first; equal ones in order of time, so that the result is always the same.
template <typename Size> std::vector<size_t> largestFirst(size_t count, Size size) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return size(a) != size(b) ? size(a) > size(b) : a < b; });
  return order;
}

int64_t aligned(int64_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

/// How gladly a buffer of `size` goes into a slot: 0 same size, 1 certainly fits, 2 the slot grows.
int fit(const std::vector<SymbolicSize> &slot, const SymbolicSize &size,
        const std::vector<bool> &positive) {
  int best = 2;
  for (const SymbolicSize &term : slot)
    best = std::min(best, term == size ? 0 : covers(term, size, positive) ? 1 : 2);
  return best;
}

void grow(std::vector<SymbolicSize> &slot, const SymbolicSize &size,
          const std::vector<bool> &positive) {
  if (fit(slot, size, positive) < 2)
    return;
  std::erase_if(slot, [&](const SymbolicSize &term) { return covers(size, term, positive); });
  slot.push_back(size);
}

} // namespace

StaticPlan rapt::host::planStatic(const std::vector<Lifetime> &lifetimes,
                                  const std::vector<int64_t> &bytes) {
  StaticPlan plan{std::vector<int64_t>(bytes.size()), 0};
  std::vector<size_t> placed; // ascending by offset
  for (size_t buffer : largestFirst(bytes.size(), [&](size_t i) { return bytes[i]; })) {
    int64_t need = aligned(bytes[buffer]), end = 0, best = -1;
    int64_t bestGap = std::numeric_limits<int64_t>::max();
    for (size_t other : placed) {
      if (!lifetimes[buffer].overlaps(lifetimes[other]))
        continue;
      int64_t gap = plan.offsets[other] - end;
      if (gap >= need && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, plan.offsets[other] + aligned(bytes[other]));
    }
    plan.offsets[buffer] = best >= 0 ? best : end;
    plan.bytes = std::max(plan.bytes, plan.offsets[buffer] + need);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), buffer,
                         [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
        buffer);
  }
  return plan;
}

SlotPlan rapt::host::planSlots(const std::vector<Lifetime> &lifetimes,
                               const std::vector<SymbolicSize> &sizes,
                               const std::vector<bool> &positive) {
  SlotPlan plan{std::vector<int>(sizes.size(), -1), {}};
  std::vector<std::vector<size_t>> residents;
  for (size_t buffer : largestFirst(sizes.size(), [&](size_t i) { return nominal(sizes[i]); })) {
    int best = -1, bestFit = 3;
    double bestSize = 0;
    for (size_t slot = 0; slot < plan.slots.size(); ++slot) {
      if (std::any_of(residents[slot].begin(), residents[slot].end(),
                      [&](size_t other) { return lifetimes[buffer].overlaps(lifetimes[other]); }))
        continue;
      int quality = fit(plan.slots[slot], sizes[buffer], positive);
      double size = nominal(plan.slots[slot].front());
      if (quality < bestFit || (quality == bestFit && size < bestSize)) {
        best = int(slot);
        bestFit = quality;
        bestSize = size;
      }
    }
    if (best < 0) {
      best = int(plan.slots.size());
      plan.slots.emplace_back();
      residents.emplace_back();
    }
    grow(plan.slots[best], sizes[buffer], positive);
    residents[best].push_back(buffer);
    plan.slotOf[buffer] = best;
  }
  return plan;
}
