//===- RaiseRotaryEmbedding.cpp - Rotary positions => onnx.RotaryEmbedding ------------------===//
//
// In:  either  x * cos + Concat(-x[R / 2:], x[:R / 2]) * sin
//      or      Concat(a * c - b * s, b * c + a * s), a and b the halves of x.
//      The halves may also be the even and the odd elements, put together by a Concat along a new
//      dim and a Reshape. x may be the first R elements of a longer row, whose rest a Concat adds.
// Out: onnx.RotaryEmbedding, which lowers to one pass over x. c and s of half a row are repeated.
//
// Only where sin and cos broadcast to x, not x to them.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Match.h"
#include "dialects/Onnx/ShapeInference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;
using fuse::tensorType;

namespace {

/// The static last dim of a tensor; 0 if there is none.
int64_t width(Value value) {
  auto type = tensorType(value);
  return type.getRank() == 0 || type.isDynamicDim(type.getRank() - 1) ? 0 : type.getShape().back();
}

bool isLastAxis(int64_t axis, Value value) { return axis == tensorType(value).getRank() - 1; }

/// Elements start, start + step, ... of the last dim of `root`, `size` of them.
struct Part {
  Value root;
  int64_t start = 0, size = 0, step = 1;

  bool operator==(const Part &other) const {
    return root == other.root && start == other.start && size == other.size && step == other.step;
  }
};

/// `value` as a part of what slices and splits take it from.
Part partOf(Value value, int depth = 0) {
  Part whole{value, 0, width(value), 1};
  Operation *op = value.getDefiningOp();
  if (!op || whole.size == 0 || depth > 8)
    return whole;
  int64_t start = 0, step = 1;
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    std::optional<double> number = fuse::scalarConstant(slice.getStarts());
    int64_t extent = width(slice.getData());
    if (!number || extent == 0 || slice.getAxes().size() != 1 || slice.getSteps()[0] < 1 ||
        !isLastAxis(slice.getAxes()[0], value))
      return whole;
    start = static_cast<int64_t>(std::clamp<double>(*number < 0 ? *number + extent : *number, 0,
                                                    static_cast<double>(extent)));
    step = slice.getSteps()[0];
  } else if (auto split = dyn_cast<onnx::SplitOp>(op)) {
    if (!isLastAxis(split.getAxis(), value))
      return whole;
    for (Value output : split->getResults()) {
      if (output == value)
        break;
      if (width(output) == 0)
        return whole;
      start += width(output);
    }
  } else {
    return whole;
  }
  Part from = partOf(op->getOperand(0), depth + 1);
  return {from.root, from.start + start * from.step, whole.size, from.step * step};
}

/// The two parts of a row that are turned against each other.
struct Pairs {
  Part row; // both parts, as one piece
  bool interleaved;
};

std::optional<Pairs> pairsOf(Value first, Value second) {
  Part a = partOf(first), b = partOf(second);
  if (a.root != b.root || a.size != b.size || a.size == 0 || a.step != b.step)
    return std::nullopt;
  if (a.step == 1 && b.start == a.start + a.size)
    return Pairs{{a.root, a.start, 2 * a.size, 1}, false};
  if (a.step == 2 && b.start == a.start + 1)
    return Pairs{{a.root, a.start, 2 * a.size, 1}, true};
  return std::nullopt;
}

/// What stands behind a Reshape that adds or drops one dim of size one at the end.
Value withoutUnit(Value value) {
  auto reshape = value.getDefiningOp<onnx::ReshapeOp>();
  auto type = tensorType(value);
  if (!reshape || type.getRank() != tensorType(reshape.getData()).getRank() + 1 ||
      type.getShape().back() != 1)
    return {};
  return reshape.getData();
}

/// The two tensors that `value` is made of: halves of its last dim, or its even and odd elements.
struct Joined {
  Value first, second;
  bool interleaved;
};

std::optional<Joined> joined(Value value) {
  bool interleaved = false;
  Value source = value;
  if (auto reshape = value.getDefiningOp<onnx::ReshapeOp>()) {
    source = reshape.getData();
    interleaved = true;
    if (tensorType(source).getRank() != tensorType(value).getRank() + 1)
      return std::nullopt;
  }
  auto concat = source.getDefiningOp<onnx::ConcatOp>();
  if (!concat || concat.getInputs().size() != 2 || !isLastAxis(concat.getAxis(), source))
    return std::nullopt;
  Value first = concat.getInputs()[0], second = concat.getInputs()[1];
  if (interleaved) {
    first = withoutUnit(first);
    second = withoutUnit(second);
  }
  if (!first || !second || 2 * width(first) != width(value) || width(first) != width(second))
    return std::nullopt;
  return Joined{first, second, interleaved};
}

/// A rotation that has been found: of the elements `row`, which `x` is where the graph has them as
/// a tensor of their own.
struct Rotation {
  Part row;
  Value x, cosine, sine;
  bool interleaved = false, halfAngles = false;
};

/// x * cos + turned(x) * sin
std::optional<Rotation> matchTurned(onnx::AddOp add) {
  for (auto [plain, turned] : {std::pair(add.getA(), add.getB()), {add.getB(), add.getA()}}) {
    auto own = plain.getDefiningOp<onnx::MulOp>(), other = turned.getDefiningOp<onnx::MulOp>();
    if (!own || !other)
      return std::nullopt;
    for (auto [row, sine] : {std::pair(other.getA(), other.getB()), {other.getB(), other.getA()}}) {
      std::optional<Joined> parts = joined(row);
      auto negated = parts ? parts->first.getDefiningOp<onnx::NegOp>() : nullptr;
      std::optional<Pairs> pairs =
          negated ? pairsOf(parts->second, negated.getInput()) : std::nullopt;
      if (!pairs || pairs->interleaved != parts->interleaved)
        continue;
      for (auto [x, cosine] : {std::pair(own.getA(), own.getB()), {own.getB(), own.getA()}})
        if (partOf(x) == pairs->row && width(sine) == pairs->row.size &&
            width(cosine) == pairs->row.size)
          return Rotation{pairs->row, x, cosine, sine, pairs->interleaved, false};
    }
  }
  return std::nullopt;
}

/// Whether `value` is a * b.
bool isProduct(Value value, Value a, Value b) {
  auto mul = value.getDefiningOp<onnx::MulOp>();
  return mul && ((mul.getA() == a && mul.getB() == b) || (mul.getA() == b && mul.getB() == a));
}

/// Concat(a * c - b * s, b * c + a * s)
std::optional<Rotation> matchHalves(Value value) {
  std::optional<Joined> parts = joined(value);
  auto real = parts ? parts->first.getDefiningOp<onnx::SubOp>() : nullptr;
  auto imaginary = parts ? parts->second.getDefiningOp<onnx::AddOp>() : nullptr;
  auto ac = real ? real.getA().getDefiningOp<onnx::MulOp>() : nullptr;
  auto bs = real ? real.getB().getDefiningOp<onnx::MulOp>() : nullptr;
  if (!imaginary || !ac || !bs)
    return std::nullopt;
  for (auto [a, c] : {std::pair(ac.getA(), ac.getB()), {ac.getB(), ac.getA()}})
    for (auto [b, s] : {std::pair(bs.getA(), bs.getB()), {bs.getB(), bs.getA()}}) {
      Value x = imaginary.getA(), y = imaginary.getB();
      bool crossed =
          (isProduct(x, b, c) && isProduct(y, a, s)) || (isProduct(y, b, c) && isProduct(x, a, s));
      std::optional<Pairs> pairs = crossed ? pairsOf(a, b) : std::nullopt;
      if (pairs && pairs->interleaved == parts->interleaved && width(c) == width(a) &&
          width(s) == width(a))
        return Rotation{pairs->row, {}, c, s, pairs->interleaved, true};
    }
  return std::nullopt;
}

class Raiser {
public:
  explicit Raiser(func::FuncOp func) : func(func) {}

  LogicalResult run() {
    if (failed(shapes.run(func)))
      return failure();
    Block &body = func.getBody().front();
    for (Operation &op : llvm::make_early_inc_range(body))
      raise(&op);
    eraseDead(body);
    return success();
  }

private:
  void raise(Operation *op) {
    std::optional<Rotation> match;
    if (auto add = dyn_cast<onnx::AddOp>(op))
      match = matchTurned(add);
    else if (isa<onnx::ConcatOp, onnx::ReshapeOp>(op))
      match = matchHalves(op->getResult(0));
    if (!match)
      return;
    Value result = op->getResult(0), x = match->x;
    Value root = match->row.root;
    if (match->row.start == 0 && sameButLast(result, root)) {
      if (match->row.size == width(root))
        x = root;
      else if (Value whole = withRest(result, match->row))
        std::tie(result, x) = std::pair(whole, root);
    }
    if (!x || !sameButLast(result, x) || width(result) != width(x) ||
        !isa<FloatType>(tensorType(x).getElementType()))
      return;
    OpBuilder builder(result.getDefiningOp());
    Value cosine = angles(builder, *match, match->cosine),
          sine = angles(builder, *match, match->sine);
    auto raised = onnx::RotaryEmbeddingOp::create(
        builder, result.getLoc(), result.getType(), x, cosine, sine,
        builder.getI64IntegerAttr(match->row.size), builder.getBoolAttr(match->interleaved));
    // Another rotation may read this one's result, and asks for its dims.
    shapes.bindArgument(raised.getY(), onnx::Shape(shapes.shape(result)));
    result.replaceAllUsesWith(raised.getY());
  }

  bool sameButLast(Value a, Value b) {
    ArrayRef<onnx::SymbolicExpr> x = shapes.shape(a), y = shapes.shape(b);
    return !x.empty() && x.size() == y.size() && x.drop_back() == y.drop_back();
  }

  /// Concat(rotated, rest of the row) if that is all that becomes of `rotated`.
  Value withRest(Value rotated, const Part &row) {
    auto concat = rotated.hasOneUse() ? dyn_cast<onnx::ConcatOp>(*rotated.user_begin()) : nullptr;
    if (!concat || concat.getInputs().size() != 2 || concat.getInputs()[0] != rotated ||
        !isLastAxis(concat.getAxis(), concat.getConcatResult()))
      return {};
    Part rest{row.root, row.size, width(row.root) - row.size, 1};
    return partOf(concat.getInputs()[1]) == rest ? concat.getConcatResult() : Value();
  }

  /// cos or sin with one number an element of the row.
  static Value angles(OpBuilder &builder, const Rotation &match, Value value) {
    if (!match.halfAngles)
      return value;
    int64_t size = match.row.size;
    SmallVector<int64_t> places;
    for (int64_t d = 0; d < size; ++d)
      places.push_back(match.interleaved ? d / 2 : d % (size / 2));
    auto type = RankedTensorType::get({size}, builder.getI64Type());
    Value indices = onnx::ConstantOp::create(builder, value.getLoc(), type,
                                             DenseElementsAttr::get(type, ArrayRef(places)))
                        .getOutput();
    SmallVector<int64_t> shape(tensorType(value).getShape());
    shape.back() = size;
    int64_t axis = tensorType(value).getRank() - 1;
    return onnx::GatherOp::create(builder, value.getLoc(), tensorType(value).clone(shape), value,
                                  indices, builder.getI64IntegerAttr(axis))
        .getOutput();
  }

  func::FuncOp func;
  onnx::ShapeInference shapes;
};

struct RaiseRotaryEmbedding : PassWrapper<RaiseRotaryEmbedding, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RaiseRotaryEmbedding)
  StringRef getArgument() const final { return "raise-rotary-embedding"; }
  StringRef getDescription() const final {
    return "x * cos + turned(x) * sin => onnx.RotaryEmbedding";
  }
  void runOnOperation() final {
    if (!getOperation().isExternal() && failed(Raiser(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createRaiseRotaryEmbeddingPass() {
  return std::make_unique<RaiseRotaryEmbedding>();
}
