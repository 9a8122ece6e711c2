//===- Model.h - An open model -----------------------------------------------*- C++ -*-===//
//
// Constant after rapt_open but for the reference count: the caller's handle and each workspace hold
// one reference, so that a workspace outlives rapt_close.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_MODEL_H
#define RAPT_RUNTIME_MODEL_H

#include "rapt.h"
#include "rapt_abi.h"

#include <atomic>
#include <stddef.h>

namespace rapt {
struct Library;
}

struct rapt_model {
  const rapt_abi_model *abi;
  const void *weights;    ///< in the artifact or in `mapping`; null when the model has none
  rapt::Library *library; ///< null for a linked-in model
  void *mapping;          ///< of the weights side file; null when there is none
  size_t mappingBytes;
  int numOutputDims; ///< sum of the output ranks
  std::atomic<int> references;
};

namespace rapt {

/// Gives one reference up; the last one unmaps and unloads.
void release(rapt_model *model);

/// Checks the tables of `abi` (magic, version, names, ranks, symbols, entry points) and that this
/// CPU can run it. `path` is for texts.
rapt_status checkModel(const rapt_abi_model *abi, const char *path);

} // namespace rapt

#endif // RAPT_RUNTIME_MODEL_H
