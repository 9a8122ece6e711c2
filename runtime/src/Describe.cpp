//===- Describe.cpp - What a model says about itself -------------------------*- C++ -*-===//
//
// Copies of the artifact's tables in the shape of the public header. Symbol numbers stay inside: a
// dim that depends on the inputs reads -1 and has a text.
//===------------------------------------------------------------------------------------===//
#include "Error.h"
#include "Model.h"

using namespace rapt;

rapt_status rapt_describe(const rapt_model *model, rapt_model_info *info) {
  if (!model || !info)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_describe: the %s pointer is null",
                model ? "info" : "model");
  const rapt_abi_model *abi = model->abi;
  *info = {abi->name,         abi->producer,   abi->cpu,         abi->features ? abi->features : "",
           abi->num_symbols,  abi->num_inputs, abi->num_outputs, abi->symbols,
           abi->weights_bytes};
  return RAPT_OK;
}

rapt_status rapt_symbol_least(const rapt_model *model, int32_t index, int64_t *least) {
  if (!model || !least)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_symbol_least: the %s pointer is null",
                model ? "least" : "model");
  if (index < 0 || index >= model->abi->num_symbols)
    return fail(RAPT_ERROR_ARGUMENT, "symbol index %d is outside the model's %d symbols",
                int(index), int(model->abi->num_symbols));
  *least = model->abi->least[index];
  return RAPT_OK;
}

static rapt_status tensorInfo(const char *kind, const rapt_abi_tensor *tensors, int32_t count,
                              int32_t index, rapt_tensor_info *info) {
  if (!info)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_%s_info: the info pointer is null", kind);
  if (index < 0 || index >= count)
    return fail(RAPT_ERROR_ARGUMENT, "%s index %d is outside the model's %d %ss", kind, int(index),
                int(count), kind);
  const rapt_abi_tensor &tensor = tensors[index];
  *info = {};
  info->name = tensor.name;
  info->dtype = tensor.dtype;
  info->rank = tensor.rank;
  for (int32_t i = 0; i < tensor.rank; ++i) {
    info->dims[i] = tensor.dims[i].value < 0 ? -1 : tensor.dims[i].value;
    info->dim_texts[i] = tensor.dims[i].text;
  }
  return RAPT_OK;
}

rapt_status rapt_input_info(const rapt_model *model, int32_t index, rapt_tensor_info *info) {
  if (!model)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_input_info: the model pointer is null");
  return tensorInfo("input", model->abi->inputs, model->abi->num_inputs, index, info);
}

rapt_status rapt_output_info(const rapt_model *model, int32_t index, rapt_tensor_info *info) {
  if (!model)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_output_info: the model pointer is null");
  return tensorInfo("output", model->abi->outputs, model->abi->num_outputs, index, info);
}
