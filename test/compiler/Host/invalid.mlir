// RUN: rapt-opt %s --host-bufferize --host-plan-memory --host-to-llvm --split-input-file --verify-diagnostics

// expected-error @below {{'func.func' op expects argument 0 to have an attribute 'onnx.dims' with 1 dims}}
func.func @main(%x: tensor<?xf32> {onnx.name = "x"}) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// -----

// expected-error @below {{expects dynamic dims of argument 0 to be symbols, but one is 3}}
func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = [3]}) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// -----

// expected-error @below {{names 'n', which is not in 'kernel.symbols'}}
func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}) -> tensor<?xf32> attributes {kernel.symbols = ["m"]} {
  return %x : tensor<?xf32>
}

// -----

// expected-error @below {{graph input 'x' has rank 9, expected at most 8}}
func.func @main(%x: tensor<1x1x1x1x1x1x1x1x2xf32> {onnx.name = "x", onnx.dims = [1, 1, 1, 1, 1, 1, 1, 1, 2]}) -> tensor<1x1x1x1x1x1x1x1x2xf32> {
  return %x : tensor<1x1x1x1x1x1x1x1x2xf32>
}

// -----

func.func @main(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = [4]}) -> tensor<4xf32> {
  // expected-error @below {{'tensor.empty' op has no place in the host's function at this stage}}
  %y = tensor.empty() : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = [4]}) -> tensor<4xf32> {
  // expected-error @below {{expects a kernel 'nowhere' with 2 operands}}
  %y = kernel.call @nowhere dims() ins(%x) shapes [array<i64>] -> [array<i64>] : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = [4]}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
// expected-error @below {{expects `object` to hold variants, the last one for any rows and the largest tile, rows, scratch, inner and 2 tensors over 0 dims}}
kernel.func @k dims 0 shapes [array<i64>] -> [array<i64>] panels [0] schedule(<gemm {}>) attributes {object = {
    variants = [{symbol = "m8", max_tile = 8 : i64, max_rows = 0 : i64}, {symbol = "m4", max_tile = 4 : i64, max_rows = 0 : i64}], rows = array<i64: 1>, scratch = [], inner = [], tensors = []}} {
^bb0(%x: tensor<4xf32>):
  kernel.yield %x : tensor<4xf32>
}
