// RUN: rapt-opt --simplify-shapes --split-input-file --verify-diagnostics %s

func.func @rms_axis(%x: tensor<2x3xf32>, %s: tensor<3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{axis is 2, expected 0 to 1 for an operand of rank 2}}
  %y = onnx.RMSNormalization %x, %s {axis = 2 : i64} : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

func.func @rms_scale_rank(%x: tensor<2x3xf32>, %s: tensor<1x1x3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{scale or bias has rank 3, expected at most 2}}
  %y = onnx.RMSNormalization %x, %s {axis = 1 : i64} : (tensor<2x3xf32>, tensor<1x1x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

func.func @rms_integers(%x: tensor<2x3xi64>, %s: tensor<3xi64>) -> tensor<2x3xi64> {
  // expected-error @+1 {{operand 0 has element type 'i64', expected a float type}}
  %y = onnx.RMSNormalization %x, %s {axis = 1 : i64} : (tensor<2x3xi64>, tensor<3xi64>) -> tensor<2x3xi64>
  return %y : tensor<2x3xi64>
}

// -----

func.func @rotary_odd(%x: tensor<2x8xf32>, %c: tensor<2x3xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{rotary_dim is 3, expected an even number up to 8}}
  %y = onnx.RotaryEmbedding %x, %c, %c {rotary_dim = 3 : i64} : (tensor<2x8xf32>, tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @rotary_wide(%x: tensor<2x8xf32>, %c: tensor<2x10xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{rotary_dim is 10, expected an even number up to 8}}
  %y = onnx.RotaryEmbedding %x, %c, %c {rotary_dim = 10 : i64} : (tensor<2x8xf32>, tensor<2x10xf32>, tensor<2x10xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @rotary_dynamic(%x: tensor<2x?xf32> {onnx.dims = [2, "d"]}, %c: tensor<2x4xf32>) -> tensor<2x?xf32> {
  // expected-error @+1 {{expects x to have a static last dim}}
  %y = onnx.RotaryEmbedding %x, %c, %c {rotary_dim = 4 : i64} : (tensor<2x?xf32>, tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x?xf32>
  return %y : tensor<2x?xf32>
}

// -----

func.func @rotary_angles(%x: tensor<2x8xf32>, %c: tensor<2x4xf32>) -> tensor<2x8xf32> {
  // expected-error @+1 {{cos or sin has rank 2 or a last dim that is not rotary_dim (8)}}
  %y = onnx.RotaryEmbedding %x, %c, %c {rotary_dim = 8 : i64} : (tensor<2x8xf32>, tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @rotary_broadcast(%x: tensor<1x8xf32>, %c: tensor<2x8xf32>) -> tensor<1x8xf32> {
  // expected-error @+1 {{cos or sin does not broadcast to x}}
  %y = onnx.RotaryEmbedding %x, %c, %c {rotary_dim = 8 : i64} : (tensor<1x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}
