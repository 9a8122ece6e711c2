// RUN: rapt-opt %s --fuse-attention --split-input-file --verify-diagnostics | FileCheck %s

// cap * tanh(scale * s / cap)
// CHECK-LABEL: func @softcap
func.func @softcap(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} {scale = 5.000000e-01 : f64, softcap = 2.000000e+01 : f64}
  // CHECK-NOT: onnx.Tanh
  %c = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %cap = onnx.Constant dense<20.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %t = onnx.Mul %s, %c : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %d = onnx.Div %t, %cap : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %h = onnx.Tanh %d : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %u = onnx.Mul %h, %cap : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %u {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A bias under the softcap is no bias.
// CHECK-LABEL: func @bias_before_softcap
func.func @bias_before_softcap(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %m : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32>
  %h = onnx.Tanh %b : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: a bias or mask comes before the softcap}}
  %p = onnx.Softmax %h {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Four query heads on two, repeated by Expand and Reshape; the scale after the repetition.
// CHECK-LABEL: func @shared_heads
func.func @shared_heads(%q: tensor<2x4x5x8xf32>, %k: tensor<2x2x1x7x8xf32>, %v: tensor<2x2x1x7x8xf32>) -> tensor<2x4x5x8xf32> {
  // CHECK-DAG: %[[K:.*]] = onnx.Squeeze %arg1
  // CHECK-DAG: %[[V:.*]] = onnx.Squeeze %arg2
  // CHECK: attn.sdpa query(%arg0) key(%[[K]]) value(%[[V]]) {scale = 5.000000e-01 : f64}
  %c = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %wide = onnx.Constant dense<[2, 2, 2, 7, 8]> : tensor<5xi64> : tensor<5xi64>
  %shape = onnx.Constant dense<[2, 4, 7, 8]> : tensor<4xi64> : tensor<4xi64>
  %ke = onnx.Expand %k, %wide : (tensor<2x2x1x7x8xf32>, tensor<5xi64>) -> tensor<2x2x2x7x8xf32>
  %kr = onnx.Reshape %ke, %shape {allowzero = true} : (tensor<2x2x2x7x8xf32>, tensor<4xi64>) -> tensor<2x4x7x8xf32>
  %kt = onnx.Transpose %kr {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x4x7x8xf32>) -> tensor<2x4x8x7xf32>
  %ks = onnx.Mul %kt, %c : (tensor<2x4x8x7xf32>, tensor<f32>) -> tensor<2x4x8x7xf32>
  %ve = onnx.Expand %v, %wide : (tensor<2x2x1x7x8xf32>, tensor<5xi64>) -> tensor<2x2x2x7x8xf32>
  %vr = onnx.Reshape %ve, %shape {allowzero = true} : (tensor<2x2x2x7x8xf32>, tensor<4xi64>) -> tensor<2x4x7x8xf32>
  %s = onnx.MatMul %q, %ks : (tensor<2x4x5x8xf32>, tensor<2x4x8x7xf32>) -> tensor<2x4x5x7xf32>
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<2x4x5x7xf32>) -> tensor<2x4x5x7xf32>
  %o = onnx.MatMul %p, %vr : (tensor<2x4x5x7xf32>, tensor<2x4x7x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// -----

// A constant triangle, added: query i sees key j up to i + 1. Rows without a key cannot be told from
// the sum here, so they stay NaN.
// CHECK-LABEL: func @constant_triangle
func.func @constant_triangle(%q: tensor<2x3x2x8xf32>, %k: tensor<2x3x8x3xf32>, %v: tensor<2x3x3x8xf32>) -> tensor<2x3x2x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64}
  %m = onnx.Constant dense<[[0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0xFF800000]]> : tensor<2x3xf32> : tensor<2x3xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x2x8xf32>, tensor<2x3x8x3xf32>) -> tensor<2x3x2x3xf32>
  %b = onnx.Add %s, %m : (tensor<2x3x2x3xf32>, tensor<2x3xf32>) -> tensor<2x3x2x3xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x2x3xf32>) -> tensor<2x3x2x3xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x2x3xf32>, tensor<2x3x3x8xf32>) -> tensor<2x3x2x8xf32>
  return %o : tensor<2x3x2x8xf32>
}

// -----

// With a key in the wrong place it is neither a triangle nor a band.
// CHECK-LABEL: func @almost_a_triangle
func.func @almost_a_triangle(%q: tensor<2x3x2x8xf32>, %k: tensor<2x3x8x3xf32>, %v: tensor<2x3x3x8xf32>) -> tensor<2x3x2x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(
  // CHECK-NOT: causal_offset
  %m = onnx.Constant dense<[[0.0, 0xFF800000, 0xFF800000], [0.0, 0xFF800000, 0.0]]> : tensor<2x3xf32> : tensor<2x3xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x2x8xf32>, tensor<2x3x8x3xf32>) -> tensor<2x3x2x3xf32>
  %b = onnx.Add %s, %m : (tensor<2x3x2x3xf32>, tensor<2x3xf32>) -> tensor<2x3x2x3xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x2x3xf32>) -> tensor<2x3x2x3xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x2x3xf32>, tensor<2x3x3x8xf32>) -> tensor<2x3x2x8xf32>
  return %o : tensor<2x3x2x8xf32>
}

// -----

// Causal and a mask of keys in one condition, and a guard that looks at the sum of both: zero.
// CHECK-LABEL: func @triangle_and_keys
func.func @triangle_and_keys(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) mask(%arg3) {causal_offset = 0 : i64, scale = 1.000000e+00 : f64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6]> : tensor<7xi64> : tensor<7xi64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<7xi64>, tensor<5x1xi64>) -> tensor<5x7xi1>
  %both = onnx.And %c, %m : (tensor<5x7xi1>, tensor<2x1x1x7xi1>) -> tensor<2x1x5x7xi1>
  %w = onnx.Where %both, %zero, %inf : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %w : (tensor<2x3x5x7xf32>, tensor<2x1x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %max = onnx.ReduceMax %w {axes = array<i64: 3>} : (tensor<2x1x5x7xf32>) -> tensor<2x1x5x1xf32>
  %none = onnx.Equal %max, %inf : (tensor<2x1x5x1xf32>, tensor<f32>) -> tensor<2x1x5x1xi1>
  %g = onnx.Where %none, %zero, %p : (tensor<2x1x5x1xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %g, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The queries are the last of the keys: past + i. The lowest float as the only bias is a mask.
// CHECK-LABEL: func @cached
func.func @cached(%q: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "seq", 8]}, %k: tensor<2x3x8x?xf32> {onnx.dims = [2, 3, 8, "total"]},
                  %v: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "total", 8]}) -> tensor<2x3x?x8xf32> {
  // CHECK: attn.sdpa {{.*}} {causal_from_end, causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64}
  %seq = kernel.dim "seq"
  %total = kernel.dim "total"
  %past = arith.subi %total, %seq : index
  %seq64 = arith.index_cast %seq : index to i64
  %total64 = arith.index_cast %total : index to i64
  %past64 = arith.index_cast %past : index to i64
  %i0 = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %seqs = tensor.from_elements %seq64 : tensor<i64>
  %totals = tensor.from_elements %total64 : tensor<i64>
  %pasts = tensor.from_elements %past64 : tensor<i64>
  %r = onnx.Range %i0, %seqs, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %c = onnx.Range %i0, %totals, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %at = onnx.Add %r, %pasts : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %row = onnx.Unsqueeze %at {axes = array<i64: 1>} : (tensor<?xi64>) -> tensor<?x1xi64>
  %hidden = onnx.Greater %c, %row : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %hidden, %low, %zero : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x?x8xf32>, tensor<2x3x8x?xf32>) -> tensor<2x3x?x?xf32>
  %b = onnx.Add %s, %w : (tensor<2x3x?x?xf32>, tensor<?x?xf32>) -> tensor<2x3x?x?xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x?x?xf32>) -> tensor<2x3x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x?x?xf32>, tensor<2x3x?x8xf32>) -> tensor<2x3x?x8xf32>
  return %o : tensor<2x3x?x8xf32>
}

// -----

// The same where past + seq and total are names of one size.
// CHECK-LABEL: func @cached_total
func.func @cached_total(%q: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "seq", 8]}, %k: tensor<2x3x8x?xf32> {onnx.dims = [2, 3, 8, "total"]},
                  %v: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "total", 8]}, %p: tensor<?xf32> {onnx.dims = ["past"]}) -> tensor<2x3x?x8xf32> {
  // CHECK: attn.sdpa {{.*}} {causal_from_end, causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64}
  %seq = kernel.dim "seq"
  %total = kernel.dim "total"
  %past = kernel.dim "past"
  %sum = arith.addi %past, %seq : index
  kernel.require %sum, %total equal "past + seq (%lld) must be total (%lld)"
  %seq64 = arith.index_cast %seq : index to i64
  %total64 = arith.index_cast %total : index to i64
  %past64 = arith.index_cast %past : index to i64
  %i0 = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %seqs = tensor.from_elements %seq64 : tensor<i64>
  %totals = tensor.from_elements %total64 : tensor<i64>
  %pasts = tensor.from_elements %past64 : tensor<i64>
  %r = onnx.Range %i0, %seqs, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %c = onnx.Range %i0, %totals, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %at = onnx.Add %r, %pasts : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %row = onnx.Unsqueeze %at {axes = array<i64: 1>} : (tensor<?xi64>) -> tensor<?x1xi64>
  %hidden = onnx.Greater %c, %row : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %hidden, %low, %zero : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x?x8xf32>, tensor<2x3x8x?xf32>) -> tensor<2x3x?x?xf32>
  %b = onnx.Add %s, %w : (tensor<2x3x?x?xf32>, tensor<?x?xf32>) -> tensor<2x3x?x?xf32>
  %w1 = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x?x?xf32>) -> tensor<2x3x?x?xf32>
  %o = onnx.MatMul %w1, %v : (tensor<2x3x?x?xf32>, tensor<2x3x?x8xf32>) -> tensor<2x3x?x8xf32>
  return %o : tensor<2x3x?x8xf32>
}

// -----

// Without that knowledge the mask stays a tensor.
// CHECK-LABEL: func @cached_unknown
func.func @cached_unknown(%q: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "seq", 8]}, %k: tensor<2x3x8x?xf32> {onnx.dims = [2, 3, 8, "total"]},
                  %v: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "total", 8]}, %p: tensor<?xf32> {onnx.dims = ["past"]}) -> tensor<2x3x?x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask({{.*}}) {empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64}
  %seq = kernel.dim "seq"
  %total = kernel.dim "total"
  %past = kernel.dim "past"
  %seq64 = arith.index_cast %seq : index to i64
  %total64 = arith.index_cast %total : index to i64
  %past64 = arith.index_cast %past : index to i64
  %i0 = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %seqs = tensor.from_elements %seq64 : tensor<i64>
  %totals = tensor.from_elements %total64 : tensor<i64>
  %pasts = tensor.from_elements %past64 : tensor<i64>
  %r = onnx.Range %i0, %seqs, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %c = onnx.Range %i0, %totals, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %at = onnx.Add %r, %pasts : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %row = onnx.Unsqueeze %at {axes = array<i64: 1>} : (tensor<?xi64>) -> tensor<?x1xi64>
  %hidden = onnx.Greater %c, %row : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %hidden, %low, %zero : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x?x8xf32>, tensor<2x3x8x?xf32>) -> tensor<2x3x?x?xf32>
  %b = onnx.Add %s, %w : (tensor<2x3x?x?xf32>, tensor<?x?xf32>) -> tensor<2x3x?x?xf32>
  %w1 = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x?x?xf32>) -> tensor<2x3x?x?xf32>
  %o = onnx.MatMul %w1, %v : (tensor<2x3x?x?xf32>, tensor<2x3x?x8xf32>) -> tensor<2x3x?x8xf32>
  return %o : tensor<2x3x?x8xf32>
}

// -----

// The lowest float beside a bias of ordinary size: slopes times 0 or 1.
// CHECK-LABEL: func @lowest_beside_slopes
func.func @lowest_beside_slopes(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) mask(%arg3) {empty_row = #attn.empty_row<mean>
  %slopes = kernel.weight [dense<[[[0.5]], [[0.25]], [[0.125]]]> : tensor<3x1x1xf32>] : tensor<3x1x1xf32>
  %f = onnx.Cast %m : (tensor<2x1x1x7xi1>) -> tensor<2x1x1x7xf32>
  %a = onnx.Mul %slopes, %f : (tensor<3x1x1xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x1x7xf32>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %m, %zero, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %a : (tensor<2x3x5x7xf32>, tensor<2x3x1x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Add %b, %w : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Beside a bias that may be anything it stays a part of it.
// CHECK-LABEL: func @lowest_beside_unknown
func.func @lowest_beside_unknown(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %a: tensor<2x3x1x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa query({{.*}}) key({{.*}}) value({{.*}}) bias({{[^)]*}}) {empty_row = #attn.empty_row<nan>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %m, %zero, %low : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %a : (tensor<2x3x5x7xf32>, tensor<2x3x1x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Add %b, %w : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// DeBERTa: masked scores with a bias that is a product of matrices, taken apart by a gather.
// CHECK-LABEL: func @relative_positions
func.func @relative_positions(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %r: tensor<2x3x8x9xf32>, %at: tensor<2x3x5x7xi64>, %m: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} bias(%{{.*}}) mask(%{{.*}}) {empty_row = #attn.empty_row<mean>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %root = onnx.Constant dense<2.8> : tensor<f32> : tensor<f32>
  %t = onnx.MatMul %q, %r : (tensor<2x3x5x8xf32>, tensor<2x3x8x9xf32>) -> tensor<2x3x5x9xf32>
  %g = onnx.GatherElements %t, %at {axis = 3 : i64} : (tensor<2x3x5x9xf32>, tensor<2x3x5x7xi64>) -> tensor<2x3x5x7xf32>
  %a = onnx.Div %g, %root : (tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %s, %a : (tensor<2x3x5x7xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Where %m, %low, %b : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// GPT-Neo: an additive mask on scores that were set to the lowest float. Both are one bias.
// CHECK-LABEL: func @fill_then_add
func.func @fill_then_add(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xi1>, %a: tensor<2x1x1x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: %[[W:.*]] = onnx.Where %arg3, %{{.*}}, %{{.*}} : (tensor<5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<5x7xf32>
  // CHECK: %[[B:.*]] = onnx.Add %arg4, %[[W]]
  // CHECK: attn.sdpa {{.*}} bias(%[[B]]) {empty_row = #attn.empty_row<nan>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %f = onnx.Where %m, %s, %low : (tensor<5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %f, %a : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// -1e9 plus a score is not -1e9: such scores keep what they are.
// CHECK-LABEL: func @fill_billion_then_add
func.func @fill_billion_then_add(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xi1>, %a: tensor<2x1x1x7xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-1.0e9> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %f = onnx.Where %m, %s, %low : (tensor<5x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %b = onnx.Add %f, %a : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: a bias is added after scores were set to a finite sentinel}}
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// DeBERTa of earlier years: what the mask excludes is set to 0 after the softmax as well. Full rows are 0.
// CHECK-LABEL: func @weights_zeroed
func.func @weights_zeroed(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %n: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{.*}}) {scale = 1.000000e+00 : f64}
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Where %m, %low, %s : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %z = onnx.Where %m, %zero, %p : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %z, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Another mask.
// CHECK-LABEL: func @weights_zeroed_elsewhere
func.func @weights_zeroed_elsewhere(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %n: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Where %m, %low, %s : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: weights are zeroed by something else than the mask of its scores}}
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %z = onnx.Where %n, %zero, %p : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %z, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The same mask the other way round.
// CHECK-LABEL: func @weights_zeroed_where_seen
func.func @weights_zeroed_where_seen(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<2x1x1x7xi1>, %n: tensor<2x1x1x7xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK-NOT: attn.sdpa
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %c = onnx.Where %m, %low, %s : (tensor<2x1x1x7xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  // expected-remark @+1 {{attention not fused: weights are zeroed by something else than the mask of its scores}}
  %p = onnx.Softmax %c {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %z = onnx.Where %m, %p, %zero : (tensor<2x1x1x7xi1>, tensor<2x3x5x7xf32>, tensor<f32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %z, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A guard against rows without a key, under a mask that hides nothing: there are no such rows.
// CHECK-LABEL: func @guard_of_nothing
func.func @guard_of_nothing(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x7xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {scale = 1.000000e+00 : f64}
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %shape = onnx.Constant dense<[5, 7]> : tensor<2xi64> : tensor<2xi64>
  %mask = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<5x7xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32>) -> tensor<2x3x5x7xf32>
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %max = onnx.ReduceMax %mask {axes = array<i64: 1>} : (tensor<5x7xf32>) -> tensor<5x1xf32>
  %none = onnx.Equal %max, %inf : (tensor<5x1xf32>, tensor<f32>) -> tensor<5x1xi1>
  %g = onnx.Where %none, %zero, %p : (tensor<5x1xi1>, tensor<f32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32>
  %o = onnx.MatMul %g, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// One key and value head for all query heads: the product broadcasts, attention does not copy.
// CHECK-LABEL: func @one_key_head
func.func @one_key_head(%q: tensor<2x4x5x8xf32>, %k: tensor<2x1x8x6xf32>, %v: tensor<2x1x6x8xf32>) -> tensor<2x4x5x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {{.*}} : (tensor<2x4x5x8xf32>, tensor<2x1x6x8xf32>, tensor<2x1x6x8xf32>) -> tensor<2x4x5x8xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x4x5x8xf32>, tensor<2x1x8x6xf32>) -> tensor<2x4x5x6xf32>
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<2x4x5x6xf32>) -> tensor<2x4x5x6xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x4x5x6xf32>, tensor<2x1x6x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// -----

// CHECK-LABEL: func @one_key_head_own_values
func.func @one_key_head_own_values(%q: tensor<2x4x5x8xf32>, %k: tensor<2x1x8x6xf32>, %v: tensor<2x4x6x8xf32>) -> tensor<2x4x5x8xf32> {
  // CHECK: attn.not_fused = "key and value have different numbers of heads"
  %s = onnx.MatMul %q, %k : (tensor<2x4x5x8xf32>, tensor<2x1x8x6xf32>) -> tensor<2x4x5x6xf32>
  // expected-remark @+1 {{attention not fused: key and value have different numbers of heads}}
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<2x4x5x6xf32>) -> tensor<2x4x5x6xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x4x5x6xf32>, tensor<2x4x6x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}
