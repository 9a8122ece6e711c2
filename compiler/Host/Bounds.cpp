//===- Bounds.cpp - The most that sizes can be which data decides ---------------------------===//
//
// Interval arithmetic in the IR: a measured size is from 0 to its bound, and each operation on such
// ranges has a least and a greatest result.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/Bounds.h"

#include "compiler/Host/IndexExpr.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

static bool isPositive(Value divisor) {
  std::optional<int64_t> number = constantIndex(divisor);
  return number && *number >= 1;
}

void Bounds::goToFront() {
  Block::iterator first = block.begin();
  while (first != block.end() && isIndexArithmetic(&*first))
    ++first;
  builder.setInsertionPoint(&block, first);
}

Value Bounds::number(int64_t value) {
  Value result = arith::ConstantIndexOp::create(builder, loc, value);
  made.push_back(result.getDefiningOp());
  return result;
}

template <typename Op> Value Bounds::make(Value a, Value b) {
  // People read bounds.
  bool zero = constantIndex(a) == 0;
  if (std::is_same_v<Op, arith::SubIOp> && (a == b || constantIndex(b) == 0))
    return a == b ? number(0) : a;
  if ((std::is_same_v<Op, arith::FloorDivSIOp> || std::is_same_v<Op, arith::MulIOp>) && zero)
    return a;
  if ((std::is_same_v<Op, arith::MinSIOp> || std::is_same_v<Op, arith::MaxSIOp>) && a == b)
    return a;
  Value result = Op::create(builder, loc, a, b);
  made.push_back(result.getDefiningOp());
  return result;
}

Bounds::Range Bounds::compute(Operation *op) {
  if (auto measure = dyn_cast<kernel::MeasureOp>(op))
    return {number(0), measure.getBound()};
  if (op->getNumOperands() < 2)
    return {};
  unsigned first = isa<arith::SelectOp>(op);
  Range a = rangeOf(op->getOperand(first)), b = rangeOf(op->getOperand(first + 1));
  if (!a.low || !b.low)
    return {};
  goToFront();
  if (isa<arith::AddIOp>(op))
    return {make<arith::AddIOp>(a.low, b.low), make<arith::AddIOp>(a.high, b.high)};
  if (isa<arith::SubIOp>(op))
    return {make<arith::SubIOp>(a.low, b.high), make<arith::SubIOp>(a.high, b.low)};
  if (isa<arith::MaxSIOp>(op))
    return {make<arith::MaxSIOp>(a.low, b.low), make<arith::MaxSIOp>(a.high, b.high)};
  if (isa<arith::MinSIOp>(op))
    return {make<arith::MinSIOp>(a.low, b.low), make<arith::MinSIOp>(a.high, b.high)};
  if (isa<arith::SelectOp>(op))
    return {make<arith::MinSIOp>(a.low, b.low), make<arith::MaxSIOp>(a.high, b.high)};
  if (isa<arith::MulIOp>(op)) {
    if (isNonNegative(a.low) && isNonNegative(b.low))
      return {make<arith::MulIOp>(a.low, b.low), make<arith::MulIOp>(a.high, b.high)};
    Range result;
    for (Value x : {a.low, a.high})
      for (Value y : {b.low, b.high}) {
        Value product = make<arith::MulIOp>(x, y);
        result.low = result.low ? make<arith::MinSIOp>(result.low, product) : product;
        result.high = result.high ? make<arith::MaxSIOp>(result.high, product) : product;
      }
    return result;
  }
  // Rounding down keeps the order of what is divided; divisors are at least 1 (HostCode.h).
  if (isa<arith::FloorDivSIOp>(op)) {
    Value least = isPositive(b.low) ? b.low : make<arith::MaxSIOp>(b.low, number(1));
    Value most = b.low == b.high      ? least
                 : isPositive(b.high) ? b.high
                                      : make<arith::MaxSIOp>(b.high, number(1));
    if (least == most)
      return {make<arith::FloorDivSIOp>(a.low, least), make<arith::FloorDivSIOp>(a.high, least)};
    return {make<arith::MinSIOp>(make<arith::FloorDivSIOp>(a.low, least),
                                 make<arith::FloorDivSIOp>(a.low, most)),
            make<arith::MaxSIOp>(make<arith::FloorDivSIOp>(a.high, least),
                                 make<arith::FloorDivSIOp>(a.high, most))};
  }
  return {};
}

Bounds::Range Bounds::rangeOf(Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  Operation *op = value.getDefiningOp();
  if (!kernel::isMeasured(value))
    return known[value] = {value, value};
  goToFront();
  Range range = compute(op);
  return known[value] = range;
}

Value Bounds::upper(Value size) { return rangeOf(size).high; }

void Bounds::eraseUnused() {
  for (Operation *op : llvm::reverse(made))
    if (op->use_empty())
      op->erase();
  made.clear();
  known.clear();
}

FailureOr<UpperBounds> host::boundMeasured(Block &block) {
  SmallVector<Operation *> measured;
  for (Operation &op : block)
    if ((isIndexArithmetic(&op) || isa<kernel::MeasureOp>(op)) &&
        op.getResult(0).getType().isIndex() && kernel::isMeasured(op.getResult(0)))
      measured.push_back(&op);
  Bounds bounds(block);
  UpperBounds result;
  for (Operation *op : measured)
    if (!(result[op->getResult(0)] = bounds.upper(op->getResult(0))))
      return op->emitOpError() << "gives a size that depends on data and has no bound";
  return result;
}
