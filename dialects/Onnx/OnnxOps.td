//===- OnnxOps.td - The imported vocabulary ------------------------------*- tablegen -*-===//
//
// ONNX operators in one form, whatever opset the file had: the newest meaning, with what must be
// known at compile time (axes, permutations, steps) as attributes and what may be computed by the
// graph (shapes, slice bounds) as operands. frontends/onnx/Versions upgrades older forms to this one.
// Negative axes are normalised at import: every axis attribute counts from 0 over the operand's rank.
//
//===----------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_ONNXOPS
#define RAPT_DIALECTS_ONNX_ONNXOPS

include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/LoopLikeInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::rapt::onnx";
  let summary = "ONNX operators in their newest form";
  let description = [{
    Tensors are builtin tensors; unsigned ONNX types are MLIR's `ui8`, `ui16`, ..., bool is `i1`.
    Results carry the types that shape inference gave them (ShapeInference.h); `?` stands for a
    dim that depends on a symbolic dim of an input. The location of an operation names its ONNX node.
  }];
}

class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, !listconcat([Pure], traits)>;

class Onnx_Unary<string mnemonic, string text> : Onnx_Op<mnemonic> {
  let summary = text;
  let arguments = (ins AnyTensor:$input);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}
class Onnx_Binary<string mnemonic, string text> : Onnx_Op<mnemonic> {
  let summary = text # ", with NumPy broadcasting";
  let arguments = (ins AnyTensor:$a, AnyTensor:$b);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$a `,` $b attr-dict `:` functional-type(operands, results)";
}
class Onnx_Variadic<string mnemonic, string text> : Onnx_Op<mnemonic> {
  let summary = text # " of one or more tensors, with NumPy broadcasting";
  let arguments = (ins Variadic<AnyTensor>:$inputs);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$inputs attr-dict `:` functional-type(operands, results)";
}
class Onnx_Reduce<string mnemonic, string text> : Onnx_Op<mnemonic> {
  let summary = text # " over `axes` (all of them when empty was given in ONNX: the importer lists them)";
  let arguments = (ins AnyTensor:$data, DenseI64ArrayAttr:$axes, DefaultValuedAttr<BoolAttr, "true">:$keepdims);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}

// --- Elementwise ---------------------------------------------------------------------------------
def Onnx_NegOp : Onnx_Unary<"Neg", "-x">;
def Onnx_AbsOp : Onnx_Unary<"Abs", "|x|">;
def Onnx_ExpOp : Onnx_Unary<"Exp", "e to the x">;
def Onnx_LogOp : Onnx_Unary<"Log", "natural logarithm">;
def Onnx_SqrtOp : Onnx_Unary<"Sqrt", "square root">;
def Onnx_ReciprocalOp : Onnx_Unary<"Reciprocal", "1 / x">;
def Onnx_ErfOp : Onnx_Unary<"Erf", "error function">;
def Onnx_TanhOp : Onnx_Unary<"Tanh", "hyperbolic tangent">;
def Onnx_SigmoidOp : Onnx_Unary<"Sigmoid", "1 / (1 + e to the -x)">;
def Onnx_ReluOp : Onnx_Unary<"Relu", "max(x, 0)">;
def Onnx_FloorOp : Onnx_Unary<"Floor", "largest integer not above x">;
def Onnx_CeilOp : Onnx_Unary<"Ceil", "smallest integer not below x">;
def Onnx_RoundOp : Onnx_Unary<"Round", "nearest integer, ties to even">;
def Onnx_SinOp : Onnx_Unary<"Sin", "sine">;
def Onnx_CosOp : Onnx_Unary<"Cos", "cosine">;
def Onnx_TanOp : Onnx_Unary<"Tan", "tangent">;
def Onnx_AsinOp : Onnx_Unary<"Asin", "arc sine; NaN outside [-1, 1]">;
def Onnx_AcosOp : Onnx_Unary<"Acos", "arc cosine; NaN outside [-1, 1]">;
def Onnx_AtanOp : Onnx_Unary<"Atan", "arc tangent">;
def Onnx_SinhOp : Onnx_Unary<"Sinh", "hyperbolic sine">;
def Onnx_CoshOp : Onnx_Unary<"Cosh", "hyperbolic cosine">;
def Onnx_AsinhOp : Onnx_Unary<"Asinh", "inverse hyperbolic sine">;
def Onnx_AcoshOp : Onnx_Unary<"Acosh", "inverse hyperbolic cosine; NaN below 1">;
def Onnx_AtanhOp : Onnx_Unary<"Atanh", "inverse hyperbolic tangent; NaN outside [-1, 1]">;
def Onnx_SignOp : Onnx_Unary<"Sign", "-1, 0 or 1">;
def Onnx_NotOp : Onnx_Unary<"Not", "logical not">;
def Onnx_BitwiseNotOp : Onnx_Unary<"BitwiseNot", "every bit of an integer flipped">;
def Onnx_IsNaNOp : Onnx_Unary<"IsNaN", "whether x is not a number">;
def Onnx_IdentityOp : Onnx_Unary<"Identity", "x">;

def Onnx_GeluOp : Onnx_Op<"Gelu"> {
  let summary = "x * Phi(x); `approximate` is \"none\" (erf form) or \"tanh\"";
  let arguments = (ins AnyTensor:$input, DefaultValuedAttr<StrAttr, "\"none\"">:$approximate);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def Onnx_AddOp : Onnx_Binary<"Add", "a + b">;
def Onnx_SubOp : Onnx_Binary<"Sub", "a - b">;
def Onnx_MulOp : Onnx_Binary<"Mul", "a * b">;
def Onnx_DivOp : Onnx_Binary<"Div", "a / b; integers truncate">;
def Onnx_PowOp : Onnx_Binary<"Pow", "a to the b; the result has a's type">;
def Onnx_ModOp : Onnx_Op<"Mod"> {
  let summary = "remainder with the sign of b, or of a when `fmod`";
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, DefaultValuedAttr<BoolAttr, "false">:$fmod);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$a `,` $b attr-dict `:` functional-type(operands, results)";
}
def Onnx_AndOp : Onnx_Binary<"And", "logical and">;
def Onnx_OrOp : Onnx_Binary<"Or", "logical or">;
def Onnx_XorOp : Onnx_Binary<"Xor", "logical exclusive or">;
def Onnx_BitwiseAndOp : Onnx_Binary<"BitwiseAnd", "bits set in both integers">;
def Onnx_BitwiseOrOp : Onnx_Binary<"BitwiseOr", "bits set in one of two integers">;
def Onnx_BitwiseXorOp : Onnx_Binary<"BitwiseXor", "bits set in exactly one of two integers">;
def Onnx_BitShiftOp : Onnx_Op<"BitShift"> {
  let summary = "unsigned a shifted by b bits, to the left or the right; 0 where b is the width or more";
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, BoolAttr:$left);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$a `,` $b attr-dict `:` functional-type(operands, results)";
}
def Onnx_EqualOp : Onnx_Binary<"Equal", "a == b">;
def Onnx_GreaterOp : Onnx_Binary<"Greater", "a > b">;
def Onnx_GreaterOrEqualOp : Onnx_Binary<"GreaterOrEqual", "a >= b">;
def Onnx_LessOp : Onnx_Binary<"Less", "a < b">;
def Onnx_LessOrEqualOp : Onnx_Binary<"LessOrEqual", "a <= b">;
def Onnx_MinOp : Onnx_Variadic<"Min", "minimum">;
def Onnx_MaxOp : Onnx_Variadic<"Max", "maximum">;

def Onnx_WhereOp : Onnx_Op<"Where"> {
  let summary = "condition ? x : y, with NumPy broadcasting of all three";
  let arguments = (ins AnyTensor:$condition, AnyTensor:$x, AnyTensor:$y);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$condition `,` $x `,` $y attr-dict `:` functional-type(operands, results)";
}
def Onnx_ClipOp : Onnx_Op<"Clip", [AttrSizedOperandSegments]> {
  let summary = "min(max(x, min), max); a missing bound does not bind";
  let arguments = (ins AnyTensor:$input, Optional<AnyTensor>:$min, Optional<AnyTensor>:$max);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input (`min` $min^)? (`max` $max^)? attr-dict `:` functional-type(operands, results)";
}
def Onnx_CastOp : Onnx_Op<"Cast"> {
  let summary = "converts to the result's element type; float to integer saturates";
  let arguments = (ins AnyTensor:$input);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def Onnx_BitCastOp : Onnx_Op<"BitCast"> {
  let summary = "the same bits as the result's element type, which has the same width";
  let arguments = (ins AnyTensor:$input);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

// --- Linear algebra and norms ----------------------------------------------------------------------
def Onnx_MatMulOp : Onnx_Binary<"MatMul", "numpy.matmul(a, b): leading dims are a batch">;
def Onnx_GemmOp : Onnx_Op<"Gemm"> {
  let summary = "alpha * op(a) op(b) + beta * c, op transposing where transA / transB say so";
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, Optional<AnyTensor>:$c,
                   DefaultValuedAttr<F32Attr, "1.0f">:$alpha, DefaultValuedAttr<F32Attr, "1.0f">:$beta,
                   DefaultValuedAttr<BoolAttr, "false">:$transA, DefaultValuedAttr<BoolAttr, "false">:$transB);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$a `,` $b (`,` $c^)? attr-dict `:` functional-type(operands, results)";
}
def Onnx_SoftmaxOp : Onnx_Op<"Softmax"> {
  let summary = "exp(x - max) / sum along one axis (the meaning of opset 13 and later)";
  let arguments = (ins AnyTensor:$input, I64Attr:$axis);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}
def Onnx_LayerNormalizationOp : Onnx_Op<"LayerNormalization"> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * scale + bias over the dims from `axis` on";
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, Optional<AnyTensor>:$bias, I64Attr:$axis,
                   DefaultValuedAttr<F32Attr, "1.0e-5f">:$epsilon);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x `,` $scale (`,` $bias^)? attr-dict `:` functional-type(operands, results)";
}
def Onnx_RMSNormalizationOp : Onnx_Op<"RMSNormalization"> {
  let summary = "x / sqrt(mean(x^2) + epsilon) * scale over the dims from `axis` on";
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, I64Attr:$axis,
                   DefaultValuedAttr<F32Attr, "1.0e-5f">:$epsilon);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x `,` $scale attr-dict `:` functional-type(operands, results)";
}
def Onnx_RotaryEmbeddingOp : Onnx_Op<"RotaryEmbedding"> {
  let summary = "turns pairs of elements of x's last dim by angles given as cosines and sines";
  let description = [{
    Below R = `rotary_dim`, y[d] = x[d] * cos[d] + p[d] * sin[d]; from there on y[d] = x[d]. The partner p of the
    first element of a pair is the second one, negated; that of the second is the first. Pairs are d and
    d + R / 2, or 2 d and 2 d + 1 when `interleaved`. cos and sin have the last dim R and broadcast to x's others.
  }];
  let arguments = (ins AnyTensor:$x, AnyTensor:$cos, AnyTensor:$sin, I64Attr:$rotary_dim,
                   DefaultValuedAttr<BoolAttr, "false">:$interleaved);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x `,` $cos `,` $sin attr-dict `:` functional-type(operands, results)";
}


// --- Windows over spatial dims -----------------------------------------------------------------------
// Shapes are [batch, channels, spatial...]. `pads` are begins, then ends, of the spatial dims, and
// already say what auto_pad and ceil_mode mean; `strides`, `dilations`, `kernel_shape` have one number
// a spatial dim.
def Onnx_ConvOp : Onnx_Op<"Conv"> {
  let summary = "cross-correlation with w [out channels, channels / group, kernel...] and bias [out channels]";
  let arguments = (ins AnyTensor:$x, AnyTensor:$w, Optional<AnyTensor>:$bias, DenseI64ArrayAttr:$pads,
                   DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                   DefaultValuedAttr<I64Attr, "1">:$group);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x `,` $w (`,` $bias^)? attr-dict `:` functional-type(operands, results)";
}
def Onnx_ConvTransposeOp : Onnx_Op<"ConvTranspose"> {
  let summary = "the gradient of Conv: w is [channels, out channels / group, kernel...]; `output_padding` adds to the ends";
  let arguments = (ins AnyTensor:$x, AnyTensor:$w, Optional<AnyTensor>:$bias, DenseI64ArrayAttr:$pads,
                   DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$output_padding,
                   DefaultValuedAttr<I64Attr, "1">:$group);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x `,` $w (`,` $bias^)? attr-dict `:` functional-type(operands, results)";
}
def Onnx_MaxPoolOp : Onnx_Op<"MaxPool"> {
  let summary = "largest element of each window, and its position in the flattened operand";
  let description = [{`column_major` counts positions within a channel in column-major order (ONNX: storage_order = 1).}];
  let arguments = (ins AnyTensor:$x, DenseI64ArrayAttr:$kernel_shape, DenseI64ArrayAttr:$pads,
                   DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                   DefaultValuedAttr<BoolAttr, "false">:$column_major);
  let results = (outs AnyTensor:$y, AnyTensor:$indices);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Onnx_AveragePoolOp : Onnx_Op<"AveragePool"> {
  let summary = "mean of each window; `count_include_pad` counts the `pads` (but nothing beyond them) as zeros";
  let arguments = (ins AnyTensor:$x, DenseI64ArrayAttr:$kernel_shape, DenseI64ArrayAttr:$pads,
                   DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
                   DefaultValuedAttr<BoolAttr, "false">:$count_include_pad,
                   DefaultValuedAttr<BoolAttr, "false">:$ceil_mode);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Onnx_ResizeOp : Onnx_Op<"Resize"> {
  let summary = "resamples `axes`; result dims are `sizes`, the step between samples is 1 / `scales`";
  let description = [{
    `mode` is nearest, linear or cubic; `coordinate_transformation_mode`, `nearest_mode`, `cubic_coeff_a`,
    `exclude_outside`, `extrapolation_value`, `antialias` as ONNX's Resize-19 says. `roi` (starts, then ends,
    one number an axis) is there for tf_crop_and_resize.
  }];
  let arguments = (ins AnyTensor:$x, AnyTensor:$sizes, DenseI64ArrayAttr:$axes, DenseF64ArrayAttr:$scales,
                   OptionalAttr<DenseF64ArrayAttr>:$roi, StrAttr:$mode, StrAttr:$coordinate_transformation_mode,
                   StrAttr:$nearest_mode, DefaultValuedAttr<F64Attr, "-0.75">:$cubic_coeff_a,
                   DefaultValuedAttr<BoolAttr, "false">:$exclude_outside,
                   DefaultValuedAttr<F64Attr, "0.0">:$extrapolation_value,
                   DefaultValuedAttr<BoolAttr, "false">:$antialias);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x `,` $sizes attr-dict `:` functional-type(operands, results)";
}

// --- Reductions and scans ----------------------------------------------------------------------------
def Onnx_ReduceMeanOp : Onnx_Reduce<"ReduceMean", "mean">;
def Onnx_ReduceSumOp : Onnx_Reduce<"ReduceSum", "sum">;
def Onnx_ReduceMaxOp : Onnx_Reduce<"ReduceMax", "maximum">;
def Onnx_ReduceMinOp : Onnx_Reduce<"ReduceMin", "minimum">;
def Onnx_ReduceProdOp : Onnx_Reduce<"ReduceProd", "product">;
def Onnx_ReduceL1Op : Onnx_Reduce<"ReduceL1", "sum of |x|">;
def Onnx_ReduceL2Op : Onnx_Reduce<"ReduceL2", "square root of the sum of squares">;
def Onnx_ReduceSumSquareOp : Onnx_Reduce<"ReduceSumSquare", "sum of squares">;
def Onnx_CumSumOp : Onnx_Op<"CumSum"> {
  let summary = "running sum along one axis";
  let arguments = (ins AnyTensor:$x, I64Attr:$axis, DefaultValuedAttr<BoolAttr, "false">:$exclusive,
                   DefaultValuedAttr<BoolAttr, "false">:$reverse);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Onnx_CumProdOp : Onnx_Op<"CumProd"> {
  let summary = "running product along one axis";
  let arguments = (ins AnyTensor:$x, I64Attr:$axis, DefaultValuedAttr<BoolAttr, "false">:$exclusive,
                   DefaultValuedAttr<BoolAttr, "false">:$reverse);
  let results = (outs AnyTensor:$y);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Onnx_TopKOp : Onnx_Op<"TopK"> {
  let summary = "the k largest (or smallest) elements along one axis in order, and their indices; equal ones by index";
  let arguments = (ins AnyTensor:$x, AnyTensor:$k, I64Attr:$axis, DefaultValuedAttr<BoolAttr, "true">:$largest);
  let results = (outs AnyTensor:$values, AnyTensor:$indices);
  let assemblyFormat = "$x `,` $k attr-dict `:` functional-type(operands, results)";
}

// --- Data movement -------------------------------------------------------------------------------------
def Onnx_ReshapeOp : Onnx_Op<"Reshape"> {
  let summary = "the same elements in another shape; -1 infers one dim, 0 copies one unless `allowzero`";
  let arguments = (ins AnyTensor:$data, AnyTensor:$shape, DefaultValuedAttr<BoolAttr, "false">:$allowzero);
  let results = (outs AnyTensor:$reshaped);
  let assemblyFormat = "$data `,` $shape attr-dict `:` functional-type(operands, results)";
}
def Onnx_ExpandOp : Onnx_Op<"Expand"> {
  let summary = "broadcasts to `shape` (both ways, as numpy.broadcast_shapes)";
  let arguments = (ins AnyTensor:$input, AnyTensor:$shape);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input `,` $shape attr-dict `:` functional-type(operands, results)";
}
def Onnx_TransposeOp : Onnx_Op<"Transpose"> {
  let summary = "dim i of the result is dim perm[i] of the operand";
  let arguments = (ins AnyTensor:$data, DenseI64ArrayAttr:$perm);
  let results = (outs AnyTensor:$transposed);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}
def Onnx_SqueezeOp : Onnx_Op<"Squeeze"> {
  let summary = "drops the dims of size one at `axes`";
  let arguments = (ins AnyTensor:$data, DenseI64ArrayAttr:$axes);
  let results = (outs AnyTensor:$squeezed);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}
def Onnx_UnsqueezeOp : Onnx_Op<"Unsqueeze"> {
  let summary = "inserts dims of size one so that they stand at `axes` of the result";
  let arguments = (ins AnyTensor:$data, DenseI64ArrayAttr:$axes);
  let results = (outs AnyTensor:$expanded);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}
def Onnx_FlattenOp : Onnx_Op<"Flatten"> {
  let summary = "a matrix: the dims before `axis` times the dims from it on";
  let arguments = (ins AnyTensor:$input, I64Attr:$axis);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}
def Onnx_ConcatOp : Onnx_Op<"Concat"> {
  let summary = "the operands one after the other along one axis";
  let arguments = (ins Variadic<AnyTensor>:$inputs, I64Attr:$axis);
  let results = (outs AnyTensor:$concat_result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type(operands, results)";
}
def Onnx_SplitOp : Onnx_Op<"Split"> {
  let summary = "cuts one axis into pieces of the given sizes; no sizes: equal pieces, the last may be smaller";
  let arguments = (ins AnyTensor:$input, I64Attr:$axis, OptionalAttr<DenseI64ArrayAttr>:$sizes);
  let results = (outs Variadic<AnyTensor>:$outputs);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}
def Onnx_SliceOp : Onnx_Op<"Slice"> {
  let summary = "data[starts:ends:steps] on `axes`, bounds clamped as ONNX says; one bound an axis";
  let arguments = (ins AnyTensor:$data, AnyTensor:$starts, AnyTensor:$ends, DenseI64ArrayAttr:$axes,
                   DenseI64ArrayAttr:$steps);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data `,` $starts `,` $ends attr-dict `:` functional-type(operands, results)";
}
def Onnx_GatherOp : Onnx_Op<"Gather"> {
  let summary = "numpy.take(data, indices, axis); a negative index counts from the end";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, I64Attr:$axis);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data `,` $indices attr-dict `:` functional-type(operands, results)";
}
def Onnx_GatherElementsOp : Onnx_Op<"GatherElements"> {
  let summary = "numpy.take_along_axis(data, indices, axis)";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, I64Attr:$axis);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data `,` $indices attr-dict `:` functional-type(operands, results)";
}
def Onnx_GatherNDOp : Onnx_Op<"GatherND"> {
  let summary = "slices of data at the index tuples in the last dim of `indices`";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$batch_dims);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data `,` $indices attr-dict `:` functional-type(operands, results)";
}
def Onnx_ScatterElementsOp : Onnx_Op<"ScatterElements"> {
  let summary = "data with updates put (or combined: `reduction` is none, add, mul, max, min) at indices along one axis";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, AnyTensor:$updates, I64Attr:$axis,
                   DefaultValuedAttr<StrAttr, "\"none\"">:$reduction);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)";
}
def Onnx_ScatterNDOp : Onnx_Op<"ScatterND"> {
  let summary = "data with slices put (or combined, see ScatterElements) at the index tuples in the last dim of indices";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, AnyTensor:$updates,
                   DefaultValuedAttr<StrAttr, "\"none\"">:$reduction);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)";
}
def Onnx_PadOp : Onnx_Op<"Pad"> {
  let summary = "adds (or, where negative, removes) elements at the ends of `axes`: begins, then ends, in `pads`";
  let description = [{`mode` is constant (with `value`, zero when missing), reflect, edge or wrap.}];
  let arguments = (ins AnyTensor:$data, AnyTensor:$pads, Optional<AnyTensor>:$value, DenseI64ArrayAttr:$axes,
                   DefaultValuedAttr<StrAttr, "\"constant\"">:$mode);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$data `,` $pads (`value` $value^)? attr-dict `:` functional-type(operands, results)";
}
def Onnx_TileOp : Onnx_Op<"Tile"> {
  let summary = "numpy.tile(input, repeats)";
  let arguments = (ins AnyTensor:$input, AnyTensor:$repeats);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input `,` $repeats attr-dict `:` functional-type(operands, results)";
}
def Onnx_TriluOp : Onnx_Op<"Trilu"> {
  let summary = "the upper or lower triangle of the last two dims, zero elsewhere; diagonal `k`";
  let arguments = (ins AnyTensor:$input, DefaultValuedAttr<BoolAttr, "true">:$upper,
                   DefaultValuedAttr<I64Attr, "0">:$k);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

// --- Sizes that depend on data -------------------------------------------------------------------------
def Onnx_NonZeroOp : Op<Onnx_Dialect, "NonZero"> {
  let summary = "the indices of the elements that are not zero, in row-major order: [rank, how many there are]";
  let description = [{
    How many is the measured symbol `symbol` (SymbolicExpr.h), of which this is the one definition: it stays
    also where only the size is used.
  }];
  let arguments = (ins AnyTensor:$x, StrAttr:$symbol);
  let results = (outs AnyTensor:$indices);
  let assemblyFormat = "$x `size` $symbol attr-dict `:` functional-type(operands, results)";
}
def Onnx_RankRowsOp : Onnx_Op<"RankRows"> {
  let summary = "for each row of a matrix how many different rows are less, and the first row that equals it";
  let description = [{Rows compare as words do; a NaN is above every number and equals every NaN.}];
  let arguments = (ins AnyTensor:$x);
  let results = (outs AnyTensor:$ranks, AnyTensor:$firsts);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

// --- Shapes and constants ----------------------------------------------------------------------------
def Onnx_ShapeOp : Onnx_Op<"Shape"> {
  let summary = "dims `start` up to, not including, `end` of the operand, as i64";
  let arguments = (ins AnyTensor:$data, I64Attr:$start, I64Attr:$end);
  let results = (outs AnyTensor:$shape);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}
def Onnx_SizeOp : Onnx_Unary<"Size", "number of elements, as an i64 scalar">;
def Onnx_ConstantOfShapeOp : Onnx_Op<"ConstantOfShape"> {
  let summary = "a tensor of the given shape filled with the one element of `value`";
  let arguments = (ins AnyTensor:$input, ElementsAttr:$value);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}
def Onnx_RangeOp : Onnx_Op<"Range"> {
  let summary = "start, start + delta, ... up to, not including, limit";
  let arguments = (ins AnyTensor:$start, AnyTensor:$limit, AnyTensor:$delta);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "$start `,` $limit `,` $delta attr-dict `:` functional-type(operands, results)";
}
def Onnx_ConstantOp : Onnx_Op<"Constant", [ConstantLike]> {
  let summary = "an initialiser or constant; large ones are dense_resource over the mapped file";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyTensor:$output);
  let assemblyFormat = "attr-dict $value `:` type($output)";
  let hasFolder = 1;
}

// --- Loops -------------------------------------------------------------------------------------------
def Onnx_LoopOp : Onnx_Op<"Loop", [AttrSizedOperandSegments, SingleBlock,
                                   DeclareOpInterfaceMethods<LoopLikeOpInterface>]> {
  let summary = "runs `body` once for each index of the scanned operands, or `count` times, or while a condition holds";
  let description = [{
    ```
    %final, %stacked = onnx.Loop states(%h) scanned(%x) {scanned_reverse = array<i1: false>,
                                                         stacked_reverse = array<i1: false>}
        : (tensor<2x4xf32>, tensor<?x2x3xf32>) -> (tensor<2x4xf32>, tensor<?x2x4xf32>) {
    ^bb0(%i: tensor<i64>, %state: tensor<2x4xf32>, %slice: tensor<2x3xf32>):
      ...
      onnx.Yield %next, %element : tensor<2x4xf32>, tensor<2x4xf32>
    }
    ```
    The body gets the number of the iteration (from 0), the states and one slice along dim 0 of each
    scanned operand, which `scanned_reverse` takes from the last to the first. It yields the condition of
    the next iteration (only when there is a `while` operand), the next states, whose shapes are those of
    the first ones, and the elements to stack along a new dim 0, from the last to the first where
    `stacked_reverse` says so. Results are the last states, then the stacked elements. Where the number of
    iterations is not known before the run, there are no stacked elements. The body may use values from
    outside.
  }];
  let arguments = (ins Optional<AnyTensor>:$count, Optional<AnyTensor>:$condition,
                   Variadic<AnyTensor>:$states, Variadic<AnyTensor>:$scanned,
                   DenseBoolArrayAttr:$scanned_reverse, DenseBoolArrayAttr:$stacked_reverse);
  let results = (outs Variadic<AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    (`count` `(` $count^ `)`)? (`while` `(` $condition^ `)`)? `states` `(` $states `)` `scanned` `(` $scanned `)`
    attr-dict `:` functional-type(operands, results) $body
  }];
}
def Onnx_YieldOp : Onnx_Op<"Yield", [Terminator, HasParent<"LoopOp">]> {
  let summary = "what one iteration of an onnx.Loop gives";
  let arguments = (ins Variadic<AnyTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // RAPT_DIALECTS_ONNX_ONNXOPS
