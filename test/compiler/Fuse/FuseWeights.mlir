// RUN: rapt-opt %s --fuse-weights | FileCheck %s

// CHECK-LABEL: func @constants
func.func @constants(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-DAG: %[[W:.*]] = kernel.weight [dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf32>] : tensor<3xf32>
  // CHECK-DAG: %[[S:.*]] = onnx.Constant dense<2.000000e+00> : tensor<1xf32>
  %w = onnx.Constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32> : tensor<3xf32>
  %s = onnx.Constant dense<2.0> : tensor<1xf32> : tensor<1xf32>
  // CHECK: onnx.Add %{{.*}}, %[[W]]
  // CHECK: onnx.Mul %{{.*}}, %[[S]]
  %0 = onnx.Add %x, %w : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %1 = onnx.Mul %0, %s : (tensor<2x3xf32>, tensor<1xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// A shape is not data, and the same constant may be both.
// CHECK-LABEL: func @shape_operand
func.func @shape_operand(%x: tensor<6xf32>) -> (tensor<2x3xf32>, tensor<2xi64>) {
  // CHECK-DAG: %[[D:.*]] = kernel.weight
  // CHECK-DAG: %[[C:.*]] = onnx.Constant dense<[2, 3]>
  %shape = onnx.Constant dense<[2, 3]> : tensor<2xi64> : tensor<2xi64>
  // CHECK: onnx.Reshape %{{.*}}, %[[C]]
  %0 = onnx.Reshape %x, %shape : (tensor<6xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  // CHECK: onnx.Neg %[[D]]
  %1 = onnx.Neg %shape : (tensor<2xi64>) -> tensor<2xi64>
  return %0, %1 : tensor<2x3xf32>, tensor<2xi64>
}

// CHECK-LABEL: func @transposed
func.func @transposed(%x: tensor<5x2xf32>) -> tensor<5x3xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32> : tensor<3x2xf32>
  // CHECK: %[[W:.*]] = kernel.weight [{{.*}} : tensor<3x2xf32>] {perm = array<i64: 1, 0>} : tensor<2x3xf32>
  // CHECK-NOT: onnx.Transpose
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  // CHECK: onnx.MatMul %{{.*}}, %[[W]]
  %0 = onnx.MatMul %x, %t : (tensor<5x2xf32>, tensor<2x3xf32>) -> tensor<5x3xf32>
  return %0 : tensor<5x3xf32>
}

// Two transposes are none.
// CHECK-LABEL: func @transposed_twice
func.func @transposed_twice(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32> : tensor<3x2xf32>
  // CHECK: kernel.weight
  // CHECK-NOT: perm
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %u = onnx.Transpose %t {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %0 = onnx.Add %x, %u : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// CHECK-LABEL: func @reshaped
func.func @reshaped(%x: tensor<1x1x2xf32>) -> tensor<1x1x2xf32> {
  %w = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  %shape = onnx.Constant dense<[1, 1, 2]> : tensor<3xi64> : tensor<3xi64>
  // CHECK: kernel.weight [dense<{{.*}}> : tensor<1x1x2xf32>] : tensor<1x1x2xf32>
  // CHECK-NOT: onnx.Reshape
  %r = onnx.Reshape %w, %shape : (tensor<2xf32>, tensor<3xi64>) -> tensor<1x1x2xf32>
  %0 = onnx.Add %x, %r : (tensor<1x1x2xf32>, tensor<1x1x2xf32>) -> tensor<1x1x2xf32>
  return %0 : tensor<1x1x2xf32>
}

// One element is a literal of kernels, and a transposed weight cannot be read in another shape.
// CHECK-LABEL: func @no_weight
func.func @no_weight(%x: tensor<6xf32>) -> tensor<6xf32> {
  %c = onnx.Constant dense<2.0> : tensor<1xf32> : tensor<1xf32>
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32> : tensor<3x2xf32>
  %shape = onnx.Constant dense<6> : tensor<1xi64> : tensor<1xi64>
  // CHECK-DAG: %[[C:.*]] = onnx.Constant dense<2.0{{.*}}> : tensor<1xf32>
  // CHECK-DAG: %[[W:.*]] = kernel.weight {{.*}} {perm = array<i64: 1, 0>} : tensor<2x3xf32>
  // CHECK: %[[R:.*]] = onnx.Reshape %[[W]]
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %r = onnx.Reshape %t, %shape : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<6xf32>
  // CHECK: onnx.Mul %[[R]], %[[C]]
  %0 = onnx.Mul %r, %c : (tensor<6xf32>, tensor<1xf32>) -> tensor<6xf32>
  %1 = onnx.Add %x, %0 : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  return %1 : tensor<6xf32>
}

// The sign stays in the type, through transposes and reshapes too.
// CHECK-LABEL: func @unsigned
func.func @unsigned(%x: tensor<3x2xui8>, %y: tensor<3xui8>) -> (tensor<3x2xui8>, tensor<3xui8>) {
  // CHECK-DAG: %[[W:.*]] = kernel.weight {{.*}}tensor<2x3xui8>] {perm = array<i64: 1, 0>} : tensor<3x2xui8>
  // CHECK-DAG: %[[V:.*]] = kernel.weight {{.*}}tensor<3xui8>] : tensor<3xui8>
  %w = onnx.Constant dense<[[1, 2, 3], [4, 5, 250]]> : tensor<2x3xui8> : tensor<2x3xui8>
  %v = onnx.Constant dense<[[5, 250, 9]]> : tensor<1x3xui8> : tensor<1x3xui8>
  %shape = onnx.Constant dense<3> : tensor<1xi64> : tensor<1xi64>
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<2x3xui8>) -> tensor<3x2xui8>
  %r = onnx.Reshape %v, %shape : (tensor<1x3xui8>, tensor<1xi64>) -> tensor<3xui8>
  // CHECK: onnx.Add %{{.*}}, %[[W]]
  // CHECK: onnx.Max %{{.*}}, %[[V]]
  %0 = onnx.Add %x, %t : (tensor<3x2xui8>, tensor<3x2xui8>) -> tensor<3x2xui8>
  %1 = onnx.Max %y, %r : (tensor<3xui8>, tensor<3xui8>) -> tensor<3xui8>
  return %0, %1 : tensor<3x2xui8>, tensor<3xui8>
}
