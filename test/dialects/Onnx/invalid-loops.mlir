// RUN: rapt-opt --simplify-shapes --verify-diagnostics --split-input-file %s
// What a loop must be for one body to fit all of its iterations.

func.func @state(%h: tensor<2x4xf32>, %x: tensor<3x2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @+1 {{state 0 changes its shape from [2, 4] to [4, 4], expected the same one in each iteration}}
  %0 = onnx.Loop states(%h) scanned(%x) {scanned_reverse = array<i1: false>, stacked_reverse = array<i1>} : (tensor<2x4xf32>, tensor<3x2x4xf32>) -> tensor<2x4xf32> {
  ^bb0(%i: tensor<i64>, %s: tensor<2x4xf32>, %row: tensor<2x4xf32>):
    %n = onnx.Concat %s, %row {axis = 0 : i64} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<4x4xf32>
    onnx.Yield %n : tensor<4x4xf32>
  }
  return %0 : tensor<2x4xf32>
}

// -----

func.func @type(%h: tensor<4xf32>, %x: tensor<3x4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{state 0 starts with element type 'f32' and goes on with 'f64'}}
  %0 = onnx.Loop states(%h) scanned(%x) {scanned_reverse = array<i1: false>, stacked_reverse = array<i1>} : (tensor<4xf32>, tensor<3x4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<i64>, %s: tensor<4xf32>, %row: tensor<4xf32>):
    %n = onnx.Cast %s : (tensor<4xf32>) -> tensor<4xf64>
    onnx.Yield %n : tensor<4xf64>
  }
  return %0 : tensor<4xf32>
}

// -----

func.func @lengths(%x: tensor<3x4xf32>, %y: tensor<2x4xf32>) -> tensor<3x4xf32> {
  // expected-error @+1 {{number of slices of scanned operand 1: 3 and 2 can not be equal}}
  %0 = onnx.Loop states() scanned(%x, %y) {scanned_reverse = array<i1: false, false>, stacked_reverse = array<i1: false>} : (tensor<3x4xf32>, tensor<2x4xf32>) -> tensor<3x4xf32> {
  ^bb0(%i: tensor<i64>, %a: tensor<4xf32>, %b: tensor<4xf32>):
    onnx.Yield %a : tensor<4xf32>
  }
  return %0 : tensor<3x4xf32>
}

// -----

func.func @endless(%h: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{has no count, condition or scanned operand and would run forever}}
  %0 = onnx.Loop states(%h) scanned() {scanned_reverse = array<i1>, stacked_reverse = array<i1>} : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<i64>, %s: tensor<4xf32>):
    onnx.Yield %s : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

func.func @stacked(%n: tensor<i64>, %h: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{stacks elements of each iteration, but how many there are is known only when the model runs}}
  %0:2 = onnx.Loop count(%n) states(%h) scanned() {scanned_reverse = array<i1>, stacked_reverse = array<i1: false>} : (tensor<i64>, tensor<4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) {
  ^bb0(%i: tensor<i64>, %s: tensor<4xf32>):
    onnx.Yield %s, %s : tensor<4xf32>, tensor<4xf32>
  }
  return %0#1 : tensor<?x4xf32>
}

// -----

func.func @condition(%c: tensor<i1>, %h: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{next condition has type 'tensor<4xf32>', expected tensor<i1>}}
  %0 = onnx.Loop while(%c) states(%h) scanned() {scanned_reverse = array<i1>, stacked_reverse = array<i1>} : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<i64>, %s: tensor<4xf32>):
    onnx.Yield %s, %s : tensor<4xf32>, tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

func.func @arguments(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  // expected-error @+1 {{body has 1 arguments, expected 2}}
  %0 = onnx.Loop states() scanned(%x) {scanned_reverse = array<i1: false>, stacked_reverse = array<i1: false>} : (tensor<3x4xf32>) -> tensor<3x4xf32> {
  ^bb0(%i: tensor<i64>):
    onnx.Yield %i : tensor<i64>
  }
  return %0 : tensor<3x4xf32>
}

// -----

func.func @yielded(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  // expected-error @+1 {{body yields 0 values, expected 1}}
  %0 = onnx.Loop states() scanned(%x) {scanned_reverse = array<i1: false>, stacked_reverse = array<i1: false>} : (tensor<3x4xf32>) -> tensor<3x4xf32> {
  ^bb0(%i: tensor<i64>, %a: tensor<4xf32>):
    onnx.Yield
  }
  return %0 : tensor<3x4xf32>
}
