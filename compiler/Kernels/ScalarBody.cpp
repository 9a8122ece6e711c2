//===- ScalarBody.cpp - The inside of a linalg.generic as an Expr ----------------------===//
//
// In:  arith, math, linalg.index and tensor.extract on scalars. Out: one Expr. Integer widths and
//      signedness follow arith; what an Expr cannot say is an error that names the operation.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/ScalarBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rapt::kernels;

std::optional<ScalarType> rapt::kernels::scalarType(Type type) {
  if (type.isF32())
    return ScalarType::F32;
  if (type.isF64())
    return ScalarType::F64;
  if (type.isF16())
    return ScalarType::F16;
  if (type.isBF16())
    return ScalarType::BF16;
  if (isa<IndexType>(type))
    return ScalarType::I64;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  switch (integer.getWidth()) {
  case 1:
    return ScalarType::Bool;
  case 8:
    return integer.isUnsigned() ? ScalarType::U8 : ScalarType::I8;
  case 16:
    return integer.isUnsigned() ? std::nullopt : std::optional(ScalarType::I16);
  case 32:
    return integer.isUnsigned() ? std::nullopt : std::optional(ScalarType::I32);
  case 64:
    return integer.isUnsigned() ? std::nullopt : std::optional(ScalarType::I64);
  default:
    return std::nullopt;
  }
}

ExprRef rapt::kernels::constantExpr(TypedAttr value) {
  auto type = scalarType(value.getType());
  if (!type)
    return nullptr;
  if (auto real = dyn_cast<FloatAttr>(value))
    return Expr::makeFloat(real.getValueAsDouble(), *type);
  if (auto integer = dyn_cast<IntegerAttr>(value))
    return Expr::makeInt(*type == ScalarType::Bool ? integer.getValue().getZExtValue()
                                                   : integer.getValue().getSExtValue(),
                         *type);
  return nullptr;
}

ExprRef rapt::kernels::constantExpr(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  return constant && constant.getType().isIntOrIndexOrFloat() ? constantExpr(constant.getValue())
                                                              : nullptr;
}

static std::optional<UnaryOp> unaryOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<UnaryOp>>(op)
      .Case<arith::NegFOp>([](auto) { return UnaryOp::Neg; })
      .Case<math::AbsFOp, math::AbsIOp>([](auto) { return UnaryOp::Abs; })
      .Case<math::ExpOp>([](auto) { return UnaryOp::Exp; })
      .Case<math::LogOp>([](auto) { return UnaryOp::Log; })
      .Case<math::SqrtOp>([](auto) { return UnaryOp::Sqrt; })
      .Case<math::RsqrtOp>([](auto) { return UnaryOp::Rsqrt; })
      .Case<math::ErfOp>([](auto) { return UnaryOp::Erf; })
      .Case<math::TanhOp>([](auto) { return UnaryOp::Tanh; })
      .Case<math::SinOp>([](auto) { return UnaryOp::Sin; })
      .Case<math::CosOp>([](auto) { return UnaryOp::Cos; })
      .Case<math::FloorOp>([](auto) { return UnaryOp::Floor; })
      .Case<math::CeilOp>([](auto) { return UnaryOp::Ceil; })
      .Case<math::RoundEvenOp>([](auto) { return UnaryOp::Round; })
      .Case<math::IsNaNOp>([](auto) { return UnaryOp::IsNan; })
      .Default([](auto) { return std::nullopt; });
}

static std::optional<BinaryOp> binaryOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<BinaryOp>>(op)
      .Case<arith::AddFOp, arith::AddIOp>([](auto) { return BinaryOp::Add; })
      .Case<arith::SubFOp, arith::SubIOp>([](auto) { return BinaryOp::Sub; })
      .Case<arith::MulFOp, arith::MulIOp>([](auto) { return BinaryOp::Mul; })
      .Case<arith::DivFOp, arith::DivSIOp>([](auto) { return BinaryOp::Div; })
      .Case<arith::RemSIOp>([](auto) { return BinaryOp::Mod; })
      .Case<arith::FloorDivSIOp>([](auto) { return BinaryOp::FloorDiv; })
      .Case<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp>([](auto) { return BinaryOp::Max; })
      .Case<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp>([](auto) { return BinaryOp::Min; })
      .Case<math::PowFOp>([](auto) { return BinaryOp::Pow; })
      .Case<arith::AndIOp>([](auto) { return BinaryOp::And; })
      .Case<arith::OrIOp>([](auto) { return BinaryOp::Or; })
      .Case<arith::XOrIOp>([](auto) { return BinaryOp::Xor; })
      .Case([](arith::CmpIOp cmp) -> std::optional<BinaryOp> {
        switch (cmp.getPredicate()) {
        case arith::CmpIPredicate::eq:
          return BinaryOp::Eq;
        case arith::CmpIPredicate::ne:
          return BinaryOp::Ne;
        case arith::CmpIPredicate::slt:
          return BinaryOp::Lt;
        case arith::CmpIPredicate::sle:
          return BinaryOp::Le;
        case arith::CmpIPredicate::sgt:
          return BinaryOp::Gt;
        case arith::CmpIPredicate::sge:
          return BinaryOp::Ge;
        default:
          return std::nullopt;
        }
      })
      .Case([](arith::CmpFOp cmp) -> std::optional<BinaryOp> {
        switch (cmp.getPredicate()) {
        case arith::CmpFPredicate::OEQ:
          return BinaryOp::Eq;
        case arith::CmpFPredicate::UNE:
          return BinaryOp::Ne;
        case arith::CmpFPredicate::OLT:
          return BinaryOp::Lt;
        case arith::CmpFPredicate::OLE:
          return BinaryOp::Le;
        case arith::CmpFPredicate::OGT:
          return BinaryOp::Gt;
        case arith::CmpFPredicate::OGE:
          return BinaryOp::Ge;
        default:
          return std::nullopt;
        }
      })
      .Default([](auto) { return std::nullopt; });
}

/// i1 to wider is unsigned wherever it matters: true is 1.
static bool isConversion(Operation *op) {
  if (isa<arith::ExtSIOp, arith::SIToFPOp>(op) && op->getOperand(0).getType().isInteger(1))
    return false;
  if (isa<arith::ExtUIOp, arith::UIToFPOp>(op)) {
    Type from = op->getOperand(0).getType();
    return from.isInteger(1) || from.isUnsignedInteger();
  }
  return isa<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::FPToSIOp, arith::ExtSIOp,
             arith::TruncIOp, arith::IndexCastOp>(op);
}

/// Unsigned integers, which a KernelSpec does not have, by way of signed ones: widened with the
/// high bits cleared, or with the sign bit flipped, which turns their order into the signed one.
/// Null for other operations, and where 64 bits would have to be widened.
static ExprRef unsignedForm(Operation *op, const std::vector<ExprRef> &operands) {
  if (op->getNumOperands() == 0)
    return nullptr;
  auto integer = dyn_cast<IntegerType>(op->getOperand(0).getType());
  auto type = scalarType(op->getResult(0).getType());
  if (!integer || !type || integer.getWidth() == 1)
    return nullptr;
  unsigned width = integer.getWidth();
  ScalarType from = operands[0]->type;
  auto widened = [&](const ExprRef &x) {
    ExprRef mask = Expr::makeInt((int64_t(1) << width) - 1);
    return Expr::makeBinary(BinaryOp::And, Expr::makeCast(ScalarType::I64, x), mask);
  };
  auto flipped = [&](const ExprRef &x) {
    return Expr::makeBinary(BinaryOp::Xor, x, Expr::makeInt(llvm::minIntN(width), from));
  };
  auto ordered = [&](BinaryOp binary) {
    return Expr::makeBinary(binary, flipped(operands[0]), flipped(operands[1]));
  };
  auto widenedPair = [&](BinaryOp binary) {
    return Expr::makeCast(from,
                          Expr::makeBinary(binary, widened(operands[0]), widened(operands[1])));
  };
  if (isa<arith::MaxUIOp>(op))
    return flipped(ordered(BinaryOp::Max));
  if (isa<arith::MinUIOp>(op))
    return flipped(ordered(BinaryOp::Min));
  if (auto cmp = dyn_cast<arith::CmpIOp>(op)) {
    switch (cmp.getPredicate()) {
    case arith::CmpIPredicate::ult:
      return ordered(BinaryOp::Lt);
    case arith::CmpIPredicate::ule:
      return ordered(BinaryOp::Le);
    case arith::CmpIPredicate::ugt:
      return ordered(BinaryOp::Gt);
    case arith::CmpIPredicate::uge:
      return ordered(BinaryOp::Ge);
    default:
      return nullptr;
    }
  }
  if (width == 64)
    return nullptr;
  if (isa<arith::ExtUIOp, arith::UIToFPOp>(op))
    return Expr::makeCast(*type, widened(operands[0]));
  if (isa<arith::DivUIOp>(op))
    return widenedPair(BinaryOp::Div);
  if (isa<arith::RemUIOp>(op))
    return widenedPair(BinaryOp::Mod);
  return nullptr;
}

static llvm::Error noKernelForm(Operation *op) {
  return llvm::createStringError("'" + op->getName().getStringRef() + "' op has no kernel form");
}

static llvm::Expected<ExprRef> translateOp(Operation *op, ScalarScope &scope) {
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return scope.loops[index.getDim()];
  if (ExprRef constant = constantExpr(op->getResult(0)))
    return constant;
  std::vector<ExprRef> operands;
  for (Value operand : op->getOperands()) {
    if (isa<ShapedType>(operand.getType()))
      continue; // tensor.extract loads from it below
    auto translated = translateScalar(operand, scope);
    if (!translated)
      return translated.takeError();
    operands.push_back(*translated);
  }
  auto type = scalarType(op->getResult(0).getType());
  if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
    ExprRef loaded = scope.load(extract.getTensor(), operands);
    return loaded ? llvm::Expected<ExprRef>(loaded) : noKernelForm(op);
  }
  if (!type)
    return noKernelForm(op);
  if (isa<arith::SelectOp>(op))
    return Expr::makeSelect(operands[0], operands[1], operands[2]);
  if (auto unary = unaryOf(op))
    return Expr::makeUnary(*unary, operands[0]);
  if (isa<math::TanOp>(op))
    return Expr::makeBinary(BinaryOp::Div, Expr::makeUnary(UnaryOp::Sin, operands[0]),
                            Expr::makeUnary(UnaryOp::Cos, operands[0]));
  if (ExprRef form = unsignedForm(op, operands))
    return form;
  if (auto binary = binaryOf(op))
    return Expr::makeBinary(*binary, operands[0], operands[1]);
  if (isConversion(op))
    return Expr::makeCast(*type, operands[0]);
  return noKernelForm(op);
}

llvm::Expected<ExprRef> rapt::kernels::translateScalar(Value value, ScalarScope &scope) {
  if (auto it = scope.values.find(value); it != scope.values.end())
    return it->second;
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    // The kernel's own dims are the only other arguments a body may use.
    if (arg.getType().isIndex() && static_cast<int>(arg.getArgNumber()) < scope.numDims)
      return Expr::makeDim(static_cast<int>(arg.getArgNumber()));
    return llvm::createStringError("uses a value from outside that is no dim of the kernel");
  }
  auto translated = translateOp(value.getDefiningOp(), scope);
  if (translated)
    scope.values[value] = *translated;
  return translated;
}

std::optional<std::pair<Reduction, Value>> rapt::kernels::matchCombiner(Value yielded,
                                                                        Value accumulator) {
  Operation *op = yielded.getDefiningOp();
  if (!op || op->getNumOperands() != 2 || !accumulator.hasOneUse())
    return std::nullopt;
  auto kind = llvm::TypeSwitch<Operation *, Reduction>(op)
                  .Case<arith::AddFOp, arith::AddIOp>([](auto) { return Reduction::Sum; })
                  .Case<arith::MulFOp, arith::MulIOp>([](auto) { return Reduction::Prod; })
                  .Case<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp>(
                      [](auto) { return Reduction::Max; })
                  .Case<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp>(
                      [](auto) { return Reduction::Min; })
                  .Default([](auto) { return Reduction::None; });
  if (kind == Reduction::None)
    return std::nullopt;
  if (op->getOperand(0) == accumulator)
    return std::pair(kind, op->getOperand(1));
  if (op->getOperand(1) == accumulator)
    return std::pair(kind, op->getOperand(0));
  return std::nullopt;
}

bool rapt::kernels::isNeutral(Reduction reduction, Value init) {
  auto constant = init.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return false;
  if (auto real = dyn_cast<FloatAttr>(constant.getValue())) {
    const APFloat &value = real.getValue();
    bool lowest = value.isInfinity() || value.isLargest() ||
                  value.bitwiseIsEqual(APFloat::getLargest(value.getSemantics(), true));
    switch (reduction) {
    case Reduction::Sum:
      return value.isZero();
    case Reduction::Prod:
      return value.isExactlyValue(1.0);
    case Reduction::Max:
      return lowest && value.isNegative();
    case Reduction::Min:
      return lowest && !value.isNegative();
    case Reduction::None:
      return false;
    }
  }
  auto integer = dyn_cast<IntegerAttr>(constant.getValue());
  if (!integer)
    return false;
  const APInt &value = integer.getValue();
  switch (reduction) {
  case Reduction::Sum:
    return value.isZero();
  case Reduction::Prod:
    return value.isOne();
  case Reduction::Max:
    return value.isMinSignedValue();
  case Reduction::Min:
    return value.isMaxSignedValue();
  case Reduction::None:
    return false;
  }
  return false;
}

std::optional<std::vector<ExprRef>> rapt::kernels::mapIndices(AffineMap map,
                                                              llvm::ArrayRef<ExprRef> loops) {
  std::function<ExprRef(AffineExpr)> translate = [&](AffineExpr expr) -> ExprRef {
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      return loops[dim.getPosition()];
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return Expr::makeInt(constant.getValue());
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!binary)
      return nullptr;
    ExprRef lhs = translate(binary.getLHS()), rhs = translate(binary.getRHS());
    if (!lhs || !rhs)
      return nullptr;
    switch (binary.getKind()) {
    case AffineExprKind::Add:
      return Expr::makeBinary(BinaryOp::Add, lhs, rhs);
    case AffineExprKind::Mul:
      return Expr::makeBinary(BinaryOp::Mul, lhs, rhs);
    case AffineExprKind::Mod:
      return Expr::makeBinary(BinaryOp::FloorMod, lhs, rhs);
    case AffineExprKind::FloorDiv:
      return Expr::makeBinary(BinaryOp::FloorDiv, lhs, rhs);
    default:
      return nullptr;
    }
  };
  std::vector<ExprRef> indices;
  for (AffineExpr expr : map.getResults()) {
    indices.push_back(translate(expr));
    if (!indices.back())
      return std::nullopt;
  }
  return indices;
}
