//===- RegionGroups.cpp - Which operations become one kernel ---------------------------===//
//
// In:  the block that fuse-lower leaves. Out: each linalg.generic and attn.sdpa in one group, a
//      view in at most one; no two groups wait for each other. Attention and contractions open
//      groups first and take what follows them, then reductions, then what is left. The IR stays as
//      it is.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/RegionGroups.h"

#include "compiler/Fuse/Match.h"
#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace rapt::fuse {

StringRef regionName(GroupKind kind) {
  switch (kind) {
  case GroupKind::Linear:
    return "linear";
  case GroupKind::MatMul:
    return "matmul";
  case GroupKind::Attention:
    return "attention";
  case GroupKind::Norm:
    return "norm";
  case GroupKind::Rows:
    return "rows";
  case GroupKind::Reduce:
    return "reduce";
  case GroupKind::Pointwise:
    return "pointwise";
  case GroupKind::Loops:
    return "loops";
  }
  return "pointwise";
}

// --- Questions -----------------------------------------------------------------------------------

bool isPointwise(Operation *op) {
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() == 0;
}

bool isLoop(Operation *op) { return isa_and_nonnull<scf::ForOp, scf::WhileOp>(op); }

static bool isNode(Operation *op) {
  return isa<linalg::GenericOp, attn::SdpaOp>(op) || isLoop(op) || kernel::isView(op);
}

SmallVector<Value> tensorsRead(Operation *op) {
  llvm::SetVector<Value> read;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  for (Value operand : generic ? ValueRange(generic.getInputs()) : ValueRange(op->getOperands()))
    if (isa<RankedTensorType>(operand.getType()))
      read.insert(operand);
  if (generic)
    generic.getRegion().walk([&](tensor::ExtractOp extract) { read.insert(extract.getTensor()); });
  if (isLoop(op))
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (isa<RankedTensorType>(operand.getType()) && operand.getParentBlock() == op->getBlock())
          read.insert(operand);
    });
  return read.takeVector();
}

bool isMovement(Operation *op) {
  if (!isPointwise(op) || tensorsRead(op).size() > 1)
    return false;
  auto generic = cast<linalg::GenericOp>(op);
  return llvm::all_of(generic.getBody()->without_terminator(), [](Operation &inner) {
    if (isa<linalg::IndexOp, tensor::ExtractOp, arith::ConstantOp>(inner))
      return true;
    return isa<arith::AddIOp, arith::MulIOp, arith::SubIOp, arith::IndexCastOp, arith::RemSIOp>(
               inner) &&
           inner.getResult(0).getType().isIntOrIndex();
  });
}

SmallVector<Operation *> usersOf(Operation *op) {
  llvm::SetVector<Operation *> users;
  for (Operation *user : op->getUsers())
    if (Operation *top = op->getBlock()->findAncestorOpInBlock(*user))
      users.insert(top);
  return users.takeVector();
}

/// Static sizes and the values of dynamic ones of a linalg.generic's result.
static SmallVector<OpFoldResult> resultSizes(Operation *op) {
  Value out = cast<linalg::GenericOp>(op).getOutputs()[0];
  if (auto fill = out.getDefiningOp<linalg::FillOp>())
    out = fill.getOutputs()[0];
  auto empty = out.getDefiningOp<tensor::EmptyOp>();
  return empty ? empty.getMixedSizes() : SmallVector<OpFoldResult>();
}

static SmallVector<OpFoldResult> withoutUnits(ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> result;
  for (OpFoldResult size : sizes)
    if (!isConstantIntValue(size, 1))
      result.push_back(size);
  return result;
}

static bool sameSizes(ArrayRef<OpFoldResult> a, ArrayRef<OpFoldResult> b) {
  return isEqualConstantIntOrValueArray(withoutUnits(a), withoutUnits(b));
}

/// acc + a * b of two operands, which may be converted first.
static bool isContraction(linalg::GenericOp op) {
  if (op.getNumReductionLoops() == 0 || op.getInputs().size() != 2 ||
      !op.getBody()->getTerminator()->getOperand(0).getDefiningOp())
    return false;
  return linalg::detail::isContractionBody(*op.getBody(), [](Operation *mul, Operation *add) {
    return (isa<arith::MulFOp>(mul) && isa<arith::AddFOp>(add)) ||
           (isa<arith::MulIOp>(mul) && isa<arith::AddIOp>(add));
  });
}

/// The first operand is read in the order of the loops, so the reduced ones are its innermost dims.
static bool reducesInnermost(linalg::GenericOp op) {
  return !op.getInputs().empty() && op.getIndexingMapsArray()[0].isIdentity();
}

/// Whether every use that `op` makes of `tensor` reads at the loops themselves, or at the leading
/// ones.
static bool readsAtLoops(Operation *op, Value tensor) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return false;
  bool found = false;
  for (OpOperand *operand : generic.getDpsInputOperands()) {
    if (operand->get() != tensor)
      continue;
    found = true;
    int64_t next = 0;
    for (AffineExpr expr : generic.getMatchingIndexingMap(operand).getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim && isa<AffineConstantExpr>(expr))
        continue;
      if (!dim || static_cast<int64_t>(dim.getPosition()) < next)
        return false;
      next = dim.getPosition() + 1;
    }
  }
  bool extracted = false;
  generic.getRegion().walk(
      [&](tensor::ExtractOp extract) { extracted |= extract.getTensor() == tensor; });
  return found && !extracted;
}

// --- Groups --------------------------------------------------------------------------------------

Group *RegionGroups::open(GroupKind kind, Operation *anchor) {
  groups.push_back(std::make_unique<Group>(Group{kind, anchor, {}}));
  add(groups.back().get(), anchor);
  return groups.back().get();
}

void RegionGroups::add(Group *group, Operation *op) {
  group->members.push_back(op);
  owner[op] = group;
}

/// What makes the counts that `op` waits for: measured sizes among what it and its body use.
ArrayRef<Operation *> RegionGroups::countsOf(Operation *op) const {
  if (!measures)
    return {};
  auto [entry, isNew] = countsNeeded.try_emplace(op);
  if (!isNew)
    return entry->second;
  SmallVector<Operation *, 1> counts;
  SmallVector<Value> work;
  llvm::DenseSet<Value> seen;
  auto addIndices = [&](Operation *user) {
    for (Value operand : user->getOperands())
      if (operand.getType().isIntOrIndex() && seen.insert(operand).second)
        work.push_back(operand);
  };
  op->walk(addIndices);
  // The sizes of a result stand with what it is written to.
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp();
        isa_and_nonnull<tensor::EmptyOp, linalg::FillOp>(producer)) {
      addIndices(producer);
      for (Value inner : producer->getOperands())
        if (auto empty = inner.getDefiningOp<tensor::EmptyOp>())
          addIndices(empty);
    }
  while (!work.empty()) {
    Operation *producer = work.pop_back_val().getDefiningOp();
    if (!producer || producer->getBlock() != &body)
      continue;
    if (auto measure = dyn_cast<kernel::MeasureOp>(producer)) {
      if (Operation *count = measure.getCount().getDefiningOp())
        counts.push_back(count);
      work.push_back(measure.getBound());
    } else {
      addIndices(producer);
    }
  }
  return countsNeeded[op] = std::move(counts);
}

/// A path leads from `group` to `op`, where entering any member of a group enters all of it.
bool RegionGroups::dependsOn(Operation *op, const Group *group) const {
  SmallVector<Operation *> work{op};
  llvm::DenseSet<Operation *> seen{op};
  auto push = [&](Operation *next) {
    if (next && seen.insert(next).second)
      work.push_back(next);
  };
  while (!work.empty()) {
    Operation *next = work.pop_back_val();
    Group *in = of(next);
    if (in == group)
      return true;
    if (in)
      for (Operation *member : in->members)
        push(member);
    for (Value tensor : isNode(next) ? tensorsRead(next) : SmallVector<Value>())
      push(tensor.getDefiningOp());
    for (Operation *count : countsOf(next))
      push(count);
  }
  return false;
}

/// `op` can join `group` after it: it reads members in place, and nothing that needs the group
/// first.
bool RegionGroups::mayFollow(Operation *op, const Group *group) const {
  // What reads no member is most of the block: it is told apart before any path is followed.
  SmallVector<Operation *> others;
  bool reads = false;
  for (Value tensor : tensorsRead(op)) {
    Operation *producer = tensor.getDefiningOp();
    if (producer && of(producer) == group) {
      reads = true;
      if (!readsAtLoops(op, tensor))
        return false;
    } else if (producer) {
      others.push_back(producer);
    }
  }
  if (!reads)
    return false;
  llvm::append_range(others, countsOf(op));
  return llvm::none_of(others, [&](Operation *other) { return dependsOn(other, group); });
}

/// Adds consumers in program order while they fit, then keeps the longest run of them that leaves
/// one result to the outside.
void RegionGroups::extend(Group *group, llvm::function_ref<bool(Operation *)> fits) {
  constexpr int kMostAdded = 48;
  SmallVector<Operation *> added;
  size_t before = group->members.size();
  for (Operation *op = group->anchor->getNextNode();
       op && static_cast<int>(added.size()) < kMostAdded; op = op->getNextNode())
    if (isa<linalg::GenericOp>(op) && !of(op) && fits(op) && mayFollow(op, group)) {
      add(group, op);
      added.push_back(op);
    }
  auto exits = [&] {
    int64_t count = 0;
    for (Operation *member : group->members)
      count += llvm::any_of(usersOf(member), [&](Operation *user) { return of(user) != group; });
    return count;
  };
  while (group->members.size() > before && exits() != 1) {
    owner.erase(group->members.back());
    group->members.pop_back();
  }
}

/// Of reshapes behind one another in a kernel: each makes two expressions, a quotient and a rest,
/// of an index.
static constexpr int kMostReshapes = 8;

static bool isReshape(Operation *op) {
  return isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op);
}

/// What an operation adds to the work of compiling a kernel: a load at a computed place brings the
/// arithmetic of all indices that lead to it.
static int weightOf(Operation *op) {
  constexpr int kLoad = 6;
  int weight = 1;
  op->walk([&](tensor::ExtractOp) { weight += kLoad; });
  return weight;
}

/// Adds ungrouped producers that only the group uses, last first.
void RegionGroups::absorbProducers(Group *group, llvm::function_ref<bool(Operation *)> fits) {
  // The time to compile a kernel grows with the cube of its operations.
  constexpr int kMostWeight = 128;
  int weight = 0;
  SmallVector<std::pair<Operation *, int>> work; // with the reshapes behind it
  for (Operation *member : group->members) {
    work.emplace_back(member, 0);
    weight += weightOf(member);
  }
  while (!work.empty() && weight < kMostWeight) {
    auto [reader, reshapes] = work.pop_back_val();
    for (Value tensor : tensorsRead(reader)) {
      Operation *producer = tensor.getDefiningOp();
      // A view goes in together with the operation that it is a view of, else it stays an alias
      // outside.
      Operation *source = producer;
      SmallVector<Operation *> chain;
      auto onlyHere = [&](Operation *op) {
        return llvm::all_of(usersOf(op), [&](Operation *user) {
          return of(user) == group || llvm::is_contained(chain, user);
        });
      };
      while (source && kernel::isView(source) && !of(source) && onlyHere(source)) {
        chain.push_back(source);
        source = source->getOperand(0).getDefiningOp();
      }
      int reshaped = reshapes + static_cast<int>(llvm::count_if(chain, isReshape));
      if (!isPointwise(source) || source->hasAttr(kernel::kStoredAttr) || of(source) ||
          !onlyHere(source) || reshaped > kMostReshapes || !fits(source))
        continue;
      chain.push_back(source);
      for (Operation *op : chain) {
        add(group, op);
        weight += weightOf(op);
      }
      work.emplace_back(source, reshaped);
    }
  }
}

/// Movement and views that only `reader` uses: index arithmetic of the kernel.
void RegionGroups::absorbMovement(Group *group, Operation *reader, ValueRange operands) {
  SmallVector<std::pair<Value, int>> work; // with the reshapes behind it
  for (Value operand : operands)
    work.emplace_back(operand, 0);
  while (!work.empty()) {
    auto [value, reshapes] = work.pop_back_val();
    Operation *producer = value.getDefiningOp();
    if (!producer || of(producer) || !(isMovement(producer) || kernel::isView(producer)))
      continue;
    int reshaped = reshapes + isReshape(producer);
    if (reshaped > kMostReshapes)
      continue;
    if (!llvm::all_of(usersOf(producer), [&](Operation *user) { return of(user) == group; }))
      continue;
    add(group, producer);
    for (Value tensor : tensorsRead(producer))
      work.emplace_back(tensor, reshaped);
  }
}

void RegionGroups::groupAttention(Operation *op) {
  auto sdpa = cast<attn::SdpaOp>(op);
  Group *group = open(GroupKind::Attention, op);
  absorbMovement(group, op, op->getOperands());
  SmallVector<Operation *> users = usersOf(sdpa);
  if (users.size() == 1 && isMovement(users[0]) && !of(users[0]))
    add(group, users[0]);
}

void RegionGroups::groupContraction(linalg::GenericOp op) {
  bool weight = llvm::any_of(op.getInputs(),
                             [](Value input) { return input.getDefiningOp<kernel::WeightOp>(); });
  Group *group = open(weight ? GroupKind::Linear : GroupKind::MatMul, op);
  if (!weight)
    absorbMovement(group, op, op.getInputs());
  SmallVector<OpFoldResult> sizes = resultSizes(op);
  extend(group,
         [&](Operation *next) { return isPointwise(next) && sameSizes(resultSizes(next), sizes); });
}

void RegionGroups::groupReduction(linalg::GenericOp op) {
  bool innermost = reducesInnermost(op);
  Group *group = open(innermost ? GroupKind::Rows : GroupKind::Reduce, op);
  SmallVector<OpFoldResult> rows = resultSizes(op), full;
  // The domain of the reduction is what its first operand spans, when that is the result of a node.
  auto isFull = [&](ArrayRef<OpFoldResult> sizes) {
    if (sizes.size() != op.getNumLoops() ||
        !isEqualConstantIntOrValueArray(sizes.take_front(rows.size()), rows))
      return false;
    SmallVector<int64_t> extents = op.getStaticLoopRanges();
    for (size_t i = rows.size(); i < sizes.size(); ++i)
      if (getConstantIntValue(sizes[i]).value_or(ShapedType::kDynamic) != extents[i])
        return false;
    return true;
  };
  extend(group, [&](Operation *next) {
    SmallVector<OpFoldResult> sizes = resultSizes(next);
    if (isPointwise(next))
      return sameSizes(sizes, rows) || (innermost && isFull(sizes));
    auto generic = cast<linalg::GenericOp>(next);
    return innermost && !isContraction(generic) && reducesInnermost(generic) &&
           sameSizes(sizes, rows) && generic.getStaticLoopRanges() == op.getStaticLoopRanges();
  });
  int reductions = 0;
  bool sums = true;
  for (Operation *member : group->members)
    if (!isPointwise(member)) {
      ++reductions;
      Operation *last =
          cast<linalg::GenericOp>(member).getBody()->getTerminator()->getOperand(0).getDefiningOp();
      sums &= isa_and_nonnull<arith::AddFOp>(last);
    }
  if (group->kind == GroupKind::Rows && reductions > 1 && sums)
    group->kind = GroupKind::Norm;
  absorbProducers(group, [&](Operation *producer) {
    SmallVector<OpFoldResult> sizes = resultSizes(producer);
    return isMovement(producer) || sameSizes(sizes, rows) || isFull(sizes) ||
           sizes.size() == op.getNumLoops();
  });
}

/// What is left, from the last to the first: into the kernel of its only readers, or a new one.
void RegionGroups::groupPointwise(Operation *op) {
  Group *group = open(GroupKind::Pointwise, op);
  SmallVector<OpFoldResult> sizes = resultSizes(op);
  absorbProducers(group, [&](Operation *producer) {
    Type element = tensorType(producer->getResult(0)).getElementType();
    return isMovement(producer) || isa<IntegerType>(element) ||
           sameSizes(resultSizes(producer), sizes);
  });
}

void RegionGroups::run() {
  SmallVector<Operation *> nodes;
  for (Operation &op : body)
    if (isNode(&op))
      nodes.push_back(&op);
  for (Operation *op : nodes)
    if (isLoop(op))
      open(GroupKind::Loops, op);
  for (Operation *op : nodes)
    if (isa<attn::SdpaOp>(op))
      groupAttention(op);
  for (Operation *op : nodes)
    if (auto generic = dyn_cast<linalg::GenericOp>(op); generic && isContraction(generic))
      groupContraction(generic);
  for (Operation *op : nodes)
    if (auto generic = dyn_cast<linalg::GenericOp>(op); generic && !of(op) && !isPointwise(op))
      groupReduction(generic);
  for (Operation *op : llvm::reverse(nodes))
    if (isPointwise(op) && !of(op))
      groupPointwise(op);
  // Views between members of one group belong to it.
  for (Operation *op : nodes) {
    Operation *source = kernel::isView(op) && !of(op) ? op->getOperand(0).getDefiningOp() : nullptr;
    Group *group = source ? of(source) : nullptr;
    SmallVector<Operation *> users = usersOf(op);
    if (group && !users.empty() &&
        llvm::all_of(users, [&](Operation *user) { return of(user) == group; }))
      add(group, op);
  }
  for (std::unique_ptr<Group> &group : groups)
    llvm::sort(group->members, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
}

} // namespace rapt::fuse
