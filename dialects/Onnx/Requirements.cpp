//===- Requirements.cpp - What a graph takes for granted, in the IR --------------------------===//

#include "dialects/Onnx/Requirements.h"

#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace rapt::onnx {

void emitRequirements(func::FuncOp function, ArrayRef<Requirement> requirements) {
  OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
  Location loc = function.getLoc();
  for (const Requirement &requirement : requirements) {
    Value lhs = ShapeInference::materialize(builder, loc, requirement.lhs);
    Value rhs = ShapeInference::materialize(builder, loc, requirement.rhs);
    kernel::RequireOp::create(builder, loc, lhs, rhs, requirement.equal, requirement.message);
  }
}

bool addRequirements(std::vector<Requirement> &known, ArrayRef<Requirement> more) {
  size_t before = known.size();
  for (const Requirement &wanted : more) {
    bool isKnown = llvm::any_of(known, [&](const Requirement &other) {
      return other.lhs == wanted.lhs && other.rhs == wanted.rhs && other.equal == wanted.equal;
    });
    if (!isKnown)
      known.push_back(wanted);
  }
  return known.size() > before;
}

} // namespace rapt::onnx
