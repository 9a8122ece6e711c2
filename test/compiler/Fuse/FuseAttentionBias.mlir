// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// The lowest float beside other biases: a mask where they are provably small, a bias where not.

// Relative positions are rows of a table.
// CHECK-LABEL: func @table_and_mask
func.func @table_and_mask(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %at: tensor<5x7xi64>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) mask(%{{.*}}) {empty_row = #attn.empty_row<mean>, {{.*}} tensor<1x3x5x7xf32>, tensor<2x1x1x7xi1>)
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %table = onnx.Constant dense<[[1.0, -2.0, 3.0], [0.5, 0.0, 4.0]]> : tensor<2x3xf32> : tensor<2x3xf32>
  %g = onnx.Gather %table, %at {axis = 0 : i64} : (tensor<2x3xf32>, tensor<5x7xi64>) -> tensor<5x7x3xf32>
  %t = onnx.Transpose %g {perm = array<i64: 2, 0, 1>} : (tensor<5x7x3xf32>) -> tensor<3x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %a = onnx.Add %s, %t : (tensor<2x3x5x7xf32>, tensor<3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %zero, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %b = onnx.Add %a, %w : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Both added up before the scores; true excludes.
// CHECK-LABEL: func @joined_first
func.func @joined_first(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %at: tensor<5x7xi64>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) mask(%{{.*}}) {empty_row = #attn.empty_row<mean>, {{.*}} tensor<1x3x5x7xf32>, tensor<2x1x1x7xi1>)
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %table = onnx.Constant dense<[[1.0, -2.0, 3.0], [0.5, 0.0, 4.0]]> : tensor<2x3xf32> : tensor<2x3xf32>
  %g = onnx.Gather %table, %at {axis = 0 : i64} : (tensor<2x3xf32>, tensor<5x7xi64>) -> tensor<5x7x3xf32>
  %t = onnx.Transpose %g {perm = array<i64: 2, 0, 1>} : (tensor<5x7x3xf32>) -> tensor<3x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %low, %zero : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %a = onnx.Add %t, %w : (tensor<3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %a : (tensor<2x3x5x7xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// One choice between the bias and the lowest float.
// CHECK-LABEL: func @chosen
func.func @chosen(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %at: tensor<5x7xi64>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) mask(%{{.*}}) {empty_row = #attn.empty_row<mean>, {{.*}} tensor<1x3x5x7xf32>, tensor<2x1x1x7xi1>)
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %table = onnx.Constant dense<[[1.0, -2.0, 3.0], [0.5, 0.0, 4.0]]> : tensor<2x3xf32> : tensor<2x3xf32>
  %g = onnx.Gather %table, %at {axis = 0 : i64} : (tensor<2x3xf32>, tensor<5x7xi64>) -> tensor<5x7x3xf32>
  %t = onnx.Transpose %g {perm = array<i64: 2, 0, 1>} : (tensor<5x7x3xf32>) -> tensor<3x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %t, %low : (tensor<2x1x1x7xi1>, tensor<3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The lowest float plus 1e32 is above the lowest float.
// CHECK-LABEL: func @large_table
func.func @large_table(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %at: tensor<5x7xi64>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {{{.*}} tensor<2x3x5x7xf32>)
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %table = onnx.Constant dense<[[1.0, -2.0, 3.0], [0.5, 1.0e32, 4.0]]> : tensor<2x3xf32> : tensor<2x3xf32>
  %g = onnx.Gather %table, %at {axis = 0 : i64} : (tensor<2x3xf32>, tensor<5x7xi64>) -> tensor<5x7x3xf32>
  %t = onnx.Transpose %g {perm = array<i64: 2, 0, 1>} : (tensor<5x7x3xf32>) -> tensor<3x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %a = onnx.Add %s, %t : (tensor<2x3x5x7xf32>, tensor<3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %zero, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %b = onnx.Add %a, %w : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Nothing is known about a bias that is an input.
// CHECK-LABEL: func @unknown_bias
func.func @unknown_bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %t: tensor<3x5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) {{{.*}} tensor<2x3x5x7xf32>)
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %a = onnx.Add %s, %t : (tensor<2x3x5x7xf32>, tensor<3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %zero, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %b = onnx.Add %a, %w : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A term that is added in f32 to scores of f16: so does attn.sdpa.
// CHECK-LABEL: func @wider_bias
func.func @wider_bias(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xf32>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa query(%arg0) {{.*}} bias(%arg3) {{.*}}tensor<2x1x1x7xf32>) -> tensor<2x3x5x8xf16>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %w = onnx.Cast %s : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %w, %m : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %p : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %n, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Scores that were rounded to be added to a narrow term are not those of attn.sdpa.
// CHECK-LABEL: func @narrower_bias
func.func @narrower_bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xbf16>) -> tensor<2x3x5x8xf16> {
  // CHECK-NOT: attn.sdpa
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "query and a term of the scores have different element types"
  // CHECK-NOT: attn.sdpa
  // CHECK: return
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Cast %s : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xbf16>
  %b = onnx.Add %w, %m : (tensor<2x3x5x7xbf16>, tensor<2x1x1x7xbf16>) -> tensor<2x3x5x7xbf16>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xbf16>
  %n = onnx.Cast %p : (tensor<2x3x5x7xbf16>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %n, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Scores computed in f32 of narrow operands: attention reads the narrow ones.
// CHECK-LABEL: func @wide_scores
func.func @wide_scores(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x7x8xf16>, %v: tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa query(%arg0) key(%arg1) value(%arg2) {{.*}}scale = 2.5
  %scale = onnx.Constant dense<0.25> : tensor<f32> : tensor<f32>
  %qw = onnx.Cast %q : (tensor<2x3x5x8xf16>) -> tensor<2x3x5x8xf32>
  %kw = onnx.Cast %k : (tensor<2x3x7x8xf16>) -> tensor<2x3x7x8xf32>
  %kt = onnx.Transpose %kw {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x8x7xf32>
  %s = onnx.MatMul %qw, %kt : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Mul %s, %scale : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %p : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %n, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// The same where only the values are narrow: they become f32.
// CHECK-LABEL: func @wide_operands
func.func @wide_operands(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xbf16>) -> tensor<2x3x5x8xbf16> {
  // CHECK: %[[V:.*]] = onnx.Cast %arg2 : {{.*}} -> tensor<2x3x7x8xf32>
  // CHECK: %[[O:.*]] = attn.sdpa query(%arg0) {{.*}} value(%[[V]])
  // CHECK: %[[N:.*]] = onnx.Cast %[[O]] : {{.*}} -> tensor<2x3x5x8xbf16>
  // CHECK: return %[[N]]
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %p : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xbf16>
  %o = onnx.MatMul %n, %v : (tensor<2x3x5x7xbf16>, tensor<2x3x7x8xbf16>) -> tensor<2x3x5x8xbf16>
  return %o : tensor<2x3x5x8xbf16>
}

// -----

// The same with a term of the query's type, widened for the softmax only.
// CHECK-LABEL: func @widened_softmax
func.func @widened_softmax(%q: tensor<2x3x5x8xf16>, %k: tensor<2x3x8x7xf16>, %v: tensor<2x3x7x8xf16>, %m: tensor<2x1x1x7xf16>) -> tensor<2x3x5x8xf16> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}})
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf16>, tensor<2x3x8x7xf16>) -> tensor<2x3x5x7xf16>
  %b = onnx.Add %s, %m : (tensor<2x3x5x7xf16>, tensor<2x1x1x7xf16>) -> tensor<2x3x5x7xf16>
  %w = onnx.Cast %b : (tensor<2x3x5x7xf16>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %n = onnx.Cast %p : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf16>
  %o = onnx.MatMul %n, %v : (tensor<2x3x5x7xf16>, tensor<2x3x7x8xf16>) -> tensor<2x3x5x8xf16>
  return %o : tensor<2x3x5x8xf16>
}

// -----

// Nothing says that integers are 0 and 1: the bias may exclude a key before the mask does.
// CHECK-LABEL: func @any_integers
func.func @any_integers(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %i: tensor<2x1x1x7xi64>) -> tensor<2x3x5x8xf32> {
  // CHECK: onnx.Softmax {{.*}}attn.not_fused = "a bias may be as low as the finite sentinel of a mask"
  %billion = onnx.Constant dense<-1.0E+9> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-10000.0> : tensor<f32> : tensor<f32>
  %f = onnx.Cast %i : (tensor<2x1x1x7xi64>) -> tensor<2x1x1x7xf32>
  %d = onnx.Sub %one, %f : (tensor<f32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %b = onnx.Mul %d, %low : (tensor<2x1x1x7xf32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %a = onnx.Add %s, %b : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %w = onnx.Where %m, %a, %billion : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %w {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}
