// RUN: rapt-opt %s --fuse-attention --split-input-file --verify-diagnostics | FileCheck %s

// Masks that are taken away from the scores, and scores that are kept above the lowest float.

// XLNet and Funnel take the mask away.
// CHECK-LABEL: func @subtracted
func.func @subtracted(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[MINUS:.*]] = onnx.Constant dense<-5.000000e-01> : tensor<f32>
  // CHECK: %[[B:.*]] = onnx.Mul %arg3, %[[MINUS]]
  // CHECK: attn.sdpa {{.*}} bias(%[[B]]) {{.*}}scale = 5.000000e-01
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %d = onnx.Sub %s, %m : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %f = onnx.Mul %d, %half : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %f {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Scores that are themselves taken away.
// CHECK-LABEL: func @taken_away
func.func @taken_away(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %d = onnx.Sub %m, %s : (tensor<2x1x5x7xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: no MatMul gives its scores}}
  %p = onnx.Softmax %d {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// XGLM: a mask of the lowest float cannot reach -inf, so that the maximum changes nothing.
// CHECK-LABEL: func @kept_finite
func.func @kept_finite(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x5x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: onnx.Max
  // CHECK: attn.sdpa {{.*}}query(%arg0)
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %b = onnx.Where %m, %zero, %low : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %d = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %x = onnx.Max %d, %low : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %x {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Two masks of the lowest float are -inf together, and a row of nothing else becomes a mean.
// CHECK-LABEL: func @kept_from_infinity
func.func @kept_from_infinity(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x5x7xi1>, %n: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %b = onnx.Where %m, %zero, %low : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x5x7xf32>
  %c = onnx.Where %n, %zero, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %d = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %e = onnx.Add %d, %c : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %x = onnx.Max %e, %low : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: scores are kept above a number that masks may be below}}
  %p = onnx.Softmax %x {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// -inf in the place of scores, too.
// CHECK-LABEL: func @kept_from_where
func.func @kept_from_where(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x5x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %d = onnx.Where %m, %s, %inf : (tensor<2x1x5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %x = onnx.Max %low, %d : (tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: scores are kept above a number that masks may be below}}
  %p = onnx.Softmax %x {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Below 0 is below scores.
// CHECK-LABEL: func @kept_positive
func.func @kept_positive(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %x = onnx.Max %s, %zero : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: no MatMul gives its scores}}
  %p = onnx.Softmax %x {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The weights of experts: a softmax, and no attention that could have been fused.
// CHECK-LABEL: func @router
func.func @router(%x: tensor<2x5x8xf32>) -> tensor<2x5x4xf32> {
  // CHECK: onnx.Softmax {{.*}}attn.of_layer
  %w = onnx.Constant dense<0.5> : tensor<8x4xf32> : tensor<8x4xf32>
  %b = onnx.Constant dense<0.25> : tensor<4xf32> : tensor<4xf32>
  %s = onnx.MatMul %x, %w : (tensor<2x5x8xf32>, tensor<8x4xf32>) -> tensor<2x5x4xf32>
  %d = onnx.Add %b, %s : (tensor<4xf32>, tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  %p = onnx.Softmax %d {axis = 2 : i64} : (tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  %o = onnx.Neg %p : (tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  return %o : tensor<2x5x4xf32>
}

// -----

// Weights that a MatMul takes are named, whatever they are made of.
// CHECK-LABEL: func @fixed_keys
func.func @fixed_keys(%x: tensor<2x5x8xf32>, %v: tensor<2x4x8xf32>) -> tensor<2x5x8xf32> {
  // CHECK-NOT: attn.of_layer
  %w = kernel.weight [dense<0.5> : tensor<8x4xf32>] : tensor<8x4xf32>
  %s = onnx.MatMul %x, %w : (tensor<2x5x8xf32>, tensor<8x4xf32>) -> tensor<2x5x4xf32>
  // expected-remark @+1 {{attention not fused: its scores come from a MatMul with a weight}}
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x5x4xf32>, tensor<2x4x8xf32>) -> tensor<2x5x8xf32>
  return %o : tensor<2x5x8xf32>
}

// -----

// The bias above the mask may be anything, which the sum with the lowest float does not hide.
// CHECK-LABEL: func @mask_below_a_bias_and_above_one
func.func @mask_below_a_bias_and_above_one(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %c: tensor<2x1x5x7xi1>, %e: tensor<2x1x5x7xi1>, %b: tensor<2x1x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Where %c, %t, %low : (tensor<2x1x5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Add %u, %b : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: a bias that may be large comes before scores are set to a finite sentinel}}
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Two masks of the lowest float, each set and not added, do not add up.
// CHECK-LABEL: func @masks_below_a_bias
func.func @masks_below_a_bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %c: tensor<2x1x5x7xi1>, %e: tensor<2x1x5x7xi1>, %b: tensor<2x1x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Where %e, %s, %low : (tensor<2x1x5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Where %c, %t, %low : (tensor<2x1x5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Add %u, %b : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: masks below a bias set the scores to a sentinel more than once}}
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The sum of both masks is -inf where both exclude a key, but for the maximum.
// CHECK-LABEL: func @kept_above_two_masks
func.func @kept_above_two_masks(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %c: tensor<2x1x5x7xi1>, %e: tensor<2x1x5x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %m = onnx.Where %c, %zero, %low : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x5x7xf32>
  %t = onnx.Where %e, %s, %low : (tensor<2x1x5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Add %t, %m : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Max %u, %low : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: scores are kept above a number that masks may be below}}
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Without the difference, both masks add up to -inf where both exclude a key.
// CHECK-LABEL: func @maximum_between_masks
func.func @maximum_between_masks(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %c: tensor<2x1x5x7xi1>, %e: tensor<2x1x5x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %m = onnx.Where %c, %zero, %low : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x5x7xf32>
  %n = onnx.Where %e, %zero, %low : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x5x7xf32>
  %t = onnx.Add %s, %m : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %g = onnx.ReduceMax %t {axes = array<i64: 3>} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x1xf32>
  %u = onnx.Sub %t, %g : (tensor<2x3x5x7xf32>, tensor<2x3x5x1xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Add %u, %n : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: the greatest score of a row is taken away before scores are final}}
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The sum of two masks of the lowest float is -inf, and so is half of it.
// CHECK-LABEL: func @scaled_behind_two_masks
func.func @scaled_behind_two_masks(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xf32>, %n: tensor<2x1x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %m : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Add %t, %n : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Mul %u, %half : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: biases that may be infinite together are scaled after they were added}}
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A mask behind the scale is its own matter, and so is a product of matrices before it, as Funnel and DeBERTa have it.
// CHECK-LABEL: func @scaled_between_biases
func.func @scaled_between_biases(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %r: tensor<2x3x8x7xf32>, %m: tensor<2x1x1x7xf32>, %n: tensor<2x1x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.MatMul %q, %r : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Mul %t, %half : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Add %w, %m : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %x = onnx.Add %u, %n : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %x {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}
