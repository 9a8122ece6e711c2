// RUN: rapt-opt %s -split-input-file -verify-diagnostics

func.func @dim_number_out_of_range(%x: tensor<?xf32>) {
  %n = kernel.dim "n"
  // expected-error @+1 {{expects dim numbers from 0 to 0, but has 1}}
  %y = kernel.region "copy" dims(%n) ins(%x) shapes [array<i64: 1>] -> [array<i64: 0>]
      : (tensor<?xf32>) -> tensor<?xf32> {
  ^bb0(%d0: index, %a: tensor<?xf32>):
    kernel.yield %a : tensor<?xf32>
  }
  return
}

// -----

func.func @missing_dim_number(%x: tensor<?x?xf32>) {
  %n = kernel.dim "n"
  // expected-error @+1 {{expects 2 dim numbers for inputs 0, but has 1}}
  %y = kernel.region "copy" dims(%n) ins(%x) shapes [array<i64: 0>] -> [array<i64: 0, 0>]
      : (tensor<?x?xf32>) -> tensor<?x?xf32> {
  ^bb0(%d0: index, %a: tensor<?x?xf32>):
    kernel.yield %a : tensor<?x?xf32>
  }
  return
}

// -----

func.func @block_arguments(%x: tensor<4xf32>) {
  // expected-error @+1 {{expects its block to take the dims and then the inputs}}
  %y = kernel.region "copy" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%d0: index, %a: tensor<4xf32>):
    kernel.yield %a : tensor<4xf32>
  }
  return
}

// -----

func.func @yield(%x: tensor<4xf32>) {
  // expected-error @+1 {{expects its block to yield the result types}}
  %y = kernel.region "copy" dims() ins(%x) shapes [array<i64>] -> [array<i64>]
      : (tensor<4xf32>) -> tensor<5xf32> {
  ^bb0(%a: tensor<4xf32>):
    kernel.yield %a : tensor<4xf32>
  }
  return
}

// -----

func.func @weight_sum() {
  // expected-error @+1 {{expects the sources to add up to 6 along dim 1, but they have 5}}
  %w = kernel.weight [dense<1.0> : tensor<2x3xf32>, dense<1.0> : tensor<2x2xf32>] {concat_dim = 1 : i64} : tensor<2x6xf32>
  return
}

// -----

func.func @weight_perm() {
  // expected-error @+1 {{expects perm to be a permutation of 0 to 1}}
  %w = kernel.weight [dense<1.0> : tensor<2x3xf32>] {perm = array<i64: 0, 0>} : tensor<2x3xf32>
  return
}

// -----

func.func @weight_panel() {
  // expected-error @+1 {{expects a panel width of 0, or a positive one on a matrix, but it is 16}}
  %w = kernel.weight [dense<1.0> : tensor<3xf32>] {panel = 16 : i64} : tensor<3xf32>
  return
}

// -----

// expected-error @+1 {{recipe 'rows' has no parameter 'tile_rows'}}
#rows = #kernel.schedule<rows {tile_rows = 8 : i64}>

// -----

// expected-error @+1 {{expects parameter 'tile_cols' to be an integer from 1 to 4096, but it is 0 : i64}}
#gemm = #kernel.schedule<gemm {tile_cols = 0 : i64}>

// -----

// expected-error @+1 {{expects parameter 'variant' to be "strip", "unfused" or "decode", but it is "flash"}}
#attention = #kernel.schedule<attention {variant = "flash"}>

// -----

// expected-error @+1 {{expects parameter 'decode_queries' only with the variant "strip", but it is "unfused"}}
#attention = #kernel.schedule<attention {decode_queries = 6, variant = "unfused"}>

// -----

// expected-error @+1 {{expects its block to take 2 dims of index type first}}
kernel.func @few_dims dims 2 shapes [array<i64: 0>] -> [array<i64: 0>] panels [0] schedule(<pointwise {}>) {
^bb0(%d0: index, %x: tensor<?xf32>):
  kernel.yield %x : tensor<?xf32>
}

// -----

// expected-error @+1 {{expects one panel width for each of the 1 inputs, but has 0}}
kernel.func @few_panels dims 1 shapes [array<i64: 0>] -> [array<i64: 0>] panels [] schedule(<pointwise {}>) {
^bb0(%d0: index, %x: tensor<?xf32>):
  kernel.yield %x : tensor<?xf32>
}

// -----

func.func @measure_of_two(%counts: tensor<2xi64>) {
  %n = kernel.dim "n"
  // expected-error @+1 {{expects a count of one i64, but it is 'tensor<2xi64>'}}
  %size = kernel.measure "count" %counts at_most %n : tensor<2xi64>
  return
}

// -----

func.func @measure_of_floats(%count: tensor<1xf32>) {
  %n = kernel.dim "n"
  // expected-error @+1 {{expects a count of one i64, but it is 'tensor<1xf32>'}}
  %size = kernel.measure "count" %count at_most %n : tensor<1xf32>
  return
}
