// RUN: rapt-opt %s --simplify-shapes --cse --fuse-lower --cse --form-regions --cse --split-input-file | FileCheck %s

// The size is required to be 3, so types say 3 behind the Squeeze. Nothing reads as many before that is checked.
// CHECK-LABEL: func.func @required(
// CHECK: %[[COUNT:.*]] = kernel.region
// CHECK: %[[SIZE:.*]] = kernel.measure "s" %[[COUNT]]
// CHECK-NOT: kernel.region
// CHECK: kernel.require {{.*}}%[[SIZE]]{{.*}} equal
// CHECK: kernel.region "loops"
// CHECK: kernel.check_indices
// CHECK: kernel.region
func.func @required(%x: tensor<?x4xf32> {onnx.dims = ["n", 4]}, %keep: tensor<?xi1> {onnx.dims = ["n"]},
                    %w: tensor<3xf32>) -> tensor<3xf32> attributes {kernel.symbols = ["n"]} {
  %y = onnx.NonZero %keep size "s" : (tensor<?xi1>) -> tensor<1x?xi64>
  %i = onnx.Squeeze %y {axes = array<i64: 0>} : (tensor<1x?xi64>) -> tensor<?xi64>
  %rows = onnx.Gather %x, %i {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %sum = onnx.ReduceSum %rows {axes = array<i64: 1>, keepdims = false} : (tensor<?x4xf32>) -> tensor<?xf32>
  %z = onnx.Add %sum, %w : (tensor<?xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %z : tensor<3xf32>
}

// -----

// What scales the product by how many of its elements are positive can not be in the product's kernel.
// CHECK-LABEL: func.func @behind(
// CHECK: %[[PRODUCT:.*]] = kernel.region "matmul"
// CHECK-NOT: arith.subi
// CHECK: %[[COUNT:.*]] = kernel.region
// CHECK: %[[SIZE:.*]] = kernel.measure "s" %[[COUNT]]
// CHECK: kernel.region "pointwise" dims({{.*}}%[[SIZE]]{{.*}}) ins(%[[PRODUCT]])
// CHECK: arith.subi
func.func @behind(%a: tensor<?x8xi64> {onnx.dims = ["n", 8]}, %b: tensor<8x4xi64>) -> tensor<?x4xi64>
    attributes {kernel.symbols = ["n"]} {
  %p = onnx.MatMul %a, %b : (tensor<?x8xi64>, tensor<8x4xi64>) -> tensor<?x4xi64>
  %y = onnx.NonZero %p size "s" : (tensor<?x4xi64>) -> tensor<2x?xi64>
  %size = onnx.Shape %y {start = 1 : i64, end = 2 : i64} : (tensor<2x?xi64>) -> tensor<1xi64>
  %z = onnx.Sub %p, %size : (tensor<?x4xi64>, tensor<1xi64>) -> tensor<?x4xi64>
  return %z : tensor<?x4xi64>
}

// -----

// Without measured sizes requirements stay in front, with the checks.
// CHECK-LABEL: func.func @plain(
// CHECK: kernel.require
// CHECK: kernel.region
func.func @plain(%x: tensor<?xf32> {onnx.dims = ["n"]}, %y: tensor<?xf32> {onnx.dims = ["m"]}) -> tensor<?xf32>
    attributes {kernel.symbols = ["n", "m"]} {
  %z = onnx.Add %x, %y : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}
