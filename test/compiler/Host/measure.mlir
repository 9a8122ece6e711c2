// RUN: rapt-opt %s --host-bufferize --host-plan-memory --host-to-llvm | FileCheck %s

// plan knows no measured size: it checks dims, not what is required of the size, and gives bounds.
// CHECK-LABEL: llvm.func internal @rapt_plan(
// CHECK-NOT: llvm.icmp "sgt"
// CHECK-LABEL: llvm.func internal @rapt_run(
// CHECK-SAME: %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %[[DIMS:.*]]: !llvm.ptr) -> i32
// The count is no more than its bound, also as an unsigned number; then it is what is required.
// CHECK: %[[N:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK: %[[SIZE:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK: %[[WRONG:.*]] = llvm.icmp "ugt" %[[SIZE]], %[[N]] : i64
// CHECK: llvm.cond_br %[[WRONG]]
// CHECK: %[[MOST:.*]] = llvm.icmp "sgt" %[[SIZE]], %{{.*}} : i64
// CHECK: llvm.cond_br %[[MOST]]
// CHECK: "llvm.intr.memcpy"
// CHECK: llvm.store %[[N]], %[[DIMS]] : i64, !llvm.ptr
// CHECK-LABEL: llvm.func internal @rapt_work(
module {
  func.func @main(%c: tensor<1xi64> {onnx.name = "c", onnx.dims = [1]}, %x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]})
      -> (tensor<?xf32> {onnx.name = "y"}) attributes {kernel.symbols = ["n"]} {
    %n = kernel.dim "n"
    %most = arith.constant 5 : index
    %size = kernel.measure "s" %c at_most %n : tensor<1xi64>
    kernel.require %size, %most "size %lld is over %lld"
    return %x : tensor<?xf32>
  }
}
