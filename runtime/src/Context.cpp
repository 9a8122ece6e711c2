//===- Context.cpp - What generated code sees of the thread that runs it -----*- C++ -*-===//
//
// The five functions behind rapt_abi_context. None of them takes a lock; only scratch that `plan`
// did not announce reaches the heap.
//===------------------------------------------------------------------------------------===//
#include "Context.h"
#include "ThreadPool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

using namespace rapt;

//===-- Scratch -------------------------------------------------------------------------===//

static uint64_t roundUp(uint64_t bytes) {
  return (bytes + Scratch::alignment - 1) & ~(Scratch::alignment - 1);
}

void Scratch::reset(void *memory, uint64_t bytes) {
  begin = static_cast<char *>(memory);
  capacity = bytes;
  used = 0;
  numBlocks = 0;
}

void *Scratch::allocate(uint64_t bytes) {
  if (bytes > UINT64_MAX - alignment)
    return nullptr;
  // An empty block still takes room, so that every live block has an address of its own.
  bytes = roundUp(bytes ? bytes : 1);
  if (numBlocks == maxBlocks || bytes > capacity - used) {
    ++heapBlocks;
    return aligned_alloc(alignment, bytes);
  }
  blocks[numBlocks++] = {used, false};
  void *result = begin + used;
  used += bytes;
  return result;
}

void Scratch::free(void *pointer) {
  if (!pointer)
    return;
  uint64_t offset = reinterpret_cast<uintptr_t>(pointer) - reinterpret_cast<uintptr_t>(begin);
  if (offset >= capacity) {
    ::free(pointer);
    return;
  }
  for (int i = numBlocks - 1; i >= 0; --i)
    if (blocks[i].offset == offset) {
      blocks[i].freed = true;
      break;
    }
  while (numBlocks > 0 && blocks[numBlocks - 1].freed)
    used = blocks[--numBlocks].offset;
}

//===-- The functions of rapt_abi_context -----------------------------------------------===//

static Context &self(rapt_abi_context *context) { return *reinterpret_cast<Context *>(context); }

int rapt::runInline(Context &context, rapt_abi_task task, int min, int size, uint8_t *closure) {
  for (int i = 0; i < size; ++i)
    if (int result = task(&context.abi, min + i, closure))
      return result;
  return 0;
}

static int parallelFor(rapt_abi_context *context, rapt_abi_task task, int min, int size,
                       uint8_t *closure) {
  Context &me = self(context);
  // One task keeps the right to start a parallel loop of its own.
  if (!me.pool || me.inTask || size <= 1)
    return runInline(me, task, min, size, closure);
  return me.pool->parallelFor(me, task, min, size, closure);
}

static void *scratchAlloc(rapt_abi_context *context, uint64_t bytes) {
  return self(context).scratch.allocate(bytes);
}

static void scratchFree(rapt_abi_context *context, void *pointer) {
  self(context).scratch.free(pointer);
}

static int failWith(rapt_abi_context *context, const char *format, int64_t a, int64_t b) {
  RunError &error = *self(context).error;
  // Only the first failure is kept: the others may be its consequences.
  if (!error.claimed.exchange(1))
    snprintf(error.text, sizeof error.text, format, static_cast<long long>(a),
             static_cast<long long>(b));
  return 1;
}

template <typename T>
static int checkRange(rapt_abi_context *context, const T *data, int64_t count, int64_t lo,
                      int64_t hi, const char *format) {
  for (int64_t i = 0; i < count; ++i)
    if (data[i] < lo || data[i] >= hi)
      return failWith(context, format, data[i], i);
  return 0;
}

static int checkIndices(rapt_abi_context *context, const void *data, int64_t count,
                        int32_t bytesEach, int64_t lo, int64_t hi, const char *format) {
  if (bytesEach == 4)
    return checkRange(context, static_cast<const int32_t *>(data), count, lo, hi, format);
  return checkRange(context, static_cast<const int64_t *>(data), count, lo, hi, format);
}

Context::Context(ThreadPool *pool, RunError *error)
    : abi{parallelFor, scratchAlloc, scratchFree, failWith, checkIndices, nullptr}, pool(pool),
      error(error) {
  static_assert(offsetof(Context, abi) == 0, "generated code holds a pointer to the first member");
}
