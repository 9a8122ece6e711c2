// RUN: rapt-opt --simplify-canonicalize %s | FileCheck %s

// BLOOM, DeBERTa: products on [batch * heads, ...], an addend and the mask on either, softmax on [batch, heads, ...].
// CHECK-LABEL: func @mask_and_softmax_split
// CHECK: %[[S:.*]] = onnx.MatMul %arg0, %arg1 : (tensor<?x4x?x8xf32>, tensor<?x4x8x?xf32>) -> tensor<?x4x?x?xf32>
// CHECK: %[[B:.*]] = onnx.Add %[[S]], %arg4 :
// CHECK: %[[M:.*]] = onnx.Add %[[B]], %arg3 :
// CHECK: %[[P:.*]] = onnx.Softmax %[[M]] {axis = 3
// CHECK: onnx.MatMul %[[P]], %arg2 : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
func.func @mask_and_softmax_split(%q4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "i", 8]}, %k4: tensor<?x4x8x?xf32> {onnx.dims = ["b", 4, 8, "j"]}, %v4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "j", 8]}, %mask: tensor<?x1x?x?xf32> {onnx.dims = ["b", 1, "i", "j"]}, %alibi4: tensor<?x4x1x?xf32> {onnx.dims = ["b", 4, 1, "j"]}) -> tensor<?x?x8xf32> {
  %b = kernel.dim "b"
  %i = kernel.dim "i"
  %j = kernel.dim "j"
  %c4 = arith.constant 4 : index
  %n = arith.muli %b, %c4 : index
  %b64 = arith.index_cast %b : index to i64
  %i64_ = arith.index_cast %i : index to i64
  %j64 = arith.index_cast %j : index to i64
  %n64 = arith.index_cast %n : index to i64
  %four = arith.constant 4 : i64
  %eight = arith.constant 8 : i64
  %qs = tensor.from_elements %n64, %i64_, %eight : tensor<3xi64>
  %ks = tensor.from_elements %n64, %eight, %j64 : tensor<3xi64>
  %vs = tensor.from_elements %n64, %j64, %eight : tensor<3xi64>
  %merged = tensor.from_elements %n64, %i64_, %j64 : tensor<3xi64>
  %split = tensor.from_elements %b64, %four, %i64_, %j64 : tensor<4xi64>
  %q = onnx.Reshape %q4, %qs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %k = onnx.Reshape %k4, %ks {allowzero = true} : (tensor<?x4x8x?xf32>, tensor<3xi64>) -> tensor<?x8x?xf32>
  %v = onnx.Reshape %v4, %vs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %s = onnx.MatMul %q, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %one = arith.constant 1 : i64
  %as = tensor.from_elements %n64, %one, %j64 : tensor<3xi64>
  %alibi = onnx.Reshape %alibi4, %as {allowzero = true} : (tensor<?x4x1x?xf32>, tensor<3xi64>) -> tensor<?x1x?xf32>
  %a = onnx.Add %s, %alibi : (tensor<?x?x?xf32>, tensor<?x1x?xf32>) -> tensor<?x?x?xf32>
  %w = onnx.Reshape %a, %split {allowzero = true} : (tensor<?x?x?xf32>, tensor<4xi64>) -> tensor<?x4x?x?xf32>
  %m = onnx.Add %w, %mask : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
  %p = onnx.Softmax %m {axis = 3 : i64} : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %p3 = onnx.Reshape %p, %merged {allowzero = true} : (tensor<?x4x?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %p3, %v : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %o : tensor<?x?x8xf32>
}

// BART of earlier years: the mask is added on [batch, heads, ...], the softmax is on [batch * heads, ...] again.
// CHECK-LABEL: func @mask_split
// CHECK: %[[S:.*]] = onnx.MatMul %arg0, %arg1 : (tensor<?x4x?x8xf32>, tensor<?x4x8x?xf32>)
// CHECK: %[[M:.*]] = onnx.Add %[[S]], %arg3 :
// CHECK: %[[P:.*]] = onnx.Softmax %[[M]] {axis = 3
// CHECK: onnx.MatMul %[[P]], %arg2 : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>)
func.func @mask_split(%q4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "i", 8]}, %k4: tensor<?x4x8x?xf32> {onnx.dims = ["b", 4, 8, "j"]}, %v4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "j", 8]}, %mask: tensor<?x1x?x?xf32> {onnx.dims = ["b", 1, "i", "j"]}) -> tensor<?x?x8xf32> {
  %b = kernel.dim "b"
  %i = kernel.dim "i"
  %j = kernel.dim "j"
  %c4 = arith.constant 4 : index
  %n = arith.muli %b, %c4 : index
  %b64 = arith.index_cast %b : index to i64
  %i64_ = arith.index_cast %i : index to i64
  %j64 = arith.index_cast %j : index to i64
  %n64 = arith.index_cast %n : index to i64
  %four = arith.constant 4 : i64
  %eight = arith.constant 8 : i64
  %qs = tensor.from_elements %n64, %i64_, %eight : tensor<3xi64>
  %ks = tensor.from_elements %n64, %eight, %j64 : tensor<3xi64>
  %vs = tensor.from_elements %n64, %j64, %eight : tensor<3xi64>
  %merged = tensor.from_elements %n64, %i64_, %j64 : tensor<3xi64>
  %split = tensor.from_elements %b64, %four, %i64_, %j64 : tensor<4xi64>
  %q = onnx.Reshape %q4, %qs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %k = onnx.Reshape %k4, %ks {allowzero = true} : (tensor<?x4x8x?xf32>, tensor<3xi64>) -> tensor<?x8x?xf32>
  %v = onnx.Reshape %v4, %vs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %s = onnx.MatMul %q, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %w = onnx.Reshape %s, %split {allowzero = true} : (tensor<?x?x?xf32>, tensor<4xi64>) -> tensor<?x4x?x?xf32>
  %m = onnx.Add %w, %mask : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
  %m3 = onnx.Reshape %m, %merged {allowzero = true} : (tensor<?x4x?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %m3 {axis = 2 : i64} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %o : tensor<?x?x8xf32>
}

// Softmax over the queries: it stays where it is.
// CHECK-LABEL: func @softmax_over_queries
// CHECK: onnx.Softmax {{.*}} {axis = 1 : i64} : (tensor<?x?x?xf32>)
func.func @softmax_over_queries(%q4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "i", 8]}, %k4: tensor<?x4x8x?xf32> {onnx.dims = ["b", 4, 8, "j"]}, %v4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "j", 8]}, %mask: tensor<?x1x?x?xf32> {onnx.dims = ["b", 1, "i", "j"]}) -> tensor<?x?x?xf32> {
  %b = kernel.dim "b"
  %i = kernel.dim "i"
  %j = kernel.dim "j"
  %c4 = arith.constant 4 : index
  %n = arith.muli %b, %c4 : index
  %b64 = arith.index_cast %b : index to i64
  %i64_ = arith.index_cast %i : index to i64
  %j64 = arith.index_cast %j : index to i64
  %n64 = arith.index_cast %n : index to i64
  %four = arith.constant 4 : i64
  %eight = arith.constant 8 : i64
  %qs = tensor.from_elements %n64, %i64_, %eight : tensor<3xi64>
  %ks = tensor.from_elements %n64, %eight, %j64 : tensor<3xi64>
  %vs = tensor.from_elements %n64, %j64, %eight : tensor<3xi64>
  %merged = tensor.from_elements %n64, %i64_, %j64 : tensor<3xi64>
  %split = tensor.from_elements %b64, %four, %i64_, %j64 : tensor<4xi64>
  %q = onnx.Reshape %q4, %qs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %k = onnx.Reshape %k4, %ks {allowzero = true} : (tensor<?x4x8x?xf32>, tensor<3xi64>) -> tensor<?x8x?xf32>
  %v = onnx.Reshape %v4, %vs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %s = onnx.MatMul %q, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %w = onnx.Reshape %s, %split {allowzero = true} : (tensor<?x?x?xf32>, tensor<4xi64>) -> tensor<?x4x?x?xf32>
  %m = onnx.Add %w, %mask : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
  %m3 = onnx.Reshape %m, %merged {allowzero = true} : (tensor<?x4x?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %m3 {axis = 1 : i64} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  return %p : tensor<?x?x?xf32>
}

// The product is read twice: it is not computed twice.
// CHECK-LABEL: func @product_read_twice
// CHECK: onnx.MatMul {{.*}} -> tensor<?x?x?xf32>
// CHECK-NOT: onnx.MatMul
func.func @product_read_twice(%q4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "i", 8]}, %k4: tensor<?x4x8x?xf32> {onnx.dims = ["b", 4, 8, "j"]}, %v4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "j", 8]}) -> (tensor<?x?x?xf32>, tensor<?x4x?x?xf32>) {
  %b = kernel.dim "b"
  %i = kernel.dim "i"
  %j = kernel.dim "j"
  %c4 = arith.constant 4 : index
  %n = arith.muli %b, %c4 : index
  %b64 = arith.index_cast %b : index to i64
  %i64_ = arith.index_cast %i : index to i64
  %j64 = arith.index_cast %j : index to i64
  %n64 = arith.index_cast %n : index to i64
  %four = arith.constant 4 : i64
  %eight = arith.constant 8 : i64
  %qs = tensor.from_elements %n64, %i64_, %eight : tensor<3xi64>
  %ks = tensor.from_elements %n64, %eight, %j64 : tensor<3xi64>
  %vs = tensor.from_elements %n64, %j64, %eight : tensor<3xi64>
  %merged = tensor.from_elements %n64, %i64_, %j64 : tensor<3xi64>
  %split = tensor.from_elements %b64, %four, %i64_, %j64 : tensor<4xi64>
  %q = onnx.Reshape %q4, %qs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %k = onnx.Reshape %k4, %ks {allowzero = true} : (tensor<?x4x8x?xf32>, tensor<3xi64>) -> tensor<?x8x?xf32>
  %v = onnx.Reshape %v4, %vs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %s = onnx.MatMul %q, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %w = onnx.Reshape %s, %split {allowzero = true} : (tensor<?x?x?xf32>, tensor<4xi64>) -> tensor<?x4x?x?xf32>
  return %s, %w : tensor<?x?x?xf32>, tensor<?x4x?x?xf32>
}

// The Reshape takes the queries apart, not the heads.
// CHECK-LABEL: func @other_dim_split
// CHECK: onnx.MatMul {{.*}} -> tensor<?x?x?xf32>
func.func @other_dim_split(%q4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "i", 8]}, %k4: tensor<?x4x8x?xf32> {onnx.dims = ["b", 4, 8, "j"]}, %v4: tensor<?x4x?x8xf32> {onnx.dims = ["b", 4, "j", 8]}, %q5: tensor<?x4x4x?x8xf32> {onnx.dims = ["b", 4, 4, "i", 8]}) -> tensor<?x4x?x?xf32> {
  %b = kernel.dim "b"
  %i = kernel.dim "i"
  %j = kernel.dim "j"
  %c4 = arith.constant 4 : index
  %n = arith.muli %b, %c4 : index
  %b64 = arith.index_cast %b : index to i64
  %i64_ = arith.index_cast %i : index to i64
  %j64 = arith.index_cast %j : index to i64
  %n64 = arith.index_cast %n : index to i64
  %four = arith.constant 4 : i64
  %eight = arith.constant 8 : i64
  %qs = tensor.from_elements %n64, %i64_, %eight : tensor<3xi64>
  %ks = tensor.from_elements %n64, %eight, %j64 : tensor<3xi64>
  %vs = tensor.from_elements %n64, %j64, %eight : tensor<3xi64>
  %merged = tensor.from_elements %n64, %i64_, %j64 : tensor<3xi64>
  %split = tensor.from_elements %b64, %four, %i64_, %j64 : tensor<4xi64>
  %q = onnx.Reshape %q4, %qs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %k = onnx.Reshape %k4, %ks {allowzero = true} : (tensor<?x4x8x?xf32>, tensor<3xi64>) -> tensor<?x8x?xf32>
  %v = onnx.Reshape %v4, %vs {allowzero = true} : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %s = onnx.MatMul %q, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %shape = tensor.from_elements %n64, %four, %i64_, %j64 : tensor<4xi64>
  %i4 = arith.muli %i, %c4 : index
  %i464 = arith.index_cast %i4 : index to i64
  %ts = tensor.from_elements %n64, %i464, %eight : tensor<3xi64>
  %t = onnx.Reshape %q5, %ts {allowzero = true} : (tensor<?x4x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %long = onnx.MatMul %t, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %w = onnx.Reshape %long, %shape {allowzero = true} : (tensor<?x?x?xf32>, tensor<4xi64>) -> tensor<?x4x?x?xf32>
  return %w : tensor<?x4x?x?xf32>
}

// CLIP-like models: the softmax is on [batch * heads, ...], the product with the values on [batch, heads, ...].
// CHECK-LABEL: func @softmax_split
// CHECK: %[[S:.*]] = onnx.MatMul %arg0, %arg1 : (tensor<2x4x5x8xf32>, tensor<2x4x8x6xf32>) -> tensor<2x4x5x6xf32>
// CHECK: %[[P:.*]] = onnx.Softmax %[[S]] {axis = 3
// CHECK: onnx.MatMul %[[P]], %arg2 :
func.func @softmax_split(%q4: tensor<2x4x5x8xf32>, %k4: tensor<2x4x8x6xf32>, %v: tensor<2x4x6x8xf32>) -> tensor<2x4x5x8xf32> {
  %qs = onnx.Constant dense<[8, 5, 8]> : tensor<3xi64> : tensor<3xi64>
  %ks = onnx.Constant dense<[8, 8, 6]> : tensor<3xi64> : tensor<3xi64>
  %ps = onnx.Constant dense<[2, 4, 5, 6]> : tensor<4xi64> : tensor<4xi64>
  %q = onnx.Reshape %q4, %qs {allowzero = true} : (tensor<2x4x5x8xf32>, tensor<3xi64>) -> tensor<8x5x8xf32>
  %k = onnx.Reshape %k4, %ks {allowzero = true} : (tensor<2x4x8x6xf32>, tensor<3xi64>) -> tensor<8x8x6xf32>
  %s = onnx.MatMul %q, %k : (tensor<8x5x8xf32>, tensor<8x8x6xf32>) -> tensor<8x5x6xf32>
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<8x5x6xf32>) -> tensor<8x5x6xf32>
  %p4 = onnx.Reshape %p, %ps {allowzero = true} : (tensor<8x5x6xf32>, tensor<4xi64>) -> tensor<2x4x5x6xf32>
  %o = onnx.MatMul %p4, %v : (tensor<2x4x5x6xf32>, tensor<2x4x6x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// Two readers: the softmax is not computed twice.
// CHECK-LABEL: func @softmax_read_twice
// CHECK: onnx.Softmax {{.*}} {axis = 2 : i64} : (tensor<8x5x6xf32>)
// CHECK-NOT: onnx.Softmax
func.func @softmax_read_twice(%q: tensor<8x5x8xf32>, %k: tensor<8x8x6xf32>) -> (tensor<8x5x6xf32>, tensor<2x4x5x6xf32>) {
  %ps = onnx.Constant dense<[2, 4, 5, 6]> : tensor<4xi64> : tensor<4xi64>
  %s = onnx.MatMul %q, %k : (tensor<8x5x8xf32>, tensor<8x8x6xf32>) -> tensor<8x5x6xf32>
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<8x5x6xf32>) -> tensor<8x5x6xf32>
  %p4 = onnx.Reshape %p, %ps {allowzero = true} : (tensor<8x5x6xf32>, tensor<4xi64>) -> tensor<2x4x5x6xf32>
  return %p, %p4 : tensor<8x5x6xf32>, tensor<2x4x5x6xf32>
}
