// Stored tables of bool, cut where lengths say: a triangle or a band of keys becomes offsets from the last key.
// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// A triangle: the last key is the last query's.
// CHECK-LABEL: func @triangle
func.func @triangle(%q: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}, %cache: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "past", 4]},
    %new: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}) -> tensor<1x2x?x4xf32> {
  // CHECK: attn.sdpa {{.*}} value(%{{[a-z0-9]+}}) {causal_from_end, causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>, scale
  %seq = kernel.dim "seq"
  %past = kernel.dim "past"
  %total = arith.addi %past, %seq : index
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %first = arith.minsi %past, %four : index
  %last = arith.minsi %total, %four : index
  %between = arith.subi %last, %first : index
  %rows = arith.maxsi %zero, %between : index
  kernel.require %rows, %seq equal "the table has %lld rows for %lld queries"
  kernel.require %total, %four "past + seq (%lld) is at most %lld"
  %past64 = arith.index_cast %past : index to i64
  %total64 = arith.index_cast %total : index to i64
  %from = tensor.from_elements %past64 : tensor<1xi64>
  %to = tensor.from_elements %total64 : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %seen_table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %seen_rows = onnx.Slice %seen_table, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xi1>
  %seen = onnx.Slice %seen_rows, %start, %to {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<?x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %keys = onnx.Concat %cache, %new {axis = 2 : i64} : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  %t = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x?x4xf32>) -> tensor<1x2x4x?xf32>
  %scores = onnx.MatMul %q, %t : (tensor<1x2x?x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x?x?xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<?x?xi1>, tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32>
  %o = onnx.MatMul %weights, %keys : (tensor<1x2x?x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// A band of two keys.
// CHECK-LABEL: func @window
func.func @window(%q: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}, %cache: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "past", 4]},
    %new: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}) -> tensor<1x2x?x4xf32> {
  // CHECK: attn.sdpa {{.*}} value(%{{[a-z0-9]+}}) {causal_from_end, causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>, {{.*}}window_offset = -1 : i64}
  %seq = kernel.dim "seq"
  %past = kernel.dim "past"
  %total = arith.addi %past, %seq : index
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %first = arith.minsi %past, %four : index
  %last = arith.minsi %total, %four : index
  %between = arith.subi %last, %first : index
  %rows = arith.maxsi %zero, %between : index
  kernel.require %rows, %seq equal "the table has %lld rows for %lld queries"
  kernel.require %total, %four "past + seq (%lld) is at most %lld"
  %past64 = arith.index_cast %past : index to i64
  %total64 = arith.index_cast %total : index to i64
  %from = tensor.from_elements %past64 : tensor<1xi64>
  %to = tensor.from_elements %total64 : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %seen_table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %seen_rows = onnx.Slice %seen_table, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xi1>
  %seen = onnx.Slice %seen_rows, %start, %to {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<?x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %keys = onnx.Concat %cache, %new {axis = 2 : i64} : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  %t = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x?x4xf32>) -> tensor<1x2x4x?xf32>
  %scores = onnx.MatMul %q, %t : (tensor<1x2x?x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x?x?xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<?x?xi1>, tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32>
  %o = onnx.MatMul %weights, %keys : (tensor<1x2x?x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// An Expand that adds dims before the two changes nothing.
// CHECK-LABEL: func @expanded_batch
func.func @expanded_batch(%q: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}, %cache: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "past", 4]},
    %new: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}) -> tensor<1x2x?x4xf32> {
  // CHECK: attn.sdpa {{.*}} value(%{{[a-z0-9]+}}) {causal_from_end, causal_offset = 0 : i64, {{.*}}window_offset = -1 : i64}
  %seq = kernel.dim "seq"
  %past = kernel.dim "past"
  %total = arith.addi %past, %seq : index
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %first = arith.minsi %past, %four : index
  %last = arith.minsi %total, %four : index
  %between = arith.subi %last, %first : index
  %rows = arith.maxsi %zero, %between : index
  kernel.require %rows, %seq equal "the table has %lld rows for %lld queries"
  kernel.require %total, %four "past + seq (%lld) is at most %lld"
  %past64 = arith.index_cast %past : index to i64
  %total64 = arith.index_cast %total : index to i64
  %from = tensor.from_elements %past64 : tensor<1xi64>
  %to = tensor.from_elements %total64 : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %part_table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %part_rows = onnx.Slice %part_table, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xi1>
  %part = onnx.Slice %part_rows, %start, %to {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<?x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xi1>
  %shape = onnx.Constant dense<1> : tensor<4xi64> : tensor<4xi64>
  %seen = onnx.Expand %part, %shape : (tensor<?x?xi1>, tensor<4xi64>) -> tensor<1x1x?x?xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %keys = onnx.Concat %cache, %new {axis = 2 : i64} : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  %t = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x?x4xf32>) -> tensor<1x2x4x?xf32>
  %scores = onnx.MatMul %q, %t : (tensor<1x2x?x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x?x?xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<1x1x?x?xi1>, tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32>
  %o = onnx.MatMul %weights, %keys : (tensor<1x2x?x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// One wrong entry in a triangle.
// CHECK-LABEL: func @wrong_entry
func.func @wrong_entry(%q: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}, %cache: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "past", 4]},
    %new: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}) -> tensor<1x2x?x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %seq = kernel.dim "seq"
  %past = kernel.dim "past"
  %total = arith.addi %past, %seq : index
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %first = arith.minsi %past, %four : index
  %last = arith.minsi %total, %four : index
  %between = arith.subi %last, %first : index
  %rows = arith.maxsi %zero, %between : index
  kernel.require %rows, %seq equal "the table has %lld rows for %lld queries"
  kernel.require %total, %four "past + seq (%lld) is at most %lld"
  %past64 = arith.index_cast %past : index to i64
  %total64 = arith.index_cast %total : index to i64
  %from = tensor.from_elements %past64 : tensor<1xi64>
  %to = tensor.from_elements %total64 : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %seen_table = onnx.Constant dense<[[true, false, false, false], [true, true, false, true], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %seen_rows = onnx.Slice %seen_table, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xi1>
  %seen = onnx.Slice %seen_rows, %start, %to {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<?x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %keys = onnx.Concat %cache, %new {axis = 2 : i64} : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  %t = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x?x4xf32>) -> tensor<1x2x4x?xf32>
  %scores = onnx.MatMul %q, %t : (tensor<1x2x?x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x?x?xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<?x?xi1>, tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32>
  %o = onnx.MatMul %weights, %keys : (tensor<1x2x?x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// One wrong entry in a band.
// CHECK-LABEL: func @wrong_entry_in_band
func.func @wrong_entry_in_band(%q: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}, %cache: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "past", 4]},
    %new: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}) -> tensor<1x2x?x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %seq = kernel.dim "seq"
  %past = kernel.dim "past"
  %total = arith.addi %past, %seq : index
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %first = arith.minsi %past, %four : index
  %last = arith.minsi %total, %four : index
  %between = arith.subi %last, %first : index
  %rows = arith.maxsi %zero, %between : index
  kernel.require %rows, %seq equal "the table has %lld rows for %lld queries"
  kernel.require %total, %four "past + seq (%lld) is at most %lld"
  %past64 = arith.index_cast %past : index to i64
  %total64 = arith.index_cast %total : index to i64
  %from = tensor.from_elements %past64 : tensor<1xi64>
  %to = tensor.from_elements %total64 : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %seen_table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [true, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %seen_rows = onnx.Slice %seen_table, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xi1>
  %seen = onnx.Slice %seen_rows, %start, %to {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<?x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %keys = onnx.Concat %cache, %new {axis = 2 : i64} : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  %t = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x?x4xf32>) -> tensor<1x2x4x?xf32>
  %scores = onnx.MatMul %q, %t : (tensor<1x2x?x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x?x?xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<?x?xi1>, tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32>
  %o = onnx.MatMul %weights, %keys : (tensor<1x2x?x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// No bound on the first row is known here: a start behind the end of the table would be clamped.
// CHECK-LABEL: func @unknown_start
func.func @unknown_start(%q: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}, %cache: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "past", 4]},
    %new: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]},
    %unused: tensor<?xf32> {onnx.dims = ["row"]}) -> tensor<1x2x?x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %seq = kernel.dim "seq"
  %past = kernel.dim "past"
  %total = arith.addi %past, %seq : index
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %row = kernel.dim "row"
  %after = arith.addi %row, %seq : index
  %first = arith.minsi %row, %four : index
  %end = arith.minsi %after, %four : index
  %last = arith.minsi %total, %four : index
  %between = arith.subi %end, %first : index
  %rows = arith.maxsi %zero, %between : index
  kernel.require %rows, %seq equal "the table has %lld rows for %lld queries"
  kernel.require %last, %total equal "the table has %lld columns for %lld keys"
  %row64 = arith.index_cast %row : index to i64
  %after64 = arith.index_cast %after : index to i64
  %total64 = arith.index_cast %total : index to i64
  %from = tensor.from_elements %row64 : tensor<1xi64>
  %until = tensor.from_elements %after64 : tensor<1xi64>
  %to = tensor.from_elements %total64 : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %seen_table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %seen_rows = onnx.Slice %seen_table, %from, %until {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xi1>
  %seen = onnx.Slice %seen_rows, %start, %to {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<?x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %keys = onnx.Concat %cache, %new {axis = 2 : i64} : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  %t = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x?x4xf32>) -> tensor<1x2x4x?xf32>
  %scores = onnx.MatMul %q, %t : (tensor<1x2x?x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x?x?xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<?x?xi1>, tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32>
  %o = onnx.MatMul %weights, %keys : (tensor<1x2x?x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// What is required of the columns bounds the past, too.
// CHECK-LABEL: func @bounded_start
func.func @bounded_start(%q: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}, %cache: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "past", 4]},
    %new: tensor<1x2x?x4xf32> {onnx.dims = [1, 2, "seq", 4]}) -> tensor<1x2x?x4xf32> {
  // CHECK: attn.sdpa query(%arg0) {{.*}} {causal_from_end, causal_offset = 0 : i64,
  %seq = kernel.dim "seq"
  %past = kernel.dim "past"
  %total = arith.addi %past, %seq : index
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %first = arith.minsi %past, %four : index
  %last = arith.minsi %total, %four : index
  %between = arith.subi %last, %first : index
  %rows = arith.maxsi %zero, %between : index
  kernel.require %rows, %seq equal "the table has %lld rows for %lld queries"
  kernel.require %last, %total equal "the table has %lld columns for %lld keys"
  %past64 = arith.index_cast %past : index to i64
  %total64 = arith.index_cast %total : index to i64
  %from = tensor.from_elements %past64 : tensor<1xi64>
  %to = tensor.from_elements %total64 : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %seen_table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %seen_rows = onnx.Slice %seen_table, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xi1>
  %seen = onnx.Slice %seen_rows, %start, %to {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<?x4xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %keys = onnx.Concat %cache, %new {axis = 2 : i64} : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  %t = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x?x4xf32>) -> tensor<1x2x4x?xf32>
  %scores = onnx.MatMul %q, %t : (tensor<1x2x?x4xf32>, tensor<1x2x4x?xf32>) -> tensor<1x2x?x?xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<?x?xi1>, tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32>
  %o = onnx.MatMul %weights, %keys : (tensor<1x2x?x?xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// A first column behind the first one moves the diagonal to the left.
// CHECK-LABEL: func @first_column
func.func @first_column(%q: tensor<1x2x2x4xf32>, %k: tensor<1x2x4x3xf32>, %v: tensor<1x2x3x4xf32>) -> tensor<1x2x2x4xf32> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 1 : i64, empty_row = #attn.empty_row<mean>, scale
  %table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %begin = onnx.Constant dense<[2, 1]> : tensor<2xi64> : tensor<2xi64>
  %end = onnx.Constant dense<[4, 4]> : tensor<2xi64> : tensor<2xi64>
  %seen = onnx.Slice %table, %begin, %end {axes = array<i64: 0, 1>, steps = array<i64: 1, 1>} : (tensor<4x4xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2x3xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x2x4xf32>, tensor<1x2x4x3xf32>) -> tensor<1x2x2x3xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<2x3xi1>, tensor<1x2x2x3xf32>, tensor<f32>) -> tensor<1x2x2x3xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x2x3xf32>) -> tensor<1x2x2x3xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x2x3xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x2x4xf32>
  return %o : tensor<1x2x2x4xf32>
}

// -----

// So it does with a band.
// CHECK-LABEL: func @first_column_of_band
func.func @first_column_of_band(%q: tensor<1x2x3x4xf32>, %k: tensor<1x2x4x3xf32>, %v: tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<mean>, {{.*}}window_offset = -1 : i64}
  %table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %begin = onnx.Constant dense<[1, 1]> : tensor<2xi64> : tensor<2xi64>
  %end = onnx.Constant dense<[4, 4]> : tensor<2xi64> : tensor<2xi64>
  %seen = onnx.Slice %table, %begin, %end {axes = array<i64: 0, 1>, steps = array<i64: 1, 1>} : (tensor<4x4xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<3x3xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x3x4xf32>, tensor<1x2x4x3xf32>) -> tensor<1x2x3x3xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<3x3xi1>, tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x3x3xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  return %o : tensor<1x2x3x4xf32>
}

// -----

// Every other row of a triangle is none.
// CHECK-LABEL: func @step
func.func @step(%q: tensor<1x2x2x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x2x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %begin = onnx.Constant dense<[0, 0]> : tensor<2xi64> : tensor<2xi64>
  %end = onnx.Constant dense<[4, 4]> : tensor<2xi64> : tensor<2xi64>
  %seen = onnx.Slice %table, %begin, %end {axes = array<i64: 0, 1>, steps = array<i64: 2, 1>} : (tensor<4x4xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2x4xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x2x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x2x4xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<2x4xi1>, tensor<1x2x2x4xf32>, tensor<f32>) -> tensor<1x2x2x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x2x4xf32>) -> tensor<1x2x2x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x2x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x2x4xf32>
  return %o : tensor<1x2x2x4xf32>
}

// -----

// Nor is it a band.
// CHECK-LABEL: func @step_of_band
func.func @step_of_band(%q: tensor<1x2x2x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x2x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %table = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %begin = onnx.Constant dense<[0, 0]> : tensor<2xi64> : tensor<2xi64>
  %end = onnx.Constant dense<[4, 4]> : tensor<2xi64> : tensor<2xi64>
  %seen = onnx.Slice %table, %begin, %end {axes = array<i64: 0, 1>, steps = array<i64: 2, 1>} : (tensor<4x4xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2x4xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x2x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x2x4xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<2x4xi1>, tensor<1x2x2x4xf32>, tensor<f32>) -> tensor<1x2x2x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x2x4xf32>) -> tensor<1x2x2x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x2x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x2x4xf32>
  return %o : tensor<1x2x2x4xf32>
}

// -----

// An Expand that repeats a row: each query sees the same keys.
// CHECK-LABEL: func @expanded_row
func.func @expanded_row(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %table = onnx.Constant dense<[[false, false, true, true, false, false]]> : tensor<1x6xi1> : tensor<1x6xi1>
  %shape = onnx.Constant dense<[4, 6]> : tensor<2xi64> : tensor<2xi64>
  %rows = onnx.Expand %table, %shape : (tensor<1x6xi1>, tensor<2xi64>) -> tensor<4x6xi1>
  %begin = onnx.Constant dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %end = onnx.Constant dense<[5]> : tensor<1xi64> : tensor<1xi64>
  %seen = onnx.Slice %rows, %begin, %end {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<4x6xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<4x4xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// The same with a row of rank 1.
// CHECK-LABEL: func @expanded_vector
func.func @expanded_vector(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %table = onnx.Constant dense<[false, false, true, true, false, false]> : tensor<6xi1> : tensor<6xi1>
  %shape = onnx.Constant dense<[4, 6]> : tensor<2xi64> : tensor<2xi64>
  %rows = onnx.Expand %table, %shape : (tensor<6xi1>, tensor<2xi64>) -> tensor<4x6xi1>
  %begin = onnx.Constant dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %end = onnx.Constant dense<[5]> : tensor<1xi64> : tensor<1xi64>
  %seen = onnx.Slice %rows, %begin, %end {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<4x6xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<4x4xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// And with one element.
// CHECK-LABEL: func @expanded_scalar
func.func @expanded_scalar(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {empty_row
  %table = onnx.Constant dense<true> : tensor<i1> : tensor<i1>
  %shape = onnx.Constant dense<[4, 6]> : tensor<2xi64> : tensor<2xi64>
  %rows = onnx.Expand %table, %shape : (tensor<i1>, tensor<2xi64>) -> tensor<4x6xi1>
  %begin = onnx.Constant dense<[1]> : tensor<1xi64> : tensor<1xi64>
  %end = onnx.Constant dense<[5]> : tensor<1xi64> : tensor<1xi64>
  %seen = onnx.Slice %rows, %begin, %end {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<4x6xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<4x4xi1>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Where %seen, %scores, %lowest : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// A triangle and a band with its diagonal: both exclude what lies behind it, with -infinity; the window alone has the
// lowest float.
// CHECK-LABEL: func @common_diagonal
func.func @common_diagonal(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} value(%arg2) {causal_offset = 0 : i64, empty_row = #attn.empty_row<causal_mean>, {{.*}}window_offset = -1 : i64}
  %a = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %ordinary = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low_a = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %low_b = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %add_a = onnx.Where %a, %ordinary, %low_a : (tensor<4x4xi1>, tensor<f32>, tensor<f32>) -> tensor<4x4xf32>
  %add_b = onnx.Where %b, %ordinary, %low_b : (tensor<4x4xi1>, tensor<f32>, tensor<f32>) -> tensor<4x4xf32>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %once = onnx.Add %scores, %add_a : (tensor<1x2x4x4xf32>, tensor<4x4xf32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %once, %add_b : (tensor<1x2x4x4xf32>, tensor<4x4xf32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// Two diagonals: what one of them excludes stays finite, so that one of the two is a mask.
// CHECK-LABEL: func @two_diagonals
func.func @two_diagonals(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%{{[a-z0-9]+}}) {causal_offset = 0 : i64, empty_row = #attn.empty_row<either_mean>, {{.*}}window_offset = -1 : i64}
  %a = onnx.Constant dense<[[true, true, false, false], [true, true, true, false], [true, true, true, true], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %ordinary = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low_a = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %low_b = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %add_a = onnx.Where %a, %ordinary, %low_a : (tensor<4x4xi1>, tensor<f32>, tensor<f32>) -> tensor<4x4xf32>
  %add_b = onnx.Where %b, %ordinary, %low_b : (tensor<4x4xi1>, tensor<f32>, tensor<f32>) -> tensor<4x4xf32>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %once = onnx.Add %scores, %add_a : (tensor<1x2x4x4xf32>, tensor<4x4xf32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %once, %add_b : (tensor<1x2x4x4xf32>, tensor<4x4xf32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// The bound for a sum of -infinity is -3e38 for each mask: both stay.
// CHECK-LABEL: func @weak_sentinel
func.func @weak_sentinel(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK-NOT: causal_offset
  // CHECK: attn.sdpa {{.*}} bias(
  // CHECK-NOT: causal_offset
  %a = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %ordinary = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %low_a = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %low_b = onnx.Constant dense<-2.0E+38> : tensor<f32> : tensor<f32>
  %add_a = onnx.Where %a, %ordinary, %low_a : (tensor<4x4xi1>, tensor<f32>, tensor<f32>) -> tensor<4x4xf32>
  %add_b = onnx.Where %b, %ordinary, %low_b : (tensor<4x4xi1>, tensor<f32>, tensor<f32>) -> tensor<4x4xf32>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %once = onnx.Add %scores, %add_a : (tensor<1x2x4x4xf32>, tensor<4x4xf32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %once, %add_b : (tensor<1x2x4x4xf32>, tensor<4x4xf32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}
