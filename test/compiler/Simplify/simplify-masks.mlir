// RUN: rapt-opt %s --simplify-canonicalize --split-input-file | FileCheck %s

// A mask that is chosen, then reshaped: the condition is reshaped.

// CHECK-LABEL: func @reshaped_choice
func.func @reshaped_choice(%m: tensor<2x7xi1>, %s: tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> {
  // CHECK: %[[C:.*]] = onnx.Reshape %arg0, %{{.*}} -> tensor<2x1x1x7xi1>
  // CHECK: onnx.Where %[[C]], {{.*}} -> tensor<2x1x1x7xf32>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %shape = onnx.Constant dense<[2, 1, 1, 7]> : tensor<4xi64> : tensor<4xi64>
  %w = onnx.Where %m, %inf, %zero : (tensor<2x7xi1>, tensor<f32>, tensor<f32>) -> tensor<2x7xf32>
  %r = onnx.Reshape %w, %shape {allowzero = true} : (tensor<2x7xf32>, tensor<4xi64>) -> tensor<2x1x1x7xf32>
  %b = onnx.Add %s, %r : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32>
  return %b : tensor<2x3x5x7xf32>
}

// -----

// A number that a trace has spread to the size of the mask counts as one.
// CHECK-LABEL: func @spread_number
func.func @spread_number(%m: tensor<5x7xi1>) -> tensor<1x1x5x7xf32> {
  // CHECK: %[[C:.*]] = onnx.Reshape %arg0, %{{.*}} -> tensor<1x1x5x7xi1>
  // CHECK: onnx.Where %[[C]], {{.*}} : (tensor<1x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x5x7xf32>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<5x7xf32> : tensor<5x7xf32>
  %shape = onnx.Constant dense<[1, 1, 5, 7]> : tensor<4xi64> : tensor<4xi64>
  %w = onnx.Where %m, %inf, %zero : (tensor<5x7xi1>, tensor<f32>, tensor<5x7xf32>) -> tensor<5x7xf32>
  %r = onnx.Reshape %w, %shape {allowzero = true} : (tensor<5x7xf32>, tensor<4xi64>) -> tensor<1x1x5x7xf32>
  return %r : tensor<1x1x5x7xf32>
}

// -----

// A choice between tensors stays: they would have to be reshaped as well.
// CHECK-LABEL: func @choice_of_tensors
func.func @choice_of_tensors(%m: tensor<2x7xi1>, %x: tensor<2x7xf32>) -> tensor<2x1x1x7xf32> {
  // CHECK: onnx.Where {{.*}} -> tensor<2x7xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %shape = onnx.Constant dense<[2, 1, 1, 7]> : tensor<4xi64> : tensor<4xi64>
  %w = onnx.Where %m, %x, %zero : (tensor<2x7xi1>, tensor<2x7xf32>, tensor<f32>) -> tensor<2x7xf32>
  %r = onnx.Reshape %w, %shape {allowzero = true} : (tensor<2x7xf32>, tensor<4xi64>) -> tensor<2x1x1x7xf32>
  return %r : tensor<2x1x1x7xf32>
}

// -----

// Masks of shifted windows: a mask for each of 4 windows, the same for every image.
// CHECK-LABEL: func @windows
func.func @windows(%images: tensor<?x12x5x5xf32> {onnx.dims = ["batch", 12, 5, 5]}, %m: tensor<1x4x1x5x5xf32>) -> tensor<?x3x5x5xf32> {
  // CHECK: %[[X:.*]] = onnx.Exp
  // CHECK: %[[E:.*]] = onnx.Expand %arg1, %{{.*}} -> tensor<?x4x1x5x5xf32>
  // CHECK: %[[M:.*]] = onnx.Reshape %[[E]], %{{.*}} -> tensor<?x1x5x5xf32>
  // CHECK: %[[S:.*]] = onnx.Add %[[X]], %[[M]]
  // CHECK: return %[[S]]
  %split = onnx.Constant dense<[-1, 4, 3, 5, 5]> : tensor<5xi64> : tensor<5xi64>
  %join = onnx.Constant dense<[-1, 3, 5, 5]> : tensor<4xi64> : tensor<4xi64>
  %s = onnx.Reshape %images, %join : (tensor<?x12x5x5xf32>, tensor<4xi64>) -> tensor<?x3x5x5xf32>
  %x = onnx.Exp %s : (tensor<?x3x5x5xf32>) -> tensor<?x3x5x5xf32>
  %a = onnx.Reshape %x, %split : (tensor<?x3x5x5xf32>, tensor<5xi64>) -> tensor<?x4x3x5x5xf32>
  %b = onnx.Add %a, %m : (tensor<?x4x3x5x5xf32>, tensor<1x4x1x5x5xf32>) -> tensor<?x4x3x5x5xf32>
  %c = onnx.Reshape %b, %join : (tensor<?x4x3x5x5xf32>, tensor<4xi64>) -> tensor<?x3x5x5xf32>
  return %c : tensor<?x3x5x5xf32>
}

// -----

// Two terms one after the other: Swin v2 adds its masks twice.
// CHECK-LABEL: func @windows_twice
func.func @windows_twice(%s: tensor<8x3x5x5xf32>, %m: tensor<1x4x1x5x5xf32>, %n: tensor<3x5x1xf32>) -> tensor<8x3x5x5xf32> {
  // CHECK: %[[E:.*]] = onnx.Expand %arg1, %{{.*}} -> tensor<2x4x1x5x5xf32>
  // CHECK: %[[M:.*]] = onnx.Reshape %[[E]], %{{.*}} -> tensor<8x1x5x5xf32>
  // CHECK: %[[S:.*]] = onnx.Add %arg0, %[[M]]
  // CHECK: %[[T:.*]] = onnx.Add %arg2, %[[S]]
  // CHECK: return %[[T]]
  %split = onnx.Constant dense<[2, 4, 3, 5, 5]> : tensor<5xi64> : tensor<5xi64>
  %join = onnx.Constant dense<[8, 3, 5, 5]> : tensor<4xi64> : tensor<4xi64>
  %a = onnx.Reshape %s, %split : (tensor<8x3x5x5xf32>, tensor<5xi64>) -> tensor<2x4x3x5x5xf32>
  %b = onnx.Add %a, %m : (tensor<2x4x3x5x5xf32>, tensor<1x4x1x5x5xf32>) -> tensor<2x4x3x5x5xf32>
  %c = onnx.Add %n, %b : (tensor<3x5x1xf32>, tensor<2x4x3x5x5xf32>) -> tensor<2x4x3x5x5xf32>
  %d = onnx.Reshape %c, %join : (tensor<2x4x3x5x5xf32>, tensor<4xi64>) -> tensor<8x3x5x5xf32>
  return %d : tensor<8x3x5x5xf32>
}

// -----

// Somebody else reads the sum on split dims: it stays.
// CHECK-LABEL: func @windows_read_twice
func.func @windows_read_twice(%s: tensor<8x3x5x5xf32>, %m: tensor<1x4x1x5x5xf32>) -> (tensor<8x3x5x5xf32>, tensor<2x4x3x5x5xf32>) {
  // CHECK: %[[B:.*]] = onnx.Add {{.*}} -> tensor<2x4x3x5x5xf32>
  // CHECK: %[[D:.*]] = onnx.Reshape %[[B]]
  // CHECK: return %[[D]], %[[B]]
  %split = onnx.Constant dense<[2, 4, 3, 5, 5]> : tensor<5xi64> : tensor<5xi64>
  %join = onnx.Constant dense<[8, 3, 5, 5]> : tensor<4xi64> : tensor<4xi64>
  %a = onnx.Reshape %s, %split : (tensor<8x3x5x5xf32>, tensor<5xi64>) -> tensor<2x4x3x5x5xf32>
  %b = onnx.Add %a, %m : (tensor<2x4x3x5x5xf32>, tensor<1x4x1x5x5xf32>) -> tensor<2x4x3x5x5xf32>
  %d = onnx.Reshape %b, %join : (tensor<2x4x3x5x5xf32>, tensor<4xi64>) -> tensor<8x3x5x5xf32>
  return %d, %b : tensor<8x3x5x5xf32>, tensor<2x4x3x5x5xf32>
}

// -----

// A condition in place of the sum; what is the same for all windows is not expanded.
// CHECK-LABEL: func @windows_condition
func.func @windows_condition(%s: tensor<8x3x5x5xf32>, %m: tensor<1x1x5x5xi1>) -> tensor<8x3x5x5xf32> {
  // CHECK-NOT: onnx.Expand
  // CHECK: onnx.Where %arg1, %{{.*}}, %arg0 {{.*}} -> tensor<8x3x5x5xf32>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %split = onnx.Constant dense<[2, 4, 3, 5, 5]> : tensor<5xi64> : tensor<5xi64>
  %join = onnx.Constant dense<[8, 3, 5, 5]> : tensor<4xi64> : tensor<4xi64>
  %a = onnx.Reshape %s, %split : (tensor<8x3x5x5xf32>, tensor<5xi64>) -> tensor<2x4x3x5x5xf32>
  %b = onnx.Where %m, %inf, %a : (tensor<1x1x5x5xi1>, tensor<f32>, tensor<2x4x3x5x5xf32>) -> tensor<2x4x3x5x5xf32>
  %c = onnx.Reshape %b, %join : (tensor<2x4x3x5x5xf32>, tensor<4xi64>) -> tensor<8x3x5x5xf32>
  return %c : tensor<8x3x5x5xf32>
}

// -----

// The first dim is split, but another one comes out: nothing to undo.
// CHECK-LABEL: func @other_split
func.func @other_split(%s: tensor<8x3x5x5xf32>, %m: tensor<1x4x1x5x5xf32>) -> tensor<2x12x5x5xf32> {
  // CHECK: onnx.Add {{.*}} -> tensor<2x4x3x5x5xf32>
  %split = onnx.Constant dense<[2, 4, 3, 5, 5]> : tensor<5xi64> : tensor<5xi64>
  %join = onnx.Constant dense<[2, 12, 5, 5]> : tensor<4xi64> : tensor<4xi64>
  %a = onnx.Reshape %s, %split : (tensor<8x3x5x5xf32>, tensor<5xi64>) -> tensor<2x4x3x5x5xf32>
  %b = onnx.Add %a, %m : (tensor<2x4x3x5x5xf32>, tensor<1x4x1x5x5xf32>) -> tensor<2x4x3x5x5xf32>
  %c = onnx.Reshape %b, %join : (tensor<2x4x3x5x5xf32>, tensor<4xi64>) -> tensor<2x12x5x5xf32>
  return %c : tensor<2x12x5x5xf32>
}

// -----

// The sum with split dims is read elsewhere as well.
// CHECK-LABEL: func @used_twice
func.func @used_twice(%s: tensor<8x3x5x5xf32>, %m: tensor<1x4x1x5x5xf32>) -> (tensor<8x3x5x5xf32>, tensor<2x4x3x5x5xf32>) {
  // CHECK: onnx.Add {{.*}} -> tensor<2x4x3x5x5xf32>
  // CHECK-NOT: onnx.Add
  %split = onnx.Constant dense<[2, 4, 3, 5, 5]> : tensor<5xi64> : tensor<5xi64>
  %join = onnx.Constant dense<[8, 3, 5, 5]> : tensor<4xi64> : tensor<4xi64>
  %a = onnx.Reshape %s, %split : (tensor<8x3x5x5xf32>, tensor<5xi64>) -> tensor<2x4x3x5x5xf32>
  %b = onnx.Add %a, %m : (tensor<2x4x3x5x5xf32>, tensor<1x4x1x5x5xf32>) -> tensor<2x4x3x5x5xf32>
  %c = onnx.Reshape %b, %join : (tensor<2x4x3x5x5xf32>, tensor<4xi64>) -> tensor<8x3x5x5xf32>
  return %c, %b : tensor<8x3x5x5xf32>, tensor<2x4x3x5x5xf32>
}

// A dim of size one that a condition gets is one of its parts'.
// CHECK-LABEL: func @reshape_before_logic
// CHECK-DAG: %[[A:.*]] = onnx.Reshape %arg0, {{.*}} -> tensor<1x1x5x7xi1>
// CHECK-DAG: %[[B:.*]] = onnx.Reshape %arg1, {{.*}} -> tensor<4x1x1x7xi1>
// CHECK: %[[C:.*]] = onnx.And %[[A]], %[[B]] : {{.*}} -> tensor<4x1x5x7xi1>
// CHECK: onnx.Not %[[C]] : (tensor<4x1x5x7xi1>)
func.func @reshape_before_logic(%a: tensor<5x7xi1>, %b: tensor<4x1x7xi1>) -> tensor<4x1x5x7xi1> {
  %c = onnx.And %a, %b : (tensor<5x7xi1>, tensor<4x1x7xi1>) -> tensor<4x5x7xi1>
  %n = onnx.Not %c : (tensor<4x5x7xi1>) -> tensor<4x5x7xi1>
  %u = onnx.Unsqueeze %n {axes = array<i64: 1>} : (tensor<4x5x7xi1>) -> tensor<4x1x5x7xi1>
  return %u : tensor<4x1x5x7xi1>
}

// Dims that are merged are not dims of the parts.
// CHECK-LABEL: func @merge_behind_logic
// CHECK: %[[C:.*]] = onnx.And %arg0, %arg1
// CHECK: onnx.Reshape %[[C]]
func.func @merge_behind_logic(%a: tensor<5x7xi1>, %b: tensor<4x1x7xi1>) -> tensor<20x7xi1> {
  %c = onnx.And %a, %b : (tensor<5x7xi1>, tensor<4x1x7xi1>) -> tensor<4x5x7xi1>
  %shape = onnx.Constant dense<[20, 7]> : tensor<2xi64> : tensor<2xi64>
  %r = onnx.Reshape %c, %shape {allowzero = true} : (tensor<4x5x7xi1>, tensor<2xi64>) -> tensor<20x7xi1>
  return %r : tensor<20x7xi1>
}

// Relative positions along rows and columns: the keys are split, not the batch.
// CHECK-LABEL: func @keys_split
// CHECK: %[[R:.*]] = onnx.Reshape {{.*}} -> tensor<4x6x6xf32>
// CHECK: onnx.Add %arg0, %[[R]] : (tensor<4x6x6xf32>, tensor<4x6x6xf32>) -> tensor<4x6x6xf32>
func.func @keys_split(%s: tensor<4x6x6xf32>, %rows: tensor<4x2x3x2x1xf32>) -> tensor<4x6x6xf32> {
  %split = onnx.Constant dense<[4, 2, 3, 2, 3]> : tensor<5xi64> : tensor<5xi64>
  %merged = onnx.Constant dense<[4, 6, 6]> : tensor<3xi64> : tensor<3xi64>
  %w = onnx.Reshape %s, %split {allowzero = true} : (tensor<4x6x6xf32>, tensor<5xi64>) -> tensor<4x2x3x2x3xf32>
  %a = onnx.Add %w, %rows : (tensor<4x2x3x2x3xf32>, tensor<4x2x3x2x1xf32>) -> tensor<4x2x3x2x3xf32>
  %m = onnx.Reshape %a, %merged {allowzero = true} : (tensor<4x2x3x2x3xf32>, tensor<3xi64>) -> tensor<4x6x6xf32>
  return %m : tensor<4x6x6xf32>
}
