//===- GenerateBatch.cpp - Token by token for some sequences -----------------*- C++ -*-===//
//
// encoder? -> first step (the whole prompt, with an empty cache or a model of its own) -> one step
// a token. What a step gives as present keys and values is what the next one takes as past: two
// buffers each that change places. A model without a cache gets the whole sequence at every step.
//===------------------------------------------------------------------------------------===//
#include "GenerateBatch.h"
#include "Scalar.h"

#include <math.h>
#include <string.h>

using namespace rapt;
using namespace rapt::io;
using namespace rapt::tools;

namespace {

/// Memory that grows and forgets.
class Buffer {
public:
  Buffer() = default;
  Buffer(const Buffer &) = delete;
  ~Buffer() { free(data); }
  bool reserve(uint64_t bytes) {
    if (bytes <= capacity)
      return true;
    uint64_t wanted = ((bytes > capacity * 2 ? bytes : capacity * 2) + 63) & ~uint64_t(63);
    free(data);
    data = aligned_alloc(64, wanted);
    capacity = data ? wanted : 0;
    return data;
  }
  void swap(Buffer &other) {
    void *ownData = data;
    uint64_t ownCapacity = capacity;
    data = other.data;
    capacity = other.capacity;
    other.data = ownData;
    other.capacity = ownCapacity;
  }
  void *data = nullptr;

private:
  uint64_t capacity = 0;
};

/// Sequences that run together.
class Batch {
public:
  Batch(const GenerateOptions &options, Models &models, IoError &error)
      : options(options), error(error), decoder(&models.decoder),
        first(options.firstPath ? &models.first : nullptr),
        encoder(options.encoderPath ? &models.encoder : nullptr),
        features(options.encoderInput ? &models.features[0] : nullptr) {}

  /// Continues prompts begin .. end.
  bool run(size_t begin, size_t end, List<Continuation> &results) {
    if (!start(begin, end))
      return false;
    Sampler sampler(options.sampling);
    List<SplitMix64> randoms;
    for (size_t row = 0; row < rows; ++row)
      if (SplitMix64 *random = randoms.add())
        *random = SplitMix64(uint64_t(options.seed) + begin + row);
      else
        return outOfMemory();
    size_t running = rows;
    for (int64_t step = 0; step < options.maxNewTokens && running; ++step) {
      bool whole = step == 0 || !decoder->ports.hasCache;
      if (!compute(step == 0 && first ? *first : *decoder, whole ? 0 : length - 1))
        return false;
      for (size_t row = 0; row < rows; ++row) {
        Continuation &result = results[begin + row];
        int64_t id = result.ended ? *(result.ids.end() - 1) : 0;
        if (!result.ended) {
          if (!sampler.choose(logits.tensor.data, logits.tensor.dtype, lastLogits(row),
                              vocabulary(), randoms[row], id, error) ||
              !append(result.ids, id))
            return false;
          for (int64_t endId : options.endIds)
            result.ended |= id == endId;
          running -= result.ended;
        }
        if (!append(sequences[row], id))
          return false;
      }
      ++length;
    }
    return true;
  }

private:
  struct CacheBuffers {
    Buffer now, next;
    rapt_tensor tensor = {}; ///< what `now` holds
  };

  bool outOfMemory() { return error.fail("out of memory"); }

  bool append(Ids &ids, int64_t id) {
    int64_t *added = ids.add();
    if (!added)
      return outOfMemory();
    *added = id;
    return true;
  }

  int64_t vocabulary() const { return logits.tensor.dims[logits.tensor.rank - 1]; }
  /// Where the logits of a row's last token begin.
  int64_t lastLogits(size_t row) const {
    int64_t steps = logits.tensor.rank == 3 ? logits.tensor.dims[1] : 1;
    return (int64_t(row) * steps + steps - 1) * vocabulary();
  }

  bool start(size_t begin, size_t end) {
    rows = end - begin;
    prompts = options.prompts.begin() + begin;
    bool toEncoder = encoder || decoder->ports.find(Role::EncoderIds);
    length = toEncoder ? int64_t(options.startIds.size()) : 1;
    for (size_t row = 0; row < rows && !toEncoder; ++row)
      if (int64_t own = int64_t(prompts[row].size()); own > length)
        length = own;
    encoderLength = toEncoder ? int64_t(prompts[0].size()) : 0;
    for (size_t row = 0; row < rows; ++row) {
      Ids *sequence = sequences.add();
      int64_t *pad = sequence ? pads.add() : nullptr;
      if (!pad)
        return outOfMemory();
      *pad = toEncoder ? 0 : length - int64_t(prompts[row].size());
      for (int64_t i = 0; i < length; ++i) {
        int64_t id = toEncoder  ? options.startIds[size_t(i)]
                     : i < *pad ? 0
                                : prompts[row][size_t(i - *pad)];
        if (!append(*sequence, id))
          return false;
      }
    }
    for (size_t i = 0; i < decoder->ports.inputs.size(); ++i)
      if (!caches.add())
        return outOfMemory();
    return !encoder || encode();
  }

  bool encode() {
    if (features)
      encoderLength = features->tensor.rank > 1 ? features->tensor.dims[1] : 1;
    if (!computeOutputs(*encoder, 0))
      return false;
    states = static_cast<Array &&>(logits);
    if (states.tensor.dims[0] != int64_t(rows))
      return error.fail("the encoder's states are for %lld sequences, expected %zu",
                        (long long)states.tensor.dims[0], rows);
    encoderLength = states.tensor.dims[1];
    return true;
  }

  /// One step of a decoder on the tokens from `from` on. Its caches are the next step's.
  bool compute(Model &model, int64_t from) {
    if (!computeOutputs(model, from))
      return false;
    if (logits.tensor.dims[0] != int64_t(rows) || logits.isEmpty())
      return error.fail("the logits are for %lld sequences, expected %zu",
                        (long long)logits.tensor.dims[0], rows);
    if (&model == decoder)
      return true;
    for (size_t i = 0; i < decoder->ports.inputs.size(); ++i)
      if (const Port &port = decoder->ports.inputs[i]; port.role == Role::Cache)
        if (!adopt(port, caches[i]))
          return false;
    return true;
  }

  /// Takes what the first model left for a cache of the decoder.
  bool adopt(const Port &port, CacheBuffers &cache) {
    for (const Present &present : first->ports.presents) {
      if (!isSameCache(port.info.name, present.info.name))
        continue;
      const rapt_tensor &tensor = others[size_t(present.output)].tensor;
      if (tensor.dtype != port.info.dtype || tensor.rank != port.info.rank)
        return error.fail("'%s' of the first model does not fit input '%s'", present.info.name,
                          port.info.name);
      if (!cache.now.reserve(rapt_tensor_bytes(&tensor)))
        return outOfMemory();
      memcpy(cache.now.data, tensor.data, rapt_tensor_bytes(&tensor));
      cache.tensor = tensor;
      setPast(port, tensor);
      return true;
    }
    return error.fail("the first model has no output for input '%s'", port.info.name);
  }

  void setPast(const Port &port, const rapt_tensor &tensor) {
    for (int32_t d = 0; d < tensor.rank; ++d) {
      if (port.sizes[d] == Size::Past)
        past = tensor.dims[d];
      if (port.sizes[d] == Size::Encoder)
        encoderLength = tensor.dims[d];
    }
  }

  int64_t sizeOf(Size size, int64_t seq) const {
    switch (size) {
    case Size::Batch:
      return int64_t(rows);
    case Size::Seq:
      return seq;
    case Size::Past:
      return past;
    case Size::Total:
      return past + seq;
    default:
      return encoderLength;
    }
  }

  /// The value of an input of integers (or of a mask, which may be of any type) at `column`.
  double valueAt(const Port &port, size_t row, int64_t column, int64_t columns,
                 int64_t from) const {
    switch (port.role) {
    case Role::Ids:
      return double(sequences[row][size_t(from + column)]);
    case Role::EncoderIds:
      return double(prompts[row][size_t(column)]);
    case Role::Mask: // the last columns of the sequence
      return length - columns + column >= pads[row];
    case Role::UsesCache:
      return from > 0;
    case Role::Positions: {
      int64_t position = from + column - pads[row];
      return double(position < 0 ? 0 : position);
    }
    default:
      return 1;
    }
  }

  bool makeInput(Model &model, size_t index, int64_t from, Array &array, rapt_tensor &tensor) {
    const Port &port = model.ports.inputs[index];
    tensor = {port.info.name, nullptr, port.info.dtype, port.info.rank, {}};
    for (int32_t d = 0; d < tensor.rank; ++d)
      tensor.dims[d] = port.sizes[d] == Size::Constant ? port.info.dims[d]
                                                       : sizeOf(port.sizes[d], length - from);
    if (port.role == Role::States) {
      tensor = &model == encoder ? features->tensor : states.tensor;
      tensor.name = port.info.name;
      return true;
    }
    if (port.role == Role::Cache) {
      if (caches[index].tensor.rank)
        memcpy(tensor.dims, caches[index].tensor.dims, sizeof tensor.dims);
      tensor.data = caches[index].now.data;
      return true;
    }
    if (!array.allocate(tensor, error))
      return false;
    tensor.data = array.tensor.data;
    int64_t columns = tensor.rank ? tensor.dims[tensor.rank - 1] : 1, given = array.numElements();
    if (port.role == Role::UnreadCache) {
      for (int64_t i = 0; i < given; ++i)
        setScalar(tensor.data, tensor.dtype, i, NAN); // whoever reads it shows
      return true;
    }
    int64_t numRows = columns ? given / columns : 0;
    if (!fits(port, numRows, columns, length - from))
      return false;
    for (int64_t row = 0; row < numRows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        setScalar(tensor.data, tensor.dtype, row * columns + column,
                  valueAt(port, size_t(row), column, columns, from));
    return true;
  }

  /// Whether an input with fixed dims can hold what it must.
  bool fits(const Port &port, int64_t numRows, int64_t columns, int64_t seq) {
    int64_t wanted = port.role == Role::Ids ? seq : columns;
    for (size_t row = 0; row < rows && port.role == Role::EncoderIds && wanted == columns; ++row)
      wanted = int64_t(prompts[row].size());
    if (uint64_t(numRows) <= rows && columns == wanted)
      return true;
    if (uint64_t(numRows) <= rows && port.sizes[port.info.rank - 1] != Size::Constant)
      return error.fail("input %s must be as long as the encoder's states, %lld, and the prompt "
                        "has %lld token%s",
                        TensorText(port.info).text, (long long)columns, (long long)wanted,
                        wanted == 1 ? "" : "s");
    return error.fail("input %s has fixed dims, and %zu prompt%s of %lld token%s to take",
                      TensorText(port.info).text, rows, rows == 1 ? "" : "s", (long long)wanted,
                      wanted == 1 ? "" : "s");
  }

  bool computeOutputs(Model &model, int64_t from) {
    size_t numInputs = model.ports.inputs.size(), numOutputs = size_t(model.info.num_outputs);
    List<Array> arrays;
    List<rapt_tensor> inputs, outputs;
    for (size_t i = 0; i < numInputs; ++i)
      if (!arrays.add() || !inputs.add())
        return outOfMemory();
      else if (!makeInput(model, i, from, arrays[i], inputs[i]))
        return false;
    while (others.size() < numOutputs)
      if (!others.add())
        return outOfMemory();
    while (outputs.size() < numOutputs)
      if (!outputs.add())
        return outOfMemory();
    if (rapt_output_shapes(model.model, inputs.begin(), int32_t(numInputs), outputs.begin()))
      return refused(model);
    for (size_t i = 0; i < numOutputs; ++i)
      if (!placeOutput(model, i, outputs[i]))
        return false;
    if (rapt_run(model.workspace, inputs.begin(), int32_t(numInputs), outputs.begin(),
                 int32_t(numOutputs)) ||
        rapt_result_shapes(model.workspace, outputs.begin()))
      return refused(model);
    for (size_t i = 0; i < numOutputs; ++i) // sizes that depend on data are known now
      memcpy(placeOf(model, i).tensor.dims, outputs[i].dims, sizeof outputs[i].dims);
    for (size_t i = 0; i < numInputs && &model == decoder; ++i) {
      const Port &port = model.ports.inputs[i];
      if (port.role != Role::Cache || port.output < 0)
        continue;
      caches[i].now.swap(caches[i].next);
      caches[i].tensor = outputs[size_t(port.output)];
      setPast(port, caches[i].tensor);
    }
    return true;
  }

  bool refused(const Model &model) {
    bool encodes = &model == encoder;
    const char *which = encodes ? "the encoder, " : &model == first ? "the model of --first, " : "";
    return error.fail("%sat %lld tokens: %s", which, (long long)(encodes ? encoderLength : length),
                      rapt_last_error());
  }

  bool placeOutput(Model &model, size_t index, rapt_tensor &tensor) {
    for (size_t i = 0; i < model.ports.inputs.size() && &model == decoder; ++i) {
      const Port &port = model.ports.inputs[i];
      if (port.role != Role::Cache || port.output != int32_t(index))
        continue;
      if (!caches[i].next.reserve(rapt_tensor_bytes(&tensor)))
        return outOfMemory();
      tensor.data = caches[i].next.data;
      return true;
    }
    Array fresh;
    if (!fresh.allocate(tensor, error))
      return false;
    tensor = fresh.tensor;
    placeOf(model, index) = static_cast<Array &&>(fresh);
    return true;
  }

  /// Where an output that is no cache of the decoder is kept.
  Array &placeOf(const Model &model, size_t index) {
    return int32_t(index) == model.ports.logits ? logits : others[index];
  }

  const GenerateOptions &options;
  IoError &error;
  Model *decoder, *first, *encoder; ///< the latter two may be null
  const Array *features;            ///< may be null
  const Ids *prompts = nullptr;
  size_t rows = 0;
  int64_t length = 0; ///< tokens of each sequence, padding included
  int64_t past = 0;   ///< tokens in the cache
  int64_t encoderLength = 0;
  List<Ids> sequences;
  List<int64_t> pads;        ///< of each row, at its left
  List<CacheBuffers> caches; ///< by input of the decoder
  List<Array> others;        ///< outputs that are neither logits nor a cache
  Array logits, states;
};

} // namespace

bool rapt::tools::continueBatch(const GenerateOptions &options, Models &models, size_t begin,
                                size_t end, List<Continuation> &results, IoError &error) {
  Batch batch(options, models, error);
  return batch.run(begin, end, results);
}
