/*===- rapt.h - Open, describe and run a compiled model ----------------------------*- C -*-===//
 *
 * The C interface of librapt. A model (a shared library written by raptc, or one linked into the
 * program) is constant and may be used from any number of threads; everything that a run writes
 * lives in a workspace, so two threads run one model at once with two workspaces.
 *
 *   rapt_model *model;
 *   rapt_workspace *workspace;
 *   if (rapt_open("model.so", &model) || rapt_workspace_create(model, NULL, &workspace))
 *     puts(rapt_last_error());
 *   rapt_tensor in = {"input_ids", ids, RAPT_I64, 2, {1, 8}}, out;
 *   rapt_output_shapes(model, &in, 1, &out);
 *   out.data = malloc(rapt_tensor_bytes(&out));
 *   rapt_run(workspace, &in, 1, &out, 1);
 *
 * Conventions, unless a function says otherwise:
 *  - Functions that can fail return a rapt_status, 0 for success; rapt_last_error() then has a text
 *    that names what was wrong, what was seen and what was expected. On failure nothing was written
 *    to result pointers, except that pointers to new objects are set to null.
 *  - Strings are UTF-8 and end in a zero byte. Strings that the library returns live as long as the
 *    object they came from; the library copies or forgets strings that it is given.
 *  - Sizes are in bytes, dims in elements, outermost first. Tensor data is dense and row-major.
 *  - A model may be used by many threads at once, a workspace by one at a time.
 *  - Opening a model runs code from that file: open only files that you would execute.
 *===--------------------------------------------------------------------------------------===*/
#ifndef RAPT_H
#define RAPT_H

#include <stdint.h>

#if defined(__GNUC__)
#define RAPT_API __attribute__((visibility("default")))
#else
#define RAPT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define RAPT_MAX_RANK 8

typedef enum rapt_status {
  RAPT_OK = 0,
  RAPT_ERROR_ARGUMENT = 1,   /* a null pointer, an index out of range, a workspace already in use */
  RAPT_ERROR_FILE = 2,       /* a file that cannot be opened, read or mapped */
  RAPT_ERROR_FORMAT = 3,     /* not a compiled model, or a truncated or damaged one (rapt_open) */
  RAPT_ERROR_VERSION = 4,    /* compiled for another version of the runtime */
  RAPT_ERROR_CPU = 5,        /* this CPU lacks a feature that the model was compiled for */
  RAPT_ERROR_MEMORY = 6,     /* out of memory or threads */
  RAPT_ERROR_NAME = 7,       /* an unknown, missing or repeated input or output */
  RAPT_ERROR_DTYPE = 8,      /* an element type that is not the model's */
  RAPT_ERROR_RANK = 9,       /* a number of dims that is not the model's */
  RAPT_ERROR_SHAPE = 10,     /* a dim that contradicts the model or another input, or is too low */
  RAPT_ERROR_WORKSPACE = 11, /* the caller's workspace memory is too small */
  RAPT_ERROR_RUN = 12        /* the model refused the values, e.g. an index outside its table */
} rapt_status;

/* Element types, with ONNX's own numbers (TensorProto.DataType). */
typedef enum rapt_dtype {
  RAPT_F32 = 1,
  RAPT_U8 = 2,
  RAPT_I8 = 3,
  RAPT_U16 = 4,
  RAPT_I16 = 5,
  RAPT_I32 = 6,
  RAPT_I64 = 7,
  RAPT_BOOL = 9, /* one byte each, 0 or 1 */
  RAPT_F16 = 10,
  RAPT_F64 = 11,
  RAPT_U32 = 12,
  RAPT_U64 = 13,
  RAPT_BF16 = 16
} rapt_dtype;

typedef struct rapt_model rapt_model;
typedef struct rapt_workspace rapt_workspace;
struct rapt_abi_model; /* rapt_abi.h */

/* A tensor in the caller's memory. */
typedef struct rapt_tensor {
  const char *name; /* of the input or output; null: the one at this tensor's place in the array */
  void *data;       /* aligned to the element size; inputs are only read; any pointer, null too,
                     * where a dim is 0 */
  int32_t dtype;    /* rapt_dtype */
  int32_t rank;     /* 0 (a scalar) to RAPT_MAX_RANK */
  int64_t dims[RAPT_MAX_RANK]; /* the first `rank` count */
} rapt_tensor;

/* What an input or output looks like before its shape is known. */
typedef struct rapt_tensor_info {
  const char *name;
  int32_t dtype; /* rapt_dtype */
  int32_t rank;
  int64_t dims[RAPT_MAX_RANK]; /* -1 where the dim depends on the inputs */
  /* For people: "batch", "384", "batch * seq"; "count(y) <= 2 * seq" where it depends on data. */
  const char *dim_texts[RAPT_MAX_RANK];
} rapt_tensor_info;

typedef struct rapt_model_info {
  const char *name;     /* of the ONNX graph */
  const char *producer; /* compiler and its version */
  const char *cpu;      /* the CPU that it was compiled for */
  const char *features; /* the CPU features that it uses, comma separated */
  int32_t num_symbols;
  int32_t num_inputs;
  int32_t num_outputs;
  const char *const *symbols; /* names of the free dims ("batch", "seq") */
  uint64_t weights_bytes;
} rapt_model_info;

/* How a workspace is made; zero-initialise it and set what matters. */
typedef struct rapt_workspace_options {
  /* Threads that a run uses, the calling one included, at most 1024; 0: the number that
   * rapt_default_num_threads() returns. */
  int32_t num_threads;
  /* Null: the workspace allocates its memory and grows it to the largest shapes that it meets. Else
   * memory of the caller, 64-byte aligned, that must outlive the workspace and is used by nobody
   * else; a run that needs more than `bytes` fails with RAPT_ERROR_WORKSPACE. */
  void *memory;
  uint64_t bytes;
} rapt_workspace_options;

/* -- Models ------------------------------------------------------------------------------------ */

/* Opens the shared library at `path` (any path, relative to the working directory; no search). The
 * file must stay unchanged while the model is open. A checksum over everything but the weights is
 * verified before any of the file is loaded: a file that was cut, changed or not sealed by raptc is
 * RAPT_ERROR_FORMAT. Weights are not read here: damage in them changes results, and of a weights
 * side file only the size is checked. The caller closes *model with rapt_close.
 * Errors: RAPT_ERROR_ARGUMENT, _FILE, _FORMAT, _VERSION, _CPU, _MEMORY. Any thread. */
RAPT_API rapt_status rapt_open(const char *path, rapt_model **model);

/* Opens a model that is linked into the program (`raptc -o model.o` and its header). `abi` must
 * stay valid until rapt_close. A weights side file is looked for beside the running executable.
 * Errors and threads as rapt_open. */
RAPT_API rapt_status rapt_open_static(const struct rapt_abi_model *abi, rapt_model **model);

/* Gives the model up; null is fine. Workspaces that still exist keep what they need of it, but
 * strings from rapt_describe and the _info functions end here. No other call may use `model`
 * meanwhile. */
RAPT_API void rapt_close(rapt_model *model);

/* Fills *info. The strings live as long as the model. Error: RAPT_ERROR_ARGUMENT. Any thread. */
RAPT_API rapt_status rapt_describe(const rapt_model *model, rapt_model_info *info);

/* Fills *info for input or output number `index`, in the order of the ONNX graph. The strings live
 * as long as the model. Error: RAPT_ERROR_ARGUMENT. Any thread. */
RAPT_API rapt_status rapt_input_info(const rapt_model *model, int32_t index,
                                     rapt_tensor_info *info);
RAPT_API rapt_status rapt_output_info(const rapt_model *model, int32_t index,
                                      rapt_tensor_info *info);

/* Writes to *least the lowest value that symbol number `index` of rapt_describe may have: 0 where
 * the model takes empty inputs, such as keys and values before the first step of a decoder, else 1.
 * Error: RAPT_ERROR_ARGUMENT. Any thread. */
RAPT_API rapt_status rapt_symbol_least(const rapt_model *model, int32_t index, int64_t *least);

/* Writes name, dtype, rank and dims of every output to outputs[0 .. num_outputs), in the model's
 * order and with null data, for inputs of the given shapes. Where a dim depends on the inputs' data
 * it is the largest that it may be; rapt_result_shapes then says what it is. `inputs` need no data.
 * Errors: _ARGUMENT, _NAME, _DTYPE, _RANK, _SHAPE as rapt_run, _MEMORY. Any thread. */
RAPT_API rapt_status rapt_output_shapes(const rapt_model *model, const rapt_tensor *inputs,
                                        int32_t num_inputs, rapt_tensor *outputs);

/* -- Workspaces -------------------------------------------------------------------------------- */

/* Writes to *bytes how much workspace memory a run on inputs of these shapes needs with
 * `num_threads` threads (0: rapt_default_num_threads()). `inputs` need no data. Errors: as
 * rapt_output_shapes. */
RAPT_API rapt_status rapt_workspace_size(const rapt_model *model, const rapt_tensor *inputs,
                                         int32_t num_inputs, int32_t num_threads, uint64_t *bytes);

/* Makes a workspace for `model`; `options` may be null. It starts num_threads - 1 threads of its
 * own, so that runs on two workspaces never wait for each other; they have the calling thread's
 * affinity mask and sleep between runs. The caller destroys *workspace. Errors:
 * RAPT_ERROR_ARGUMENT, _MEMORY. Any thread. */
RAPT_API rapt_status rapt_workspace_create(rapt_model *model, const rapt_workspace_options *options,
                                           rapt_workspace **workspace);

/* Grows the workspace's own memory to what a run on inputs of these shapes needs, so that this run
 * allocates nothing; with the caller's memory, only checks. `inputs` need no data. Errors: as
 * rapt_output_shapes, and RAPT_ERROR_WORKSPACE. */
RAPT_API rapt_status rapt_workspace_reserve(rapt_workspace *workspace, const rapt_tensor *inputs,
                                            int32_t num_inputs);

/* Ends the workspace's threads and frees its own memory; null is fine. Not during a run on it. */
RAPT_API void rapt_workspace_destroy(rapt_workspace *workspace);

/* -- Running ----------------------------------------------------------------------------------- */

/* Computes every output from every input: each must be given exactly once, in any order when named.
 * Input dims must be >= 1 (or 0: see rapt_symbol_least) and agree with the model's constants and,
 * where inputs share a symbol, with each other; output dims must be those of rapt_output_shapes.
 * Outputs may overlap neither inputs nor each other. Blocks until done; allocates nothing when the
 * workspace has run or reserved shapes at least as large, or uses the caller's memory. After an
 * error outputs hold unspecified values and the workspace stays usable. Errors: RAPT_ERROR_ARGUMENT
 * (also when another thread is running on this workspace), _NAME, _DTYPE, _RANK, _SHAPE,
 * _WORKSPACE, _MEMORY, _RUN. */
RAPT_API rapt_status rapt_run(rapt_workspace *workspace, const rapt_tensor *inputs,
                              int32_t num_inputs, const rapt_tensor *outputs, int32_t num_outputs);

/* Writes name, dtype, rank and dims of every output of the last run on this workspace to
 * outputs[0 .. num_outputs), in the model's order and with null data. They are those of
 * rapt_output_shapes unless a size depends on data (how many elements are not zero, say). Such an
 * output lies at the start of the memory that rapt_run was given for it, dense in the dims written
 * here. Error: RAPT_ERROR_ARGUMENT, also when the last run failed. */
RAPT_API rapt_status rapt_result_shapes(rapt_workspace *workspace, rapt_tensor *outputs);

/* -- Profiling --------------------------------------------------------------------------------- */

/* One place in the model that calls a kernel; the same kernel may be called from several. */
typedef struct rapt_call_info {
  const char *kernel;   /* its name, as raptc --report shows it */
  const char *schedule; /* how it is computed, for people: "gemm vector=16 tile_rows=8 ..." */
  const char *node;     /* name of the first ONNX node that the call computes; "" when unknown */
} rapt_call_info;

/* What a run did in one call. */
typedef struct rapt_call_time {
  int64_t begin, end; /* nanoseconds since the run called the model's code; both 0: not called */
  double flops;       /* of matrix products and attention, a multiply-add as two; else 0 */
  double bytes;       /* that move at least: what is read of the inputs, once, and the outputs */
} rapt_call_time;

/* How many places call kernels; 0 for a null model. Any thread. */
RAPT_API int32_t rapt_num_calls(const rapt_model *model);

/* Fills *info for call number `index` in the order of a run. The strings live as long as the model.
 * Error: RAPT_ERROR_ARGUMENT. Any thread. */
RAPT_API rapt_status rapt_describe_call(const rapt_model *model, int32_t index,
                                        rapt_call_info *info);

/* From now on runs on this workspace record when each call began and ended, and what each thread
 * did in parallel loops of more than one task: one clock read per run and per call, two per thread
 * and loop, and still no allocation. While profiling is on it does nothing more: the record of the
 * last run stays until the next. Errors: RAPT_ERROR_ARGUMENT, _MEMORY. */
RAPT_API rapt_status rapt_profile_start(rapt_workspace *workspace);

/* Writes the record of the last run since rapt_profile_start to times[0 .. num_calls), with
 * num_calls that of rapt_num_calls. A call begins where the one before it ends, so that views and
 * checks before a kernel count to it. After a run that failed, calls that it did not reach are 0.
 * Error: RAPT_ERROR_ARGUMENT. */
RAPT_API rapt_status rapt_profile_read(rapt_workspace *workspace, rapt_call_time *times,
                                       int32_t num_calls);

/* What one thread did in one parallel loop of a kernel. */
typedef struct rapt_thread_time {
  int64_t begin, end; /* nanoseconds as in rapt_call_time */
  int32_t thread;     /* 0: the one that called rapt_run */
  int32_t tasks;      /* of the loop that it did */
} rapt_thread_time;

/* Writes what the threads of the last run did to times[0 .. room), by thread and in order, and how
 * much that is to *count; nothing for a workspace with one thread. A thread records at most
 * 64 + 4 * rapt_num_calls loops of a run. Error: RAPT_ERROR_ARGUMENT. */
RAPT_API rapt_status rapt_profile_threads(rapt_workspace *workspace, rapt_thread_time *times,
                                          int32_t room, int32_t *count);

/* Ends the recording and forgets the record. Error: RAPT_ERROR_ARGUMENT. */
RAPT_API rapt_status rapt_profile_stop(rapt_workspace *workspace);

/* -- Small helpers, usable from any thread --------------------------------------------------- */

/* The text of the last failure on the calling thread, "" when there was none; a later success
 * leaves it. Valid until the next call on this thread. */
RAPT_API const char *rapt_last_error(void);

/* "RAPT_ERROR_SHAPE"; "unknown" for a number that is no status. A constant string. */
RAPT_API const char *rapt_status_name(int32_t status);

/* "f32", "i64", "bool"; "unknown" for a number that is no element type. A constant string. */
RAPT_API const char *rapt_dtype_name(int32_t dtype);

/* Bytes of one element, 0 for a number that is no element type. */
RAPT_API int32_t rapt_dtype_bytes(int32_t dtype);

/* Bytes of dense data for the tensor's dtype and dims; 0 when a dim is 0, when dtype, rank or a dim
 * is invalid, or when the size exceeds INT64_MAX. */
RAPT_API uint64_t rapt_tensor_bytes(const rapt_tensor *tensor);

/* Threads for num_threads = 0: RAPT_NUM_THREADS when that is a number from 1 to 1024, else the CPUs
 * in the calling thread's affinity mask, limited by the process's cgroup's CPU quota (rounded up).
 * At least 1. The mask of a thread that something has pinned, as OpenMP does where OMP_PROC_BIND
 * is set, has one CPU. */
RAPT_API int32_t rapt_default_num_threads(void);

/* "0.1.0". */
RAPT_API const char *rapt_version(void);

#ifdef __cplusplus
}
#endif
#endif /* RAPT_H */
