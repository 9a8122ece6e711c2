// RUN: rapt-opt %s --print-kernel-specs -o /dev/null | FileCheck %s

#bsk = affine_map<(b, s, n, k) -> (b, s, k)>
#kn = affine_map<(b, s, n, k) -> (k, n)>
#bsn4 = affine_map<(b, s, n, k) -> (b, s, n)>
#bsn = affine_map<(b, s, n) -> (b, s, n)>
#n = affine_map<(b, s, n) -> (n)>

// A linear layer: batch and seq merge into one row loop.
// CHECK-LABEL: kernel linear
// CHECK: t0: f32[d0*d1, 384]
// CHECK-NEXT: t1: f32[384, 1536] panel=48
// CHECK: = sum [d0*d1, 1536] over [384]
// CHECK-NEXT: = (t0[i0, i2] * t1[i2, i1])
// CHECK: = map [d0*d1, 1536]
// CHECK-NEXT: = (t3[i0, i1] + t2[i1])
// CHECK: work: 1179648*d0*d1 flops, 2365440 + 7680*d0*d1 bytes
kernel.func @linear dims 2 shapes [array<i64: 0, 1>, array<i64>, array<i64>] -> [array<i64: 0, 1>] panels [0, 48, 0]
    schedule(<gemm {}>) {
^bb0(%d0: index, %d1: index, %x: tensor<?x?x384xf32>, %w: tensor<384x1536xf32>, %bias: tensor<1536xf32>):
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%d0, %d1) : tensor<?x?x1536xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x1536xf32>) -> tensor<?x?x1536xf32>
  %c = linalg.generic {indexing_maps = [#bsk, #kn, #bsn4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x?x384xf32>, tensor<384x1536xf32>) outs(%f : tensor<?x?x1536xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?x1536xf32>
  %y = linalg.generic {indexing_maps = [#bsn, #n, #bsn], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%c, %bias : tensor<?x?x1536xf32>, tensor<1536xf32>) outs(%e : tensor<?x?x1536xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<?x?x1536xf32>
  kernel.yield %y : tensor<?x?x1536xf32>
}

// Rows of height and width merge where the input has its channels in front of them; the batch, which
// lies elsewhere, stays. A bias of each row (of height) keeps them apart.
// CHECK-LABEL: kernel channels
// CHECK: t0: f32[d0, 16, d1*d2]
// CHECK: = sum [d0, d1*d2, 16] over [16]
// CHECK-NEXT: = (t0[i0, i3, i1] * t1[i3, i2])
// CHECK-LABEL: kernel channels_and_rows
// CHECK: t0: f32[d0, 16, d1, d2]
// CHECK: = sum [d0, d1, d2, 16] over [16]
// CHECK-NEXT: = (t0[i0, i4, i1, i2] * t1[i4, i3])
// CHECK: = map [d0, d1, d2, 16]
// CHECK-NEXT: = (t3[i0, i1, i2, i3] + t2[i1])
#bkhw = affine_map<(b, h, w, n, k) -> (b, k, h, w)>
#kn5 = affine_map<(b, h, w, n, k) -> (k, n)>
#bhwn5 = affine_map<(b, h, w, n, k) -> (b, h, w, n)>
#bhwn = affine_map<(b, h, w, n) -> (b, h, w, n)>
#h = affine_map<(b, h, w, n) -> (h)>
kernel.func @channels dims 3 shapes [array<i64: 0, 1, 2>, array<i64>] -> [array<i64: 0, 1, 2>] panels [0, 16]
    schedule(<gemm {}>) {
^bb0(%d0: index, %d1: index, %d2: index, %x: tensor<?x16x?x?xf32>, %w: tensor<16x16xf32>):
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%d0, %d1, %d2) : tensor<?x?x?x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x?x16xf32>) -> tensor<?x?x?x16xf32>
  %c = linalg.generic {indexing_maps = [#bkhw, #kn5, #bhwn5], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x16x?x?xf32>, tensor<16x16xf32>) outs(%f : tensor<?x?x?x16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?x?x16xf32>
  kernel.yield %c : tensor<?x?x?x16xf32>
}
kernel.func @channels_and_rows dims 3 shapes [array<i64: 0, 1, 2>, array<i64>, array<i64: 1>] -> [array<i64: 0, 1, 2>]
    panels [0, 16, 0] schedule(<gemm {}>) {
^bb0(%d0: index, %d1: index, %d2: index, %x: tensor<?x16x?x?xf32>, %w: tensor<16x16xf32>, %bias: tensor<?xf32>):
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%d0, %d1, %d2) : tensor<?x?x?x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x?x16xf32>) -> tensor<?x?x?x16xf32>
  %c = linalg.generic {indexing_maps = [#bkhw, #kn5, #bhwn5], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x16x?x?xf32>, tensor<16x16xf32>) outs(%f : tensor<?x?x?x16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?x?x16xf32>
  %y = linalg.generic {indexing_maps = [#bhwn, #h, #bhwn], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%c, %bias : tensor<?x?x?x16xf32>, tensor<?xf32>) outs(%e : tensor<?x?x?x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<?x?x?x16xf32>
  kernel.yield %y : tensor<?x?x?x16xf32>
}

// Attention on a packed [batch, seq, 3 * 2 * 8] projection: slices, reshapes and transposes are gone.
// CHECK-LABEL: kernel attention
// CHECK: attention batch=d0 queries=d1 keys=d1 heads=2/2 dims=8,8 scale=0.5
// CHECK-NEXT: query t0[i0, i2, ((i1 * 8) + i3)]
// CHECK-NEXT: key t0[i0, i2, (((i1 * 8) + i3) + 16)]
// CHECK-NEXT: value t0[i0, i2, (((i1 * 8) + i3) + 32)]
// CHECK: = map [d0, d1, 16]
// CHECK-NEXT: = t1[i0, (i2 floordiv 8), i1, (i2 mod 8)]
// CHECK: work: 64*d0*d1*d1 flops, 256*d0*d1 bytes
kernel.func @attention dims 2 shapes [array<i64: 0, 1>] -> [array<i64: 0, 1>] panels [0] schedule(<attention {}>) {
^bb0(%d0: index, %d1: index, %qkv: tensor<?x?x48xf32>):
  %q0 = tensor.extract_slice %qkv[0, 0, 0] [%d0, %d1, 16] [1, 1, 1] : tensor<?x?x48xf32> to tensor<?x?x16xf32>
  %k0 = tensor.extract_slice %qkv[0, 0, 16] [%d0, %d1, 16] [1, 1, 1] : tensor<?x?x48xf32> to tensor<?x?x16xf32>
  %v0 = tensor.extract_slice %qkv[0, 0, 32] [%d0, %d1, 16] [1, 1, 1] : tensor<?x?x48xf32> to tensor<?x?x16xf32>
  %q1 = tensor.expand_shape %q0 [[0], [1], [2, 3]] output_shape [%d0, %d1, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1], [2, 3]] output_shape [%d0, %d1, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
  %v1 = tensor.expand_shape %v0 [[0], [1], [2, 3]] output_shape [%d0, %d1, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
  %e = tensor.empty(%d0, %d1) : tensor<?x2x?x8xf32>
  %q = linalg.generic {indexing_maps = [affine_map<(b, h, s, d) -> (b, s, h, d)>, affine_map<(b, h, s, d) -> (b, h, s, d)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%q1 : tensor<?x?x2x8xf32>) outs(%e : tensor<?x2x?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<?x2x?x8xf32>
  %k = linalg.generic {indexing_maps = [affine_map<(b, h, s, d) -> (b, s, h, d)>, affine_map<(b, h, s, d) -> (b, h, s, d)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k1 : tensor<?x?x2x8xf32>) outs(%e : tensor<?x2x?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<?x2x?x8xf32>
  %v = linalg.generic {indexing_maps = [affine_map<(b, h, s, d) -> (b, s, h, d)>, affine_map<(b, h, s, d) -> (b, h, s, d)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%v1 : tensor<?x?x2x8xf32>) outs(%e : tensor<?x2x?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<?x2x?x8xf32>
  %o = attn.sdpa query(%q) key(%k) value(%v) {scale = 0.5 : f64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %t0 = tensor.empty(%d0, %d1) : tensor<?x?x2x8xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(b, s, h, d) -> (b, h, s, d)>, affine_map<(b, s, h, d) -> (b, s, h, d)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%o : tensor<?x2x?x8xf32>) outs(%t0 : tensor<?x?x2x8xf32>) {
  ^bb0(%a: f32, %z: f32):
    linalg.yield %a : f32
  } -> tensor<?x?x2x8xf32>
  %m = tensor.collapse_shape %t [[0], [1], [2, 3]] : tensor<?x?x2x8xf32> into tensor<?x?x16xf32>
  kernel.yield %m : tensor<?x?x16xf32>
}

// A row reduction with a dim of size one: the mean's last dim disappears.
// CHECK-LABEL: kernel mean
// CHECK: t0: f32[d0, 8]
// CHECK: = sum [d0] over [8]
// CHECK-NEXT: = t0[i0, i1]
kernel.func @mean dims 1 shapes [array<i64: 0>] -> [array<i64: 0>] panels [0] schedule(<rows {}>) {
^bb0(%d0: index, %x: tensor<1x?x8xf32>):
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%d0) : tensor<1x?x1xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x?x1xf32>) -> tensor<1x?x1xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(b, s, u, n) -> (b, s, n)>, affine_map<(b, s, u, n) -> (b, s, u)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x : tensor<1x?x8xf32>) outs(%f : tensor<1x?x1xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %a, %acc : f32
    linalg.yield %r : f32
  } -> tensor<1x?x1xf32>
  kernel.yield %s : tensor<1x?x1xf32>
}

// A sum that does not start at zero is no KernelSpec.
// CHECK-LABEL: kernel start
// CHECK: no spec: 'linalg.generic' op expects its result to start at the neutral element of its reduction
kernel.func @start dims 0 shapes [array<i64>] -> [array<i64>] panels [0] schedule(<rows {}>) {
^bb0(%x: tensor<4x8xf32>):
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%one : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %r = arith.addf %a, %acc : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  kernel.yield %s : tensor<4xf32>
}

// CHECK-LABEL: kernel nothing
// CHECK: no spec: 'kernel.yield' op yields a tensor that nothing is written to
kernel.func @nothing dims 1 shapes [] -> [array<i64: 0>] panels [] schedule(<pointwise {}>) {
^bb0(%d0: index):
  %e = tensor.empty(%d0) : tensor<?x8xf32>
  kernel.yield %e : tensor<?x8xf32>
}
