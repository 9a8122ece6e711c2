//===- LowerConcat.cpp - Concat => one generic that chooses among its parts ------------===//
//
// Every part is read at a place that exists, whichever is chosen: indices are clamped. A part that
// is empty is read at 0, where the host has room for one element in each empty dim; a slice that
// may be empty is read where it lies in its operand.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Lowering.h"

#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace rapt::fuse {

using onnx::SymbolicExpr;

/// A kernel chooses among at most so many parts, each of them a load and a comparison for every
/// element; more are joined in groups first.
static constexpr size_t kMostParts = 16;

namespace {
/// One operand of a Concat, or several that are joined.
struct Part {
  View source;
  SymbolicExpr start, extent; ///< on the axis, of the result
  Value offset, end;          ///< of a slice: where it begins, and the last index of what it is of
};
} // namespace

/// The tensor of shape `sizes` that `parts` make side by side on `axis`.
static Value chooseAmong(Lowering &lowering, ArrayRef<Part> parts, const Sizes &sizes, int64_t axis,
                         Type element) {
  auto valueOf = [&](const SymbolicExpr &expr) { return lowering.indexValue(lowering.size(expr)); };
  SmallVector<Value> starts, lasts; // indices; the last one of an empty part is -1
  for (const Part &part : parts) {
    starts.push_back(valueOf(part.start - parts.front().start));
    lasts.push_back(valueOf(part.extent - SymbolicExpr(1)));
  }
  return lowering.map(sizes, element, {}, [&](OpBuilder &b, Location loc, ValueRange) {
    SmallVector<Value> position;
    for (size_t i = 0; i < sizes.size(); ++i)
      position.push_back(linalg::IndexOp::create(b, loc, i));
    Value along = position[axis], zero = arith::ConstantIndexOp::create(b, loc, 0), chosen;
    for (auto [part, start, last] : llvm::zip_equal(parts, starts, lasts)) {
      bool maybeEmpty = part.extent.lowerBound() < 1;
      Value inside = arith::SubIOp::create(b, loc, along, start);
      Value clamped = arith::MinSIOp::create(
          b, loc, maybeEmpty ? inside : arith::MaxSIOp::create(b, loc, inside, zero), last);
      if (maybeEmpty)
        clamped = arith::MaxSIOp::create(b, loc, clamped, zero);
      if (part.offset)
        clamped = arith::MinSIOp::create(
            b, loc, arith::AddIOp::create(b, loc, clamped, part.offset), part.end);
      position[axis] = clamped;
      Value loaded = lowering.load(b, loc, part.source, element, position);
      Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, inside, zero);
      chosen = chosen ? arith::SelectOp::create(b, loc, here, loaded, chosen).getResult() : loaded;
    }
    return chosen;
  });
}

LogicalResult Lowering::lowerConcat(onnx::ConcatOp op) {
  int64_t axis = op.getAxis();
  if (op.getInputs().size() == 1)
    return bind(op.getConcatResult(), View(view(op.getInputs()[0]))), success();
  SmallVector<Part> parts;
  SymbolicExpr start = 0;
  for (Value input : op.getInputs()) {
    const SymbolicExpr extent = shape(input)[axis];
    if (extent.is(0))
      continue;
    Part part{{}, start, extent, {}, {}};
    auto slice = input.getDefiningOp<onnx::SliceOp>();
    // A size that is 0 while the result is not: what is read then lies in the memory of that part.
    bool isStored = extent.lowerBound() < 1 && extent.hasMeasured() && !inLoop();
    if (!isStored && slice && isReadThrough(slice)) {
      input = slice.getData();
      part.offset = indexValue(size(*startOf(slice, 0)));
      part.end = indexValue(size(shape(input)[axis] - SymbolicExpr(1)));
    } else if (!isStored) {
      requireNonEmpty(extent);
    }
    part.source = isStored ? stored(input) : view(input);
    parts.push_back(std::move(part));
    start = start + extent;
  }
  Type element = tensorType(op.getConcatResult()).getElementType();
  Sizes whole = sizes(op.getConcatResult());
  // All of a loop is one kernel anyway.
  while (parts.size() > kMostParts && !inLoop()) {
    SmallVector<Part> joined;
    for (ArrayRef<Part> rest = parts; !rest.empty();) {
      ArrayRef<Part> group = rest.take_front(kMostParts);
      rest = rest.drop_front(group.size());
      if (group.size() == 1) {
        joined.push_back(group.front());
        continue;
      }
      SymbolicExpr extent = group.back().start + group.back().extent - group.front().start;
      Sizes shape = whole;
      shape[axis] = size(extent);
      Value tensor = chooseAmong(*this, group, shape, axis, element);
      tensor.getDefiningOp()->setAttr(kernel::kStoredAttr, builder.getUnitAttr());
      joined.push_back({View::of(tensor), group.front().start, extent, {}, {}});
    }
    parts = std::move(joined);
  }
  bind(op.getConcatResult(), chooseAmong(*this, parts, whole, axis, element));
  return success();
}

} // namespace rapt::fuse
