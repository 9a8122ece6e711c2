// RUN: rapt-opt --fuse-lower --split-input-file %s | FileCheck %s
// Running products, and folds of no elements.

// CHECK-LABEL: func.func @product(
// CHECK: linalg.fill ins(%{{.*}} : f32)
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: %[[TAKEN:.*]] = arith.cmpi sgt
// CHECK: arith.select %[[TAKEN]]
// CHECK: arith.mulf
func.func @product(%x: tensor<2x5xf32>) -> tensor<2x5xf32> {
  %0 = onnx.CumProd %x {axis = 1 : i64, exclusive = true, reverse = true} : (tensor<2x5xf32>) -> tensor<2x5xf32>
  return %0 : tensor<2x5xf32>
}

// -----

// The maximum of nothing is -inf, and no kernel reads the empty tensor.
// CHECK-LABEL: func.func @nothing(
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel"]
// CHECK: arith.constant 0xFF800000 : f32
// CHECK-NOT: reduction
func.func @nothing(%x: tensor<4x0xf32>) -> tensor<4xf32> {
  %0 = onnx.ReduceMax %x {axes = array<i64: 1>, keepdims = false} : (tensor<4x0xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// What has no elements is not computed.
// CHECK-LABEL: func.func @empty(
// CHECK: %[[E:.*]] = tensor.empty() : tensor<0x3xf32>
// CHECK-NOT: linalg.generic
// CHECK: return %[[E]]
func.func @empty(%x: tensor<0x3xf32>) -> tensor<0x3xf32> {
  %0 = onnx.Exp %x : (tensor<0x3xf32>) -> tensor<0x3xf32>
  return %0 : tensor<0x3xf32>
}
