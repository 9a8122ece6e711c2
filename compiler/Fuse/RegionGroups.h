//===- RegionGroups.h - Which operations become one kernel -----------------------*- C++ -*-===//
//
// The policy of form-regions: a partition of the linalg and attn operations of a function, and of
// some of the tensor views between them, into groups without cycles among the groups.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_FUSE_REGIONGROUPS_H
#define RAPT_COMPILER_FUSE_REGIONGROUPS_H

#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/DenseMap.h"

#include <memory>
#include <vector>

namespace rapt::fuse {

enum class GroupKind { Linear, MatMul, Attention, Norm, Rows, Reduce, Pointwise, Loops };
llvm::StringRef regionName(GroupKind kind);

struct Group {
  GroupKind kind;
  mlir::Operation *anchor;                      ///< names the region
  llvm::SmallVector<mlir::Operation *> members; ///< in program order once all groups are made
};

/// linalg.generic whose body only moves an element: index arithmetic and one load.
bool isMovement(mlir::Operation *op);
/// A nest of scf loops that carries tensors.
bool isLoop(mlir::Operation *op);
/// linalg.generic without a reduced loop.
bool isPointwise(mlir::Operation *op);

/// The tensors that a node reads, in the body of its linalg.generic too.
llvm::SmallVector<mlir::Value> tensorsRead(mlir::Operation *op);
/// Operations of the function's block that use a result of `op`, each once.
llvm::SmallVector<mlir::Operation *> usersOf(mlir::Operation *op);

class RegionGroups {
public:
  explicit RegionGroups(mlir::func::FuncOp func)
      : body(func.getBody().front()), measures(!body.getOps<kernel::MeasureOp>().empty()) {}
  /// Groups every linalg.generic and attn.sdpa.
  void run();
  llvm::ArrayRef<std::unique_ptr<Group>> all() const { return groups; }
  Group *of(mlir::Operation *op) const { return owner.lookup(op); }

private:
  Group *open(GroupKind kind, mlir::Operation *anchor);
  void add(Group *group, mlir::Operation *op);
  llvm::ArrayRef<mlir::Operation *> countsOf(mlir::Operation *op) const;
  bool dependsOn(mlir::Operation *op, const Group *group) const;
  bool mayFollow(mlir::Operation *op, const Group *group) const;
  void groupAttention(mlir::Operation *sdpa);
  void groupContraction(mlir::linalg::GenericOp op);
  void groupReduction(mlir::linalg::GenericOp op);
  void groupPointwise(mlir::Operation *op);
  void absorbMovement(Group *group, mlir::Operation *reader, mlir::ValueRange operands);
  void extend(Group *group, llvm::function_ref<bool(mlir::Operation *)> fits);
  void absorbProducers(Group *group, llvm::function_ref<bool(mlir::Operation *)> fits);

  mlir::Block &body;
  bool measures; ///< some sizes are known only while the model runs
  mutable llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Operation *, 1>> countsNeeded;
  std::vector<std::unique_ptr<Group>> groups;
  llvm::DenseMap<mlir::Operation *, Group *> owner;
};

} // namespace rapt::fuse

#endif // RAPT_COMPILER_FUSE_REGIONGROUPS_H
