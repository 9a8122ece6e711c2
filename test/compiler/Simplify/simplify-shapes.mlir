// RUN: rapt-opt --simplify-shapes %s | FileCheck %s
// RUN: rapt-opt --simplify-shapes --simplify-shapes %s | FileCheck %s

// The shape glue of a head split: nothing of it is left but index arithmetic.
// CHECK-LABEL: func @glue
// CHECK-NOT: onnx.Shape
// CHECK-NOT: onnx.Gather
// CHECK-NOT: onnx.Concat
// CHECK-DAG: %[[BATCH:.*]] = kernel.dim "batch"
// CHECK-DAG: %[[B64:.*]] = arith.index_cast %[[BATCH]]
// CHECK-DAG: %[[SEQ:.*]] = kernel.dim "seq"
// CHECK-DAG: %[[S64:.*]] = arith.index_cast %[[SEQ]]
// CHECK: %[[SHAPE:.*]] = tensor.from_elements %[[B64]], %[[S64]]
// CHECK: onnx.Reshape %{{.*}}, %[[SHAPE]] {{.*}} -> tensor<?x?x4x8xf32>
func.func @glue(%x: tensor<?x?x32xf32> {onnx.dims = ["batch", "seq", 32]}) -> tensor<?x?x?x?xf32> {
  %shape = onnx.Shape %x {start = 0 : i64, end = 3 : i64} : (tensor<?x?x32xf32>) -> tensor<3xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %b = onnx.Gather %shape, %zero {axis = 0 : i64} : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %s = onnx.Gather %shape, %one {axis = 0 : i64} : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %heads = onnx.Constant dense<[-1, 8]> : tensor<2xi64> : tensor<2xi64>
  %new = onnx.Concat %b, %s, %heads {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<2xi64>) -> tensor<4xi64>
  %y = onnx.Reshape %x, %new : (tensor<?x?x32xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}

// A table cut to the sequence length: legal alone, but where it meets the sequence it must reach.
// CHECK-LABEL: func @requirement
// CHECK-DAG: %[[SEQ:.*]] = kernel.dim "seq"
// CHECK-DAG: %[[MOST:.*]] = arith.constant 512 : index
// CHECK: kernel.require %[[SEQ]], %[[MOST]] "node 'position' needs seq (%lld) to be at most 512 (%lld)"
// CHECK-NOT: kernel.require
func.func @requirement(%x: tensor<?x4xf32> {onnx.dims = ["seq", 4]}, %table: tensor<512x4xf32>) -> tensor<?x4xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %end = onnx.Shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  %part = onnx.Slice %table, %zero, %end {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<512x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xf32>
  %y = onnx.Add %x, %part : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32> loc("position")
  return %y : tensor<?x4xf32>
}

// A size that only some lengths make negative: those runs are refused.
// CHECK-LABEL: func @size_of_some_lengths
// CHECK: kernel.require %{{.*}}, %{{.*}} "node 'rest' needs input at 0: 0 (%lld) to be at most seq - 4 (%lld)"
func.func @size_of_some_lengths(%x: tensor<?xf32> {onnx.dims = ["seq"]}) -> tensor<?xf32> {
  %n = onnx.Shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?xf32>) -> tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %less = onnx.Sub %n, %four : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %y = onnx.ConstantOfShape %less {value = dense<1.0> : tensor<1xf32>} : (tensor<1xi64>) -> tensor<?xf32> loc("rest")
  return %y : tensor<?xf32>
}

// Two names for one size: what the graph takes for granted is checked when the model runs.
// CHECK-LABEL: func @two_names
// CHECK: kernel.require %{{.*}}, %{{.*}} equal "node 'sum %' needs dim 0 of its operands: n (%lld) to be m (%lld)"
func.func @two_names(%x: tensor<?xf32> {onnx.dims = ["n"]}, %y: tensor<?xf32> {onnx.dims = ["m"]}) -> tensor<?xf32> {
  %z = onnx.Add %x, %y : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> loc("sum %")
  return %z : tensor<?xf32>
}

// What both sums have cancels, and what follows is used everywhere, in sizes and in elements.
// CHECK-LABEL: func @lengths_of_caches
// CHECK: kernel.require %{{.*}}, %{{.*}} equal "node 'scores' needs past (%lld) to be other (%lld)"
// CHECK-DAG: %[[SEQ:.*]] = kernel.dim "seq"
// CHECK-DAG: %[[OTHER:.*]] = kernel.dim "other"
// CHECK: %[[TOTAL:.*]] = arith.addi %[[OTHER]], %[[SEQ]]
// CHECK: %[[CAST:.*]] = arith.index_cast %[[TOTAL]]
// CHECK: %[[LENGTH:.*]] = tensor.from_elements %[[CAST]] : tensor<i64>
// CHECK: return %{{.*}}, %[[LENGTH]]
func.func @lengths_of_caches(%x: tensor<?xf32> {onnx.dims = ["seq"]}, %key: tensor<?xf32> {onnx.dims = ["past"]}, %value: tensor<?xf32> {onnx.dims = ["other"]}) -> (tensor<?xf32>, tensor<i64>) {
  %k = onnx.Concat %key, %x {axis = 0 : i64} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %v = onnx.Concat %value, %x {axis = 0 : i64} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %y = onnx.Mul %k, %v : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> loc("scores")
  %length = onnx.Size %k : (tensor<?xf32>) -> tensor<i64>
  return %y, %length : tensor<?xf32>, tensor<i64>
}

// A trace that wrote the length 7 into a Reshape: the number of elements says what the length must be.
// CHECK-LABEL: func @baked_length
// CHECK: kernel.require %{{.*}}, %{{.*}} equal "node 'heads' needs seq (%lld) to be 7 (%lld); the model was exported for that size only"
func.func @baked_length(%x: tensor<?x?x32xf32> {onnx.dims = ["batch", "seq", 32]}) -> tensor<?x?x4x8xf32> {
  %shape = onnx.Constant dense<[0, 7, 4, 8]> : tensor<4xi64> : tensor<4xi64>
  %y = onnx.Reshape %x, %shape : (tensor<?x?x32xf32>, tensor<4xi64>) -> tensor<?x?x4x8xf32> loc("heads")
  return %y : tensor<?x?x4x8xf32>
}

// What TorchScript writes for expand(-1, ...): a comparison of the shape with -1, decided here.
// CHECK-LABEL: func @where_on_shapes
// CHECK-NOT: onnx.Equal
// CHECK-NOT: onnx.Where
// CHECK: onnx.Expand {{.*}} -> tensor<?x7xf32>
func.func @where_on_shapes(%x: tensor<?x1xf32> {onnx.dims = ["batch", 1]}) -> tensor<?x?xf32> {
  %b = onnx.Shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?x1xf32>) -> tensor<1xi64>
  %seven = onnx.Constant dense<7> : tensor<1xi64> : tensor<1xi64>
  %wanted = onnx.Concat %b, %seven {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %ones = onnx.Constant dense<1> : tensor<2xi64> : tensor<2xi64>
  %minus = onnx.Constant dense<-1> : tensor<2xi64> : tensor<2xi64>
  %same = onnx.Equal %wanted, %minus : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi1>
  %shape = onnx.Where %same, %ones, %wanted : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %y = onnx.Expand %x, %shape : (tensor<?x1xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// A scale computed from a static head size, rounded to f32 after each step; a dynamic size is computed.
// CHECK-LABEL: func @scale
// CHECK: %[[SCALE:.*]] = onnx.Constant dense<2.82842708> : tensor<f32>
// CHECK: %[[N:.*]] = onnx.Cast %{{.*}} : (tensor<1xi64>) -> tensor<1xf32>
// CHECK: onnx.Div %{{.*}}, %[[SCALE]]
// CHECK: onnx.Div %{{.*}}, %[[N]]
func.func @scale(%x: tensor<?x8xf32> {onnx.dims = ["n", 8]}) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %d = onnx.Shape %x {start = 1 : i64, end = 2 : i64} : (tensor<?x8xf32>) -> tensor<1xi64>
  %s = onnx.Squeeze %d {axes = array<i64: 0>} : (tensor<1xi64>) -> tensor<i64>
  %f = onnx.Cast %s : (tensor<i64>) -> tensor<f32>
  %root = onnx.Sqrt %f : (tensor<f32>) -> tensor<f32>
  %n = onnx.Shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?x8xf32>) -> tensor<1xi64>
  %g = onnx.Cast %n : (tensor<1xi64>) -> tensor<1xf32>
  %y = onnx.Div %x, %root : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %z = onnx.Div %x, %g : (tensor<?x8xf32>, tensor<1xf32>) -> tensor<?x8xf32>
  return %y, %z : tensor<?x8xf32>, tensor<?x8xf32>
}

// A map of patches: that it is not empty is taken for granted where -1 is the size of another dim.
// CHECK-LABEL: func @patches
// CHECK: kernel.require %{{.*}}, %{{.*}} "node 'map' needs elements in the dims beside -1: 1 (%lld) to be at most batch * floordiv(height, 8) * floordiv(width, 8) (%lld)"
// CHECK: onnx.Reshape {{.*}} -> tensor<?x?x?x60xf32>
func.func @patches(%image: tensor<?x3x?x?xf32> {onnx.dims = ["batch", 3, "height", "width"]}, %w: tensor<60x3x8x8xf32>) -> tensor<?x?x?x?xf32> {
  %maps = onnx.Conv %image, %w {dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 8, 8>} : (tensor<?x3x?x?xf32>, tensor<60x3x8x8xf32>) -> tensor<?x60x?x?xf32>
  %shape = onnx.Shape %maps {start = 0 : i64, end = 4 : i64} : (tensor<?x60x?x?xf32>) -> tensor<4xi64>
  %first = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %map = onnx.Constant dense<[2, 3]> : tensor<2xi64> : tensor<2xi64>
  %rest = onnx.Constant dense<-1> : tensor<1xi64> : tensor<1xi64>
  %b = onnx.Gather %shape, %first {axis = 0 : i64} : (tensor<4xi64>, tensor<1xi64>) -> tensor<1xi64>
  %hw = onnx.Gather %shape, %map {axis = 0 : i64} : (tensor<4xi64>, tensor<2xi64>) -> tensor<2xi64>
  %flat = onnx.Constant dense<[0, 60, -1]> : tensor<3xi64> : tensor<3xi64>
  %patches = onnx.Reshape %maps, %flat : (tensor<?x60x?x?xf32>, tensor<3xi64>) -> tensor<?x60x?xf32>
  %rows = onnx.Transpose %patches {perm = array<i64: 0, 2, 1>} : (tensor<?x60x?xf32>) -> tensor<?x?x60xf32>
  %new = onnx.Concat %b, %hw, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>, tensor<1xi64>) -> tensor<4xi64>
  %y = onnx.Reshape %rows, %new : (tensor<?x?x60xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32> loc("map")
  return %y : tensor<?x?x?x?xf32>
}
