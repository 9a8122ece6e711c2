// RUN: rapt-opt %s | rapt-opt | FileCheck %s

// CHECK-LABEL: func @plain
func.func @plain(%q: tensor<?x12x?x32xf32>, %k: tensor<?x12x?x32xf32>, %v: tensor<?x12x?x32xf32>) -> tensor<?x12x?x32xf32> {
  // CHECK: attn.sdpa query(%{{.*}}) key(%{{.*}}) value(%{{.*}}) {scale = 1.250000e-01 : f64}
  // CHECK-NOT: empty_row
  %o = attn.sdpa query(%q) key(%k) value(%v) {scale = 0.125 : f64}
     : (tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>) -> tensor<?x12x?x32xf32>
  return %o : tensor<?x12x?x32xf32>
}

// CHECK-LABEL: func @everything
func.func @everything(%q: tensor<2x8x5x16xf32>, %k: tensor<2x2x7x16xf32>, %v: tensor<2x2x7x4xf32>,
                      %b: tensor<1x8x5x7xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x8x5x4xf32> {
  // CHECK: bias(%{{.*}}) mask(%{{.*}}) {causal_offset = 2 : i64, empty_row = #attn.empty_row<mean>, scale = 1.000000e+00 : f64, softcap = 3.000000e+01 : f64}
  %o = attn.sdpa query(%q) key(%k) value(%v) bias(%b) mask(%m)
       {scale = 1.0 : f64, softcap = 30.0 : f64, causal_offset = 2 : i64, empty_row = #attn.empty_row<mean>}
     : (tensor<2x8x5x16xf32>, tensor<2x2x7x16xf32>, tensor<2x2x7x4xf32>, tensor<1x8x5x7xf32>, tensor<2x1x1x7xi1>) -> tensor<2x8x5x4xf32>
  return %o : tensor<2x8x5x4xf32>
}

// CHECK-LABEL: func @sink
func.func @sink(%q: tensor<?x4x?x16xf32>, %k: tensor<?x2x?x16xf32>, %s: tensor<1x4x1x1xf32>) -> tensor<?x4x?x16xf32> {
  // CHECK: attn.sdpa query(%{{.*}}) key(%{{.*}}) value(%{{.*}}) sink(%{{.*}}) {scale = 1.000000e+00 : f64}
  %o = attn.sdpa query(%q) key(%k) value(%k) sink(%s) {scale = 1.0 : f64}
     : (tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<1x4x1x1xf32>) -> tensor<?x4x?x16xf32>
  return %o : tensor<?x4x?x16xf32>
}
