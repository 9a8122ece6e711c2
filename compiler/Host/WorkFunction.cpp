//===- WorkFunction.cpp - How much each call of a run has to do --------------------------===//
//
// The index arithmetic of @main, then for each call its kernel's two polynomials of the dims that
// it passes, in double precision: no size overflows, and nobody needs more digits.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/WorkFunction.h"

#include "compiler/Host/Host.h"
#include "compiler/Host/HostCode.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

namespace {

class WorkFunction : HostCode {
public:
  WorkFunction(OpBuilder &builder, func::FuncOp main, CallTable &table, const UpperBounds &bounds)
      : HostCode(builder, main, kWorkName, 3), table(table), bounds(bounds) {}

  LogicalResult build() {
    if (failed(bindSymbols()))
      return failure();
    for (Operation &op : main.getBody().front())
      if ((isIndexArithmetic(&op) || isa<kernel::MeasureOp>(op)) && failed(emitBound(&op, bounds)))
        return failure();
    int64_t offset = 0;
    for (auto call : main.getOps<kernel::CallOp>()) {
      const kernels::Work &work = table.kernels[table.indexOf(call.getCallee())].work;
      for (const kernels::ExtentSum *sum : {&work.flops, &work.bytes}) {
        FailureOr<Value> value = valueOf(*sum, call);
        if (failed(value))
          return failure();
        code.store(*value, argument(2), offset);
        offset += 8;
      }
    }
    LLVM::ReturnOp::create(code, code.number(code.status(), 0));
    return success();
  }

private:
  Value real(int64_t value) {
    Type type = code.getF64Type();
    return LLVM::ConstantOp::create(code, type, code.getFloatAttr(type, double(value)));
  }

  FailureOr<Value> valueOf(const kernels::ExtentSum &sum, kernel::CallOp call) {
    Value result = real(0);
    for (const kernels::Extent &term : sum.terms()) {
      Value product = real(term.factor);
      for (int dim : term.dims) {
        if (size_t(dim) >= call.getDims().size())
          return call.emitOpError() << "passes " << call.getDims().size()
                                    << " dims, but the work of the kernel depends on dim " << dim;
        Value size = LLVM::SIToFPOp::create(code, code.getF64Type(), lookup(call.getDims()[dim]));
        product = LLVM::FMulOp::create(code, product, size);
      }
      result = LLVM::FAddOp::create(code, result, product);
    }
    return result;
  }

  CallTable &table;
  const UpperBounds &bounds;
};

} // namespace

LogicalResult host::buildWorkFunction(OpBuilder &builder, func::FuncOp main, CallTable &table,
                                      const UpperBounds &bounds) {
  return WorkFunction(builder, main, table, bounds).build();
}
