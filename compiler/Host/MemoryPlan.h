//===- MemoryPlan.h - Which buffers share memory ----------------------------------*- C++ -*-===//
//
// The two algorithms of the arena, on plain numbers. Both place large buffers first, which is the
// greedy order that published comparisons of such planners find best in practice.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_HOST_MEMORYPLAN_H
#define RAPT_COMPILER_HOST_MEMORYPLAN_H

#include <cstdint>
#include <vector>

namespace rapt::host {

/// Arena offsets and slot sizes are multiples of this: a cache line, and the widest vector.
inline constexpr int64_t kArenaAlignment = 64;

/// Steps of the function, both included, between which a buffer holds data.
struct Lifetime {
  int64_t first = 0, last = 0;
  bool overlaps(const Lifetime &other) const { return first <= other.last && other.first <= last; }
};

/// A size in bytes: factor * the dims `atoms` (sorted numbers of unknown values).
struct SymbolicSize {
  int64_t factor = 0;
  std::vector<int> atoms;
  bool operator==(const SymbolicSize &) const = default;
};

struct StaticPlan {
  std::vector<int64_t> offsets; // of each buffer
  int64_t bytes = 0;
};

/// Known sizes: each buffer at the offset where the smallest gap between its contemporaries holds
/// it.
StaticPlan planStatic(const std::vector<Lifetime> &lifetimes, const std::vector<int64_t> &bytes);

struct SlotPlan {
  std::vector<int> slotOf;                      // of each buffer
  std::vector<std::vector<SymbolicSize>> slots; // a slot is as large as the largest of its terms
};

/// Unknown sizes: buffers that never live at once share slots. A slot with a buffer of the same
/// size is preferred, then one that is certainly large enough, then one that must grow to the
/// maximum. `positive[atom]`: that value is known to be at least 1.
SlotPlan planSlots(const std::vector<Lifetime> &lifetimes, const std::vector<SymbolicSize> &sizes,
                   const std::vector<bool> &positive);

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_MEMORYPLAN_H
