// Query heads in groups that share a key head become one dim.
// RUN: rapt-opt --simplify-canonicalize %s | FileCheck %s

// Scores of five dims, a slope for each head and a mask for all of them.
// CHECK-LABEL: func @five_dims
// CHECK: %[[KE:.*]] = onnx.Expand %arg1, {{.*}} -> tensor<4x2x3x8x7xf32>
// CHECK: %[[K:.*]] = onnx.Reshape %[[KE]], {{.*}} -> tensor<4x6x8x7xf32>
// CHECK: %[[Q:.*]] = onnx.Reshape %arg0, {{.*}} -> tensor<4x6x5x8xf32>
// CHECK: %[[S:.*]] = onnx.MatMul %[[Q]], %[[K]]
// CHECK: %[[A:.*]] = onnx.Reshape %arg3, {{.*}} -> tensor<1x6x1x7xf32>
// CHECK: %[[B:.*]] = onnx.Add %[[S]], %[[A]]
// CHECK: %[[W:.*]] = onnx.Where %{{.*}}, %[[B]], %arg5 : (tensor<4x1x5x7xi1>,
// CHECK: %[[P:.*]] = onnx.Softmax %[[W]] {axis = 3
// CHECK: %[[VE:.*]] = onnx.Expand %arg2, {{.*}} -> tensor<4x2x3x7x8xf32>
// CHECK: %[[V:.*]] = onnx.Reshape %[[VE]], {{.*}} -> tensor<4x6x7x8xf32>
// CHECK: %[[O:.*]] = onnx.MatMul %[[P]], %[[V]]
// CHECK: %[[T:.*]] = onnx.Transpose %[[O]] {perm = array<i64: 0, 2, 1, 3>}
// CHECK: onnx.Reshape %[[T]], {{.*}} -> tensor<4x5x48xf32>
func.func @five_dims(%q: tensor<4x2x3x5x8xf32>, %k: tensor<4x2x1x8x7xf32>, %v: tensor<4x2x1x7x8xf32>, %slope: tensor<2x3x1x7xf32>, %m: tensor<4x1x1x5x7xi1>, %low: tensor<f32>) -> tensor<4x5x48xf32> {
  %s = onnx.MatMul %q, %k : (tensor<4x2x3x5x8xf32>, tensor<4x2x1x8x7xf32>) -> tensor<4x2x3x5x7xf32>
  %b = onnx.Add %s, %slope : (tensor<4x2x3x5x7xf32>, tensor<2x3x1x7xf32>) -> tensor<4x2x3x5x7xf32>
  %w = onnx.Where %m, %b, %low : (tensor<4x1x1x5x7xi1>, tensor<4x2x3x5x7xf32>, tensor<f32>) -> tensor<4x2x3x5x7xf32>
  %p = onnx.Softmax %w {axis = 4 : i64} : (tensor<4x2x3x5x7xf32>) -> tensor<4x2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<4x2x3x5x7xf32>, tensor<4x2x1x7x8xf32>) -> tensor<4x2x3x5x8xf32>
  %t = onnx.Transpose %o {perm = array<i64: 0, 3, 1, 2, 4>} : (tensor<4x2x3x5x8xf32>) -> tensor<4x5x2x3x8xf32>
  %shape = onnx.Constant dense<[4, 5, 48]> : tensor<3xi64> : tensor<3xi64>
  %r = onnx.Reshape %t, %shape {allowzero = true} : (tensor<4x5x2x3x8xf32>, tensor<3xi64>) -> tensor<4x5x48xf32>
  return %r : tensor<4x5x48xf32>
}

// The heads of a group and its queries as rows of one product.
// CHECK-LABEL: func @rows
// CHECK: %[[S:.*]] = onnx.MatMul {{.*}} : (tensor<4x6x5x8xf32>, tensor<4x6x8x7xf32>) -> tensor<4x6x5x7xf32>
// CHECK: %[[P:.*]] = onnx.Softmax %[[S]] {axis = 3
// CHECK: onnx.MatMul %[[P]], {{.*}} : (tensor<4x6x5x7xf32>, tensor<4x6x7x8xf32>) -> tensor<4x6x5x8xf32>
func.func @rows(%q: tensor<4x2x15x8xf32>, %k: tensor<4x2x8x7xf32>, %v: tensor<4x2x7x8xf32>) -> tensor<4x2x15x8xf32> {
  %five = onnx.Constant dense<[4, 2, 3, 5, 7]> : tensor<5xi64> : tensor<5xi64>
  %four = onnx.Constant dense<[4, 2, 15, 7]> : tensor<4xi64> : tensor<4xi64>
  %s = onnx.MatMul %q, %k : (tensor<4x2x15x8xf32>, tensor<4x2x8x7xf32>) -> tensor<4x2x15x7xf32>
  %s5 = onnx.Reshape %s, %five {allowzero = true} : (tensor<4x2x15x7xf32>, tensor<5xi64>) -> tensor<4x2x3x5x7xf32>
  %p = onnx.Softmax %s5 {axis = 4 : i64} : (tensor<4x2x3x5x7xf32>) -> tensor<4x2x3x5x7xf32>
  %p4 = onnx.Reshape %p, %four {allowzero = true} : (tensor<4x2x3x5x7xf32>, tensor<4xi64>) -> tensor<4x2x15x7xf32>
  %o = onnx.MatMul %p4, %v : (tensor<4x2x15x7xf32>, tensor<4x2x7x8xf32>) -> tensor<4x2x15x8xf32>
  return %o : tensor<4x2x15x8xf32>
}

// No product follows: keys are not repeated for it.
// CHECK-LABEL: func @no_attention
// CHECK-NOT: onnx.Expand
// CHECK: onnx.Softmax {{.*}} {axis = 4
func.func @no_attention(%q: tensor<4x2x3x5x8xf32>, %k: tensor<4x2x1x8x7xf32>) -> tensor<4x2x3x5x7xf32> {
  %s = onnx.MatMul %q, %k : (tensor<4x2x3x5x8xf32>, tensor<4x2x1x8x7xf32>) -> tensor<4x2x3x5x7xf32>
  %p = onnx.Softmax %s {axis = 4 : i64} : (tensor<4x2x3x5x7xf32>) -> tensor<4x2x3x5x7xf32>
  return %p : tensor<4x2x3x5x7xf32>
}

// The number of groups is not static, so neither is that of heads: groups become one dim with the batch.
// CHECK-LABEL: func @dynamic_groups
// CHECK: onnx.MatMul {{.*}} : (tensor<?x3x5x8xf32>, tensor<?x1x8x7xf32>) -> tensor<?x3x5x7xf32>
// CHECK: onnx.Softmax {{.*}} {axis = 3
func.func @dynamic_groups(%q: tensor<4x?x3x5x8xf32> {onnx.dims = [4, "g", 3, 5, 8]}, %k: tensor<4x?x1x8x7xf32> {onnx.dims = [4, "g", 1, 8, 7]}, %v: tensor<4x?x1x7x8xf32> {onnx.dims = [4, "g", 1, 7, 8]}) -> tensor<4x?x3x5x8xf32> {
  %s = onnx.MatMul %q, %k : (tensor<4x?x3x5x8xf32>, tensor<4x?x1x8x7xf32>) -> tensor<4x?x3x5x7xf32>
  %p = onnx.Softmax %s {axis = 4 : i64} : (tensor<4x?x3x5x7xf32>) -> tensor<4x?x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<4x?x3x5x7xf32>, tensor<4x?x1x7x8xf32>) -> tensor<4x?x3x5x8xf32>
  return %o : tensor<4x?x3x5x8xf32>
}

// Heads of other groups as neighbours, as a transpose in between makes them, are no head dim.
// CHECK-LABEL: func @other_order
// CHECK: onnx.MatMul {{.*}} : (tensor<4x15x2x8xf32>, tensor<4x15x8x7xf32>)
func.func @other_order(%q: tensor<4x15x2x8xf32>, %k: tensor<4x15x8x7xf32>, %v: tensor<4x2x1x7x8xf32>) -> tensor<4x2x3x5x8xf32> {
  %five = onnx.Constant dense<[4, 2, 3, 5, 7]> : tensor<5xi64> : tensor<5xi64>
  %s = onnx.MatMul %q, %k : (tensor<4x15x2x8xf32>, tensor<4x15x8x7xf32>) -> tensor<4x15x2x7xf32>
  %s5 = onnx.Reshape %s, %five {allowzero = true} : (tensor<4x15x2x7xf32>, tensor<5xi64>) -> tensor<4x2x3x5x7xf32>
  %p = onnx.Softmax %s5 {axis = 4 : i64} : (tensor<4x2x3x5x7xf32>) -> tensor<4x2x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<4x2x3x5x7xf32>, tensor<4x2x1x7x8xf32>) -> tensor<4x2x3x5x8xf32>
  return %o : tensor<4x2x3x5x8xf32>
}

// A number of blocks that is dynamic becomes one dim with the batch: a bias that all blocks share, and a mask of each.
// CHECK-LABEL: func @blocks
// CHECK-SAME: -> tensor<?x?x3x5x8xf32>
// CHECK-DAG: %[[Q:.*]] = onnx.Reshape %arg0, {{.*}} -> tensor<?x3x5x8xf32>
// CHECK-DAG: %[[K:.*]] = onnx.Reshape %arg1, {{.*}} -> tensor<?x3x8x7xf32>
// CHECK-DAG: %[[S:.*]] = onnx.MatMul %[[Q]], %[[K]]
// CHECK-DAG: %[[B:.*]] = onnx.Add %[[S]], %arg3
// CHECK-DAG: %[[ME:.*]] = onnx.Expand %arg4, {{.*}} -> tensor<?x?x1x1x7xf32>
// CHECK-DAG: %[[M:.*]] = onnx.Reshape %[[ME]], {{.*}} -> tensor<?x1x1x7xf32>
// CHECK-DAG: %[[W:.*]] = onnx.Add %[[B]], %[[M]]
// CHECK: %[[P:.*]] = onnx.Softmax %[[W]] {axis = 3
// CHECK: %[[V:.*]] = onnx.Reshape %arg2, {{.*}} -> tensor<?x3x7x8xf32>
// CHECK: %[[O:.*]] = onnx.MatMul %[[P]], %[[V]]
// CHECK: onnx.Reshape %[[O]], {{.*}} -> tensor<?x?x3x5x8xf32>
func.func @blocks(%q: tensor<?x?x3x5x8xf32> {onnx.dims = ["batch", "blocks", 3, 5, 8]}, %k: tensor<?x?x3x8x7xf32> {onnx.dims = ["batch", "blocks", 3, 8, 7]}, %v: tensor<?x?x3x7x8xf32> {onnx.dims = ["batch", "blocks", 3, 7, 8]}, %bias: tensor<3x5x7xf32>, %m: tensor<?x1x1x7xf32> {onnx.dims = ["blocks", 1, 1, 7]}) -> tensor<?x?x3x5x8xf32> {
  %s = onnx.MatMul %q, %k : (tensor<?x?x3x5x8xf32>, tensor<?x?x3x8x7xf32>) -> tensor<?x?x3x5x7xf32>
  %b = onnx.Add %s, %bias : (tensor<?x?x3x5x7xf32>, tensor<3x5x7xf32>) -> tensor<?x?x3x5x7xf32>
  %w = onnx.Add %b, %m : (tensor<?x?x3x5x7xf32>, tensor<?x1x1x7xf32>) -> tensor<?x?x3x5x7xf32>
  %p = onnx.Softmax %w {axis = 4 : i64} : (tensor<?x?x3x5x7xf32>) -> tensor<?x?x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x?x3x5x7xf32>, tensor<?x?x3x7x8xf32>) -> tensor<?x?x3x5x8xf32>
  return %o : tensor<?x?x3x5x8xf32>
}

// Two dims of windows in front of heads.
// CHECK-LABEL: func @six_dims
// CHECK: onnx.Softmax {{.*}} {axis = 3 : i64} : (tensor<{{.*}}x5x7xf32>)
func.func @six_dims(%q: tensor<2x3x4x2x5x8xf32>, %k: tensor<2x3x4x2x8x7xf32>, %v: tensor<2x3x4x2x7x8xf32>) -> tensor<2x3x4x2x5x8xf32> {
  %s = onnx.MatMul %q, %k : (tensor<2x3x4x2x5x8xf32>, tensor<2x3x4x2x8x7xf32>) -> tensor<2x3x4x2x5x7xf32>
  %p = onnx.Softmax %s {axis = 5 : i64} : (tensor<2x3x4x2x5x7xf32>) -> tensor<2x3x4x2x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<2x3x4x2x5x7xf32>, tensor<2x3x4x2x7x8xf32>) -> tensor<2x3x4x2x5x8xf32>
  return %o : tensor<2x3x4x2x5x8xf32>
}

// Keys that all blocks share would have to be repeated: the scores keep their dims.
// CHECK-LABEL: func @shared_by_blocks
// CHECK: onnx.MatMul %arg0, %arg1 {{.*}} -> tensor<?x?x3x5x7xf32>
func.func @shared_by_blocks(%q: tensor<?x?x3x5x8xf32> {onnx.dims = ["batch", "blocks", 3, 5, 8]}, %k: tensor<?x1x3x8x7xf32> {onnx.dims = ["batch", 1, 3, 8, 7]}, %v: tensor<?x1x3x7x8xf32> {onnx.dims = ["batch", 1, 3, 7, 8]}) -> tensor<?x?x3x5x8xf32> {
  %s = onnx.MatMul %q, %k : (tensor<?x?x3x5x8xf32>, tensor<?x1x3x8x7xf32>) -> tensor<?x?x3x5x7xf32>
  %p = onnx.Softmax %s {axis = 4 : i64} : (tensor<?x?x3x5x7xf32>) -> tensor<?x?x3x5x7xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x?x3x5x7xf32>, tensor<?x1x3x7x8xf32>) -> tensor<?x?x3x5x8xf32>
  return %o : tensor<?x?x3x5x8xf32>
}
