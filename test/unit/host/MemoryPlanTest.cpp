//===- MemoryPlanTest.cpp - Which buffers share memory ----------------------------------===//
//
// Random plans are checked against the definition: two buffers that live at once never overlap, and
// no buffer is larger than its place.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/MemoryPlan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

using namespace rapt::host;

namespace {

std::vector<Lifetime> randomLifetimes(std::mt19937 &random, size_t count) {
  std::vector<Lifetime> lifetimes(count);
  for (size_t i = 0; i < count; ++i)
    lifetimes[i] = {int64_t(i), int64_t(i + 1 + random() % 6)};
  return lifetimes;
}

TEST(MemoryPlan, ChainOfEqualBuffersAlternates) {
  std::vector<Lifetime> chain;
  for (int64_t i = 0; i < 10; ++i)
    chain.push_back({i, i + 1});
  EXPECT_EQ(planStatic(chain, std::vector<int64_t>(10, 100)).bytes, 2 * 128);
  SlotPlan plan = planSlots(chain, std::vector<SymbolicSize>(10, {4, {0, 1}}), {true, true});
  ASSERT_EQ(plan.slots.size(), 2u);
  EXPECT_EQ(plan.slots[0], (std::vector<SymbolicSize>{{4, {0, 1}}}));
}

TEST(MemoryPlan, StaticGapIsUsed) {
  // Two long-lived buffers around a short one; a later one fits where that was.
  StaticPlan plan = planStatic({{0, 9}, {0, 2}, {0, 9}, {4, 6}}, {256, 192, 128, 64});
  EXPECT_EQ(plan.bytes, 256 + 192 + 128);
}

TEST(MemoryPlan, StaticNeverOverlaps) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    size_t count = 1 + random() % 40;
    std::vector<Lifetime> lifetimes = randomLifetimes(random, count);
    std::vector<int64_t> bytes(count);
    for (int64_t &size : bytes)
      size = random() % 1000;
    StaticPlan plan = planStatic(lifetimes, bytes);
    for (size_t a = 0; a < count; ++a) {
      EXPECT_EQ(plan.offsets[a] % kArenaAlignment, 0);
      EXPECT_LE(plan.offsets[a] + bytes[a], plan.bytes);
      for (size_t b = 0; b < a; ++b)
        if (lifetimes[a].overlaps(lifetimes[b]) && bytes[a] && bytes[b]) {
          EXPECT_TRUE(plan.offsets[a] + bytes[a] <= plan.offsets[b] ||
                      plan.offsets[b] + bytes[b] <= plan.offsets[a]);
        }
    }
  }
}

int64_t evaluate(const SymbolicSize &size, const std::vector<int64_t> &values) {
  int64_t result = size.factor;
  for (int atom : size.atoms)
    result *= values[atom];
  return result;
}

TEST(MemoryPlan, SlotsHoldTheirBuffers) {
  std::mt19937 random(2);
  const std::vector<bool> positive{true, true, false}; // the third value may be 0
  for (int round = 0; round < 200; ++round) {
    size_t count = 1 + random() % 40;
    std::vector<Lifetime> lifetimes = randomLifetimes(random, count);
    std::vector<SymbolicSize> sizes(count);
    for (SymbolicSize &size : sizes) {
      size.factor = 4 << random() % 4;
      for (int atom = 0; atom < 3; ++atom)
        if (random() % 2)
          size.atoms.push_back(atom);
    }
    SlotPlan plan = planSlots(lifetimes, sizes, positive);
    for (auto values : {std::vector<int64_t>{1, 1, 0}, {1, 700, 3}, {900, 1, 0}, {5, 5, 100}})
      for (size_t a = 0; a < count; ++a) {
        int64_t most = 0;
        for (const SymbolicSize &term : plan.slots[plan.slotOf[a]])
          most = std::max(most, evaluate(term, values));
        EXPECT_GE(most, evaluate(sizes[a], values));
      }
    for (size_t a = 0; a < count; ++a)
      for (size_t b = 0; b < a; ++b)
        if (lifetimes[a].overlaps(lifetimes[b])) {
          EXPECT_NE(plan.slotOf[a], plan.slotOf[b]);
        }
  }
}

} // namespace
