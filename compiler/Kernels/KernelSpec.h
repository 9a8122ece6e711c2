//===- KernelSpec.h - One kernel as plain structs ------------------------------*- C++ -*-===//
//
// The seam between MLIR and Halide. A KernelSpec says what one kernel.region computes, without any
// MLIR or Halide type, so that both sides can include it: extents, tensors, and a list of stages,
// each of which defines one tensor from earlier ones. `print` gives its text.
//
// Views (reshape, transpose, slice, broadcast) do not appear: they are dissolved into the index
// expressions of the loads.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_KERNELSPEC_H
#define RAPT_COMPILER_KERNELS_KERNELSPEC_H

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rapt::kernels {

enum class ScalarType { Bool, I8, I16, I32, I64, U8, F32, F64, F16, BF16 };

/// Bytes one element takes in a buffer (Bool takes one).
int64_t byteWidth(ScalarType type);
bool isFloat(ScalarType type);

/// factor * product of the kernel's dims at `dims` (sorted; a dim may stand twice).
/// Extent{384, {}} is static, Extent{1, {0, 1}} is dim 0 times dim 1.
struct Extent {
  int64_t factor = 1;
  std::vector<int> dims;

  bool isStatic() const { return dims.empty(); }
  bool operator==(const Extent &) const = default;
  Extent operator*(const Extent &other) const;
};

enum class UnaryOp {
  Neg,
  Abs,
  Exp,
  Log,
  Sqrt,
  Rsqrt,
  Erf,
  Tanh,
  Sin,
  Cos,
  Floor,
  Ceil,
  Round,
  Not,
  IsNan
};
enum class BinaryOp {
  Add,
  Sub,
  Mul,
  Div, // integer Div truncates as arith.divsi does
  Mod, // integers: arith.remsi
  FloorDiv,
  FloorMod, // on indices only: rounding towards minus infinity
  Min,
  Max,
  Pow,
  And,
  Or,
  Xor,
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge, // give Bool
};

struct Expr;
using ExprRef = std::shared_ptr<const Expr>;

/// A value computed at one point of a stage's loop nest. Index arithmetic has type I64.
struct Expr {
  enum class Kind { Int, Float, Loop, Dim, Load, Unary, Binary, Select, Cast };
  Kind kind;
  ScalarType type;
  int64_t integer = 0; // Int: the value; Loop, Dim: its number; Load: the tensor's number
  double real = 0;     // Float
  UnaryOp unary{};
  BinaryOp binary{};
  std::vector<ExprRef> operands; // Load: one index per dim of the tensor, outermost first

  static ExprRef makeInt(int64_t value, ScalarType type = ScalarType::I64);
  static ExprRef makeFloat(double value, ScalarType type = ScalarType::F32);
  static ExprRef makeLoop(int loop);
  static ExprRef makeDim(int dim);
  static ExprRef makeLoad(int tensor, ScalarType type, std::vector<ExprRef> indices);
  static ExprRef makeUnary(UnaryOp op, ExprRef a);
  static ExprRef makeBinary(BinaryOp op, ExprRef a, ExprRef b); // folds x*1, x+0, 0*x on indices
  static ExprRef makeSelect(ExprRef condition, ExprRef a, ExprRef b);
  static ExprRef makeCast(ScalarType type, ExprRef a);
};

/// Rewrites every Loop(i) of `expr` to replacements[i].
ExprRef substituteLoops(const ExprRef &expr, const std::vector<ExprRef> &replacements);

/// A buffer of the kernel or the result of a stage: dense, row-major, outermost dim first.
struct Tensor {
  ScalarType type = ScalarType::F32;
  std::vector<Extent> shape;
  /// 0: row-major. nr > 0: a [K, N] weight stored as panels [ceil(N/nr)][K][nr], columns past N
  /// zero.
  int64_t panel = 0;
};

enum class Reduction { None, Sum, Max, Min, Prod };

/// result(p...) = reduce over r... of body(p..., r...). Loops 0..parallel-1 index the result in
/// order, the others are reduced, outermost first. A pointwise stage has no reduced loop.
struct LoopStage {
  int parallel = 0;
  std::vector<Extent> loops;
  Reduction reduction = Reduction::None;
  ExprRef body;
};

/// attn.sdpa (docs/semantics.md S1 to S6). Each operand is an expression over its own loops:
/// query (b, h, i, d), key and value (b, kv head, j, d), bias (b, h, i, j) of float type added to
/// the scaled score, mask (b, h, i, j) of Bool with false = excluded, sink (b, h, i). Result:
/// [batch, heads, queries, value_dim].
struct AttentionStage {
  Extent batch, queries, keys;
  int64_t heads = 1, kvHeads = 1, headDim = 1, valueDim = 1;
  double scale = 1.0;
  double softcap = 0.0;                // 0: none
  std::optional<ExprRef> causalOffset; // key j is seen by query i only if j <= i + offset (I64)
  std::optional<ExprRef> windowOffset; // and only if j >= i + offset (I64)
  /// The last three average over some of the excluded keys (S2).
  enum class EmptyRow { Zero, Mean, Nan, MaskMean, EitherMean, CausalMean };
  EmptyRow emptyRow = EmptyRow::Zero;
  ExprRef query, key, value, bias, mask, sink; // the last three may be null
};

struct Stage {
  std::string name;                        // lower case, unique in the kernel: "contract", "map3"
  int result = 0;                          // number of the tensor it defines
  std::optional<AttentionStage> attention; // set: an attention stage; else `loop`
  LoopStage loop;
};

/// Tensors 0..numInputs-1 are inputs; every other one is the result of exactly one stage; `outputs`
/// names those that the caller sees. Stages are in dependence order.
struct KernelSpec {
  int numDims = 0;
  int numInputs = 0;
  std::vector<Tensor> tensors;
  std::vector<Stage> stages;
  std::vector<int> outputs;

  std::string print() const;
};

/// Whether a stage works with infinities or asks for NaN, so that its kernel may not be compiled
/// under the assumption that neither occurs. Attention stages are written without them.
bool needsStrictFloat(const KernelSpec &spec);

/// How a kernel is computed. The typed form of #kernel.schedule; unused fields stay at their
/// defaults.
struct Schedule {
  enum class Recipe {
    Reference, // linalg -> loops -> LLVM, no Halide
    Gemm,      // one Sum contraction against a panel-packed weight, pointwise stages on its tile
    Matmul,    // one Sum contraction of two operands, packed by the kernel, and the same stages
    Attention, // one attention stage, views and pointwise before and after it
    Rows,      // reductions along the innermost dim(s), pointwise around them, one pass per row
    Pointwise, // no reduction
    Loops,     // anything else: each stage on its own, vectorised innermost, parallel outermost
  } recipe = Recipe::Loops;
  int64_t vector = 16;   // f32 lanes
  int64_t tileRows = 8;  // Gemm, Matmul: largest register tile; smaller ones are made for few rows
  int64_t tileCols = 48; // Gemm, Matmul: panel width nr, a multiple of `vector`
  int64_t prefetch = 1;  // Gemm: lines fetched per k step, of this panel or the next; 0 none
  int64_t evenRows = 0;  // Gemm: up to so many rows, tiles of two heights share them out exactly
  enum class Variant { Strip, Unfused, Decode } variant = Variant::Strip; // Attention
  int64_t decodeQueries = 0; // Attention: at most so many queries take Decode instead; 0 never
  int64_t blockQuery = 32;   // Attention: queries whose scores are in flight together
  bool parallel = true;

  std::string print() const;
};

/// "strip", "unfused", "decode"; and the variant that a text names, if any.
const char *variantName(Schedule::Variant variant);
std::optional<Schedule::Variant> variantOf(const std::string &name);

/// The machine that code is made for.
struct TargetCpu {
  std::string cpu;                   // LLVM name
  std::vector<std::string> features; // LLVM names of enabled features
  int64_t vectorBytes = 32;          // 64 for AVX-512, 32 for AVX2, 16 for SSE
  int64_t vectorRegisters = 16;
};

/// One compiled kernel: one object file and how to call into it.
///
/// Each symbol has the C signature
///   int symbol(void *context, int32_t dim0, ..., halide_buffer_t *input0, ..., halide_buffer_t
/// *output0, ...) with the dims that the spec has, buffers dense in the layout of the spec's
/// tensors, Halide's dim 0 innermost, every `min` 0. A panel-packed input is (nr, K, ceil(N/nr)).
struct KernelObject {
  /// What a call needs for this variant; 0 is no limit.
  struct Variant {
    std::string symbol;
    int64_t maxTile = 0; ///< rows of a tile when all rows are spread evenly over the fewest tiles
    int64_t maxRows = 0;
  };
  /// The first that suits is called (variantFor); the last has no limit on rows, and its maxTile is
  /// the largest. A symbol may stand here more than once.
  std::vector<Variant> variants;
  Extent rows; ///< what the limits are about; 1 where there is nothing to choose
  /// Scratch that one thread needs at most: the sum of the terms, in bytes.
  std::vector<Extent> scratchBytes;
  /// For each tensor inside of the kernel its elements at most, the sum of the terms: Halide counts
  /// them in 32 bits, as those of inputs and outputs.
  std::vector<std::vector<Extent>> innerElements;
  std::string object; // ELF bytes
};

/// The variant for `rows` rows: the host's code chooses the same (HalideAdapter.cpp).
const KernelObject::Variant &variantFor(const std::vector<KernelObject::Variant> &variants,
                                        int64_t rows);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_KERNELSPEC_H
