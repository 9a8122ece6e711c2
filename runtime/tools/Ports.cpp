//===- Ports.cpp - What the inputs and outputs of a text model are for -------*- C++ -*-===//
//
// Names first, then shapes. Whatever has no meaning is an error that shows the tensor: a generation
// loop that feeds a guess gives wrong text without saying so.
//===------------------------------------------------------------------------------------===//
#include "Ports.h"
#include "Scalar.h"

#include <initializer_list>
#include <string.h>

using namespace rapt::io;
using namespace rapt::tools;

namespace {

bool contains(const char *name, const char *word) { return strstr(name, word); }

bool isCacheName(const char *name) { return contains(name, "past") || contains(name, "present"); }

/// A cache whose keys are the encoder's. "decoder" does not hold "encoder".
bool isCrossName(const char *name) { return contains(name, "encoder") || contains(name, "cross"); }

bool isInteger(const rapt_tensor_info &info) {
  return info.dtype == RAPT_I64 || info.dtype == RAPT_I32;
}

/// Steps over one of the words that differ between a past input and its present output.
bool skipWord(const char *&at) {
  for (const char *word : {"past_key_values", "present_key_values", "past", "present"})
    if (strncmp(at, word, strlen(word)) == 0) {
      at += strlen(word);
      return true;
    }
  return false;
}

bool sameText(const rapt_tensor_info &a, int32_t i, const rapt_tensor_info &b, int32_t j) {
  return a.dims[i] < 0 && b.dims[j] < 0 && strcmp(a.dim_texts[i], b.dim_texts[j]) == 0;
}

bool sameSize(const rapt_tensor_info &a, int32_t i, const rapt_tensor_info &b, int32_t j) {
  return a.dims[i] >= 0 || b.dims[j] >= 0 ? a.dims[i] == b.dims[j] : sameText(a, i, b, j);
}

/// Whether the longer dim of a present output is the past one and as many as there are new tokens:
/// the texts are the compiler's, a sum of two symbols.
bool isLongerBy(const char *seq, const char *past, const char *present) {
  size_t seqLength = strlen(seq), pastLength = strlen(past), length = seqLength + 3 + pastLength;
  auto isSum = [&](const char *a, size_t aLength, const char *b) {
    return strncmp(present, a, aLength) == 0 && strncmp(present + aLength, " + ", 3) == 0 &&
           strcmp(present + aLength + 3, b) == 0;
  };
  return strlen(present) == length && (isSum(past, pastLength, seq) || isSum(seq, seqLength, past));
}

/// The one dim in which an output is longer than an input, all others being the same; -1 for none
/// or several.
int32_t longerAxis(const rapt_tensor_info &input, const rapt_tensor_info &output, const char *seq) {
  if (input.dtype != output.dtype || input.rank != output.rank)
    return -1;
  int32_t axis = -1;
  for (int32_t d = 0; d < input.rank; ++d) {
    if (sameSize(input, d, output, d))
      continue;
    if (axis >= 0 || input.dims[d] >= 0 || output.dims[d] >= 0 ||
        !isLongerBy(seq, input.dim_texts[d], output.dim_texts[d]))
      return -1;
    axis = d;
  }
  return axis;
}

class Recognizer {
public:
  Recognizer(const rapt_model *model, Ports &ports, IoError &error)
      : model(model), ports(ports), error(error) {}

  bool decoder() {
    if (!load())
      return false;
    if (!findIds())
      return false;
    for (Port &port : ports.inputs)
      if (!giveRole(port))
        return false;
    for (Port &port : ports.inputs)
      if (port.role == Role::Cache && !port.isCross && !pairByName(port))
        return false;
    for (Port &port : ports.inputs)
      if (port.role == Role::Cache && port.output < 0 && !port.isCross)
        pairByShape(port);
    for (Port &port : ports.inputs)
      if (!giveSizes(port))
        return false;
    return dropUnreadCaches() && findLogits() && collectPresents();
  }

  bool encoder() {
    if (!load())
      return false;
    size_t found = 0;
    ports.ids = findPlainIds({"input_ids"}, found);
    for (size_t i = 0; i < ports.inputs.size(); ++i) {
      Port &port = ports.inputs[i];
      bool isPosition = isPositions(port);
      if (contains(port.info.name, "mask"))
        port.role = Role::EncoderMask;
      else if (int32_t(i) == ports.ids)
        port.role = Role::EncoderIds;
      else if (isPosition)
        port.role = Role::Positions;
      else if (isFloat(port.info.dtype))
        port.role = Role::States;
      else
        return error.fail("the encoder's input %s has no meaning in generation, expected token "
                          "ids, a mask, positions or features",
                          TensorText(port.info).text);
      if (port.role != Role::States && !isPosition && port.info.rank != 2)
        return error.fail("the encoder's input %s has rank %d, expected 2",
                          TensorText(port.info).text, int(port.info.rank));
      for (int32_t d = 0; d < port.info.rank; ++d)
        if (port.info.dims[d] < 0)
          port.sizes[d] = d || (isPosition && port.info.rank == 1) ? Size::Encoder : Size::Batch;
    }
    for (int32_t i = 0; ports.logits < 0 && i < numOutputs; ++i)
      if (output(i).rank == 3 && isFloat(output(i).dtype))
        ports.logits = i;
    return ports.logits >= 0 ||
           error.fail("the encoder has no output of rank 3 that a decoder could attend to");
  }

private:
  bool load() {
    rapt_model_info info;
    rapt_describe(model, &info);
    numOutputs = info.num_outputs;
    for (int32_t i = 0; i < info.num_inputs; ++i) {
      Port *port = ports.inputs.add();
      if (!port)
        return error.fail("out of memory");
      rapt_input_info(model, i, &port->info);
    }
    return true;
  }

  rapt_tensor_info output(int32_t index) const {
    rapt_tensor_info info = {};
    rapt_output_info(model, index, &info);
    return info;
  }

  bool isPlainIds(const Port &port) const {
    const char *name = port.info.name;
    return port.info.rank == 2 && isInteger(port.info) && !contains(name, "mask") &&
           !contains(name, "position");
  }

  static bool isPositions(const Port &port) {
    return contains(port.info.name, "position") && isInteger(port.info) && port.info.rank <= 2;
  }

  /// The input of ids with the first of `names` that there is, or the only one of `found`; -1 for
  /// none or several. One that is ports.ids already does not count.
  int32_t findPlainIds(std::initializer_list<const char *> names, size_t &found) const {
    int32_t any = -1;
    for (size_t i = 0; i < ports.inputs.size(); ++i)
      if (int32_t(i) != ports.ids && isPlainIds(ports.inputs[i]) && ++found)
        any = int32_t(i);
    for (const char *name : names)
      for (size_t i = 0; i < ports.inputs.size(); ++i)
        if (int32_t(i) != ports.ids && strcmp(ports.inputs[i].info.name, name) == 0 &&
            isPlainIds(ports.inputs[i]))
          return int32_t(i);
    return found == 1 ? any : -1;
  }

  bool findIds() {
    size_t found = 0, others = 0;
    ports.ids = findPlainIds({"decoder_input_ids", "input_ids"}, found);
    if (ports.ids >= 0 && strcmp(ids().name, "decoder_input_ids") == 0)
      encoderIds = findPlainIds({"input_ids"}, others);
    return ports.ids >= 0 ||
           error.fail("the model has %zu inputs of integers [batch, seq] and none is named "
                      "input_ids: cannot tell where tokens go in",
                      found);
  }

  const rapt_tensor_info &ids() const { return ports.inputs[size_t(ports.ids)].info; }

  bool giveRole(Port &port) {
    const char *name = port.info.name;
    bool encoderDecoder = strcmp(ids().name, "decoder_input_ids") == 0;
    if (&port == &ports.inputs[size_t(ports.ids)])
      port.role = Role::Ids;
    else if (contains(name, "mask") && port.info.rank == 2)
      port.role = (encoderDecoder && !contains(name, "decoder_attention_mask")) ||
                          contains(name, "encoder_attention_mask")
                      ? Role::EncoderMask
                      : Role::Mask;
    else if (contains(name, "use_cache") && port.info.dtype == RAPT_BOOL && port.info.rank <= 1)
      port.role = Role::UsesCache;
    else if (isPositions(port))
      port.role = Role::Positions;
    else if (encoderIds >= 0 && &port == &ports.inputs[size_t(encoderIds)])
      port.role = Role::EncoderIds;
    else if (isFloat(port.info.dtype) && port.info.rank == 3 && contains(name, "encoder"))
      port.role = Role::States;
    else if (isFloat(port.info.dtype) && port.info.rank >= 3)
      port.role = Role::Cache;
    else
      return error.fail("the model's input %s has no meaning in generation, expected token ids, a "
                        "mask, positions, an encoder's states or past keys and values",
                        TensorText(port.info).text);
    if (contains(name, "decoder_attention_mask"))
      port.role = Role::Mask;
    port.isCross = port.role == Role::Cache && isCrossName(name);
    return true;
  }

  bool isTaken(int32_t index) const {
    for (const Port &port : ports.inputs)
      if (port.role == Role::Cache && port.output == index)
        return true;
    return false;
  }

  bool pairByName(Port &port) {
    for (int32_t i = 0; i < numOutputs; ++i) {
      rapt_tensor_info present = output(i);
      if (!isSameCache(port.info.name, present.name) || isTaken(i))
        continue;
      if (present.dtype != port.info.dtype || present.rank != port.info.rank)
        return error.fail("input %s cannot take what output %s gives", TensorText(port.info).text,
                          TensorText(present).text);
      port.output = i;
      return true;
    }
    return true;
  }

  void pairByShape(Port &port) {
    for (int32_t i = 0; i < numOutputs; ++i)
      if (rapt_tensor_info present = output(i);
          !isTaken(i) && longerAxis(port.info, present, ids().dim_texts[1]) > 0) {
        port.output = i;
        return;
      }
  }

  /// Dim 0 is the batch; the rest follows from the role.
  bool giveSizes(Port &port) {
    for (int32_t d = 0; d < port.info.rank; ++d) {
      if (port.info.dims[d] >= 0)
        continue;
      if (port.role == Role::UsesCache)
        return error.fail("the model's input %s has an open size, expected one element",
                          TensorText(port.info).text);
      bool isBatch = d == 0 || sameText(port.info, d, ids(), 0);
      if (isBatch && !(port.role == Role::Positions && port.info.rank == 1)) {
        port.sizes[d] = Size::Batch;
        continue;
      }
      switch (port.role) {
      case Role::Ids:
      case Role::Positions:
        port.sizes[d] = Size::Seq;
        break;
      case Role::Mask:
        port.sizes[d] = sameText(port.info, d, ids(), 1) ? Size::Seq : Size::Total;
        break;
      case Role::EncoderIds:
      case Role::EncoderMask:
      case Role::States:
        port.sizes[d] = Size::Encoder;
        break;
      case Role::Cache:
      case Role::UnreadCache:
        port.sizes[d] = port.isCross ? Size::Encoder : Size::Past;
        break;
      case Role::UsesCache: // has none
        break;
      }
    }
    if (port.role != Role::Cache)
      return true;
    int lengths = 0;
    for (int32_t d = 0; d < port.info.rank; ++d)
      lengths += port.sizes[d] == Size::Past || port.sizes[d] == Size::Encoder;
    if (port.output < 0 && !port.isCross)
      return error.fail("no output is recognised as what input %s becomes after a step: expected "
                        "the same name with 'present' for 'past', or its shape with one longer dim",
                        TensorText(port.info).text);
    return lengths == 1 || (port.isCross && lengths == 0) ||
           error.fail("input %s has %d dims that could count the tokens of the "
                      "cache, expected one",
                      TensorText(port.info).text, lengths);
  }

  /// Whether what `port` becomes is as long as the new tokens are.
  bool startsAnew(const Port &port) const {
    rapt_tensor_info present = output(port.output);
    for (int32_t d = 0; d < port.info.rank; ++d)
      if (port.sizes[d] == Size::Past)
        return sameSize(present, d, ids(), 1);
    return false;
  }

  /// Whether the dim has the name of one that an encoder's output or mask has: then it is as long.
  bool isEncoderLength(const rapt_tensor_info &info, int32_t dim) const {
    for (const Port &port : ports.inputs)
      for (int32_t d = 1; d < port.info.rank; ++d)
        if ((port.role == Role::States || port.role == Role::EncoderMask) &&
            port.sizes[d] == Size::Encoder && sameText(info, dim, port.info, d))
          return true;
    return false;
  }

  bool dropUnreadCaches() {
    ports.hasCache = false;
    bool anew = false;
    for (const Port &port : ports.inputs)
      if (port.role == Role::Cache && !port.isCross)
        (startsAnew(port) ? anew : ports.hasCache) = true;
    if (ports.hasCache || !anew)
      return true;
    for (Port &port : ports.inputs) {
      if (port.role != Role::Cache)
        continue;
      for (int32_t d = 0; d < port.info.rank; ++d) {
        if (port.sizes[d] != Size::Past && port.sizes[d] != Size::Encoder)
          continue;
        if (isEncoderLength(port.info, d))
          continue;
        port.info.dims[d] = leastOf(model, port.info.dim_texts[d]);
        if (!port.isCross && port.info.dims[d] > 0)
          return error.fail("output %s holds new tokens only, so input %s must be empty, but its "
                            "dim %d can not be 0",
                            TensorText(output(port.output)).text, TensorText(port.info).text,
                            int(d));
        port.sizes[d] = Size::Constant;
      }
      port.role = Role::UnreadCache;
      port.output = -1;
    }
    return true;
  }

  bool findLogits() {
    for (int pass = 0; pass < 2 && ports.logits < 0; ++pass)
      for (int32_t i = 0; i < numOutputs && ports.logits < 0; ++i) {
        rapt_tensor_info info = output(i);
        bool fits = isFloat(info.dtype) && (info.rank == 2 || info.rank == 3) && !isTaken(i) &&
                    info.dims[info.rank - 1] > 0 && !isCacheName(info.name);
        if (fits && (pass || strcmp(info.name, "logits") == 0)) {
          ports.logits = i;
          ports.vocabulary = info.dims[info.rank - 1];
        }
      }
    return ports.logits >= 0 || error.fail("the model has no output of logits, f32[batch, seq, "
                                           "vocabulary] with a known vocabulary; its first one is "
                                           "%s",
                                           TensorText(output(0)).text);
  }

  bool collectPresents() {
    for (int32_t i = 0; i < numOutputs; ++i)
      if (rapt_tensor_info info = output(i); i != ports.logits && isCacheName(info.name)) {
        Present *present = ports.presents.add();
        if (!present)
          return error.fail("out of memory");
        *present = {i, info};
      }
    return true;
  }

  const rapt_model *model;
  Ports &ports;
  IoError &error;
  int32_t numOutputs = 0, encoderIds = -1;
};

} // namespace

TensorText::TensorText(const rapt_tensor_info &info) {
  size_t at = 0;
  auto append = [&](const char *format, const char *word) {
    int more = snprintf(text + at, sizeof text - at, format, word);
    at = more < 0 || size_t(more) >= sizeof text - at ? sizeof text - 1 : at + size_t(more);
  };
  append("'%s' (", info.name);
  append("%s[", rapt_dtype_name(info.dtype));
  for (int32_t d = 0; d < info.rank; ++d)
    append(d ? ", %s" : "%s", info.dim_texts[d]);
  append("])%s", "");
}

const Port *Ports::find(Role role) const {
  for (const Port &port : inputs)
    if (port.role == role)
      return &port;
  return nullptr;
}

int64_t rapt::tools::leastOf(const rapt_model *model, const char *symbol) {
  rapt_model_info info;
  rapt_describe(model, &info);
  int64_t least = 1;
  for (int32_t i = 0; i < info.num_symbols; ++i)
    if (strcmp(info.symbols[i], symbol) == 0)
      rapt_symbol_least(model, i, &least);
  return least;
}

bool rapt::tools::isSameCache(const char *past, const char *present) {
  bool words = false;
  for (;; ++past, ++present) {
    const char *afterPast = past, *afterPresent = present;
    if (skipWord(afterPast) && skipWord(afterPresent)) {
      words = true;
      past = afterPast;
      present = afterPresent;
    }
    if (*past != *present)
      return false;
    if (!*past)
      return words;
  }
}

bool rapt::tools::recognizeDecoder(const rapt_model *model, Ports &ports, IoError &error) {
  return Recognizer(model, ports, error).decoder();
}

bool rapt::tools::recognizeEncoder(const rapt_model *model, Ports &ports, IoError &error) {
  return Recognizer(model, ports, error).encoder();
}
