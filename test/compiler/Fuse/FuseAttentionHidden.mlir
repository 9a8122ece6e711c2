// A band and a mask with a sentinel each: both are structure, and empty_row says which excluded keys a row of nothing
// else averages over.
// RUN: rapt-opt %s --fuse-attention --split-input-file | FileCheck %s

// The band's keys have -1e4, those of the mask the lowest float.
// CHECK-LABEL: func @weak_band
func.func @weak_band(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>, %m: tensor<1x1x1x4xi1>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {causal_offset = 0 : i64, empty_row = #attn.empty_row<mask_mean>, scale
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %weak = onnx.Constant dense<-1.0e+4> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %pad = onnx.Where %m, %zero, %lowest : (tensor<1x1x1x4xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x1x4xf32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %filled = onnx.Where %b, %scores, %weak : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %filled, %pad : (tensor<1x2x4x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// A mask that is no band stays what it is: scores may come near to -1e4.
// CHECK-LABEL: func @weak_mask
func.func @weak_mask(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>, %m: tensor<1x1x1x4xi1>) -> tensor<1x2x4x4xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: attn.not_fused = "scores are set to a sentinel above -1e9 by more than a band"
  %weak = onnx.Constant dense<-1.0e+4> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %filled = onnx.Where %m, %scores, %weak : (tensor<1x1x1x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %filled {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// A bias above the band's sentinel that is no mask: what the band hides differs by it.
// CHECK-LABEL: func @weak_band_bias
func.func @weak_band_bias(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>, %m: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: attn.not_fused = "a bias is added after scores were set to a finite sentinel"
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %weak = onnx.Constant dense<-1.0e+4> : tensor<f32> : tensor<f32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %filled = onnx.Where %b, %scores, %weak : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %filled, %m : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// The mask lies below the band's sentinel: what the band hides has it whatever the mask says.
// CHECK-LABEL: func @weak_band_above
func.func @weak_band_above(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>, %m: tensor<1x1x1x4xi1>) -> tensor<1x2x4x4xf32> {
  // CHECK-NOT: attn.sdpa
  // CHECK: attn.not_fused = "a bias comes before scores are set to a finite sentinel that is not the lowest"
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %weak = onnx.Constant dense<-1.0e+4> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %pad = onnx.Where %m, %zero, %lowest : (tensor<1x1x1x4xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x1x4xf32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %scores, %pad : (tensor<1x2x4x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x4x4xf32>
  %filled = onnx.Where %b, %masked, %weak : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %filled {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// Two lowest floats: what both hide has -infinity.
// CHECK-LABEL: func @two_lowest
func.func @two_lowest(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>, %m: tensor<1x1x1x4xi1>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} mask(%arg3) {causal_offset = 0 : i64, empty_row = #attn.empty_row<either_mean>, {{.*}}window_offset = -1 : i64}
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [false, true, true, false], [false, false, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %pad = onnx.Where %m, %zero, %lowest : (tensor<1x1x1x4xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x1x4xf32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %filled = onnx.Where %b, %scores, %lowest : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %filled, %pad : (tensor<1x2x4x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %weights, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

// A guard looks at rows without a key: what it sees is -infinity in all of a row, which two masks give in some only.
// CHECK-LABEL: func @two_lowest_guarded
func.func @two_lowest_guarded(%q: tensor<1x2x4x4xf32>, %k: tensor<1x2x4x4xf32>, %v: tensor<1x2x4x4xf32>, %m: tensor<1x1x1x4xi1>) -> tensor<1x2x4x4xf32> {
  // CHECK: attn.sdpa {{.*}} bias(
  // CHECK-NOT: either_mean
  %b = onnx.Constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1> : tensor<4x4xi1>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %lowest = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %pad = onnx.Where %m, %zero, %lowest : (tensor<1x1x1x4xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x1x4xf32>
  %scores = onnx.MatMul %q, %k : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %filled = onnx.Where %b, %scores, %lowest : (tensor<4x4xi1>, tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %masked = onnx.Add %filled, %pad : (tensor<1x2x4x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x4x4xf32>
  %weights = onnx.Softmax %masked {axis = 3 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %none = onnx.IsNaN %weights : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xi1>
  %guarded = onnx.Where %none, %zero, %weights : (tensor<1x2x4x4xi1>, tensor<f32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %o = onnx.MatMul %guarded, %v : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}
