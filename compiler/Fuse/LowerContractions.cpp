//===- LowerContractions.cpp - MatMul => a linalg.generic contraction ------------------===//
//
// Loops: the result's dims (batch..., m, n), then k. Batch dims that are broadcast are read at 0; a
// matrix on the right has no batch, so that x [b, s, k] keeps its own leading dims: (b, s, n, k).
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace rapt::fuse {

LogicalResult Lowering::lowerContraction(onnx::MatMulOp op) {
  Value a = op.getA(), b = op.getB();
  int64_t rankA = tensorType(a).getRank(), rankB = tensorType(b).getRank();
  Sizes result = sizes(op.getOutput());
  int64_t k = result.size(), batch = std::max<int64_t>({rankA, rankB, 2}) - 2;
  int64_t m = batch, n = rankA > 1 ? batch + 1 : batch;
  AffineExpr zero = builder.getAffineConstantExpr(0);
  auto batchIndices = [&](Value value) {
    SmallVector<AffineExpr> indices;
    int64_t own = std::max<int64_t>(tensorType(value).getRank() - 2, 0);
    for (int64_t i = 0; i < own; ++i)
      indices.push_back(shape(value)[i].is(1) ? zero : builder.getAffineDimExpr(batch - own + i));
    return indices;
  };
  SmallVector<AffineExpr> indicesA = batchIndices(a), indicesB = batchIndices(b);
  if (rankA > 1)
    indicesA.push_back(builder.getAffineDimExpr(m));
  indicesA.push_back(builder.getAffineDimExpr(k));
  indicesB.push_back(builder.getAffineDimExpr(k));
  if (rankB > 1)
    indicesB.push_back(builder.getAffineDimExpr(n));
  View left =
      plain(a, {rankA - 1}).through(AffineMap::get(k + 1, 0, indicesA, builder.getContext()));
  View right = plain(b, {std::max<int64_t>(rankB - 2, 0)})
                   .through(AffineMap::get(k + 1, 0, indicesB, builder.getContext()));

  Type element = tensorType(op.getOutput()).getElementType(), type = accumulatorType(element);
  Value sum = reduce(
      result, 1, builder.getZeroAttr(type), {left, right},
      [&](OpBuilder &body, Location at, ValueRange args) -> Value {
        Value x = convert(body, at, args[0], type), y = convert(body, at, args[1], type);
        if (isa<FloatType>(type))
          return arith::AddFOp::create(body, at, args[2], arith::MulFOp::create(body, at, x, y));
        return arith::AddIOp::create(body, at, args[2], arith::MulIOp::create(body, at, x, y));
      });
  if (type != element)
    sum = map(result, element, {View::of(sum)}, [&](OpBuilder &body, Location at, ValueRange args) {
      return convert(body, at, args[0], element);
    });
  bind(op.getOutput(), sum);
  return success();
}

} // namespace rapt::fuse
