/*===- rapt_abi.h - What a compiled model and the runtime say to each other ---*- C -*-===//
 *
 * The seam between generated code and librapt. Generated code fills one constant
 * `rapt_abi_model`; the runtime hands it one `rapt_abi_context` per running thread. Users include
 * rapt.h instead; this header is for the compiler (compiler/Host, compiler/Link), the runtime, and
 * whoever reads the disassembly. Every change here raises RAPT_ABI_VERSION.
 *
 * An artifact imports nothing of the runtime by name: what kernels need while they run (parallel
 * loops, scratch memory, error texts) they reach through the context they are given.
 *===----------------------------------------------------------------------------------------===*/
#ifndef RAPT_ABI_H
#define RAPT_ABI_H

#include <stdint.h>

#define RAPT_ABI_MAGIC 0x54504152u /* "RAPT", little endian */
#define RAPT_ABI_VERSION 5u

/* The symbol that a model shared library exports: `const rapt_abi_model rapt_model`. A model object
 * (-o model.o) exports it as `<stem>_rapt_model`. */
#define RAPT_ABI_SYMBOL "rapt_model"

#ifdef __cplusplus
extern "C" {
#endif

/* ONNX's own numbers (TensorProto.DataType). */
enum rapt_abi_dtype {
  RAPT_ABI_F32 = 1,
  RAPT_ABI_U8 = 2,
  RAPT_ABI_I8 = 3,
  RAPT_ABI_U16 = 4,
  RAPT_ABI_I16 = 5,
  RAPT_ABI_I32 = 6,
  RAPT_ABI_I64 = 7,
  RAPT_ABI_BOOL = 9, /* one byte each, 0 or 1 */
  RAPT_ABI_F16 = 10,
  RAPT_ABI_F64 = 11,
  RAPT_ABI_U32 = 12,
  RAPT_ABI_U64 = 13,
  RAPT_ABI_BF16 = 16,
};

/* A dimension of an input or output. `value` >= 0: that many. `value` < 0: for an input, symbol
 * number -1 - value of the model; for an output, known only through `plan` or `run`. `text` is what
 * a person reads: "batch", "seq", "384", "batch * seq", "count(y) <= 2 * seq". */
typedef struct rapt_abi_dim {
  int64_t value;
  const char *text;
} rapt_abi_dim;

typedef struct rapt_abi_tensor {
  const char *name;
  int32_t dtype; /* enum rapt_abi_dtype */
  int32_t rank;
  const rapt_abi_dim *dims; /* rank of them, outermost first; data is dense row-major */
} rapt_abi_tensor;

/* What generated code sees of the thread that runs it. The runtime keeps one per thread and
 * workspace; the pointer is Halide's `user_context` as well. */
typedef struct rapt_abi_context rapt_abi_context;
typedef int (*rapt_abi_task)(rapt_abi_context *context, int index, uint8_t *closure);
struct rapt_abi_context {
  /* Calls task(context of the executing thread, i, closure) for i in [min, min + size), in any
   * order, on the pool; returns when all are done: 0, or the first non-zero result. */
  int (*parallel_for)(rapt_abi_context *context, rapt_abi_task task, int min, int size,
                      uint8_t *closure);
  /* Scratch memory of this thread, 128-byte aligned, freed in any order; never returns null for
   * what `plan` announced. */
  void *(*scratch_alloc)(rapt_abi_context *context, uint64_t bytes);
  void (*scratch_free)(rapt_abi_context *context, void *pointer);
  /* Records an error text (printf-like: `format` has at most two %lld, filled from a and b) and
   * returns a non-zero code that `run` passes on. `format` lives in the artifact's read-only data.
   */
  int (*fail)(rapt_abi_context *context, const char *format, int64_t a, int64_t b);
  /* Checks lo <= x < hi for `count` indices of 4 or 8 bytes at `data`; 0, or what
   * fail(format, x, position) returned for the first that is outside. Guards Gather against indices
   * that a caller passed. */
  int (*check_indices)(rapt_abi_context *context, const void *data, int64_t count,
                       int32_t bytes_each, int64_t lo, int64_t hi, const char *format);
  /* Null, or what `run` tells after each kernel call which one it was: an index of the model's
   * `calls`. What happens between two calls (views, checks, copies) counts to the later one. */
  void (*after_call)(rapt_abi_context *context, int32_t call);
};

/* What `plan` says for one binding of the symbols. */
typedef struct rapt_abi_plan {
  uint64_t arena_bytes;   /* intermediate tensors; 64-byte aligned start expected */
  uint64_t scratch_bytes; /* per thread; the largest need of any kernel */
} rapt_abi_plan;

/* One place in `run` that calls a kernel. It is passed at most once in a run: not at all when all
 * that it would write is empty. */
typedef struct rapt_abi_call {
  const char *kernel;   /* its name in raptc --report; calls of one kernel share it */
  const char *schedule; /* its recipe and numbers, for people */
  const char *node;     /* of the ONNX graph, the first one that it computes; "" when unknown */
} rapt_abi_call;

typedef struct rapt_abi_model {
  uint32_t magic;       /* RAPT_ABI_MAGIC */
  uint32_t abi_version; /* RAPT_ABI_VERSION */
  const char *name;     /* of the ONNX graph */
  const char *producer; /* "raptc 0.1.0 (LLVM 22.1.8, Halide 21.0.0)" */
  const char *cpu;      /* the --target-cpu, resolved ("znver4", "x86-64-v3") */
  const char *features; /* CPU features the code uses, LLVM names, comma separated: "avx2,fma" */
  int32_t num_symbols;
  int32_t num_inputs;
  int32_t num_outputs;
  int32_t num_calls;
  const char *const *symbols; /* names of the symbolic dims, in the order of `dims` below */
  const int32_t *least;       /* the lowest value of each: 1, or 0 when inputs may be empty there */
  const rapt_abi_tensor *inputs;
  const rapt_abi_tensor *outputs;
  const void *weights; /* page-aligned, read-only; null when weights_file names a side file */
  uint64_t weights_bytes;
  const char *weights_file; /* null, or a file name beside the artifact */

  /* dims: num_symbols values, none below its `least`. Writes the output dims one after the other
   * (sum of output ranks), the largest that data may make them, and the plan. 0, or what
   * context->fail returned when a requirement of the graph on its dims does not hold. Only
   * context->fail is called. */
  int (*plan)(rapt_abi_context *context, const int64_t *dims, int64_t *output_dims,
              rapt_abi_plan *plan);
  /* inputs/outputs: data pointers in the order of the tables, aligned to their element size, and
   * anything for tensors without elements; outputs have room for the dims of `plan`; arena:
   * plan->arena_bytes, 64-byte aligned; weights: as above or the mapped side file. Writes the dims
   * that the outputs have, each dense in those, as `plan` does. 0, or a code from context->fail. */
  int (*run)(rapt_abi_context *context, const int64_t *dims, const void *const *inputs,
             void *const *outputs, void *arena, const void *weights, int64_t *output_dims);

  const rapt_abi_call *calls; /* num_calls of them, in the order of the run */
  /* Writes for each call the floating-point operations of its matrix products and attention, a
   * multiply-add as two, and then the bytes that it moves at least: 2 * num_calls numbers. dims are
   * those of a `plan` that succeeded; sizes that data decides are taken for the largest they may
   * be. 0. The context is not used. */
  int (*work)(rapt_abi_context *context, const int64_t *dims, double *work);
} rapt_abi_model;

/* The last bytes of a model shared library, little endian, after all that its ELF headers describe:
 * what the runtime checks before it hands the file to the dynamic loader. */
#define RAPT_ABI_SEAL_MAGIC 0x4c414553u /* "SEAL", little endian */
typedef struct rapt_abi_seal {
  uint64_t file_bytes;     /* of the whole file, this struct included */
  uint64_t weights_offset; /* where the embedded weights lie in the file; not read at open */
  uint64_t weights_bytes;
  uint32_t checksum; /* CRC-32 (zlib's) of all bytes before this field but the weights */
  uint32_t magic;    /* RAPT_ABI_SEAL_MAGIC */
} rapt_abi_seal;

#ifdef __cplusplus
}
#endif
#endif /* RAPT_ABI_H */
