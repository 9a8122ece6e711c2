//===- EmptyDims.cpp - Which symbolic dims may be 0 ------------------------------------------===//
//
// Operations that loop over nothing when a tensor is empty are named here; every other one wants
// the dims of its operands and results to be at least 1. A symbol may be 0 if all those dims stay
// so, whatever the symbols that were let through before are. Symbols that the graph needs to be
// equal are let through together.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/EmptyDims.h"

#include "dialects/Onnx/Elementwise.h"
#include "dialects/Onnx/Onnx.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace rapt::onnx {

/// A window or a new split into dims is not among them: what is then read at the first index of an
/// empty dim lies outside of its operand.
static bool takesEmptyTensors(Operation *op) {
  return isElementwise(op) || isa<ConcatOp, ExpandOp, IdentityOp, ShapeOp, SizeOp, SqueezeOp,
                                  TransposeOp, UnsqueezeOp, func::ReturnOp>(op);
}

/// The expression in symbols of which no two are required to be equal.
static SymbolicExpr withOneNameEach(SymbolicExpr expr, ArrayRef<Requirement> requirements) {
  for (size_t round = 0; round < requirements.size(); ++round) {
    SymbolicExpr before = expr;
    for (const Requirement &requirement : requirements)
      if (requirement.equal && requirement.lhs.symbolName() && requirement.rhs.symbolName())
        expr = expr.substitute(*requirement.lhs.symbolName(), requirement.rhs);
    if (expr == before)
      break;
  }
  return expr;
}

/// Each dim, once, that is at least 1 and that some operation wants to be.
static SmallVector<SymbolicExpr> dimsToKeep(func::FuncOp function, const ShapeInference &shapes) {
  SmallVector<SymbolicExpr> dims;
  llvm::StringSet<> known;
  auto keep = [&](const SymbolicExpr &named) {
    SymbolicExpr dim = withOneNameEach(named.withPositiveMeasured(), shapes.requirements());
    if (!dim.constant() && dim.lowerBound() >= 1 && known.insert(dim.str()).second)
      dims.push_back(dim);
  };
  auto collect = [&](ValueRange values) {
    for (Value value : values)
      llvm::for_each(shapes.shape(value), keep);
  };
  // Either side of an equation may stand for both later on.
  for (const Requirement &requirement : shapes.requirements())
    if (requirement.equal && !(requirement.lhs.symbolName() && requirement.rhs.symbolName())) {
      keep(requirement.lhs);
      keep(requirement.rhs);
    }
  function.walk([&](Operation *op) {
    bool inLoop = op->getParentOp() != function;
    if (op == function || (takesEmptyTensors(op) && !inLoop))
      return;
    collect(op->getOperands());
    collect(op->getResults());
  });
  return dims;
}

/// The symbols, those first with which a concatenation begins: of a cache and new keys, one of
/// which may be empty, it is the cache.
static SmallVector<mlir::Attribute> cachesFirst(func::FuncOp function, const ShapeInference &shapes,
                                                ArrayRef<mlir::Attribute> symbols) {
  llvm::StringSet<> leading;
  function.walk([&](ConcatOp op) {
    ArrayRef<SymbolicExpr> first = shapes.shape(op.getInputs().front());
    if (op.getAxis() < first.size())
      if (std::optional<StringRef> symbol = first[op.getAxis()].symbolName())
        leading.insert(*symbol);
  });
  SmallVector<mlir::Attribute> result, others;
  for (mlir::Attribute symbol : symbols)
    (leading.contains(cast<StringAttr>(symbol).getValue()) ? result : others).push_back(symbol);
  result.append(others);
  return result;
}

SmallVector<mlir::Attribute> dimsThatMayBeEmpty(func::FuncOp function, const ShapeInference &shapes,
                                                ArrayRef<mlir::Attribute> symbols) {
  SmallVector<SymbolicExpr> dims = dimsToKeep(function, shapes);
  SmallVector<mlir::Attribute> result;
  for (mlir::Attribute attribute : cachesFirst(function, shapes, symbols)) {
    SymbolicExpr symbol = withOneNameEach(
        SymbolicExpr::symbol(cast<StringAttr>(attribute).getValue()), shapes.requirements());
    StringRef name = *symbol.symbolName();
    SmallVector<SymbolicExpr> lowered = dims;
    for (SymbolicExpr &dim : lowered)
      dim = dim.substitute(name, SymbolicExpr::symbol(name, /*least=*/0));
    if (llvm::any_of(lowered, [](const SymbolicExpr &dim) { return dim.lowerBound() < 1; }))
      continue;
    dims = std::move(lowered);
    result.push_back(attribute);
  }
  return result;
}

} // namespace rapt::onnx
