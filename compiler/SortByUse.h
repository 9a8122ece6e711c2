//===- SortByUse.h - An order in which everything is made before it is used --------*- C++ -*-===//
#ifndef RAPT_COMPILER_SORTBYUSE_H
#define RAPT_COMPILER_SORTBYUSE_H

#include "dialects/Kernel/Kernel.h"

#include "mlir/IR/Block.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace rapt {

/// Moves every operation of `block` behind those whose results it uses, checks and requirements to
/// the front. A requirement on a measured size stands where all that it needs is there, so that it
/// is checked before any kernel that counts on it. Unlike upstream's sortTopologically, in linear
/// time.
inline void sortByUse(mlir::Block &block) {
  using mlir::Operation;
  // Requirements on measured sizes wait: how many of their operands are still to come.
  llvm::DenseMap<Operation *, llvm::SmallVector<Operation *, 1>> waiting;
  llvm::MapVector<Operation *, int> missing;
  for (auto require : block.getOps<kernel::RequireOp>())
    if (kernel::isMeasured(require.getLhs()) || kernel::isMeasured(require.getRhs()))
      for (mlir::Value operand : require->getOperands())
        if (Operation *producer = operand.getDefiningOp()) {
          waiting[producer].push_back(require);
          ++missing[require];
        }
  llvm::SmallVector<Operation *> roots, order;
  for (Operation &op : block.without_terminator())
    if (op.getNumResults() == 0 && !missing.contains(&op))
      roots.push_back(&op);
  for (auto &[require, count] : missing)
    roots.push_back(require);
  for (Operation &op : block)
    roots.push_back(&op);
  llvm::DenseSet<Operation *> seen;
  struct Visit {
    Operation *op;
    llvm::SmallVector<Operation *> producers;
  };
  llvm::SmallVector<Visit> path;
  auto enter = [&](Operation *op) {
    if (!seen.insert(op).second)
      return;
    Visit visit{op, {}};
    auto add = [&](Operation *user) {
      for (mlir::Value operand : user->getOperands())
        if (Operation *producer = operand.getDefiningOp();
            producer && producer->getBlock() == &block)
          visit.producers.push_back(producer);
    };
    if (op->getNumRegions() == 0 || op->hasTrait<mlir::OpTrait::IsIsolatedFromAbove>())
      add(op);
    else
      op->walk(add);
    std::reverse(visit.producers.begin(), visit.producers.end());
    path.push_back(std::move(visit));
  };
  for (Operation *root : roots) {
    enter(root);
    while (!path.empty()) {
      if (!path.back().producers.empty()) {
        enter(path.back().producers.pop_back_val());
        continue;
      }
      Operation *op = path.pop_back_val().op;
      order.push_back(op);
      if (auto found = waiting.find(op); found != waiting.end())
        for (Operation *require : found->second)
          if (--missing[require] == 0 && seen.insert(require).second)
            order.push_back(require);
    }
  }
  for (Operation *op : order)
    op->moveBefore(&block, block.end());
}

} // namespace rapt

#endif // RAPT_COMPILER_SORTBYUSE_H
