// RUN: rapt-opt --simplify-fold-weights %s | FileCheck %s

// CHECK-LABEL: func @product
// CHECK: %[[C:.*]] = onnx.Constant dense<{{\[}}[1.900000e+01, 2.200000e+01], [4.300000e+01, 5.000000e+01]]>
// CHECK-NEXT: return %[[C]]
func.func @product() -> tensor<2x2xf32> {
  %a = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %b = onnx.Constant dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %y = onnx.MatMul %a, %b : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// inf * 0, and NaN, are what the operation makes of them.
// CHECK-LABEL: func @special
// CHECK: onnx.Constant dense<{{\[}}[0x{{[7F]}}FC00000, 0x7F800000], [0x{{[7F]}}FC00000, 0x{{[7F]}}FC00000]]>
// CHECK-NEXT: return
func.func @special() -> tensor<2x2xf32> {
  %a = onnx.Constant dense<[[0x7F800000, 0.0], [0x7FC00000, 0.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %b = onnx.Constant dense<[[0.0, 1.0], [1.0, 1.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %y = onnx.MatMul %a, %b : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// What every layer projects anew. The table is read by nothing else, so it goes.
// CHECK-LABEL: func @positions
// CHECK-NOT: tensor<300x256xf32>
// CHECK: %[[C:.*]] = onnx.Constant dense_resource<{{.*}}> : tensor<4x64x300xf32>
// CHECK: onnx.MatMul %{{.*}}, %[[C]]
// CHECK-NEXT: return
func.func @positions(%q: tensor<4x?x64xf32> {onnx.dims = [4, "seq", 64]}) -> tensor<4x?x300xf32> {
  %table = onnx.Constant dense<1.0> : tensor<300x256xf32> : tensor<300x256xf32>
  %one = onnx.Constant dense<1.0> : tensor<256xf32> : tensor<256xf32>
  %w = onnx.Constant dense<0.5> : tensor<256x256xf32> : tensor<256x256xf32>
  %norm = onnx.LayerNormalization %table, %one, %one {axis = 1 : i64} : (tensor<300x256xf32>, tensor<256xf32>, tensor<256xf32>) -> tensor<300x256xf32>
  %product = onnx.MatMul %norm, %w : (tensor<300x256xf32>, tensor<256x256xf32>) -> tensor<300x256xf32>
  %keys = onnx.Add %one, %product : (tensor<256xf32>, tensor<300x256xf32>) -> tensor<300x256xf32>
  %shape = onnx.Constant dense<[300, 4, 64]> : tensor<3xi64> : tensor<3xi64>
  %heads = onnx.Reshape %keys, %shape : (tensor<300x256xf32>, tensor<3xi64>) -> tensor<300x4x64xf32>
  %turned = onnx.Transpose %heads {perm = array<i64: 1, 2, 0>} : (tensor<300x4x64xf32>) -> tensor<4x64x300xf32>
  %y = onnx.MatMul %q, %turned : (tensor<4x?x64xf32>, tensor<4x64x300xf32>) -> tensor<4x?x300xf32>
  return %y : tensor<4x?x300xf32>
}

// The narrow product alone would be larger than its operands for few operations; added to weights it
// replaces them.
// CHECK-LABEL: func @adapter
// CHECK: onnx.Constant dense_resource<
// CHECK-NOT: onnx.Add %
// CHECK: %[[N:.*]] = onnx.MatMul
// CHECK: return %{{.*}}, %[[N]]
func.func @adapter() -> (tensor<300x300xf32>, tensor<300x301xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<300x300xf32> : tensor<300x300xf32>
  %a = onnx.Constant dense<2.0> : tensor<300x4xf32> : tensor<300x4xf32>
  %b = onnx.Constant dense<3.0> : tensor<4x300xf32> : tensor<4x300xf32>
  %ab = onnx.MatMul %a, %b : (tensor<300x4xf32>, tensor<4x300xf32>) -> tensor<300x300xf32>
  %sum = onnx.Add %w, %ab : (tensor<300x300xf32>, tensor<300x300xf32>) -> tensor<300x300xf32>
  %c = onnx.Constant dense<3.0> : tensor<4x301xf32> : tensor<4x301xf32>
  %ac = onnx.MatMul %a, %c : (tensor<300x4xf32>, tensor<4x301xf32>) -> tensor<300x301xf32>
  return %sum, %ac : tensor<300x300xf32>, tensor<300x301xf32>
}

// CHECK-LABEL: func @dynamic_operand
// CHECK: onnx.MatMul
func.func @dynamic_operand(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %w = onnx.Constant dense<1.0> : tensor<64x64xf32> : tensor<64x64xf32>
  %y = onnx.MatMul %x, %w : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}

// What an Expand copies is computed, the copies are not stored.
// CHECK-LABEL: func @expand
// CHECK: %[[C:.*]] = onnx.Constant dense<3.200000e+01> : tensor<1x2xf32>
// CHECK: onnx.Expand %[[C]]
func.func @expand() -> tensor<1000x2xf32> {
  %a = onnx.Constant dense<1.0> : tensor<1x32xf32> : tensor<1x32xf32>
  %b = onnx.Constant dense<1.0> : tensor<32x2xf32> : tensor<32x2xf32>
  %ab = onnx.MatMul %a, %b : (tensor<1x32xf32>, tensor<32x2xf32>) -> tensor<1x2xf32>
  %shape = onnx.Constant dense<[1000, 2]> : tensor<2xi64> : tensor<2xi64>
  %y = onnx.Expand %ab, %shape : (tensor<1x2xf32>, tensor<2xi64>) -> tensor<1000x2xf32>
  return %y : tensor<1000x2xf32>
}

// Halves of weights that nothing else reads; weights that are read whole are not stored twice.
// CHECK-LABEL: func @slices
// CHECK: %[[LEFT:.*]] = onnx.Constant dense<{{\[}}[1.000000e+00, 2.000000e+00], [5.000000e+00, 6.000000e+00]]>
// CHECK: %[[RIGHT:.*]] = onnx.Constant dense<{{\[}}[4.000000e+00, 3.000000e+00], [8.000000e+00, 7.000000e+00]]>
// CHECK: %[[SLICE:.*]] = onnx.Slice
// CHECK: return %[[LEFT]], %[[RIGHT]], %[[SLICE]]
func.func @slices() -> (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x4xf32>) {
  %w = onnx.Constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32> : tensor<2x4xf32>
  %v = onnx.Constant dense<[[9.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32> : tensor<2x4xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64> : tensor<1xi64>
  %before = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %a = onnx.Slice %w, %zero, %two {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<2x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x2xf32>
  %b = onnx.Slice %w, %last, %before {axes = array<i64: 1>, steps = array<i64: -1>} : (tensor<2x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x2xf32>
  %c = onnx.Slice %v, %zero, %two {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<2x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x2xf32>
  return %a, %b, %c, %v : tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x4xf32>
}

// fuse-weights makes a weight of this without a copy.
// CHECK-LABEL: func @view
// CHECK: onnx.Reshape
// CHECK: onnx.Transpose
func.func @view() -> tensor<2x4xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32> : tensor<8xf32>
  %shape = onnx.Constant dense<[4, 2]> : tensor<2xi64> : tensor<2xi64>
  %y = onnx.Reshape %w, %shape : (tensor<8xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  %z = onnx.Transpose %y {perm = array<i64: 1, 0>} : (tensor<4x2xf32>) -> tensor<2x4xf32>
  return %z : tensor<2x4xf32>
}

// CHECK-LABEL: func @gather
// CHECK: %[[C:.*]] = onnx.Constant dense<[3.000000e+00, 2.000000e+00]>
// CHECK-NEXT: return %[[C]]
func.func @gather() -> tensor<2xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32> : tensor<3xf32>
  %indices = onnx.Constant dense<[-1, 1]> : tensor<2xi32> : tensor<2xi32>
  %y = onnx.Gather %w, %indices {axis = 0 : i64} : (tensor<3xf32>, tensor<2xi32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// 134 billion operations, and 4 GiB.
// CHECK-LABEL: func @too_much
// CHECK: onnx.MatMul
// CHECK: onnx.Neg
func.func @too_much() -> (tensor<4096x4096xf32>, tensor<32768x32768xf32>) {
  %a = onnx.Constant dense<1.0> : tensor<4096x4096xf32> : tensor<4096x4096xf32>
  %b = onnx.Constant dense<1.0> : tensor<32768x32768xf32> : tensor<32768x32768xf32>
  %y = onnx.MatMul %a, %a : (tensor<4096x4096xf32>, tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
  %z = onnx.Neg %b : (tensor<32768x32768xf32>) -> tensor<32768x32768xf32>
  return %y, %z : tensor<4096x4096xf32>, tensor<32768x32768xf32>
}
