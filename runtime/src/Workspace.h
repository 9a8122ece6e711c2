//===- Workspace.h - The memory and threads of runs --------------------------*- C++ -*-===//
//
// Workspace memory: [arena][scratch of thread 0][scratch of thread 1]..., each part a multiple of a
// page, so that an own (page-aligned) block gives page-aligned parts and a caller's 64-byte-aligned
// block keeps the arena's alignment. Scratch wants 128 bytes: the first slice may start 64 later.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_WORKSPACE_H
#define RAPT_RUNTIME_WORKSPACE_H

#include "Bind.h"
#include "Profile.h"
#include "ThreadPool.h"

struct rapt_workspace {
  rapt_model *model = nullptr;
  int numThreads = 1;
  rapt::Context *contexts =
      nullptr; ///< [numThreads]; number 0 is for the thread that calls rapt_run
  rapt::Binding binding = {};
  rapt::RunError error;
  rapt::Profile profile;
  void *memory = nullptr;
  uint64_t bytes = 0;
  bool ownsMemory = true;
  bool hasResult = false;        ///< the last run succeeded: binding.resultDims
  std::atomic<bool> busy{false}; ///< a run or reserve is going on
  rapt::ThreadPool pool;
};

namespace rapt {

/// Holds a workspace for one call, or finds that another thread does.
class WorkspaceLock {
public:
  explicit WorkspaceLock(rapt_workspace *workspace)
      : workspace(workspace), held(!workspace->busy.exchange(true, std::memory_order_acquire)) {}
  ~WorkspaceLock() {
    if (held)
      workspace->busy.store(false, std::memory_order_release);
  }
  explicit operator bool() const { return held; }

private:
  rapt_workspace *workspace;
  bool held;
};

/// The error of a call that did not get hold of its workspace.
rapt_status inUse();

/// Bytes of workspace memory for `plan` with `numThreads` threads; false when that exceeds
/// INT64_MAX.
bool workspaceBytes(const rapt_abi_plan &plan, int numThreads, uint64_t &bytes);

/// Makes the workspace's memory large enough and lays it out for `plan`. Errors:
/// RAPT_ERROR_WORKSPACE, RAPT_ERROR_MEMORY.
rapt_status prepareMemory(rapt_workspace *workspace, const rapt_abi_plan &plan);

} // namespace rapt

#endif // RAPT_RUNTIME_WORKSPACE_H
