//===- LowerLoops.cpp - onnx.Loop => scf.for or scf.while --------------------------------===//
//
// The loop carries its states and its stacked results as tensors; each iteration writes the next
// states over the current ones and its elements into the stacked tensors, so that buffers can be
// the same ones in all iterations. What the body reads of the graph is made in front of the loop.
// Counts that follow from the dims give scf.for, conditions and counts from data scf.while.
//
// A check of indices that are computed in the body can not stand before the loop. So the loop
// carries for each check one index, the first wrong one or 0, which is checked after the loop; the
// body itself reads at the nearest place that exists.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/LowerIndices.h"
#include "compiler/Fuse/Lowering.h"

#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace rapt::fuse {

namespace {
/// The most checks that the operations of a body can ask for.
size_t countChecks(onnx::LoopOp loop) {
  size_t count = 0;
  loop.getBody().walk([&](Operation *op) {
    if (isa<onnx::GatherOp, onnx::GatherElementsOp, onnx::ScatterElementsOp>(op))
      ++count;
    else if (isa<onnx::GatherNDOp, onnx::ScatterNDOp>(op))
      count += tensorType(op->getOperand(0)).getRank();
  });
  return count;
}

/// The tensor that `value` is a view of.
Value rootOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::ExtractSliceOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

/// `source` written over the dense tensor `target` of the same shape.
Value copyOver(OpBuilder &b, Location loc, Value source, Value target) {
  auto type = tensorType(target);
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  return linalg::GenericOp::create(b, loc, type, source, target, {identity, identity}, loops,
                                   [](OpBuilder &inner, Location at, ValueRange args) {
                                     linalg::YieldOp::create(inner, at, args[0]);
                                   })
      .getResult(0);
}

/// Where in [offset, 0...] of `stack` one element of it lies.
struct Place {
  SmallVector<OpFoldResult> offsets, sizes, strides;

  Place(OpBuilder &b, Value index, ArrayRef<OpFoldResult> stack)
      : offsets(stack.size(), b.getIndexAttr(0)), sizes(stack),
        strides(stack.size(), b.getIndexAttr(1)) {
    offsets.front() = index;
    sizes.front() = b.getIndexAttr(1);
  }
};
} // namespace

void Lowering::leaveLoops(Value value) {
  for (const LoopFrame &frame : frames)
    if (!frame.body->isAncestor(value.getParentRegion()))
      return builder.setInsertionPoint(frame.loop);
}

// --- Checks --------------------------------------------------------------------------------------
void Lowering::check(Value indices, ArrayRef<OpFoldResult> taking, int64_t lower,
                     OpFoldResult upper, const std::string &message) {
  if (frames.empty()) {
    SmallVector<Value> dynamic;
    for (OpFoldResult dim : taking)
      if (auto value = dyn_cast<Value>(dim))
        dynamic.push_back(value);
    kernel::CheckIndicesOp::create(builder, loc, indices, dynamic, builder.getI64IntegerAttr(lower),
                                   indexValue(upper), builder.getStringAttr(message));
    return;
  }
  auto isWrong = [&](OpBuilder &b, Location at, Value number) -> Value {
    IndexMath math{b, at};
    Value index = arith::IndexCastOp::create(b, at, b.getIndexType(), number);
    Value above = math.less(math.sub(math.size(upper), math.number(1)), index);
    return arith::OrIOp::create(b, at, math.less(index, math.number(lower)), above);
  };
  Type word = builder.getI64Type();
  int64_t rank = taking.size();
  AffineMap places = AffineMap::getMultiDimIdentityMap(rank + 1, builder.getContext());
  View view = View::of(indices).through(
      AffineMap::get(rank + 1, 0, places.getResults().drop_front(), builder.getContext()));
  auto pick = [&](OpBuilder &b, Location at, Value number, Value otherwise) -> Value {
    Value wide = convert(b, at, number, word);
    return arith::SelectOp::create(b, at, isWrong(b, at, wide), wide, otherwise);
  };
  Sizes one{builder.getIndexAttr(1)};
  Value found = rank == 0
                    ? map(one, word, {view},
                          [&](OpBuilder &b, Location at, ValueRange args) {
                            return pick(b, at, args[0], arith::ConstantIntOp::create(b, at, 0, 64));
                          })
                    : reduce(one, rank, builder.getI64IntegerAttr(0), {view},
                             [&](OpBuilder &b, Location at, ValueRange args) {
                               return pick(b, at, args[0], args[1]);
                             });
  LoopFrame &frame = frames.back();
  Value slot = frame.slots[frame.checks.size()];
  Value first = map(one, word, {View::of(slot), View::of(found)},
                    [&](OpBuilder &b, Location at, ValueRange args) -> Value {
                      return pick(b, at, args[0], args[1]);
                    });
  frames.back().checks.push_back({first, lower, upper, message});
}

// --- The loop ------------------------------------------------------------------------------------
LogicalResult Lowering::lowerBody(onnx::LoopOp op, Value index, OpFoldResult count,
                                  ValueRange carried, SmallVectorImpl<Value> &next) {
  Block &body = op.getBody().front();
  size_t states = op.getStates().size(), stacks = op.getStackedReverse().size();
  auto placeOf = [&](bool reverse) {
    IndexMath math{builder, loc};
    return reverse ? math.sub(math.sub(math.size(count), math.number(1)), index) : index;
  };
  View number;
  number.base = index;
  bind(body.getArgument(0), number);
  for (size_t i = 0; i < states; ++i)
    bind(body.getArgument(1 + i), carried[i]);
  for (auto [i, scanned] : llvm::enumerate(op.getScanned())) {
    BlockArgument slice = body.getArgument(1 + states + i);
    Place place(builder, placeOf(op.getScannedReverse()[i]), sizes(scanned));
    Value source = tensor(scanned);
    // The dim that goes is the first one of size one.
    RankedTensorType type = tensor::ExtractSliceOp::inferCanonicalRankReducedResultType(
        tensorType(slice).getRank(), tensorType(source), place.sizes);
    bind(slice, tensor::ExtractSliceOp::create(builder, loc, type, source, place.offsets,
                                               place.sizes, place.strides)
                    .getResult());
  }
  bool refused = false;
  Location outer = loc;
  for (Operation &inner : body.without_terminator()) {
    loc = inner.getLoc();
    if (isa_and_nonnull<onnx::OnnxDialect>(inner.getDialect()))
      refused |= failed(lower(&inner));
    else if (!isa<tensor::FromElementsOp>(inner))
      return refuse(&inner) << "has no place in the body of a loop";
  }
  loc = outer;
  if (refused)
    return failure();

  // Everything that reads the current states comes before they are written over.
  ValueRange yielded = body.getTerminator()->getOperands();
  SmallVector<Value> values;
  for (auto [i, value] : llvm::enumerate(yielded)) {
    Value dense = tensor(value), root = rootOf(dense);
    bool isState = i < yielded.size() - stacks;
    if (isState && isa<BlockArgument>(root) && llvm::is_contained(carried, root))
      dense = map(sizes(value), tensorType(value).getElementType(), {View::of(dense)},
                  [](OpBuilder &, Location, ValueRange args) { return args[0]; });
    values.push_back(dense);
  }
  SmallVector<Value> stacked;
  for (size_t i = 0; i < stacks; ++i) {
    Value result = op.getResult(states + i);
    Sizes whole = sizes(result);
    Place place(builder, placeOf(op.getStackedReverse()[i]), whole);
    Value element = values[values.size() - stacks + i];
    // One of the two types may know the size of a dim that the other does not.
    if (tensorType(element).getShape() != tensorType(result).getShape().drop_front())
      element =
          map(ArrayRef(whole).drop_front(), tensorType(result).getElementType(),
              {View::of(element)}, [](OpBuilder &, Location, ValueRange args) { return args[0]; });
    stacked.push_back(tensor::InsertSliceOp::create(builder, loc, element, carried[states + i],
                                                    place.offsets, place.sizes, place.strides));
  }
  size_t before = yielded.size() - stacks - states; // the condition
  for (size_t i = 0; i < states; ++i)
    next.push_back(copyOver(builder, loc, values[before + i], carried[i]));
  llvm::append_range(next, stacked);
  LoopFrame &frame = frames.back();
  for (auto [i, slot] : llvm::enumerate(frame.slots))
    next.push_back(i < frame.checks.size() ? copyOver(builder, loc, frame.checks[i].first, slot)
                                           : slot);
  if (before)
    next.push_back(copyOver(builder, loc, values.front(), carried.back()));
  return success();
}

/// Where a loop keeps the first wrong index of one check: 0, none so far.
static Value makeSlot(OpBuilder &builder, Location loc) {
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 64);
  Value empty = tensor::EmptyOp::create(builder, loc, ArrayRef<int64_t>{1}, builder.getI64Type());
  return linalg::FillOp::create(builder, loc, ValueRange{zero}, ValueRange{empty}).getResult(0);
}

/// A loop whose first value counts; it goes on while that is below `limit`, if there is one, and
/// while its last value holds, if that is a condition. Its body is empty.
static scf::WhileOp makeWhile(OpBuilder &builder, Location loc, ArrayRef<Value> inits,
                              bool hasCondition, function_ref<Value(OpBuilder &, Location)> limit) {
  return scf::WhileOp::create(
      builder, loc, TypeRange(ValueRange(inits)), inits,
      [&](OpBuilder &b, Location at, ValueRange carried) {
        Value go = hasCondition
                       ? tensor::ExtractOp::create(b, at, carried.back(), ValueRange()).getResult()
                       : arith::ConstantIntOp::create(b, at, 1, 1).getResult();
        if (limit) {
          Value most = arith::IndexCastOp::create(b, at, b.getIndexType(), limit(b, at));
          go = arith::AndIOp::create(b, at, IndexMath{b, at}.less(carried.front(), most), go);
        }
        scf::ConditionOp::create(b, at, go, carried);
      },
      [](OpBuilder &, Location, ValueRange) {});
}

LogicalResult Lowering::lowerLoop(onnx::LoopOp op) {
  size_t states = op.getStates().size();
  SmallVector<Value> starts;
  for (Value state : op.getStates())
    starts.push_back(tensor(state));
  for (Value result : op->getResults().drop_front(states)) {
    SmallVector<Value> dynamic;
    for (OpFoldResult size : sizes(result))
      if (auto value = dyn_cast<Value>(size))
        dynamic.push_back(value);
    auto type = tensorType(result);
    starts.push_back(tensor::EmptyOp::create(
        builder, loc, type.clone(storageType(type.getElementType())), dynamic));
  }
  size_t results = starts.size(), checks = countChecks(op);
  for (size_t i = 0; i < checks; ++i)
    starts.push_back(makeSlot(builder, loc));
  onnx::SymbolicExpr trips = !op.getScanned().empty() ? shape(op.getScanned().front()).front()
                             : op.getCount()          ? shapes.scalar(op.getCount())
                                                      : onnx::SymbolicExpr();
  for (Value scanned : op.getScanned())
    tensor(scanned);
  OpFoldResult count = trips.isKnown() ? size(trips) : OpFoldResult(builder.getIndexAttr(0));
  Value condition = op.getCondition() ? tensor(op.getCondition()) : Value();
  View limit = op.getCount() ? View(view(op.getCount())) : View();
  IndexMath math{builder, loc};
  Value zero = math.number(0), one = math.number(1);
  frames.push_back({&op.getBody(), nullptr, {}, {}});
  auto enter = [&](Operation *loop, ValueRange slots) {
    frames.back().loop = loop;
    frames.back().slots.assign(slots.begin(), slots.end());
  };
  Operation *loop = nullptr;
  LogicalResult done = success();
  size_t first = 0; // of the loop's results, the one of state 0
  SmallVector<Value> next;
  if (!op.getCondition() && trips.isKnown()) {
    auto made = scf::ForOp::create(builder, loc, zero, math.size(count), one, starts);
    loop = made;
    ValueRange carried = made.getRegionIterArgs();
    enter(loop, carried.drop_front(results));
    builder.setInsertionPointToEnd(made.getBody());
    done = lowerBody(op, made.getInductionVar(), count, carried, next);
    scf::YieldOp::create(builder, loc, next);
  } else {
    SmallVector<Value> inits{zero};
    llvm::append_range(inits, starts);
    if (condition)
      inits.push_back(condition);
    auto readLimit = [&](OpBuilder &b, Location at) {
      return load(b, at, limit, b.getI64Type(), {});
    };
    function_ref<Value(OpBuilder &, Location)> below;
    if (op.getCount())
      below = readLimit;
    auto made = makeWhile(builder, loc, inits, condition != nullptr, below);
    loop = made;
    first = 1;
    ValueRange carried = made.getAfterArguments();
    enter(loop, carried.slice(1 + results, checks));
    builder.setInsertionPointToEnd(made.getAfterBody());
    next.push_back(IndexMath{builder, loc}.add(carried.front(), math.number(1)));
    done = lowerBody(op, carried.front(), count, carried.drop_front(1), next);
    scf::YieldOp::create(builder, loc, next);
  }
  builder.setInsertionPointAfter(loop);
  SmallVector<LoopFrame::Check> found = std::move(frames.back().checks);
  frames.pop_back();
  if (failed(done))
    return failure();
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    bind(result, loop->getResult(first + i));
  for (auto [i, wanted] : llvm::enumerate(found))
    check(loop->getResult(first + results + i), {builder.getIndexAttr(1)}, wanted.lower,
          wanted.upper, wanted.message);
  return success();
}

} // namespace rapt::fuse
