//===- CheckModel.cpp - Is what an artifact exports a model for this runtime? -*- C++ -*-===//
//
// After these checks the rest of the runtime may index the tables without asking again: ranks are
// at most RAPT_MAX_RANK, dims are constants >= 0 or symbols that exist, every symbol is in some
// input and is at least 0 or 1.
//===------------------------------------------------------------------------------------===//
#include "CpuFeatures.h"
#include "Error.h"
#include "Model.h"

using namespace rapt;

static rapt_status damaged(const char *path, const char *what) {
  return fail(RAPT_ERROR_FORMAT, "'%s' is damaged: %s", path, what);
}

static rapt_status checkTensor(const rapt_abi_model *abi, const rapt_abi_tensor &tensor,
                               bool isInput, const char *path) {
  if (!tensor.name || rapt_dtype_bytes(tensor.dtype) == 0)
    return damaged(path, "an input or output has no name or an unknown element type");
  if (tensor.rank < 0 || tensor.rank > RAPT_MAX_RANK || (tensor.rank > 0 && !tensor.dims))
    return fail(RAPT_ERROR_FORMAT, "'%s': tensor '%s' has rank %d, expected 0 to %d", path,
                tensor.name, int(tensor.rank), RAPT_MAX_RANK);
  for (int32_t i = 0; i < tensor.rank; ++i) {
    const rapt_abi_dim &dim = tensor.dims[i];
    if (!dim.text || (isInput && dim.value < -int64_t(abi->num_symbols)))
      return damaged(path, "a dim has no text, or names an unknown symbol");
  }
  return RAPT_OK;
}

static bool inSomeInput(const rapt_abi_model *abi, int32_t symbol) {
  for (int32_t i = 0; i < abi->num_inputs; ++i)
    for (int32_t d = 0; d < abi->inputs[i].rank; ++d)
      if (abi->inputs[i].dims[d].value == -1 - int64_t(symbol))
        return true;
  return false;
}

static rapt_status checkTables(const rapt_abi_model *abi, const char *path) {
  constexpr int32_t most = 1 << 16;
  if (abi->num_symbols < 0 || abi->num_inputs < 0 || abi->num_outputs < 0 || abi->num_calls < 0 ||
      abi->num_symbols > most || abi->num_inputs > most || abi->num_outputs > most)
    return damaged(path, "a table has a negative or absurd size");
  if ((abi->num_symbols && (!abi->symbols || !abi->least)) || (abi->num_inputs && !abi->inputs) ||
      (abi->num_outputs && !abi->outputs) || (abi->num_calls && !abi->calls) || !abi->plan ||
      !abi->run || !abi->work || !abi->name || !abi->producer || !abi->cpu)
    return damaged(path, "a table, text or entry point is missing");
  for (int32_t i = 0; i < abi->num_inputs; ++i)
    if (rapt_status status = checkTensor(abi, abi->inputs[i], true, path))
      return status;
  for (int32_t i = 0; i < abi->num_outputs; ++i)
    if (rapt_status status = checkTensor(abi, abi->outputs[i], false, path))
      return status;
  for (int32_t i = 0; i < abi->num_symbols; ++i)
    if (abi->least[i] != 0 && abi->least[i] != 1)
      return damaged(path, "a symbol starts from neither 0 nor 1");
  for (int32_t i = 0; i < abi->num_symbols; ++i)
    if (!abi->symbols[i] || !inSomeInput(abi, i))
      return damaged(path, "a symbol has no name or is in no input dim");
  for (int32_t i = 0; i < abi->num_calls; ++i)
    if (!abi->calls[i].kernel || !abi->calls[i].schedule || !abi->calls[i].node)
      return damaged(path, "a kernel call has no name, schedule or node");
  return RAPT_OK;
}

rapt_status rapt::checkModel(const rapt_abi_model *abi, const char *path) {
  if (abi->magic != RAPT_ABI_MAGIC)
    return fail(RAPT_ERROR_FORMAT, "'%s' is not a compiled model: magic 0x%08x, expected 0x%08x",
                path, abi->magic, RAPT_ABI_MAGIC);
  if (abi->abi_version != RAPT_ABI_VERSION)
    return fail(RAPT_ERROR_VERSION, "'%s' has interface version %u, this runtime expects %u", path,
                abi->abi_version, RAPT_ABI_VERSION);
  if (rapt_status status = checkTables(abi, path))
    return status;
  char missing[64];
  if (findMissingFeature(abi->features, missing, sizeof missing))
    return fail(RAPT_ERROR_CPU, "'%s' was compiled for '%s': this CPU lacks '%s' (needed: %s)",
                path, abi->cpu, missing, abi->features);
  return RAPT_OK;
}
