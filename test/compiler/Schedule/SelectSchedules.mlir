// RUN: rapt-opt %s --select-schedules | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn3 = affine_map<(m, n, k) -> (m, n)>
#mn = affine_map<(m, n) -> (m, n)>
#m = affine_map<(m, n) -> (m)>
#n = affine_map<(m, n) -> (n)>

// A contraction with a weight is a gemm; the weight gets the panel width of its tile.
// CHECK-LABEL: func @gemm
func.func @gemm(%x: tensor<?x384xf32>) -> tensor<?x1536xf32> attributes {kernel.symbols = ["rows"]} {
  %rows = kernel.dim "rows"
  // CHECK: %[[W:.*]] = kernel.weight [dense<2.000000e+00> : tensor<384x1536xf32>] {panel = 48 : i64}
  %w = kernel.weight [dense<2.0> : tensor<384x1536xf32>] : tensor<384x1536xf32>
  // CHECK: kernel.region "linear" {{.*}} ins(%{{.*}}, %[[W]])
  // CHECK-SAME: schedule(<gemm {even_rows = 127 : i64, parallel = true, prefetch = 1 : i64, tile_cols = 48 : i64, tile_rows = 8 : i64, vector = 16 : i64}>)
  %y = kernel.region "linear" dims(%rows) ins(%x, %w) shapes [array<i64: 0>, array<i64>] -> [array<i64: 0>]
      : (tensor<?x384xf32>, tensor<384x1536xf32>) -> tensor<?x1536xf32> {
  ^bb0(%d0: index, %a: tensor<?x384xf32>, %b: tensor<384x1536xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty(%d0) : tensor<?x1536xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x1536xf32>) -> tensor<?x1536xf32>
    %c = linalg.generic {indexing_maps = [#mk, #kn, #mn3], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<?x384xf32>, tensor<384x1536xf32>) outs(%f : tensor<?x1536xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %r = arith.mulf %p, %q : f32
      %s = arith.addf %acc, %r : f32
      linalg.yield %s : f32
    } -> tensor<?x1536xf32>
    kernel.yield %c : tensor<?x1536xf32>
  }
  return %y : tensor<?x1536xf32>
}

// With an activation on the right nothing can be packed ahead: the kernel packs it.
// CHECK-LABEL: func @no_weight
func.func @no_weight(%x: tensor<4x384xf32>, %w: tensor<384x64xf32>) -> tensor<4x64xf32> {
  // CHECK: schedule(<matmul {parallel = true, tile_cols = 32 : i64, tile_rows = 8 : i64, vector = 16 : i64}>)
  %y = kernel.region "matmul" dims() ins(%x, %w) shapes [array<i64>, array<i64>] -> [array<i64>]
      : (tensor<4x384xf32>, tensor<384x64xf32>) -> tensor<4x64xf32> {
  ^bb0(%a: tensor<4x384xf32>, %b: tensor<384x64xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<4x64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x64xf32>) -> tensor<4x64xf32>
    %c = linalg.generic {indexing_maps = [#mk, #kn, #mn3], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4x384xf32>, tensor<384x64xf32>) outs(%f : tensor<4x64xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %r = arith.mulf %p, %q : f32
      %s = arith.addf %acc, %r : f32
      linalg.yield %s : f32
    } -> tensor<4x64xf32>
    kernel.yield %c : tensor<4x64xf32>
  }
  return %y : tensor<4x64xf32>
}

// For a few rows that costs more than it gains.
// CHECK-LABEL: func @few_rows
func.func @few_rows(%x: tensor<3x384xf32>, %w: tensor<384x64xf32>) -> tensor<3x64xf32> {
  // CHECK: schedule(<loops
  %y = kernel.region "matmul" dims() ins(%x, %w) shapes [array<i64>, array<i64>] -> [array<i64>]
      : (tensor<3x384xf32>, tensor<384x64xf32>) -> tensor<3x64xf32> {
  ^bb0(%a: tensor<3x384xf32>, %b: tensor<384x64xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<3x64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x64xf32>) -> tensor<3x64xf32>
    %c = linalg.generic {indexing_maps = [#mk, #kn, #mn3], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<3x384xf32>, tensor<384x64xf32>) outs(%f : tensor<3x64xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %r = arith.mulf %p, %q : f32
      %s = arith.addf %acc, %r : f32
      linalg.yield %s : f32
    } -> tensor<3x64xf32>
    kernel.yield %c : tensor<3x64xf32>
  }
  return %y : tensor<3x64xf32>
}

// One row is a gemm too.
// CHECK-LABEL: func @one_row
func.func @one_row(%x: tensor<1x384xf32>) -> tensor<1x64xf32> {
  // CHECK: kernel.weight {{.*}} {panel = 32 : i64}
  // CHECK: schedule(<gemm {{{.*}}tile_cols = 32 : i64
  %w = kernel.weight [dense<2.0> : tensor<384x64xf32>] : tensor<384x64xf32>
  %y = kernel.region "linear" dims() ins(%x, %w) shapes [array<i64>, array<i64>] -> [array<i64>]
      : (tensor<1x384xf32>, tensor<384x64xf32>) -> tensor<1x64xf32> {
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

// What follows the product leaves its tile: no gemm, and no packed weight.
// CHECK-LABEL: func @transposed_after
func.func @transposed_after(%x: tensor<4x384xf32>) -> tensor<64x4xf32> {
  // CHECK: kernel.weight [dense<2.000000e+00> : tensor<384x64xf32>] : tensor<384x64xf32>
  // CHECK: schedule(<loops
  %w = kernel.weight [dense<2.0> : tensor<384x64xf32>] : tensor<384x64xf32>
  %y = kernel.region "linear" dims() ins(%x, %w) shapes [array<i64>, array<i64>] -> [array<i64>]
      : (tensor<4x384xf32>, tensor<384x64xf32>) -> tensor<64x4xf32> {
  ^bb0(%a: tensor<4x384xf32>, %b: tensor<384x64xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<4x64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x64xf32>) -> tensor<4x64xf32>
    %c = linalg.generic {indexing_maps = [#mk, #kn, #mn3], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4x384xf32>, tensor<384x64xf32>) outs(%f : tensor<4x64xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %r = arith.mulf %p, %q : f32
      %s = arith.addf %acc, %r : f32
      linalg.yield %s : f32
    } -> tensor<4x64xf32>
    %t = tensor.empty() : tensor<64x4xf32>
    %g = linalg.generic {indexing_maps = [affine_map<(n, m) -> (m, n)>, #mn], iterator_types = ["parallel", "parallel"]}
        ins(%c : tensor<4x64xf32>) outs(%t : tensor<64x4xf32>) {
    ^bb0(%p: f32, %o: f32):
      %r = math.exp %p : f32
      linalg.yield %r : f32
    } -> tensor<64x4xf32>
    kernel.yield %g : tensor<64x4xf32>
  }
  return %y : tensor<64x4xf32>
}

// x - mean(x): a reduction along the rows and what is pointwise on the same rows.
// CHECK-LABEL: func @rows
func.func @rows(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {kernel.symbols = ["rows"]} {
  %rows = kernel.dim "rows"
  // CHECK: schedule(<rows
  %y = kernel.region "rows" dims(%rows) ins(%x) shapes [array<i64: 0>] -> [array<i64: 0>]
      : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%d0: index, %a: tensor<?x8xf32>):
    %zero = arith.constant 0.0 : f32
    %e1 = tensor.empty(%d0) : tensor<?xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?xf32>) -> tensor<?xf32>
    %s = linalg.generic {indexing_maps = [#mn, #m], iterator_types = ["parallel", "reduction"]}
        ins(%a : tensor<?x8xf32>) outs(%f : tensor<?xf32>) {
    ^bb0(%p: f32, %acc: f32):
      %r = arith.addf %acc, %p : f32
      linalg.yield %r : f32
    } -> tensor<?xf32>
    %e = tensor.empty(%d0) : tensor<?x8xf32>
    %c = linalg.generic {indexing_maps = [#mn, #m, #mn], iterator_types = ["parallel", "parallel"]}
        ins(%a, %s : tensor<?x8xf32>, tensor<?xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %r = arith.subf %p, %q : f32
      linalg.yield %r : f32
    } -> tensor<?x8xf32>
    kernel.yield %c : tensor<?x8xf32>
  }
  return %y : tensor<?x8xf32>
}

// A sum over the outer dim is not a row reduction.
// CHECK-LABEL: func @columns
func.func @columns(%x: tensor<4x8xf32>) -> tensor<8xf32> {
  // CHECK: schedule(<loops
  %y = kernel.region "reduce" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %zero = arith.constant 0.0 : f32
    %e1 = tensor.empty() : tensor<8xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e1 : tensor<8xf32>) -> tensor<8xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(n, m) -> (m, n)>, affine_map<(n, m) -> (n)>], iterator_types = ["parallel", "reduction"]}
        ins(%a : tensor<4x8xf32>) outs(%f : tensor<8xf32>) {
    ^bb0(%p: f32, %acc: f32):
      %r = arith.addf %acc, %p : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    kernel.yield %s : tensor<8xf32>
  }
  return %y : tensor<8xf32>
}

// A body without a KernelSpec gets the reference recipe and the reason.
// CHECK-LABEL: func @reference
func.func @reference(%x: tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> {
  // CHECK: schedule(<reference {}>)
  // CHECK-SAME: kernel.reference_reason = "element type of input 0 has no kernel form"
  %y = kernel.region "copy" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> {
  ^bb0(%a: tensor<4xcomplex<f32>>):
    kernel.yield %a : tensor<4xcomplex<f32>>
  }
  return %y : tensor<4xcomplex<f32>>
}

// A schedule that is there stays.
// CHECK-LABEL: func @given
func.func @given(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: schedule(<loops {vector = 4 : i64}>)
  %y = kernel.region "copy" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      schedule(<loops {vector = 4 : i64}>) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    kernel.yield %a : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}
