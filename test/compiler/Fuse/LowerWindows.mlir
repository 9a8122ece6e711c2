// RUN: rapt-opt --fuse-lower --split-input-file %s | FileCheck %s
// Windows are reductions that read at computed places; writes at computed places are loops.

// The pads become a copy, so that the sum asks nothing.
// CHECK-LABEL: func.func @conv(
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel"]
// CHECK: arith.select
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-NOT: arith.select
// CHECK: arith.mulf
// CHECK: arith.addf
func.func @conv(%x: tensor<1x3x8xf32>, %w: tensor<4x3x3xf32>) -> tensor<1x4x4xf32> {
  %y = onnx.Conv %x, %w {pads = array<i64: 1, 1>, strides = array<i64: 2>, dilations = array<i64: 1>} : (tensor<1x3x8xf32>, tensor<4x3x3xf32>) -> tensor<1x4x4xf32>
  return %y : tensor<1x4x4xf32>
}

// -----

// CHECK-LABEL: func.func @max_pool(
// CHECK: arith.constant 0xFF800000 : f32
// CHECK: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK: arith.maximumf
// CHECK-NOT: linalg.generic
func.func @max_pool(%x: tensor<1x3x8xf32>) -> tensor<1x3x7xf32> {
  %y, %i = onnx.MaxPool %x {kernel_shape = array<i64: 2>, pads = array<i64: 0, 0>, strides = array<i64: 1>, dilations = array<i64: 1>} : (tensor<1x3x8xf32>) -> (tensor<1x3x7xf32>, tensor<1x3x7xi64>)
  return %y : tensor<1x3x7xf32>
}

// -----

// CHECK-LABEL: func.func @scatter(
// CHECK: kernel.check_indices
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %arg0)
// CHECK: tensor.extract
// CHECK: arith.addf
// CHECK: tensor.insert
func.func @scatter(%x: tensor<9xf32>, %i: tensor<4xi64>, %u: tensor<4xf32>) -> tensor<9xf32> {
  %y = onnx.ScatterElements %x, %i, %u {axis = 0 : i64, reduction = "add"} : (tensor<9xf32>, tensor<4xi64>, tensor<4xf32>) -> tensor<9xf32>
  return %y : tensor<9xf32>
}
