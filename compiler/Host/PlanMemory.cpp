//===- PlanMemory.cpp - One arena for all intermediate tensors --------------------------===//
//
// In:  what host-bufferize leaves.
// Out: memref.alloc => memref.view of a new argument, the arena (memref<?xi8>), at offsets that are
//      index arithmetic on the dims; the function's last result is the arena's size in bytes.
//      Module attribute kernel.memory: what --report prints.
//
// Buffers whose sizes data decides are as large as the bounds of those sizes (Bounds.h).
//
// What may be empty has room for one element in each empty dim, as kernels read there (a Concat its
// part that has no elements) and drop what they have read: buffers are that large, and for an input
// or output that is empty kernels get memory of the arena.
//
// A buffer lives from its first use to the last use of any of its views: the function is
// straight-line code. MemoryPlan.h decides who shares.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/Bounds.h"
#include "compiler/Host/Host.h"
#include "compiler/Host/IndexExpr.h"
#include "compiler/Host/MemoryPlan.h"
#include "compiler/Host/WeightTable.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Names.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

namespace {

class Planner {
public:
  explicit Planner(func::FuncOp function)
      : function(function), block(function.getBody().front()),
        builder(function.getLoc(), function) {}

  LogicalResult run() {
    if (failed(giveRoom()) || failed(number()))
      return failure();
    Block::iterator first = block.begin();
    while (isIndexArithmetic(&*first))
      ++first;
    builder.setInsertionPoint(&block, first);
    if (failed(addArena()))
      return failure();
    offsets.resize(allocs.size());
    bool isStatic =
        llvm::all_of(products, [](const Product &product) { return product.atoms.empty(); });
    Value bytes = isStatic ? placeStatic() : placeSlots();
    for (auto [alloc, offset] : llvm::zip(allocs, offsets)) {
      builder.setInsertionPoint(alloc);
      Value view =
          memref::ViewOp::create(builder, alloc.getType(), arena, offset, alloc.getDynamicSizes());
      alloc.replaceAllUsesWith(view);
      alloc.erase();
    }
    finish(bytes);
    return success();
  }

private:
  LogicalResult addArena() {
    unsigned index = function.getNumArguments();
    auto attrs = builder.getDictionaryAttr(builder.getNamedAttr(kArenaAttr, builder.getUnitAttr()));
    auto type = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
    if (failed(function.insertArgument(index, type, attrs, function.getLoc())))
      return function.emitOpError() << "takes no more arguments";
    arena = function.getArgument(index);
    return success();
  }

  /// Puts a buffer of their own in the place of inputs and outputs whose dims are 0.
  LogicalResult giveRoom() {
    if (llvm::none_of(block.getOps<kernel::DimOp>(),
                      [](kernel::DimOp dim) { return dim.getMaybeEmpty(); }))
      return success();
    Block::iterator first = block.begin();
    while (isIndexArithmetic(&*first))
      ++first;
    builder.setInsertionPoint(&block, first);
    ValueRange outputSizes = block.getTerminator()->getOperands();
    for (BlockArgument argument : block.getArguments()) {
      auto type = cast<MemRefType>(argument.getType());
      SmallVector<Value> sizes;
      if (function.getArgAttr(argument.getArgNumber(), kWeightsArgAttr)) {
        continue;
      } else if (function.getArgAttr(argument.getArgNumber(), kOutputAttr)) {
        sizes = llvm::to_vector(outputSizes.take_front(type.getNumDynamicDims()));
        outputSizes = outputSizes.drop_front(type.getNumDynamicDims());
      } else {
        auto names = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), onnx::kDimsAttr);
        for (auto [size, name] : llvm::zip(type.getShape(), names))
          if (ShapedType::isDynamic(size))
            sizes.push_back(dimOf(cast<StringAttr>(name)));
      }
      // The caller has memory for the bounds of measured sizes.
      for (Value &size : sizes)
        if (size = bounds.upper(size); !size)
          return noBound();
      Value isEmpty;
      for (Value size : sizes)
        if (mayBeEmpty(size)) {
          Value none = arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, size, number(0));
          isEmpty = isEmpty ? arith::OrIOp::create(builder, isEmpty, none).getResult() : none;
        }
      if (!isEmpty)
        continue;
      Value room = memref::AllocOp::create(builder, type, sizes);
      Value chosen = arith::SelectOp::create(builder, isEmpty, room, argument);
      argument.replaceUsesWithIf(chosen, [&](OpOperand &use) {
        return use.getOwner() != chosen.getDefiningOp() && !isa<memref::CopyOp>(use.getOwner());
      });
    }
    return success();
  }

  LogicalResult noBound() {
    return function.emitOpError() << "has a size that depends on data and has no bound";
  }

  Value dimOf(StringAttr symbol) {
    for (auto dim : block.getOps<kernel::DimOp>())
      if (dim.getSymbolAttr() == symbol)
        return dim;
    return kernel::DimOp::create(builder, symbol, kernel::mayBeEmpty(function, symbol));
  }

  /// Steps of the function, sizes and lifetimes of its buffers.
  LogicalResult number() {
    int64_t step = 0;
    for (Operation &op : block)
      steps[&op] = step++;
    for (auto alloc : block.getOps<memref::AllocOp>()) {
      Product bytes;
      bytes.multiply(elementBytes(alloc.getType().getElementType()));
      unsigned next = 0;
      for (int64_t size : alloc.getType().getShape()) {
        Value most =
            ShapedType::isDynamic(size) ? bounds.upper(alloc.getDynamicSizes()[next++]) : Value();
        if (most)
          multiplyByRoom(bytes, most);
        else if (ShapedType::isDynamic(size))
          return noBound();
        else
          bytes.multiply(size);
      }
      Lifetime lifetime{step, 0};
      extend(lifetime, alloc);
      allocs.push_back(alloc);
      products.push_back(bytes);
      lifetimes.push_back(lifetime);
    }
    return success();
  }

  /// Takes factors of 0 in `size` for 1.
  void multiplyByRoom(Product &bytes, Value size) {
    Product factors;
    factors.multiply(size);
    bytes.multiply(factors.factor);
    for (Value factor : factors.atoms)
      bytes.multiply(roomFor(factor));
  }

  /// A dim, or 1 when it is 0.
  Value roomFor(Value size) {
    if (!mayBeEmpty(size))
      return size;
    Value &room = rooms[size];
    if (!room) {
      builder.setInsertionPointAfterValue(size);
      Value one = number(1);
      room = arith::MaxSIOp::create(builder, size, one);
    }
    return room;
  }

  void extend(Lifetime &lifetime, Value buffer) {
    for (Operation *user : buffer.getUsers()) {
      if (isa<ViewLikeOpInterface>(user)) {
        extend(lifetime, user->getResult(0));
        continue;
      }
      lifetime.first = std::min(lifetime.first, steps[user]);
      lifetime.last = std::max(lifetime.last, steps[user]);
    }
  }

  Value number(int64_t value) { return arith::ConstantIndexOp::create(builder, value); }

  Value placeStatic() {
    std::vector<int64_t> bytes;
    for (const Product &product : products)
      bytes.push_back(product.factor);
    StaticPlan plan = planStatic(lifetimes, bytes);
    for (auto [offset, place] : llvm::zip(offsets, plan.offsets))
      offset = number(place);
    numSlots = allocs.size();
    tally({}, {}, plan.bytes);
    return number(plan.bytes);
  }

  Value placeSlots() {
    std::vector<SymbolicSize> sizes;
    for (const Product &product : products) {
      SymbolicSize size{product.factor, {}};
      for (Value atom : product.atoms)
        size.atoms.push_back(atomNumber(atom));
      llvm::sort(size.atoms);
      sizes.push_back(std::move(size));
    }
    std::vector<bool> positive;
    for (Value atom : atoms)
      positive.push_back(isa_and_nonnull<kernel::DimOp>(atom.getDefiningOp()) || isRoom(atom));
    SlotPlan plan = planSlots(lifetimes, sizes, positive);
    numSlots = plan.slots.size();
    Value offset = number(0);
    std::vector<Value> slotOffsets;
    for (const std::vector<SymbolicSize> &slot : plan.slots) {
      slotOffsets.push_back(offset);
      offset = arith::AddIOp::create(builder, offset, slotBytes(slot));
    }
    for (auto [place, slot] : llvm::zip(offsets, plan.slotOf))
      place = slotOffsets[slot];
    return offset;
  }

  bool isRoom(Value atom) const {
    return llvm::any_of(rooms, [&](const auto &room) { return room.second == atom; });
  }

  int atomNumber(Value atom) {
    auto found = llvm::find(atoms, atom);
    if (found == atoms.end())
      found = atoms.insert(atoms.end(), atom);
    return int(found - atoms.begin());
  }

  /// The largest of the slot's terms, rounded up to whole cache lines.
  Value slotBytes(const std::vector<SymbolicSize> &slot) {
    Value bytes;
    std::string largest;
    bool rounded = true;
    for (const SymbolicSize &term : slot) {
      Product product{term.factor, {}};
      Value value = number(term.factor);
      for (int atom : term.atoms) {
        product.atoms.push_back(atoms[atom]);
        value = arith::MulIOp::create(builder, value, atoms[atom]);
      }
      rounded &= term.factor % kArenaAlignment == 0;
      largest += (bytes ? ", " : "") + textOf(product);
      bytes = bytes ? arith::MaxSIOp::create(builder, bytes, value).getResult() : value;
    }
    if (slot.size() > 1)
      tally("max(" + largest + ")", {}, 1);
    else
      tally({}, slot.front().atoms, slot.front().factor);
    if (rounded)
      return bytes;
    Value up = arith::AddIOp::create(builder, bytes, number(kArenaAlignment - 1));
    return arith::AndIOp::create(builder, up, number(-kArenaAlignment));
  }

  /// Adds one slot to the report's expression; slots of the same dims become one term.
  void tally(std::string maximum, const std::vector<int> &dims, int64_t factor) {
    for (Share &share : shares)
      if (share.maximum == maximum && share.dims == dims) {
        share.factor += factor;
        return;
      }
    shares.push_back({std::move(maximum), dims, factor});
  }

  std::string arenaText() const {
    std::string text;
    for (const Share &share : shares) {
      Product product{share.factor, {}};
      for (int atom : share.dims)
        product.atoms.push_back(atoms[atom]);
      std::string factor = share.factor == 1 ? "" : std::to_string(share.factor) + " * ";
      text += (text.empty() ? "" : " + ") +
              (share.maximum.empty() ? textOf(product) : factor + share.maximum);
    }
    return text.empty() ? "0" : text;
  }

  void finish(Value bytes) {
    auto ret = cast<func::ReturnOp>(block.getTerminator());
    ret.getOperandsMutable().append(bytes);
    function.setFunctionType(builder.getFunctionType(block.getArgumentTypes(),
                                                     ValueRange(ret.getOperands()).getTypes()));
    auto module = function->getParentOfType<ModuleOp>();
    NamedAttrList report;
    if (auto before = module->getAttrOfType<DictionaryAttr>(kMemoryAttr))
      report.append(before.getValue());
    report.set("buffers", builder.getI64IntegerAttr(allocs.size()));
    report.set("slots", builder.getI64IntegerAttr(numSlots));
    report.set("bytes", builder.getStringAttr(arenaText()));
    module->setAttr(kMemoryAttr, report.getDictionary(module.getContext()));
  }

  func::FuncOp function;
  Block &block;
  ImplicitLocOpBuilder builder;
  Bounds bounds{block};
  BlockArgument arena;
  DenseMap<Operation *, int64_t> steps;
  SmallVector<memref::AllocOp> allocs;
  std::vector<Product> products; // bytes of each
  std::vector<Lifetime> lifetimes;
  SmallVector<Value> offsets;
  SmallVector<Value> atoms;
  llvm::MapVector<Value, Value> rooms; // of dims that may be empty: at least 1
  int64_t numSlots = 0;
  struct Share {
    std::string maximum; // text of a slot with several terms; empty: the product below
    std::vector<int> dims;
    int64_t factor;
  };
  std::vector<Share> shares;
};

struct HostPlanMemory : PassWrapper<HostPlanMemory, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(HostPlanMemory)
  StringRef getArgument() const override { return "host-plan-memory"; }
  StringRef getDescription() const override { return "memref.alloc => offsets into one arena"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, memref::MemRefDialect>();
  }

  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    if (functions.size() != 1 || !functions[0].getBody().hasOneBlock()) {
      getOperation().emitError() << "expects the one func.func that host-bufferize leaves";
      return signalPassFailure();
    }
    if (failed(Planner(functions[0]).run()))
      signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createHostPlanMemoryPass() {
  return std::make_unique<HostPlanMemory>();
}

MemoryReport rapt::memoryReport(ModuleOp module) {
  MemoryReport report;
  auto attr = module->getAttrOfType<DictionaryAttr>(kMemoryAttr);
  auto read = [&](StringRef name) {
    auto number = attr ? attr.getAs<IntegerAttr>(name) : IntegerAttr();
    return number ? number.getInt() : 0;
  };
  report.buffers = read("buffers");
  report.weightBytes = read("weight_bytes");
  if (auto bytes = attr ? attr.getAs<StringAttr>("bytes") : StringAttr())
    report.bytes = bytes.str();
  return report;
}
