//===- VersionsScatter.cpp - Operators that write at computed places, and TopK ---------------===//
//
// Scatter is the older name of ScatterElements. TensorScatter writes a run of positions of a cache
// and becomes a ScatterElements whose indices are computed.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// `reduction` came with opset 16 (add, mul) and 18 (max, min).
StringRef reductionOf(NodeBuilder &b) {
  if (b.opset() < 16)
    return "none";
  StringRef reduction = b.stringAttr("reduction", "none");
  bool known = reduction == "none" || reduction == "add" || reduction == "mul" ||
               (b.opset() >= 18 && (reduction == "max" || reduction == "min"));
  if (!known)
    b.error("attribute 'reduction' is '" + reduction + "', expected none, add, mul, max or min");
  return reduction;
}

void upgradeScatterElements(NodeBuilder &b) {
  Value data = b.in(0), indices = b.in(1), updates = b.in(2);
  int64_t axis = b.normalized(b.intAttr("axis", 0), b.rank(data));
  StringRef reduction = reductionOf(b);
  if (!b.stopped())
    b.out(0, b.make<ScatterElementsOp>(data, indices, updates, axis, reduction));
}

void upgradeScatterND(NodeBuilder &b) {
  Value data = b.in(0), indices = b.in(1), updates = b.in(2);
  StringRef reduction = reductionOf(b);
  if (!b.stopped())
    b.out(0, b.make<ScatterNDOp>(data, indices, updates, reduction));
}

/// Element i of the update, along `axis`, goes to write_indices[batch] + i: a scatter. Circular:
/// modulo the cache's dim.
void upgradeTensorScatter(NodeBuilder &b) {
  Value cache = b.in(0), update = b.in(1), starts = b.optional(2);
  int64_t rank = b.rank(cache), axis = b.normalized(b.intAttr("axis", -2), rank);
  StringRef mode = b.stringAttr("mode", "linear");
  if (mode != "linear" && mode != "circular")
    b.error("attribute 'mode' is '" + mode + "', expected linear or circular");
  if (b.rank(update) != rank)
    b.error("input 'update' has rank " + Twine(b.rank(update)) + ", expected " + Twine(rank));
  if (!b.stopped() && axis == 0)
    b.error("axis is 0, expected another than the batch");
  if (starts && b.rank(starts) != 1)
    b.error("input 'write_indices' has rank " + Twine(b.rank(starts)) + ", expected 1");
  if (b.stopped())
    return;
  if (SymbolicExpr size = b.dim(update, axis), room = b.dim(cache, axis);
      SymbolicExpr::provablyAtMost(room + SymbolicExpr(1), size))
    return b.error("dim " + Twine(axis) + " of input 'update' is " + size.str() +
                   ", expected at most " + room.str() + " as the cache has");
  Value places = iota(b, scalarDimOf(b, update, axis), axis, rank);
  if (starts)
    places =
        binary<AddOp>(b, alongAxis(b, castTo(b, starts, b.ops().getI64Type()), 0, rank), places);
  if (mode == "circular" && places) {
    Value dim = scalarDimOf(b, cache, axis);
    places = dim ? b.make<ModOp>(places, dim, false) : Value();
  }
  Value shape = shapeOf(b, update);
  Value indices = places && shape ? b.make<ExpandOp>(places, shape) : Value();
  if (indices)
    b.out(0, b.make<ScatterElementsOp>(cache, indices, update, axis, "none"));
}

/// k is an attribute below opset 10; `largest` and `sorted` came with 11. The result is always
/// sorted.
void upgradeTopK(NodeBuilder &b) {
  Value x = b.in(0), k;
  int64_t axis = b.normalized(b.intAttr("axis", -1), b.rank(x));
  bool largest = b.opset() < 11 || b.flagAttr("largest", true);
  if (b.opset() >= 11)
    b.ignoreAttr("sorted");
  if (b.opset() >= 10)
    k = b.in(1);
  else if (int64_t count = b.requiredInt("k"); !b.stopped())
    k = b.makeInts({count});
  if (b.stopped())
    return;
  OpBuilder &ops = b.ops();
  Type type = UnrankedTensorType::get(b.elementType(x)),
       indexType = UnrankedTensorType::get(ops.getI64Type());
  auto top = TopKOp::create(ops, b.location(), TypeRange{type, indexType}, x, k, axis, largest);
  if (!b.finish(top))
    return;
  b.out(0, top.getValues());
  b.out(1, top.getIndices());
}
} // namespace

void addScatter(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral all = "float, int, bool";
  constexpr llvm::StringLiteral reduction = "reduction: add and mul since 16, max and min since 18";
  table.insert(table.end(),
               {
                   {"Scatter", 9, all, "becomes ScatterElements", upgradeScatterElements},
                   {"ScatterElements", 11, all, reduction, upgradeScatterElements},
                   {"ScatterND", 11, all, reduction, upgradeScatterND},
                   {"TensorScatter", 24, all, "becomes ScatterElements", upgradeTensorScatter},
                   {"TopK", 7, "float, int",
                    "k must follow from constants and input dims; always sorted", upgradeTopK},
               });
}

} // namespace rapt::onnx
