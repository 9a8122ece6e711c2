//===- FormRegions.cpp - linalg and attn operations => kernel.region -------------------===//
//
// In:  what fuse-lower leaves.
// Out: kernel.region for all that computes, named by what it is: "linear", "attention", "norm",
//      "rows", "reduce", "matmul", "pointwise". Around them stay kernel.weight, kernel.dim, index
//      arithmetic, checks, and expand_shape / collapse_shape as aliases of tensors in memory.
//
// Views and data movement that feed attention or index arithmetic are first made private to each
// reader, so that they vanish into it instead of being stored. RegionGroups decides the rest.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Match.h"
#include "compiler/Fuse/RegionGroups.h"
#include "compiler/Fuse/SortByUse.h"
#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/ShapeInference.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace rapt;
using fuse::Group;
using fuse::tensorType;

namespace {

// --- Private copies ------------------------------------------------------------------------------

/// `value` through views and movement that nobody else uses: shared ones are cloned. All of them
/// stand before `reader` then, in the order of its operands, so that equal readers are equal
/// kernels.
Value privatize(Value value, Operation *reader) {
  Operation *op = value.getDefiningOp();
  if (!op || !(fuse::isMovement(op) || kernel::isView(op)))
    return value;
  if (fuse::usersOf(op).size() > 1) {
    OpBuilder builder(reader);
    op = builder.clone(*op);
  } else {
    op->moveBefore(reader);
  }
  for (Value source : fuse::tensorsRead(op)) {
    Value own = privatize(source, op);
    if (own != source)
      op->walk([&](Operation *inner) { inner->replaceUsesOfWith(source, own); });
  }
  return op->getResult(0);
}

/// Makes index arithmetic (movement that reads nothing) and what feeds attention private.
void privatizeMovement(Block &body) {
  SmallVector<Operation *> nodes;
  for (Operation &op : body)
    nodes.push_back(&op);
  for (Operation *op : nodes) {
    if (isa<attn::SdpaOp>(op)) {
      for (OpOperand &operand : op->getOpOperands())
        operand.set(privatize(operand.get(), op));
      continue;
    }
    if (!fuse::isMovement(op) || !fuse::tensorsRead(op).empty())
      continue;
    auto users = fuse::usersOf(op);
    for (Operation *user : llvm::drop_begin(users)) {
      OpBuilder builder(user);
      Value copy = builder.clone(*op)->getResult(0);
      user->walk([&](Operation *inner) { inner->replaceUsesOfWith(op->getResult(0), copy); });
    }
  }
}

// --- Regions -------------------------------------------------------------------------------------

class RegionFormer {
public:
  explicit RegionFormer(func::FuncOp func)
      : func(func), body(func.getBody().front()), builder(func.getContext()), groups(func) {}

  /// Whether the function is what fuse-lower leaves; reports what is not.
  LogicalResult check() {
    for (BlockArgument argument : func.getArguments())
      if (failed(checkDims(argument)))
        return failure();
    for (Operation &op : body) {
      bool tensors = llvm::any_of(op.getResultTypes(), llvm::IsaPred<TensorType>);
      if (tensors && !fuse::isLoop(&op) &&
          !isa<linalg::GenericOp, linalg::FillOp, attn::SdpaOp, tensor::EmptyOp,
               tensor::ExpandShapeOp, tensor::CollapseShapeOp, kernel::WeightOp>(op))
        return op.emitError()
               << "form-regions expects a function that fuse-lower has lowered, but '"
               << op.getName() << "' of " << onnx::nodeText(&op) << " gives a tensor";
      if (isa<linalg::GenericOp>(op) && op.getNumResults() != 1)
        return op.emitError() << "form-regions expects one result of '" << op.getName()
                              << "', but it has " << op.getNumResults();
    }
    return success();
  }

  void run() {
    copyReturnedInputs();
    privatizeMovement(body);
    eraseDead(body);
    groups.run();
    SmallVector<std::pair<Value, Value>> results; // of members, of regions
    for (const std::unique_ptr<Group> &group : groups.all())
      build(*group, results);
    for (auto [member, result] : results)
      member.replaceAllUsesWith(result);
    for (const std::unique_ptr<Group> &group : groups.all())
      for (Operation *member : llvm::reverse(group->members))
        dead.insert(member);
    for (Operation *op : dead)
      op->dropAllReferences();
    for (Operation *op : dead)
      op->erase();
    fuse::sortByUse(body);
    eraseDead(body);
  }

private:
  /// Each dynamic dim of an argument must have a name.
  LogicalResult checkDims(BlockArgument argument) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || type.hasStaticShape())
      return success();
    unsigned number = argument.getArgNumber();
    auto dims = func.getArgAttrOfType<ArrayAttr>(number, onnx::kDimsAttr);
    bool named = dims && static_cast<int64_t>(dims.size()) == type.getRank();
    for (int64_t i = 0; named && i < type.getRank(); ++i)
      named = !type.isDynamicDim(i) || isa<StringAttr>(dims[i]);
    if (named)
      return success();
    return func.emitError() << "form-regions expects attribute '" << onnx::kDimsAttr
                            << "' of argument " << number << " to name each dynamic dim of "
                            << type;
  }

  /// An argument or weight that is returned as it came is copied; so is a value returned twice.
  void copyReturnedInputs() {
    Operation *terminator = body.getTerminator();
    builder.setInsertionPoint(terminator);
    llvm::DenseSet<Value> returned;
    for (OpOperand &operand : terminator->getOpOperands()) {
      Value source = operand.get();
      while (kernel::isView(source.getDefiningOp()))
        source = source.getDefiningOp()->getOperand(0);
      Operation *op = source.getDefiningOp();
      if ((isa_and_nonnull<linalg::GenericOp, attn::SdpaOp>(op) || fuse::isLoop(op)) &&
          returned.insert(source).second)
        continue;
      auto type = tensorType(operand.get());
      Value empty =
          tensor::EmptyOp::create(builder, terminator->getLoc(), type, dynamicSizes(operand.get()));
      AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
      SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
      auto copy = linalg::GenericOp::create(builder, terminator->getLoc(), type, operand.get(),
                                            empty, {identity, identity}, loops,
                                            [](OpBuilder &b, Location loc, ValueRange args) {
                                              linalg::YieldOp::create(b, loc, args[0]);
                                            });
      operand.set(copy.getResult(0));
    }
  }

  Value dimOf(StringRef symbol) {
    for (auto dim : body.getOps<kernel::DimOp>())
      if (dim.getSymbol() == symbol)
        return dim.getValue();
    OpBuilder start(&body, body.begin());
    return kernel::DimOp::create(start, func.getLoc(), symbol, kernel::mayBeEmpty(func, symbol));
  }

  /// The values of the `?`s of a tensor's type, in order.
  SmallVector<Value> dynamicSizes(Value value) {
    if (auto it = sizes.find(value); it != sizes.end())
      return it->second;
    return sizes[value] = computeSizes(value);
  }

  SmallVector<Value> computeSizes(Value value) {
    auto type = tensorType(value);
    if (type.hasStaticShape())
      return {};
    if (auto arg = dyn_cast<BlockArgument>(value)) {
      SmallVector<Value> result;
      auto dims = func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), onnx::kDimsAttr);
      for (auto [index, size] : llvm::enumerate(type.getShape()))
        if (ShapedType::isDynamic(size))
          result.push_back(dimOf(cast<StringAttr>(dims[index]).getValue()));
      return result;
    }
    Operation *op = value.getDefiningOp();
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return dynamicSizes(generic.getOutputs()[0]);
    if (auto fill = dyn_cast<linalg::FillOp>(op))
      return dynamicSizes(fill.getOutputs()[0]);
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return dynamicSizes(loop.getInitArgs()[cast<OpResult>(value).getResultNumber()]);
    if (auto loop = dyn_cast<scf::WhileOp>(op))
      return dynamicSizes(loop.getInits()[cast<OpResult>(value).getResultNumber()]);
    if (auto empty = dyn_cast<tensor::EmptyOp>(op))
      return llvm::to_vector(empty.getDynamicSizes());
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
      return llvm::to_vector(expand.getOutputShape());
    if (auto sdpa = dyn_cast<attn::SdpaOp>(op)) {
      SmallVector<Value> query = allSizes(sdpa.getQuery()), values = allSizes(sdpa.getValue()),
                         result;
      for (int64_t i = 0; i < 4; ++i)
        if (type.isDynamicDim(i))
          result.push_back(i < 3 ? query[i] : values[3]);
      return result;
    }
    auto collapse = cast<tensor::CollapseShapeOp>(op);
    SmallVector<Value> source = allSizes(collapse.getSrc()), result;
    for (auto [index, group] : llvm::enumerate(collapse.getReassociationIndices())) {
      if (!type.isDynamicDim(index))
        continue;
      Value product;
      for (int64_t dim : group)
        product =
            product ? arith::MulIOp::create(builder, op->getLoc(), product, source[dim]).getResult()
                    : source[dim];
      result.push_back(product);
    }
    return result;
  }

  /// Every dim of a tensor as an index; constants for static ones.
  SmallVector<Value> allSizes(Value value) {
    SmallVector<Value> dynamic = dynamicSizes(value), result;
    auto *next = dynamic.begin();
    for (int64_t size : tensorType(value).getShape())
      result.push_back(
          ShapedType::isDynamic(size)
              ? *next++
              : arith::ConstantIndexOp::create(builder, func.getLoc(), size).getResult());
    return result;
  }

  /// What a member needs inside the region although it is no member: starts of reductions,
  /// literals.
  static bool isSupport(Operation *op) {
    return isa_and_nonnull<tensor::EmptyOp, linalg::FillOp, arith::ConstantOp>(op);
  }

  void collect(Operation *op, const Group &group, llvm::SetVector<Operation *> &members,
               llvm::SetVector<Value> &dims, llvm::SetVector<Value> &inputs) {
    if (members.contains(op))
      return;
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *producer = operand.getDefiningOp();
        bool inBody = operand.getParentBlock() != &body;
        if (inBody || (producer && groups.of(producer) == &group))
          continue;
        if (isSupport(producer))
          collect(producer, group, members, dims, inputs);
        else if (isa<RankedTensorType>(operand.getType()))
          inputs.insert(operand);
        else
          dims.insert(operand);
      }
    });
    members.insert(op);
  }

  ArrayAttr shapesOf(ArrayRef<Value> values, llvm::SetVector<Value> &dims) {
    SmallVector<Attribute> shapes;
    for (Value value : values) {
      SmallVector<int64_t> numbers;
      for (Value size : dynamicSizes(value)) {
        dims.insert(size);
        numbers.push_back(std::distance(dims.begin(), llvm::find(dims, size)));
      }
      shapes.push_back(builder.getDenseI64ArrayAttr(numbers));
    }
    return builder.getArrayAttr(shapes);
  }

  void build(const Group &group, SmallVectorImpl<std::pair<Value, Value>> &results) {
    builder.setInsertionPointAfter(group.members.back());
    llvm::SetVector<Operation *> members;
    llvm::SetVector<Value> dims, inputs;
    SmallVector<Value> outputs;
    for (Operation *op : group.members) {
      collect(op, group, members, dims, inputs);
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) {
              return groups.of(body.findAncestorOpInBlock(*user)) != &group;
            }))
          outputs.push_back(result);
    }
    ArrayAttr inputShapes = shapesOf(inputs.getArrayRef(), dims),
              resultShapes = shapesOf(outputs, dims);
    SmallVector<Type> types = llvm::to_vector(TypeRange(ValueRange(outputs)));
    Location loc = group.anchor->getLoc();
    auto region = kernel::RegionOp::create(builder, loc, types,
                                           builder.getStringAttr(fuse::regionName(group.kind)),
                                           dims.getArrayRef(), inputs.getArrayRef(), inputShapes,
                                           resultShapes, kernel::ScheduleAttr());
    Block &block = region.getBody().emplaceBlock();
    IRMapping mapping;
    for (Value dim : dims)
      mapping.map(dim, block.addArgument(builder.getIndexType(), loc));
    for (Value input : inputs)
      mapping.map(input, block.addArgument(input.getType(), loc));
    OpBuilder inside = OpBuilder::atBlockEnd(&block);
    for (Operation *op : members)
      inside.clone(*op, mapping);
    SmallVector<Value> yielded;
    for (Value output : outputs)
      yielded.push_back(mapping.lookup(output));
    kernel::YieldOp::create(inside, loc, yielded);
    for (auto [output, result] : llvm::zip_equal(outputs, region.getOutputs()))
      results.push_back({output, result});
  }

  func::FuncOp func;
  Block &body;
  OpBuilder builder;
  fuse::RegionGroups groups;
  llvm::DenseMap<Value, SmallVector<Value>> sizes;
  llvm::SetVector<Operation *> dead;
};

struct FormRegions : PassWrapper<FormRegions, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FormRegions)
  StringRef getArgument() const final { return "form-regions"; }
  StringRef getDescription() const final { return "linalg and attn operations => kernel.region"; }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, kernel::KernelDialect, linalg::LinalgDialect,
                    tensor::TensorDialect>();
  }
  void runOnOperation() final {
    if (getOperation().isExternal())
      return;
    RegionFormer former(getOperation());
    if (failed(former.check()))
      return signalPassFailure();
    former.run();
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createFormRegionsPass() { return std::make_unique<FormRegions>(); }
