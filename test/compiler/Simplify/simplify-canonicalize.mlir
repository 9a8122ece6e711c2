// RUN: rapt-opt --simplify-canonicalize %s | FileCheck %s

// The mask of the dynamo exporter: mask[b, j] as a GatherND over index tensors, and a comparison that is
// always true. It stays [batch, 1, 1, seq].
// CHECK-LABEL: func @gathernd_mask
// CHECK-NOT: onnx.GatherND
// CHECK-NOT: onnx.And
// CHECK: %[[VIEW:.*]] = onnx.Reshape %arg0, %{{.*}} -> tensor<?x1x1x?xi1>
// CHECK: return %[[VIEW]]
func.func @gathernd_mask(%mask: tensor<?x?xi1> {onnx.dims = ["batch", "seq"]}) -> tensor<?x1x1x?xi1> {
  %zero = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %bs = onnx.Shape %mask {start = 0 : i64, end = 1 : i64} : (tensor<?x?xi1>) -> tensor<1xi64>
  %ss = onnx.Shape %mask {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi1>) -> tensor<1xi64>
  %b = onnx.Squeeze %bs {axes = array<i64: 0>} : (tensor<1xi64>) -> tensor<i64>
  %s = onnx.Squeeze %ss {axes = array<i64: 0>} : (tensor<1xi64>) -> tensor<i64>
  %rb = onnx.Range %zero, %b, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %rs = onnx.Range %zero, %s, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %ib = onnx.Unsqueeze %rb {axes = array<i64: 1, 2, 3>} : (tensor<?xi64>) -> tensor<?x1x1x1xi64>
  %is = onnx.Unsqueeze %rs {axes = array<i64: 0, 1, 2>} : (tensor<?xi64>) -> tensor<1x1x1x?xi64>
  %max = onnx.Max %ib, %is : (tensor<?x1x1x1xi64>, tensor<1x1x1x?xi64>) -> tensor<?x1x1x?xi64>
  %shape = onnx.Shape %max {start = 0 : i64, end = 4 : i64} : (tensor<?x1x1x?xi64>) -> tensor<4xi64>
  %eb = onnx.Expand %ib, %shape : (tensor<?x1x1x1xi64>, tensor<4xi64>) -> tensor<?x1x1x?xi64>
  %es = onnx.Expand %is, %shape : (tensor<1x1x1x?xi64>, tensor<4xi64>) -> tensor<?x1x1x?xi64>
  %ub = onnx.Unsqueeze %eb {axes = array<i64: 4>} : (tensor<?x1x1x?xi64>) -> tensor<?x1x1x?x1xi64>
  %us = onnx.Unsqueeze %es {axes = array<i64: 4>} : (tensor<?x1x1x?xi64>) -> tensor<?x1x1x?x1xi64>
  %index = onnx.Concat %ub, %us {axis = 4 : i64} : (tensor<?x1x1x?x1xi64>, tensor<?x1x1x?x1xi64>) -> tensor<?x1x1x?x2xi64>
  %m = onnx.GatherND %mask, %index : (tensor<?x?xi1>, tensor<?x1x1x?x2xi64>) -> tensor<?x1x1x?xi1>
  %ge = onnx.GreaterOrEqual %is, %zero : (tensor<1x1x1x?xi64>, tensor<i64>) -> tensor<1x1x1x?xi1>
  %and = onnx.And %ge, %m : (tensor<1x1x1x?xi1>, tensor<?x1x1x?xi1>) -> tensor<?x1x1x?xi1>
  return %and : tensor<?x1x1x?xi1>
}

// The indices step by two: a gather.
// CHECK-LABEL: func @gather_every_second
// CHECK: onnx.Gather
func.func @gather_every_second(%x: tensor<8x3xf32>) -> tensor<4x3xf32> {
  %index = onnx.Constant dense<[0, 2, 4, 6]> : tensor<4xi64> : tensor<4xi64>
  %y = onnx.Gather %x, %index {axis = 0 : i64} : (tensor<8x3xf32>, tensor<4xi64>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// CHECK-LABEL: func @gather_one
// CHECK: %[[ROW:.*]] = onnx.Slice {{.*}} -> tensor<?x1x8xf32>
// CHECK: onnx.Reshape %[[ROW]], {{.*}} -> tensor<?x8xf32>
func.func @gather_one(%x: tensor<?x5x8xf32> {onnx.dims = ["batch", 5, 8]}) -> tensor<?x8xf32> {
  %index = onnx.Constant dense<-5> : tensor<i64> : tensor<i64>
  %y = onnx.Gather %x, %index {axis = 1 : i64} : (tensor<?x5x8xf32>, tensor<i64>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func @transpose_in_merged_batch
// CHECK: %[[T:.*]] = onnx.Transpose %arg0 {perm = array<i64: 0, 1, 3, 2>}
// CHECK-NEXT: return %[[T]]
func.func @transpose_in_merged_batch(%k: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}) -> tensor<?x4x8x?xf32> {
  %s = onnx.Shape %k {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %b = onnx.Shape %k {start = 0 : i64, end = 2 : i64} : (tensor<?x4x?x8xf32>) -> tensor<2xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64> : tensor<1xi64>
  %eight = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %flat = onnx.Concat %minus, %s, %eight {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %m = onnx.Reshape %k, %flat : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %t = onnx.Transpose %m {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %back = onnx.Concat %b, %eight, %s {axis = 0 : i64} : (tensor<2xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %y = onnx.Reshape %t, %back : (tensor<?x8x?xf32>, tensor<4xi64>) -> tensor<?x4x8x?xf32>
  return %y : tensor<?x4x8x?xf32>
}

// The last Reshape cuts elsewhere than the first one merged: all three stay.
// CHECK-LABEL: func @transpose_across_merge
// CHECK: onnx.Reshape
// CHECK: onnx.Transpose
// CHECK: onnx.Reshape
func.func @transpose_across_merge(%x: tensor<4x6x2xf32>) -> tensor<2x3x8xf32> {
  %flat = onnx.Constant dense<[24, 2]> : tensor<2xi64> : tensor<2xi64>
  %m = onnx.Reshape %x, %flat : (tensor<4x6x2xf32>, tensor<2xi64>) -> tensor<24x2xf32>
  %t = onnx.Transpose %m {perm = array<i64: 1, 0>} : (tensor<24x2xf32>) -> tensor<2x24xf32>
  %back = onnx.Constant dense<[2, 3, 8]> : tensor<3xi64> : tensor<3xi64>
  %y = onnx.Reshape %t, %back : (tensor<2x24xf32>, tensor<3xi64>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// An expanded mask sinks through Where and dissolves in the Add.
// CHECK-LABEL: func @expand_dissolves
// CHECK-NOT: onnx.Expand
// CHECK: %[[W:.*]] = onnx.Where %arg1, {{.*}} -> tensor<?x1x1x?xf32>
// CHECK: onnx.Add %arg0, %[[W]]
func.func @expand_dissolves(%scores: tensor<?x4x?x?xf32> {onnx.dims = ["batch", 4, "seq", "seq"]},
                            %mask: tensor<?x1x1x?xi1> {onnx.dims = ["batch", 1, 1, "seq"]}) -> tensor<?x4x?x?xf32> {
  %shape = onnx.Shape %scores {start = 0 : i64, end = 4 : i64} : (tensor<?x4x?x?xf32>) -> tensor<4xi64>
  %e = onnx.Expand %mask, %shape : (tensor<?x1x1x?xi1>, tensor<4xi64>) -> tensor<?x4x?x?xi1>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low = onnx.Constant dense<-1.0e+9> : tensor<f32> : tensor<f32>
  %w = onnx.Where %e, %zero, %low : (tensor<?x4x?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x4x?x?xf32>
  %y = onnx.Add %scores, %w : (tensor<?x4x?x?xf32>, tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  return %y : tensor<?x4x?x?xf32>
}

// The sum runs over the expanded dim: the Expand counts.
// CHECK-LABEL: func @reduce_over_expanded
// CHECK: %[[E:.*]] = onnx.Expand
// CHECK: onnx.ReduceSum %[[E]]
func.func @reduce_over_expanded(%x: tensor<3x1xf32>) -> tensor<3xf32> {
  %shape = onnx.Constant dense<[3, 5]> : tensor<2xi64> : tensor<2xi64>
  %e = onnx.Expand %x, %shape : (tensor<3x1xf32>, tensor<2xi64>) -> tensor<3x5xf32>
  %y = onnx.ReduceSum %e {axes = array<i64: 1>, keepdims = false} : (tensor<3x5xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// CHECK-LABEL: func @gemm
// CHECK: %[[T:.*]] = onnx.Transpose %arg1 {perm = array<i64: 1, 0>}
// CHECK: %[[P:.*]] = onnx.MatMul %arg0, %[[T]]
// CHECK: %[[H:.*]] = onnx.Constant dense<5.000000e-01>
// CHECK: %[[S:.*]] = onnx.Mul %[[P]], %[[H]]
// CHECK: onnx.Add %[[S]], %arg2
func.func @gemm(%a: tensor<?x8xf32> {onnx.dims = ["batch", 8]}, %b: tensor<3x8xf32>, %c: tensor<3xf32>) -> tensor<?x3xf32> {
  %y = onnx.Gemm %a, %b, %c {transB = true, alpha = 5.000000e-01 : f32} : (tensor<?x8xf32>, tensor<3x8xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// CHECK-LABEL: func @gemm_of_integers
// CHECK: %[[P:.*]] = onnx.MatMul
// CHECK: %[[W:.*]] = onnx.Cast %[[P]] : (tensor<2x3xi32>) -> tensor<2x3xf64>
// CHECK: %[[S:.*]] = onnx.Mul %[[W]]
// CHECK: %[[C:.*]] = onnx.Cast %arg2 : (tensor<3xi32>) -> tensor<3xf64>
// CHECK: %[[A:.*]] = onnx.Add %[[S]], %[[C]]
// CHECK: onnx.Cast %[[A]] : (tensor<2x3xf64>) -> tensor<2x3xi32>
func.func @gemm_of_integers(%a: tensor<2x8xi32>, %b: tensor<8x3xi32>, %c: tensor<3xi32>) -> tensor<2x3xi32> {
  %y = onnx.Gemm %a, %b, %c {alpha = 5.000000e-01 : f32} : (tensor<2x8xi32>, tensor<8x3xi32>, tensor<3xi32>) -> tensor<2x3xi32>
  return %y : tensor<2x3xi32>
}

// CHECK-LABEL: func @gemm_of_integers_times_three
// CHECK-NOT: onnx.Cast
// CHECK: onnx.Constant dense<3> : tensor<i32>
func.func @gemm_of_integers_times_three(%a: tensor<2x8xi32>, %b: tensor<8x3xi32>, %c: tensor<3xi32>) -> tensor<2x3xi32> {
  %y = onnx.Gemm %a, %b, %c {alpha = 3.000000e+00 : f32} : (tensor<2x8xi32>, tensor<8x3xi32>, tensor<3xi32>) -> tensor<2x3xi32>
  return %y : tensor<2x3xi32>
}

// Exact identities only: x + 0.0 is not x for x = -0.0, and a reversed slice of the same size moves data.
// CHECK-LABEL: func @not_identities
// CHECK: onnx.Add
// CHECK: onnx.Slice
// CHECK-NOT: onnx.Mul
// CHECK-NOT: onnx.Div
func.func @not_identities(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %a = onnx.Add %x, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = onnx.Mul %a, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %c = onnx.Div %b, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %last = onnx.Constant dense<-1> : tensor<1xi64> : tensor<1xi64>
  %past = onnx.Constant dense<-9223372036854775808> : tensor<1xi64> : tensor<1xi64>
  %d = onnx.Slice %c, %last, %past {axes = array<i64: 0>, steps = array<i64: -1>} : (tensor<4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xf32>
  return %d : tensor<4xf32>
}

// CHECK-LABEL: func @square
// CHECK: onnx.Mul %arg0, %arg0
// CHECK: onnx.Pow
func.func @square(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %two = onnx.Constant dense<2.0> : tensor<f32> : tensor<f32>
  %three = onnx.Constant dense<3.0> : tensor<f32> : tensor<f32>
  %y = onnx.Pow %x, %two : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %z = onnx.Pow %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y, %z : tensor<4xf32>, tensor<4xf32>
}
