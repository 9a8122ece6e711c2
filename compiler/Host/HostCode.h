//===- HostCode.h - What the functions of an artifact have in common --------------*- C++ -*-===//
#ifndef RAPT_COMPILER_HOST_HOSTCODE_H
#define RAPT_COMPILER_HOST_HOSTCODE_H

#include "compiler/Host/Bounds.h"
#include "compiler/Host/Code.h"
#include "compiler/Host/IndexExpr.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace rapt::host {

/// Byte offsets of rapt_abi_context's function pointers.
inline constexpr int64_t kContextFail = 24, kContextCheckIndices = 32, kContextAfterCall = 40;

/// A function of the artifact, emitted from the index arithmetic and operations of @main. Its first
/// two arguments are the context and the values of the symbolic dims; it returns a status.
class HostCode {
protected:
  HostCode(mlir::OpBuilder &builder, mlir::func::FuncOp main, llvm::StringRef name,
           unsigned numArguments);

  mlir::Value argument(unsigned index) { return function.getArgument(index); }
  void bind(mlir::Value from, mlir::Value to) { values[from] = to; }
  mlir::Value lookup(mlir::Value from) { return values.lookup(from); }

  /// Loads the symbolic dims; an error when a kernel.dim names one that the model lacks.
  mlir::LogicalResult bindSymbols();
  mlir::ArrayRef<std::pair<llvm::StringRef, mlir::Value>> symbolValues() const { return symbols; }

  /// One operation of index arithmetic in 64 bits. Divisors are taken as at least 1: a graph that
  /// divides by a dim guards itself with kernel.require, and a division traps otherwise before that
  /// is checked.
  mlir::LogicalResult emitIndex(mlir::Operation *op);
  /// The same, or kernel.measure, in a function that does not measure: with the bound where there
  /// is one.
  mlir::LogicalResult emitBound(mlir::Operation *op, const UpperBounds &bounds);
  /// Fails when what is required does not hold.
  void emitRequire(kernel::RequireOp op);
  mlir::Value evaluate(const Product &product);

  /// Elements of a tensor with these dynamic sizes.
  static Product sizeOf(mlir::ShapedType type, mlir::ValueRange dynamicSizes);

  /// The output buffers among main's arguments, and the dynamic sizes that main returns for one.
  llvm::SmallVector<mlir::BlockArgument> outputs();
  mlir::ArrayRef<mlir::Value> outputSizes(mlir::BlockArgument output) {
    return sizesOfOutputs[output];
  }

  /// Stores the dims of the outputs, all of them one after the other.
  void storeOutputDims(mlir::Value to);

  /// Calls context->fail.
  mlir::Value fail(llvm::StringRef message, mlir::Value a, mlir::Value b);
  /// A zero-terminated constant. Every % but those of the last two %lld is doubled: messages end in
  /// a printf, and begin with names from the model file, which may hold anything.
  mlir::Value text(llvm::StringRef message);

  mlir::func::FuncOp main;
  Code code;

private:
  mlir::LLVM::LLVMFuncOp function;
  llvm::DenseMap<mlir::Value, mlir::Value> values;
  llvm::SmallVector<std::pair<llvm::StringRef, mlir::Value>> symbols;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> sizesOfOutputs;
};

} // namespace rapt::host

#endif // RAPT_COMPILER_HOST_HOSTCODE_H
