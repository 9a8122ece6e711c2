//===- Generate.cpp - Models and prompts that fit each other -----------------*- C++ -*-===//
#include "Generate.h"
#include "GenerateBatch.h"

#include <initializer_list>

using namespace rapt;
using namespace rapt::io;
using namespace rapt::tools;

namespace {

/// The models of one call, and what can be said before anything runs.
class Generation {
public:
  Generation(const GenerateOptions &options, IoError &error) : options(options), error(error) {}

  bool run(List<Continuation> &results) {
    if (!open() || !check())
      return false;
    bool together = canRunTogether();
    for (size_t begin = 0; begin < options.prompts.size();) {
      size_t end = together ? options.prompts.size() : begin + 1;
      while (results.size() < end)
        if (!results.add())
          return error.fail("out of memory");
      if (!continueBatch(options, models, begin, end, results, error))
        return stopped(results, begin, end);
      begin = end;
    }
    return true;
  }

private:
  /// Says how far it went, before what `error` says.
  bool stopped(const List<Continuation> &results, size_t begin, size_t end) {
    size_t made = 0;
    for (size_t i = begin; i < end; ++i)
      made = results[i].ids.size() > made ? results[i].ids.size() : made;
    char numbers[64] = "";
    if (options.prompts.size() > 1 && end - begin > 1)
      snprintf(numbers, sizeof numbers, "prompts number %zu to %zu: ", begin, end - 1);
    else if (options.prompts.size() > 1)
      snprintf(numbers, sizeof numbers, "prompt number %zu: ", begin);
    IoError cause = error;
    return made ? error.fail("%sstopped after %zu of %lld new ids: %s", numbers, made,
                             (long long)options.maxNewTokens, cause.text)
                : error.fail("%s%s", numbers, cause.text);
  }

  bool open() {
    if (!models.decoder.open(options.modelPath, options.threads, error) ||
        !recognizeDecoder(models.decoder.model, models.decoder.ports, error))
      return false;
    if (options.firstPath && (!models.first.open(options.firstPath, options.threads, error) ||
                              !recognizeDecoder(models.first.model, models.first.ports, error)))
      return false;
    if (options.encoderPath &&
        (!models.encoder.open(options.encoderPath, options.threads, error) ||
         !recognizeEncoder(models.encoder.model, models.encoder.ports, error)))
      return false;
    if (!options.encoderInput)
      return true;
    return readArrays(options.encoderInput, models.features, error) &&
           (models.features.size() == 1 ||
            error.fail("'%s' has %zu arrays, expected one", options.encoderInput,
                       models.features.size()));
  }

  bool check() {
    const Ports &ports = models.decoder.ports;
    bool toEncoder = options.encoderPath || ports.find(Role::EncoderIds);
    if (!checkEncoder())
      return false;
    if (!toEncoder && options.startIds.size())
      return error.fail("--start-id is for models with an encoder, and the prompt starts this one");
    if (toEncoder && !options.startIds.size())
      return error.fail("prompts go to the encoder: --start-id must say which token the decoder "
                        "begins with");
    const Port *source = encoderIds();
    for (size_t i = 0; i < options.prompts.size(); ++i) {
      if (!options.prompts[i].size() && options.encoderInput && source)
        return error.fail("input %s takes ids beside --encoder-input: --prompt-ids is missing",
                          TensorText(source->info).text);
      if (!options.prompts[i].size() && !options.encoderInput)
        return error.fail("prompt number %zu is empty, expected at least one id", i);
      for (int64_t id : options.prompts[i])
        if (toEncoder ? id < 0 : isOutside(id))
          return toEncoder ? error.fail("prompt number %zu has id %lld, expected 0 or more", i,
                                        (long long)id)
                           : outside("prompt id", id);
    }
    for (int64_t id : options.startIds)
      if (isOutside(id))
        return outside("--start-id", id);
    for (int64_t id : options.endIds)
      if (isOutside(id))
        return outside("--eos-id", id);
    if (!options.firstPath)
      return takesEmptyCache();
    if (models.first.ports.find(Role::Cache))
      return error.fail("the model of --first takes a cache, expected one that makes it");
    return ports.find(Role::Cache) || error.fail("'%s' takes no cache, so there is nothing for "
                                                 "the model of --first to make",
                                                 options.modelPath);
  }

  /// An input of any model that takes the prompt beside or before the decoder.
  const Port *encoderIds() const {
    for (const Model *model : {&models.encoder, &models.first, &models.decoder})
      if (const Port *port = model->ports.find(Role::EncoderIds))
        return port;
    return nullptr;
  }

  /// An encoder with a decoder that attends to it, and features for one that reads them.
  bool checkEncoder() {
    const Port *states = statesOf(models.decoder.ports);
    if (!states && options.firstPath)
      states = statesOf(models.first.ports);
    if (!options.encoderPath && states)
      return error.fail("the decoder's input %s is an encoder's: its model must be given by "
                        "--encoder",
                        TensorText(states->info).text);
    if (options.encoderPath && !states)
      return error.fail("'%s' has no input for what the model of --encoder gives, f32[batch, "
                        "length, width] with 'encoder' in its name",
                        options.modelPath);
    const Port *features = models.encoder.ports.find(Role::States);
    if (features && !options.encoderInput)
      return error.fail("the encoder reads %s: --encoder-input must give it",
                        TensorText(features->info).text);
    if (options.encoderInput && !features)
      return error.fail("--encoder-input is for encoders that read features, and '%s' reads ids",
                        options.encoderPath);
    return true;
  }

  static const Port *statesOf(const Ports &ports) {
    for (const Port &port : ports.inputs)
      if (port.role == Role::States || (port.role == Role::Cache && port.isCross))
        return &port;
    return nullptr;
  }

  bool isOutside(int64_t id) const { return id < 0 || id >= models.decoder.ports.vocabulary; }
  bool outside(const char *what, int64_t id) {
    return error.fail("%s %lld is outside the vocabulary, expected 0 to %lld", what, (long long)id,
                      (long long)models.decoder.ports.vocabulary - 1);
  }

  /// Without a model for the first step the cache starts empty.
  bool takesEmptyCache() {
    for (const Port &port : models.decoder.ports.inputs) {
      if (port.role != Role::Cache)
        continue;
      if (port.isCross)
        return error.fail("input '%s' holds an encoder's keys or values, which a first step gives: "
                          "its model must be given by --first",
                          port.info.name);
      for (int32_t d = 0; d < port.info.rank; ++d)
        if (port.sizes[d] == Size::Past &&
            leastOf(models.decoder.model, port.info.dim_texts[d]) > 0)
          return error.fail("dim %d ('%s') of input '%s' can not be 0, so the model has no first "
                            "step: one without a cache must be given by --first",
                            int(d), port.info.dim_texts[d], port.info.name);
    }
    return true;
  }

  bool canRunTogether() const {
    bool sameLength = true;
    for (const Ids &prompt : options.prompts)
      sameLength &= prompt.size() == options.prompts[0].size();
    const Ports &ports = models.decoder.ports;
    if (ports.inputs[size_t(ports.ids)].sizes[0] == Size::Constant) // one sequence at a time
      return false;
    const Port *positions = ports.find(Role::Positions);
    bool pads = ports.find(Role::Mask) && positions && positions->info.rank == 2 &&
                !options.encoderPath && !options.firstPath && !ports.find(Role::EncoderIds);
    return !options.encoderInput && (sameLength || pads);
  }

  const GenerateOptions &options;
  IoError &error;
  Models models;
};

} // namespace

bool rapt::tools::generate(const GenerateOptions &options, List<Continuation> &results,
                           IoError &error) {
  return Generation(options, error).run(results);
}
