//===- FuseProjections.cpp - MatMuls of one value with weights => one MatMul -----------===//
//
//   x W1 + b1, x W2 + b2, x W3 + b3  =>  y = x [W1 W2 W3] + [b1 b2 b3]; slices of y
//
// For any two or more weights of the same height, layout and element type. Columns may differ.
// MatMuls with a bias and without one are two groups: a bias of zeros would be work.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Match.h"
#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;
using fuse::tensorType;

namespace {

struct Projection {
  onnx::MatMulOp matmul;
  kernel::WeightOp weight;
  onnx::AddOp add;       // null without bias
  kernel::WeightOp bias; // null without bias
  Value result() { return add ? add.getOutput() : matmul.getOutput(); }
};

std::optional<Projection> matchProjection(onnx::MatMulOp matmul) {
  Projection found{matmul, matmul.getB().getDefiningOp<kernel::WeightOp>(), nullptr, nullptr};
  if (!found.weight || tensorType(found.weight.getResult()).getRank() != 2 ||
      found.weight.getSources().size() != 1 || tensorType(matmul.getA()).getRank() < 2)
    return std::nullopt;
  Value result = matmul.getOutput();
  auto add = result.hasOneUse() ? dyn_cast<onnx::AddOp>(*result.user_begin()) : nullptr;
  if (!add)
    return found;
  auto bias = (add.getA() == result ? add.getB() : add.getA()).getDefiningOp<kernel::WeightOp>();
  int64_t columns = tensorType(found.weight.getResult()).getDimSize(1);
  if (bias && tensorType(bias.getResult()).getRank() == 1 && bias.getSources().size() == 1 &&
      tensorType(bias.getResult()).getDimSize(0) == columns) {
    found.add = add;
    found.bias = bias;
  }
  return found;
}

bool compatible(Projection &a, Projection &b) {
  auto type = [](Projection &p) { return tensorType(p.weight.getResult()); };
  return a.weight.getPermAttr() == b.weight.getPermAttr() && !a.add == !b.add &&
         type(a).getDimSize(0) == type(b).getDimSize(0) &&
         type(a).getElementType() == type(b).getElementType();
}

Value concatenate(OpBuilder &builder, Location loc, ArrayRef<kernel::WeightOp> weights,
                  int64_t dim) {
  SmallVector<Attribute> sources;
  kernel::WeightOp first = weights.front();
  SmallVector<int64_t> shape(tensorType(first.getResult()).getShape());
  shape[dim] = 0;
  for (kernel::WeightOp weight : weights) {
    sources.push_back(weight.getSources()[0]);
    shape[dim] += tensorType(weight.getResult()).getDimSize(dim);
  }
  auto type = tensorType(first.getResult()).clone(shape);
  return kernel::WeightOp::create(builder, loc, type, builder.getArrayAttr(sources),
                                  first.getPermAttr(), builder.getI64IntegerAttr(dim))
      .getResult();
}

Value boundConstant(OpBuilder &builder, Location loc, int64_t number) {
  auto type = RankedTensorType::get({1}, builder.getI64Type());
  return onnx::ConstantOp::create(builder, loc, type,
                                  DenseElementsAttr::get(type, ArrayRef<int64_t>{number}))
      .getOutput();
}

void merge(MutableArrayRef<Projection> group) {
  OpBuilder builder(group.front().matmul);
  SmallVector<Location> locs;
  SmallVector<kernel::WeightOp> weights, biases;
  for (Projection &projection : group) {
    locs.push_back(projection.matmul.getLoc());
    weights.push_back(projection.weight);
    if (projection.bias)
      biases.push_back(projection.bias);
  }
  Location loc = builder.getFusedLoc(locs);
  Value x = group.front().matmul.getA();
  Value weight = concatenate(builder, loc, weights, 1);
  SmallVector<int64_t> shape(tensorType(x).getShape());
  shape.back() = tensorType(weight).getDimSize(1);
  auto type = tensorType(x).clone(shape);
  Value all = onnx::MatMulOp::create(builder, loc, type, x, weight).getOutput();
  if (!biases.empty())
    all = onnx::AddOp::create(builder, loc, type, all, concatenate(builder, loc, biases, 0))
              .getOutput();
  int64_t start = 0, axis = shape.size() - 1;
  for (Projection &projection : group) {
    int64_t end = start + tensorType(projection.weight.getResult()).getDimSize(1);
    Location own = projection.matmul.getLoc();
    auto slice = onnx::SliceOp::create(
        builder, own, projection.result().getType(), all, boundConstant(builder, own, start),
        boundConstant(builder, own, end), builder.getDenseI64ArrayAttr({axis}),
        builder.getDenseI64ArrayAttr({1}));
    projection.result().replaceAllUsesWith(slice.getOutput());
    start = end;
  }
}

/// Fuses what can be fused among the projections of one value.
void fuseProjectionsOf(Value x) {
  SmallVector<SmallVector<Projection>> groups;
  SmallVector<onnx::MatMulOp> matmuls;
  for (Operation *user : x.getUsers())
    if (auto matmul = dyn_cast<onnx::MatMulOp>(user); matmul && matmul.getA() == x)
      matmuls.push_back(matmul);
  llvm::sort(matmuls, [](onnx::MatMulOp a, onnx::MatMulOp b) { return a->isBeforeInBlock(b); });
  for (onnx::MatMulOp matmul : matmuls) {
    std::optional<Projection> projection = matchProjection(matmul);
    if (!projection)
      continue;
    auto *group =
        llvm::find_if(groups, [&](auto &group) { return compatible(group.front(), *projection); });
    if (group == groups.end())
      groups.push_back({*projection});
    else
      group->push_back(*projection);
  }
  for (auto &group : groups)
    if (group.size() > 1)
      merge(group);
}

struct FuseProjections : PassWrapper<FuseProjections, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseProjections)
  StringRef getArgument() const final { return "fuse-projections"; }
  StringRef getDescription() const final {
    return "x W1 + b1, x W2 + b2 => slices of x [W1 W2] + [b1 b2]";
  }
  void runOnOperation() final {
    if (getOperation().isExternal())
      return;
    Block &body = getOperation().getBody().front();
    llvm::SetVector<Value> operands;
    for (auto matmul : body.getOps<onnx::MatMulOp>())
      operands.insert(matmul.getA());
    for (Value x : operands)
      fuseProjectionsOf(x);
    eraseDead(body);
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createFuseProjectionsPass() {
  return std::make_unique<FuseProjections>();
}
