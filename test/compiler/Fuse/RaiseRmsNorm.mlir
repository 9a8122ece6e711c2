// RUN: rapt-opt %s --raise-rms-norm | FileCheck %s

// As torch writes it: a product with 1 / sqrt.
// CHECK-LABEL: func @reciprocal
func.func @reciprocal(%x: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %x, %x : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %r = onnx.Reciprocal %s : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %n = onnx.Mul %x, %r : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  %y = onnx.Mul %scale, %n : (tensor<8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  // CHECK: %[[S:.*]] = kernel.weight
  // CHECK-NOT: onnx.ReduceMean
  // CHECK: onnx.RMSNormalization %arg0, %[[S]] {axis = 2 : i64, epsilon = 9.99999997E-7 : f32}
  // CHECK-NEXT: return
  return %y : tensor<2x?x8xf32>
}

// The square as a power, a quotient, operands the other way round.
// CHECK-LABEL: func @quotient
func.func @quotient(%x: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %two = onnx.Constant dense<2.0> : tensor<f32> : tensor<f32>
  %q = onnx.Pow %x, %two : (tensor<2x?x8xf32>, tensor<f32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %eps, %m : (tensor<f32>, tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %n = onnx.Div %x, %s : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  %y = onnx.Mul %n, %scale : (tensor<2x?x8xf32>, tensor<8xf32>) -> tensor<2x?x8xf32>
  // CHECK: onnx.RMSNormalization %arg0, %{{.*}} {axis = 2 : i64
  // CHECK-NEXT: return
  return %y : tensor<2x?x8xf32>
}

// 1 / x and the power -0.5; a scale that the graph computes.
// CHECK-LABEL: func @powers
func.func @powers(%x: tensor<2x?x8xf32>, %w: tensor<8xf32>) -> tensor<2x?x8xf32> {
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<-0.5> : tensor<f32> : tensor<f32>
  %scale = onnx.Add %w, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %q = onnx.Mul %x, %x : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %i = onnx.Div %one, %s : (tensor<f32>, tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %n = onnx.Mul %i, %x : (tensor<2x?x1xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %y = onnx.Mul %n, %scale : (tensor<2x?x8xf32>, tensor<8xf32>) -> tensor<2x?x8xf32>
  // CHECK: %[[S:.*]] = onnx.Add %arg1
  // CHECK: %[[Y:.*]] = onnx.RMSNormalization %arg0, %[[S]]
  %q2 = onnx.Mul %y, %y : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m2 = onnx.ReduceMean %q2 {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e2 = onnx.Add %m2, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %p2 = onnx.Pow %e2, %half : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %y2 = onnx.Mul %y, %p2 : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  // CHECK: %[[ONE:.*]] = onnx.Constant dense<1.0
  // CHECK: onnx.RMSNormalization %[[Y]], %[[ONE]]
  // CHECK-NEXT: return
  return %y2 : tensor<2x?x8xf32>
}

// What is scaled is read by something else, too: the scale stays outside.
// CHECK-LABEL: func @normal_read_twice
func.func @normal_read_twice(%x: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %x, %x : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %r = onnx.Reciprocal %s : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %n = onnx.Mul %x, %r : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  %y = onnx.Mul %n, %scale : (tensor<2x?x8xf32>, tensor<8xf32>) -> tensor<2x?x8xf32>
  %z = onnx.Add %n, %y : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  // CHECK: %[[N:.*]] = onnx.RMSNormalization %arg0
  // CHECK: onnx.Mul %[[N]]
  return %z : tensor<2x?x8xf32>
}

// The mean of the squares of something else.
// CHECK-LABEL: func @other_rows
func.func @other_rows(%x: tensor<2x?x8xf32>, %w: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  // CHECK-NOT: onnx.RMSNormalization
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %w, %w : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %r = onnx.Reciprocal %s : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %y = onnx.Mul %x, %r : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// Over another axis.
// CHECK-LABEL: func @other_axis
func.func @other_axis(%x: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  // CHECK-NOT: onnx.RMSNormalization
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %x, %x : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x?x8xf32>) -> tensor<2x1x8xf32>
  %e = onnx.Add %m, %eps : (tensor<2x1x8xf32>, tensor<f32>) -> tensor<2x1x8xf32>
  %s = onnx.Sqrt %e : (tensor<2x1x8xf32>) -> tensor<2x1x8xf32>
  %y = onnx.Div %x, %s : (tensor<2x?x8xf32>, tensor<2x1x8xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// No square: the mean itself.
// CHECK-LABEL: func @no_square
func.func @no_square(%x: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  // CHECK-NOT: onnx.RMSNormalization
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %m = onnx.ReduceMean %x {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %y = onnx.Div %x, %s : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// A product with the root is no quotient by it.
// CHECK-LABEL: func @multiplied
func.func @multiplied(%x: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  // CHECK-NOT: onnx.RMSNormalization
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %x, %x : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %y = onnx.Mul %x, %s : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// Nor is a quotient by its inverse.
// CHECK-LABEL: func @divided_by_inverse
func.func @divided_by_inverse(%x: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  // CHECK-NOT: onnx.RMSNormalization
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %x, %x : (tensor<2x?x8xf32>, tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 2>} : (tensor<2x?x8xf32>) -> tensor<2x?x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x?x1xf32>, tensor<f32>) -> tensor<2x?x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %r = onnx.Reciprocal %s : (tensor<2x?x1xf32>) -> tensor<2x?x1xf32>
  %y = onnx.Div %x, %r : (tensor<2x?x8xf32>, tensor<2x?x1xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// f32, which the attribute has, does not hold every epsilon of f64.
// CHECK-LABEL: func @epsilon_between
func.func @epsilon_between(%x: tensor<2x8xf64>) -> tensor<2x8xf64> {
  %eps = onnx.Constant dense<1.0e-5> : tensor<f64> : tensor<f64>
  %q = onnx.Mul %x, %x : (tensor<2x8xf64>, tensor<2x8xf64>) -> tensor<2x8xf64>
  %m = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf64>) -> tensor<2x1xf64>
  %e = onnx.Add %m, %eps : (tensor<2x1xf64>, tensor<f64>) -> tensor<2x1xf64>
  %s = onnx.Sqrt %e : (tensor<2x1xf64>) -> tensor<2x1xf64>
  // CHECK: onnx.Div
  %y = onnx.Div %x, %s : (tensor<2x8xf64>, tensor<2x1xf64>) -> tensor<2x8xf64>
  return %y : tensor<2x8xf64>
}

// CHECK-LABEL: func @epsilon_of_f32
func.func @epsilon_of_f32(%x: tensor<2x8xf64>) -> tensor<2x8xf64> {
  %eps = onnx.Constant dense<9.765625e-4> : tensor<f64> : tensor<f64>
  %q = onnx.Mul %x, %x : (tensor<2x8xf64>, tensor<2x8xf64>) -> tensor<2x8xf64>
  %m = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf64>) -> tensor<2x1xf64>
  %e = onnx.Add %m, %eps : (tensor<2x1xf64>, tensor<f64>) -> tensor<2x1xf64>
  %s = onnx.Sqrt %e : (tensor<2x1xf64>) -> tensor<2x1xf64>
  // CHECK: onnx.RMSNormalization
  %y = onnx.Div %x, %s : (tensor<2x8xf64>, tensor<2x1xf64>) -> tensor<2x8xf64>
  return %y : tensor<2x8xf64>
}

// The quotient has the dims of epsilon, which are more than x has.
// CHECK-LABEL: func @epsilon_of_more_dims
func.func @epsilon_of_more_dims(%x: tensor<2x8xf32>) -> tensor<1x2x8xf32> {
  %eps = onnx.Constant dense<0.1> : tensor<1x1x1xf32> : tensor<1x1x1xf32>
  %q = onnx.Mul %x, %x : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %m = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %e = onnx.Add %m, %eps : (tensor<2x1xf32>, tensor<1x1x1xf32>) -> tensor<1x2x1xf32>
  %s = onnx.Sqrt %e : (tensor<1x2x1xf32>) -> tensor<1x2x1xf32>
  // CHECK: onnx.Div
  %y = onnx.Div %x, %s : (tensor<2x8xf32>, tensor<1x2x1xf32>) -> tensor<1x2x8xf32>
  return %y : tensor<1x2x8xf32>
}

// CHECK-LABEL: func @integers
func.func @integers(%x: tensor<2x8xi32>) -> tensor<2x8xi32> {
  %eps = onnx.Constant dense<1> : tensor<i32> : tensor<i32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %x, %x : (tensor<2x8xi32>, tensor<2x8xi32>) -> tensor<2x8xi32>
  %m = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xi32>) -> tensor<2x1xi32>
  %e = onnx.Add %m, %eps : (tensor<2x1xi32>, tensor<i32>) -> tensor<2x1xi32>
  %s = onnx.Pow %e, %half : (tensor<2x1xi32>, tensor<f32>) -> tensor<2x1xi32>
  // CHECK: onnx.Div
  %y = onnx.Div %x, %s : (tensor<2x8xi32>, tensor<2x1xi32>) -> tensor<2x8xi32>
  return %y : tensor<2x8xi32>
}
