// RUN: rapt-opt %s --fuse-attention --split-input-file --verify-diagnostics | FileCheck %s

// The scale after the product; the transpose of the key is undone.
// CHECK-LABEL: func @plain
func.func @plain(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) key(%arg1) value(%arg2) {scale = 2.500000e-01 : f64}
  // CHECK-NOT: onnx.Softmax
  // CHECK: return %[[O]]
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %c = onnx.Constant dense<0.25> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Mul %s, %c : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// On both sides by its root, and divided by once more.
// CHECK-LABEL: func @scale_everywhere
func.func @scale_everywhere(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) key(%arg1) value(%arg2) {scale = 1.250000e-01 : f64}
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %c = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %two = onnx.Constant dense<2.0> : tensor<1xf32> : tensor<1xf32>
  %qs = onnx.Mul %c, %q : (tensor<f32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %ks = onnx.Mul %kt, %c : (tensor<2x3x8x7xf32>, tensor<f32>) -> tensor<2x3x8x7xf32>
  %s = onnx.MatMul %qs, %ks : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Div %s, %two : (tensor<2x3x5x7xf32>, tensor<1xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// An additive mask of unknown values; its Expand is dropped. What -inf gives in a full row is kept: NaN.
// CHECK-LABEL: func @bias
func.func @bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) key(%arg1) value(%arg2) bias(%arg3) {empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64}
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %shape = onnx.Constant dense<[2, 1, 5, 7]> : tensor<4xi64> : tensor<4xi64>
  %e = onnx.Expand %m, %shape : (tensor<2x1x1x7xf32>, tensor<4xi64>) -> tensor<2x1x5x7xf32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %e : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// A bias before the scale is scaled; rank 2 gets leading dims.
// CHECK-LABEL: func @scaled_bias
func.func @scaled_bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[F:.*]] = onnx.Constant dense<2.500000e-01>
  // CHECK: %[[B:.*]] = onnx.Mul %arg3, %[[F]]
  // CHECK: %[[U:.*]] = onnx.Unsqueeze %[[B]] {axes = array<i64: 0, 1>} : (tensor<5x7xf32>) -> tensor<1x1x5x7xf32>
  // CHECK: attn.sdpa {{.*}} bias(%[[U]]) {{.*}}scale = 2.500000e-01
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %c = onnx.Constant dense<0.25> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %m : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Mul %t, %c : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %u {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Where(seen, 0, lowest) as the only bias is a mask whose full rows give the mean.
// CHECK-LABEL: func @finite_bias
func.func @finite_bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {empty_row = #attn.empty_row<mean>
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %z = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %b = onnx.Where %m, %z, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Where(seen, 0, -inf) is a boolean mask, and the guard makes full rows zero.
// CHECK-LABEL: func @guarded_mask
func.func @guarded_mask(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) key(%arg1) value(%arg2) mask(%arg3) {scale = 1.000000e+00 : f64}
  // CHECK-NOT: onnx.IsNaN
  // CHECK: return
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %z = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %b = onnx.Where %m, %z, %inf : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %n = onnx.IsNaN %p : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xi1>
  %g = onnx.Where %n, %z, %p : (tensor<2x3x5x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %g, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Without the guard they are NaN. Excluded where true: the mask is negated.
// CHECK-LABEL: func @masked_fill_infinite
func.func @masked_fill_infinite(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[N:.*]] = onnx.Not %arg3
  // CHECK: attn.sdpa {{.*}} mask(%[[N]]) {empty_row = #attn.empty_row<nan>
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Where %m, %inf, %s : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// The lowest float instead of -inf.
// CHECK-LABEL: func @masked_fill_finite
func.func @masked_fill_finite(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) key(%arg1) value(%arg2) mask(%arg3) {empty_row = #attn.empty_row<mean>
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Where %m, %s, %low : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Any other right operand is transposed to be a key.
// CHECK-LABEL: func @key_already_transposed
func.func @key_already_transposed(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %x: tensor<2x3x8x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[K:.*]] = onnx.Transpose %arg3 {perm = array<i64: 0, 1, 3, 2>}
  // CHECK: attn.sdpa query(%arg0) key(%[[K]])
  %s = onnx.MatMul %q, %x : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Not over the keys.
// CHECK-LABEL: func @wrong_axis
func.func @wrong_axis(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "softmax over axis 2, not the last (3)"
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark@below {{attention not fused: softmax over axis 2, not the last (3)}}
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A scale that the graph computes: it multiplies the queries.
// CHECK-LABEL: func @computed_scale
func.func @computed_scale(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %c: tensor<3x1x1xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[Q:.*]] = onnx.Mul %arg0, %arg3 : (tensor<2x3x5x8xf32>, tensor<3x1x1xf32>)
  // CHECK: attn.sdpa query(%[[Q]])
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %s = onnx.MatMul %q, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Mul %s, %c : (tensor<2x3x5x7xf32>, tensor<3x1x1xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A scale for each key.
// CHECK-LABEL: func @scaled_keys
func.func @scaled_keys(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %c: tensor<7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "scale is not a constant"
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Mul %s, %c : (tensor<2x3x5x7xf32>, tensor<7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark@below {{attention not fused: scale is not a constant}}
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The scale multiplies the bias as well.
// CHECK-LABEL: func @scaled_bias
func.func @scaled_bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %c: tensor<3x1x1xf32>, %b: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "a scale that is no constant comes after more than the product"
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %a = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Mul %a, %c : (tensor<2x3x5x7xf32>, tensor<3x1x1xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark@below {{attention not fused: a scale that is no constant comes after more than the product}}
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The greatest score is taken off by hand; the softmax does it anyway.
// CHECK-LABEL: func @without_maximum
func.func @without_maximum(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa
  // CHECK-NOT: onnx.ReduceMax
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %m = onnx.ReduceMax %s {axes = array<i64: 3>} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x1xf32>
  %t = onnx.Sub %s, %m : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The greatest score of a column is not the same for all keys of a row: it stays, as a bias.
// CHECK-LABEL: func @without_maximum_of_columns
func.func @without_maximum_of_columns(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[M:.*]] = onnx.ReduceMax
  // CHECK: %[[B:.*]] = onnx.Mul %[[M]], %{{.*}}
  // CHECK: attn.sdpa {{.*}} bias(%[[B]])
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %m = onnx.ReduceMax %s {axes = array<i64: 2>} : (tensor<2x3x5x7xf32>) -> tensor<2x3x1x7xf32>
  %t = onnx.Sub %s, %m : (tensor<2x3x5x7xf32>, tensor<2x3x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The mask has a batch that the scores lack.
// CHECK-LABEL: func @mask_of_wrong_shape
func.func @mask_of_wrong_shape(%q: tensor<1x3x5x8xf32>, %k: tensor<1x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x3x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: attn.not_fused = "mask [2, 3, 5, 7] does not broadcast to scores [1, 3, 5, 7]"
  %s = onnx.MatMul %q, %k : (tensor<1x3x5x8xf32>, tensor<1x3x8x7xf32>) -> tensor<1x3x5x7xf32>
  %t = onnx.Add %s, %m : (tensor<1x3x5x7xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark@below {{attention not fused: mask [2, 3, 5, 7] does not broadcast to scores [1, 3, 5, 7]}}
  %p = onnx.Softmax %t {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A classifier's softmax.
// CHECK-LABEL: func @no_attention
func.func @no_attention(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "no MatMul of its result follows"
  // expected-remark@below {{attention not fused: no MatMul of its result follows}}
  %p = onnx.Softmax %x {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %p : tensor<2x3xf32>
}

// -----

// One head without a batch: two dims of size one.
// CHECK-LABEL: func @one_head
func.func @one_head(%q: tensor<2x4xf32>, %k: tensor<2x4xf32>, %v: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // CHECK-DAG: %[[Q:.*]] = onnx.Unsqueeze %arg0 {axes = array<i64: 0, 1>}
  // CHECK-DAG: %[[K:.*]] = onnx.Unsqueeze %arg1
  // CHECK-DAG: %[[V:.*]] = onnx.Unsqueeze %arg2
  // CHECK: %[[O:.*]] = attn.sdpa query(%[[Q]]) key(%[[K]]) value(%[[V]])
  // CHECK: onnx.Squeeze %[[O]] {axes = array<i64: 0, 1>} : (tensor<1x1x2x4xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %k {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %s = onnx.MatMul %q, %t : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  %two = onnx.Constant dense<2.0> : tensor<f32> : tensor<f32>
  %d = onnx.Div %s, %two : (tensor<2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
  %p = onnx.Softmax %d {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x2xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %o : tensor<2x4xf32>
}

// -----

// torch's export of k^T: heads merged into the batch, transposed, split again.
// CHECK-LABEL: func @merged_transpose
func.func @merged_transpose(%q: tensor<?x3x?x8xf32> {onnx.dims = ["b", 3, "s", 8]}, %k: tensor<?x3x?x8xf32> {onnx.dims = ["b", 3, "s", 8]},
                            %v: tensor<?x3x?x8xf32> {onnx.dims = ["b", 3, "s", 8]}) -> tensor<?x3x?x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%arg1) value(%arg2)
  %b = kernel.dim "b"
  %s = kernel.dim "s"
  %bi = arith.index_cast %b : index to i64
  %si = arith.index_cast %s : index to i64
  %none = arith.constant -1 : i64
  %c3 = arith.constant 3 : i64
  %c8 = arith.constant 8 : i64
  %merged = tensor.from_elements %none, %si, %c8 : tensor<3xi64>
  %split = tensor.from_elements %bi, %c3, %c8, %si : tensor<4xi64>
  %0 = onnx.Reshape %k, %merged : (tensor<?x3x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %1 = onnx.Transpose %0 {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %2 = onnx.Reshape %1, %split : (tensor<?x8x?xf32>, tensor<4xi64>) -> tensor<?x3x8x?xf32>
  %3 = onnx.MatMul %q, %2 : (tensor<?x3x?x8xf32>, tensor<?x3x8x?xf32>) -> tensor<?x3x?x?xf32>
  %4 = onnx.Softmax %3 {axis = 3 : i64} : (tensor<?x3x?x?xf32>) -> tensor<?x3x?x?xf32>
  %5 = onnx.MatMul %4, %v : (tensor<?x3x?x?xf32>, tensor<?x3x?x8xf32>) -> tensor<?x3x?x8xf32>
  return %5 : tensor<?x3x?x8xf32>
}

// -----

// One attention right on the result of another.
// CHECK-LABEL: func @stacked
func.func @stacked(%x: tensor<?x8xf32> {onnx.dims = ["n", 8]}) -> tensor<?x8xf32> {
  // CHECK-COUNT-2: attn.sdpa
  // CHECK-NOT: onnx.Softmax
  %0 = onnx.Transpose %x {perm = array<i64: 1, 0>} : (tensor<?x8xf32>) -> tensor<8x?xf32>
  %1 = onnx.MatMul %x, %0 : (tensor<?x8xf32>, tensor<8x?xf32>) -> tensor<?x?xf32>
  %2 = onnx.Softmax %1 {axis = 1 : i64} : (tensor<?x?xf32>) -> tensor<?x?xf32>
  %3 = onnx.MatMul %2, %x : (tensor<?x?xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %4 = onnx.Transpose %3 {perm = array<i64: 1, 0>} : (tensor<?x8xf32>) -> tensor<8x?xf32>
  %5 = onnx.MatMul %3, %4 : (tensor<?x8xf32>, tensor<8x?xf32>) -> tensor<?x?xf32>
  %6 = onnx.Softmax %5 {axis = 1 : i64} : (tensor<?x?xf32>) -> tensor<?x?xf32>
  %7 = onnx.MatMul %6, %3 : (tensor<?x?xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %7 : tensor<?x8xf32>
}

// -----

// Two masks of the lowest float add up to -inf where both exclude a key.
// CHECK-LABEL: func @two_lowest_masks
func.func @two_lowest_masks(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %n: tensor<1x1x5x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} {empty_row = #attn.empty_row<nan>
  %z = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<-1.7E+38> : tensor<f32> : tensor<f32>
  %a = onnx.Where %m, %z, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %b = onnx.Where %n, %z, %low : (tensor<1x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %a : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Add %t, %b : (tensor<2x3x5x7xf32>, tensor<1x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %u {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Two masks whose sum stays finite.
// CHECK-LABEL: func @two_finite_masks
func.func @two_finite_masks(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %n: tensor<1x1x5x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} {empty_row = #attn.empty_row<mean>
  %z = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<-1.7E+38> : tensor<f32> : tensor<f32>
  %a = onnx.Where %m, %z, %half : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %b = onnx.Where %n, %z, %half : (tensor<1x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %a : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Add %t, %b : (tensor<2x3x5x7xf32>, tensor<1x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %u {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A mask with 2^60 paths to its root: each value is looked at once.
// CHECK-LABEL: func @doubled_mask
func.func @doubled_mask(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %n: tensor<1x1x5x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} {empty_row = #attn.empty_row<mean>
  %z = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<-1.7E+38> : tensor<f32> : tensor<f32>
  %x0 = onnx.Cast %m : (tensor<2x1x1x7xi1>) -> tensor<2x1x1x7xf32>
  %x1 = onnx.Add %x0, %x0 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x2 = onnx.Add %x1, %x1 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x3 = onnx.Add %x2, %x2 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x4 = onnx.Add %x3, %x3 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x5 = onnx.Add %x4, %x4 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x6 = onnx.Add %x5, %x5 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x7 = onnx.Add %x6, %x6 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x8 = onnx.Add %x7, %x7 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x9 = onnx.Add %x8, %x8 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x10 = onnx.Add %x9, %x9 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x11 = onnx.Add %x10, %x10 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x12 = onnx.Add %x11, %x11 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x13 = onnx.Add %x12, %x12 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x14 = onnx.Add %x13, %x13 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x15 = onnx.Add %x14, %x14 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x16 = onnx.Add %x15, %x15 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x17 = onnx.Add %x16, %x16 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x18 = onnx.Add %x17, %x17 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x19 = onnx.Add %x18, %x18 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x20 = onnx.Add %x19, %x19 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x21 = onnx.Add %x20, %x20 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x22 = onnx.Add %x21, %x21 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x23 = onnx.Add %x22, %x22 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x24 = onnx.Add %x23, %x23 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x25 = onnx.Add %x24, %x24 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x26 = onnx.Add %x25, %x25 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x27 = onnx.Add %x26, %x26 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x28 = onnx.Add %x27, %x27 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x29 = onnx.Add %x28, %x28 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x30 = onnx.Add %x29, %x29 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x31 = onnx.Add %x30, %x30 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x32 = onnx.Add %x31, %x31 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x33 = onnx.Add %x32, %x32 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x34 = onnx.Add %x33, %x33 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x35 = onnx.Add %x34, %x34 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x36 = onnx.Add %x35, %x35 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x37 = onnx.Add %x36, %x36 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x38 = onnx.Add %x37, %x37 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x39 = onnx.Add %x38, %x38 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x40 = onnx.Add %x39, %x39 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x41 = onnx.Add %x40, %x40 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x42 = onnx.Add %x41, %x41 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x43 = onnx.Add %x42, %x42 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x44 = onnx.Add %x43, %x43 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x45 = onnx.Add %x44, %x44 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x46 = onnx.Add %x45, %x45 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x47 = onnx.Add %x46, %x46 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x48 = onnx.Add %x47, %x47 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x49 = onnx.Add %x48, %x48 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x50 = onnx.Add %x49, %x49 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x51 = onnx.Add %x50, %x50 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x52 = onnx.Add %x51, %x51 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x53 = onnx.Add %x52, %x52 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x54 = onnx.Add %x53, %x53 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x55 = onnx.Add %x54, %x54 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x56 = onnx.Add %x55, %x55 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x57 = onnx.Add %x56, %x56 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x58 = onnx.Add %x57, %x57 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x59 = onnx.Add %x58, %x58 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %x60 = onnx.Add %x59, %x59 : (tensor<2x1x1x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %a = onnx.Neg %x60 : (tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %b = onnx.Where %n, %z, %half : (tensor<1x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %a : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Add %t, %b : (tensor<2x3x5x7xf32>, tensor<1x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %u {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The mask has more dims than the scores.
// CHECK-LABEL: func @mask_of_higher_rank
func.func @mask_of_higher_rank(%q: tensor<5x8xf32>, %k: tensor<8x7xf32>, %v: tensor<7x8xf32>, %m: tensor<1x5x7xf32>) -> tensor<1x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: attn.not_fused = "mask has more dims than scores [5, 7]"
  %s = onnx.MatMul %q, %k : (tensor<5x8xf32>, tensor<8x7xf32>) -> tensor<5x7xf32>
  %t = onnx.Add %s, %m : (tensor<5x7xf32>, tensor<1x5x7xf32>) -> tensor<1x5x7xf32>
  // expected-remark@below {{attention not fused: mask has more dims than scores [5, 7]}}
  %p = onnx.Softmax %t {axis = 2 : i64} : (tensor<1x5x7xf32>) -> tensor<1x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x5x7xf32>, tensor<7x8xf32>) -> tensor<1x5x8xf32>
  return %o : tensor<1x5x8xf32>
}
