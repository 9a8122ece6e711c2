//===- Dtype.cpp - Names and sizes of element types and tensors --------------*- C++ -*-===//
//
// The one table of element types. Sizes are computed in 64 bits with overflow checks, since dims
// come from callers and files.
//===------------------------------------------------------------------------------------===//
#include "rapt.h"
#include "rapt_abi.h"

#include <stddef.h>

// The public numbers and those in artifacts are ONNX's, so they are the same.
static_assert(int(RAPT_F32) == int(RAPT_ABI_F32) && int(RAPT_U8) == int(RAPT_ABI_U8) &&
              int(RAPT_I8) == int(RAPT_ABI_I8) && int(RAPT_U16) == int(RAPT_ABI_U16) &&
              int(RAPT_I16) == int(RAPT_ABI_I16) && int(RAPT_I32) == int(RAPT_ABI_I32) &&
              int(RAPT_I64) == int(RAPT_ABI_I64) && int(RAPT_BOOL) == int(RAPT_ABI_BOOL) &&
              int(RAPT_F16) == int(RAPT_ABI_F16) && int(RAPT_F64) == int(RAPT_ABI_F64) &&
              int(RAPT_U32) == int(RAPT_ABI_U32) && int(RAPT_U64) == int(RAPT_ABI_U64) &&
              int(RAPT_BF16) == int(RAPT_ABI_BF16));

namespace {
struct DtypeRow {
  int32_t dtype;
  int32_t bytes;
  const char *name;
};
} // namespace

static constexpr DtypeRow rows[] = {
    {RAPT_F32, 4, "f32"},   {RAPT_U8, 1, "u8"},   {RAPT_I8, 1, "i8"},   {RAPT_U16, 2, "u16"},
    {RAPT_I16, 2, "i16"},   {RAPT_I32, 4, "i32"}, {RAPT_I64, 8, "i64"}, {RAPT_BOOL, 1, "bool"},
    {RAPT_F16, 2, "f16"},   {RAPT_F64, 8, "f64"}, {RAPT_U32, 4, "u32"}, {RAPT_U64, 8, "u64"},
    {RAPT_BF16, 2, "bf16"},
};

static const DtypeRow *find(int32_t dtype) {
  for (const DtypeRow &row : rows)
    if (row.dtype == dtype)
      return &row;
  return nullptr;
}

const char *rapt_dtype_name(int32_t dtype) {
  const DtypeRow *row = find(dtype);
  return row ? row->name : "unknown";
}

int32_t rapt_dtype_bytes(int32_t dtype) {
  const DtypeRow *row = find(dtype);
  return row ? row->bytes : 0;
}

uint64_t rapt_tensor_bytes(const rapt_tensor *tensor) {
  if (!tensor || tensor->rank < 0 || tensor->rank > RAPT_MAX_RANK)
    return 0;
  int64_t bytes = rapt_dtype_bytes(tensor->dtype);
  for (int32_t i = 0; i < tensor->rank; ++i)
    if (tensor->dims[i] < 1 || __builtin_mul_overflow(bytes, tensor->dims[i], &bytes))
      return 0;
  return static_cast<uint64_t>(bytes);
}

const char *rapt_version(void) { return "0.1.0"; }
