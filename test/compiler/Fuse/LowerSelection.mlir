// RUN: rapt-opt %s --fuse-lower --split-input-file --verify-diagnostics | FileCheck %s

// NonZero: a count, its measure, and a loop that fills as many columns. What uses the size stands behind the
// measure, wherever it stood.
// CHECK-LABEL: func.func @nonzero(
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>
// CHECK: %[[N:.*]] = kernel.dim "n"
// CHECK: %[[BOUND:.*]] = arith.muli %[[N]]
// CHECK: %[[COUNT:.*]] = linalg.generic
// CHECK: arith.cmpf une
// CHECK: %[[SIZE:.*]] = kernel.measure "count(y)" %[[COUNT]] at_most %[[BOUND]] : tensor<1xi64>
// CHECK-NOT: kernel.measured_dim
// CHECK-DAG: %[[EMPTY:.*]] = tensor.empty(%[[SIZE]]) : tensor<2x?xi64>
// CHECK-DAG: tensor.empty(%[[SIZE]]) : tensor<?xf32>
// CHECK-DAG: %[[ZEROS:.*]] = linalg.fill ins(%{{.*}} : i64) outs(%[[EMPTY]]
// CHECK-DAG: scf.for {{.*}}%[[ZEROS]]
// CHECK: return
func.func @nonzero(%x: tensor<?x4xf32> {onnx.dims = ["n", 4]}) -> (tensor<?xf32>, tensor<2x?xi64>) {
  %n = kernel.dim "n"
  %four = arith.constant 4 : index
  %bound = arith.muli %n, %four : index
  %size = kernel.measured_dim "count(y)" at_most %bound
  %word = arith.index_cast %size : index to i64
  %shape = tensor.from_elements %word : tensor<1xi64>
  %two = onnx.Constant dense<2.0> : tensor<f32> : tensor<f32>
  %filled = onnx.Expand %two, %shape : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
  %y = onnx.NonZero %x size "count(y)" : (tensor<?x4xf32>) -> tensor<2x?xi64>
  return %filled, %y : tensor<?xf32>, tensor<2x?xi64>
}

// -----

// A requirement on the size stands right behind the measure, before the loop that fills.
// CHECK-LABEL: func.func @required(
// CHECK: %[[SIZE:.*]] = kernel.measure
// CHECK-NOT: scf.for
// CHECK: kernel.require %[[SIZE]], %{{.*}} "at most %lld, not %lld"
// CHECK: scf.for
func.func @required(%x: tensor<?xi32> {onnx.dims = ["n"]}) -> tensor<1x?xi64> {
  %n = kernel.dim "n"
  %size = kernel.measured_dim "s" at_most %n
  %most = arith.constant 7 : index
  kernel.require %size, %most "at most %lld, not %lld"
  %y = onnx.NonZero %x size "s" : (tensor<?xi32>) -> tensor<1x?xi64>
  return %y : tensor<1x?xi64>
}

// -----

// A part of a Concat that may have no rows is read from memory of its own.
// CHECK-LABEL: func.func @joined(
// CHECK: kernel.measure
// CHECK: linalg.generic {{.*}} attrs = {kernel.stored}
// CHECK: arith.negf
func.func @joined(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<?xf32> {
  %y = onnx.NonZero %x size "s" : (tensor<?xf32>) -> tensor<1x?xi64>
  %i = onnx.Squeeze %y {axes = array<i64: 0>} : (tensor<1x?xi64>) -> tensor<?xi64>
  %rows = onnx.Gather %x, %i {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %less = onnx.Neg %rows : (tensor<?xf32>) -> tensor<?xf32>
  %both = onnx.Concat %less, %x {axis = 0 : i64} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %both : tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @ranks(
// CHECK: linalg.fill ins(%{{.*}} : i64)
// CHECK: scf.for
// CHECK: scf.while
// CHECK: return
func.func @ranks(%x: tensor<?x3xf32> {onnx.dims = ["n", 3]}) -> (tensor<?xi64>, tensor<?xi64>) {
  %r, %f = onnx.RankRows %x : (tensor<?x3xf32>) -> (tensor<?xi64>, tensor<?xi64>)
  return %r, %f : tensor<?xi64>, tensor<?xi64>
}

// -----

func.func @twice(%x: tensor<?xf32> {onnx.dims = ["n"]}, %z: tensor<?xf32> {onnx.dims = ["n"]}) -> (tensor<1x?xi64>, tensor<1x?xi64>) {
  %a = onnx.NonZero %x size "s" : (tensor<?xf32>) -> tensor<1x?xi64>
  // expected-error @+1 {{measures 's', which another operation does}}
  %b = onnx.NonZero %z size "s" : (tensor<?xf32>) -> tensor<1x?xi64>
  return %a, %b : tensor<1x?xi64>, tensor<1x?xi64>
}

// -----

// expected-error @+1 {{names 's', which nothing measures}}
func.func @never(%x: tensor<f32>) -> tensor<?xf32> {
  %n = kernel.dim "n"
  %size = kernel.measured_dim "s" at_most %n
  %word = arith.index_cast %size : index to i64
  %shape = tensor.from_elements %word : tensor<1xi64>
  %filled = onnx.Expand %x, %shape : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
  return %filled : tensor<?xf32>
}

// -----

func.func @scalar(%x: tensor<f32>) -> tensor<0x?xi64> {
  // expected-error @+1 {{is not supported on scalars}}
  %y = onnx.NonZero %x size "s" : (tensor<f32>) -> tensor<0x?xi64>
  return %y : tensor<0x?xi64>
}
