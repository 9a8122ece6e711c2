//===- KernelOps.td - The seam between host and kernels ------------------*- tablegen -*-===//
//
// What the host asks for (kernel.region, then kernel.call), what it needs to ask (symbolic dims,
// weights, checks), and what is compiled (kernel.func). Life of a kernel:
//
//   fuse      kernel.region { linalg, attn }          on tensors, isolated from above
//   schedule  + #kernel.schedule                      and weights in the layout it wants
//   kernels   kernel.func @linear_3f... {the body}    once per distinct kernel, with its object code
//             kernel.call @linear_3f...               in place of the region
//   host      kernel.call on memrefs, then LLVM calls
//
//===----------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_KERNEL_KERNELOPS
#define RAPT_DIALECTS_KERNEL_KERNELOPS

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::rapt::kernel";
  let summary = "regions that become kernels, and the host's calls to them";
  let useDefaultAttributePrinterParser = 1;
}

def Kernel_Recipe : I32EnumAttr<"Recipe", "the family of loop nests a kernel is made with", [
    I32EnumAttrCase<"Reference", 0, "reference">, I32EnumAttrCase<"Gemm", 1, "gemm">,
    I32EnumAttrCase<"Attention", 2, "attention">, I32EnumAttrCase<"Rows", 3, "rows">,
    I32EnumAttrCase<"Pointwise", 4, "pointwise">, I32EnumAttrCase<"Loops", 5, "loops">,
    I32EnumAttrCase<"Matmul", 6, "matmul">]> {
  let cppNamespace = "::rapt::kernel";
}

def Kernel_ScheduleAttr : AttrDef<Kernel_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "how a kernel is computed: a recipe and its numbers";
  let description = [{
    `#kernel.schedule<gemm {tile_cols = 48 : i64, tile_rows = 8 : i64, vector = 16 : i64}>`

    - every recipe: `vector` (f32 lanes), `parallel` (bool)
    - `gemm`, `matmul`: `tile_rows`, `tile_cols` (register tile; the second is the panel width of the
      weight or right operand)
    - `gemm`: `prefetch` (lines of the next panel fetched per step), `even_rows` (so many rows or fewer are
      shared out exactly between tiles of two heights)
    - `attention`: `variant` ("strip", "unfused" or "decode"), `block_query`, `decode_queries` (so many
      queries or fewer take the decode variant, when the kernel runs)

    Names, types and ranges are verified; compiler/Kernels turns it into kernels::Schedule.
  }];
  let parameters = (ins EnumParameter<Kernel_Recipe>:$recipe, "::mlir::DictionaryAttr":$params);
  let assemblyFormat = "`<` $recipe $params `>`";
  let genVerifyDecl = 1;
}

class Kernel_Op<string mnemonic, list<Trait> traits = []> : Op<Kernel_Dialect, mnemonic, traits>;

def Kernel_DimOp : Kernel_Op<"dim", [Pure]> {
  let summary = "the value of a symbolic dim of the model's inputs";
  let description = [{
    `%seq = kernel.dim "seq"`: at least 1, bound by the runtime before anything runs;
    `%past = kernel.dim "past" maybe_empty`: at least 0. The function's attribute `kernel.symbols`
    lists all of them in the order of the model's interface, `kernel.maybe_empty` those that may be 0.
  }];
  let arguments = (ins StrAttr:$symbol, UnitAttr:$maybe_empty);
  let results = (outs Index:$value);
  let assemblyFormat = "$symbol (`maybe_empty` $maybe_empty^)? attr-dict";
}

def Kernel_MeasuredDimOp : Kernel_Op<"measured_dim", [Pure]> {
  let summary = "a size that data decides, before the operation that finds it out is lowered";
  let description = [{
    `%n = kernel.measured_dim "count(y)" at_most %bound`: from 0 to the bound, which follows from the dims
    of the model's inputs. fuse-lower puts the result of a kernel.measure in its place.
  }];
  let arguments = (ins StrAttr:$symbol, Index:$bound);
  let results = (outs Index:$value);
  let assemblyFormat = "$symbol `at_most` $bound attr-dict";
}

def Kernel_MeasureOp : Kernel_Op<"measure", [MemoryEffects<[MemRead]>]> {
  let summary = "a size that a kernel has computed: run fails unless it is from 0 to `bound`";
  let description = [{
    `%n = kernel.measure "count(y)" %count at_most %bound : tensor<1xi64>`: what uses %n runs after it.
    `plan` does not know %n, so memory is planned for the bound (compiler/Host/Bounds.h).
  }];
  let arguments = (ins StrAttr:$symbol, AnyShaped:$count, Index:$bound);
  let results = (outs Index:$value);
  let assemblyFormat = "$symbol $count `at_most` $bound attr-dict `:` type($count)";
  let hasVerifier = 1;
}

def Kernel_RequireOp : Kernel_Op<"require"> {
  let summary = "run fails with `message` unless lhs <= rhs (or lhs == rhs with `equal`)";
  let description = [{
    What the graph takes for granted about its dims. `message` may hold two `%lld`, filled with lhs
    and rhs. Checked in `plan`, before anything runs; where a side depends on a kernel.measure, after that.
  }];
  let arguments = (ins Index:$lhs, Index:$rhs, UnitAttr:$equal, StrAttr:$message);
  let assemblyFormat = "$lhs `,` $rhs (`equal` $equal^)? $message attr-dict";
}

def Kernel_CheckIndicesOp : Kernel_Op<"check_indices"> {
  let summary = "run fails unless every element of `indices` is in [lower, upper)";
  let description = [{
    Stands before a gather whose indices come from outside. `message` may hold two `%lld`: the index
    and its position. `sizes` are the dynamic dims of the operand in order.
  }];
  let arguments = (ins AnyShaped:$indices, Variadic<Index>:$sizes, I64Attr:$lower, Index:$upper,
                   StrAttr:$message);
  let assemblyFormat = "$indices `[` $sizes `]` `in` $lower `to` $upper $message attr-dict `:` type($indices)";
}

def Kernel_WeightOp : Kernel_Op<"weight", [Pure]> {
  let summary = "constant data of the model, read when the artifact is written";
  let description = [{
    The tensor is the concatenation along `concat_dim` of `sources`, each first transposed by `perm`
    when that is given. Sources stay where they are (usually blobs over the mapped file); the data is
    produced once, into the artifact. With `panel` = nr > 0 a [K, N] weight is laid out as panels
    [ceil(N / nr)][K][nr], columns past N zero; its type stays the logical one.
  }];
  let arguments = (ins ArrayAttr:$sources, OptionalAttr<DenseI64ArrayAttr>:$perm,
                   DefaultValuedAttr<I64Attr, "0">:$concat_dim, DefaultValuedAttr<I64Attr, "0">:$panel);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$sources attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Kernel_RegionOp : Kernel_Op<"region", [IsolatedFromAbove, SingleBlock, Pure, AttrSizedOperandSegments,
                                            SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "work that becomes one kernel";
  let description = [{
    ```
    %y = kernel.region "linear" dims(%b, %s) ins(%x, %w) shapes [[0, 1], []] -> [[0, 1]]
         : (tensor<?x?x384xf32>, tensor<384x1536xf32>) -> tensor<?x?x1536xf32> {
    ^bb0(%d0: index, %d1: index, %x0: tensor<?x?x384xf32>, %w0: tensor<384x1536xf32>):
      ...
      kernel.yield %r : tensor<?x?x1536xf32>
    }
    ```
    `dims` are the dynamic extents the body uses. `shapes` lists for each operand, and after the arrow
    for each result, which of `dims` its `?`s are, in order. The body holds linalg, attn, tensor views,
    arith and math, and gets the dims first, then the operands. Tensors are dense and row-major.
  }];
  let arguments = (ins StrAttr:$name, Variadic<Index>:$dims, Variadic<AnyRankedTensor>:$inputs,
                   ArrayAttr:$input_shapes, ArrayAttr:$result_shapes,
                   OptionalAttr<Kernel_ScheduleAttr>:$schedule);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name `dims` `(` $dims `)` `ins` `(` $inputs `)` `shapes` $input_shapes `->` $result_shapes
    (`schedule` `(` $schedule^ `)`)? attr-dict `:` functional-type($inputs, results) $body
  }];
  let hasVerifier = 1;
}

def Kernel_YieldOp : Kernel_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["RegionOp", "FuncOp"]>]> {
  let summary = "the results of a kernel";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Kernel_FuncOp : Kernel_Op<"func", [Symbol, IsolatedFromAbove, SingleBlock,
                                        SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "one kernel: the body of a region, named and shared by all calls";
  let description = [{
    The block's arguments are `num_dims` dims and then the tensors, as in kernel.region. `input_panels`
    gives the panel width of each input that is a packed weight (0: row-major).
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$num_dims, ArrayAttr:$input_shapes,
                   ArrayAttr:$result_shapes, DenseI64ArrayAttr:$input_panels,
                   Kernel_ScheduleAttr:$schedule, OptionalAttr<DictionaryAttr>:$object);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `dims` $num_dims `shapes` $input_shapes `->` $result_shapes `panels` $input_panels
    `schedule` `(` $schedule `)` attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Kernel_CallOp : Kernel_Op<"call", [AttrSizedOperandSegments]> {
  let summary = "calls a kernel: on tensors with results, or on buffers with `outs`";
  let description = [{
    `input_shapes` and `result_shapes` are the region's: they say which of `dims` the dynamic sizes are.
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Index>:$dims, Variadic<AnyType>:$inputs,
                   Variadic<AnyType>:$outs, ArrayAttr:$input_shapes, ArrayAttr:$result_shapes);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = [{
    $callee `dims` `(` $dims `)` `ins` `(` $inputs `)` (`outs` `(` $outs^ `)`)? `shapes` $input_shapes `->` $result_shapes
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // RAPT_DIALECTS_KERNEL_KERNELOPS
