// RUN: rapt-opt %s --simplify-canonicalize --split-input-file | FileCheck %s

// Attention with batch and heads in one dim, its mask added with both apart: they stay apart.

// CHECK-LABEL: func @merged_heads
func.func @merged_heads(%q: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "i", 8]}, %k: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "j", 8]}, %v: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "j", 8]}, %m: tensor<?x1x?x?xf32> {onnx.dims = ["batch", 1, "i", "j"]}) -> tensor<?x4x?x8xf32> {
  // CHECK: %[[T:.*]] = onnx.Transpose %arg1 {perm = array<i64: 0, 1, 3, 2>}
  // CHECK: %[[S:.*]] = onnx.MatMul %arg0, %[[T]]
  // CHECK: %[[B:.*]] = onnx.Add %[[S]], %arg3 : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>)
  // CHECK: %[[P:.*]] = onnx.Softmax %[[B]] {axis = 3 : i64}
  // CHECK: %[[O:.*]] = onnx.MatMul %[[P]], %arg2
  // CHECK: return %[[O]]
  %qi = onnx.Shape %q {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %kj = onnx.Shape %k {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %eight = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %sq = onnx.Concat %minus, %qi, %eight {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %sk = onnx.Concat %minus, %kj, %eight {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %sw = onnx.Concat %minus, %four, %qi, %kj {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %sp = onnx.Concat %minus, %qi, %kj {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %so = onnx.Concat %minus, %four, %qi, %eight {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %q3 = onnx.Reshape %q, %sq : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %k3 = onnx.Reshape %k, %sk : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %v3 = onnx.Reshape %v, %sk : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %t = onnx.Transpose %k3 {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %s = onnx.MatMul %q3, %t : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %w = onnx.Reshape %s, %sw : (tensor<?x?x?xf32>, tensor<4xi64>) -> tensor<?x4x?x?xf32>
  %b = onnx.Add %w, %m : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
  %b3 = onnx.Reshape %b, %sp : (tensor<?x4x?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %b3 {axis = 2 : i64} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %p, %v3 : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = onnx.Reshape %o, %so : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x4x?x8xf32>
  return %r : tensor<?x4x?x8xf32>
}

// -----

// A bias of the same dims, and a scale.
// CHECK-LABEL: func @merged_bias
func.func @merged_bias(%s: tensor<2x4x5x7xf32>, %m: tensor<2x4x1x7xf32>) -> tensor<8x5x7xf32> {
  // CHECK: %[[X:.*]] = onnx.Mul %arg0, %{{.*}} -> tensor<2x4x5x7xf32>
  // CHECK: %[[Y:.*]] = onnx.Add %[[X]], %arg1 {{.*}} -> tensor<2x4x5x7xf32>
  // CHECK: onnx.Reshape %[[Y]]
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %ss = onnx.Constant dense<[8, 5, 7]> : tensor<3xi64> : tensor<3xi64>
  %sm = onnx.Constant dense<[8, 1, 7]> : tensor<3xi64> : tensor<3xi64>
  %s3 = onnx.Reshape %s, %ss : (tensor<2x4x5x7xf32>, tensor<3xi64>) -> tensor<8x5x7xf32>
  %m3 = onnx.Reshape %m, %sm : (tensor<2x4x1x7xf32>, tensor<3xi64>) -> tensor<8x1x7xf32>
  %x = onnx.Mul %s3, %half : (tensor<8x5x7xf32>, tensor<f32>) -> tensor<8x5x7xf32>
  %y = onnx.Add %x, %m3 : (tensor<8x5x7xf32>, tensor<8x1x7xf32>) -> tensor<8x5x7xf32>
  return %y : tensor<8x5x7xf32>
}

// -----

// 2 * 4 and 4 * 2 are both 8, but not the same batch and heads.
// CHECK-LABEL: func @other_heads
func.func @other_heads(%a: tensor<2x4x5x7xf32>, %b: tensor<4x2x7x3xf32>) -> tensor<8x5x3xf32> {
  // CHECK: onnx.MatMul {{.*}} -> tensor<8x5x3xf32>
  %sa = onnx.Constant dense<[8, 5, 7]> : tensor<3xi64> : tensor<3xi64>
  %sb = onnx.Constant dense<[8, 7, 3]> : tensor<3xi64> : tensor<3xi64>
  %a3 = onnx.Reshape %a, %sa : (tensor<2x4x5x7xf32>, tensor<3xi64>) -> tensor<8x5x7xf32>
  %b3 = onnx.Reshape %b, %sb : (tensor<4x2x7x3xf32>, tensor<3xi64>) -> tensor<8x7x3xf32>
  %y = onnx.MatMul %a3, %b3 : (tensor<8x5x7xf32>, tensor<8x7x3xf32>) -> tensor<8x5x3xf32>
  return %y : tensor<8x5x3xf32>
}

// -----

// A softmax over batch and heads sees them as one dim, and rows of a matrix are no heads.
// CHECK-LABEL: func @over_heads
func.func @over_heads(%x: tensor<2x4x5x7xf32>, %y: tensor<2x4x7xf32>) -> (tensor<8x5x7xf32>, tensor<8x7xf32>) {
  // CHECK: onnx.Softmax {{.*}} {axis = 0 : i64} : (tensor<8x5x7xf32>)
  // CHECK: onnx.Softmax {{.*}} {axis = 1 : i64} : (tensor<8x7xf32>)
  %sx = onnx.Constant dense<[8, 5, 7]> : tensor<3xi64> : tensor<3xi64>
  %sy = onnx.Constant dense<[8, 7]> : tensor<2xi64> : tensor<2xi64>
  %x3 = onnx.Reshape %x, %sx : (tensor<2x4x5x7xf32>, tensor<3xi64>) -> tensor<8x5x7xf32>
  %y3 = onnx.Reshape %y, %sy : (tensor<2x4x7xf32>, tensor<2xi64>) -> tensor<8x7xf32>
  %a = onnx.Softmax %x3 {axis = 0 : i64} : (tensor<8x5x7xf32>) -> tensor<8x5x7xf32>
  %b = onnx.Softmax %y3 {axis = 1 : i64} : (tensor<8x7xf32>) -> tensor<8x7xf32>
  return %a, %b : tensor<8x5x7xf32>, tensor<8x7xf32>
}

// -----

// A dim of size one that goes away is no batch.
// CHECK-LABEL: func @unit_dim
func.func @unit_dim(%a: tensor<1x4x5x7xf32>, %b: tensor<1x4x7x3xf32>) -> tensor<4x5x3xf32> {
  // CHECK: onnx.MatMul {{.*}} -> tensor<4x5x3xf32>
  %sa = onnx.Constant dense<[4, 5, 7]> : tensor<3xi64> : tensor<3xi64>
  %sb = onnx.Constant dense<[4, 7, 3]> : tensor<3xi64> : tensor<3xi64>
  %a3 = onnx.Reshape %a, %sa : (tensor<1x4x5x7xf32>, tensor<3xi64>) -> tensor<4x5x7xf32>
  %b3 = onnx.Reshape %b, %sb : (tensor<1x4x7x3xf32>, tensor<3xi64>) -> tensor<4x7x3xf32>
  %y = onnx.MatMul %a3, %b3 : (tensor<4x5x7xf32>, tensor<4x7x3xf32>) -> tensor<4x5x3xf32>
  return %y : tensor<4x5x3xf32>
}
