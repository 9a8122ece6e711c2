//===- Run.cpp - Running a model on a workspace ------------------------------*- C++ -*-===//
//
// Bind inputs -> plan -> bind outputs -> memory -> generated code. With enough workspace memory
// nothing is allocated on this path.
//===------------------------------------------------------------------------------------===//
#include "Error.h"
#include "FloatMode.h"
#include "Workspace.h"

using namespace rapt;

rapt_status rapt::inUse() {
  return fail(RAPT_ERROR_ARGUMENT, "the workspace is in use by another thread");
}

rapt_status rapt_workspace_reserve(rapt_workspace *workspace, const rapt_tensor *inputs,
                                   int32_t num_inputs) {
  if (!workspace)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_workspace_reserve: the workspace pointer is null");
  WorkspaceLock lock(workspace);
  if (!lock)
    return inUse();
  rapt_abi_plan plan;
  Binding &binding = workspace->binding;
  if (rapt_status status = bindInputs(workspace->model, inputs, num_inputs, false, binding))
    return status;
  if (rapt_status status = planFor(workspace->model, binding, plan))
    return status;
  return prepareMemory(workspace, plan);
}

rapt_status rapt_run(rapt_workspace *workspace, const rapt_tensor *inputs, int32_t num_inputs,
                     const rapt_tensor *outputs, int32_t num_outputs) {
  if (!workspace)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_run: the workspace pointer is null");
  WorkspaceLock lock(workspace);
  if (!lock)
    return inUse();
  workspace->hasResult = false;
  const rapt_model *model = workspace->model;
  Binding &binding = workspace->binding;
  rapt_abi_plan plan;
  if (rapt_status status = bindInputs(model, inputs, num_inputs, true, binding))
    return status;
  if (rapt_status status = planFor(model, binding, plan))
    return status;
  if (rapt_status status = bindOutputs(model, outputs, num_outputs, binding))
    return status;
  if (rapt_status status = prepareMemory(workspace, plan))
    return status;
  RunError &error = workspace->error;
  error.clear();
  if (workspace->profile.isOn())
    workspace->profile.begin(binding.dims);
  FloatMode mode;
  if (model->abi->run(&workspace->contexts[0].abi, binding.dims, binding.inputs, binding.outputs,
                      workspace->memory, model->weights, binding.resultDims))
    return fail(RAPT_ERROR_RUN, "the model refuses these values: %s",
                error.text[0] ? error.text : "no reason given");
  workspace->hasResult = true;
  return RAPT_OK;
}

rapt_status rapt_result_shapes(rapt_workspace *workspace, rapt_tensor *outputs) {
  if (!workspace || !outputs)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_result_shapes: the %s pointer is null",
                workspace ? "outputs" : "workspace");
  WorkspaceLock lock(workspace);
  if (!lock)
    return inUse();
  if (!workspace->hasResult)
    return fail(RAPT_ERROR_ARGUMENT,
                "rapt_result_shapes: the last run on this workspace failed, or there was none");
  describeOutputs(workspace->model, workspace->binding.resultDims, outputs);
  return RAPT_OK;
}
