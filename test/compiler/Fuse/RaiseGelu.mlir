// RUN: rapt-opt %s --raise-gelu | FileCheck %s

// 0.5 * (x * (1 + erf(x / sqrt 2)))
// CHECK-LABEL: func @erf_divided
func.func @erf_divided(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = onnx.Constant dense<1.4142135> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = onnx.Div %x, %r : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = onnx.Erf %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = onnx.Add %1, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = onnx.Mul %x, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = onnx.Mul %3, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // CHECK-NOT: onnx.Erf
  // CHECK: %[[G:.*]] = onnx.Gelu %arg0 : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: return %[[G]]
  return %4 : tensor<4xf32>
}

// x * (0.5 * (1 + erf(x * 0.7071)))
// CHECK-LABEL: func @erf_half_inside
func.func @erf_half_inside(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = onnx.Constant dense<0.70710677> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = onnx.Mul %r, %x : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = onnx.Erf %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = onnx.Add %one, %1 : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = onnx.Mul %half, %2 : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = onnx.Mul %x, %3 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: onnx.Gelu %arg0
  // CHECK-NEXT: return
  return %4 : tensor<4xf32>
}

// (0.5 * x) * (1 + tanh(0.7978 * (x + 0.044715 * x^3)))
// CHECK-LABEL: func @tanh_pow
func.func @tanh_pow(%x: tensor<4xf32>) -> tensor<4xf32> {
  %three = onnx.Constant dense<3.0> : tensor<f32> : tensor<f32>
  %c = onnx.Constant dense<0.044715> : tensor<f32> : tensor<f32>
  %s = onnx.Constant dense<0.797884583> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %h = onnx.Mul %half, %x : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %0 = onnx.Pow %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = onnx.Mul %0, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = onnx.Add %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = onnx.Mul %2, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = onnx.Tanh %3 : (tensor<4xf32>) -> tensor<4xf32>
  %5 = onnx.Add %4, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %6 = onnx.Mul %h, %5 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: onnx.Gelu %arg0 {approximate = "tanh"}
  // CHECK-NEXT: return
  return %6 : tensor<4xf32>
}

// The cube as a product, with x * x shared.
// CHECK-LABEL: func @tanh_product
func.func @tanh_product(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %c = onnx.Constant dense<0.044715> : tensor<f32> : tensor<f32>
  %s = onnx.Constant dense<0.797884583> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %q = onnx.Mul %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %0 = onnx.Mul %q, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = onnx.Mul %0, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = onnx.Add %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = onnx.Mul %2, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = onnx.Tanh %3 : (tensor<4xf32>) -> tensor<4xf32>
  %5 = onnx.Add %4, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %6 = onnx.Mul %x, %5 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %7 = onnx.Mul %6, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // CHECK: onnx.Gelu %arg0 {approximate = "tanh"}
  // CHECK-NOT: onnx.Tanh
  // CHECK: return
  return %7, %q : tensor<4xf32>, tensor<4xf32>
}

// Another factor is another function.
// CHECK-LABEL: func @not_a_gelu
func.func @not_a_gelu(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %r = onnx.Constant dense<1.5> : tensor<f32> : tensor<f32>
  %root = onnx.Constant dense<1.4142135> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  // CHECK-NOT: onnx.Gelu
  %0 = onnx.Div %x, %r : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = onnx.Erf %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = onnx.Add %1, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = onnx.Mul %x, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = onnx.Mul %3, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // The erf of one value and the product with another.
  %5 = onnx.Div %x, %root : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %6 = onnx.Erf %5 : (tensor<4xf32>) -> tensor<4xf32>
  %7 = onnx.Add %6, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %8 = onnx.Mul %y, %7 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %9 = onnx.Mul %8, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %4, %9 : tensor<4xf32>, tensor<4xf32>
}

// Its tanh form with another coefficient of the cube, and with the cube of another value.
// CHECK-LABEL: func @not_a_tanh_gelu
func.func @not_a_tanh_gelu(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %three = onnx.Constant dense<3.0> : tensor<f32> : tensor<f32>
  %cubic = onnx.Constant dense<0.044715> : tensor<f32> : tensor<f32>
  %other = onnx.Constant dense<0.05> : tensor<f32> : tensor<f32>
  %root = onnx.Constant dense<0.797884583> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  // CHECK-NOT: onnx.Gelu
  %0 = onnx.Pow %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = onnx.Mul %0, %other : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = onnx.Add %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = onnx.Mul %2, %root : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = onnx.Tanh %3 : (tensor<4xf32>) -> tensor<4xf32>
  %5 = onnx.Add %4, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %6 = onnx.Mul %x, %5 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %7 = onnx.Mul %6, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %8 = onnx.Pow %y, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %9 = onnx.Mul %8, %cubic : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %10 = onnx.Add %x, %9 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %11 = onnx.Mul %10, %root : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %12 = onnx.Tanh %11 : (tensor<4xf32>) -> tensor<4xf32>
  %13 = onnx.Add %12, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %14 = onnx.Mul %x, %13 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %15 = onnx.Mul %14, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %7, %15 : tensor<4xf32>, tensor<4xf32>
}

// The constants of a model in f16 are rounded to it.
// CHECK-LABEL: func @half_precision
func.func @half_precision(%x: tensor<4xf16>) -> tensor<4xf16> {
  %r = onnx.Constant dense<0.70703125> : tensor<f16> : tensor<f16>
  %one = onnx.Constant dense<1.0> : tensor<f16> : tensor<f16>
  %half = onnx.Constant dense<0.5> : tensor<f16> : tensor<f16>
  %0 = onnx.Mul %r, %x : (tensor<f16>, tensor<4xf16>) -> tensor<4xf16>
  %1 = onnx.Erf %0 : (tensor<4xf16>) -> tensor<4xf16>
  %2 = onnx.Add %one, %1 : (tensor<f16>, tensor<4xf16>) -> tensor<4xf16>
  %3 = onnx.Mul %half, %2 : (tensor<f16>, tensor<4xf16>) -> tensor<4xf16>
  %4 = onnx.Mul %x, %3 : (tensor<4xf16>, tensor<4xf16>) -> tensor<4xf16>
  // CHECK: onnx.Gelu %arg0
  // CHECK-NEXT: return
  return %4 : tensor<4xf16>
}

// In f32 that constant is another one.
// CHECK-LABEL: func @rounded_constant_in_f32
func.func @rounded_constant_in_f32(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = onnx.Constant dense<0.70703125> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = onnx.Mul %r, %x : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = onnx.Erf %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = onnx.Add %one, %1 : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = onnx.Mul %half, %2 : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = onnx.Mul %x, %3 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NOT: onnx.Gelu
  // CHECK: onnx.Erf
  // CHECK: return
  return %4 : tensor<4xf32>
}

// x^2.5 * x^0.5 is x^3 for positive x only.
// CHECK-LABEL: func @fractional_exponents
func.func @fractional_exponents(%x: tensor<4xf32>) -> tensor<4xf32> {
  %most = onnx.Constant dense<2.5> : tensor<f32> : tensor<f32>
  %rest = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %c = onnx.Constant dense<0.044715> : tensor<f32> : tensor<f32>
  %s = onnx.Constant dense<0.797884583> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32> : tensor<f32>
  %h = onnx.Mul %half, %x : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %p = onnx.Pow %x, %most : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %q = onnx.Pow %x, %rest : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %0 = onnx.Mul %p, %q : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = onnx.Mul %0, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = onnx.Add %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = onnx.Mul %2, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = onnx.Tanh %3 : (tensor<4xf32>) -> tensor<4xf32>
  %5 = onnx.Add %4, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %6 = onnx.Mul %h, %5 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NOT: onnx.Gelu
  // CHECK: onnx.Tanh
  // CHECK: return
  return %6 : tensor<4xf32>
}
