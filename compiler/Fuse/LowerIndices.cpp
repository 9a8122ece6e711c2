//===- LowerIndices.cpp - Loops that carry values --------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace rapt::fuse {

static Values carryInside(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes,
                          ValueRange starts, Values &indices, LoopBody body) {
  IndexMath math{b, loc};
  if (sizes.empty())
    return body(math, indices, starts);
  auto loop = scf::ForOp::create(
      b, loc, math.number(0), math.size(sizes.front()), math.number(1), starts,
      [&](OpBuilder &inner, Location at, Value index, ValueRange carried) {
        indices.push_back(index);
        scf::YieldOp::create(inner, at,
                             carryInside(inner, at, sizes.drop_front(), carried, indices, body));
        indices.pop_back();
      });
  return llvm::to_vector_of<Value>(loop.getResults());
}

Values carry(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, ValueRange starts,
             LoopBody body) {
  OpFoldResult one = b.getIndexAttr(1);
  Values indices;
  return carryInside(b, loc, sizes.empty() ? ArrayRef(one) : sizes, starts, indices, body);
}

} // namespace rapt::fuse
