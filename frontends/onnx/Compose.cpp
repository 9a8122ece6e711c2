//===- Compose.cpp - Pieces of the operators that expand into others -------------------------===//

#include "frontends/onnx/Compose.h"

#include "dialects/Onnx/Requirements.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <algorithm>

using namespace mlir;

namespace rapt::onnx {

// --- Dims ---------------------------------------------------------------------------------------
Value dimsOf(NodeBuilder &b, Value x, int64_t begin, int64_t end) {
  return x ? b.make<ShapeOp>(x, begin, end) : Value();
}

Value shapeOf(NodeBuilder &b, Value x) { return dimsOf(b, x, 0, b.rank(x)); }
Value dimOf(NodeBuilder &b, Value x, int64_t axis) { return dimsOf(b, x, axis, axis + 1); }
Value scalarDimOf(NodeBuilder &b, Value x, int64_t axis) {
  return squeeze(b, dimOf(b, x, axis), {0});
}

Value joinDims(NodeBuilder &b, ArrayRef<Value> parts) {
  if (b.stopped())
    return {};
  if (parts.empty())
    return b.makeInts({});
  return parts.size() == 1 ? parts.front() : b.make<ConcatOp>(parts, 0);
}

Value reshape(NodeBuilder &b, Value x, Value shape) {
  return x && shape ? b.make<ReshapeOp>(x, shape, /*allowzero=*/true) : Value();
}

Value mergeDims(NodeBuilder &b, Value x, int64_t axis) {
  if (b.stopped() || !x)
    return {};
  Value both = binary<MulOp>(b, dimOf(b, x, axis), dimOf(b, x, axis + 1));
  Value before = dimsOf(b, x, 0, axis), after = dimsOf(b, x, axis + 2, b.rank(x));
  return reshape(b, x, joinDims(b, {before, both, after}));
}

Value moveAxis(NodeBuilder &b, Value x, int64_t from, int64_t to) {
  if (b.stopped() || !x)
    return {};
  SmallVector<int64_t> perm = otherAxes({from}, b.rank(x));
  perm.insert(perm.begin() + to, from);
  return transpose(b, x, perm);
}

// --- Positions ----------------------------------------------------------------------------------
SmallVector<int64_t> otherAxes(ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> others;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      others.push_back(i);
  return others;
}

Value alongAxis(NodeBuilder &b, Value vector, int64_t axis, int64_t rank) {
  return unsqueeze(b, vector, otherAxes({axis}, rank));
}

Value iota(NodeBuilder &b, Value limit, int64_t axis, int64_t rank) {
  Value start = scalarInt(b, 0), step = scalarInt(b, 1);
  if (b.stopped() || !limit)
    return {};
  return alongAxis(b, b.make<RangeOp>(start, limit, step), axis, rank);
}

void requireDims(NodeBuilder &b, Operation *op, const SymbolicExpr &lhs, const SymbolicExpr &rhs,
                 bool equal, const Twine &what) {
  size_t before = b.analysis().requirements().size();
  b.analysis().require(op, lhs, rhs, equal, what);
  // What operations ask for is found again whenever their shapes are inferred; this is not.
  emitRequirements(op->getParentOfType<func::FuncOp>(),
                   b.analysis().requirements().drop_front(before));
}

std::string openDimText(NodeBuilder &b, int64_t axis) {
  SymbolicExpr dim = b.dim(b.in(0), axis);
  std::string text =
      "dim " + std::to_string(axis) + " of input 0 is " + dim.str() + ", which is not constant";
  if (std::optional<StringRef> name = dim.symbolName())
    text += " (--dim " + name->str() + "=NUMBER makes it so)";
  return text;
}

// --- Numbers ------------------------------------------------------------------------------------
int64_t clampDistance(int64_t distance) { return std::clamp(distance, -farDistance, farDistance); }

Value scalarInt(NodeBuilder &b, int64_t value) {
  auto type = RankedTensorType::get({}, b.ops().getI64Type());
  return b.makeConstant(DenseElementsAttr::get(type, value));
}

Value scalarOf(NodeBuilder &b, Value value, Type type, StringRef name) {
  if (b.stopped() || !value)
    return {};
  bool oneElement =
      b.rank(value) == 0 || (b.rank(value) == 1 && b.analysis().shape(value).front().is(1));
  if (!oneElement || b.elementType(value) != type) {
    std::string text;
    llvm::raw_string_ostream(text) << value.getType();
    b.error("'" + name + "' has type " + text + ", expected one " +
            (type.isInteger(1) ? "bool" : "int64"));
    return {};
  }
  return b.rank(value) == 1 ? squeeze(b, value, {0}) : value;
}

Value castTo(NodeBuilder &b, Value x, Type type) {
  return !x || b.elementType(x) == type ? x : b.makeTyped<CastOp>(type, x);
}

Type wideType(NodeBuilder &b, Value x) {
  Type type = b.elementType(x);
  if (!isa<FloatType>(type))
    return b.ops().getF64Type();
  return type.getIntOrFloatBitWidth() < 32 ? b.ops().getF32Type() : type;
}

std::string typeName(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

void expectFloat(NodeBuilder &b, Value x, StringRef name) {
  Type type = b.elementType(x);
  if (!b.stopped() && !isa<FloatType>(type))
    b.error("input '" + name + "' has element type " + typeName(type) + ", expected a float type");
}

Value unsqueeze(NodeBuilder &b, Value x, ArrayRef<int64_t> axes) {
  return !x || axes.empty() ? x : b.make<UnsqueezeOp>(x, axes);
}

Value squeeze(NodeBuilder &b, Value x, ArrayRef<int64_t> axes) {
  return !x || axes.empty() ? x : b.make<SqueezeOp>(x, axes);
}

Value transpose(NodeBuilder &b, Value x, ArrayRef<int64_t> perm) {
  return !x || llvm::is_sorted(perm) ? x : b.make<TransposeOp>(x, perm);
}

Value where(NodeBuilder &b, Value condition, Value x, Value y) {
  return condition && x && y ? b.make<WhereOp>(condition, x, y) : Value();
}

// --- Sequences ----------------------------------------------------------------------------------
void insertRun(NodeBuilder &b, Sequence &sequence, Sequence::Run run, bool atFront) {
  if (!sequence.carried) {
    if (atFront && run.stacked && !b.stopped()) // each element before the last one
      run.value = b.make<SliceOp>(run.value, b.makeInts({-1}), b.makeInts({-farDistance}),
                                  ArrayRef<int64_t>{0}, ArrayRef<int64_t>{-1});
    sequence.runs.insert(atFront ? sequence.runs.begin() : sequence.runs.end(), run);
    return;
  }
  if (!sequence.runs.empty() && sequence.atFront != atFront)
    return b.unsupported("a loop inserts at both ends of a sequence");
  sequence.atFront = atFront;
  sequence.runs.push_back(run);
}

Value stackElements(NodeBuilder &b, const Sequence &sequence) {
  SmallVector<Value> parts;
  for (const Sequence::Run &run : sequence.runs)
    parts.push_back(run.stacked ? run.value : unsqueeze(b, run.value, {0}));
  if (b.stopped())
    return {};
  return parts.size() == 1 ? parts.front() : b.make<ConcatOp>(parts, 0);
}

// --- Compositions -------------------------------------------------------------------------------
Value logSoftmax(NodeBuilder &b, Value x, int64_t axis) {
  Type type = b.elementType(x);
  Value wide = castTo(b, x, wideType(b, x));
  Value shifted = binary<SubOp>(b, wide, reduce<ReduceMaxOp>(b, wide, {axis}));
  Value sum = reduce<ReduceSumOp>(b, unary<ExpOp>(b, shifted), {axis});
  return castTo(b, binary<SubOp>(b, shifted, unary<LogOp>(b, sum)), type);
}

Value argExtremum(NodeBuilder &b, Value x, int64_t axis, bool largest, bool last) {
  Value extremum = largest ? reduce<ReduceMaxOp>(b, x, {axis}) : reduce<ReduceMinOp>(b, x, {axis});
  Value here = binary<EqualOp>(b, x, extremum);
  // Where there is a NaN, the extremum is NaN and equals nothing.
  if (isa<FloatType>(b.elementType(x)))
    here = binary<OrOp>(b, here, unary<IsNaNOp>(b, x));
  Value size = scalarDimOf(b, x, axis), position = iota(b, size, axis, b.rank(x));
  Value index = where(b, here, position, last ? scalarInt(b, -1) : size);
  return last ? reduce<ReduceMaxOp>(b, index, {axis}) : reduce<ReduceMinOp>(b, index, {axis});
}

Value fusedActivation(NodeBuilder &b, Value x, StringRef name, ArrayRef<float> parameters) {
  if (b.stopped())
    return {};
  auto parameter = [&](size_t i) { return i < parameters.size() ? parameters[i] : 0.0f; };
  Type type = b.elementType(x);
  if (name.empty())
    return x;
  if (name == "Relu")
    return unary<ReluOp>(b, x);
  if (name == "Sigmoid")
    return unary<SigmoidOp>(b, x);
  if (name == "Tanh")
    return unary<TanhOp>(b, x);
  if (name == "LeakyRelu")
    return where(b, withScalar<LessOp>(b, x, 0), withScalar<MulOp>(b, x, parameter(0)), x);
  Value low = b.makeScalar(type, name == "Clip" ? parameter(0) : 0);
  Value high = b.makeScalar(type, name == "Clip" ? parameter(1) : 1);
  if (name == "HardSigmoid")
    x = withScalar<AddOp>(b, withScalar<MulOp>(b, x, parameter(0)), parameter(1));
  else if (name != "Clip")
    b.unsupported("attribute 'activation' is '" + name + "'");
  Value above = b.stopped() ? Value() : b.make<MaxOp>(SmallVector<Value>{x, low});
  return b.stopped() ? Value() : b.make<MinOp>(SmallVector<Value>{above, high});
}

} // namespace rapt::onnx
