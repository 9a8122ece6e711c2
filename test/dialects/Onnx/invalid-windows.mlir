// RUN: rapt-opt --simplify-shapes --split-input-file --verify-diagnostics %s

func.func @conv_channels(%x: tensor<1x3x8x8xf32>, %w: tensor<4x2x3x3xf32>) -> tensor<1x4x6x6xf32> {
  // expected-error @+1 {{'onnx.Conv' op channels of X and of W: 3 and 2 can not be equal}}
  %y = onnx.Conv %x, %w {pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x6x6xf32>
  return %y : tensor<1x4x6x6xf32>
}

// -----

func.func @conv_fit(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x9x3xf32>) -> tensor<1x4x6x6xf32> {
  // expected-error @+1 {{'onnx.Conv' op window of 9 elements does not fit into dim 2, which has 8 with its pads}}
  %y = onnx.Conv %x, %w {pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x3x9x3xf32>) -> tensor<1x4x6x6xf32>
  return %y : tensor<1x4x6x6xf32>
}

// -----

func.func @pool_strides(%x: tensor<1x3x8xf32>) -> tensor<1x3x6xf32> {
  // expected-error @+1 {{'onnx.AveragePool' op strides has 0, expected at least 1}}
  %y = onnx.AveragePool %x {kernel_shape = array<i64: 3>, pads = array<i64: 0, 0>, strides = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x3x8xf32>) -> tensor<1x3x6xf32>
  return %y : tensor<1x3x6xf32>
}

// -----

func.func @pad_count(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %p = onnx.Constant dense<1> : tensor<3xi64> : tensor<3xi64>
  // expected-error @+1 {{'onnx.Pad' op pads have 3 elements, expected 4, two for each of 2 axes}}
  %y = onnx.Pad %x, %p {axes = array<i64: 0, 1>} : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

func.func @resize_mode(%x: tensor<2x3xf32>) -> tensor<4x3xf32> {
  %s = onnx.Constant dense<4> : tensor<1xi64> : tensor<1xi64>
  // expected-error @+1 {{'onnx.Resize' op mode is 'area', expected nearest, linear or cubic}}
  %y = onnx.Resize %x, %s {axes = array<i64: 0>, scales = array<f64: 2.0>, mode = "area", coordinate_transformation_mode = "half_pixel", nearest_mode = "floor"} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// -----

func.func @scatter_updates(%x: tensor<4x3xf32>, %i: tensor<2x1xi64>, %u: tensor<2x2xf32>) -> tensor<4x3xf32> {
  // expected-error @+1 {{'onnx.ScatterND' op dim 1 of updates: 2 and 3 can not be equal}}
  %y = onnx.ScatterND %x, %i, %u : (tensor<4x3xf32>, tensor<2x1xi64>, tensor<2x2xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// -----

func.func @top_k_range(%x: tensor<4x3xf32>) -> (tensor<4x5xf32>, tensor<4x5xi64>) {
  %k = onnx.Constant dense<5> : tensor<1xi64> : tensor<1xi64>
  // expected-error @+1 {{'onnx.TopK' op k is 5, expected at most 3 as dim 1 has elements}}
  %v, %i = onnx.TopK %x, %k {axis = 1 : i64} : (tensor<4x3xf32>, tensor<1xi64>) -> (tensor<4x5xf32>, tensor<4x5xi64>)
  return %v, %i : tensor<4x5xf32>, tensor<4x5xi64>
}
