// RUN: rapt-opt %s --fuse-attention --split-input-file --verify-diagnostics | FileCheck %s

// A number a head beside the scores, the greatest taken off before the softmax: GPT-OSS.
// CHECK-LABEL: func @learned
func.func @learned(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %seen: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa query(%arg0) {{.*}} value(%arg2) mask(%arg3) sink(%{{.*}}) {empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64}
  // CHECK-SAME: tensor<1x3x1x1xf32>) -> tensor<2x3x5x8xf32>
  // CHECK-NOT: onnx.Concat
  // CHECK-NOT: onnx.Slice
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %learned = onnx.Constant dense<[[[[0.5]], [[-1.0]], [[2.0]]]]> : tensor<1x3x1x1xf32> : tensor<1x3x1x1xf32>
  %dims = onnx.Constant dense<[2, 3, 5, 1]> : tensor<4xi64> : tensor<4xi64>
  %sinks = onnx.Expand %learned, %dims : (tensor<1x3x1x1xf32>, tensor<4xi64>) -> tensor<2x3x5x1xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %b = onnx.Where %seen, %zero, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %m = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Concat %m, %sinks {axis = 3 : i64} : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32>
  %max = onnx.ReduceMax %c {axes = array<i64: 3>} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x1xf32>
  %d = onnx.Sub %c, %max : (tensor<2x3x5x8xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32>
  %p = onnx.Softmax %d {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %from = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<-1> : tensor<1xi64> : tensor<1xi64>
  %w = onnx.Slice %p, %from, %to {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// One that is computed for each query, in front of the keys.
// CHECK-LABEL: func @first
func.func @first(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %sinks: tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} sink(%arg3) {scale = 1.000000e+00 : f64}
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Concat %sinks, %s {axis = 3 : i64} : (tensor<2x3x5x1xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x8xf32>
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %from = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %w = onnx.Slice %p, %from, %to {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The weights that are used are the sink's and those of all keys but one.
// CHECK-LABEL: func @another_column
func.func @another_column(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %sinks: tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Concat %sinks, %s {axis = 3 : i64} : (tensor<2x3x5x1xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x8xf32>
  // expected-remark @+1 {{attention not fused: another part of the weights is used than that of the keys}}
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %from = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<7> : tensor<1xi64> : tensor<1xi64>
  %w = onnx.Slice %p, %from, %to {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Without another column the slice leaves out a key.
// CHECK-LABEL: func @key_left_out
func.func @key_left_out(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %k8: tensor<2x3x8x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %c = onnx.MatMul %q, %k8 : (tensor<2x3x5x8xf32>, tensor<2x3x8x8xf32>) -> tensor<2x3x5x8xf32>
  // expected-remark @+1 {{attention not fused: a part of its result is used}}
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %from = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<7> : tensor<1xi64> : tensor<1xi64>
  %w = onnx.Slice %p, %from, %to {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A column whose weights are used as well.
// CHECK-LABEL: func @column_with_a_value
func.func @column_with_a_value(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %v8: tensor<2x3x8x8xf32>, %sinks: tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Concat %s, %sinks {axis = 3 : i64} : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32>
  // expected-remark @+1 {{attention not fused: its scores are a concatenation}}
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %o = onnx.MatMul %p, %v8 : (tensor<2x3x5x8xf32>, tensor<2x3x8x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// What is taken off the scores alone changes their weights beside the sink: it is a bias of the row.
// CHECK-LABEL: func @shifted_alone
func.func @shifted_alone(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %sinks: tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) sink(%arg3)
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %max = onnx.ReduceMax %s {axes = array<i64: 3>} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x1xf32>
  %f = onnx.Sub %s, %max : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Concat %f, %sinks {axis = 3 : i64} : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32>
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %from = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<7> : tensor<1xi64> : tensor<1xi64>
  %w = onnx.Slice %p, %from, %to {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Nothing is known of the sink: it may be as low as the scores of excluded keys, which then have weight.
// CHECK-LABEL: func @low_sink
func.func @low_sink(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %seen: tensor<2x1x1x7xi1>, %sinks: tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %low = onnx.Constant dense<-1.0e+09> : tensor<f32> : tensor<f32>
  %m = onnx.Where %seen, %s, %low : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Concat %m, %sinks {axis = 3 : i64} : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32>
  // expected-remark @+1 {{attention not fused: a sink may be as low as the finite sentinel of a mask}}
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %from = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<7> : tensor<1xi64> : tensor<1xi64>
  %w = onnx.Slice %p, %from, %to {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}
