//===- Ports.h - What the inputs and outputs of a text model are for ---------*- C++ -*-===//
//
// Exporters agree on little but names, so inputs and outputs are recognised by name, and what names
// leave open by type and shape:
//
//   past_key_0             present_key_0             torch's exports here
//   past_key_values.0.key  present.0.key             Optimum, decoders
//   past_key_values.0.decoder.key, .encoder.key      Optimum, decoders of encoder-decoders
//   past_0                 present_0                 keys and values in one tensor
//   past_self_key_0, past_cross_key_0
//   use_cache_branch                                 Optimum's merged decoders
//
// A present output is a past input with other words for "past" and "present", or, where no name
// fits, the next output of its type whose dims are the input's but for one that is "past + seq".
// Where the present ones hold new tokens only, earlier ones are not read: so is a merged decoder
// that was compiled with use_cache_branch=false.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TOOLS_PORTS_H
#define RAPT_TOOLS_PORTS_H

#include "IoError.h"
#include "List.h"
#include "rapt.h"

namespace rapt::tools {

/// What decides a dim that the model leaves open.
enum class Size : uint8_t { Constant, Batch, Seq, Past, Total, Encoder };

enum class Role : uint8_t {
  Ids,         ///< [batch, seq]: the new tokens
  Mask,        ///< [batch, past + seq]: 1 for tokens, 0 for padding
  Positions,   ///< [batch, seq] or [seq]
  EncoderIds,  ///< [batch, encoder]: the prompt, in a model that holds the encoder too
  EncoderMask, ///< [batch, encoder]
  States,      ///< [batch, encoder, width]: what the encoder gave
  Cache,       ///< keys or values of earlier tokens, or of the encoder
  UnreadCache, ///< the same of a model that makes them anew; its open dims are Constant
  UsesCache,   ///< one bool: whether there are earlier tokens
};

struct Port {
  Role role = Role::Ids;
  rapt_tensor_info info = {};
  Size sizes[RAPT_MAX_RANK] = {}; ///< of each dim; Constant: info has it
  int32_t output = -1;            ///< of a Cache: the output that holds it after the step, or -1
  bool isCross = false;           ///< of a Cache: its keys or values are the encoder's
};

/// A present output that is no past input of the same model: what a first step leaves.
struct Present {
  int32_t output = 0;
  rapt_tensor_info info = {};
};

struct Ports {
  io::List<Port> inputs; ///< in the model's order
  io::List<Present> presents;
  int32_t ids = -1;    ///< the input that is Ids, of an encoder EncoderIds; -1 for none
  int32_t logits = -1; ///< the output [batch, seq, vocabulary] or [batch, vocabulary]
  int64_t vocabulary = 0;
  bool hasCache = false; ///< some input is a Cache of tokens, which need not be given again

  const Port *find(Role role) const;
};

/// Recognises the inputs and outputs of a decoder. Error: one that has no meaning here, by name.
bool recognizeDecoder(const rapt_model *model, Ports &ports, io::IoError &error);

/// The same for an encoder: every input is EncoderIds, EncoderMask, Positions or States (features
/// that a file gives), and `logits` is the output that a decoder takes as States.
bool recognizeEncoder(const rapt_model *model, Ports &ports, io::IoError &error);

/// The lowest value that the model's dim `symbol` may have: 0, else 1.
int64_t leastOf(const rapt_model *model, const char *symbol);

/// "'x' (f32[batch, 4])", for errors.
struct TensorText {
  char text[512];
  explicit TensorText(const rapt_tensor_info &info);
};

/// Whether two names are those of one cache: equal but for "past", "present" and "key_values".
bool isSameCache(const char *past, const char *present);

} // namespace rapt::tools

#endif // RAPT_TOOLS_PORTS_H
