// RUN: rapt-opt %s --simplify-canonicalize --split-input-file | FileCheck %s

// A number times a condition.
// CHECK-LABEL: func @product
func.func @product(%c: tensor<5x7xi1>) -> tensor<5x7xf32> {
  // CHECK-DAG: %[[LOW:.*]] = onnx.Constant dense<-3.40282347E+38>
  // CHECK-DAG: %[[ZERO:.*]] = onnx.Constant dense<0.000000e+00>
  // CHECK: %[[W:.*]] = onnx.Where %arg0, %[[LOW]], %[[ZERO]]
  // CHECK: return %[[W]]
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<1x1xf32> : tensor<1x1xf32>
  %f = onnx.Cast %c : (tensor<5x7xi1>) -> tensor<5x7xf32>
  %p = onnx.Mul %low, %f : (tensor<1x1xf32>, tensor<5x7xf32>) -> tensor<5x7xf32>
  return %p : tensor<5x7xf32>
}

// -----

// A factor that is not so low stays one.
// CHECK-LABEL: func @ordinary_product
func.func @ordinary_product(%c: tensor<5x7xi1>) -> tensor<5x7xf32> {
  // CHECK: onnx.Mul
  %low = onnx.Constant dense<-1.0e9> : tensor<1x1xf32> : tensor<1x1xf32>
  %f = onnx.Cast %c : (tensor<5x7xi1>) -> tensor<5x7xf32>
  %p = onnx.Mul %low, %f : (tensor<1x1xf32>, tensor<5x7xf32>) -> tensor<5x7xf32>
  return %p : tensor<5x7xf32>
}

// -----

// CHECK-LABEL: func @triangle
func.func @triangle(%c: tensor<5x7xi1>) -> tensor<5x7xf32> {
  // CHECK: %[[T:.*]] = onnx.Trilu %{{.*}} {k = 1 : i64} : (tensor<5x7xi1>)
  // CHECK: %[[A:.*]] = onnx.And %[[T]], %arg0
  // CHECK: onnx.Where %[[A]]
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<5x7xf32> : tensor<5x7xf32>
  %t = onnx.Trilu %low {k = 1 : i64} : (tensor<5x7xf32>) -> tensor<5x7xf32>
  %f = onnx.Cast %c : (tensor<5x7xi1>) -> tensor<5x7xf32>
  %p = onnx.Mul %t, %f : (tensor<5x7xf32>, tensor<5x7xf32>) -> tensor<5x7xf32>
  return %p : tensor<5x7xf32>
}

// -----

// (1 - m) * lowest of integers that are 0 and 1
// CHECK-LABEL: func @inverted
func.func @inverted(%m: tensor<2x1x1x7xi64>) -> tensor<2x1x1x7xf32> {
  // CHECK: %[[C:.*]] = onnx.Cast %arg0 : (tensor<2x1x1x7xi64>) -> tensor<2x1x1x7xi1>
  // CHECK: onnx.Where %[[C]]
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %f = onnx.Cast %m : (tensor<2x1x1x7xi64>) -> tensor<2x1x1x7xf32>
  %d = onnx.Sub %one, %f : (tensor<f32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %p = onnx.Mul %d, %low : (tensor<2x1x1x7xf32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  return %p : tensor<2x1x1x7xf32>
}

// -----

// A mask of floats may hold anything.
// CHECK-LABEL: func @inverted_floats
func.func @inverted_floats(%m: tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32> {
  // CHECK: onnx.Sub
  // CHECK: onnx.Mul
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32> : tensor<f32>
  %d = onnx.Sub %one, %m : (tensor<f32>, tensor<2x1x1x7xf32>) -> tensor<2x1x1x7xf32>
  %p = onnx.Mul %d, %low : (tensor<2x1x1x7xf32>, tensor<f32>) -> tensor<2x1x1x7xf32>
  return %p : tensor<2x1x1x7xf32>
}

// -----

// x where x is zero is zero.
// CHECK-LABEL: func @zero_of_itself
func.func @zero_of_itself(%x: tensor<2x7xf32>) -> (tensor<2x7xf32>, tensor<2x7xf32>) {
  // CHECK: %[[C:.*]] = onnx.Cast %arg0
  // CHECK: %[[ZERO:.*]] = onnx.Constant dense<0.000000e+00>
  // CHECK: onnx.Where %[[C]], %{{.*}}, %[[ZERO]] :
  // CHECK: %[[E:.*]] = onnx.Equal
  // CHECK: %[[OTHER:.*]] = onnx.Constant dense<0.000000e+00>
  // CHECK: onnx.Where %[[E]], %[[OTHER]], %arg0 :
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %c = onnx.Cast %x : (tensor<2x7xf32>) -> tensor<2x7xi1>
  %w = onnx.Where %c, %low, %x : (tensor<2x7xi1>, tensor<f32>, tensor<2x7xf32>) -> tensor<2x7xf32>
  %v = onnx.Where %c, %x, %low : (tensor<2x7xi1>, tensor<2x7xf32>, tensor<f32>) -> tensor<2x7xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %e = onnx.Equal %v, %zero : (tensor<2x7xf32>, tensor<f32>) -> tensor<2x7xi1>
  %u = onnx.Where %e, %v, %x : (tensor<2x7xi1>, tensor<2x7xf32>, tensor<2x7xf32>) -> tensor<2x7xf32>
  return %w, %u : tensor<2x7xf32>, tensor<2x7xf32>
}

// -----

// The mask of transformers' decoders: lowest behind the diagonal, and where the sum of that and a
// padding mask is zero.
// CHECK-LABEL: func @causal_and_padding
func.func @causal_and_padding(%later: tensor<1x1x5x7xi1>, %m: tensor<2x1x1x7xi64>) -> tensor<2x1x5x7xf32> {
  // CHECK-DAG: %[[F:.*]] = onnx.Cast %arg1
  // CHECK-DAG: %[[P:.*]] = onnx.Equal %[[F]], %{{.*}} -> tensor<2x1x1x7xi1>
  // CHECK: %[[E:.*]] = onnx.Or %[[P]], %arg0
  // CHECK: %[[W:.*]] = onnx.Where %[[E]], %{{.*}}, %{{.*}} : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<f32>)
  // CHECK: return %[[W]]
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %c = onnx.Where %later, %low, %zero : (tensor<1x1x5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x5x7xf32>
  %f = onnx.Cast %m : (tensor<2x1x1x7xi64>) -> tensor<2x1x1x7xf32>
  %s = onnx.Add %c, %f : (tensor<1x1x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x1x5x7xf32>
  %e = onnx.Equal %s, %zero : (tensor<2x1x5x7xf32>, tensor<f32>) -> tensor<2x1x5x7xi1>
  %w = onnx.Where %e, %low, %c : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<1x1x5x7xf32>) -> tensor<2x1x5x7xf32>
  return %w : tensor<2x1x5x7xf32>
}

// -----

// What is added may be the opposite of the lowest number.
// CHECK-LABEL: func @sum_of_floats
func.func @sum_of_floats(%c: tensor<5x7xi1>, %x: tensor<5x7xf32>) -> tensor<5x7xi1> {
  // CHECK: onnx.Add
  // CHECK: onnx.Equal
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %c, %low, %zero : (tensor<5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<5x7xf32>
  %s = onnx.Add %w, %x : (tensor<5x7xf32>, tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = onnx.Equal %s, %zero : (tensor<5x7xf32>, tensor<f32>) -> tensor<5x7xi1>
  return %e : tensor<5x7xi1>
}

// -----

// CHECK-LABEL: func @compared
func.func @compared(%c: tensor<5x7xi1>) -> (tensor<5x7xi1>, tensor<5x7xi1>, tensor<5x7xi1>) {
  // CHECK-DAG: %[[N:.*]] = onnx.Not %arg0
  // CHECK-DAG: %[[T:.*]] = onnx.Expand {{.*}} -> tensor<5x7xi1>
  // CHECK: return %arg0, %[[N]], %[[T]]
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %k = onnx.Constant dense<-1.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %c, %low, %zero : (tensor<5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<5x7xf32>
  %l = onnx.Less %w, %k : (tensor<5x7xf32>, tensor<f32>) -> tensor<5x7xi1>
  %g = onnx.LessOrEqual %k, %w : (tensor<f32>, tensor<5x7xf32>) -> tensor<5x7xi1>
  %a = onnx.GreaterOrEqual %zero, %w : (tensor<f32>, tensor<5x7xf32>) -> tensor<5x7xi1>
  return %l, %g, %a : tensor<5x7xi1>, tensor<5x7xi1>, tensor<5x7xi1>
}

// -----

// CHECK-LABEL: func @as_bool
func.func @as_bool(%c: tensor<5x7xi1>) -> tensor<5x7xi1> {
  // CHECK: return %arg0
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %c, %low, %zero : (tensor<5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<5x7xf32>
  %b = onnx.Cast %w : (tensor<5x7xf32>) -> tensor<5x7xi1>
  return %b : tensor<5x7xi1>
}

// -----

// Another number inside is another choice.
// CHECK-LABEL: func @three_numbers
func.func @three_numbers(%a: tensor<5x7xi1>, %c: tensor<5x7xi1>) -> tensor<5x7xf32> {
  // CHECK: onnx.Where
  // CHECK: onnx.Where
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %less = onnx.Constant dense<-1.0> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %w = onnx.Where %c, %less, %zero : (tensor<5x7xi1>, tensor<f32>, tensor<f32>) -> tensor<5x7xf32>
  %v = onnx.Where %a, %low, %w : (tensor<5x7xi1>, tensor<f32>, tensor<5x7xf32>) -> tensor<5x7xf32>
  return %v : tensor<5x7xf32>
}

// -----

// A slice of a choice: only what has the dim is cut.
// CHECK-LABEL: func @slice
func.func @slice(%c: tensor<2x1x5x9xi1>, %m: tensor<2x1x1x9xi1>, %x: tensor<1x3x1x1xf32>) -> tensor<2x3x5x7xf32> {
  // CHECK-DAG: %[[C:.*]] = onnx.Slice %arg0, {{.*}} -> tensor<2x1x5x7xi1>
  // CHECK-DAG: %[[M:.*]] = onnx.Slice %arg1, {{.*}} -> tensor<2x1x1x7xi1>
  // CHECK: %[[E:.*]] = onnx.Or %[[C]], %[[M]]
  // CHECK: onnx.Where %[[E]], %{{.*}}, %arg2 : (tensor<2x1x5x7xi1>, tensor<f32>, tensor<1x3x1x1xf32>)
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %e = onnx.Or %c, %m : (tensor<2x1x5x9xi1>, tensor<2x1x1x9xi1>) -> tensor<2x1x5x9xi1>
  %w = onnx.Where %e, %low, %x : (tensor<2x1x5x9xi1>, tensor<f32>, tensor<1x3x1x1xf32>) -> tensor<2x3x5x9xf32>
  %begin = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %end = onnx.Constant dense<7> : tensor<1xi64> : tensor<1xi64>
  %s = onnx.Slice %w, %begin, %end {axes = array<i64: 3>, steps = array<i64: 1>} : (tensor<2x3x5x9xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3x5x7xf32>
  return %s : tensor<2x3x5x7xf32>
}

// -----

// What is read on two ways is cut once.
// CHECK-LABEL: func @diamonds
// CHECK: %[[S:.*]] = onnx.Slice %arg0
// CHECK-NEXT: %[[N:.*]] = onnx.Not %[[S]]
// CHECK-NEXT: %[[A:.*]] = onnx.Or %[[S]], %[[N]]
// CHECK-NEXT: %[[M:.*]] = onnx.Not %[[A]]
// CHECK-NEXT: %[[B:.*]] = onnx.And %[[A]], %[[M]]
// CHECK-NEXT: return %[[B]]
func.func @diamonds(%c: tensor<5x9xi1>) -> tensor<5x7xi1> {
  %n = onnx.Not %c : (tensor<5x9xi1>) -> tensor<5x9xi1>
  %a = onnx.Or %c, %n : (tensor<5x9xi1>, tensor<5x9xi1>) -> tensor<5x9xi1>
  %m = onnx.Not %a : (tensor<5x9xi1>) -> tensor<5x9xi1>
  %b = onnx.And %a, %m : (tensor<5x9xi1>, tensor<5x9xi1>) -> tensor<5x9xi1>
  %begin = onnx.Constant dense<0> : tensor<1xi64> : tensor<1xi64>
  %end = onnx.Constant dense<7> : tensor<1xi64> : tensor<1xi64>
  %s = onnx.Slice %b, %begin, %end {axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<5x9xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<5x7xi1>
  return %s : tensor<5x7xi1>
}

// -----

// Earlier keys are seen, and the mask of the new ones.
// CHECK-LABEL: func @concat
func.func @concat(%c: tensor<5x5xi1>) -> tensor<5x8xf32> {
  // CHECK: %[[T:.*]] = onnx.Expand %{{.*}} -> tensor<5x3xi1>
  // CHECK: %[[C:.*]] = onnx.Concat %[[T]], %arg0 {axis = 1 : i64}
  // CHECK: onnx.Where %[[C]]
  %low = onnx.Constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32> : tensor<f32>
  %before = onnx.Constant dense<0.0> : tensor<5x3xf32> : tensor<5x3xf32>
  %w = onnx.Where %c, %zero, %low : (tensor<5x5xi1>, tensor<f32>, tensor<f32>) -> tensor<5x5xf32>
  %r = onnx.Concat %before, %w {axis = 1 : i64} : (tensor<5x3xf32>, tensor<5x5xf32>) -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----

// Every element is written where it is.
// CHECK-LABEL: func @whole_scatter
func.func @whole_scatter(%x: tensor<?x?xf32> {onnx.dims = ["rows", "columns"]}, %y: tensor<?x?xf32> {onnx.dims = ["rows", "columns"]}) -> tensor<?x?xf32> {
  // CHECK: return %arg1
  %0 = onnx.Constant dense<0> : tensor<i64> : tensor<i64>
  %1 = onnx.Constant dense<1> : tensor<i64> : tensor<i64>
  %shape = onnx.Shape %x {start = 0 : i64, end = 2 : i64} : (tensor<?x?xf32>) -> tensor<2xi64>
  %n = onnx.Gather %shape, %0 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %m = onnx.Gather %shape, %1 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %i = onnx.Range %0, %n, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %j = onnx.Range %0, %m, %1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %column = onnx.Constant dense<[-1, 1, 1]> : tensor<3xi64> : tensor<3xi64>
  %row = onnx.Constant dense<[1, -1, 1]> : tensor<3xi64> : tensor<3xi64>
  %end = onnx.Constant dense<1> : tensor<1xi64> : tensor<1xi64>
  %all = onnx.Concat %shape, %end {axis = 0 : i64} : (tensor<2xi64>, tensor<1xi64>) -> tensor<3xi64>
  %ri = onnx.Reshape %i, %column : (tensor<?xi64>, tensor<3xi64>) -> tensor<?x1x1xi64>
  %rj = onnx.Reshape %j, %row : (tensor<?xi64>, tensor<3xi64>) -> tensor<1x?x1xi64>
  %ei = onnx.Expand %ri, %all : (tensor<?x1x1xi64>, tensor<3xi64>) -> tensor<?x?x1xi64>
  %ej = onnx.Expand %rj, %all : (tensor<1x?x1xi64>, tensor<3xi64>) -> tensor<?x?x1xi64>
  %places = onnx.Concat %ei, %ej {axis = 2 : i64} : (tensor<?x?x1xi64>, tensor<?x?x1xi64>) -> tensor<?x?x2xi64>
  %r = onnx.ScatterND %x, %places, %y : (tensor<?x?xf32>, tensor<?x?x2xi64>, tensor<?x?xf32>) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}

// -----

// The columns one further on: not every element is written.
// CHECK-LABEL: func @shifted_scatter
func.func @shifted_scatter(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: onnx.ScatterND
  %i = onnx.Constant dense<[[[0], [0], [0]], [[1], [1], [1]]]> : tensor<2x3x1xi64> : tensor<2x3x1xi64>
  %j = onnx.Constant dense<[[[-1], [0], [1]], [[-1], [0], [1]]]> : tensor<2x3x1xi64> : tensor<2x3x1xi64>
  %places = onnx.Concat %i, %j {axis = 2 : i64} : (tensor<2x3x1xi64>, tensor<2x3x1xi64>) -> tensor<2x3x2xi64>
  %r = onnx.ScatterND %x, %places, %y : (tensor<2x3xf32>, tensor<2x3x2xi64>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %r : tensor<2x3xf32>
}

// -----

// The lowest numbers of f16 and bf16 are as low as that of f32.
// CHECK-LABEL: func @narrow_products
func.func @narrow_products(%c: tensor<5x7xi1>, %m: tensor<7xi64>) -> (tensor<5x7xf16>, tensor<7xbf16>) {
  // CHECK-DAG: %[[HALF:.*]] = onnx.Constant dense<-6.550400e+04> : tensor<f16>
  // CHECK-DAG: %[[LOW:.*]] = onnx.Constant dense<-3.389530e+38> : tensor<bf16>
  // CHECK-DAG: onnx.Where %arg0, %[[HALF]], %{{.*}} -> tensor<5x7xf16>
  // CHECK-DAG: %[[SEEN:.*]] = onnx.Cast %arg1 : (tensor<7xi64>) -> tensor<7xi1>
  // CHECK-DAG: onnx.Where %[[SEEN]], %{{.*}}, %[[LOW]] : {{.*}} -> tensor<7xbf16>
  // CHECK-NOT: onnx.Mul
  // CHECK: return
  %half = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %low = onnx.Constant dense<-3.389530e+38> : tensor<bf16> : tensor<bf16>
  %one = onnx.Constant dense<1.0> : tensor<bf16> : tensor<bf16>
  %f = onnx.Cast %c : (tensor<5x7xi1>) -> tensor<5x7xf16>
  %p = onnx.Mul %half, %f : (tensor<f16>, tensor<5x7xf16>) -> tensor<5x7xf16>
  %g = onnx.Cast %m : (tensor<7xi64>) -> tensor<7xbf16>
  %d = onnx.Sub %one, %g : (tensor<bf16>, tensor<7xbf16>) -> tensor<7xbf16>
  %r = onnx.Mul %d, %low : (tensor<7xbf16>, tensor<bf16>) -> tensor<7xbf16>
  return %p, %r : tensor<5x7xf16>, tensor<7xbf16>
}

// -----

// Integers are not taken for 0 and 1 where their product is an ordinary number of f16; nor is -6e4 the lowest one.
// CHECK-LABEL: func @other_half_products
func.func @other_half_products(%c: tensor<5x7xi1>, %m: tensor<7xi64>) -> (tensor<5x7xf16>, tensor<7xf16>) {
  // CHECK-COUNT-2: onnx.Mul
  %above = onnx.Constant dense<-6.0e4> : tensor<f16> : tensor<f16>
  %low = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %one = onnx.Constant dense<1.0> : tensor<f16> : tensor<f16>
  %f = onnx.Cast %c : (tensor<5x7xi1>) -> tensor<5x7xf16>
  %p = onnx.Mul %above, %f : (tensor<f16>, tensor<5x7xf16>) -> tensor<5x7xf16>
  %g = onnx.Cast %m : (tensor<7xi64>) -> tensor<7xf16>
  %d = onnx.Sub %one, %g : (tensor<f16>, tensor<7xf16>) -> tensor<7xf16>
  %r = onnx.Mul %d, %low : (tensor<7xf16>, tensor<f16>) -> tensor<7xf16>
  return %p, %r : tensor<5x7xf16>, tensor<7xf16>
}

// -----

// The lowest bf16 plus 1 is not 0; the lowest f16 plus an integer may be.
// CHECK-LABEL: func @narrow_zero_of_sum
func.func @narrow_zero_of_sum(%c: tensor<5x7xi1>, %m: tensor<7xi64>) -> (tensor<5x7xi1>, tensor<5x7xi1>) {
  // CHECK: %[[SUM:.*]] = onnx.Add {{.*}} -> tensor<5x7xf16>
  // CHECK-DAG: onnx.Equal %[[SUM]], %{{.*}}
  // CHECK-DAG: onnx.And %{{.*}}, %{{.*}} -> tensor<5x7xi1>
  // CHECK-NOT: onnx.Add {{.*}} -> tensor<5x7xbf16>
  // CHECK: return
  %half = onnx.Constant dense<-65504.0> : tensor<f16> : tensor<f16>
  %nothing = onnx.Constant dense<0.0> : tensor<f16> : tensor<f16>
  %low = onnx.Constant dense<-3.389530e+38> : tensor<bf16> : tensor<bf16>
  %zero = onnx.Constant dense<0.0> : tensor<bf16> : tensor<bf16>
  %w = onnx.Where %c, %half, %nothing : (tensor<5x7xi1>, tensor<f16>, tensor<f16>) -> tensor<5x7xf16>
  %x = onnx.Where %c, %low, %zero : (tensor<5x7xi1>, tensor<bf16>, tensor<bf16>) -> tensor<5x7xbf16>
  %f = onnx.Cast %m : (tensor<7xi64>) -> tensor<7xf16>
  %g = onnx.Cast %m : (tensor<7xi64>) -> tensor<7xbf16>
  %a = onnx.Add %w, %f : (tensor<5x7xf16>, tensor<7xf16>) -> tensor<5x7xf16>
  %b = onnx.Add %x, %g : (tensor<5x7xbf16>, tensor<7xbf16>) -> tensor<5x7xbf16>
  %p = onnx.Equal %a, %nothing : (tensor<5x7xf16>, tensor<f16>) -> tensor<5x7xi1>
  %r = onnx.Equal %b, %zero : (tensor<5x7xbf16>, tensor<bf16>) -> tensor<5x7xi1>
  return %p, %r : tensor<5x7xi1>, tensor<5x7xi1>
}

// -----

// A choice of truth values is logic: a triangle with a diagonal that is computed becomes such choices.
// CHECK-LABEL: func @choice_of_bools
func.func @choice_of_bools(%c: tensor<5x1xi1>, %b: tensor<1x7xi1>) -> (tensor<5x1xi1>, tensor<5x1xi1>, tensor<5x7xi1>, tensor<5x7xi1>, tensor<5x7xi1>, tensor<5x7xi1>) {
  // CHECK-DAG: %[[NOT:.*]] = onnx.Not %arg0
  // CHECK-DAG: %[[AND:.*]] = onnx.And %arg0, %arg1
  // CHECK-DAG: %[[ORNOT:.*]] = onnx.Or %{{.*}}, %arg1 : (tensor<5x1xi1>, tensor<1x7xi1>)
  // CHECK-DAG: %[[OR:.*]] = onnx.Or %arg0, %arg1
  // CHECK-DAG: %[[ANDNOT:.*]] = onnx.And %{{.*}}, %arg1
  // CHECK-NOT: onnx.Where
  // CHECK: return %arg0, %{{.*}}, %[[AND]], %[[ORNOT]], %[[OR]], %[[ANDNOT]]
  %yes = onnx.Constant dense<true> : tensor<1x1xi1> : tensor<1x1xi1>
  %no = onnx.Constant dense<false> : tensor<i1> : tensor<i1>
  %0 = onnx.Where %c, %yes, %no : (tensor<5x1xi1>, tensor<1x1xi1>, tensor<i1>) -> tensor<5x1xi1>
  %1 = onnx.Where %c, %no, %yes : (tensor<5x1xi1>, tensor<i1>, tensor<1x1xi1>) -> tensor<5x1xi1>
  %2 = onnx.Where %c, %b, %no : (tensor<5x1xi1>, tensor<1x7xi1>, tensor<i1>) -> tensor<5x7xi1>
  %3 = onnx.Where %c, %b, %yes : (tensor<5x1xi1>, tensor<1x7xi1>, tensor<1x1xi1>) -> tensor<5x7xi1>
  %4 = onnx.Where %c, %yes, %b : (tensor<5x1xi1>, tensor<1x1xi1>, tensor<1x7xi1>) -> tensor<5x7xi1>
  %5 = onnx.Where %c, %no, %b : (tensor<5x1xi1>, tensor<i1>, tensor<1x7xi1>) -> tensor<5x7xi1>
  return %0, %1, %2, %3, %4, %5 : tensor<5x1xi1>, tensor<5x1xi1>, tensor<5x7xi1>, tensor<5x7xi1>, tensor<5x7xi1>, tensor<5x7xi1>
}

// -----

// Nothing is known of two tensors; a constant as wide as the result keeps its dims.
// CHECK-LABEL: func @choice_of_other_bools
func.func @choice_of_other_bools(%c: tensor<5x1xi1>, %b: tensor<1x7xi1>, %d: tensor<1x7xi1>) -> (tensor<5x7xi1>, tensor<5x7xi1>) {
  // CHECK: %[[W:.*]] = onnx.Where %arg0, %arg1, %arg2
  // CHECK: %[[E:.*]] = onnx.Expand %arg0, %{{.*}} -> tensor<5x7xi1>
  // CHECK: return %[[W]], %[[E]]
  %yes = onnx.Constant dense<true> : tensor<5x7xi1> : tensor<5x7xi1>
  %no = onnx.Constant dense<false> : tensor<i1> : tensor<i1>
  %0 = onnx.Where %c, %b, %d : (tensor<5x1xi1>, tensor<1x7xi1>, tensor<1x7xi1>) -> tensor<5x7xi1>
  %1 = onnx.Where %c, %yes, %no : (tensor<5x1xi1>, tensor<5x7xi1>, tensor<i1>) -> tensor<5x7xi1>
  return %0, %1 : tensor<5x7xi1>, tensor<5x7xi1>
}
