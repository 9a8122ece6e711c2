// RUN: rapt-opt %s --raise-layer-norm | FileCheck %s

// CHECK-LABEL: func @decomposed
func.func @decomposed(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %bias = kernel.weight [dense<3.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<1.0e-5> : tensor<f32> : tensor<f32>
  %m = onnx.ReduceMean %x {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %d = onnx.Sub %x, %m : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %q = onnx.Mul %d, %d : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %v = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %e = onnx.Add %v, %eps : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %n = onnx.Div %d, %s : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %a = onnx.Mul %n, %scale : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  %y = onnx.Add %a, %bias : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  // CHECK: %[[S:.*]] = kernel.weight [dense<2.0
  // CHECK: %[[B:.*]] = kernel.weight [dense<3.0
  // CHECK-NOT: onnx.ReduceMean
  // CHECK: onnx.LayerNormalization %arg0, %[[S]], %[[B]] {axis = 1 : i64
  // CHECK-NEXT: return
  return %y : tensor<2x8xf32>
}

// Operands the other way round, the square as a power, the division as a product with an inverse, no bias.
// CHECK-LABEL: func @commuted
func.func @commuted(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<1.0e-12> : tensor<f32> : tensor<f32>
  %two = onnx.Constant dense<2.0> : tensor<f32> : tensor<f32>
  %m = onnx.ReduceMean %x {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %d = onnx.Sub %x, %m : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %q = onnx.Pow %d, %two : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  %v = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %e = onnx.Add %eps, %v : (tensor<f32>, tensor<2x1xf32>) -> tensor<2x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %i = onnx.Reciprocal %s : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %n = onnx.Mul %i, %d : (tensor<2x1xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = onnx.Mul %scale, %n : (tensor<8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  // CHECK: %[[S:.*]] = kernel.weight
  // CHECK: onnx.LayerNormalization %arg0, %[[S]] {axis = 1 : i64
  return %y : tensor<2x8xf32>
}

// The mean of one axis and the variance of another.
// CHECK-LABEL: func @other_axis
func.func @other_axis(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<1.0e-5> : tensor<f32> : tensor<f32>
  // CHECK-NOT: onnx.LayerNormalization
  %m = onnx.ReduceMean %x {axes = array<i64: 1>} : (tensor<8x8xf32>) -> tensor<8x1xf32>
  %d = onnx.Sub %x, %m : (tensor<8x8xf32>, tensor<8x1xf32>) -> tensor<8x8xf32>
  %q = onnx.Mul %d, %d : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %v = onnx.ReduceMean %q {axes = array<i64: 0>} : (tensor<8x8xf32>) -> tensor<1x8xf32>
  %e = onnx.Add %v, %eps : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
  %s = onnx.Sqrt %e : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %n = onnx.Div %d, %s : (tensor<8x8xf32>, tensor<1x8xf32>) -> tensor<8x8xf32>
  %y = onnx.Mul %n, %scale : (tensor<8x8xf32>, tensor<8xf32>) -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// The variance is about another value's mean.
// CHECK-LABEL: func @other_value
func.func @other_value(%x: tensor<2x8xf32>, %z: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<1.0e-5> : tensor<f32> : tensor<f32>
  // CHECK-NOT: onnx.LayerNormalization
  %m = onnx.ReduceMean %z {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %d = onnx.Sub %x, %m : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %q = onnx.Mul %d, %d : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %v = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %e = onnx.Add %v, %eps : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %s = onnx.Sqrt %e : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %n = onnx.Div %d, %s : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %y = onnx.Mul %n, %scale : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// f32, which the attribute has, does not hold every epsilon of f64.
// CHECK-LABEL: func @epsilon_between
func.func @epsilon_between(%x: tensor<2x8xf64>) -> tensor<2x8xf64> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf64>] : tensor<8xf64>
  %eps = onnx.Constant dense<1.0e-5> : tensor<f64> : tensor<f64>
  %m = onnx.ReduceMean %x {axes = array<i64: 1>} : (tensor<2x8xf64>) -> tensor<2x1xf64>
  %d = onnx.Sub %x, %m : (tensor<2x8xf64>, tensor<2x1xf64>) -> tensor<2x8xf64>
  %q = onnx.Mul %d, %d : (tensor<2x8xf64>, tensor<2x8xf64>) -> tensor<2x8xf64>
  %v = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf64>) -> tensor<2x1xf64>
  %e = onnx.Add %v, %eps : (tensor<2x1xf64>, tensor<f64>) -> tensor<2x1xf64>
  %s = onnx.Sqrt %e : (tensor<2x1xf64>) -> tensor<2x1xf64>
  // CHECK: onnx.Div
  %n = onnx.Div %d, %s : (tensor<2x8xf64>, tensor<2x1xf64>) -> tensor<2x8xf64>
  %y = onnx.Mul %n, %scale : (tensor<2x8xf64>, tensor<8xf64>) -> tensor<2x8xf64>
  return %y : tensor<2x8xf64>
}

// CHECK-LABEL: func @epsilon_of_f32
func.func @epsilon_of_f32(%x: tensor<2x8xf64>) -> tensor<2x8xf64> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf64>] : tensor<8xf64>
  %eps = onnx.Constant dense<9.765625e-4> : tensor<f64> : tensor<f64>
  %m = onnx.ReduceMean %x {axes = array<i64: 1>} : (tensor<2x8xf64>) -> tensor<2x1xf64>
  %d = onnx.Sub %x, %m : (tensor<2x8xf64>, tensor<2x1xf64>) -> tensor<2x8xf64>
  %q = onnx.Mul %d, %d : (tensor<2x8xf64>, tensor<2x8xf64>) -> tensor<2x8xf64>
  %v = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf64>) -> tensor<2x1xf64>
  %e = onnx.Add %v, %eps : (tensor<2x1xf64>, tensor<f64>) -> tensor<2x1xf64>
  %s = onnx.Sqrt %e : (tensor<2x1xf64>) -> tensor<2x1xf64>
  // CHECK: onnx.LayerNormalization
  %n = onnx.Div %d, %s : (tensor<2x8xf64>, tensor<2x1xf64>) -> tensor<2x8xf64>
  %y = onnx.Mul %n, %scale : (tensor<2x8xf64>, tensor<8xf64>) -> tensor<2x8xf64>
  return %y : tensor<2x8xf64>
}

// The quotient has the dims of epsilon, which are more than x has.
// CHECK-LABEL: func @epsilon_of_more_dims
func.func @epsilon_of_more_dims(%x: tensor<2x8xf32>) -> tensor<1x2x8xf32> {
  %scale = kernel.weight [dense<2.0> : tensor<8xf32>] : tensor<8xf32>
  %eps = onnx.Constant dense<0.1> : tensor<1x1x1xf32> : tensor<1x1x1xf32>
  %m = onnx.ReduceMean %x {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %d = onnx.Sub %x, %m : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %q = onnx.Mul %d, %d : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %v = onnx.ReduceMean %q {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %e = onnx.Add %v, %eps : (tensor<2x1xf32>, tensor<1x1x1xf32>) -> tensor<1x2x1xf32>
  %s = onnx.Sqrt %e : (tensor<1x2x1xf32>) -> tensor<1x2x1xf32>
  // CHECK: onnx.Div
  %n = onnx.Div %d, %s : (tensor<2x8xf32>, tensor<1x2x1xf32>) -> tensor<1x2x8xf32>
  %y = onnx.Mul %n, %scale : (tensor<1x2x8xf32>, tensor<8xf32>) -> tensor<1x2x8xf32>
  return %y : tensor<1x2x8xf32>
}
