// Attention on maps: the weights come transposed to the product with the values.
// RUN: rapt-opt --simplify-canonicalize %s | FileCheck %s

// CHECK-LABEL: func @weights_transposed
// CHECK: %[[P:.*]] = onnx.Softmax
// CHECK: %[[V:.*]] = onnx.Transpose %arg2 {perm = array<i64: 0, 2, 1>} {{.*}} -> tensor<2x7x4xf32>
// CHECK: %[[O:.*]] = onnx.MatMul %[[P]], %[[V]]
// CHECK: onnx.Transpose %[[O]] {perm = array<i64: 0, 2, 1>} {{.*}} -> tensor<2x4x5xf32>
func.func @weights_transposed(%q: tensor<2x5x8xf32>, %k: tensor<2x8x7xf32>, %v: tensor<2x4x7xf32>) -> tensor<2x4x5xf32> {
  %s = onnx.MatMul %q, %k : (tensor<2x5x8xf32>, tensor<2x8x7xf32>) -> tensor<2x5x7xf32>
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %t = onnx.Transpose %p {perm = array<i64: 0, 2, 1>} : (tensor<2x5x7xf32>) -> tensor<2x7x5xf32>
  %o = onnx.MatMul %v, %t : (tensor<2x4x7xf32>, tensor<2x7x5xf32>) -> tensor<2x4x5xf32>
  return %o : tensor<2x4x5xf32>
}

// A softmax along the columns, of scores with a scale and a bias.
// CHECK-LABEL: func @columns
// CHECK-DAG: %[[L:.*]] = onnx.Transpose %arg1 {{.*}} -> tensor<2x5x8xf32>
// CHECK-DAG: %[[R:.*]] = onnx.Transpose %arg0 {{.*}} -> tensor<2x8x7xf32>
// CHECK-DAG: %[[S:.*]] = onnx.MatMul %[[L]], %[[R]]
// CHECK-DAG: %[[C:.*]] = onnx.Mul %[[S]], %{{.*}} : (tensor<2x5x7xf32>, tensor<f32>)
// CHECK-DAG: %[[B:.*]] = onnx.Transpose %arg3 {{.*}} -> tensor<5x7xf32>
// CHECK-DAG: %[[A:.*]] = onnx.Add %[[C]], %[[B]]
// CHECK: %[[P:.*]] = onnx.Softmax %[[A]] {axis = 2
// CHECK: %[[V:.*]] = onnx.Transpose %arg2
// CHECK: onnx.MatMul %[[P]], %[[V]]
func.func @columns(%q: tensor<2x7x8xf32>, %k: tensor<2x8x5xf32>, %v: tensor<2x4x7xf32>, %b: tensor<7x5xf32>) -> tensor<2x4x5xf32> {
  %c = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %s = onnx.MatMul %q, %k : (tensor<2x7x8xf32>, tensor<2x8x5xf32>) -> tensor<2x7x5xf32>
  %m = onnx.Mul %s, %c : (tensor<2x7x5xf32>, tensor<f32>) -> tensor<2x7x5xf32>
  %a = onnx.Add %m, %b : (tensor<2x7x5xf32>, tensor<7x5xf32>) -> tensor<2x7x5xf32>
  %p = onnx.Softmax %a {axis = 1 : i64} : (tensor<2x7x5xf32>) -> tensor<2x7x5xf32>
  %o = onnx.MatMul %v, %p : (tensor<2x4x7xf32>, tensor<2x7x5xf32>) -> tensor<2x4x5xf32>
  return %o : tensor<2x4x5xf32>
}

// No softmax over the last dim gives what is transposed; weights on both sides stay, too.
// CHECK-LABEL: func @others
// CHECK: %[[T:.*]] = onnx.Transpose %arg1
// CHECK: onnx.MatMul %arg0, %[[T]]
// CHECK: %[[W:.*]] = onnx.Softmax %arg0
// CHECK: %[[U:.*]] = onnx.Transpose %[[W]]
// CHECK: onnx.MatMul %[[W]], %[[U]]
func.func @others(%x: tensor<2x4x7xf32>, %y: tensor<2x5x7xf32>) -> (tensor<2x4x5xf32>, tensor<2x4x4xf32>) {
  %t = onnx.Transpose %y {perm = array<i64: 0, 2, 1>} : (tensor<2x5x7xf32>) -> tensor<2x7x5xf32>
  %a = onnx.MatMul %x, %t : (tensor<2x4x7xf32>, tensor<2x7x5xf32>) -> tensor<2x4x5xf32>
  %p = onnx.Softmax %x {axis = 2 : i64} : (tensor<2x4x7xf32>) -> tensor<2x4x7xf32>
  %u = onnx.Transpose %p {perm = array<i64: 0, 2, 1>} : (tensor<2x4x7xf32>) -> tensor<2x7x4xf32>
  %b = onnx.MatMul %p, %u : (tensor<2x4x7xf32>, tensor<2x7x4xf32>) -> tensor<2x4x4xf32>
  return %a, %b : tensor<2x4x5xf32>, tensor<2x4x4xf32>
}
