//===- Dialects.cpp - What Rapt's tools can parse --------------------------------------===//
//
// Rapt's own dialects and those of upstream that the IR has between two stages.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/tools/Dialects.h"

#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Onnx.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

void rapt::registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<onnx::OnnxDialect, attn::AttnDialect, kernel::KernelDialect>();
  registry
      .insert<mlir::arith::ArithDialect, mlir::bufferization::BufferizationDialect,
              mlir::cf::ControlFlowDialect, mlir::func::FuncDialect, mlir::linalg::LinalgDialect,
              mlir::LLVM::LLVMDialect, mlir::math::MathDialect, mlir::memref::MemRefDialect,
              mlir::scf::SCFDialect, mlir::tensor::TensorDialect>();
}
