// RUN: rapt-opt %s --fuse-projections | FileCheck %s

// Widths may differ; weights read transposed stay so.
// CHECK-LABEL: func @three
func.func @three(%x: tensor<2x5x4xf32>) -> (tensor<2x5x6xf32>, tensor<2x5x6xf32>, tensor<2x5x3xf32>) {
  %wq = kernel.weight [dense<1.0> : tensor<6x4xf32>] {perm = array<i64: 1, 0>} : tensor<4x6xf32>
  %wk = kernel.weight [dense<2.0> : tensor<6x4xf32>] {perm = array<i64: 1, 0>} : tensor<4x6xf32>
  %wv = kernel.weight [dense<3.0> : tensor<3x4xf32>] {perm = array<i64: 1, 0>} : tensor<4x3xf32>
  %bq = kernel.weight [dense<4.0> : tensor<6xf32>] : tensor<6xf32>
  %bk = kernel.weight [dense<5.0> : tensor<6xf32>] : tensor<6xf32>
  %bv = kernel.weight [dense<6.0> : tensor<3xf32>] : tensor<3xf32>
  %mq = onnx.MatMul %x, %wq : (tensor<2x5x4xf32>, tensor<4x6xf32>) -> tensor<2x5x6xf32>
  %mk = onnx.MatMul %x, %wk : (tensor<2x5x4xf32>, tensor<4x6xf32>) -> tensor<2x5x6xf32>
  %mv = onnx.MatMul %x, %wv : (tensor<2x5x4xf32>, tensor<4x3xf32>) -> tensor<2x5x3xf32>
  %q = onnx.Add %bq, %mq : (tensor<6xf32>, tensor<2x5x6xf32>) -> tensor<2x5x6xf32>
  %k = onnx.Add %mk, %bk : (tensor<2x5x6xf32>, tensor<6xf32>) -> tensor<2x5x6xf32>
  %v = onnx.Add %mv, %bv : (tensor<2x5x3xf32>, tensor<3xf32>) -> tensor<2x5x3xf32>
  // CHECK: %[[W:.*]] = kernel.weight [dense<1.0{{.*}}, dense<2.0{{.*}}, dense<3.0{{.*}}] {concat_dim = 1 : i64, perm = array<i64: 1, 0>} : tensor<4x15xf32>
  // CHECK: %[[M:.*]] = onnx.MatMul %arg0, %[[W]] {{.*}} -> tensor<2x5x15xf32>
  // CHECK: %[[B:.*]] = kernel.weight [dense<4.0{{.*}}, dense<5.0{{.*}}, dense<6.0{{.*}}] : tensor<15xf32>
  // CHECK: %[[Y:.*]] = onnx.Add %[[M]], %[[B]]
  // CHECK: onnx.Slice %[[Y]]
  // CHECK: onnx.Slice %[[Y]]
  // CHECK: onnx.Slice %[[Y]], {{.*}} {axes = array<i64: 2>, steps = array<i64: 1>} {{.*}} -> tensor<2x5x3xf32>
  // CHECK-NOT: onnx.MatMul
  return %q, %k, %v : tensor<2x5x6xf32>, tensor<2x5x6xf32>, tensor<2x5x3xf32>
}

// With a bias and without are not one Add; different operands are not one MatMul.
// CHECK-LABEL: func @apart
func.func @apart(%x: tensor<2x4xf32>, %y: tensor<2x4xf32>) -> (tensor<2x6xf32>, tensor<2x6xf32>, tensor<2x6xf32>) {
  %w1 = kernel.weight [dense<1.0> : tensor<4x6xf32>] : tensor<4x6xf32>
  %w2 = kernel.weight [dense<2.0> : tensor<4x6xf32>] : tensor<4x6xf32>
  %w3 = kernel.weight [dense<3.0> : tensor<4x6xf32>] : tensor<4x6xf32>
  %b = kernel.weight [dense<4.0> : tensor<6xf32>] : tensor<6xf32>
  // CHECK-COUNT-3: onnx.MatMul
  // CHECK-NOT: onnx.Slice
  %0 = onnx.MatMul %x, %w1 : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
  %1 = onnx.Add %0, %b : (tensor<2x6xf32>, tensor<6xf32>) -> tensor<2x6xf32>
  %2 = onnx.MatMul %x, %w2 : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
  %3 = onnx.MatMul %y, %w3 : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
  return %1, %2, %3 : tensor<2x6xf32>, tensor<2x6xf32>, tensor<2x6xf32>
}

// A bias that is as long as the weight is wide, but not one row of constants.
// CHECK-LABEL: func @sum_is_no_bias
func.func @sum_is_no_bias(%x: tensor<2x4xf32>, %r: tensor<2x6xf32>) -> (tensor<2x6xf32>, tensor<2x6xf32>) {
  %w1 = kernel.weight [dense<1.0> : tensor<4x6xf32>] : tensor<4x6xf32>
  %w2 = kernel.weight [dense<2.0> : tensor<4x6xf32>] : tensor<4x6xf32>
  // CHECK: %[[M:.*]] = onnx.MatMul {{.*}} -> tensor<2x12xf32>
  // CHECK: %[[S:.*]] = onnx.Slice %[[M]]
  // CHECK: onnx.Add %[[S]], %arg1
  %0 = onnx.MatMul %x, %w1 : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
  %1 = onnx.MatMul %x, %w2 : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
  %2 = onnx.Add %0, %r : (tensor<2x6xf32>, tensor<2x6xf32>) -> tensor<2x6xf32>
  return %2, %1 : tensor<2x6xf32>, tensor<2x6xf32>
}
