// RUN: rapt-opt %s --fuse-lower --split-input-file | FileCheck %s

// Tensors hold signless integers; the sign is in the operations, and in an attribute for the caller's sake.
// CHECK-LABEL: func @unsigned(
// CHECK-SAME: %arg0: tensor<4xi8> {onnx.element_type = ui8}
// CHECK-SAME: -> (tensor<4xi8> {onnx.element_type = ui8}, tensor<4xi1>, tensor<4xf32>)
func.func @unsigned(%x: tensor<4xui8>, %y: tensor<4xui8>) -> (tensor<4xui8>, tensor<4xi1>, tensor<4xf32>) {
  // CHECK: arith.maxui
  // CHECK: arith.cmpi ult
  // CHECK: arith.uitofp
  %0 = onnx.Max %x, %y : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %1 = onnx.Less %x, %y : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xi1>
  %2 = onnx.Cast %x : (tensor<4xui8>) -> tensor<4xf32>
  return %0, %1, %2 : tensor<4xui8>, tensor<4xi1>, tensor<4xf32>
}

// -----

// A weight has its bits, without their sign.
// CHECK-LABEL: func @unsigned_weight
func.func @unsigned_weight(%x: tensor<3xui8>) -> (tensor<3xui8>, tensor<3xui8>) {
  // CHECK: %[[W:.*]] = kernel.weight {{.*}} : tensor<3xi8>
  // CHECK: linalg.generic {{.*}} ins(%arg0, %[[W]] : tensor<3xi8>, tensor<3xi8>)
  // CHECK: arith.maxui
  %w = kernel.weight [dense<[5, 250, 9]> : tensor<3xui8>] : tensor<3xui8>
  %0 = onnx.Max %x, %w : (tensor<3xui8>, tensor<3xui8>) -> tensor<3xui8>
  // CHECK: return %{{.*}}, %[[W]] : tensor<3xi8>, tensor<3xi8>
  return %0, %w : tensor<3xui8>, tensor<3xui8>
}

// -----

// An unsigned maximum is reduced as a signed one with the sign bit flipped.
// CHECK-LABEL: func @unsigned_maximum
func.func @unsigned_maximum(%x: tensor<4x8xui8>) -> tensor<4xui8> {
  // CHECK: linalg.fill ins(%{{.*}} : i8)
  // CHECK: arith.xori
  // CHECK-NEXT: arith.maxsi
  // CHECK: arith.xori
  %0 = onnx.ReduceMax %x {axes = array<i64: 1>, keepdims = false} : (tensor<4x8xui8>) -> tensor<4xui8>
  return %0 : tensor<4xui8>
}

// -----

// Narrow floats are widened, and the result is rounded once.
// CHECK-LABEL: func @narrow
func.func @narrow(%x: tensor<4xbf16>, %y: tensor<4xbf16>) -> tensor<4xbf16> {
  // CHECK: %[[X:.*]] = arith.extf %{{.*}} : bf16 to f32
  // CHECK: %[[Y:.*]] = arith.extf %{{.*}} : bf16 to f32
  // CHECK: %[[SUM:.*]] = arith.addf %[[X]], %[[Y]] : f32
  // CHECK: arith.truncf %[[SUM]] : f32 to bf16
  %0 = onnx.Add %x, %y : (tensor<4xbf16>, tensor<4xbf16>) -> tensor<4xbf16>
  return %0 : tensor<4xbf16>
}

// -----

// Float to integer never sees a number that the integer type lacks.
// CHECK-LABEL: func @saturating
func.func @saturating(%x: tensor<4xf32>) -> tensor<4xi32> {
  // CHECK: math.isnan
  // CHECK: arith.select
  // CHECK: arith.maximumf
  // CHECK: arith.minimumf
  // CHECK: arith.fptosi
  // CHECK: arith.cmpf oge
  // CHECK: arith.select
  %0 = onnx.Cast %x : (tensor<4xf32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}
