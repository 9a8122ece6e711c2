//===- Profile.cpp - When the kernels of a run began and ended ---------------*- C++ -*-===//
//
// Only the thread that calls rapt_run calls kernels, so the record needs no lock; rapt_profile_*
// hold the workspace as a run does.
//===------------------------------------------------------------------------------------===//
#include "Profile.h"
#include "Error.h"
#include "Workspace.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

using namespace rapt;

int64_t rapt::now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t(time.tv_sec) * 1000000000 + time.tv_nsec;
}

bool Profile::create(const rapt_abi_model *model, int theNumThreads) {
  abi = model;
  numThreads = theNumThreads;
  // Few kernels have more than one loop; those with a loop for each stage have several.
  maxLoops = 64 + 4 * int64_t(abi->num_calls);
  size_t all = size_t(maxLoops) * size_t(numThreads);
  loops = static_cast<rapt_thread_time *>(calloc(all, sizeof(rapt_thread_time)));
  threads = static_cast<Thread *>(aligned_alloc(alignof(Thread), numThreads * sizeof(Thread)));
  // One element more: an empty table has an address as well.
  spans = static_cast<Span *>(calloc(size_t(abi->num_calls) + 1, sizeof(Span)));
  dims = static_cast<int64_t *>(calloc(size_t(abi->num_symbols) + 1, sizeof(int64_t)));
  work = static_cast<double *>(calloc(2 * size_t(abi->num_calls) + 1, sizeof(double)));
  hasRun = false;
  if (spans && dims && work && loops && threads) {
    memset(threads, 0, numThreads * sizeof(Thread));
    return true;
  }
  destroy();
  return false;
}

void Profile::destroy() {
  free(spans);
  free(dims);
  free(work);
  free(loops);
  free(threads);
  loops = nullptr;
  threads = nullptr;
  spans = nullptr;
  dims = nullptr;
  work = nullptr;
}

void Profile::begin(const int64_t *runDims) {
  memcpy(dims, runDims, size_t(abi->num_symbols) * sizeof *dims);
  memset(spans, 0, size_t(abi->num_calls) * sizeof *spans);
  memset(threads, 0, numThreads * sizeof(Thread));
  hasRun = true;
  start = last = now();
}

void Profile::read(rapt_call_time *times) {
  if (hasRun)
    abi->work(nullptr, dims, work);
  for (int32_t i = 0; i < abi->num_calls; ++i) {
    bool called = spans[i].end != 0;
    times[i] = {called ? spans[i].begin - start : 0, called ? spans[i].end - start : 0,
                called ? work[2 * i] : 0, called ? work[2 * i + 1] : 0};
  }
}

int32_t Profile::readThreads(rapt_thread_time *times, int32_t room) const {
  int64_t count = 0;
  for (int i = 0; i < numThreads; ++i)
    for (int64_t j = 0; j < threads[i].count; ++j, ++count)
      if (count < room) {
        times[count] = loops[i * maxLoops + j];
        times[count].begin -= start;
        times[count].end -= start;
      }
  return int32_t(count);
}

void rapt::afterCall(rapt_abi_context *context, int32_t call) {
  reinterpret_cast<Context *>(context)->profile.load(std::memory_order_relaxed)->afterCall(call);
}

//===-- Public functions ------------------------------------------------------------------===//

int32_t rapt_num_calls(const rapt_model *model) { return model ? model->abi->num_calls : 0; }

rapt_status rapt_describe_call(const rapt_model *model, int32_t index, rapt_call_info *info) {
  if (!model || !info)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_describe_call: the %s pointer is null",
                model ? "info" : "model");
  if (index < 0 || index >= model->abi->num_calls)
    return fail(RAPT_ERROR_ARGUMENT, "call index %d is outside the model's %d calls", int(index),
                int(model->abi->num_calls));
  const rapt_abi_call &call = model->abi->calls[index];
  *info = {call.kernel, call.schedule, call.node};
  return RAPT_OK;
}

rapt_status rapt_profile_start(rapt_workspace *workspace) {
  if (!workspace)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_profile_start: the workspace pointer is null");
  WorkspaceLock lock(workspace);
  if (!lock)
    return inUse();
  if (!workspace->profile.isOn() &&
      !workspace->profile.create(workspace->model->abi, workspace->numThreads))
    return fail(RAPT_ERROR_MEMORY, "out of memory while starting a profile");
  for (int i = 0; i < workspace->numThreads; ++i)
    workspace->contexts[i].profile.store(&workspace->profile);
  workspace->contexts[0].abi.after_call = afterCall;
  return RAPT_OK;
}

rapt_status rapt_profile_read(rapt_workspace *workspace, rapt_call_time *times, int32_t num_calls) {
  if (!workspace || (num_calls && !times))
    return fail(RAPT_ERROR_ARGUMENT, "rapt_profile_read: the %s pointer is null",
                workspace ? "times" : "workspace");
  WorkspaceLock lock(workspace);
  if (!lock)
    return inUse();
  if (!workspace->profile.isOn())
    return fail(RAPT_ERROR_ARGUMENT, "rapt_profile_read: rapt_profile_start was not called");
  if (num_calls != workspace->model->abi->num_calls)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_profile_read: room for %d calls, the model has %d",
                int(num_calls), int(workspace->model->abi->num_calls));
  workspace->profile.read(times);
  return RAPT_OK;
}

rapt_status rapt_profile_threads(rapt_workspace *workspace, rapt_thread_time *times, int32_t room,
                                 int32_t *count) {
  if (!workspace || !count || (room && !times))
    return fail(RAPT_ERROR_ARGUMENT, "rapt_profile_threads: the %s pointer is null",
                !workspace ? "workspace"
                : !count   ? "count"
                           : "times");
  WorkspaceLock lock(workspace);
  if (!lock)
    return inUse();
  if (!workspace->profile.isOn())
    return fail(RAPT_ERROR_ARGUMENT, "rapt_profile_threads: rapt_profile_start was not called");
  *count = workspace->profile.readThreads(times, room);
  return RAPT_OK;
}

rapt_status rapt_profile_stop(rapt_workspace *workspace) {
  if (!workspace)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_profile_stop: the workspace pointer is null");
  WorkspaceLock lock(workspace);
  if (!lock)
    return inUse();
  workspace->contexts[0].abi.after_call = nullptr;
  for (int i = 0; i < workspace->numThreads; ++i)
    workspace->contexts[i].profile.store(nullptr);
  workspace->profile.destroy();
  return RAPT_OK;
}
