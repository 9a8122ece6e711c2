// RUN: rapt-opt --simplify-shapes --split-input-file --verify-diagnostics %s

func.func @matmul_contracted_dims(%a: tensor<2x3xf32>, %b: tensor<4x5xf32>) -> tensor<2x5xf32> {
  // expected-error @+1 {{'onnx.MatMul' op dim 1 of its first operand and dim 0 of its second: 3 and 4 can not be equal}}
  %y = onnx.MatMul %a, %b : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}

// -----

func.func @add_broadcast(%a: tensor<?x3xf32> {onnx.dims = ["n", 3]}, %b: tensor<2xf32>) -> tensor<?x3xf32> {
  // expected-error @+1 {{dim 1 of its operands: 3 and 2 can not be equal}}
  %y = onnx.Add %a, %b : (tensor<?x3xf32>, tensor<2xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

func.func @add_types(%a: tensor<3xf32>, %b: tensor<3xi64>) -> tensor<3xf32> {
  // expected-error @+1 {{operand 1 has element type 'i64', expected 'f32' as operand 0}}
  %y = onnx.Add %a, %b : (tensor<3xf32>, tensor<3xi64>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----

func.func @reshape_count(%a: tensor<2x3xf32>) -> tensor<5xf32> {
  %s = onnx.Constant dense<5> : tensor<1xi64> : tensor<1xi64>
  // expected-error @+1 {{shape has 5 elements, expected the operand's 6}}
  %y = onnx.Reshape %a, %s : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<5xf32>
  return %y : tensor<5xf32>
}

// -----

func.func @reshape_two_inferred(%a: tensor<2x3xf32>) -> tensor<?x?xf32> {
  %s = onnx.Constant dense<-1> : tensor<2xi64> : tensor<2xi64>
  // expected-error @+1 {{shape has -1 at 0 and at 1, expected it once}}
  %y = onnx.Reshape %a, %s : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

func.func @reshape_by_data(%a: tensor<2x3xf32>, %s: tensor<1xi64>) -> tensor<?xf32> {
  // expected-error @+1 {{shape is computed from the model's data, expected it to follow from constants and the inputs' dims}}
  %y = onnx.Reshape %a, %s : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @axis(%a: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{axis is 2, expected 0 to 1 for an operand of rank 2}}
  %y = onnx.Softmax %a {axis = 2 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

func.func @perm(%a: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{axes name axis 0 twice}}
  %y = onnx.Transpose %a {perm = array<i64: 0, 0>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

func.func @overflow(%a: tensor<1xf32>) -> tensor<?xf32> {
  %s = onnx.Constant dense<[4611686018427387904, 4]> : tensor<2xi64> : tensor<2xi64>
  // expected-error @+1 {{result has more bytes than fit 64 bits}}
  %y = onnx.Expand %a, %s : (tensor<1xf32>, tensor<2xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @gather_index(%a: tensor<2x3xf32>) -> tensor<3xf32> {
  %i = onnx.Constant dense<2> : tensor<i64> : tensor<i64>
  // expected-error @+1 {{index is 2, expected from -2 to 1 as dim 0 of data is 2}}
  %y = onnx.Gather %a, %i {axis = 0 : i64} : (tensor<2x3xf32>, tensor<i64>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----

// expected-error @+1 {{argument 0 has a dynamic dim without a name in onnx.dims}}
func.func @unnamed(%a: tensor<?xf32>) -> tensor<?xf32> {
  return %a : tensor<?xf32>
}

// -----

func.func @bit_cast_width(%a: tensor<2xf32>) -> tensor<2xi64> {
  // expected-error @+1 {{operand 0 has element type 'f32' of 32 bits, expected as many as the result's 'i64' has (64)}}
  %y = onnx.BitCast %a : (tensor<2xf32>) -> tensor<2xi64>
  return %y : tensor<2xi64>
}

// -----

func.func @shift_type(%a: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{operand 0 has element type 'f32', expected an integer type}}
  %y = onnx.BitShift %a, %a {left = true} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @power_of_bool(%a: tensor<2xi1>) -> tensor<2xi1> {
  // expected-error @+1 {{operand 0 has element type 'i1', expected a number}}
  %y = onnx.Pow %a, %a : (tensor<2xi1>, tensor<2xi1>) -> tensor<2xi1>
  return %y : tensor<2xi1>
}

// -----

func.func @arc_of_integer(%a: tensor<2xi32>) -> tensor<2xi32> {
  // expected-error @+1 {{operand 0 has element type 'i32', expected a float type}}
  %y = onnx.Asin %a : (tensor<2xi32>) -> tensor<2xi32>
  return %y : tensor<2xi32>
}
