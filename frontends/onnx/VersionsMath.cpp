//===- VersionsMath.cpp - Products -----------------------------------------------------------===//
//
// Rows of the table for MatMul and Gemm.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
void upgradeMatMul(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1);
  if (!b.stopped())
    b.out(0, b.make<MatMulOp>(x, y));
}

void upgradeGemm(NodeBuilder &b) {
  Value x = b.in(0), y = b.in(1), c = b.optional(2);
  if (b.opset() < 11)
    c = b.in(2);
  float alpha = b.floatAttr("alpha", 1), beta = b.floatAttr("beta", 1);
  bool transA = b.flagAttr("transA", false), transB = b.flagAttr("transB", false);
  if (!b.stopped())
    b.out(0, b.make<GemmOp>(x, y, c, llvm::APFloat(alpha), llvm::APFloat(beta), transA, transB));
}
} // namespace

void addMath(std::vector<Operator> &table) {
  table.insert(table.end(), {
                                {"Gemm", 7, "float, int", "becomes MatMul", upgradeGemm},
                                {"MatMul", 7, "float, int", "", upgradeMatMul},
                            });
}

} // namespace rapt::onnx
