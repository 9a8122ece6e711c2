/*===- TestModel.c - A model as the compiler would write it, by hand ----------------*- C -*-===//
 *
 * x: f32[batch, seq, 4], ids: i64[batch, seq]
 *   =>  scaled[b, s, c] = x[b, s, c] * table[ids[b, s]],  total[b] = sum of scaled[b]
 *
 * Uses everything of the context: a parallel loop over the batch, scratch in each task, the index
 * check, `fail` for seq > 4096, and what a profile wants after each of two calls, the second of a
 * node with an odd name. The macros below make the defective variants.
 *===------------------------------------------------------------------------------------===*/
#include "rapt_abi.h"

#include <stddef.h>

#ifndef TEST_SYMBOL
#define TEST_SYMBOL rapt_model
#endif
#ifndef TEST_VERSION
#define TEST_VERSION RAPT_ABI_VERSION
#endif
#ifndef TEST_MAGIC
#define TEST_MAGIC RAPT_ABI_MAGIC
#endif
#ifndef TEST_FEATURES
#define TEST_FEATURES "sse3,popcnt"
#endif
#ifndef TEST_LEAST_SEQ
#define TEST_LEAST_SEQ 1
#endif
#ifdef TEST_WEIGHTS_FILE
#define TEST_WEIGHTS NULL
#else
#define TEST_WEIGHTS_FILE NULL
#define TEST_WEIGHTS table
static const float table[8] = {0, 1, 2, 3, 4, 5, 6, -7};
#endif

enum { Channels = 4, TableRows = 8 };

typedef struct {
  const float *x, *table;
  const int64_t *ids;
  float *scaled, *total, *arena;
  int64_t seq;
} Closure;

static int plan(rapt_abi_context *context, const int64_t *dims, int64_t *output_dims,
                rapt_abi_plan *result) {
  int64_t batch = dims[0], seq = dims[1];
  if (seq > 4096)
    return context->fail(context, "seq is %lld, the position table has %lld rows", seq, 4096);
  output_dims[0] = batch;
  output_dims[1] = seq;
  output_dims[2] = Channels;
  output_dims[3] = batch;
  result->arena_bytes = (uint64_t)batch * sizeof(float);
  result->scratch_bytes = (uint64_t)seq * Channels * sizeof(float);
  return 0;
}

static int one_batch(rapt_abi_context *context, int b, uint8_t *argument) {
  const Closure *c = (const Closure *)argument;
  int64_t elements = c->seq * Channels;
  float *row = context->scratch_alloc(context, (uint64_t)elements * sizeof(float));
  float sum = 0;
  for (int64_t i = 0; i < elements; ++i) {
    row[i] = c->x[b * elements + i] * c->table[c->ids[b * c->seq + i / Channels]];
    sum += row[i];
  }
  for (int64_t i = 0; i < elements; ++i)
    c->scaled[b * elements + i] = row[i];
  c->arena[b] = sum;
  context->scratch_free(context, row);
  return 0;
}

static int run(rapt_abi_context *context, const int64_t *dims, const void *const *inputs,
               void *const *outputs, void *arena, const void *weights, int64_t *output_dims) {
  Closure closure = {inputs[0], weights, inputs[1], outputs[0], outputs[1], arena, dims[1]};
  int status = context->check_indices(context, closure.ids, dims[0] * dims[1], 8, 0, TableRows,
                                      "index %lld at position %lld is outside the table");
  if (status)
    return status;
  status = context->parallel_for(context, one_batch, 0, (int)dims[0], (uint8_t *)&closure);
  if (status)
    return status;
  if (context->after_call)
    context->after_call(context, 0);
  for (int64_t b = 0; b < dims[0]; ++b)
    closure.total[b] = closure.arena[b];
  if (context->after_call)
    context->after_call(context, 1);
  const int64_t result_dims[] = {dims[0], dims[1], Channels, dims[0]};
  for (int i = 0; i < 4; ++i)
    output_dims[i] = result_dims[i];
  return 0;
}

static int work(rapt_abi_context *context, const int64_t *dims, double *result) {
  (void)context;
  double rows = (double)dims[0] * (double)dims[1];
  result[0] = 2 * Channels * rows;
  result[1] = (2 * Channels * sizeof(float) + sizeof(int64_t)) * rows;
  result[2] = 0;
  result[3] = 2 * sizeof(float) * (double)dims[0];
  return 0;
}

static const char *const symbols[] = {"batch", "seq"};
static const int32_t least[] = {1, TEST_LEAST_SEQ};
static const rapt_abi_dim x_dims[] = {{-1, "batch"}, {-2, "seq"}, {Channels, "4"}};
static const rapt_abi_dim ids_dims[] = {{-1, "batch"}, {-2, "seq"}};
static const rapt_abi_dim total_dims[] = {{-1, "batch"}};
static const rapt_abi_tensor inputs[] = {{"x", RAPT_ABI_F32, 3, x_dims},
                                         {"ids", RAPT_ABI_I64, 2, ids_dims}};
static const rapt_abi_tensor outputs[] = {{"scaled", RAPT_ABI_F32, 3, x_dims},
                                          {"total", RAPT_ABI_F32, 1, total_dims}};

static const rapt_abi_call calls[] = {
    {"scale", "loops vector=4 parallel", "/Mul"},
    {"total", "pointwise vector=1 serial", "/Sum\"\t\xff\xc3\xa9"}};

extern const rapt_abi_model TEST_SYMBOL;
const rapt_abi_model TEST_SYMBOL = {TEST_MAGIC,
                                    TEST_VERSION,
                                    "scale_by_table",
                                    "hand 0.1.0",
                                    "x86-64",
                                    TEST_FEATURES,
                                    2,
                                    2,
                                    2,
                                    2,
                                    symbols,
                                    least,
                                    inputs,
                                    outputs,
                                    TEST_WEIGHTS,
                                    TableRows * sizeof(float),
                                    TEST_WEIGHTS_FILE,
                                    plan,
                                    run,
                                    calls,
                                    work};
