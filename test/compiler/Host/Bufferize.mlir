// RUN: rapt-opt %s --host-bufferize --split-input-file | FileCheck %s

// Weights become offsets into one blob, each distinct weight once; the same data in another layout is
// another weight.
// CHECK-LABEL: module
// CHECK-SAME: kernel.memory = {weight_bytes = 256 : i64}
// CHECK-SAME: kernel.weight_table = [{{.*}}offset = 0 : i64{{.*}}offset = 64 : i64{{.*}}offset = 128 : i64
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: memref<?x4xf32> {onnx.dims = ["n", 4], onnx.name = "x"}
// CHECK-SAME: %[[Y:[^:]*]]: memref<?x4xf32> {kernel.output, onnx.name = "y"}
// CHECK-SAME: %[[W:[^:]*]]: memref<?xi8> {kernel.weights}
// CHECK-SAME: ) -> index
// CHECK: %[[N:.*]] = kernel.dim "n"
// CHECK-NOT: kernel.weight
// CHECK: %[[A:.*]] = memref.view %[[W]][%{{.*}}][] : memref<?xi8> to memref<4x4xf32>
// CHECK: memref.view %[[W]]
// CHECK: memref.view %[[W]]
// CHECK: memref.view %[[W]]
// CHECK: %[[T:.*]] = memref.alloc(%[[N]]) : memref<?x4xf32>
// CHECK: kernel.call @f dims(%[[N]]) ins(%[[X]], %[[A]]) outs(%[[T]])
// The returned result is computed in the caller's buffer.
// CHECK: kernel.call @f dims(%[[N]]) ins(%[[T]], %{{.*}}) outs(%[[Y]])
// CHECK-NOT: memref.copy
// CHECK: return %[[N]] : index
module {
  func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["n", 4]})
      -> (tensor<?x4xf32> {onnx.name = "y"}) attributes {kernel.symbols = ["n"]} {
    %a = kernel.weight [dense<1.0> : tensor<4x4xf32>] : tensor<4x4xf32>
    %b = kernel.weight [dense<1.0> : tensor<4x4xf32>] : tensor<4x4xf32>
    %c = kernel.weight [dense<1.0> : tensor<4x4xf32>] {perm = array<i64: 1, 0>} : tensor<4x4xf32>
    %d = kernel.weight [dense<1.0> : tensor<4x4xf32>] {panel = 8 : i64} : tensor<4x4xf32>
    %n = kernel.dim "n"
    %t = kernel.call @f dims(%n) ins(%x, %a) shapes [array<i64: 0>, array<i64>] -> [array<i64: 0>] : (index, tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %y = kernel.call @f dims(%n) ins(%t, %d) shapes [array<i64: 0>, array<i64>] -> [array<i64: 0>] : (index, tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// What is returned as a view, twice, or straight from an argument. Index arithmetic comes first, and one
// kernel.dim stands for each symbol.
// CHECK: kernel.interface = {inputs = [{{.*}}dims = array<i64: -1, -2, 4>{{.*}}], least = array<i32: 1, 1>, outputs = [
// CHECK-SAME: name = "flat", texts = ["batch * seq", "4"]
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[^:]*]]: memref<?x?x4xf32>
// CHECK-SAME: %[[FLAT:[^:]*]]: memref<?x4xf32>
// CHECK-SAME: %[[AGAIN:[^:]*]]: memref<?x?x4xf32>
// CHECK-SAME: %[[SAME:[^:]*]]: memref<?x?x4xf32>
// CHECK: %[[B:.*]] = kernel.dim "batch"
// CHECK: %[[S:.*]] = kernel.dim "seq"
// CHECK-NOT: kernel.dim
// CHECK: %[[BS:.*]] = arith.muli %[[B]], %[[S]]
// CHECK: %[[OUT:.*]] = memref.expand_shape %[[FLAT]] {{.*}} output_shape [%[[B]], %[[S]], 4]
// CHECK: kernel.call @g {{.*}} outs(%[[OUT]])
// CHECK-DAG: memref.copy %[[OUT]], %[[AGAIN]]
// CHECK-DAG: memref.copy %[[X]], %[[SAME]]
// CHECK: return %[[BS]], %[[B]], %[[S]], %[[B]], %[[S]]
module {
  func.func @main(%x: tensor<?x?x4xf32> {onnx.name = "x", onnx.dims = ["batch", "seq", 4]})
      -> (tensor<?x4xf32> {onnx.name = "flat"}, tensor<?x?x4xf32> {onnx.name = "again"}, tensor<?x?x4xf32> {onnx.name = "same"})
      attributes {kernel.symbols = ["batch", "seq"]} {
    %b = kernel.dim "batch"
    %s = kernel.dim "seq"
    %y = kernel.call @g dims(%b, %s) ins(%x) shapes [array<i64: 0, 1>] -> [array<i64: 0, 1>] : (index, index, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
    %flat = tensor.collapse_shape %y [[0, 1], [2]] : tensor<?x?x4xf32> into tensor<?x4xf32>
    return %flat, %y, %x : tensor<?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
  }
}
