// RUN: rapt-opt %s --reference-kernels | FileCheck %s

// A body in upstream's convention, called by a wrapper in ours; libm is declared once; nothing of linalg,
// attn or memref is left; what is allocated is freed, and an allocation that fails is the kernel's error.
// CHECK-DAG: llvm.func @erff(f32) -> f32
// CHECK-DAG: llvm.func @malloc(i64) -> !llvm.ptr
// CHECK-LABEL: llvm.func internal @gelu.body(
// CHECK: llvm.call @erff
// CHECK-LABEL: llvm.func internal @attend.body(
// CHECK: %[[MEMORY:.*]] = llvm.call @malloc
// CHECK-NEXT: %[[NULL:.*]] = llvm.mlir.zero
// CHECK-NEXT: %[[NONE:.*]] = llvm.icmp "eq" %[[MEMORY]], %[[NULL]]
// CHECK-NEXT: llvm.cond_br %[[NONE]]
// CHECK: llvm.intr.exp
// CHECK: llvm.call @free
// CHECK-LABEL: llvm.func internal @gelu(
// CHECK-SAME: %{{.*}}: !llvm.ptr, %[[N:.*]]: i64, %[[IN:.*]]: !llvm.ptr, %[[OUT:.*]]: !llvm.ptr) -> i32
// CHECK: %[[FOUR:.*]] = llvm.mlir.constant(4 : i64)
// CHECK: %[[STATUS:.*]] = llvm.call @gelu.body(%[[N]], %[[IN]], %[[IN]], %{{.*}}, %[[N]], %[[FOUR]],
// CHECK: llvm.icmp "ne" %[[STATUS]]
// CHECK: llvm.getelementptr %{{.*}}[24]
// CHECK: llvm.mlir.addressof @rapt_no_memory
// CHECK: llvm.return %{{.*}} : i32
// CHECK-LABEL: llvm.func internal @attend(
// CHECK-NOT: linalg
// CHECK-NOT: kernel.func
kernel.func @gelu dims 1 shapes [array<i64: 0>] -> [array<i64: 0>] panels [0] schedule(<reference {}>) {
^bb0(%n: index, %x: tensor<?x4xf32>):
  %init = tensor.empty(%n) : tensor<?x4xf32>
  %y = linalg.map { math.erf } ins(%x : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>)
  kernel.yield %y : tensor<?x4xf32>
}
kernel.func @attend dims 1 shapes [array<i64: 0>, array<i64: 0>] -> [array<i64: 0>] panels [0, 0] schedule(<reference {}>) {
^bb0(%n: index, %q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>):
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 0.5 : f64} : (tensor<1x4x?x8xf32>, tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x4x?x8xf32>
  kernel.yield %o : tensor<1x4x?x8xf32>
}
