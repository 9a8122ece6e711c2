//===- Reference.cpp - kernel.func => LLVM function, through plain loops ----------------===//
//
// In:  kernel.func @sym without `object`, its body in linalg, attn, tensor, arith, math on tensors.
// Out: llvm.func internal @sym (uniform convention) that fills in memref descriptors and calls
//      llvm.func private @sym.body, which is upstream's lowering of the body. Intermediate tensors
//      come from malloc; when it has no memory left, the kernel calls context->fail.
//
// Everything happens in a module of its own, so that upstream's conversions never see the host's
// code.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/Reference.h"

#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "runtime/include/rapt_abi.h"

#include <cstddef>

using namespace mlir;
using namespace rapt;

namespace {

/// What the wrapper needs to know once the body is LLVM code.
struct Signature {
  std::string name;
  Location loc;
  int64_t numDims;
  SmallVector<MemRefType> tensors;                // inputs, then results
  SmallVector<SmallVector<int64_t>> dynamicSizes; // of each tensor: dim numbers of its `?`s
};

std::string bodyName(StringRef kernel) { return (kernel + ".body").str(); }

Signature describe(kernel::FuncOp kernel) {
  Signature result{
      kernel.getSymName().str(), kernel.getLoc(), int64_t(kernel.getNumDims()), {}, {}};
  Block &block = kernel.getBody().front();
  auto add = [&](TypeRange types, ArrayAttr shapes) {
    for (auto [index, type] : llvm::enumerate(types)) {
      result.tensors.push_back(kernel::bufferOf(type));
      result.dynamicSizes.push_back(llvm::to_vector(kernel::dynamicDims(shapes, index)));
    }
  };
  add(TypeRange(block.getArgumentTypes()).drop_front(result.numDims), kernel.getInputShapes());
  add(block.getTerminator()->getOperandTypes(), kernel.getResultShapes());
  return result;
}

/// func.func @sym.body(dims, input buffers, output buffers), still computing on tensors inside.
void buildBody(OpBuilder &builder, kernel::FuncOp kernel, const Signature &signature) {
  SmallVector<Type> types(signature.numDims, builder.getIndexType());
  llvm::append_range(types, signature.tensors);
  auto function = func::FuncOp::create(builder, kernel.getLoc(), bodyName(signature.name),
                                       builder.getFunctionType(types, {}));
  function.setPrivate();
  Block *entry = function.addEntryBlock();
  OpBuilder inner = OpBuilder::atBlockEnd(entry);
  Block &block = kernel.getBody().front();
  IRMapping mapping;
  for (auto [from, to] : llvm::zip(block.getArguments(), entry->getArguments())) {
    Value value = to;
    if (isa<MemRefType>(to.getType()))
      value = bufferization::ToTensorOp::create(inner, kernel.getLoc(), from.getType(), to,
                                                /*restrict=*/true);
    mapping.map(from, value);
  }
  for (Operation &op : block.without_terminator())
    inner.clone(op, mapping);
  unsigned out = block.getNumArguments();
  for (Value result : block.getTerminator()->getOperands())
    bufferization::MaterializeInDestinationOp::create(
        inner, kernel.getLoc(), TypeRange(), mapping.lookupOrDefault(result),
        entry->getArgument(out++), /*restrict=*/true, /*writable=*/true);
  func::ReturnOp::create(inner, kernel.getLoc());
}

/// Upstream's expansion of memref.expand_shape knows groups with one dynamic dim at most. Those
/// with more become casts to the sizes that the operation carries.
void castExpandedShapes(ModuleOp module) {
  SmallVector<memref::ExpandShapeOp> found;
  module.walk([&](memref::ExpandShapeOp op) {
    for (const ReassociationIndices &group : op.getReassociationIndices())
      if (llvm::count_if(group, [&](int64_t dim) { return op.getResultType().isDynamicDim(dim); }) >
          1)
        return found.push_back(op);
  });
  for (memref::ExpandShapeOp op : found) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    MemRefType type = op.getResultType();
    auto source = memref::ExtractStridedMetadataOp::create(b, loc, op.getSrc());
    auto [strides, offset] = type.getStridesAndOffset();
    SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
    SmallVector<OpFoldResult> steps(type.getRank());
    for (auto [number, group] : llvm::enumerate(op.getReassociationIndices())) {
      Value step = source.getStrides()[number];
      for (int64_t dim : llvm::reverse(group)) {
        steps[dim] =
            ShapedType::isDynamic(strides[dim]) ? OpFoldResult(step) : b.getIndexAttr(strides[dim]);
        step = arith::MulIOp::create(b, loc, step,
                                     getValueOrCreateConstantIndexOp(b, loc, sizes[dim]));
      }
    }
    OpFoldResult start =
        ShapedType::isDynamic(offset) ? OpFoldResult(source.getOffset()) : b.getIndexAttr(offset);
    Value view = memref::ReinterpretCastOp::create(b, loc, type, source.getBaseBuffer(), start,
                                                   sizes, steps);
    op.getResult().replaceAllUsesWith(view);
    op.erase();
  }
}

/// Buffers that have room for one element in each dim that is 0: what is read there is dropped, but
/// must be there to be read.
void giveRoom(ModuleOp module) {
  SmallVector<memref::AllocOp> found;
  module.walk([&](memref::AllocOp op) {
    if (!op.getType().hasStaticShape())
      found.push_back(op);
  });
  for (memref::AllocOp op : found) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    MemRefType type = op.getType();
    int64_t factor = 1;
    for (int64_t size : type.getShape())
      factor *= ShapedType::isDynamic(size) ? 1 : size;
    Value one = arith::ConstantIndexOp::create(b, loc, 1),
          count = arith::ConstantIndexOp::create(b, loc, factor);
    for (Value size : op.getDynamicSizes())
      count = arith::MulIOp::create(b, loc, count, arith::MaxSIOp::create(b, loc, size, one));
    Value flat = memref::AllocOp::create(
        b, loc, MemRefType::get({ShapedType::kDynamic}, type.getElementType()), ValueRange{count});
    SmallVector<OpFoldResult> sizes = op.getMixedSizes(), strides(type.getRank());
    Value step;
    int64_t fixed = 1; // the stride while no dynamic dim was met
    for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
      strides[dim] = step ? OpFoldResult(step) : b.getIndexAttr(fixed);
      if (!step && !type.isDynamicDim(dim)) {
        fixed *= type.getDimSize(dim);
        continue;
      }
      Value inner = step ? step : arith::ConstantIndexOp::create(b, loc, fixed).getResult();
      step =
          arith::MulIOp::create(b, loc, inner, getValueOrCreateConstantIndexOp(b, loc, sizes[dim]));
    }
    Value view =
        memref::ReinterpretCastOp::create(b, loc, type, flat, b.getIndexAttr(0), sizes, strides);
    op.getResult().replaceAllUsesWith(view);
    op.erase();
  }
}

LogicalResult bufferize(ModuleOp module) {
  SmallVector<attn::SdpaOp> attention;
  module.walk([&](attn::SdpaOp op) { attention.push_back(op); });
  for (attn::SdpaOp op : attention)
    attn::decompose(op);
  RewritePatternSet patterns(module.getContext());
  tensor::populateDecomposeTensorConcatPatterns(patterns);
  if (failed(applyPatternsGreedily(module, std::move(patterns))))
    return failure();

  bufferization::OneShotBufferizationOptions options;
  // Copies of slices are strided; as linalg they become loops, as memref.copy a runtime call.
  options.memCpyFn = [](OpBuilder &builder, Location loc, Value from, Value to) {
    linalg::CopyOp::create(builder, loc, from, to);
    return success();
  };
  bufferization::BufferizationState state;
  if (failed(bufferization::runOneShotBufferize(module, options, state)))
    return failure();
  return success();
}

/// Sums of products whose right factor lies along the result's last dim run along it innermost:
/// neighbours in memory, and nothing waits for the sum before it. Each sum keeps its order.
void interchangeProducts(ModuleOp module) {
  SmallVector<linalg::GenericOp> found;
  module.walk([&](linalg::GenericOp op) {
    unsigned last = op.getNumLoops() - 1;
    if (op.getNumLoops() < 2 || op.getNumReductionLoops() != 1 || op.getInputs().size() != 2 ||
        op.getOutputs().size() != 1 ||
        op.getIteratorTypesArray().back() != utils::IteratorType::reduction)
      return;
    auto endsIn = [&](unsigned operand, unsigned loop) {
      AffineMap map = op.getIndexingMapsArray()[operand];
      return map.getNumResults() > 0 &&
             map.getResults().back() == getAffineDimExpr(loop, op.getContext());
    };
    if (endsIn(1, last - 1) && endsIn(2, last - 1))
      found.push_back(op);
  });
  for (linalg::GenericOp op : found) {
    unsigned loops = op.getNumLoops();
    SmallVector<unsigned> order = llvm::to_vector(llvm::seq<unsigned>(0, loops));
    std::swap(order[loops - 1], order[loops - 2]);
    IRRewriter rewriter(op);
    (void)linalg::interchangeGenericOp(rewriter, op, order);
  }
}

/// What a loop allocates is allocated once, in front of it: sizes come from outside, and no buffer
/// goes from one iteration to the next. Canonicalisation has made them so.
LogicalResult hoistAllocations(ModuleOp module) {
  SmallVector<memref::AllocOp> allocations;
  module.walk([&](memref::AllocOp alloc) { allocations.push_back(alloc); });
  for (memref::AllocOp alloc : allocations)
    while (!isa<func::FuncOp>(alloc->getParentOp())) {
      Operation *parent = alloc->getParentOp();
      for (Value size : alloc->getOperands()) {
        Operation *maker = size.getDefiningOp();
        if (!parent->isAncestor(size.getParentBlock()->getParentOp()))
          continue;
        if (!maker || maker->getNumRegions() > 0 || !isMemoryEffectFree(maker) ||
            llvm::any_of(maker->getOperands(), [&](Value operand) {
              return parent->isAncestor(operand.getParentBlock()->getParentOp());
            }))
          return alloc.emitOpError("has a size that changes from one iteration to the next");
        maker->moveBefore(parent);
      }
      alloc->moveBefore(parent);
    }
  return success();
}

/// Bodies are straight-line code around their loops: what they allocate lives to their end.
void freeAllocations(ModuleOp module) {
  module.walk([](memref::AllocOp alloc) {
    OpBuilder builder(alloc->getBlock()->getTerminator());
    memref::DeallocOp::create(builder, alloc.getLoc(), alloc);
  });
}

/// The canonicaliser merges integer -> f32 -> bf16 into one operation, which arith-expand does not
/// know and LLVM makes a call of a function that the runtime lacks.
struct SplitIntegerToBf16 : PassWrapper<SplitIntegerToBf16, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SplitIntegerToBf16)
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      if (!isa<arith::SIToFPOp, arith::UIToFPOp>(op) || !op->getResult(0).getType().isBF16())
        return;
      Value result = op->getResult(0);
      result.setType(Float32Type::get(op->getContext()));
      OpBuilder builder(op->getContext());
      builder.setInsertionPointAfter(op);
      Value narrow = arith::TruncFOp::create(builder, op->getLoc(), builder.getBF16Type(), result);
      result.replaceAllUsesExcept(narrow, narrow.getDefiningOp());
    });
  }
};

void addLowering(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createConvertLinalgToLoopsPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(std::make_unique<SplitIntegerToBf16>());
  // Not every processor rounds to bf16, and the runtime has no function for it.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  pm.addPass(arith::createArithExpandOpsPass(expand));
  pm.addPass(createConvertMathToLLVMPass({/*approximateLog1p=*/false}));
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

/// Appends the arguments that upstream's convention has for one memref: allocated pointer, aligned
/// pointer, offset, sizes, strides.
void appendDescriptor(OpBuilder &b, Location loc, MemRefType type, ArrayRef<int64_t> dynamicSizes,
                      ValueRange dims, Value pointer, SmallVectorImpl<Value> &arguments) {
  auto number = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(b, loc, b.getI64Type(), b.getI64IntegerAttr(value));
  };
  SmallVector<Value> sizes, strides(type.getRank());
  for (int64_t size : type.getShape()) {
    if (ShapedType::isDynamic(size)) {
      sizes.push_back(dims[dynamicSizes.front()]);
      dynamicSizes = dynamicSizes.drop_front();
    } else {
      sizes.push_back(number(size));
    }
  }
  for (int64_t i = type.getRank() - 1; i >= 0; --i)
    strides[i] = i + 1 == type.getRank()
                     ? number(1)
                     : LLVM::MulOp::create(b, loc, strides[i + 1], sizes[i + 1]).getResult();
  arguments.append({pointer, pointer, number(0)});
  llvm::append_range(arguments, sizes);
  llvm::append_range(arguments, strides);
}

/// Makes a lowered body return a status: 0, or 1 once malloc gave null and what it gave before is
/// freed. Bodies allocate in straight-line code and free at its end.
void returnStatus(LLVM::LLVMFuncOp body) {
  OpBuilder b(body);
  Location loc = body.getLoc();
  auto leaveWith = [&](int32_t status) {
    Value code = LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(status));
    LLVM::ReturnOp::create(b, loc, code);
  };
  body.setFunctionType(LLVM::LLVMFunctionType::get(b.getI32Type(), body.getArgumentTypes()));
  SmallVector<LLVM::ReturnOp> returns;
  SmallVector<LLVM::CallOp> allocations;
  body.walk([&](LLVM::ReturnOp op) { returns.push_back(op); });
  body.walk([&](LLVM::CallOp call) {
    if (call.getCallee() == "malloc")
      allocations.push_back(call);
  });
  for (LLVM::ReturnOp op : returns) {
    b.setInsertionPoint(op);
    leaveWith(0);
    op.erase();
  }
  for (auto [index, call] : llvm::enumerate(allocations)) {
    Block *before = call->getBlock(), *after = before->splitBlock(++call->getIterator());
    Block *leave = b.createBlock(&body.getBody(), body.getBody().end());
    for (LLVM::CallOp earlier : ArrayRef(allocations).take_front(index))
      LLVM::CallOp::create(b, loc, TypeRange(), "free", earlier.getResult());
    leaveWith(1);
    b.setInsertionPointToEnd(before);
    Value null = LLVM::ZeroOp::create(b, loc, call.getResult().getType());
    Value isNull = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq, call.getResult(), null);
    LLVM::CondBrOp::create(b, loc, isNull, leave, after);
  }
}

/// context->fail(context, "no memory...", 0, 0), whose result is returned.
void returnFailure(OpBuilder &b, Location loc, Value context, StringRef message) {
  Type pointer = context.getType(), word = b.getI64Type();
  auto number = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(b, loc, word, b.getI64IntegerAttr(value));
  };
  Value place = LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), context,
                                    ArrayRef<LLVM::GEPArg>{offsetof(rapt_abi_context, fail)});
  Value fail = LLVM::LoadOp::create(b, loc, pointer, place);
  Value text = LLVM::AddressOfOp::create(b, loc, pointer, message);
  auto type = LLVM::LLVMFunctionType::get(b.getI32Type(), {pointer, pointer, word, word});
  auto call = LLVM::CallOp::create(b, loc, type, {fail, context, text, number(0), number(0)});
  LLVM::ReturnOp::create(b, loc, call.getResult());
}

void buildWrapper(OpBuilder &builder, const Signature &signature, StringRef noMemory) {
  MLIRContext *context = builder.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), word = builder.getI64Type();
  SmallVector<Type> types{pointer};
  types.append(signature.numDims, word);
  types.append(signature.tensors.size(), pointer);
  auto function = LLVM::LLVMFuncOp::create(builder, signature.loc, signature.name,
                                           LLVM::LLVMFunctionType::get(builder.getI32Type(), types),
                                           LLVM::Linkage::Internal);
  Block *entry = function.addEntryBlock(builder);
  OpBuilder b = OpBuilder::atBlockEnd(entry);
  ValueRange arguments = ValueRange(entry->getArguments()).drop_front(1);
  ValueRange dims = arguments.take_front(signature.numDims);
  SmallVector<Value> operands(dims);
  for (auto [index, type] : llvm::enumerate(signature.tensors))
    appendDescriptor(b, signature.loc, type, signature.dynamicSizes[index], dims,
                     arguments[signature.numDims + index], operands);
  Value status =
      LLVM::CallOp::create(b, signature.loc, b.getI32Type(), bodyName(signature.name), operands)
          .getResult();
  Value zero = LLVM::ConstantOp::create(b, signature.loc, b.getI32Type(), b.getI32IntegerAttr(0));
  Value failed = LLVM::ICmpOp::create(b, signature.loc, LLVM::ICmpPredicate::ne, status, zero);
  Block *leave = function.addBlock(), *done = function.addBlock();
  LLVM::CondBrOp::create(b, signature.loc, failed, leave, done);
  b.setInsertionPointToEnd(leave);
  returnFailure(b, signature.loc, entry->getArgument(0), noMemory);
  b.setInsertionPointToEnd(done);
  LLVM::ReturnOp::create(b, signature.loc, zero);
}

struct ReferenceKernels : PassWrapper<ReferenceKernels, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ReferenceKernels)
  StringRef getArgument() const override { return "reference-kernels"; }
  StringRef getDescription() const override {
    return "kernel.func without object code => LLVM function through plain loops";
  }

  void getDependentDialects(DialectRegistry &registry) const override {
    registry
        .insert<affine::AffineDialect, arith::ArithDialect, bufferization::BufferizationDialect,
                cf::ControlFlowDialect, func::FuncDialect, linalg::LinalgDialect, LLVM::LLVMDialect,
                math::MathDialect, memref::MemRefDialect, scf::SCFDialect, tensor::TensorDialect>();
    arith::registerBufferizableOpInterfaceExternalModels(registry);
    linalg::registerBufferizableOpInterfaceExternalModels(registry);
    scf::registerBufferizableOpInterfaceExternalModels(registry);
    tensor::registerBufferizableOpInterfaceExternalModels(registry);
  }

  void runOnOperation() override {
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    ModuleOp nested = ModuleOp::create(builder, getOperation().getLoc());
    OpBuilder inner = OpBuilder::atBlockEnd(nested.getBody());
    SmallVector<Signature> signatures;
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<kernel::FuncOp>())) {
      if (kernel.getObject())
        continue;
      if (llvm::any_of(kernel.getInputPanels(), [](int64_t panel) { return panel != 0; })) {
        kernel.emitOpError()
            << "has panel-packed inputs, but its reference reads row-major weights";
        return signalPassFailure();
      }
      signatures.push_back(describe(kernel));
      buildBody(inner, kernel, signatures.back());
      kernel.erase();
    }
    OpPassManager cleanUp(ModuleOp::getOperationName()), pm(ModuleOp::getOperationName());
    cleanUp.addPass(createCanonicalizerPass());
    addLowering(pm);
    bool maybeEmpty = false;
    getOperation().walk([&](kernel::DimOp dim) { maybeEmpty |= dim.getMaybeEmpty(); });
    getOperation().walk([&](kernel::MeasureOp) { maybeEmpty = true; });
    interchangeProducts(nested);
    if (failed(bufferize(nested)) || failed(runPipeline(cleanUp, nested)) ||
        failed(hoistAllocations(nested)))
      return signalPassFailure();
    if (maybeEmpty)
      giveRoom(nested);
    freeAllocations(nested);
    castExpandedShapes(nested);
    if (failed(runPipeline(pm, nested)))
      return signalPassFailure();
    adopt(nested);
    if (signatures.empty())
      return;
    StringRef text("a reference kernel got no memory\0", 33);
    auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), text.size());
    auto noMemory = LLVM::GlobalOp::create(builder, getOperation().getLoc(), type,
                                           /*isConstant=*/true, LLVM::Linkage::Internal,
                                           "rapt_no_memory", builder.getStringAttr(text));
    for (const Signature &signature : signatures)
      buildWrapper(builder, signature, noMemory.getSymName());
  }

  /// Moves the functions of `nested` out: bodies become internal, declarations of libm appear once.
  void adopt(ModuleOp nested) {
    SymbolTable symbols(getOperation());
    for (auto function : llvm::make_early_inc_range(nested.getOps<LLVM::LLVMFuncOp>())) {
      if (function.isExternal() && symbols.lookup(function.getSymName()))
        continue;
      if (!function.isExternal()) {
        function.setLinkage(LLVM::Linkage::Internal);
        returnStatus(function);
      }
      function->moveBefore(nested);
    }
    nested.erase();
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createReferenceKernelsPass() {
  return std::make_unique<ReferenceKernels>();
}
