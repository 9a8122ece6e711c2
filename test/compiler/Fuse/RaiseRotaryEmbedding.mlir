// RUN: rapt-opt %s --raise-rotary-embedding | FileCheck %s

// Llama: x * cos + Concat(-b, a) * sin.
// CHECK-LABEL: func @halves
func.func @halves(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}, %sin: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %n = onnx.Neg %b : (tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %t = onnx.Concat %n, %a {axis = 3 : i64} : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x8xf32>
  %p = onnx.Mul %x, %cos : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %q = onnx.Mul %sin, %t : (tensor<1x1x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %y = onnx.Add %q, %p : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  // CHECK-NOT: onnx.Concat
  // CHECK: onnx.RotaryEmbedding %arg0, %arg1, %arg2 {rotary_dim = 8 : i64}
  // CHECK-NEXT: return
  return %y : tensor<?x4x?x8xf32>
}

// Phi, GPT-NeoX: the first half of each row is turned, the rest is not.
// CHECK-LABEL: func @first_part
func.func @first_part(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}, %sin: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  %r = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %rest = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %a = onnx.Slice %r, %c0, %c2 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x2xf32>
  %b = onnx.Slice %r, %c2, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x2xf32>
  %n = onnx.Neg %b : (tensor<?x4x?x2xf32>) -> tensor<?x4x?x2xf32>
  %t = onnx.Concat %n, %a {axis = 3 : i64} : (tensor<?x4x?x2xf32>, tensor<?x4x?x2xf32>) -> tensor<?x4x?x4xf32>
  %p = onnx.Mul %r, %cos : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %q = onnx.Mul %t, %sin : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %s = onnx.Add %p, %q : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %y = onnx.Concat %s, %rest {axis = 3 : i64} : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x8xf32>
  // CHECK-NOT: onnx.Concat
  // CHECK: onnx.RotaryEmbedding %arg0, %arg1, %arg2 {rotary_dim = 4 : i64}
  // CHECK-NEXT: return
  return %y : tensor<?x4x?x8xf32>
}

// GPT-J: even and odd elements.
// CHECK-LABEL: func @pairs
func.func @pairs(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}, %sin: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  %b0 = kernel.dim "batch"
  %s0 = kernel.dim "seq"
  %bi = arith.index_cast %b0 : index to i64
  %si = arith.index_cast %s0 : index to i64
  %i1 = arith.constant 1 : i64
  %i4 = arith.constant 4 : i64
  %i8 = arith.constant 8 : i64
  %unit = tensor.from_elements %bi, %i4, %si, %i4, %i1 : tensor<5xi64>
  %whole = tensor.from_elements %bi, %i4, %si, %i8 : tensor<4xi64>
  %a = onnx.Slice %x, %c0, %max {axes = array<i64: 3>, steps = array<i64: 2>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c1, %max {axes = array<i64: 3>, steps = array<i64: 2>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %n = onnx.Neg %b : (tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %nu = onnx.Reshape %n, %unit {allowzero = true} : (tensor<?x4x?x4xf32>, tensor<5xi64>) -> tensor<?x4x?x4x1xf32>
  %au = onnx.Reshape %a, %unit {allowzero = true} : (tensor<?x4x?x4xf32>, tensor<5xi64>) -> tensor<?x4x?x4x1xf32>
  %st = onnx.Concat %nu, %au {axis = 4 : i64} : (tensor<?x4x?x4x1xf32>, tensor<?x4x?x4x1xf32>) -> tensor<?x4x?x4x2xf32>
  %t = onnx.Reshape %st, %whole {allowzero = true} : (tensor<?x4x?x4x2xf32>, tensor<4xi64>) -> tensor<?x4x?x8xf32>
  %p = onnx.Mul %x, %cos : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %q = onnx.Mul %t, %sin : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %y = onnx.Add %p, %q : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  // CHECK: onnx.RotaryEmbedding %arg0, %arg1, %arg2 {interleaved = true, rotary_dim = 8 : i64}
  return %y : tensor<?x4x?x8xf32>
}

// One angle a pair, as ONNX's own operator has it: the angles are repeated.
// CHECK-LABEL: func @half_angles
func.func @half_angles(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}, %sin: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %ac = onnx.Mul %a, %cos : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %bs = onnx.Mul %sin, %b : (tensor<1x1x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %bc = onnx.Mul %b, %cos : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %as = onnx.Mul %a, %sin : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %re = onnx.Sub %ac, %bs : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %im = onnx.Add %as, %bc : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %y = onnx.Concat %re, %im {axis = 3 : i64} : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x8xf32>
  // CHECK: onnx.Constant dense<[0, 1, 2, 3, 0, 1, 2, 3]>
  // CHECK: %[[C:.*]] = onnx.Gather %arg1, %{{.*}} {axis = 3 : i64}
  // CHECK: %[[S:.*]] = onnx.Gather %arg2, %{{.*}} {axis = 3 : i64}
  // CHECK: onnx.RotaryEmbedding %arg0, %[[C]], %[[S]] {rotary_dim = 8 : i64}
  return %y : tensor<?x4x?x8xf32>
}

// The same of even and odd elements.
// CHECK-LABEL: func @half_angles_of_pairs
func.func @half_angles_of_pairs(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}, %sin: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  %b0 = kernel.dim "batch"
  %s0 = kernel.dim "seq"
  %bi = arith.index_cast %b0 : index to i64
  %si = arith.index_cast %s0 : index to i64
  %i1 = arith.constant 1 : i64
  %i4 = arith.constant 4 : i64
  %i8 = arith.constant 8 : i64
  %unit = tensor.from_elements %bi, %i4, %si, %i4, %i1 : tensor<5xi64>
  %whole = tensor.from_elements %bi, %i4, %si, %i8 : tensor<4xi64>
  %a = onnx.Slice %x, %c0, %max {axes = array<i64: 3>, steps = array<i64: 2>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c1, %max {axes = array<i64: 3>, steps = array<i64: 2>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %ac = onnx.Mul %a, %cos : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %bs = onnx.Mul %sin, %b : (tensor<1x1x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %bc = onnx.Mul %b, %cos : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %as = onnx.Mul %a, %sin : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %re = onnx.Sub %ac, %bs : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %im = onnx.Add %as, %bc : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %ru = onnx.Reshape %re, %unit {allowzero = true} : (tensor<?x4x?x4xf32>, tensor<5xi64>) -> tensor<?x4x?x4x1xf32>
  %iu = onnx.Reshape %im, %unit {allowzero = true} : (tensor<?x4x?x4xf32>, tensor<5xi64>) -> tensor<?x4x?x4x1xf32>
  %st = onnx.Concat %ru, %iu {axis = 4 : i64} : (tensor<?x4x?x4x1xf32>, tensor<?x4x?x4x1xf32>) -> tensor<?x4x?x4x2xf32>
  %y = onnx.Reshape %st, %whole {allowzero = true} : (tensor<?x4x?x4x2xf32>, tensor<4xi64>) -> tensor<?x4x?x8xf32>
  // CHECK: onnx.Constant dense<[0, 0, 1, 1, 2, 2, 3, 3]>
  // CHECK: onnx.RotaryEmbedding %arg0, {{.*}} {interleaved = true, rotary_dim = 8 : i64}
  return %y : tensor<?x4x?x8xf32>
}

// Nothing is negated.
// CHECK-LABEL: func @unsigned
func.func @unsigned(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}, %sin: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  // CHECK-NOT: onnx.RotaryEmbedding
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %t = onnx.Concat %b, %a {axis = 3 : i64} : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x8xf32>
  %p = onnx.Mul %x, %cos : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %q = onnx.Mul %t, %sin : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %y = onnx.Add %p, %q : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// The other half is negated: turned the other way round.
// CHECK-LABEL: func @wrong_half_negated
func.func @wrong_half_negated(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}, %sin: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  // CHECK-NOT: onnx.RotaryEmbedding
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %n = onnx.Neg %a : (tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %t = onnx.Concat %b, %n {axis = 3 : i64} : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x8xf32>
  %p = onnx.Mul %x, %cos : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %q = onnx.Mul %t, %sin : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %y = onnx.Add %p, %q : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// The halves do not change places.
// CHECK-LABEL: func @halves_in_place
func.func @halves_in_place(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}, %sin: tensor<1x1x?x8xf32> {onnx.dims = [1, 1, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  // CHECK-NOT: onnx.RotaryEmbedding
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %n = onnx.Neg %a : (tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %t = onnx.Concat %n, %b {axis = 3 : i64} : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x8xf32>
  %p = onnx.Mul %x, %cos : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %q = onnx.Mul %t, %sin : (tensor<?x4x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<?x4x?x8xf32>
  %y = onnx.Add %p, %q : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// Cosine and sine of the second half are exchanged.
// CHECK-LABEL: func @crossed_angles
func.func @crossed_angles(%x: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}, %sin: tensor<1x1x?x4xf32> {onnx.dims = [1, 1, "seq", 4]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  // CHECK-NOT: onnx.RotaryEmbedding
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xf32>
  %ac = onnx.Mul %a, %cos : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %bs = onnx.Mul %sin, %b : (tensor<1x1x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %bc = onnx.Mul %b, %cos : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %as = onnx.Mul %a, %sin : (tensor<?x4x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<?x4x?x4xf32>
  %re = onnx.Sub %ac, %bs : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %im = onnx.Add %ac, %bs : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x4xf32>
  %y = onnx.Concat %re, %im {axis = 3 : i64} : (tensor<?x4x?x4xf32>, tensor<?x4x?x4xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// x is broadcast to the angles: each of them has its own heads.
// CHECK-LABEL: func @broadcast_row
func.func @broadcast_row(%x: tensor<?x1x?x8xf32> {onnx.dims = ["batch", 1, "seq", 8]}, %cos: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}, %sin: tensor<?x4x?x8xf32> {onnx.dims = ["batch", 4, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  // CHECK-NOT: onnx.RotaryEmbedding
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x1x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1x?x4xf32>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x1x?x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1x?x4xf32>
  %n = onnx.Neg %b : (tensor<?x1x?x4xf32>) -> tensor<?x1x?x4xf32>
  %t = onnx.Concat %n, %a {axis = 3 : i64} : (tensor<?x1x?x4xf32>, tensor<?x1x?x4xf32>) -> tensor<?x1x?x8xf32>
  %p = onnx.Mul %x, %cos : (tensor<?x1x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %q = onnx.Mul %t, %sin : (tensor<?x1x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %y = onnx.Add %p, %q : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// Integers are no angles.
// CHECK-LABEL: func @integers
func.func @integers(%x: tensor<?x4x?x8xi64> {onnx.dims = ["batch", 4, "seq", 8]}, %cos: tensor<1x1x?x8xi64> {onnx.dims = [1, 1, "seq", 8]}, %sin: tensor<1x1x?x8xi64> {onnx.dims = [1, 1, "seq", 8]}) -> tensor<?x4x?x8xi64> {
  %c0 = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %c4 = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64> : tensor<1xi64>
  %a = onnx.Slice %x, %c0, %c4 {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xi64>
  %b = onnx.Slice %x, %c4, %max {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<?x4x?x8xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x?x4xi64>
  %n = onnx.Neg %b : (tensor<?x4x?x4xi64>) -> tensor<?x4x?x4xi64>
  %t = onnx.Concat %n, %a {axis = 3 : i64} : (tensor<?x4x?x4xi64>, tensor<?x4x?x4xi64>) -> tensor<?x4x?x8xi64>
  %p = onnx.Mul %x, %cos : (tensor<?x4x?x8xi64>, tensor<1x1x?x8xi64>) -> tensor<?x4x?x8xi64>
  %q = onnx.Mul %sin, %t : (tensor<1x1x?x8xi64>, tensor<?x4x?x8xi64>) -> tensor<?x4x?x8xi64>
  %y = onnx.Add %q, %p : (tensor<?x4x?x8xi64>, tensor<?x4x?x8xi64>) -> tensor<?x4x?x8xi64>
  // CHECK: onnx.Concat
  // CHECK-NOT: onnx.RotaryEmbedding
  // CHECK: return
  return %y : tensor<?x4x?x8xi64>
}
