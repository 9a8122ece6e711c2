//===- ElementMath.h - Arithmetic on one element, by its onnx type -----------------*- C++ -*-===//
//
// What bodies of linalg.generic are made of. Tensors hold signless integers, because that is what
// the arith dialect computes on; whether an element is unsigned is known from its onnx type only,
// so it is passed along where it matters. Functions that take a float narrower than f32 widen it
// first: f16 and bf16 are for storage.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_ELEMENTMATH_H
#define RAPT_COMPILER_FUSE_ELEMENTMATH_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace rapt::fuse {

/// The element type that a tensor has in memory for the onnx element type `type`: ui8 is i8.
mlir::Type storageType(mlir::Type type);
/// The same number or numbers with the storage type.
mlir::TypedAttr storageAttr(mlir::TypedAttr attr);
mlir::ElementsAttr storageAttr(mlir::ElementsAttr attr);

mlir::Value constantOf(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type, double number);
/// f32 for narrower floats, the storage type otherwise.
mlir::Type accumulatorType(mlir::Type element);

/// `value`, an element of onnx type `from`, as an element of onnx type `to`. Float to integer
/// truncates and saturates, NaN gives 0; between integers high bits are dropped; to i1 compares
/// with zero; narrower floats round to nearest even, once.
mlir::Value convert(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, mlir::Type from,
                    mlir::Type to);
/// The same where the type of `value` says all: integers are signed.
mlir::Value convert(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, mlir::Type to);

/// x > y, where a NaN is above every number.
mlir::Value isAbove(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y,
                    bool isUnsigned);

/// x / y; integers truncate. ONNX leaves an integer division by zero undefined and the processor
/// traps on it: here it gives 0, and the least integer by -1 wraps around.
mlir::Value divide(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y,
                   bool isUnsigned = false);
/// The remainder with the sign of x; for integers 0 where y is 0 or -1.
mlir::Value remainder(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y,
                      bool isUnsigned = false);
/// x with its order turned into that of signed integers: unsigned maxima are signed ones of it.
mlir::Value flipSign(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// x to the y: integers by repeated squaring modulo 2^width, with the exact result rounded towards
/// zero where y is negative (and 0 for 0 to a negative power).
mlir::Value power(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y,
                  bool isUnsignedExponent);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_ELEMENTMATH_H
