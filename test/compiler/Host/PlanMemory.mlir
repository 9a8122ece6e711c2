// RUN: rapt-opt %s --host-bufferize --host-plan-memory --split-input-file | FileCheck %s

// A chain of five buffers of the same size needs two slots.
// CHECK: kernel.memory = {buffers = 4 : i64, bytes = "32 * n", slots = 2 : i64, weight_bytes = 0 : i64}
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[ARENA:[^:]*]]: memref<?xi8> {kernel.arena}) -> (index, index)
// CHECK: %[[N:.*]] = kernel.dim "n"
// CHECK-NOT: memref.alloc
// CHECK: %[[T0:.*]] = memref.view %[[ARENA]][%[[FIRST:.*]]][%[[N]]]
// CHECK: outs(%[[T0]])
// CHECK: %[[T1:.*]] = memref.view %[[ARENA]][%[[SECOND:.*]]][%[[N]]]
// CHECK: ins(%[[T0]]) outs(%[[T1]])
// CHECK: memref.view %[[ARENA]][%[[FIRST]]]
// CHECK: memref.view %[[ARENA]][%[[SECOND]]]
// CHECK: return %[[N]], %{{.*}} : index, index
module {
  func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["n", 4]})
      -> (tensor<?x4xf32> {onnx.name = "y"}) attributes {kernel.symbols = ["n"]} {
    %n = kernel.dim "n"
    %0 = kernel.call @f dims(%n) ins(%x) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?x4xf32>) -> tensor<?x4xf32>
    %1 = kernel.call @f dims(%n) ins(%0) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?x4xf32>) -> tensor<?x4xf32>
    %2 = kernel.call @f dims(%n) ins(%1) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?x4xf32>) -> tensor<?x4xf32>
    %3 = kernel.call @f dims(%n) ins(%2) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?x4xf32>) -> tensor<?x4xf32>
    %y = kernel.call @f dims(%n) ins(%3) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Static shapes give numbers. A view keeps its base alive: %0 may not share with %2.
// CHECK: kernel.memory = {buffers = 3 : i64, bytes = "192", slots = 3 : i64
// CHECK-LABEL: func.func @main(
// CHECK: memref.view %{{.*}}[%c0
// CHECK: memref.view %{{.*}}[%c64
// CHECK: memref.view %{{.*}}[%c128
module {
  func.func @main(%x: tensor<2x4xf32> {onnx.name = "x", onnx.dims = [2, 4]}) -> (tensor<8xf32> {onnx.name = "y"}) {
    %0 = kernel.call @f dims() ins(%x) shapes [array<i64>] -> [array<i64>] : (tensor<2x4xf32>) -> tensor<2x4xf32>
    %v = tensor.collapse_shape %0 [[0, 1]] : tensor<2x4xf32> into tensor<8xf32>
    %1 = kernel.call @f dims() ins(%x) shapes [array<i64>] -> [array<i64>] : (tensor<2x4xf32>) -> tensor<2x4xf32>
    %2 = kernel.call @f dims() ins(%1) shapes [array<i64>] -> [array<i64>] : (tensor<2x4xf32>) -> tensor<2x4xf32>
    %y = kernel.call @g dims() ins(%v, %2) shapes [array<i64>, array<i64>] -> [array<i64>] : (tensor<8xf32>, tensor<2x4xf32>) -> tensor<8xf32>
    return %y : tensor<8xf32>
  }
}

// -----

// A buffer of m elements and one of n: neither is known to be the larger, so they share the maximum.
// CHECK: bytes = "max({{4 \* [nm], 4 \* [nm]}}) + 4"
// CHECK-LABEL: func.func @main(
module {
  func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}, %z: tensor<?xf32> {onnx.name = "z", onnx.dims = ["m"]})
      -> (tensor<f32> {onnx.name = "y"}) attributes {kernel.symbols = ["n", "m"]} {
    %n = kernel.dim "n"
    %m = kernel.dim "m"
    %0 = kernel.call @f dims(%n) ins(%x) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?xf32>) -> tensor<?xf32>
    %1 = kernel.call @sum dims(%n) ins(%0) shapes [array<i64: 0>] -> [array<i64>] : (index, tensor<?xf32>) -> tensor<f32>
    %2 = kernel.call @f dims(%m) ins(%z) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?xf32>) -> tensor<?xf32>
    %y = kernel.call @add dims(%m) ins(%1, %2) shapes [array<i64>, array<i64: 0>] -> [array<i64>] : (index, tensor<f32>, tensor<?xf32>) -> tensor<f32>
    return %y : tensor<f32>
  }
}

// -----

// What may be empty has room for one element: the buffer of %0, and memory of the arena in the place of %x when
// `past` is 0. `past + seq` is never empty, and neither is what has no dim of that kind.
// CHECK: least = array<i32: 0, 1>
// CHECK-SAME: bytes = "16 * max(past, 1)"
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: memref<?x4xf32> {onnx.dims = ["past", 4], onnx.name = "x"}, %[[K:[^:]*]]: memref
// CHECK: %[[PAST:.*]] = kernel.dim "past" maybe_empty
// CHECK: arith.maxsi %[[PAST]], %c1
// CHECK: %[[EMPTY:.*]] = arith.cmpi eq, %[[PAST]], %c0
// CHECK: %[[ROOM:.*]] = memref.view %{{.*}}[%{{.*}}][%[[PAST]]] : memref<?xi8> to memref<?x4xf32>
// CHECK: %[[GIVEN:.*]] = arith.select %[[EMPTY]], %[[ROOM]], %[[X]] : memref<?x4xf32>
// CHECK-NOT: arith.select
// CHECK: kernel.call @f dims(%[[PAST]]) ins(%[[GIVEN]])
// CHECK: kernel.call @concat {{.*}}, %[[K]])
module {
  func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["past", 4]},
                  %k: tensor<?x4xf32> {onnx.name = "k", onnx.dims = ["seq", 4]})
      -> (tensor<?x4xf32> {onnx.name = "y"}) attributes {kernel.symbols = ["past", "seq"], kernel.maybe_empty = ["past"]} {
    %past = kernel.dim "past" maybe_empty
    %seq = kernel.dim "seq"
    %total = arith.addi %past, %seq : index
    %0 = kernel.call @f dims(%past) ins(%x) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?x4xf32>) -> tensor<?x4xf32>
    %y = kernel.call @concat dims(%past, %seq, %total) ins(%0, %k) shapes [array<i64: 0>, array<i64: 1>] -> [array<i64: 2>] : (index, index, index, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
