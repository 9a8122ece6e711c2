//===- AttnOps.td - Attention as one operation ---------------------------*- tablegen -*-===//
//
// The meaning of attention and nothing else: no tile, no target, no policy. docs/semantics.md explains
// each rule at length; the labels (S1 ..., C1 ...) are the same there, here, in the verifier and in
// test/dialects/Attn/invalid.mlir.
//
//===----------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ATTN_ATTNOPS
#define RAPT_DIALECTS_ATTN_ATTNOPS

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::rapt::attn";
  let summary = "scaled dot-product attention as one operation";
  let useDefaultAttributePrinterParser = 1;
}

def Attn_EmptyRow : I32EnumAttr<"EmptyRow", "what a query gives when every key is excluded", [
    I32EnumAttrCase<"Zero", 0, "zero">, I32EnumAttrCase<"Mean", 1, "mean">,
    I32EnumAttrCase<"Nan", 2, "nan">, I32EnumAttrCase<"MaskMean", 3, "mask_mean">,
    I32EnumAttrCase<"EitherMean", 4, "either_mean">,
    I32EnumAttrCase<"CausalMean", 5, "causal_mean">]> {
  let cppNamespace = "::rapt::attn";
  let genSpecializedAttr = 0;
}
def Attn_EmptyRowAttr : EnumAttr<Attn_Dialect, Attn_EmptyRow, "empty_row"> {
  let assemblyFormat = "`<` $value `>`";
}

def Attn_SdpaOp : Op<Attn_Dialect, "sdpa", [Pure, AttrSizedOperandSegments]> {
  let summary = "softmax(scale * query * key^T + bias, masked) * value";
  let description = [{
    ```
    %o = attn.sdpa query(%q) key(%k) value(%v) bias(%b) mask(%m) sink(%s) {scale = 1.250000e-01 : f64}
       : (tensor<BxHxIxD>, tensor<BxGxJxD>, tensor<BxGxJxE>, tensor<BxHxIxJ>, tensor<BxHxIxJxi1>, tensor<1xHx1x1>)
       -> tensor<BxHxIxE>
    ```
    Rules:
    - S1 (score): score(b,h,i,j) = scale * sum_d query(b,h,i,d) * key(b,g,j,d); with `softcap` c > 0 it
      becomes c * tanh(score / c); then `bias` is added; then `mask`, `causal_offset` and
        `window_offset` exclude keys.
    - S2 (exclusion): an excluded key has weight exactly 0 in a row that has a key left. A key whose
      score is -infinity counts as excluded. In a row where every key is excluded, `empty_row` says the
      result: `zero`, `mean` (the average of value over all keys, which is what a finite sentinel
      such as the lowest float gives in the source graph), or `nan` (what -infinity gives there). Where band and
      mask have a finite sentinel each, it is the average over some keys only: `mask_mean` over those that
      the mask shows, all where it shows none; `either_mean` over those that the band or the mask shows;
      `causal_mean` over those that `causal_offset` shows and of these the window or the mask. The last two
      are NaN where there is no such key.
    - S3 (precision): sums are accumulated in f32, in f64 for f64 operands.
    - S4 (band): with `causal_offset` = o, key j is seen by query i only if j <= i + o; with
      `window_offset` = w, only if j >= i + w. With `causal_from_end` both are counted from the end,
      J - I is added to them: at o = 0 the last query sees the last key.
    - S5 (heads): query head h reads key and value head g = h / (H / G). They are never copied.
    - S6 (sink): `sink` is one more score a row, to which nothing of S1 and S4 is done. It takes part in the
      maximum and in the sum of the weights, and has no value. A row whose sink is greater than
      -infinity is not one in which every key is excluded: without a key its result is 0.

    Constraints:
    - C1: query, key and value have rank 4 and one float element type, which is the result's.
    - C2: the number of query heads H is a static multiple of the number of key heads G.
    - C3: query and key agree in batch and head_dim D; key and value agree in batch, heads and length J.
    - C4: `bias` has rank 4, the same element type, or f32 beside f16 and bf16, and each dim is 1 or the
      score's.
    - C5: `mask` has rank 4, element type i1 (true = may be seen), and each dim is 1 or the score's.
    - C6: the result is [B, H, I, E].
    - C7: `scale` is finite; `softcap` is finite and not negative.
    - C8: `causal_from_end` comes with `causal_offset` or `window_offset`.
    - C9: `sink` has rank 4, an element type as `bias` may have, and dims that are 1 or B, H, I and 1.
    - C10: `mask_mean` and `either_mean` come with a mask and a band, `causal_mean` with `causal_offset`
      and a mask or a window; none of them with `bias` or `sink`.
  }];
  let arguments = (ins AnyRankedTensor:$query, AnyRankedTensor:$key, AnyRankedTensor:$value,
                   Optional<AnyRankedTensor>:$bias, Optional<AnyRankedTensor>:$mask,
                   Optional<AnyRankedTensor>:$sink, F64Attr:$scale,
                   DefaultValuedAttr<F64Attr, "0.0">:$softcap, OptionalAttr<I64Attr>:$causal_offset,
                   OptionalAttr<I64Attr>:$window_offset, UnitAttr:$causal_from_end,
                   DefaultValuedAttr<Attn_EmptyRowAttr, "::rapt::attn::EmptyRow::Zero">:$empty_row);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    `query` `(` $query `)` `key` `(` $key `)` `value` `(` $value `)` (`bias` `(` $bias^ `)`)?
    (`mask` `(` $mask^ `)`)? (`sink` `(` $sink^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // RAPT_DIALECTS_ATTN_ATTNOPS
