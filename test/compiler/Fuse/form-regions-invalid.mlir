// RUN: rapt-opt %s --form-regions --split-input-file --verify-diagnostics

func.func @not_lowered(%x: tensor<?x4xf32> {onnx.dims = ["n", 4]}) -> tensor<?x4xf32> {
  // expected-error@below {{form-regions expects a function that fuse-lower has lowered, but 'onnx.Exp' of node 'onnx.Exp' gives a tensor}}
  %0 = onnx.Exp %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @other_view(%x: tensor<4xf32>) -> tensor<?xf32> {
  // expected-error@below {{but 'tensor.cast' of node 'tensor.cast' gives a tensor}}
  %0 = tensor.cast %x : tensor<4xf32> to tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// expected-error@below {{form-regions expects attribute 'onnx.dims' of argument 0 to name each dynamic dim of 'tensor<?x4xf32>'}}
func.func @dims_without_names(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}

// -----

// expected-error@below {{form-regions expects attribute 'onnx.dims' of argument 0 to name each dynamic dim of 'tensor<?x4xf32>'}}
func.func @number_for_a_name(%x: tensor<?x4xf32> {onnx.dims = [2, 4]}) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
