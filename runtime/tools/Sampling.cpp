//===- Sampling.cpp - From logits to the next token --------------------------*- C++ -*-===//
//
// The order of the ids is only needed as far as top_k and top_p reach, so they come from a heap.
//===------------------------------------------------------------------------------------===//
#include "Sampling.h"
#include "Scalar.h"

#include <math.h>

using namespace rapt::io;
using namespace rapt::tools;

bool Sampler::choose(const void *data, int32_t dtype, int64_t first, int64_t count,
                     SplitMix64 &random, int64_t &id, IoError &error) {
  while (!options.greedy && candidates.size() < size_t(count))
    if (!candidates.add())
      return error.fail("out of memory for %lld logits", (long long)count);
  Candidate best = {-INFINITY, 0};
  for (int64_t i = 0; i < count; ++i) {
    double logit = getScalar(data, dtype, first + i);
    if (isnan(logit))
      return error.fail("the logit of id %lld is not a number", (long long)i);
    Candidate candidate = {options.greedy ? logit : logit / options.temperature, i};
    if (candidate.before(best))
      best = candidate;
    if (!options.greedy)
      candidates[size_t(i)] = candidate;
  }
  // With an infinite logit there is nothing to draw from: weights would be NaN.
  id = options.greedy || isinf(best.score) ? best.id : sample(size_t(count), random);
  return true;
}

/// Restores the heap (the first in order on top) below `at`.
void Sampler::sift(size_t at, size_t size) {
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= size)
      return;
    if (child + 1 < size && candidates[child + 1].before(candidates[child]))
      ++child;
    if (!candidates[child].before(candidates[at]))
      return;
    Candidate moved = candidates[at];
    candidates[at] = candidates[child];
    candidates[child] = moved;
    at = child;
  }
}

int64_t Sampler::sample(size_t count, SplitMix64 &random) {
  for (size_t i = count / 2; i-- > 0;)
    sift(i, count);
  double largest = candidates[0].score;
  size_t taken = 0;
  // Weight number `place` in order. Candidates leave the top of the heap for the end of the array.
  auto weight = [&](size_t place) {
    for (; taken <= place; ++taken) {
      size_t last = count - 1 - taken;
      Candidate top = candidates[0];
      candidates[0] = candidates[last];
      candidates[last] = top;
      sift(0, last);
    }
    return exp(candidates[count - 1 - place].score - largest);
  };
  size_t kept = count;
  double total = 0;
  if (options.topK > 0 && size_t(options.topK) < count) {
    kept = size_t(options.topK);
    for (size_t i = 0; i < kept; ++i)
      total += weight(i);
  } else {
    for (size_t i = 0; i < count; ++i)
      total += exp(candidates[i].score - largest);
  }
  if (options.topP < 1) {
    double goal = options.topP * total;
    size_t most = kept;
    for (kept = 0, total = 0; kept < most && (kept == 0 || total < goal); ++kept)
      total += weight(kept);
  }
  double goal = random.uniform() * total, sum = 0;
  size_t place = 0;
  while (place + 1 < kept &&
         (sum += weight(place)) <= goal) // the last one takes what rounding left
    ++place;
  weight(place);
  return candidates[count - 1 - place].id;
}
