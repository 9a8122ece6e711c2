// RUN: rapt-opt --fuse-lower --split-input-file %s | FileCheck %s
// Loops over tensors: what they carry, and what is made in front of them.

// States and stacked results are carried; each iteration reads a slice and writes over its state.
// The constant and the product of captured values stand in front of the loop.
// CHECK-LABEL: func.func @states(
// CHECK: %[[COUNT:.*]] = kernel.dim "seq"
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: %[[STACK:.*]] = tensor.empty(%[[COUNT]]) : tensor<?x2x4xf32>
// CHECK: %[[LOOP:.*]]:2 = scf.for %[[I:.*]] = %{{.*}} to %[[COUNT]] step %{{.*}} iter_args(%[[H:.*]] = %arg0, %[[ALL:.*]] = %[[STACK]])
// CHECK-NOT: reduction
// CHECK: tensor.extract_slice %arg1[%[[I]], 0, 0] [1, 2, 4] [1, 1, 1] : tensor<?x2x4xf32> to tensor<2x4xf32>
// CHECK: %[[SUM:.*]] = linalg.generic
// CHECK: arith.addf
// CHECK: %[[LAST:.*]] = arith.subi %[[COUNT]], %{{.*}}
// CHECK: %[[BACK:.*]] = arith.subi %[[LAST]], %[[I]]
// CHECK: %[[PUT:.*]] = tensor.insert_slice %{{.*}} into %[[ALL]][%[[BACK]], 0, 0]
// CHECK: %[[OVER:.*]] = linalg.generic {{.*}} outs(%[[H]] : tensor<2x4xf32>)
// CHECK: scf.yield %[[OVER]], %[[PUT]]
// CHECK: return %[[LOOP]]#0, %[[LOOP]]#1
func.func @states(%h: tensor<2x4xf32>, %x: tensor<?x2x4xf32> {onnx.dims = ["seq", 2, 4]}, %w: tensor<4x4xf32>)
    -> (tensor<2x4xf32>, tensor<?x2x4xf32>) {
  %0:2 = onnx.Loop states(%h) scanned(%x) {scanned_reverse = array<i1: false>, stacked_reverse = array<i1: true>}
      : (tensor<2x4xf32>, tensor<?x2x4xf32>) -> (tensor<2x4xf32>, tensor<?x2x4xf32>) {
  ^bb0(%i: tensor<i64>, %s: tensor<2x4xf32>, %row: tensor<2x4xf32>):
    %m = onnx.MatMul %h, %w : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    %a = onnx.Add %s, %row : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    %n = onnx.Mul %a, %m : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    onnx.Yield %n, %a : tensor<2x4xf32>, tensor<2x4xf32>
  }
  return %0#0, %0#1 : tensor<2x4xf32>, tensor<?x2x4xf32>
}

// -----

// States that change places are copied before one is written over; one that stays is as it was.
// CHECK-LABEL: func.func @swap(
// CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %arg0, %[[B:.*]] = %arg1)
// CHECK: %[[NEXT_A:.*]] = linalg.generic {{.*}} ins(%[[B]] :
// CHECK: %[[NEXT_B:.*]] = linalg.generic {{.*}} ins(%[[A]] :
// CHECK: linalg.generic {{.*}} ins(%[[NEXT_A]] : {{.*}}) outs(%[[A]] :
// CHECK: linalg.generic {{.*}} ins(%[[NEXT_B]] : {{.*}}) outs(%[[B]] :
func.func @swap(%a: tensor<4xf32>, %b: tensor<4xf32>, %x: tensor<3x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0:2 = onnx.Loop states(%a, %b) scanned(%x) {scanned_reverse = array<i1: true>, stacked_reverse = array<i1>}
      : (tensor<4xf32>, tensor<4xf32>, tensor<3x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %s: tensor<4xf32>, %t: tensor<4xf32>, %row: tensor<4xf32>):
    onnx.Yield %t, %s : tensor<4xf32>, tensor<4xf32>
  }
  return %0#0, %0#1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// A condition and a count from data: scf.while.
// CHECK-LABEL: func.func @condition(
// CHECK: %[[LOOP:.*]]:3 = scf.while (%[[I:.*]] = %{{.*}}, %[[S:.*]] = %arg2, %[[C:.*]] = %arg1)
// CHECK: %[[GO:.*]] = tensor.extract %[[C]][] : tensor<i1>
// CHECK: %[[MOST:.*]] = tensor.extract %arg0[] : tensor<i64>
// CHECK: %[[LIMIT:.*]] = arith.index_cast %[[MOST]]
// CHECK: %[[FEW:.*]] = arith.cmpi slt, %[[I]], %[[LIMIT]]
// CHECK: %[[BOTH:.*]] = arith.andi %[[FEW]], %[[GO]]
// CHECK: scf.condition(%[[BOTH]])
// CHECK: return %[[LOOP]]#1
func.func @condition(%n: tensor<i64>, %c: tensor<i1>, %h: tensor<f32>) -> tensor<f32> {
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %0 = onnx.Loop count(%n) while(%c) states(%h) scanned() {scanned_reverse = array<i1>, stacked_reverse = array<i1>}
      : (tensor<i64>, tensor<i1>, tensor<f32>) -> tensor<f32> {
  ^bb0(%i: tensor<i64>, %s: tensor<f32>):
    %m = onnx.Add %s, %s : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %less = onnx.Less %m, %one : (tensor<f32>, tensor<f32>) -> tensor<i1>
    onnx.Yield %less, %m : tensor<i1>, tensor<f32>
  }
  return %0 : tensor<f32>
}

// -----

// An index that is computed in the body: the first wrong one is carried and checked after the loop.
// CHECK-LABEL: func.func @check(
// CHECK: %[[ZERO:.*]] = linalg.fill {{.*}} -> tensor<1xi64>
// CHECK: %[[LOOP:.*]]:2 = scf.for {{.*}} iter_args(%{{.*}} = %arg0, %[[SLOT:.*]] = %[[ZERO]])
// CHECK-NOT: kernel.check_indices
// CHECK: scf.yield
// CHECK: kernel.check_indices %[[LOOP]]#1[] in -9 to %{{.*}} "{{.*}}: index %lld at position %lld is outside dim 0 (9) of its data"
func.func @check(%h: tensor<2xi64>, %x: tensor<3x2xi64>, %table: tensor<9xi64>) -> tensor<2xi64> {
  %0 = onnx.Loop states(%h) scanned(%x) {scanned_reverse = array<i1: false>, stacked_reverse = array<i1>}
      : (tensor<2xi64>, tensor<3x2xi64>) -> tensor<2xi64> {
  ^bb0(%i: tensor<i64>, %s: tensor<2xi64>, %row: tensor<2xi64>):
    %n = onnx.Add %s, %row : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
    %g = onnx.Gather %table, %n {axis = 0 : i64} : (tensor<9xi64>, tensor<2xi64>) -> tensor<2xi64>
    onnx.Yield %g : tensor<2xi64>
  }
  return %0 : tensor<2xi64>
}
