// RUN: rapt-opt %s --fuse-lower --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-DAG: #[[ID:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1, d2) -> (d1, 0)>
// CHECK-LABEL: func @broadcast
func.func @broadcast(%x: tensor<2x3x4xf32>, %y: tensor<3x1xf32>) -> tensor<2x3x4xf32> {
  // The scalar is a literal of the body, the unit dim an index 0.
  %c = onnx.Constant dense<2.0> : tensor<f32> : tensor<f32>
  %u = onnx.Unsqueeze %y {axes = array<i64: 0>} : (tensor<3x1xf32>) -> tensor<1x3x1xf32>
  // CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[ROW]], #[[ID]]]
  // CHECK-SAME: ins(%arg0, %arg1 : tensor<2x3x4xf32>, tensor<3x1xf32>)
  // CHECK: arith.addf
  // CHECK: linalg.generic
  // CHECK: arith.constant 2.0
  // CHECK: arith.mulf
  %0 = onnx.Add %x, %u : (tensor<2x3x4xf32>, tensor<1x3x1xf32>) -> tensor<2x3x4xf32>
  %1 = onnx.Mul %0, %c : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2x3x4xf32>
  return %1 : tensor<2x3x4xf32>
}

// -----

// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3) -> (d3, d2)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-LABEL: func @matmul_with_weight
func.func @matmul_with_weight(%x: tensor<?x?x8xf32> {onnx.dims = ["b", "s", 8]}) -> tensor<?x?x4xf32> {
  // CHECK-DAG: %[[B:.*]] = kernel.dim "b"
  // CHECK-DAG: %[[S:.*]] = kernel.dim "s"
  // CHECK: tensor.empty(%[[B]], %[[S]]) : tensor<?x?x4xf32>
  // CHECK: linalg.fill
  // CHECK: linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
  %w = kernel.weight [dense<1.0> : tensor<8x4xf32>] : tensor<8x4xf32>
  %0 = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}

// -----

// A transpose is read through; batch dims of size one are read at 0.
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3) -> (0, d2, d3)>
// CHECK-LABEL: func @matmul_transposed
func.func @matmul_transposed(%a: tensor<3x5x8xf32>, %b: tensor<1x7x8xf32>) -> tensor<3x5x7xf32> {
  // CHECK: linalg.generic {indexing_maps = [#[[A]], #[[B]]
  // CHECK-SAME: ins(%arg0, %arg1
  %t = onnx.Transpose %b {perm = array<i64: 0, 2, 1>} : (tensor<1x7x8xf32>) -> tensor<1x8x7xf32>
  %0 = onnx.MatMul %a, %t : (tensor<3x5x8xf32>, tensor<1x8x7xf32>) -> tensor<3x5x7xf32>
  return %0 : tensor<3x5x7xf32>
}

// -----

// The reduced loop is the last one, whichever axis it is.
// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2) -> (d0, d2, d1)>
// CHECK-LABEL: func @softmax_of_middle_axis
func.func @softmax_of_middle_axis(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  // CHECK: linalg.generic {indexing_maps = [#[[IN]],
  // CHECK-SAME: iterator_types = ["parallel", "parallel", "reduction"]} ins(%arg0
  // CHECK: arith.maximumf
  // CHECK: arith.subf
  // CHECK: math.exp
  // CHECK: arith.addf
  // CHECK: arith.divf
  %0 = onnx.Softmax %x {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %0 : tensor<2x3x4xf32>
}

// -----

// The mean of a dynamic number of elements divides by that number; kept dims are not stored.
// CHECK-LABEL: func @mean
func.func @mean(%x: tensor<2x?xf32> {onnx.dims = [2, "s"]}) -> tensor<2x?xf32> {
  // CHECK: %[[S:.*]] = kernel.dim "s"
  // CHECK: arith.addf
  // CHECK: %[[N:.*]] = arith.muli %{{.*}}, %[[S]]
  // CHECK: arith.sitofp
  // CHECK: arith.divf
  // CHECK-NOT: tensor.expand_shape
  // CHECK: arith.subf
  %m = onnx.ReduceMean %x {axes = array<i64: 1>} : (tensor<2x?xf32>) -> tensor<2x1xf32>
  %0 = onnx.Sub %x, %m : (tensor<2x?xf32>, tensor<2x1xf32>) -> tensor<2x?xf32>
  return %0 : tensor<2x?xf32>
}

// -----

// CHECK-LABEL: func @cumsum
func.func @cumsum(%x: tensor<2x5xi32>) -> tensor<2x5xi32> {
  // CHECK: iterator_types = ["parallel", "parallel", "reduction"]
  // CHECK: %[[I:.*]] = linalg.index 1
  // CHECK: %[[J:.*]] = linalg.index 2
  // CHECK: arith.cmpi slt, %[[J]], %[[I]]
  // CHECK: arith.select
  // CHECK: arith.addi
  %0 = onnx.CumSum %x {axis = 1 : i64, exclusive = true} : (tensor<2x5xi32>) -> tensor<2x5xi32>
  return %0 : tensor<2x5xi32>
}

// -----

// Indices from outside are checked, and count from the end when negative.
// CHECK-LABEL: func @gather
func.func @gather(%i: tensor<?x?xi64> {onnx.dims = ["b", "s"]}) -> tensor<?x?x8xf32> {
  // CHECK: kernel.check_indices %arg0[%{{.*}}, %{{.*}}] in -100 to %{{.*}} "node {{.*}}: index %lld at position %lld is outside dim 0 (100) of its data"
  // CHECK: linalg.generic
  // CHECK: arith.select
  // CHECK: tensor.extract
  %w = kernel.weight [dense<1.0> : tensor<100x8xf32>] : tensor<100x8xf32>
  %0 = onnx.Gather %w, %i {axis = 0 : i64} : (tensor<100x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}

// -----

// Clipped indices are in range where both bounds are; a bound above the last index is not enough.
// CHECK-LABEL: func @gather_clipped
func.func @gather_clipped(%i: tensor<?xi64> {onnx.dims = ["s"]}) -> (tensor<?xf32>, tensor<?xf32>) {
  // CHECK-NOT: kernel.check_indices
  // CHECK: tensor.extract
  // CHECK: kernel.check_indices
  // CHECK-NOT: kernel.check_indices
  // CHECK: tensor.extract
  %w = kernel.weight [dense<1.0> : tensor<100xf32>] : tensor<100xf32>
  %zero = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %last = onnx.Constant dense<99> : tensor<i64> : tensor<i64>
  %more = onnx.Constant dense<100> : tensor<i64> : tensor<i64>
  %inside = onnx.Clip %i min %zero max %last : (tensor<?xi64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %some = onnx.Clip %i min %zero max %more : (tensor<?xi64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %0 = onnx.Gather %w, %inside {axis = 0 : i64} : (tensor<100xf32>, tensor<?xi64>) -> tensor<?xf32>
  %1 = onnx.Gather %w, %some {axis = 0 : i64} : (tensor<100xf32>, tensor<?xi64>) -> tensor<?xf32>
  return %0, %1 : tensor<?xf32>, tensor<?xf32>
}

// -----

// Positions are known to be in range: mask[b, 0 + s] through tuples of ranges needs no check.
// CHECK-LABEL: func @gather_positions
func.func @gather_positions(%m: tensor<?x?xi1> {onnx.dims = ["b", "s"]}) -> tensor<?x?xi1> {
  // CHECK-NOT: kernel.check_indices
  // CHECK: %[[B:.*]] = linalg.index 0
  // CHECK: %[[S:.*]] = linalg.index 1
  // CHECK: tensor.extract %arg0[%[[B]], %[[S]]]
  %b = kernel.dim "b"
  %s = kernel.dim "s"
  %bi = arith.index_cast %b : index to i64
  %si = arith.index_cast %s : index to i64
  %lb = tensor.from_elements %bi : tensor<i64>
  %ls = tensor.from_elements %si : tensor<i64>
  %shape = tensor.from_elements %bi, %si : tensor<2xi64>
  %zero = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %rb = onnx.Range %zero, %lb, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %rs = onnx.Range %zero, %ls, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %ub = onnx.Unsqueeze %rb {axes = array<i64: 1>} : (tensor<?xi64>) -> tensor<?x1xi64>
  %eb = onnx.Expand %ub, %shape : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %es = onnx.Expand %rs, %shape : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %tb = onnx.Unsqueeze %eb {axes = array<i64: 2>} : (tensor<?x?xi64>) -> tensor<?x?x1xi64>
  %ts = onnx.Unsqueeze %es {axes = array<i64: 2>} : (tensor<?x?xi64>) -> tensor<?x?x1xi64>
  %i = onnx.Concat %tb, %ts {axis = 2 : i64} : (tensor<?x?x1xi64>, tensor<?x?x1xi64>) -> tensor<?x?x2xi64>
  %0 = onnx.GatherND %m, %i : (tensor<?x?xi1>, tensor<?x?x2xi64>) -> tensor<?x?xi1>
  return %0 : tensor<?x?xi1>
}

// -----

// [b, s, 16] -> [b, s, 2, 8] expands one dim; [b, s, 16] -> [b * s, 16] collapses two.
// CHECK-LABEL: func @reshape
func.func @reshape(%x: tensor<?x?x16xf32> {onnx.dims = ["b", "s", 16]}) -> (tensor<?x?x2x8xf32>, tensor<?x16xf32>) {
  %b = kernel.dim "b"
  %s = kernel.dim "s"
  %bi = arith.index_cast %b : index to i64
  %si = arith.index_cast %s : index to i64
  %none = arith.constant -1 : i64
  %c8 = arith.constant 8 : i64
  %heads = tensor.from_elements %bi, %si, %none, %c8 : tensor<4xi64>
  %flat = onnx.Constant dense<[-1, 16]> : tensor<2xi64> : tensor<2xi64>
  // CHECK: tensor.expand_shape %arg0 {{\[}}[0], [1], [2, 3]]
  // CHECK: tensor.collapse_shape %arg0 {{\[}}[0, 1], [2]]
  %0 = onnx.Reshape %x, %heads : (tensor<?x?x16xf32>, tensor<4xi64>) -> tensor<?x?x2x8xf32>
  %1 = onnx.Reshape %x, %flat : (tensor<?x?x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  return %0, %1 : tensor<?x?x2x8xf32>, tensor<?x16xf32>
}

// -----

// Slices and parts of a concatenation are read at shifted places.
// CHECK-LABEL: func @slice_concat
func.func @slice_concat(%x: tensor<4x6xf32>, %y: tensor<4x2xf32>) -> tensor<4x4xf32> {
  %start = onnx.Constant dense<-3> : tensor<1xi64> : tensor<1xi64>
  %end = onnx.Constant dense<[5]> : tensor<1xi64> : tensor<1xi64>
  // CHECK: linalg.generic
  // CHECK: arith.minsi
  // CHECK: %[[AT:.*]] = arith.addi %{{.*}}, %c3
  // CHECK: tensor.extract %arg0[%{{.*}}, %[[AT]]]
  // CHECK: tensor.extract %arg1
  // CHECK: arith.select
  %0 = onnx.Slice %x, %start, %end {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<4x6xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<4x2xf32>
  %1 = onnx.Concat %0, %y {axis = 1 : i64} : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

// Float to integer saturates.
// CHECK-LABEL: func @cast
func.func @cast(%x: tensor<3xf32>) -> tensor<3xi32> {
  // CHECK: arith.maximumf
  // CHECK: arith.minimumf
  // CHECK: arith.fptosi
  %0 = onnx.Cast %x : (tensor<3xf32>) -> tensor<3xi32>
  return %0 : tensor<3xi32>
}

// -----

// A small constant exponent is a few products; any other one is taken bit by bit.
// CHECK-LABEL: func @integer_power
func.func @integer_power(%x: tensor<4xi64>, %y: tensor<4xi64>) -> (tensor<4xi64>, tensor<4xi64>) {
  // CHECK: arith.muli
  // CHECK-NEXT: arith.muli
  // CHECK-NEXT: linalg.yield
  // CHECK: scf.for
  %three = onnx.Constant dense<3> : tensor<i64> : tensor<i64>
  %0 = onnx.Pow %x, %three : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  %1 = onnx.Pow %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  return %0, %1 : tensor<4xi64>, tensor<4xi64>
}

// -----

// Every form without a lowering is reported, those behind the first one too.
func.func @unsupported(%x: tensor<3xi64>, %y: tensor<4xi64>) -> (tensor<1xi64>, tensor<1xi64>) {
  // expected-error@unknown {{'onnx.ReduceL2' of node 'norm' is not supported on element type 'i64'}}
  %0 = onnx.ReduceL2 %x {axes = array<i64: 0>, keepdims = true} : (tensor<3xi64>) -> tensor<1xi64> loc("norm")
  // expected-error@unknown {{'onnx.ReduceL2' of node 'length' is not supported on element type 'i64'}}
  %1 = onnx.ReduceL2 %y {axes = array<i64: 0>, keepdims = true} : (tensor<4xi64>) -> tensor<1xi64> loc("length")
  return %0, %1 : tensor<1xi64>, tensor<1xi64>
}

// -----

// A part of a Concat that may be empty would be read before its start: the host refuses such a run, once.
// CHECK-LABEL: func @maybe_empty_part
func.func @maybe_empty_part(%x: tensor<?x4xf32> {onnx.dims = ["n", 4]}, %y: tensor<2x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  // CHECK: %[[ONE:.*]] = arith.constant 1 : index
  // CHECK: kernel.require %[[ONE]], %{{.*}} "node 'part' needs %lld to be at most its dim {{.*}} (%lld): empty tensors are not supported"
  // CHECK-NOT: kernel.require
  // CHECK: linalg.generic
  %from = onnx.Constant dense<5> : tensor<1xi64> : tensor<1xi64>
  %to = onnx.Constant dense<1000000> : tensor<1xi64> : tensor<1xi64>
  %0 = onnx.Slice %x, %from, %to {axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xf32> loc("part")
  %1 = onnx.Concat %0, %y {axis = 0 : i64} : (tensor<?x4xf32>, tensor<2x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Exp %0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1, %2 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// A divisor of 0 or -1 never reaches the processor's division; a constant one needs no guard.
// CHECK-LABEL: func @integer_division
func.func @integer_division(%x: tensor<4xi64>, %y: tensor<4xi64>) -> (tensor<4xi64>, tensor<4xi64>, tensor<4xi64>) {
  // CHECK: ^bb0(%[[X:.*]]: i64, %[[Y:.*]]: i64, %{{.*}}: i64):
  // CHECK: %[[SAFE:.*]] = arith.select %{{.*}}, %{{.*}}, %[[Y]] : i64
  // CHECK: arith.divsi %[[X]], %[[SAFE]]
  // CHECK: ^bb0(%[[X2:.*]]: i64, %[[Y2:.*]]: i64, %{{.*}}: i64):
  // CHECK: %[[SAFE2:.*]] = arith.select %{{.*}}, %{{.*}}, %[[Y2]] : i64
  // CHECK: arith.remsi %[[X2]], %[[SAFE2]]
  // CHECK: ^bb0
  // CHECK-NOT: arith.select
  // CHECK: arith.divsi
  %three = onnx.Constant dense<3> : tensor<i64> : tensor<i64>
  %0 = onnx.Div %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %1 = onnx.Mod %x, %y {fmod = false} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %2 = onnx.Div %x, %three : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  return %0, %1, %2 : tensor<4xi64>, tensor<4xi64>, tensor<4xi64>
}
