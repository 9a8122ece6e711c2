//===- CountAllocations.cpp - How often the test program allocates -----------*- C++ -*-===//
//
// glibc exports its own functions under __libc_ names for exactly this use.
//===------------------------------------------------------------------------------------===//
#include "CountAllocations.h"

#include <atomic>
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static std::atomic<bool> counting{false};
static std::atomic<long> count{0};

static void note() {
  if (counting.load(std::memory_order_relaxed))
    count.fetch_add(1);
}

void startCounting() {
  count = 0;
  counting = true;
}

long stopCounting() {
  counting = false;
  return count;
}

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t bytes) {
  note();
  return __libc_malloc(bytes);
}
void *calloc(size_t number, size_t bytes) {
  note();
  return __libc_calloc(number, bytes);
}
void *realloc(void *pointer, size_t bytes) {
  note();
  return __libc_realloc(pointer, bytes);
}
void *memalign(size_t alignment, size_t bytes) {
  note();
  return __libc_memalign(alignment, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
  note();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void **pointer, size_t alignment, size_t bytes) {
  note();
  *pointer = __libc_memalign(alignment, bytes);
  return *pointer ? 0 : ENOMEM;
}
void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
  note();
  return reinterpret_cast<void *>(
      syscall(SYS_mmap, address, bytes, protection, flags, file, offset));
}
}
