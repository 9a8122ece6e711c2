// RUN: rapt-opt %s --select-schedules --split-input-file --verify-diagnostics

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn3 = affine_map<(m, n, k) -> (m, n)>

// A weight without the panels that the schedule reads.
func.func @not_packed(%x: tensor<1x384xf32>) -> tensor<1x64xf32> {
  %w = kernel.weight [dense<2.0> : tensor<384x64xf32>] : tensor<384x64xf32>
  // expected-error@below {{has a schedule for a gemm, but its body is no product with a weight in panels of tile_cols = 32}}
  %y = kernel.region "linear" dims() ins(%x, %w) shapes [array<i64>, array<i64>] -> [array<i64>]
      schedule(<gemm {tile_cols = 32 : i64}>) : (tensor<1x384xf32>, tensor<384x64xf32>) -> tensor<1x64xf32> {
  ^bb0(%a: tensor<1x384xf32>, %b: tensor<384x64xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<1x64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x64xf32>) -> tensor<1x64xf32>
    %c = linalg.generic {indexing_maps = [#mk, #kn, #mn3], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<1x384xf32>, tensor<384x64xf32>) outs(%f : tensor<1x64xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %r = arith.mulf %p, %q : f32
      %s = arith.addf %acc, %r : f32
      linalg.yield %s : f32
    } -> tensor<1x64xf32>
    kernel.yield %c : tensor<1x64xf32>
  }
  return %y : tensor<1x64xf32>
}

// -----

func.func @no_spec(%x: tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> {
  // expected-error@below {{has a schedule for a gemm, but element type of input 0 has no kernel form}}
  %y = kernel.region "copy" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      schedule(<gemm {}>) : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> {
  ^bb0(%a: tensor<4xcomplex<f32>>):
    kernel.yield %a : tensor<4xcomplex<f32>>
  }
  return %y : tensor<4xcomplex<f32>>
}
