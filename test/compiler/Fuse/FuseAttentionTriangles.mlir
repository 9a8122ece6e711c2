// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// Causal masks that are triangles of numbers: 0 excludes a key.

// tril(ones) == 0
// CHECK-LABEL: func @equal_zero
func.func @equal_zero(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<nan>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x4x4xf32>
  %ones = onnx.Constant dense<1.0> : tensor<4x4xf32> : tensor<4x4xf32>
  %t = onnx.Trilu %ones {upper = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %hidden = onnx.Equal %t, %zero : (tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xi1>
  %b = onnx.Where %hidden, %inf, %s : (tensor<4x4xi1>, tensor<f32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %o : tensor<2x3x4x8xf32>
}

// -----

// The same where the ones are a weight already.
// CHECK-LABEL: func @weight
func.func @weight(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<nan>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x4x4xf32>
  %ones = kernel.weight [dense<1.0> : tensor<4x4xf32>] : tensor<4x4xf32>
  %t = onnx.Trilu %ones {upper = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %hidden = onnx.Equal %t, %zero : (tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xi1>
  %b = onnx.Where %hidden, %inf, %s : (tensor<4x4xi1>, tensor<f32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %o : tensor<2x3x4x8xf32>
}

// -----

// tril(ones) as booleans
// CHECK-LABEL: func @cast
func.func @cast(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<nan>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x4x4xf32>
  %ones = onnx.Constant dense<1> : tensor<4x4xi64> : tensor<4x4xi64>
  %t = onnx.Trilu %ones {upper = false} : (tensor<4x4xi64>) -> tensor<4x4xi64>
  %seen = onnx.Cast %t : (tensor<4x4xi64>) -> tensor<4x4xi1>
  %b = onnx.Where %seen, %s, %inf : (tensor<4x4xi1>, tensor<2x3x4x4xf32>, tensor<f32>) -> tensor<2x3x4x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %o : tensor<2x3x4x8xf32>
}

// -----

// A window of a stored triangle.
// CHECK-LABEL: func @slice
func.func @slice(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<nan>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x4x4xf32>
  %table = onnx.Constant dense<[[1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0]]> : tensor<5x5xf32> : tensor<5x5xf32>
  %begin = onnx.Constant dense<[1, 1]> : tensor<2xi64> : tensor<2xi64>
  %end = onnx.Constant dense<[5, 5]> : tensor<2xi64> : tensor<2xi64>
  %t = onnx.Slice %table, %begin, %end {axes = array<i64: 0, 1>, steps = array<i64: 1, 1>} : (tensor<5x5xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<4x4xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %hidden = onnx.Equal %t, %zero : (tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xi1>
  %b = onnx.Where %hidden, %inf, %s : (tensor<4x4xi1>, tensor<f32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %o : tensor<2x3x4x8xf32>
}

// -----

// A triangle of zeros excludes every key; it is no causal mask.
// CHECK-LABEL: func @zeros
func.func @zeros(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) mask(
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x4x4xf32>
  %zeros = onnx.Constant dense<0.0> : tensor<4x4xf32> : tensor<4x4xf32>
  %t = onnx.Trilu %zeros {upper = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %hidden = onnx.Equal %t, %zero : (tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xi1>
  %b = onnx.Where %hidden, %inf, %s : (tensor<4x4xi1>, tensor<f32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %o : tensor<2x3x4x8xf32>
}

// -----

// triu(ones) == 0 hides the keys before the query: a window, and no causality.
// CHECK-LABEL: func @upper
func.func @upper(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64, window_offset = 0
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x4x4xf32>
  %ones = onnx.Constant dense<1.0> : tensor<4x4xf32> : tensor<4x4xf32>
  %t = onnx.Trilu %ones {upper = true} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %hidden = onnx.Equal %t, %zero : (tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xi1>
  %b = onnx.Where %hidden, %inf, %s : (tensor<4x4xi1>, tensor<f32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %o : tensor<2x3x4x8xf32>
}

// -----

// Equal to 1 would see the triangle, equal to 2 sees nothing: only 0 is looked for.
// CHECK-LABEL: func @equal_two
func.func @equal_two(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) mask(
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x4x4xf32>
  %ones = onnx.Constant dense<1.0> : tensor<4x4xf32> : tensor<4x4xf32>
  %t = onnx.Trilu %ones {upper = false} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %zero = onnx.Constant dense<2.0> : tensor<f32> : tensor<f32>
  %hidden = onnx.Equal %t, %zero : (tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xi1>
  %b = onnx.Where %hidden, %inf, %s : (tensor<4x4xi1>, tensor<f32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
  return %o : tensor<2x3x4x8xf32>
}
