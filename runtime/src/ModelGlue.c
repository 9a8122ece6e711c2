/*===- ModelGlue.c - What Halide objects import, linked into each artifact ----------*- C -*-===//
 *
 * Halide kernels (no_runtime, no_asserts, no_bounds_query, user_context) import three functions
 * beside libc and libm. Here they go on to the context, which is Halide's user_context. Hidden, so
 * that an artifact neither exports them nor takes those of another library in the process.
 *===----------------------------------------------------------------------------------------===*/
#include "rapt_abi.h"

#include <stddef.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN int halide_do_par_for(void *user_context, rapt_abi_task task, int min, int size,
                             uint8_t *closure);
HIDDEN void *halide_malloc(void *user_context, size_t bytes);
HIDDEN void halide_free(void *user_context, void *pointer);

/* Halide's task type takes a void pointer where rapt_abi_task takes the context: the same one. */
int halide_do_par_for(void *user_context, rapt_abi_task task, int min, int size, uint8_t *closure) {
  rapt_abi_context *context = user_context;
  return context->parallel_for(context, task, min, size, closure);
}

void *halide_malloc(void *user_context, size_t bytes) {
  rapt_abi_context *context = user_context;
  return context->scratch_alloc(context, bytes);
}

void halide_free(void *user_context, void *pointer) {
  rapt_abi_context *context = user_context;
  context->scratch_free(context, pointer);
}
