//===- Sampling.h - From logits to the next token ----------------------------*- C++ -*-===//
//
// Greedy: the id with the largest logit, the lowest of equal ones. Sampled, all in double:
//   1. score = logit / temperature
//   2. ids in the order of falling scores, equal ones by rising id; the first top_k (0: all) stay
//   3. weight = exp(score - largest score)
//   4. of these the fewest first ones whose weights sum to at least top_p of all that are left
//   5. the first id at which the running sum of weights exceeds u times their sum, u in [0, 1) the
//      next number of SplitMix64::uniform
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TOOLS_SAMPLING_H
#define RAPT_TOOLS_SAMPLING_H

#include "IoError.h"
#include "List.h"
#include "SplitMix64.h"

namespace rapt::tools {

struct SamplingOptions {
  bool greedy = true;
  double temperature = 1; ///< > 0; not used when greedy
  int64_t topK = 0;       ///< 0: all
  double topP = 1;        ///< in (0, 1]
};

/// Chooses among `count` >= 1 logits of a float type that start at element `first` of `data`.
class Sampler {
public:
  explicit Sampler(const SamplingOptions &options) : options(options) {}

  /// Error: a logit is not a number, or out of memory.
  bool choose(const void *data, int32_t dtype, int64_t first, int64_t count, SplitMix64 &random,
              int64_t &id, io::IoError &error);

private:
  struct Candidate {
    double score;
    int64_t id;
    bool before(const Candidate &other) const {
      return score > other.score || (score == other.score && id < other.id);
    }
  };
  void sift(size_t at, size_t size);
  int64_t sample(size_t count, SplitMix64 &random);

  const SamplingOptions &options;
  io::List<Candidate> candidates; ///< kept between calls for its memory
};

} // namespace rapt::tools

#endif // RAPT_TOOLS_SAMPLING_H
