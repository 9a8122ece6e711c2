//===- LowerIndices.h - Index arithmetic inside a body -----------------------------*- C++ -*-===//
//
// Short names for the index operations that bodies of computed loads are made of, and loops that
// carry values. Sizes may be constants or values of the host.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_LOWERINDICES_H
#define RAPT_COMPILER_FUSE_LOWERINDICES_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace rapt::fuse {

struct IndexMath {
  mlir::OpBuilder &b;
  mlir::Location loc;

  mlir::Value loop(int64_t number) { return mlir::linalg::IndexOp::create(b, loc, number); }
  mlir::Value number(int64_t value) { return mlir::arith::ConstantIndexOp::create(b, loc, value); }
  mlir::Value size(mlir::OpFoldResult size) {
    std::optional<int64_t> fixed = mlir::getConstantIntValue(size);
    return fixed ? number(*fixed) : mlir::cast<mlir::Value>(size);
  }
  mlir::Value add(mlir::Value x, mlir::Value y) {
    return mlir::isConstantIntValue(x, 0)   ? y
           : mlir::isConstantIntValue(y, 0) ? x
                                            : mlir::arith::AddIOp::create(b, loc, x, y).getResult();
  }
  mlir::Value sub(mlir::Value x, mlir::Value y) {
    return mlir::isConstantIntValue(y, 0) ? x
                                          : mlir::arith::SubIOp::create(b, loc, x, y).getResult();
  }
  mlir::Value mul(mlir::Value x, mlir::Value y) {
    if (mlir::isConstantIntValue(x, 1) || mlir::isConstantIntValue(y, 0))
      return y;
    if (mlir::isConstantIntValue(y, 1) || mlir::isConstantIntValue(x, 0))
      return x;
    return mlir::arith::MulIOp::create(b, loc, x, y);
  }
  mlir::Value min(mlir::Value x, mlir::Value y) {
    return mlir::arith::MinSIOp::create(b, loc, x, y);
  }
  mlir::Value max(mlir::Value x, mlir::Value y) {
    return mlir::arith::MaxSIOp::create(b, loc, x, y);
  }
  mlir::Value less(mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, loc, mlir::arith::CmpIPredicate::slt, x, y);
  }
  mlir::Value equal(mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, loc, mlir::arith::CmpIPredicate::eq, x, y);
  }
  mlir::Value both(mlir::Value x, mlir::Value y) {
    return mlir::arith::AndIOp::create(b, loc, x, y);
  }
  mlir::Value pick(mlir::Value condition, mlir::Value x, mlir::Value y) {
    return mlir::arith::SelectOp::create(b, loc, condition, x, y);
  }
  /// x in 0, ..., extent - 1.
  mlir::Value clamp(mlir::Value x, mlir::Value extent) {
    return min(max(x, number(0)), sub(extent, number(1)));
  }
  /// x / y rounded up, where x >= 0 and y >= 1.
  mlir::Value ceilDiv(mlir::Value x, mlir::Value y) {
    if (mlir::isConstantIntValue(y, 1))
      return x;
    return mlir::arith::DivSIOp::create(b, loc, add(x, sub(y, number(1))), y);
  }
  /// The remainder that is not negative, where y >= 1.
  mlir::Value mod(mlir::Value x, mlir::Value y) {
    mlir::Value rest = mlir::arith::RemSIOp::create(b, loc, x, y);
    return mlir::arith::SelectOp::create(b, loc, less(rest, number(0)), add(rest, y), rest);
  }
};

using Values = llvm::SmallVector<mlir::Value>;
/// What a loop at `indices`, outermost first, makes of the values that it carries.
using LoopBody =
    llvm::function_ref<Values(IndexMath &, mlir::ValueRange indices, mlir::ValueRange carried)>;

/// A nest of scf.for over `sizes`, outermost first, that carries `starts` through `body`, and what
/// it carries at the end. It has one loop at least, so that it is one operation.
Values carry(mlir::OpBuilder &b, mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> sizes,
             mlir::ValueRange starts, LoopBody body);

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_LOWERINDICES_H
