//===- Code.h - Short names for LLVM dialect operations ---------------------------*- C++ -*-===//
//
// A builder whose methods read like the C code that they make. All offsets are in bytes.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_HOST_CODE_H
#define RAPT_COMPILER_HOST_CODE_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace rapt::host {

class Code : public mlir::ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  using Value = mlir::Value;
  using Type = mlir::Type;
  using Compare = mlir::LLVM::ICmpPredicate;

  Type pointer() { return mlir::LLVM::LLVMPointerType::get(getContext()); }
  Type word() { return getI64Type(); }
  Type status() { return getI32Type(); }

  Value number(Type type, int64_t value) {
    return mlir::LLVM::ConstantOp::create(*this, type, getIntegerAttr(type, value));
  }
  Value number(int64_t value) { return number(word(), value); }
  Value null() { return mlir::LLVM::ZeroOp::create(*this, pointer()); }

  Value add(Value a, Value b) { return mlir::LLVM::AddOp::create(*this, a, b); }
  Value sub(Value a, Value b) { return mlir::LLVM::SubOp::create(*this, a, b); }
  Value mul(Value a, Value b) { return mlir::LLVM::MulOp::create(*this, a, b); }
  Value div(Value a, Value b) { return mlir::LLVM::SDivOp::create(*this, a, b); }
  Value rem(Value a, Value b) { return mlir::LLVM::SRemOp::create(*this, a, b); }
  Value is(Compare predicate, Value a, Value b) {
    return mlir::LLVM::ICmpOp::create(*this, predicate, a, b);
  }
  Value select(Value condition, Value a, Value b) {
    return mlir::LLVM::SelectOp::create(*this, condition, a, b);
  }
  Value max(Value a, Value b) { return select(is(Compare::sgt, a, b), a, b); }
  Value min(Value a, Value b) { return select(is(Compare::slt, a, b), a, b); }

  Value at(Value base, Value offset) {
    return mlir::LLVM::GEPOp::create(*this, pointer(), getI8Type(), base,
                                     llvm::ArrayRef<mlir::LLVM::GEPArg>{offset});
  }
  Value at(Value base, int64_t offset) { return offset == 0 ? base : at(base, number(offset)); }
  Value load(Type type, Value base, int64_t offset) {
    return mlir::LLVM::LoadOp::create(*this, type, at(base, offset));
  }
  void store(Value value, Value base, int64_t offset) {
    mlir::LLVM::StoreOp::create(*this, value, at(base, offset));
  }

  /// Calls the function of type int(types of arguments...) that `callee` points to.
  Value callPointer(Value callee, llvm::ArrayRef<Value> arguments) {
    llvm::SmallVector<Value> operands{callee};
    operands.append(arguments.begin(), arguments.end());
    llvm::SmallVector<Type> types;
    for (Value argument : arguments)
      types.push_back(argument.getType());
    return mlir::LLVM::CallOp::create(*this, mlir::LLVM::LLVMFunctionType::get(status(), types),
                                      operands)
        .getResult();
  }

  /// Returns `value` when `condition` holds (`makeValue` adds code to that path); goes on in a new
  /// block.
  void returnIf(Value condition, llvm::function_ref<Value()> makeValue) {
    mlir::Block *current = getInsertionBlock();
    mlir::Region *region = current->getParent();
    mlir::Block *leave = createBlock(region, region->end());
    mlir::LLVM::ReturnOp::create(*this, makeValue());
    mlir::Block *next = createBlock(region, region->end());
    setInsertionPointToEnd(current);
    mlir::LLVM::CondBrOp::create(*this, condition, leave, next);
    setInsertionPointToEnd(next);
  }
  void returnIfNonZero(Value code) {
    returnIf(is(Compare::ne, code, number(status(), 0)), [&] { return code; });
  }
};

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_CODE_H
