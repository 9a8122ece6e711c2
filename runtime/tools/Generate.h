//===- Generate.h - Token by token through a text model ----------------------*- C++ -*-===//
#ifndef RAPT_TOOLS_GENERATE_H
#define RAPT_TOOLS_GENERATE_H

#include "Arrays.h"
#include "Ports.h"
#include "Sampling.h"

namespace rapt::tools {

using Ids = io::List<int64_t>;

struct GenerateOptions {
  const char *modelPath = nullptr;
  const char *firstPath = nullptr;   ///< the decoder of the first step, which takes no cache
  const char *encoderPath = nullptr; ///< gives the states that the decoder attends to
  const char *encoderInput =
      nullptr; ///< .npy of the encoder's features; null: it reads the prompts
  io::List<Ids> prompts;
  Ids endIds;   ///< a sequence stops after one of these
  Ids startIds; ///< the decoder's first tokens, where prompts go to the encoder
  int64_t maxNewTokens = 20;
  int64_t seed = 0;    ///< prompt number i draws from SplitMix64(seed + i)
  int64_t threads = 0; ///< 0: the runtime's default
  SamplingOptions sampling;
  bool json = false, help = false;
};

/// What came after one prompt; an end id is included.
struct Continuation {
  Ids ids;
  bool ended = false; ///< by an end id
};

/// Opens the models, checks the prompts, and continues each. Prompts of one length are a batch; of
/// different lengths they are one, padded on the left, when the model takes a mask and positions,
/// and run one after the other otherwise. One continuation a prompt. Error: what was wrong; results
/// then has what was done, up to the prompts at fault with their ids so far.
bool generate(const GenerateOptions &options, io::List<Continuation> &results, io::IoError &error);

} // namespace rapt::tools

#endif // RAPT_TOOLS_GENERATE_H
