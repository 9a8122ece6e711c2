// Masks that simplification leaves as Where(condition, lowest, 0) over several conditions.
// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// The triangle that torch.triu adds where there is more than one query lies within the other one.
// CHECK-LABEL: func @two_triangles
func.func @two_triangles(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x5xf32>, %v: tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 2 : i64, empty_row = #attn.empty_row<mean>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %all = onnx.Constant dense<true> : tensor<3x5xi1> : tensor<3x5xi1>
  %upper = onnx.Trilu %all {k = 1 : i64} : (tensor<3x5xi1>) -> tensor<3x5xi1>
  %keys = onnx.Constant dense<[0, 1, 2, 3, 4]> : tensor<5xi64> : tensor<5xi64>
  %queries = onnx.Constant dense<[[2], [3], [4]]> : tensor<3x1xi64> : tensor<3x1xi64>
  %later = onnx.Greater %keys, %queries : (tensor<5xi64>, tensor<3x1xi64>) -> tensor<3x5xi1>
  %both = onnx.And %upper, %later : (tensor<3x5xi1>, tensor<3x5xi1>) -> tensor<3x5xi1>
  %mask = onnx.Where %both, %low, %zero : (tensor<3x5xi1>, tensor<f32>, tensor<f32>) -> tensor<3x5xf32>
  %s = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x5xf32>) -> tensor<1x2x3x5xf32>
  %b = onnx.Add %s, %mask : (tensor<1x2x3x5xf32>, tensor<3x5xf32>) -> tensor<1x2x3x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x2x3x5xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}

// -----

// What only one of two triangles hides is seen where both must hide it; here the first one decides.
// CHECK-LABEL: func @upper_triangle
func.func @upper_triangle(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x5xf32>, %v: tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 3 : i64, empty_row = #attn.empty_row<mean>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %all = onnx.Constant dense<true> : tensor<3x5xi1> : tensor<3x5xi1>
  %upper = onnx.Trilu %all {k = 4 : i64} : (tensor<3x5xi1>) -> tensor<3x5xi1>
  %keys = onnx.Constant dense<[0, 1, 2, 3, 4]> : tensor<5xi64> : tensor<5xi64>
  %queries = onnx.Constant dense<[[2], [3], [4]]> : tensor<3x1xi64> : tensor<3x1xi64>
  %later = onnx.Greater %keys, %queries : (tensor<5xi64>, tensor<3x1xi64>) -> tensor<3x5xi1>
  %both = onnx.And %later, %upper : (tensor<3x5xi1>, tensor<3x5xi1>) -> tensor<3x5xi1>
  %mask = onnx.Where %both, %low, %zero : (tensor<3x5xi1>, tensor<f32>, tensor<f32>) -> tensor<3x5xf32>
  %s = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x5xf32>) -> tensor<1x2x3x5xf32>
  %b = onnx.Add %s, %mask : (tensor<1x2x3x5xf32>, tensor<3x5xf32>) -> tensor<1x2x3x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x2x3x5xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}

// -----

// Keys of a cache are seen, and of the new ones those up to the query.
// CHECK-LABEL: func @cache_and_triangle
func.func @cache_and_triangle(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x5xf32>, %v: tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) {causal_offset = 2 : i64, empty_row = #attn.empty_row<mean>
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %cache = onnx.Constant dense<true> : tensor<3x2xi1> : tensor<3x2xi1>
  %ones = onnx.Constant dense<true> : tensor<3x3xi1> : tensor<3x3xi1>
  %new = onnx.Trilu %ones {upper = false} : (tensor<3x3xi1>) -> tensor<3x3xi1>
  %seen = onnx.Concat %cache, %new {axis = 1 : i64} : (tensor<3x2xi1>, tensor<3x3xi1>) -> tensor<3x5xi1>
  %mask = onnx.Where %seen, %zero, %low : (tensor<3x5xi1>, tensor<f32>, tensor<f32>) -> tensor<3x5xf32>
  %s = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x5xf32>) -> tensor<1x2x3x5xf32>
  %b = onnx.Add %s, %mask : (tensor<1x2x3x5xf32>, tensor<3x5xf32>) -> tensor<1x2x3x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x2x3x5xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}

// -----

// A triangle behind keys that are not seen is no diagonal.
// CHECK-LABEL: func @hidden_and_triangle
func.func @hidden_and_triangle(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x5xf32>, %v: tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32> {
  // CHECK-NOT: causal_offset
  // CHECK: attn.sdpa {{.*}} mask(
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %cache = onnx.Constant dense<false> : tensor<3x2xi1> : tensor<3x2xi1>
  %ones = onnx.Constant dense<true> : tensor<3x3xi1> : tensor<3x3xi1>
  %new = onnx.Trilu %ones {upper = false} : (tensor<3x3xi1>) -> tensor<3x3xi1>
  %seen = onnx.Concat %cache, %new {axis = 1 : i64} : (tensor<3x2xi1>, tensor<3x3xi1>) -> tensor<3x5xi1>
  %mask = onnx.Where %seen, %zero, %low : (tensor<3x5xi1>, tensor<f32>, tensor<f32>) -> tensor<3x5xf32>
  %s = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x5xf32>) -> tensor<1x2x3x5xf32>
  %b = onnx.Add %s, %mask : (tensor<1x2x3x5xf32>, tensor<3x5xf32>) -> tensor<1x2x3x5xf32>
  %p = onnx.Softmax %b {axis = 3 : i64} : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x2x3x5xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}

// -----

// The sum of scores and mask is divided: what is left of the lowest number still hides.
// CHECK-LABEL: func @divided_sum
func.func @divided_sum(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x5xf32>, %v: tensor<1x2x5x4xf32>, %seen: tensor<1x1x1x5xi1>) -> tensor<1x2x3x4xf32> {
  // CHECK: attn.sdpa query(%arg0) key(%{{.*}}) value(%arg2) mask(%arg3) {empty_row = #attn.empty_row<mean>, scale = 2.500000e-01
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %four = onnx.Constant dense<4.0> : tensor<f32> : tensor<f32>
  %mask = onnx.Where %seen, %zero, %low : (tensor<1x1x1x5xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x1x5xf32>
  %s = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x5xf32>) -> tensor<1x2x3x5xf32>
  %b = onnx.Add %s, %mask : (tensor<1x2x3x5xf32>, tensor<1x1x1x5xf32>) -> tensor<1x2x3x5xf32>
  %d = onnx.Div %b, %four : (tensor<1x2x3x5xf32>, tensor<f32>) -> tensor<1x2x3x5xf32>
  %p = onnx.Softmax %d {axis = 3 : i64} : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x2x3x5xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}

// -----

// Divided by so much that it no longer is far from all scores, it stays a bias.
// CHECK-LABEL: func @divided_by_much
func.func @divided_by_much(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x5xf32>, %v: tensor<1x2x5x4xf32>, %seen: tensor<1x1x1x5xi1>) -> tensor<1x2x3x4xf32> {
  // CHECK: attn.sdpa {{.*}} bias(
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %much = onnx.Constant dense<32.0> : tensor<f32> : tensor<f32>
  %mask = onnx.Where %seen, %zero, %low : (tensor<1x1x1x5xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x1x5xf32>
  %s = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x5xf32>) -> tensor<1x2x3x5xf32>
  %b = onnx.Add %s, %mask : (tensor<1x2x3x5xf32>, tensor<1x1x1x5xf32>) -> tensor<1x2x3x5xf32>
  %d = onnx.Div %b, %much : (tensor<1x2x3x5xf32>, tensor<f32>) -> tensor<1x2x3x5xf32>
  %p = onnx.Softmax %d {axis = 3 : i64} : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x2x3x5xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}

// -----

// The length has one name from the keys and another from the values.
// CHECK-LABEL: func @two_names
func.func @two_names(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x?xf32> {onnx.dims = [1, 2, 4, "length"]}, %v: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "length_out", 4]}) -> tensor<1x2x3x4xf32> {
  // CHECK: attn.sdpa
  %a = kernel.dim "length"
  %b = kernel.dim "length_out"
  kernel.require %b, %a equal "length_out (%lld) is length (%lld)"
  %s = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x3x?xf32>
  %p = onnx.Softmax %s {axis = 3 : i64} : (tensor<1x2x3x?xf32>) -> tensor<1x2x3x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<1x2x3x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}
