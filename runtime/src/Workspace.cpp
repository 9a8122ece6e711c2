//===- Workspace.cpp - The memory and threads of runs ------------------------*- C++ -*-===//
//
// Creation starts the threads and allocates everything but the arena and the scratch slices; those
// are mapped once shapes are known and only ever grow.
//===------------------------------------------------------------------------------------===//
#include "Workspace.h"
#include "Error.h"

#include <new>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

using namespace rapt;

static constexpr uint64_t page = 4096;
static constexpr int32_t maxThreads = 1024;

static bool roundUpToPage(uint64_t value, uint64_t &result) {
  if (value > uint64_t(INT64_MAX) - page)
    return false;
  result = (value + page - 1) & ~(page - 1);
  return true;
}

/// The two part sizes of the layout.
static bool partBytes(const rapt_abi_plan &plan, uint64_t &arena, uint64_t &slice) {
  // The extra alignment covers a caller's block that is aligned to 64 bytes only.
  constexpr uint64_t extra = Scratch::slack + Scratch::alignment;
  return roundUpToPage(plan.arena_bytes, arena) && plan.scratch_bytes <= uint64_t(INT64_MAX) &&
         roundUpToPage(plan.scratch_bytes + extra, slice);
}

bool rapt::workspaceBytes(const rapt_abi_plan &plan, int numThreads, uint64_t &bytes) {
  uint64_t arena, slice, slices;
  return partBytes(plan, arena, slice) &&
         !__builtin_mul_overflow(slice, uint64_t(numThreads), &slices) &&
         !__builtin_add_overflow(arena, slices, &bytes) && bytes <= uint64_t(INT64_MAX);
}

static rapt_status tooLarge() {
  return fail(RAPT_ERROR_MEMORY, "these input dims need more than 2^63 - 1 bytes of workspace");
}

rapt_status rapt::prepareMemory(rapt_workspace *workspace, const rapt_abi_plan &plan) {
  uint64_t needed, arena, slice;
  if (!workspaceBytes(plan, workspace->numThreads, needed) || !partBytes(plan, arena, slice))
    return tooLarge();
  if (needed > workspace->bytes) {
    if (!workspace->ownsMemory)
      return fail(RAPT_ERROR_WORKSPACE,
                  "the workspace has %llu bytes, these input dims need %llu with %d threads",
                  (unsigned long long)workspace->bytes, (unsigned long long)needed,
                  workspace->numThreads);
    if (workspace->memory)
      munmap(workspace->memory, workspace->bytes);
    workspace->memory = nullptr;
    workspace->bytes = 0;
    void *memory =
        mmap(nullptr, needed, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return fail(RAPT_ERROR_MEMORY, "cannot allocate a workspace of %llu bytes",
                  (unsigned long long)needed);
    workspace->memory = memory;
    workspace->bytes = needed;
  }
  uintptr_t start = reinterpret_cast<uintptr_t>(workspace->memory) + arena;
  uint64_t shift = -start & (Scratch::alignment - 1);
  char *slices = static_cast<char *>(workspace->memory) + arena;
  for (int i = 0; i < workspace->numThreads; ++i)
    workspace->contexts[i].scratch.reset(slices + uint64_t(i) * slice + shift, slice - shift);
  return RAPT_OK;
}

//===-- Public functions ------------------------------------------------------------------===//

/// Binds shapes without data and asks for the plan, in memory of its own.
static rapt_status planShapes(const rapt_model *model, const rapt_tensor *inputs, int32_t numInputs,
                              rapt_abi_plan &plan, rapt_tensor *outputs) {
  Binding binding;
  if (!binding.create(model))
    return fail(RAPT_ERROR_MEMORY, "out of memory while binding input dims");
  rapt_status status = bindInputs(model, inputs, numInputs, false, binding);
  if (!status)
    status = planFor(model, binding, plan);
  if (!status && outputs)
    describeOutputs(model, binding.outputDims, outputs);
  binding.destroy();
  return status;
}

rapt_status rapt_output_shapes(const rapt_model *model, const rapt_tensor *inputs,
                               int32_t num_inputs, rapt_tensor *outputs) {
  if (!model || !outputs)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_output_shapes: the %s pointer is null",
                model ? "outputs" : "model");
  rapt_abi_plan plan;
  return planShapes(model, inputs, num_inputs, plan, outputs);
}

static rapt_status checkThreads(int32_t numThreads) {
  if (numThreads < 0 || numThreads > maxThreads)
    return fail(RAPT_ERROR_ARGUMENT, "num_threads is %d, expected 0 to %d", int(numThreads),
                int(maxThreads));
  return RAPT_OK;
}

rapt_status rapt_workspace_size(const rapt_model *model, const rapt_tensor *inputs,
                                int32_t num_inputs, int32_t num_threads, uint64_t *bytes) {
  if (!model || !bytes)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_workspace_size: the %s pointer is null",
                model ? "bytes" : "model");
  if (rapt_status status = checkThreads(num_threads))
    return status;
  rapt_abi_plan plan;
  if (rapt_status status = planShapes(model, inputs, num_inputs, plan, nullptr))
    return status;
  uint64_t needed;
  if (!workspaceBytes(plan, num_threads ? num_threads : rapt_default_num_threads(), needed))
    return tooLarge();
  *bytes = needed;
  return RAPT_OK;
}

rapt_status rapt_workspace_create(rapt_model *model, const rapt_workspace_options *options,
                                  rapt_workspace **result) {
  if (!result)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_workspace_create: the workspace pointer is null");
  *result = nullptr;
  if (!model)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_workspace_create: the model pointer is null");
  rapt_workspace_options chosen = options ? *options : rapt_workspace_options{};
  if (rapt_status status = checkThreads(chosen.num_threads))
    return status;
  if (reinterpret_cast<uintptr_t>(chosen.memory) % 64 || (!chosen.memory && chosen.bytes))
    return fail(RAPT_ERROR_ARGUMENT,
                "the workspace memory of %llu bytes is at %p, expected a multiple of 64",
                (unsigned long long)chosen.bytes, chosen.memory);

  void *block = aligned_alloc(alignof(rapt_workspace), sizeof(rapt_workspace));
  if (!block)
    return fail(RAPT_ERROR_MEMORY, "out of memory while making a workspace");
  auto *workspace = new (block) rapt_workspace;
  workspace->model = model;
  model->references.fetch_add(1);
  workspace->numThreads = chosen.num_threads ? chosen.num_threads : rapt_default_num_threads();
  workspace->memory = chosen.memory;
  workspace->bytes = chosen.bytes;
  workspace->ownsMemory = !chosen.memory;
  workspace->contexts =
      static_cast<Context *>(calloc(size_t(workspace->numThreads), sizeof(Context)));
  if (!workspace->contexts || !workspace->binding.create(model)) {
    rapt_workspace_destroy(workspace);
    return fail(RAPT_ERROR_MEMORY, "out of memory while making a workspace");
  }
  ThreadPool *pool = workspace->numThreads > 1 ? &workspace->pool : nullptr;
  for (int i = 0; i < workspace->numThreads; ++i) {
    new (&workspace->contexts[i]) Context(pool, &workspace->error);
    workspace->contexts[i].number = i;
  }
  workspace->pool.init(workspace->contexts, workspace->numThreads);
  if (!workspace->pool.start()) {
    int wanted = workspace->numThreads;
    rapt_workspace_destroy(workspace);
    return fail(RAPT_ERROR_MEMORY, "cannot start %d threads", wanted - 1);
  }
  *result = workspace;
  return RAPT_OK;
}

void rapt_workspace_destroy(rapt_workspace *workspace) {
  if (!workspace)
    return;
  workspace->pool.stop();
  if (workspace->ownsMemory && workspace->memory)
    munmap(workspace->memory, workspace->bytes);
  workspace->binding.destroy();
  workspace->profile.destroy();
  free(workspace->contexts);
  release(workspace->model);
  free(workspace);
}
