// x * b + c * (1 - b) with a table b of 0 and 1.
// RUN: rapt-opt %s --simplify-canonicalize --split-input-file | FileCheck %s

// The table becomes one of bool and is cut as it was.
// CHECK-LABEL: func @sliced
func.func @sliced(%w: tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> {
  // CHECK: %[[T:.*]] = onnx.Constant dense<{{\[\[}}true, false, false], [true, true, false], [true, true, true]]> : tensor<3x3xi1>
  // CHECK: %[[B:.*]] = onnx.Slice %[[T]]
  // CHECK: onnx.Where %[[B]], %arg0, %{{.*}} : (tensor<2x2xi1>, tensor<1x2x2x2xf32>, tensor<f32>) -> tensor<1x2x2x2xf32>
  // CHECK-NOT: onnx.Mul
  %table = onnx.Constant dense<[[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]> : tensor<3x3xf32> : tensor<3x3xf32>
  %start = onnx.Constant dense<[0, 0]> : tensor<2xi64> : tensor<2xi64>
  %end = onnx.Constant dense<[2, 2]> : tensor<2xi64> : tensor<2xi64>
  %b = onnx.Slice %table, %start, %end {axes = array<i64: 0, 1>, steps = array<i64: 1, 1>} : (tensor<3x3xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<2x2xf32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %c = onnx.Constant dense<-1.0e+4> : tensor<f32> : tensor<f32>
  %kept = onnx.Mul %w, %b : (tensor<1x2x2x2xf32>, tensor<2x2xf32>) -> tensor<1x2x2x2xf32>
  %rest = onnx.Sub %one, %b : (tensor<f32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %fill = onnx.Mul %rest, %c : (tensor<2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
  %y = onnx.Add %kept, %fill : (tensor<1x2x2x2xf32>, tensor<2x2xf32>) -> tensor<1x2x2x2xf32>
  return %y : tensor<1x2x2x2xf32>
}

// -----

// Both tables are computed already.
// CHECK-LABEL: func @computed
func.func @computed(%x: tensor<5x2x2xf32>) -> tensor<5x2x2xf32> {
  // CHECK: onnx.Where %{{.*}}, %arg0, %{{.*}} : (tensor<2x2xi1>, tensor<5x2x2xf32>, tensor<f32>) -> tensor<5x2x2xf32>
  %b = onnx.Constant dense<[[1.0, 0.0], [1.0, 1.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %fill = onnx.Constant dense<[[-0.0, -1.0e+4], [-0.0, -0.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %kept = onnx.Mul %x, %b : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  %y = onnx.Add %kept, %fill : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  return %y : tensor<5x2x2xf32>
}

// -----

// x * b - c * (1 - b)
// CHECK-LABEL: func @difference
func.func @difference(%x: tensor<5x2x2xf32>) -> tensor<5x2x2xf32> {
  // CHECK-DAG: %[[C:.*]] = onnx.Constant dense<-1.000000e+04> : tensor<f32>
  // CHECK: onnx.Where %{{.*}}, %arg0, %[[C]]
  %b = onnx.Constant dense<[[1.0, 0.0], [1.0, 1.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %c = onnx.Constant dense<1.0e+4> : tensor<f32> : tensor<f32>
  %kept = onnx.Mul %b, %x : (tensor<2x2xf32>, tensor<5x2x2xf32>) -> tensor<5x2x2xf32>
  %rest = onnx.Sub %one, %b : (tensor<f32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %fill = onnx.Mul %c, %rest : (tensor<f32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = onnx.Sub %kept, %fill : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  return %y : tensor<5x2x2xf32>
}

// -----

// A table of other numbers, and one that is not that of the product, weigh both.
// CHECK-LABEL: func @weights
func.func @weights(%x: tensor<5x2x2xf32>) -> (tensor<5x2x2xf32>, tensor<5x2x2xf32>) {
  // CHECK-NOT: onnx.Where
  %b = onnx.Constant dense<[[1.0, 0.5], [1.0, 1.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %d = onnx.Constant dense<[[1.0, 0.0], [1.0, 1.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %c = onnx.Constant dense<-1.0e+4> : tensor<f32> : tensor<f32>
  %kept = onnx.Mul %x, %b : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  %rest = onnx.Sub %one, %b : (tensor<f32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %fill = onnx.Mul %rest, %c : (tensor<2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
  %y = onnx.Add %kept, %fill : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  %other = onnx.Mul %x, %d : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  %z = onnx.Add %other, %fill : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  return %y, %z : tensor<5x2x2xf32>, tensor<5x2x2xf32>
}

// -----

// No mask sets scores to 5.
// CHECK-LABEL: func @high
func.func @high(%x: tensor<5x2x2xf32>) -> tensor<5x2x2xf32> {
  // CHECK-NOT: onnx.Where
  %b = onnx.Constant dense<[[1.0, 0.0], [1.0, 1.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %fill = onnx.Constant dense<[[0.0, 5.0], [0.0, 0.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %kept = onnx.Mul %x, %b : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  %y = onnx.Add %kept, %fill : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<5x2x2xf32>
  return %y : tensor<5x2x2xf32>
}
