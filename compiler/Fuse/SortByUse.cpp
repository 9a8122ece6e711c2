//===- SortByUse.cpp - An order in which everything is made before it is used ----------===//
//
// Depth first from what must happen, in linear time (upstream's sortTopologically takes more). A
// second walk brings scalars forward.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/SortByUse.h"

#include "dialects/Kernel/Kernel.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace rapt::fuse {

/// The operations of the block whose results `op` or its body uses.
static SmallVector<Operation *> producersOf(Operation *op) {
  SmallVector<Operation *> producers;
  auto add = [&](Operation *user) {
    for (Value operand : user->getOperands())
      if (Operation *made = operand.getDefiningOp(); made && made->getBlock() == op->getBlock())
        producers.push_back(made);
  };
  if (op->getNumRegions() == 0 || op->hasTrait<OpTrait::IsIsolatedFromAbove>())
    add(op);
  else
    op->walk(add);
  return producers;
}

/// Index arithmetic or a requirement, which run no kernel.
static bool isScalar(Operation *op) {
  auto isIndex = [](Type type) { return type.isIntOrIndex(); };
  return op->getNumRegions() == 0 && !op->hasTrait<OpTrait::IsTerminator>() &&
         llvm::all_of(op->getOperandTypes(), isIndex) &&
         llvm::all_of(op->getResultTypes(), isIndex);
}

/// The same order, but each scalar right behind the last of what it needs.
static SmallVector<Operation *> scalarsFirst(ArrayRef<Operation *> order) {
  llvm::DenseMap<Operation *, SmallVector<Operation *, 2>> scalarUsers;
  llvm::DenseMap<Operation *, int> missing;
  SmallVector<Operation *> result, ready;
  auto emit = [&](Operation *op) {
    ready.push_back(op);
    while (!ready.empty()) {
      Operation *next = ready.pop_back_val();
      result.push_back(next);
      for (Operation *user : scalarUsers.lookup(next))
        if (--missing[user] == 0)
          ready.push_back(user);
    }
  };
  for (Operation *op : order)
    if (isScalar(op)) {
      SmallVector<Operation *> producers = producersOf(op);
      missing[op] = producers.size();
      for (Operation *producer : producers)
        scalarUsers[producer].push_back(op);
    }
  for (Operation *op : order)
    if (isScalar(op) && producersOf(op).empty())
      emit(op);
  for (Operation *op : order)
    if (!isScalar(op))
      emit(op);
  return result;
}

void sortByUse(Block &block) {
  SmallVector<Operation *> roots, order;
  for (Operation &op : block.without_terminator())
    if (op.getNumResults() == 0)
      roots.push_back(&op);
  for (Operation &op : block)
    roots.push_back(&op);
  llvm::DenseSet<Operation *> seen;
  SmallVector<std::pair<Operation *, SmallVector<Operation *>>> path; // with producers to come
  auto enter = [&](Operation *op) {
    if (!seen.insert(op).second)
      return;
    SmallVector<Operation *> producers = producersOf(op);
    std::reverse(producers.begin(), producers.end());
    path.push_back({op, std::move(producers)});
  };
  for (Operation *root : roots) {
    enter(root);
    while (!path.empty()) {
      auto &[op, producers] = path.back();
      if (!producers.empty()) {
        enter(producers.pop_back_val());
        continue;
      }
      order.push_back(op);
      path.pop_back();
    }
  }
  if (!block.getOps<kernel::MeasureOp>().empty())
    order = scalarsFirst(order);
  for (Operation *op : order)
    op->moveBefore(&block, block.end());
}

} // namespace rapt::fuse
