// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// Scores that are cast to a type of less range behind their masks: what was the lowest float is -infinity there.

// CHECK-LABEL: func @lowest_becomes_infinite
func.func @lowest_becomes_infinite(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {empty_row = #attn.empty_row<nan>,
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %s, %low : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %w : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %n {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.Cast %p : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %c, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// It does in bf16, too, whose largest number is a little less than that of f32; a billion does not.
// CHECK-LABEL: func @billion_stays_finite
func.func @billion_stays_finite(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> (tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>) {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {empty_row = #attn.empty_row<nan>,
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {empty_row = #attn.empty_row<mean>,
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %billion = onnx.Constant dense<-1.0E+9> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %s, %low : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %w : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xbf16>
  %p = onnx.Softmax %n {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %c = onnx.Cast %p : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %c, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  %s2 = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w2 = onnx.Where %m, %s2, %billion : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %n2 = onnx.Cast %w2 : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xbf16>
  %p2 = onnx.Softmax %n2 {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %c2 = onnx.Cast %p2 : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xf32>
  %o2 = onnx.MatMul %c2, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o, %o2 : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>
}

// -----

// Whether a bias becomes infinite is not known.
// CHECK-LABEL: func @bias_before_cast
func.func @bias_before_cast(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "a bias is added before scores are cast to a narrower type"
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %m : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %b : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %n {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.Cast %p : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %c, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Without a term there is nothing to become infinite.
// CHECK-LABEL: func @plain_cast
func.func @plain_cast(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa query(%arg0)
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %s : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf16>
  %p = onnx.Softmax %n {axis = 3 : i64} : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf16>
  %c = onnx.Cast %p : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %c, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}
