// Windows: keys from a diagonal on, alone, with causality, or to both sides of a query.
// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// Mistral: key > query - 3, causal, and a mask of keys.
// CHECK-LABEL: func @causal_window
func.func @causal_window(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>, %m: tensor<2x1x1x5xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {causal_offset = 0 : i64, empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64, window_offset = -2 : i64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %from = onnx.Constant dense<[[-3], [-2], [-1], [0], [1]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[0, 1, 2, 3, 4]> : tensor<5xi64> : tensor<5xi64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Greater %columns, %from : (tensor<5xi64>, tensor<5x1xi64>) -> tensor<5x5xi1>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<5xi64>, tensor<5x1xi64>) -> tensor<5x5xi1>
  %band = onnx.And %w, %c : (tensor<5x5xi1>, tensor<5x5xi1>) -> tensor<5x5xi1>
  %both = onnx.And %band, %m : (tensor<5x5xi1>, tensor<2x1x1x5xi1>) -> tensor<2x1x5x5xi1>
  %a = onnx.Where %both, %zero, %inf : (tensor<2x1x5x5xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x5x5xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Add %s, %a : (tensor<2x3x5x5xf32>, tensor<2x1x5x5xf32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// ModernBERT: |query - key| <= 2.
// CHECK-LABEL: func @both_sides
func.func @both_sides(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 2 : i64, empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64, window_offset = -2 : i64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %lowest = onnx.Constant dense<0xFF7FFFFF> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %w = onnx.LessOrEqual %abs, %two : (tensor<5x5xi64>, tensor<i64>) -> tensor<5x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Where %w, %s, %lowest : (tensor<5x5xi1>, tensor<2x3x5x5xf32>, tensor<f32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// |query - key| > 2 excludes.
// CHECK-LABEL: func @excluded_outside
func.func @excluded_outside(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 2 : i64, empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64, window_offset = -2 : i64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %w = onnx.Greater %abs, %two : (tensor<5x5xi64>, tensor<i64>) -> tensor<5x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Where %w, %inf, %s : (tensor<5x5xi1>, tensor<f32>, tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// 2 <= |query - key| excludes, so that a distance of 2 is not seen.
// CHECK-LABEL: func @excluded_from_the_width_on
func.func @excluded_from_the_width_on(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 1 : i64, empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64, window_offset = -1 : i64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %w = onnx.LessOrEqual %two, %abs : (tensor<i64>, tensor<5x5xi64>) -> tensor<5x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Where %w, %inf, %s : (tensor<5x5xi1>, tensor<f32>, tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// What is not |query - key| >= 2 is seen.
// CHECK-LABEL: func @not_outside
func.func @not_outside(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 1 : i64, empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64, window_offset = -1 : i64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %f = onnx.GreaterOrEqual %abs, %two : (tensor<5x5xi64>, tensor<i64>) -> tensor<5x5xi1>
  %w = onnx.Not %f : (tensor<5x5xi1>) -> tensor<5x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Where %w, %s, %inf : (tensor<5x5xi1>, tensor<2x3x5x5xf32>, tensor<f32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// Keys that are far from the query are no window.
// CHECK-LABEL: func @far_keys
func.func @far_keys(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{.*}}) {empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %w = onnx.Greater %abs, %two : (tensor<5x5xi64>, tensor<i64>) -> tensor<5x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Where %w, %s, %inf : (tensor<5x5xi1>, tensor<2x3x5x5xf32>, tensor<f32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// |query - 2 key| <= 2 is no band: it stays a mask.
// CHECK-LABEL: func @other_slope
func.func @other_slope(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{.*}}) {empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 2, 4, 6, 8]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %lowest = onnx.Constant dense<0xFF7FFFFF> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %w = onnx.LessOrEqual %abs, %two : (tensor<5x5xi64>, tensor<i64>) -> tensor<5x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Where %w, %s, %lowest : (tensor<5x5xi1>, tensor<2x3x5x5xf32>, tensor<f32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// The window is counted from the last key, causality too: the same end, so both are taken.
// CHECK-LABEL: func @cached
func.func @cached(%q: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "seq", 8]}, %k: tensor<2x3x8x?xf32> {onnx.dims = [2, 3, 8, "total"]},
                  %v: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "total", 8]}) -> tensor<2x3x?x8xf32> {
  // CHECK: attn.sdpa {{.*}} {causal_from_end, causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64, window_offset = -7 : i64}
  %seq = kernel.dim "seq"
  %total = kernel.dim "total"
  %past = arith.subi %total, %seq : index
  %seq64 = arith.index_cast %seq : index to i64
  %total64 = arith.index_cast %total : index to i64
  %past64 = arith.index_cast %past : index to i64
  %i0 = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %i8 = onnx.Constant dense<8> : tensor<i64> : tensor<i64>
  %s0 = tensor.from_elements %seq64 : tensor<i64>
  %t0 = tensor.from_elements %total64 : tensor<i64>
  %p0 = tensor.from_elements %past64 : tensor<i64>
  %r0 = onnx.Range %i0, %s0, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %r1 = onnx.Add %r0, %p0 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %rows = onnx.Unsqueeze %r1 {axes = array<i64: 1>} : (tensor<?xi64>) -> tensor<?x1xi64>
  %from = onnx.Sub %rows, %i8 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi64>
  %columns = onnx.Range %i0, %t0, %i1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %c = onnx.LessOrEqual %columns, %rows : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %w = onnx.Greater %columns, %from : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %both = onnx.And %w, %c : (tensor<?x?xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %lowest = onnx.Constant dense<0xFF7FFFFF> : tensor<f32> : tensor<f32>
  %m = onnx.Where %both, %zero, %lowest : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x?x8xf32>, tensor<2x3x8x?xf32>) -> tensor<2x3x?x?xf32>
  %b = onnx.Add %s, %m : (tensor<2x3x?x?xf32>, tensor<?x?xf32>) -> tensor<2x3x?x?xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x?x?xf32>) -> tensor<2x3x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x?x?xf32>, tensor<2x3x?x8xf32>) -> tensor<2x3x?x8xf32>
  return %o : tensor<2x3x?x8xf32>
}

// -----

// past + seq and total are two names of one size: the last 8 keys.
// CHECK-LABEL: func @cached_names
func.func @cached_names(%q: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "seq", 8]}, %k: tensor<2x3x8x?xf32> {onnx.dims = [2, 3, 8, "total"]},
                  %v: tensor<2x3x?x8xf32> {onnx.dims = [2, 3, "total", 8]}, %p: tensor<?xf32> {onnx.dims = ["past"]}) -> tensor<2x3x?x8xf32> {
  // CHECK: attn.sdpa {{.*}} {causal_from_end, causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64, window_offset = -7 : i64}
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
  %eight = onnx.Constant dense<8> : tensor<i64> : tensor<i64>
  %from = onnx.Sub %row, %eight : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi64>
  %after = onnx.Greater %c, %row : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %before = onnx.LessOrEqual %c, %from : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %hidden = onnx.Or %after, %before : (tensor<?x?xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
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

// A stored window, the same for both batch rows, as numbers to be added.
// CHECK-LABEL: func @stored_numbers
func.func @stored_numbers(%q: tensor<2x3x3x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x3x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 1 : i64, empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64, window_offset = 0 : i64}
  %m = onnx.Constant dense<[[[[0.0, 0.0, 0xFF800000, 0xFF800000], [0xFF800000, 0.0, 0.0, 0xFF800000], [0xFF800000, 0xFF800000, 0.0, 0.0]]], [[[0.0, 0.0, 0xFF800000, 0xFF800000], [0xFF800000, 0.0, 0.0, 0xFF800000], [0xFF800000, 0xFF800000, 0.0, 0.0]]]]> : tensor<2x1x3x4xf32> : tensor<2x1x3x4xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x3x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x3x4xf32>
  %b = onnx.Add %s, %m : (tensor<2x3x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x3x3x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x3x4xf32>) -> tensor<2x3x3x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x3x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x3x8xf32>
  return %o : tensor<2x3x3x8xf32>
}

// -----

// Batch rows with windows of their own: none of both is the other's.
// CHECK-LABEL: func @stored_rows_differ
func.func @stored_rows_differ(%q: tensor<2x3x3x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x3x8xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) bias(%{{.*}}) {empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64}
  %m = onnx.Constant dense<[[[[0.0, 0.0, 0xFF800000, 0xFF800000], [0xFF800000, 0.0, 0.0, 0xFF800000], [0xFF800000, 0xFF800000, 0.0, 0.0]]], [[[0.0, 0.0, 0.0, 0xFF800000], [0xFF800000, 0.0, 0.0, 0.0], [0xFF800000, 0xFF800000, 0.0, 0.0]]]]> : tensor<2x1x3x4xf32> : tensor<2x1x3x4xf32>
  %s = onnx.MatMul %q, %k : (tensor<2x3x3x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x3x4xf32>
  %b = onnx.Add %s, %m : (tensor<2x3x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x3x3x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x3x4xf32>) -> tensor<2x3x3x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x3x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x3x8xf32>
  return %o : tensor<2x3x3x8xf32>
}

// -----

// Views of the comparison that keep queries and keys as its last dims, below a conjunction.
// CHECK-LABEL: func @both_sides_of_a_view
func.func @both_sides_of_a_view(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x8x5xf32>, %v: tensor<2x3x5x8xf32>, %m: tensor<2x1x1x5xi1>) -> tensor<2x3x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {causal_offset = 2 : i64, empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64, window_offset = -2 : i64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %dims = onnx.Constant dense<[1, 1, 5, 5]> : tensor<4xi64> : tensor<4xi64>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %w = onnx.LessOrEqual %abs, %two : (tensor<5x5xi64>, tensor<i64>) -> tensor<5x5xi1>
  %u = onnx.Unsqueeze %w {axes = array<i64: 0>} : (tensor<5x5xi1>) -> tensor<1x5x5xi1>
  %r = onnx.Reshape %u, %dims : (tensor<1x5x5xi1>, tensor<4xi64>) -> tensor<1x1x5x5xi1>
  %both = onnx.And %r, %m : (tensor<1x1x5x5xi1>, tensor<2x1x1x5xi1>) -> tensor<2x1x5x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x5x5xf32>
  %b = onnx.Where %both, %s, %inf : (tensor<2x1x5x5xi1>, tensor<2x3x5x5xf32>, tensor<f32>) -> tensor<2x3x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x5x5xf32>) -> tensor<2x3x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x5x5xf32>, tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// -----

// A Reshape to other rows is no view of positions.
// CHECK-LABEL: func @other_rows
func.func @other_rows(%q: tensor<2x3x6x8xf32>, %k: tensor<2x3x8x4xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x6x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{.*}}) {empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3]]> : tensor<4x1xi64> : tensor<4x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4, 5]]> : tensor<1x6xi64> : tensor<1x6xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %dims = onnx.Constant dense<[1, 1, 6, 4]> : tensor<4xi64> : tensor<4xi64>
  %d = onnx.Sub %rows, %columns : (tensor<4x1xi64>, tensor<1x6xi64>) -> tensor<4x6xi64>
  %abs = onnx.Abs %d : (tensor<4x6xi64>) -> tensor<4x6xi64>
  %w = onnx.LessOrEqual %abs, %two : (tensor<4x6xi64>, tensor<i64>) -> tensor<4x6xi1>
  %r = onnx.Reshape %w, %dims : (tensor<4x6xi1>, tensor<4xi64>) -> tensor<1x1x6x4xi1>
  %s = onnx.MatMul %q, %k : (tensor<2x3x6x8xf32>, tensor<2x3x8x4xf32>) -> tensor<2x3x6x4xf32>
  %b = onnx.Where %r, %s, %inf : (tensor<1x1x6x4xi1>, tensor<2x3x6x4xf32>, tensor<f32>) -> tensor<2x3x6x4xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<2x3x6x4xf32>) -> tensor<2x3x6x4xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x6x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x6x8xf32>
  return %o : tensor<2x3x6x8xf32>
}

// -----

// A Reshape that moves queries to the front of heads says nothing of a query's keys.
// CHECK-LABEL: func @a_plane_a_query
func.func @a_plane_a_query(%q: tensor<1x5x5x8xf32>, %k: tensor<1x5x8x5xf32>, %v: tensor<1x5x5x8xf32>) -> tensor<1x5x5x8xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{.*}}) {empty_row = #attn.empty_row<nan>, scale = 1.000000e+00 : f64}
  %rows = onnx.Constant dense<[[0], [1], [2], [3], [4]]> : tensor<5x1xi64> : tensor<5x1xi64>
  %columns = onnx.Constant dense<[[0, 1, 2, 3, 4]]> : tensor<1x5xi64> : tensor<1x5xi64>
  %two = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %rows, %columns : (tensor<5x1xi64>, tensor<1x5xi64>) -> tensor<5x5xi64>
  %abs = onnx.Abs %d : (tensor<5x5xi64>) -> tensor<5x5xi64>
  %w = onnx.LessOrEqual %abs, %two : (tensor<5x5xi64>, tensor<i64>) -> tensor<5x5xi1>
  %r = onnx.Unsqueeze %w {axes = array<i64: 0, 2>} : (tensor<5x5xi1>) -> tensor<1x5x1x5xi1>
  %s = onnx.MatMul %q, %k : (tensor<1x5x5x8xf32>, tensor<1x5x8x5xf32>) -> tensor<1x5x5x5xf32>
  %b = onnx.Where %r, %s, %inf : (tensor<1x5x1x5xi1>, tensor<1x5x5x5xf32>, tensor<f32>) -> tensor<1x5x5x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<1x5x5x5xf32>) -> tensor<1x5x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x5x5x5xf32>, tensor<1x5x5x8xf32>) -> tensor<1x5x5x8xf32>
  return %o : tensor<1x5x5x8xf32>
}
