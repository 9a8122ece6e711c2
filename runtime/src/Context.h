//===- Context.h - What generated code sees of the thread that runs it -------*- C++ -*-===//
//
// One Context per thread of a workspace. It starts with the rapt_abi_context that generated code
// holds, so that a pointer to one is a pointer to the other. Everything but the shared RunError is
// used by its own thread only.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_CONTEXT_H
#define RAPT_RUNTIME_CONTEXT_H

#include "rapt_abi.h"

#include <atomic>
#include <stddef.h>

namespace rapt {

class ThreadPool;
class Profile;

/// The first failure of one plan or run, from whichever thread it came.
struct RunError {
  std::atomic<int> claimed{0};
  char text[512] = {};

  void clear() {
    claimed.store(0, std::memory_order_relaxed);
    text[0] = 0;
  }
};

/// A stack of scratch blocks in a slice of the workspace. Blocks freed out of order are reclaimed
/// when all blocks above them are freed. What does not fit comes from the heap and is counted.
class Scratch {
public:
  static constexpr uint64_t alignment = 128;
  static constexpr int maxBlocks = 64;
  /// Bytes a slice has beyond what `plan` announced, so that rounding each block up costs nothing.
  static constexpr uint64_t slack = maxBlocks * alignment;

  /// Takes over [memory, memory + bytes), 128-byte aligned; forgets all blocks.
  void reset(void *memory, uint64_t bytes);
  void *allocate(uint64_t bytes);
  void free(void *pointer);
  /// How many blocks came from the heap since the workspace was made.
  uint64_t numHeapBlocks() const { return heapBlocks; }

private:
  struct Block {
    uint64_t offset;
    bool freed;
  };
  char *begin = nullptr;
  uint64_t capacity = 0;
  uint64_t used = 0;
  uint64_t heapBlocks = 0;
  int numBlocks = 0;
  Block blocks[maxBlocks];
};

struct Context {
  rapt_abi_context abi;
  ThreadPool *pool = nullptr; ///< null: parallel loops run on the calling thread
  RunError *error = nullptr;
  /// Of the workspace, while it records; atomic because a worker may look for tasks at any time.
  std::atomic<Profile *> profile{nullptr};
  int number = 0;      ///< of the thread
  bool inTask = false; ///< a parallel loop started now is nested: it runs inline
  Scratch scratch;

  Context(ThreadPool *pool, RunError *error);
};

/// Runs the loop on the calling thread: the first non-zero result ends it.
int runInline(Context &context, rapt_abi_task task, int min, int size, uint8_t *closure);

} // namespace rapt

#endif // RAPT_RUNTIME_CONTEXT_H
