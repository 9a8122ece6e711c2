// RUN: rapt-opt --simplify-fold %s | FileCheck %s

// CHECK-LABEL: func @transpose
// CHECK: %[[C:.*]] = onnx.Constant dense<{{\[}}[1.000000e+00, 4.000000e+00], [2.000000e+00, 5.000000e+00], [3.000000e+00, 6.000000e+00]]>
// CHECK-NEXT: return %[[C]]
func.func @transpose() -> tensor<3x2xf32> {
  %x = onnx.Constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32> : tensor<2x3xf32>
  %y = onnx.Transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}

// 16777216 + 1 is not an f32: each step is rounded as the operation rounds.
// CHECK-LABEL: func @rounds
// CHECK: onnx.Constant dense<0.000000e+00> : tensor<f32>
// CHECK-NEXT: return
func.func @rounds() -> tensor<f32> {
  %big = onnx.Constant dense<16777216.0> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %sum = onnx.Add %big, %one : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %rest = onnx.Sub %sum, %big : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %rest : tensor<f32>
}

// CHECK-LABEL: func @wraps
// CHECK: onnx.Constant dense<-128> : tensor<i8>
// CHECK-NEXT: return
func.func @wraps() -> tensor<i8> {
  %x = onnx.Constant dense<127> : tensor<i8> : tensor<i8>
  %one = onnx.Constant dense<1> : tensor<i8> : tensor<i8>
  %y = onnx.Add %x, %one : (tensor<i8>, tensor<i8>) -> tensor<i8>
  return %y : tensor<i8>
}

// Larger than 64 Ki elements: left alone.
// CHECK-LABEL: func @too_large
// CHECK: onnx.Exp
func.func @too_large() -> tensor<300x300xf32> {
  %x = onnx.Constant dense<1.0> : tensor<300x300xf32> : tensor<300x300xf32>
  %y = onnx.Exp %x : (tensor<300x300xf32>) -> tensor<300x300xf32>
  return %y : tensor<300x300xf32>
}

// What an operation asks of the dims is a fact only where it is checked before a run.
// CHECK-LABEL: func @not_checked
// CHECK: onnx.Equal
func.func @not_checked(%x: tensor<?xf32> {onnx.dims = ["n"]}, %table: tensor<512xf32>) -> (tensor<?xf32>, tensor<1xi1>) {
  %n = kernel.dim "n"
  %n64 = arith.index_cast %n : index to i64
  %from = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %to = tensor.from_elements %n64 : tensor<1xi64>
  %rows = onnx.Slice %table, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<512xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  %sum = onnx.Add %rows, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %big = onnx.Constant dense<600> : tensor<1xi64> : tensor<1xi64>
  %is = onnx.Equal %to, %big : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi1>
  return %sum, %is : tensor<?xf32>, tensor<1xi1>
}

// CHECK-LABEL: func @checked
// CHECK: onnx.Constant dense<false>
// CHECK-NOT: onnx.Equal
func.func @checked(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<1xi1> {
  %n = kernel.dim "n"
  %most = arith.constant 512 : index
  kernel.require %n, %most "n is %lld, expected at most %lld"
  %n64 = arith.index_cast %n : index to i64
  %to = tensor.from_elements %n64 : tensor<1xi64>
  %big = onnx.Constant dense<600> : tensor<1xi64> : tensor<1xi64>
  %is = onnx.Equal %to, %big : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi1>
  return %is : tensor<1xi1>
}
