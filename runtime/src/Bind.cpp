//===- Bind.cpp - Callers' tensors meet the model's tables -------------------*- C++ -*-===//
//
// Name or place -> dtype -> rank -> each dim -> size -> data pointer: the first thing that is wrong
// is reported with the value seen and the value expected. Allocates only in Binding::create.
//===------------------------------------------------------------------------------------===//
#include "Bind.h"
#include "Error.h"

#include <stdlib.h>
#include <string.h>

using namespace rapt;

bool Binding::create(const rapt_model *model) {
  size_t symbols = size_t(model->abi->num_symbols), inputs = size_t(model->abi->num_inputs),
         outputs = size_t(model->abi->num_outputs);
  size_t most = inputs > outputs ? inputs : outputs;
  size_t words = symbols + 2 * size_t(model->numOutputDims) + inputs + outputs + symbols;
  char *memory = static_cast<char *>(calloc(words * 8 + most + 1, 1));
  if (!memory)
    return false;
  dims = reinterpret_cast<int64_t *>(memory);
  outputDims = dims + symbols;
  resultDims = outputDims + model->numOutputDims;
  this->inputs = reinterpret_cast<const void **>(resultDims + model->numOutputDims);
  this->outputs = const_cast<void **>(this->inputs + inputs);
  boundInput = reinterpret_cast<int32_t *>(this->outputs + outputs);
  boundDim = boundInput + symbols;
  seen = reinterpret_cast<bool *>(boundDim + symbols);
  return true;
}

void Binding::destroy() { free(dims); }

namespace {

/// Whether a tensor, whose rank was checked, has no elements.
bool isEmpty(const rapt_tensor &tensor) {
  for (int32_t d = 0; d < tensor.rank; ++d)
    if (tensor.dims[d] == 0)
      return true;
  return false;
}

/// One side (inputs or outputs) of one call.
struct Side {
  const char *kind; ///< "input" or "output"
  const rapt_abi_tensor *table;
  int32_t numTable;
  const rapt_tensor *tensors;
  int32_t numTensors;

  rapt_status checkArray() const {
    if (numTensors < 0)
      return fail(RAPT_ERROR_ARGUMENT, "the number of %ss is %d, expected %d", kind,
                  int(numTensors), int(numTable));
    if (numTensors > 0 && !tensors)
      return fail(RAPT_ERROR_ARGUMENT, "the pointer to the %ss is null, expected %d tensors", kind,
                  int(numTensors));
    return RAPT_OK;
  }

  /// Finds the table row of tensor number `i` and marks it in `seen`.
  rapt_status match(int32_t i, bool *seen, int32_t &row) const {
    const char *name = tensors[i].name;
    row = 0;
    if (!name)
      row = i;
    else
      while (row < numTable && strcmp(table[row].name, name) != 0)
        ++row;
    if (row >= numTable && !name)
      return fail(RAPT_ERROR_NAME, "%s number %d was given, the model has %d %ss", kind, int(i),
                  int(numTable), kind);
    if (row >= numTable)
      return fail(RAPT_ERROR_NAME, "the model has no %s '%s'%s%s%s", kind, name,
                  numTable ? ", its first is '" : "", numTable ? table[0].name : "",
                  numTable ? "'" : "");
    if (seen[row])
      return fail(RAPT_ERROR_NAME, "%s '%s' was given twice", kind, table[row].name);
    seen[row] = true;
    return RAPT_OK;
  }

  rapt_status checkAllSeen(const bool *seen) const {
    for (int32_t row = 0; row < numTable; ++row)
      if (!seen[row])
        return fail(RAPT_ERROR_NAME, "%s '%s' is missing", kind, table[row].name);
    return RAPT_OK;
  }

  rapt_status checkType(const rapt_tensor &tensor, const rapt_abi_tensor &expected) const {
    if (tensor.dtype != expected.dtype)
      return fail(RAPT_ERROR_DTYPE, "%s '%s' has element type %s (%d), expected %s", kind,
                  expected.name, rapt_dtype_name(tensor.dtype), int(tensor.dtype),
                  rapt_dtype_name(expected.dtype));
    if (tensor.rank != expected.rank)
      return fail(RAPT_ERROR_RANK, "%s '%s' has rank %d, expected %d", kind, expected.name,
                  int(tensor.rank), int(expected.rank));
    return RAPT_OK;
  }

  /// Dims are those expected here. What is empty may have no data.
  rapt_status checkData(const rapt_tensor &tensor, const rapt_abi_tensor &expected) const {
    if (isEmpty(tensor))
      return RAPT_OK;
    if (!tensor.data)
      return fail(RAPT_ERROR_ARGUMENT, "%s '%s' has a null data pointer", kind, expected.name);
    int32_t align = rapt_dtype_bytes(expected.dtype);
    if (reinterpret_cast<uintptr_t>(tensor.data) % uintptr_t(align))
      return fail(RAPT_ERROR_ARGUMENT, "%s '%s' has data at %p, expected a multiple of %d", kind,
                  expected.name, tensor.data, int(align));
    return RAPT_OK;
  }

  rapt_status checkBytes(const rapt_tensor &tensor, const rapt_abi_tensor &expected) const {
    if (rapt_tensor_bytes(&tensor) == 0 && !isEmpty(tensor))
      return fail(RAPT_ERROR_SHAPE, "%s '%s' has more than 2^63 - 1 bytes", kind, expected.name);
    return RAPT_OK;
  }
};

} // namespace

/// Checks dim `d` of input `row`, and binds its symbol when it has one that is still free.
static rapt_status bindDim(const rapt_abi_model *abi, int32_t row, int32_t d, int64_t value,
                           Binding &binding) {
  const rapt_abi_tensor &input = abi->inputs[row];
  const rapt_abi_dim &dim = input.dims[d];
  int64_t least = dim.value < 0 ? abi->least[-1 - dim.value] : dim.value > 0;
  if (value < least)
    return fail(RAPT_ERROR_SHAPE, "input '%s' dim %d ('%s') is %lld, expected at least %lld",
                input.name, int(d), dim.text, (long long)value, (long long)least);
  if (dim.value >= 0) {
    if (value != dim.value)
      return fail(RAPT_ERROR_SHAPE, "input '%s' dim %d is %lld, expected %lld", input.name, int(d),
                  (long long)value, (long long)dim.value);
    return RAPT_OK;
  }
  int64_t symbol = -1 - dim.value;
  if (binding.dims[symbol] < 0) {
    binding.dims[symbol] = value;
    binding.boundInput[symbol] = row;
    binding.boundDim[symbol] = d;
    return RAPT_OK;
  }
  if (binding.dims[symbol] != value)
    return fail(RAPT_ERROR_SHAPE,
                "input '%s' dim %d ('%s') is %lld, expected %lld as in dim %d of input '%s'",
                input.name, int(d), abi->symbols[symbol], (long long)value,
                (long long)binding.dims[symbol], int(binding.boundDim[symbol]),
                abi->inputs[binding.boundInput[symbol]].name);
  return RAPT_OK;
}

rapt_status rapt::bindInputs(const rapt_model *model, const rapt_tensor *tensors, int32_t count,
                             bool withData, Binding &binding) {
  const rapt_abi_model *abi = model->abi;
  Side side = {"input", abi->inputs, abi->num_inputs, tensors, count};
  for (int32_t i = 0; i < abi->num_symbols; ++i)
    binding.dims[i] = -1;
  memset(binding.seen, 0, size_t(abi->num_inputs));
  if (rapt_status status = side.checkArray())
    return status;
  for (int32_t i = 0; i < count; ++i) {
    int32_t row;
    if (rapt_status status = side.match(i, binding.seen, row))
      return status;
    const rapt_abi_tensor &expected = abi->inputs[row];
    if (rapt_status status = side.checkType(tensors[i], expected))
      return status;
    for (int32_t d = 0; d < expected.rank; ++d)
      if (rapt_status status = bindDim(abi, row, d, tensors[i].dims[d], binding))
        return status;
    if (rapt_status status = side.checkBytes(tensors[i], expected))
      return status;
    if (!withData)
      continue;
    if (rapt_status status = side.checkData(tensors[i], expected))
      return status;
    binding.inputs[row] = tensors[i].data;
  }
  return side.checkAllSeen(binding.seen);
}

rapt_status rapt::planFor(const rapt_model *model, Binding &binding, rapt_abi_plan &plan) {
  RunError error;
  Context context(nullptr, &error);
  plan = {};
  if (model->abi->plan(&context.abi, binding.dims, binding.outputDims, &plan))
    return fail(RAPT_ERROR_SHAPE, "the model refuses these input dims: %s",
                error.text[0] ? error.text : "no reason given");
  const int64_t *dims = binding.outputDims;
  for (int32_t i = 0; i < model->abi->num_outputs; ++i) {
    const rapt_abi_tensor &output = model->abi->outputs[i];
    rapt_tensor tensor = {output.name, nullptr, output.dtype, output.rank, {}};
    memcpy(tensor.dims, dims, size_t(output.rank) * sizeof *dims);
    if (rapt_tensor_bytes(&tensor) == 0 && !isEmpty(tensor))
      return fail(RAPT_ERROR_SHAPE,
                  "output '%s' would have more than 2^63 - 1 bytes for these input dims",
                  output.name);
    dims += output.rank;
  }
  return RAPT_OK;
}

rapt_status rapt::bindOutputs(const rapt_model *model, const rapt_tensor *tensors, int32_t count,
                              Binding &binding) {
  const rapt_abi_model *abi = model->abi;
  Side side = {"output", abi->outputs, abi->num_outputs, tensors, count};
  memset(binding.seen, 0, size_t(abi->num_outputs));
  if (rapt_status status = side.checkArray())
    return status;
  for (int32_t i = 0; i < count; ++i) {
    int32_t row;
    if (rapt_status status = side.match(i, binding.seen, row))
      return status;
    const rapt_abi_tensor &expected = abi->outputs[row];
    if (rapt_status status = side.checkType(tensors[i], expected))
      return status;
    const int64_t *dims = binding.outputDims;
    for (int32_t before = 0; before < row; ++before)
      dims += abi->outputs[before].rank;
    for (int32_t d = 0; d < expected.rank; ++d)
      if (tensors[i].dims[d] != dims[d])
        return fail(RAPT_ERROR_SHAPE, "output '%s' dim %d ('%s') is %lld, expected %lld",
                    expected.name, int(d), expected.dims[d].text, (long long)tensors[i].dims[d],
                    (long long)dims[d]);
    if (rapt_status status = side.checkData(tensors[i], expected))
      return status;
    binding.outputs[row] = tensors[i].data;
  }
  return side.checkAllSeen(binding.seen);
}

void rapt::describeOutputs(const rapt_model *model, const int64_t *dims, rapt_tensor *outputs) {
  for (int32_t i = 0; i < model->abi->num_outputs; ++i) {
    const rapt_abi_tensor &output = model->abi->outputs[i];
    outputs[i] = {output.name, nullptr, output.dtype, output.rank, {}};
    memcpy(outputs[i].dims, dims, size_t(output.rank) * sizeof *dims);
    dims += output.rank;
  }
}
