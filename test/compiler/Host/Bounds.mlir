// RUN: rapt-opt %s --host-bufferize --split-input-file | FileCheck %s --check-prefix=BUFFERS
// RUN: rapt-opt %s --host-bufferize --host-plan-memory --split-input-file | FileCheck %s

// What depends on the measured size stands behind the measure, the rest in front. The interface gives the bound.
// BUFFERS-LABEL: module
// BUFFERS-SAME: texts = ["2", "count(y) <= n * 4"]
// BUFFERS-SAME: texts = ["n - count(y) <= n"]
// BUFFERS: func.func @main(
// BUFFERS: %[[N:.*]] = kernel.dim "n"
// BUFFERS: %[[BOUND:.*]] = arith.muli %[[N]]
// BUFFERS-NOT: arith.subi
// BUFFERS: %[[COUNT:.*]] = memref.alloc() : memref<1xi64>
// BUFFERS: kernel.call @count dims(%[[N]]) ins(%{{.*}}) outs(%[[COUNT]])
// BUFFERS: %[[SIZE:.*]] = kernel.measure "count(y)" %[[COUNT]] at_most %[[BOUND]] : memref<1xi64>
// BUFFERS: %[[REST:.*]] = arith.subi %[[N]], %[[SIZE]]
// BUFFERS: kernel.require %[[SIZE]], %{{.*}} "at most"
// BUFFERS: kernel.call @fill dims(%[[N]], %[[SIZE]])
// BUFFERS: return %[[SIZE]], %[[REST]] : index, index

// The arena is for the bound: n numbers where n - count(y) are. The count lies there before.
// CHECK-LABEL: module
// CHECK-SAME: bytes = "max(4 * n, 8)"
// CHECK: func.func @main(
// CHECK: kernel.measure
// CHECK: memref.view %{{.*}}[%{{.*}}][%{{.*}}] : memref<?xi8> to memref<?xf32>
module {
  func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["n", 4]})
      -> (tensor<2x?xi64> {onnx.name = "y"}, tensor<?xf32> {onnx.name = "z"}) attributes {kernel.symbols = ["n"]} {
    %n = kernel.dim "n"
    %four = arith.constant 4 : index
    %bound = arith.muli %n, %four : index
    %count = kernel.call @count dims(%n) ins(%x) shapes [array<i64: 0>] -> [array<i64>] : (index, tensor<?x4xf32>) -> tensor<1xi64>
    %size = kernel.measure "count(y)" %count at_most %bound : tensor<1xi64>
    %rest = arith.subi %n, %size : index
    kernel.require %size, %four "at most"
    %y = kernel.call @fill dims(%n, %size) ins(%x) shapes [array<i64: 0>] -> [array<i64: 1>] : (index, index, tensor<?x4xf32>) -> tensor<2x?xi64>
    %t = kernel.call @rest dims(%n, %rest) ins(%x) shapes [array<i64: 0>] -> [array<i64: 1>] : (index, index, tensor<?x4xf32>) -> tensor<?xf32>
    %z = kernel.call @more dims(%rest) ins(%t) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?xf32>) -> tensor<?xf32>
    return %y, %z : tensor<2x?xi64>, tensor<?xf32>
  }
}

// -----

// Products, quotients, least and greatest of measured sizes.
// BUFFERS-LABEL: module
// BUFFERS-SAME: texts = ["(n - count(y)) / 2 * count(y) <= n / 2 * n"]
// CHECK-LABEL: module
// CHECK: func.func @main(
// CHECK: kernel.measure
module {
  func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]})
      -> (tensor<?xf32> {onnx.name = "y"}) attributes {kernel.symbols = ["n"]} {
    %n = kernel.dim "n"
    %two = arith.constant 2 : index
    %count = kernel.call @count dims(%n) ins(%x) shapes [array<i64: 0>] -> [array<i64>] : (index, tensor<?xf32>) -> tensor<1xi64>
    %size = kernel.measure "count(y)" %count at_most %n : tensor<1xi64>
    %rest = arith.subi %n, %size : index
    %half = arith.floordivsi %rest, %two : index
    %some = arith.muli %half, %size : index
    %y = kernel.call @fill dims(%n, %some) ins(%x) shapes [array<i64: 0>] -> [array<i64: 1>] : (index, index, tensor<?xf32>) -> tensor<?xf32>
    return %y : tensor<?xf32>
  }
}
