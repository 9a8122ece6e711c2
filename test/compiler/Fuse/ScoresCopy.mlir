// Attention whose scores or probabilities have another reader.
// RUN: rapt-opt %s --fuse-attention --split-input-file --verify-diagnostics | FileCheck %s

// The scores are a result: attention computes them once more.
// CHECK-LABEL: func @scores
func.func @scores(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>) -> (tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>) {
  // CHECK: %[[S:.*]] = onnx.MatMul %arg0, %arg1
  // CHECK-NOT: onnx.Softmax
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0)
  // CHECK: return %[[O]], %[[S]]
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o, %s : tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>
}

// -----

// The probabilities are: their softmax stays beside attn.sdpa.
// CHECK-LABEL: func @probabilities
func.func @probabilities(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xi1>) -> (tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>) {
  // CHECK: %[[P:.*]] = onnx.Softmax {{.*}}attn.copied = "its result is used 2 times"
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) {{.*}} mask(
  // CHECK: return %[[O]], %[[P]]
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %s, %inf : (tensor<5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o, %p : tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>
}

// -----

// What would not be fused alone is not copied.
// CHECK-LABEL: func @not_alone
func.func @not_alone(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %t: tensor<7xf32>) -> (tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>) {
  // CHECK-COUNT-2: onnx.MatMul
  // CHECK-NOT: onnx.MatMul
  // CHECK-NOT: attn.sdpa
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Mul %s, %t : (tensor<2x3x5x7xf32>, tensor<7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: its result is used 2 times}}
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o, %p : tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>
}

// -----

// Probabilities of a sink and the keys, of which the shares of the keys are a result.
// CHECK-LABEL: func @sink
func.func @sink(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %sinks: tensor<2x3x5x1xf32>) -> (tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>) {
  // CHECK: onnx.Softmax {{.*}}attn.copied = "its result is used 2 times"
  // CHECK: %[[P:.*]] = onnx.Slice
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) {{.*}} sink(%arg3)
  // CHECK: return %[[O]], %[[P]]
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Concat %s, %sinks {axis = 3 : i64} : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32>
  %max = onnx.ReduceMax %c {axes = array<i64: 3>} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x1xf32>
  %d = onnx.Sub %c, %max : (tensor<2x3x5x8xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x8xf32>
  %p = onnx.Softmax %d {axis = 3 : i64} : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  %from = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<-1> : tensor<1xi64> : tensor<1xi64>
  %w = onnx.Slice %p, %from, %to {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o, %w : tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>
}

// -----

// Weights that the mask sets to zero once more.
// CHECK-LABEL: func @zeroed
func.func @zeroed(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xi1>) -> (tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>) {
  // CHECK: onnx.Softmax {{.*}}attn.copied = "its result is used 2 times"
  // CHECK: %[[P:.*]] = onnx.Where
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) {{.*}} mask(%{{[a-z0-9]+}}) {scale
  // CHECK: return %[[O]], %[[P]]
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %s, %inf : (tensor<5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %z = onnx.Where %m, %p, %zero : (tensor<5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %z, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o, %z : tensor<2x3x5x8xf32>, tensor<2x3x5x7xf32>
}
