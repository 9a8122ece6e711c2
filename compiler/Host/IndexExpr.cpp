//===- IndexExpr.cpp - The host's index arithmetic, read back ---------------------------===//
//
// Scalars of the host function (kernel.dim and arith on index) => products for comparing sizes, and
// text for people.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/IndexExpr.h"

#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

bool host::isIndexArithmetic(Operation *op) {
  if (isa<kernel::DimOp>(op))
    return true;
  return isa<arith::ArithDialect>(op->getDialect()) && op->getNumResults() == 1 &&
         (op->getResult(0).getType().isIndex() || op->getResult(0).getType().isInteger(1));
}

std::optional<int64_t> host::constantIndex(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto integer = constant ? dyn_cast<IntegerAttr>(constant.getValue()) : IntegerAttr();
  return integer ? std::optional(integer.getValue().getSExtValue()) : std::nullopt;
}

/// What is known of an index from the operations that made it.
static int64_t leastOf(Value value, int depth = 8) {
  constexpr int64_t unknown = -1; // also where it would be more than 1
  if (std::optional<int64_t> number = constantIndex(value))
    return std::clamp<int64_t>(*number, unknown, 1);
  Operation *op = value.getDefiningOp();
  if (auto dim = dyn_cast_or_null<kernel::DimOp>(op))
    return !dim.getMaybeEmpty();
  if (isa_and_nonnull<kernel::MeasureOp>(op))
    return 0;
  if (!isa_and_nonnull<arith::AddIOp, arith::MulIOp, arith::MaxSIOp, arith::MinSIOp>(op) ||
      depth == 0)
    return unknown;
  int64_t a = leastOf(op->getOperand(0), depth - 1), b = leastOf(op->getOperand(1), depth - 1);
  if (isa<arith::MaxSIOp>(op) || (isa<arith::AddIOp>(op) && std::min(a, b) >= 0))
    return std::max(a, b);
  return std::min(a, b) >= 0 || isa<arith::MinSIOp>(op) ? std::min(a, b) : unknown;
}

static bool dependsOnMaybeEmpty(Value value, int depth = 8) {
  Operation *op = value.getDefiningOp();
  if (auto dim = dyn_cast_or_null<kernel::DimOp>(op))
    return dim.getMaybeEmpty();
  if (isa_and_nonnull<kernel::MeasureOp>(op))
    return true;
  return op && (depth == 0 || llvm::any_of(op->getOperands(), [&](Value operand) {
                  return dependsOnMaybeEmpty(operand, depth - 1);
                }));
}

bool host::isNonNegative(Value value) { return leastOf(value) >= 0; }

bool host::mayBeEmpty(Value value) { return leastOf(value) < 1 && dependsOnMaybeEmpty(value); }

/// Wraps around instead of overflowing: such sizes fail the checks that `plan` makes.
void Product::multiply(int64_t value) { factor = int64_t(uint64_t(factor) * uint64_t(value)); }

/// Position in the entry block, where all index arithmetic is.
static bool isBefore(Value a, Value b) {
  Operation *first = a.getDefiningOp(), *second = b.getDefiningOp();
  if (!first || !second)
    return second && !first;
  return first != second && first->getBlock() == second->getBlock() &&
         first->isBeforeInBlock(second);
}

void Product::multiply(Value value) {
  if (std::optional<int64_t> number = constantIndex(value))
    return multiply(*number);
  if (auto product = value.getDefiningOp<arith::MulIOp>()) {
    multiply(product.getLhs());
    return multiply(product.getRhs());
  }
  atoms.insert(llvm::upper_bound(atoms, value, isBefore), value);
}

/// Binding strength of an expression's outermost operator.
enum Strength { Sum, Term, Atom };

static std::string print(Value value, Strength context, int depth) {
  if (depth == 0)
    return "...";
  if (std::optional<int64_t> number = constantIndex(value))
    return std::to_string(*number);
  Operation *op = value.getDefiningOp();
  if (auto dim = dyn_cast_or_null<kernel::DimOp>(op))
    return dim.getSymbol().str();
  if (auto measure = dyn_cast_or_null<kernel::MeasureOp>(op))
    return measure.getSymbol().str();
  if (!op || op->getNumOperands() != 2)
    return "...";
  auto infix = [&](const char *sign, Strength own) {
    Strength right = isa<arith::AddIOp, arith::MulIOp>(op) ? own : Strength(own + 1);
    std::string text = print(op->getOperand(0), own, depth - 1) + sign +
                       print(op->getOperand(1), right, depth - 1);
    return own < context ? "(" + text + ")" : text;
  };
  auto call = [&](const char *name) {
    return std::string(name) + "(" + print(op->getOperand(0), Sum, depth - 1) + ", " +
           print(op->getOperand(1), Sum, depth - 1) + ")";
  };
  if (isa<arith::AddIOp>(op))
    return infix(" + ", Sum);
  if (isa<arith::SubIOp>(op))
    return infix(" - ", Sum);
  if (isa<arith::MulIOp>(op))
    return infix(" * ", Term);
  if (isa<arith::DivSIOp, arith::FloorDivSIOp>(op))
    return infix(" / ", Term);
  if (isa<arith::RemSIOp>(op))
    return infix(" % ", Term);
  if (isa<arith::CeilDivSIOp>(op))
    return call("ceildiv");
  if (isa<arith::MaxSIOp>(op))
    return call("max");
  if (isa<arith::MinSIOp>(op))
    return call("min");
  return "...";
}

std::string host::textOf(Value value) { return print(value, Sum, 8); }

std::string host::textOf(const Product &product) {
  std::string text;
  if (product.factor != 1 || product.atoms.empty())
    text = std::to_string(product.factor);
  for (Value atom : product.atoms)
    text += (text.empty() ? "" : " * ") + print(atom, Atom, 8);
  return text;
}
