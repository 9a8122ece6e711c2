// RUN: rapt-opt %s --host-bufferize --host-plan-memory --host-to-llvm | FileCheck %s

// Percent signs in messages reach a printf: only the two holes stay, whatever the names before hold.
// CHECK: llvm.mlir.global internal constant @{{.*}}("node 'dense' needs a tensor of %lld elements, expected at most %lld\00")
// CHECK: llvm.mlir.global internal constant @{{.*}}("node '%%lld%%n': length %lld is over 100%% of %lld\00")

// The adapter spreads the rows evenly over tiles of at most 8 and calls the smallest variant that fits.
// CHECK: llvm.func @lin_m4(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, !llvm.ptr) -> i32
// CHECK: llvm.func @lin_m8_even
// CHECK: llvm.func @lin_m8(
// CHECK-LABEL: llvm.func internal @lin(
// CHECK-SAME: !llvm.ptr, %{{.*}}: i64, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32
// CHECK: llvm.trunc %{{.*}} : i64 to i32
// CHECK: llvm.alloca
// CHECK: llvm.sdiv
// CHECK: llvm.cond_br
// CHECK: llvm.call @lin_m4(
// CHECK: llvm.and
// CHECK: llvm.cond_br
// CHECK: llvm.call @lin_m8_even(
// CHECK: llvm.call @lin_m8(

// plan: the dim, the graph's requirement, sizes that Halide counts in 32 bits; nothing is called but fail.
// CHECK-LABEL: llvm.func internal @rapt_plan(
// CHECK-SAME: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %[[PLAN:.*]]: !llvm.ptr) -> i32
// CHECK: llvm.icmp "ugt"
// CHECK: llvm.icmp "sgt"
// CHECK: llvm.zext %{{.*}} : i64 to i128
// What the kernel has inside: 32 * n * n + 64 * n elements.
// CHECK: llvm.trunc %{{.*}} : i128 to i64
// CHECK: %[[INNER:.*]] = llvm.add
// CHECK: llvm.add %[[INNER]]
// CHECK: llvm.icmp "ugt"
// CHECK-NOT: llvm.call @
// CHECK: llvm.store %{{.*}}, %[[PLAN]] : i64, !llvm.ptr

// run: the indices before the kernel that they guard; every call's result is looked at.
// CHECK-LABEL: llvm.func internal @rapt_run(
// CHECK: %[[CHECKED:.*]] = llvm.call %{{.*}}(%{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, i64, i32, i64, i64, !llvm.ptr) -> i32
// CHECK: llvm.icmp "ne" %[[CHECKED]]
// CHECK: %[[CODE:.*]] = llvm.call @lin(
// CHECK: llvm.icmp "ne" %[[CODE]]
// CHECK: "llvm.intr.memcpy"
// CHECK-NOT: func.func
// CHECK-NOT: kernel.func
module {
  func.func @main(%x: tensor<?x3xf32> {onnx.name = "x", onnx.dims = ["n", 3]}, %i: tensor<?xi64> {onnx.name = "i", onnx.dims = ["n"]})
      -> (tensor<?x5xf32> {onnx.name = "y"}, tensor<?x3xf32> {onnx.name = "same"}) attributes {kernel.symbols = ["n"]} {
    %n = kernel.dim "n"
    %most = arith.constant 512 : index
    kernel.require %n, %most "node '%lld%n': length %lld is over 100% of %lld"
    kernel.check_indices %i[%n] in 0 to %most "index %lld at %lld" : tensor<?xi64>
    %w = kernel.weight [dense<1.0> : tensor<3x5xf32>] {panel = 4 : i64} : tensor<3x5xf32>
    %y = kernel.call @lin dims(%n) ins(%x, %w) shapes [array<i64: 0>, array<i64>] -> [array<i64: 0>] : (index, tensor<?x3xf32>, tensor<3x5xf32>) -> tensor<?x5xf32> loc("dense")
    return %y, %x : tensor<?x5xf32>, tensor<?x3xf32>
  }
  kernel.func @lin dims 1 shapes [array<i64: 0>, array<i64>] -> [array<i64: 0>] panels [0, 4] schedule(<gemm {}>) attributes {object = {
      variants = [{symbol = "lin_m4", max_tile = 4 : i64, max_rows = 0 : i64},
                  {symbol = "lin_m8_even", max_tile = 8 : i64, max_rows = 127 : i64},
                  {symbol = "lin_m8", max_tile = 8 : i64, max_rows = 0 : i64}],
      rows = array<i64: 1, 0>, scratch = [array<i64: 1024>, array<i64: 8, 0>], inner = [[array<i64: 32, 0, 0>, array<i64: 64, 0>]],
      tensors = [{type = "f32", shape = [array<i64: 1, 0>, array<i64: 3>], panel = 0 : i64},
                 {type = "f32", shape = [array<i64: 3>, array<i64: 5>], panel = 4 : i64},
                 {type = "f32", shape = [array<i64: 1, 0>, array<i64: 5>], panel = 0 : i64}]}} {
  ^bb0(%n: index, %x: tensor<?x3xf32>, %w: tensor<3x5xf32>):
    %y = tensor.empty(%n) : tensor<?x5xf32>
    kernel.yield %y : tensor<?x5xf32>
  }
}
