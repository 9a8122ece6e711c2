//===- HostCode.cpp - What the functions of an artifact have in common ------------------===//
//
// Index arithmetic becomes the same operations on i64 with defined results for every value; texts
// become constants that are safe to format.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/HostCode.h"

#include "compiler/Host/Host.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

HostCode::HostCode(OpBuilder &builder, func::FuncOp main, StringRef name, unsigned numArguments)
    : main(main), code(main.getLoc(), builder) {
  SmallVector<Type> types(numArguments, code.pointer());
  function = LLVM::LLVMFuncOp::create(code, name, LLVM::LLVMFunctionType::get(code.status(), types),
                                      LLVM::Linkage::Internal);
  Block *entry = function.addEntryBlock(code);
  code.setInsertionPointToEnd(entry);
  ValueRange sizes = main.getBody().front().getTerminator()->getOperands();
  for (BlockArgument output : outputs()) {
    unsigned count = cast<MemRefType>(output.getType()).getNumDynamicDims();
    sizesOfOutputs[output] = llvm::to_vector(sizes.take_front(count));
    sizes = sizes.drop_front(count);
  }
}

SmallVector<BlockArgument> HostCode::outputs() {
  SmallVector<BlockArgument> result;
  for (BlockArgument argument : main.getArguments())
    if (main.getArgAttr(argument.getArgNumber(), kOutputAttr))
      result.push_back(argument);
  return result;
}

LogicalResult HostCode::bindSymbols() {
  llvm::StringMap<Value> byName;
  if (auto names = main->getAttrOfType<ArrayAttr>(kernel::kSymbolsAttr))
    for (auto name : names.getAsRange<StringAttr>()) {
      Value value = code.load(code.word(), argument(1), 8 * symbols.size());
      symbols.emplace_back(name.getValue(), value);
      byName[name.getValue()] = value;
    }
  for (auto dim : main.getOps<kernel::DimOp>()) {
    auto found = byName.find(dim.getSymbol());
    if (found == byName.end())
      return dim.emitOpError() << "names '" << dim.getSymbol() << "', which is not in '"
                               << kernel::kSymbolsAttr << "'";
    bind(dim.getValue(), found->second);
  }
  return success();
}

static LLVM::ICmpPredicate predicateOf(arith::CmpIPredicate predicate) {
  return static_cast<LLVM::ICmpPredicate>(
      predicate); // both count eq, ne, slt, sle, sgt, sge, ult, ...
}

LogicalResult HostCode::emitIndex(Operation *op) {
  if (isa<kernel::DimOp>(op))
    return success();
  Value result = op->getResult(0);
  if (std::optional<int64_t> number = constantIndex(result)) {
    bind(result, result.getType().isIndex() ? code.number(*number)
                                            : code.number(code.getI1Type(), *number & 1));
    return success();
  }
  auto operand = [&](unsigned index) { return lookup(op->getOperand(index)); };
  auto divisor = [&] {
    std::optional<int64_t> number = constantIndex(op->getOperand(1));
    return number && *number >= 1 ? operand(1) : code.max(operand(1), code.number(1));
  };
  // Rounds the truncating quotient where the remainder has the given sign.
  auto divide = [&](LLVM::ICmpPredicate roundWhen, int64_t by) {
    Value a = operand(0), b = divisor(), quotient = code.div(a, b);
    Value inexact = code.is(roundWhen, code.rem(a, b), code.number(0));
    return code.select(inexact, code.add(quotient, code.number(by)), quotient);
  };
  Value value;
  if (isa<arith::AddIOp>(op))
    value = code.add(operand(0), operand(1));
  else if (isa<arith::SubIOp>(op))
    value = code.sub(operand(0), operand(1));
  else if (isa<arith::MulIOp>(op))
    value = code.mul(operand(0), operand(1));
  else if (isa<arith::DivSIOp>(op))
    value = code.div(operand(0), divisor());
  else if (isa<arith::RemSIOp>(op))
    value = code.rem(operand(0), divisor());
  else if (isa<arith::FloorDivSIOp>(op))
    value = divide(Code::Compare::slt, -1);
  else if (isa<arith::CeilDivSIOp>(op))
    value = divide(Code::Compare::sgt, 1);
  else if (isa<arith::MaxSIOp>(op))
    value = code.max(operand(0), operand(1));
  else if (isa<arith::MinSIOp>(op))
    value = code.min(operand(0), operand(1));
  else if (isa<arith::AndIOp>(op))
    value = LLVM::AndOp::create(code, operand(0), operand(1));
  else if (isa<arith::OrIOp>(op))
    value = LLVM::OrOp::create(code, operand(0), operand(1));
  else if (auto compare = dyn_cast<arith::CmpIOp>(op))
    value = code.is(predicateOf(compare.getPredicate()), operand(0), operand(1));
  else if (isa<arith::SelectOp>(op))
    value = code.select(operand(0), operand(1), operand(2));
  else
    return op->emitOpError() << "is not part of the host's index arithmetic";
  bind(result, value);
  return success();
}

LogicalResult HostCode::emitBound(Operation *op, const UpperBounds &bounds) {
  Value bound = bounds.lookup(op->getResult(0));
  if (!bound)
    return emitIndex(op);
  bind(op->getResult(0), lookup(bound));
  return success();
}

void HostCode::emitRequire(kernel::RequireOp op) {
  Value lhs = lookup(op.getLhs()), rhs = lookup(op.getRhs());
  auto wrong = op.getEqual() ? Code::Compare::ne : Code::Compare::sgt;
  code.returnIf(code.is(wrong, lhs, rhs), [&] { return fail(op.getMessage(), lhs, rhs); });
}

void HostCode::storeOutputDims(Value to) {
  int64_t offset = 0;
  for (BlockArgument output : outputs()) {
    ArrayRef<Value> sizes = outputSizes(output);
    for (int64_t size : cast<MemRefType>(output.getType()).getShape()) {
      bool isDynamic = ShapedType::isDynamic(size);
      code.store(isDynamic ? lookup(sizes.front()) : code.number(size), to, offset);
      sizes = sizes.drop_front(isDynamic);
      offset += 8;
    }
  }
}

Value HostCode::evaluate(const Product &product) {
  Value value = code.number(product.factor);
  for (Value atom : product.atoms)
    value = code.mul(value, lookup(atom));
  return value;
}

Product HostCode::sizeOf(ShapedType type, ValueRange dynamicSizes) {
  Product result;
  for (int64_t size : type.getShape()) {
    if (ShapedType::isDynamic(size)) {
      result.multiply(dynamicSizes.front());
      dynamicSizes = dynamicSizes.drop_front();
    } else {
      result.multiply(size);
    }
  }
  return result;
}

Value HostCode::fail(StringRef message, Value a, Value b) {
  Value callee = code.load(code.pointer(), argument(0), kContextFail);
  return code.callPointer(callee, {argument(0), text(message), a, b});
}

Value HostCode::text(StringRef message) {
  std::string bytes;
  size_t last = message.rfind("%lld");
  size_t first = message.take_front(last == StringRef::npos ? 0 : last).rfind("%lld");
  for (size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '%' && i != first && i != last)
      bytes += '%';
    if (message[i] != '\0')
      bytes += message[i];
  }
  bytes += '\0';
  auto module = main->getParentOfType<ModuleOp>();
  StringAttr content = code.getStringAttr(bytes);
  unsigned count = 0;
  for (auto global : module.getOps<LLVM::GlobalOp>()) {
    if (global.getValueOrNull() == content)
      return LLVM::AddressOfOp::create(code, global);
    ++count;
  }
  OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
  auto type = LLVM::LLVMArrayType::get(code.getI8Type(), bytes.size());
  auto global =
      LLVM::GlobalOp::create(top, main.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Internal,
                             "rapt_text_" + std::to_string(count), content);
  return LLVM::AddressOfOp::create(code, global);
}
