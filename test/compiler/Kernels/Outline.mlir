// RUN: rapt-opt %s --outline-kernels -split-input-file -verify-diagnostics | FileCheck %s

// Two equal regions become two calls of one kernel; another schedule is another kernel.
// CHECK-LABEL: func @layers
func.func @layers(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: %[[A:.*]] = kernel.call @copy_[[H:[0-9a-f]+]] dims() ins(%arg0)
  %a = kernel.region "copy" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      schedule(<pointwise {vector = 8 : i64}>) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<4xf32>):
    kernel.yield %i : tensor<4xf32>
  }
  // CHECK: %[[B:.*]] = kernel.call @copy_[[H]] dims() ins(%[[A]])
  %b = kernel.region "copy" dims() ins(%a) shapes [array<i64>] -> [array<i64>]
      schedule(<pointwise {vector = 8 : i64}>) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<4xf32>):
    kernel.yield %i : tensor<4xf32>
  }
  // CHECK-NOT: kernel.call @copy_[[H]]
  // CHECK: kernel.call @copy_{{[0-9a-f]+}} dims() ins(%[[B]])
  %c = kernel.region "copy" dims() ins(%b) shapes [array<i64>] -> [array<i64>]
      schedule(<pointwise {vector = 4 : i64}>) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<4xf32>):
    kernel.yield %i : tensor<4xf32>
  }
  return %c : tensor<4xf32>
}
// CHECK-COUNT-2: kernel.func @copy_
// CHECK-NOT: kernel.func
// CHECK-NOT: kernel.region

// -----

func.func @unscheduled(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'kernel.region' op expects a schedule before it is outlined}}
  %a = kernel.region "copy" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<4xf32>):
    kernel.yield %i : tensor<4xf32>
  }
  return %a : tensor<4xf32>
}
