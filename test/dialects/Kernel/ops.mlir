// RUN: rapt-opt %s | rapt-opt | FileCheck %s

// CHECK-LABEL: func @region
func.func @region(%x: tensor<?x?x384xf32>) -> tensor<?x?x1536xf32> attributes {kernel.symbols = ["batch", "seq"], kernel.maybe_empty = ["past"]} {
  // CHECK: kernel.dim "batch"{{$}}
  %batch = kernel.dim "batch"
  %seq = kernel.dim "seq"
  // CHECK: kernel.dim "past" maybe_empty{{$}}
  %past = kernel.dim "past" maybe_empty
  // CHECK: kernel.measured_dim "count(y)" at_most %{{.*}}{{$}}
  %later = kernel.measured_dim "count(y)" at_most %seq
  %count = arith.constant dense<3> : tensor<1xi64>
  // CHECK: kernel.measure "count(y)" %{{.*}} at_most %{{.*}} : tensor<1xi64>
  %now = kernel.measure "count(y)" %count at_most %seq : tensor<1xi64>
  %c512 = arith.constant 512 : index
  // CHECK: kernel.require %{{.*}}, %{{.*}} "seq (%lld) exceeds %lld"
  kernel.require %seq, %c512 "seq (%lld) exceeds %lld"
  // CHECK: kernel.weight [dense<1.000000e+00> : tensor<384x1536xf32>] {panel = 48 : i64} : tensor<384x1536xf32>
  %w = kernel.weight [dense<1.0> : tensor<384x1536xf32>] {panel = 48 : i64} : tensor<384x1536xf32>
  // CHECK: kernel.region "linear" dims(%{{.*}}, %{{.*}}) ins(%{{.*}}, %{{.*}}) shapes
  // CHECK-SAME: schedule(<gemm {tile_cols = 48 : i64, tile_rows = 8 : i64}>)
  %y = kernel.region "linear" dims(%batch, %seq) ins(%x, %w)
      shapes [array<i64: 0, 1>, array<i64>] -> [array<i64: 0, 1>]
      schedule(<gemm {tile_rows = 8 : i64, tile_cols = 48 : i64}>)
      : (tensor<?x?x384xf32>, tensor<384x1536xf32>) -> tensor<?x?x1536xf32> {
  ^bb0(%d0: index, %d1: index, %x0: tensor<?x?x384xf32>, %w0: tensor<384x1536xf32>):
    %e = tensor.empty(%d0, %d1) : tensor<?x?x1536xf32>
    kernel.yield %e : tensor<?x?x1536xf32>
  }
  return %y : tensor<?x?x1536xf32>
}

// CHECK-LABEL: kernel.func @k0 dims 1 shapes [array<i64: 0>] -> [array<i64: 0>] panels [0]
kernel.func @k0 dims 1 shapes [array<i64: 0>] -> [array<i64: 0>] panels [0]
    schedule(<pointwise {vector = 16 : i64}>) {
^bb0(%d0: index, %x: tensor<?xf32>):
  kernel.yield %x : tensor<?xf32>
}

// CHECK-LABEL: func @call
func.func @call(%x: tensor<?xf32>) -> tensor<?xf32> {
  %n = kernel.dim "n"
  // CHECK: kernel.call @k0 dims(%{{.*}}) ins(%{{.*}}) shapes [array<i64: 0>] -> [array<i64: 0>]
  %y = kernel.call @k0 dims(%n) ins(%x) shapes [array<i64: 0>] -> [array<i64: 0>] : (index, tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
