// RUN: rapt-opt %s --fuse-lower --cse --form-regions --cse --split-input-file | FileCheck %s
// RUN: rapt-opt %s --fuse-lower --cse --form-regions --cse --split-input-file | rapt-opt --split-input-file > /dev/null

// Bias, GELU and residual go with the product; the norm is one pass over memory.
// CHECK-LABEL: func @linear_norm
func.func @linear_norm(%x: tensor<?x?x8xf32> {onnx.dims = ["b", "s", 8]}, %r: tensor<?x?x4xf32> {onnx.dims = ["b", "s", 4]}) -> tensor<?x?x4xf32> {
  // CHECK-DAG: %[[B:.*]] = kernel.dim "b"
  // CHECK-DAG: %[[S:.*]] = kernel.dim "s"
  // CHECK: %[[L:.*]] = kernel.region "linear" dims(%[[B]], %[[S]]) ins(%arg0, %{{.*}}, %{{.*}}, %arg1) shapes [array<i64: 0, 1>, array<i64>, array<i64>, array<i64: 0, 1>] -> [array<i64: 0, 1>]
  // CHECK: arith.mulf
  // CHECK: math.erf
  // CHECK: kernel.yield
  // CHECK: %[[N:.*]] = kernel.region "norm" dims(%[[B]], %[[S]]) ins(%[[L]]
  // CHECK-COUNT-5: linalg.generic
  // CHECK: kernel.yield
  // CHECK: return %[[N]]
  %w = kernel.weight [dense<1.0> : tensor<8x4xf32>] : tensor<8x4xf32>
  %b = kernel.weight [dense<2.0> : tensor<4xf32>] : tensor<4xf32>
  %0 = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32>
  %1 = onnx.Add %0, %b : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %2 = onnx.Gelu %1 : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %3 = onnx.Add %2, %r : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %4 = onnx.LayerNormalization %3, %b, %b {axis = 2 : i64} : (tensor<?x?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  return %4 : tensor<?x?x4xf32>
}

// -----

// A value in two places is stored: the epilogue ends where the chain has a second reader.
// CHECK-LABEL: func @shared_product
func.func @shared_product(%x: tensor<3x8xf32>) -> (tensor<3x4xf32>, tensor<3x4xf32>) {
  // CHECK: %[[L:.*]] = kernel.region "linear"
  // CHECK: %[[P:.*]] = kernel.region "pointwise" dims() ins(%[[L]])
  // CHECK: return %[[L]], %[[P]]
  %w = kernel.weight [dense<1.0> : tensor<8x4xf32>] : tensor<8x4xf32>
  %0 = onnx.MatMul %x, %w : (tensor<3x8xf32>, tensor<8x4xf32>) -> tensor<3x4xf32>
  %1 = onnx.Tanh %0 : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %0, %1 : tensor<3x4xf32>, tensor<3x4xf32>
}

// -----

// x * sigmoid(x): both readers of the product are in the kernel.
// CHECK-LABEL: func @silu
func.func @silu(%x: tensor<3x8xf32>) -> tensor<3x4xf32> {
  // CHECK: %[[L:.*]] = kernel.region "linear"
  // CHECK: math.exp
  // CHECK: arith.mulf
  // CHECK: kernel.yield
  // CHECK: return %[[L]]
  %w = kernel.weight [dense<1.0> : tensor<8x4xf32>] : tensor<8x4xf32>
  %0 = onnx.MatMul %x, %w : (tensor<3x8xf32>, tensor<8x4xf32>) -> tensor<3x4xf32>
  %1 = onnx.Sigmoid %0 : (tensor<3x4xf32>) -> tensor<3x4xf32>
  %2 = onnx.Mul %0, %1 : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  return %2 : tensor<3x4xf32>
}

// -----

// Slices, splits into heads and transposes vanish into the attention kernel; merging the heads is an
// alias of its result.
// CHECK-LABEL: func @attention
func.func @attention(%qkv: tensor<?x?x48xf32> {onnx.dims = ["b", "s", 48]}, %m: tensor<?x1x1x?xi1> {onnx.dims = ["b", 1, 1, "s"]}) -> tensor<?x?x16xf32> {
  %b = kernel.dim "b"
  %s = kernel.dim "s"
  %bi = arith.index_cast %b : index to i64
  %si = arith.index_cast %s : index to i64
  %c2 = arith.constant 2 : i64
  %c8 = arith.constant 8 : i64
  %c16 = arith.constant 16 : i64
  %split = tensor.from_elements %bi, %si, %c2, %c8 : tensor<4xi64>
  %merge = tensor.from_elements %bi, %si, %c16 : tensor<3xi64>
  %p0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %p1 = onnx.Constant dense<16> : tensor<1xi64> : tensor<1xi64>
  %p2 = onnx.Constant dense<32> : tensor<1xi64> : tensor<1xi64>
  %p3 = onnx.Constant dense<48> : tensor<1xi64> : tensor<1xi64>
  // CHECK-NOT: kernel.region "pointwise"
  // CHECK: %[[A:.*]] = kernel.region "attention" dims(%{{.*}}, %{{.*}}) ins(%arg{{[01]}}, %arg{{[01]}})
  // CHECK-SAME: -> tensor<?x?x2x8xf32>
  // CHECK-COUNT-3: tensor.expand_shape
  // CHECK: attn.sdpa
  // CHECK: kernel.yield
  // CHECK: %[[C:.*]] = tensor.collapse_shape %[[A]] {{\[}}[0], [1], [2, 3]]
  // CHECK: return %[[C]]
  %0 = onnx.Slice %qkv, %p0, %p1 {axes = array<i64: 2>, steps = array<i64: 1>} : (tensor<?x?x48xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x16xf32>
  %1 = onnx.Slice %qkv, %p1, %p2 {axes = array<i64: 2>, steps = array<i64: 1>} : (tensor<?x?x48xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x16xf32>
  %2 = onnx.Slice %qkv, %p2, %p3 {axes = array<i64: 2>, steps = array<i64: 1>} : (tensor<?x?x48xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x16xf32>
  %3 = onnx.Reshape %0, %split : (tensor<?x?x16xf32>, tensor<4xi64>) -> tensor<?x?x2x8xf32>
  %4 = onnx.Reshape %1, %split : (tensor<?x?x16xf32>, tensor<4xi64>) -> tensor<?x?x2x8xf32>
  %5 = onnx.Reshape %2, %split : (tensor<?x?x16xf32>, tensor<4xi64>) -> tensor<?x?x2x8xf32>
  %q = onnx.Transpose %3 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
  %k = onnx.Transpose %4 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
  %v = onnx.Transpose %5 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
  %o = attn.sdpa query(%q) key(%k) value(%v) mask(%m) {scale = 1.0 : f64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x1x?xi1>) -> tensor<?x2x?x8xf32>
  %t = onnx.Transpose %o {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x2x?x8xf32>) -> tensor<?x?x2x8xf32>
  %y = onnx.Reshape %t, %merge : (tensor<?x?x2x8xf32>, tensor<3xi64>) -> tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}

// -----

// The embeddings are gathered where the norm reads them.
// CHECK-LABEL: func @embeddings
func.func @embeddings(%i: tensor<2x3xi64>, %t: tensor<2x3xi64>) -> tensor<2x3x4xf32> {
  // CHECK: kernel.check_indices %arg0
  // CHECK: kernel.check_indices %arg1
  // CHECK: %[[N:.*]] = kernel.region "norm"
  // CHECK: tensor.extract
  // CHECK: tensor.extract
  // CHECK: math.sqrt
  // CHECK: kernel.yield
  // CHECK: return %[[N]]
  %w = kernel.weight [dense<1.0> : tensor<9x4xf32>] : tensor<9x4xf32>
  %u = kernel.weight [dense<2.0> : tensor<2x4xf32>] : tensor<2x4xf32>
  %g = kernel.weight [dense<3.0> : tensor<4xf32>] : tensor<4xf32>
  %0 = onnx.Gather %w, %i {axis = 0 : i64} : (tensor<9x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
  %1 = onnx.Gather %u, %t {axis = 0 : i64} : (tensor<2x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
  %2 = onnx.Add %0, %1 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %3 = onnx.LayerNormalization %2, %g, %g {axis = 2 : i64} : (tensor<2x3x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  return %3 : tensor<2x3x4xf32>
}

// -----

// Mean pooling and L2 norm: a reduction over the middle, then rows.
// CHECK-LABEL: func @pooling
func.func @pooling(%x: tensor<?x?x4xf32> {onnx.dims = ["b", "s", 4]}, %m: tensor<?x?x1xf32> {onnx.dims = ["b", "s", 1]}) -> tensor<?x4xf32> {
  // CHECK: kernel.region "reduce"
  // CHECK: kernel.region "reduce"
  // CHECK: %[[R:.*]] = kernel.region "rows"
  // CHECK: math.sqrt
  // CHECK: arith.divf
  // CHECK: return %[[R]]
  %low = onnx.Constant dense<1.0e-9> : tensor<f32> : tensor<f32>
  %0 = onnx.Mul %x, %m : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %1 = onnx.ReduceSum %0 {axes = array<i64: 1>, keepdims = false} : (tensor<?x?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.ReduceSum %m {axes = array<i64: 1>, keepdims = false} : (tensor<?x?x1xf32>) -> tensor<?x1xf32>
  %3 = onnx.Clip %2 min %low : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %4 = onnx.Div %1, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = onnx.ReduceL2 %4 {axes = array<i64: 1>} : (tensor<?x4xf32>) -> tensor<?x1xf32>
  %6 = onnx.Div %4, %5 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  return %6 : tensor<?x4xf32>
}

// -----

// What was not fused is still computed: two products of activations around rows.
// CHECK-LABEL: func @unfused
func.func @unfused(%q: tensor<2x5x8xf32>, %k: tensor<2x8x5xf32>, %v: tensor<2x5x8xf32>) -> (tensor<2x5x8xf32>, tensor<2x5x5xf32>) {
  // CHECK: %[[S:.*]] = kernel.region "matmul"
  // CHECK: %[[P:.*]] = kernel.region "rows" dims() ins(%[[S]])
  // CHECK: %[[O:.*]] = kernel.region "matmul" dims() ins(%[[P]], %arg2)
  // CHECK: return %[[O]], %[[P]]
  %s = onnx.MatMul %q, %k : (tensor<2x5x8xf32>, tensor<2x8x5xf32>) -> tensor<2x5x5xf32>
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x5x5xf32>, tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
  return %o, %p : tensor<2x5x8xf32>, tensor<2x5x5xf32>
}

// -----

// An input that is returned, and a value returned twice, are copied.
// CHECK-LABEL: func @returned
func.func @returned(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  // CHECK-COUNT-3: kernel.region "pointwise"
  // CHECK: return
  %0 = onnx.Exp %x : (tensor<?xf32>) -> tensor<?xf32>
  return %x, %0, %0 : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}

// -----

// Numbers that follow from the position have no memory of their own: each of many readers takes a copy.
// CHECK-LABEL: func @many_readers
func.func @many_readers(%x: tensor<?x4xi64> {onnx.dims = ["n", 4]}) -> (tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi1>, tensor<?x4xi1>, tensor<?x4xi1>) {
  // CHECK-COUNT-9: linalg.index
  // CHECK: return
  %e = tensor.empty() : tensor<4xi64>
  %i = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<4xi64>) {
  ^bb0(%out: i64):
    %p = linalg.index 0 : index
    %q = arith.index_cast %p : index to i64
    linalg.yield %q : i64
  } -> tensor<4xi64>
  %1 = onnx.Add %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi64>
  %2 = onnx.Sub %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi64>
  %3 = onnx.Mul %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi64>
  %4 = onnx.Max %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi64>
  %5 = onnx.Min %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi64>
  %6 = onnx.Div %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi64>
  %7 = onnx.Equal %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi1>
  %8 = onnx.Less %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi1>
  %9 = onnx.Greater %x, %i : (tensor<?x4xi64>, tensor<4xi64>) -> tensor<?x4xi1>
  return %1, %2, %3, %4, %5, %6, %7, %8, %9 : tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi1>, tensor<?x4xi1>, tensor<?x4xi1>
}
