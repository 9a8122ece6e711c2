// Finite sentinels of f16 and bf16: what the lowest number of a type does beside scores of that type.
// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// bf16 has the range of f32: the lowest number plus a score is the lowest number.
// CHECK-LABEL: func @bf16_padding
func.func @bf16_padding(%q: tensor<2x3x5x8xbf16>, %k: tensor<2x3x8x7xbf16>, %v: tensor<2x3x7x8xbf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xbf16> {
  // CHECK-NOT: bias(
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {empty_row = #attn.empty_row<mean>
  %zero = onnx.Constant dense<0.0> : tensor<bf16> : tensor<bf16>
  %lowest = onnx.Constant dense<-3.389530e+38> : tensor<bf16> : tensor<bf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xbf16>, tensor<2x3x8x7xbf16>) -> tensor<2x3x5x7xbf16>
  %w = onnx.Where %m, %zero, %lowest : (tensor<2x1x1x7xi1>, tensor<bf16>, tensor<bf16>) -> tensor<2x1x1x7xbf16>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xbf16>, tensor<2x1x1x7xbf16>) -> tensor<2x3x5x7xbf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xbf16>, tensor<2x3x7x8xbf16>) -> tensor<2x3x5x8xbf16>
  return %o : tensor<2x3x5x8xbf16>
}

// -----

// CHECK-LABEL: func @bf16_causal_and_padding
func.func @bf16_causal_and_padding(%q: tensor<2x3x5x8xbf16>, %k: tensor<2x3x8x7xbf16>, %v: tensor<2x3x7x8xbf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xbf16> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {causal_offset = 2 : i64, empty_row = #attn.empty_row<mean>
  %rows = onnx.Constant dense<[[2], [3], [4], [5], [6]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %zero = onnx.Constant dense<0.0> : tensor<bf16> : tensor<bf16>
  %lowest = onnx.Constant dense<-3.389530e+38> : tensor<bf16> : tensor<bf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xbf16>, tensor<2x3x8x7xbf16>) -> tensor<2x3x5x7xbf16>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %both = onnx.And %c, %m : (tensor<5x7xi1>, tensor<2x1x1x7xi1>) -> tensor<2x1x5x7xi1>
  %w = onnx.Where %both, %zero, %lowest : (tensor<2x1x5x7xi1>, tensor<bf16>, tensor<bf16>) -> tensor<2x1x5x7xbf16>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xbf16>, tensor<2x1x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xbf16>, tensor<2x3x7x8xbf16>) -> tensor<2x3x5x8xbf16>
  return %o : tensor<2x3x5x8xbf16>
}

// -----

// A mask below a bias of which nothing is known is one of its type.
// CHECK-LABEL: func @bf16_fill_below_bias
func.func @bf16_fill_below_bias(%q: tensor<2x3x5x8xbf16>, %k: tensor<2x3x8x7xbf16>, %v: tensor<2x3x7x8xbf16>, %m: tensor<2x1x1x7xi1>, %t: tensor<2x1x5x7xbf16>) -> tensor<2x3x5x8xbf16> {
  // CHECK: %[[W:.*]] = onnx.Where %arg3, %{{.*}}, %{{.*}} : (tensor<2x1x1x7xi1>, tensor<bf16>, tensor<bf16>) -> tensor<2x1x1x7xbf16>
  // CHECK: %[[B:.*]] = onnx.Add %{{.*}}, %{{.*}} -> tensor<2x1x5x7xbf16>
  // CHECK: attn.sdpa {{.*}} bias(%[[B]])
  %zero = onnx.Constant dense<0.0> : tensor<bf16> : tensor<bf16>
  %lowest = onnx.Constant dense<-3.389530e+38> : tensor<bf16> : tensor<bf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xbf16>, tensor<2x3x8x7xbf16>) -> tensor<2x3x5x7xbf16>
  %b = onnx.Where %m, %s, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xbf16>, tensor<bf16>) -> tensor<2x3x5x7xbf16>
  %e = onnx.Add %b, %t : (tensor<2x3x5x7xbf16>, tensor<2x1x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %p = onnx.Softmax %e {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xbf16>, tensor<2x3x7x8xbf16>) -> tensor<2x3x5x8xbf16>
  return %o : tensor<2x3x5x8xbf16>
}

// -----

// Two of them are -infinity where both exclude.
// CHECK-LABEL: func @bf16_two_masks
func.func @bf16_two_masks(%q: tensor<2x3x5x8xbf16>, %k: tensor<2x3x8x7xbf16>, %v: tensor<2x3x7x8xbf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xbf16> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {causal_offset = 2 : i64, empty_row = #attn.empty_row<either_mean>
  %rows = onnx.Constant dense<[[2], [3], [4], [5], [6]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %zero = onnx.Constant dense<0.0> : tensor<bf16> : tensor<bf16>
  %lowest = onnx.Constant dense<-3.389530e+38> : tensor<bf16> : tensor<bf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xbf16>, tensor<2x3x8x7xbf16>) -> tensor<2x3x5x7xbf16>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %f = onnx.Where %c, %s, %lowest : (tensor<5x7xi1>, tensor<2x3x5x7xbf16>, tensor<bf16>) -> tensor<2x3x5x7xbf16>
  %w = onnx.Where %m, %zero, %lowest : (tensor<2x1x1x7xi1>, tensor<bf16>, tensor<bf16>) -> tensor<2x1x1x7xbf16>
  %b = onnx.Add %f, %w : (tensor<2x3x5x7xbf16>, tensor<2x1x1x7xbf16>) -> tensor<2x3x5x7xbf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xbf16>, tensor<2x3x7x8xbf16>) -> tensor<2x3x5x8xbf16>
  return %o : tensor<2x3x5x8xbf16>
}

// -----

// Nothing is known about a bias that is an input.
// CHECK-LABEL: func @bf16_unknown_bias
func.func @bf16_unknown_bias(%q: tensor<2x3x5x8xbf16>, %k: tensor<2x3x8x7xbf16>, %v: tensor<2x3x7x8xbf16>, %m: tensor<2x1x1x7xi1>, %t: tensor<2x1x5x7xbf16>) -> tensor<2x3x5x8xbf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {empty_row
  %zero = onnx.Constant dense<0.0> : tensor<bf16> : tensor<bf16>
  %lowest = onnx.Constant dense<-3.389530e+38> : tensor<bf16> : tensor<bf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xbf16>, tensor<2x3x8x7xbf16>) -> tensor<2x3x5x7xbf16>
  %e = onnx.Add %s, %t : (tensor<2x3x5x7xbf16>, tensor<2x1x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %w = onnx.Where %m, %zero, %lowest : (tensor<2x1x1x7xi1>, tensor<bf16>, tensor<bf16>) -> tensor<2x1x1x7xbf16>
  %b = onnx.Add %e, %w : (tensor<2x3x5x7xbf16>, tensor<2x1x1x7xbf16>) -> tensor<2x3x5x7xbf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xbf16>, tensor<2x3x7x8xbf16>) -> tensor<2x3x5x8xbf16>
  return %o : tensor<2x3x5x8xbf16>
}

// -----

// Each query has a key, so it does not matter what the lowest f16 plus a score rounds to.
// CHECK-LABEL: func @f16_causal
func.func @f16_causal(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK-NOT: bias(
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<5x7xi1>, tensor<f16>, tensor<f16>) -> tensor<5x7xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xf16>, tensor<5x7xf16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// The first query has none: -65504 plus a score of 17 is -65472, and the row no mean.
// CHECK-LABEL: func @f16_causal_without_key
func.func @f16_causal_without_key(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {empty_row = #attn.empty_row<mean>
  %rows = onnx.Constant dense<[[-1], [0], [1], [2], [3]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<5x7xi1>, tensor<f16>, tensor<f16>) -> tensor<5x7xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xf16>, tensor<5x7xf16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Padding may hide all keys.
// CHECK-LABEL: func @f16_padding
func.func @f16_padding(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {empty_row = #attn.empty_row<mean>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %w = onnx.Where %m, %zero, %lowest : (tensor<2x1x1x7xi1>, tensor<f16>, tensor<f16>) -> tensor<2x1x1x7xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xf16>, tensor<2x1x1x7xf16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// CHECK-LABEL: func @f16_causal_and_padding
func.func @f16_causal_and_padding(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {empty_row = #attn.empty_row<mean>
  %rows = onnx.Constant dense<[[2], [3], [4], [5], [6]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %both = onnx.And %c, %m : (tensor<5x7xi1>, tensor<2x1x1x7xi1>) -> tensor<2x1x5x7xi1>
  %w = onnx.Where %both, %zero, %lowest : (tensor<2x1x5x7xi1>, tensor<f16>, tensor<f16>) -> tensor<2x1x5x7xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xf16>, tensor<2x1x5x7xf16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// To both sides: the last query's own key is there.
// CHECK-LABEL: func @f16_window
func.func @f16_window(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 2 : i64, empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64, window_offset = -2 : i64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4, 5, 6]]> : tensor<1x7xi64> : tensor<1x7xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x7xi64>) -> tensor<5x7xi64>
  %a = onnx.Abs %d : (tensor<5x7xi64>) -> tensor<5x7xi64>
  %c = onnx.LessOrEqual %a, %two : (tensor<5x7xi64>, tensor<i64>) -> tensor<5x7xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<5x7xi1>, tensor<f16>, tensor<f16>) -> tensor<5x7xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xf16>, tensor<5x7xf16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Query 8 sees keys from 6 on, of which there are none.
// CHECK-LABEL: func @f16_window_without_key
func.func @f16_window_without_key(%q: tensor<2x3x9x8xf16>, %k: tensor<2x3x8x6xf16>, %v: tensor<2x3x6x8xf16>) -> tensor<2x3x9x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {empty_row = #attn.empty_row<mean>
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4], [5], [6], [7], [8]]> : tensor<9x1xi64> : tensor<9x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4, 5]]> : tensor<1x6xi64> : tensor<1x6xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x9x8xf16>, tensor<2x3x8x6xf16>) -> tensor<2x3x9x6xf16>
  %d = onnx.Sub %rows, %columns : (tensor<9x1xi64>, tensor<1x6xi64>) -> tensor<9x6xi64>
  %a = onnx.Abs %d : (tensor<9x6xi64>) -> tensor<9x6xi64>
  %c = onnx.LessOrEqual %a, %two : (tensor<9x6xi64>, tensor<i64>) -> tensor<9x6xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<9x6xi1>, tensor<f16>, tensor<f16>) -> tensor<9x6xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x9x6xf16>, tensor<9x6xf16>) -> tensor<2x3x9x6xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x9x6xf16>) -> tensor<2x3x9x6xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x9x6xf16>, tensor<2x3x6x8xf16>) -> tensor<2x3x9x8xf16>
  return %o : tensor<2x3x9x8xf16>
}

// -----

// Biases within 1e4 leave the lowest f16 far away.
// CHECK-LABEL: func @f16_small_table
func.func @f16_small_table(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {causal_offset = 0 : i64
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %t = onnx.Constant dense<[0.0, 1.0, -2.0, 1.0e4, 0.0, 0.5, 1.0]> : tensor<7xf16> : tensor<7xf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %e = onnx.Add %s, %t : (tensor<2x3x5x7xf16>, tensor<7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<5x7xi1>, tensor<f16>, tensor<f16>) -> tensor<5x7xf16>
  %b = onnx.Add %e, %w : (tensor<2x3x5x7xf16>, tensor<5x7xf16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// A larger one may not.
// CHECK-LABEL: func @f16_large_table
func.func @f16_large_table(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {empty_row
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %t = onnx.Constant dense<[0.0, 1.0, -2.0, 1.1e4, 0.0, 0.5, 1.0]> : tensor<7xf16> : tensor<7xf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %e = onnx.Add %s, %t : (tensor<2x3x5x7xf16>, tensor<7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<5x7xi1>, tensor<f16>, tensor<f16>) -> tensor<5x7xf16>
  %b = onnx.Add %e, %w : (tensor<2x3x5x7xf16>, tensor<5x7xf16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Scores that are set to the lowest f16 are equal, whatever they were.
// CHECK-LABEL: func @f16_fill
func.func @f16_fill(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {empty_row = #attn.empty_row<mean>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Where %m, %s, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Another low number is no sentinel.
// CHECK-LABEL: func @f16_fill_higher
func.func @f16_fill_higher(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf16> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "scores are set to a sentinel above -1e9 by more than a band"
  %lowest = onnx.Constant dense<-3.0e4> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Where %m, %s, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Nor is the lowest f16 in f32.
// CHECK-LABEL: func @f32_fill_of_f16
func.func @f32_fill_of_f16(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "scores are set to a sentinel above -1e9 by more than a band"
  %lowest = onnx.Constant dense<-65504.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Where %m, %s, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// DeBERTa: a product of matrices of f16 is taken to be within 1e4.
// CHECK-LABEL: func @f16_fill_beside_product
func.func @f16_fill_beside_product(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>, %r: tensor<2x3x8x7xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) mask(%arg3) {empty_row = #attn.empty_row<mean>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %t = onnx.MatMul %q, %r : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %e = onnx.Add %s, %t : (tensor<2x3x5x7xf16>, tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Where %m, %e, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// CHECK-LABEL: func @f16_fill_beside_unknown
func.func @f16_fill_beside_unknown(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>, %t: tensor<2x1x5x7xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "a bias may be as low as the finite sentinel of a mask"
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %e = onnx.Add %s, %t : (tensor<2x3x5x7xf16>, tensor<2x1x5x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Where %m, %e, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Scaled by no less than 1/16 it is low enough.
// CHECK-LABEL: func @f16_fill_scaled
func.func @f16_fill_scaled(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {empty_row = #attn.empty_row<mean>, scale = 1.250000e-01
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %f = onnx.Constant dense<0.125> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Where %m, %s, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %e = onnx.Mul %b, %f : (tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %e {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// CHECK-LABEL: func @f16_fill_scaled_away
func.func @f16_fill_scaled_away(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf16> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "masked scores of f16 are scaled to more than -4e3"
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %f = onnx.Constant dense<0.03125> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Where %m, %s, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %e = onnx.Mul %b, %f : (tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %e {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// -infinity in f16, which makes a row of nothing else NaN; a number where a cast stands between.
// CHECK-LABEL: func @f16_fill_overflows
func.func @f16_fill_overflows(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf16> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "a finite sentinel is scaled beyond its element type"
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %f = onnx.Constant dense<2.0> : tensor<f16> : tensor<f16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Where %m, %s, %lowest : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %e = onnx.Mul %b, %f : (tensor<2x3x5x7xf16>, tensor<f16>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %e {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// A triangle of open size leaves each query its own key.
// CHECK-LABEL: func @f16_open_triangle
func.func @f16_open_triangle(%q: tensor<2x3x?x8xf16> {onnx.dims = [2, 3, "seq", 8]}, %k: tensor<2x3x8x?xf16> {onnx.dims = [2, 3, 8, "seq"]},
                             %v: tensor<2x3x?x8xf16> {onnx.dims = [2, 3, "seq", 8]}) -> tensor<2x3x?x8xf16> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %yes = onnx.Constant dense<true> : tensor<1x1xi1> : tensor<1x1xi1>
  %seq = kernel.dim "seq"
  %seq64 = arith.index_cast %seq : index to i64
  %dims = tensor.from_elements %seq64, %seq64 : tensor<2xi64>
  %ones = onnx.Expand %yes, %dims : (tensor<1x1xi1>, tensor<2xi64>) -> tensor<?x?xi1>
  %c = onnx.Trilu %ones {upper = false} : (tensor<?x?xi1>) -> tensor<?x?xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<?x?xi1>, tensor<f16>, tensor<f16>) -> tensor<?x?xf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x?x8xf16>, tensor<2x3x8x?xf16>) -> tensor<2x3x?x?xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x?x?xf16>, tensor<?x?xf16>) -> tensor<2x3x?x?xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x?x?xf16>) -> tensor<2x3x?x?xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x?x?xf16>, tensor<2x3x?x8xf16>) -> tensor<2x3x?x8xf16>
  return %o : tensor<2x3x?x8xf16>
}

// -----

// Counted from the last key: with more queries than keys, which two names of sizes do not rule out, the first queries
// have none.
// CHECK-LABEL: func @f16_open_sizes
func.func @f16_open_sizes(%q: tensor<2x3x?x8xf16> {onnx.dims = [2, 3, "seq", 8]}, %k: tensor<2x3x8x?xf16> {onnx.dims = [2, 3, 8, "total"]},
                          %v: tensor<2x3x?x8xf16> {onnx.dims = [2, 3, "total", 8]}) -> tensor<2x3x?x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {empty_row = #attn.empty_row<mean>
  %zero = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %i0 = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %seq = kernel.dim "seq"
  %total = kernel.dim "total"
  %past = arith.subi %total, %seq : index
  %total64 = arith.index_cast %total : index to i64
  %past64 = arith.index_cast %past : index to i64
  %last = tensor.from_elements %total64 : tensor<i64>
  %first = tensor.from_elements %past64 : tensor<i64>
  %columns = onnx.Range %i0, %last, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %range = onnx.Range %first, %last, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %rows = onnx.Unsqueeze %range {axes = array<i64: 1>} : (tensor<?xi64>) -> tensor<?x1xi64>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %w = onnx.Where %c, %zero, %lowest : (tensor<?x?xi1>, tensor<f16>, tensor<f16>) -> tensor<?x?xf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x?x8xf16>, tensor<2x3x8x?xf16>) -> tensor<2x3x?x?xf16>
  %b = onnx.Add %s, %w : (tensor<2x3x?x?xf16>, tensor<?x?xf16>) -> tensor<2x3x?x?xf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x?x?xf16>) -> tensor<2x3x?x?xf16>
  %o = onnx.MatMul %p, %v : (tensor<2x3x?x?xf16>, tensor<2x3x?x8xf16>) -> tensor<2x3x?x8xf16>
  return %o : tensor<2x3x?x8xf16>
}
