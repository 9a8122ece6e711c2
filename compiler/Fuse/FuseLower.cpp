//===- FuseLower.cpp - What is left of onnx => linalg ----------------------------------===//
//
// In:  onnx, attn.sdpa, kernel.weight, kernel.dim, kernel.require, index arithmetic.
// Out: no onnx. linalg.generic with linalg.fill for the start of reductions, attn.sdpa,
//      tensor.empty, expand_shape and collapse_shape, kernel.check_indices before loads at
//      computed places. The same value may be made twice: CSE comes after.
//
// One walk in program order; the families are in LowerElementwise, LowerReductions,
// LowerContractions, LowerViews and LowerIndexing. Locations are those of the onnx operations.
// Every operation that cannot be lowered is reported before the pass fails.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Lowering.h"
#include "compiler/Fuse/SortByUse.h"
#include "compiler/HoistInvariants.h"
#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;

namespace rapt::fuse {

/// Integers that follow from the dims alone are not read from memory: base + strides * indices.
std::optional<View> Lowering::hostView(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !isa<IntegerType>(type.getElementType()))
    return std::nullopt;
  const onnx::Content &known = content(value);
  View result;
  if (const onnx::Element *element = known.uniform();
      element && element->kind == onnx::Element::Int) {
    if (std::optional<int64_t> constant = element->expr.constant()) {
      Type stored = storageType(type.getElementType());
      llvm::APInt bits(64, static_cast<uint64_t>(*constant));
      result.literal =
          builder.getIntegerAttr(stored, bits.zextOrTrunc(stored.getIntOrFloatBitWidth()));
      return result;
    }
    result.base = size(element->expr);
    return result;
  }
  if (!known.isAffine() || known.base().kind != onnx::Element::Int)
    return std::nullopt;
  result.base = size(known.base().expr);
  for (const onnx::SymbolicExpr &stride : known.strides())
    result.strides.push_back(size(stride));
  result.map = builder.getMultiDimIdentityMap(type.getRank());
  return result;
}

InFlightDiagnostic Lowering::refuse(Operation *op) {
  return op->emitError() << "'" << op->getName() << "' of " << onnx::nodeText(op) << " ";
}

bool Lowering::lowerOnHost(Operation *op) {
  if (op->getNumResults() != 1 || isa<onnx::ConstantOp>(op))
    return false;
  std::optional<View> view = hostView(op->getResult(0));
  if (view)
    bind(op->getResult(0), *view);
  return view.has_value();
}

/// Onnx operations see unsigned arguments as unsigned, everybody else sees signless integers.
void Lowering::retypeArguments() {
  builder.setInsertionPointToStart(&func.getBody().front());
  for (BlockArgument argument : func.getArguments()) {
    Type type = argument.getType(), element = getElementTypeOrSelf(type);
    if (!element.isUnsignedInteger())
      continue;
    argument.setType(tensorType(argument).clone(storageType(element)));
    func.setArgAttr(argument.getArgNumber(), onnx::kElementAttr, TypeAttr::get(element));
    auto cast = UnrealizedConversionCastOp::create(builder, func.getLoc(), type, argument);
    argument.replaceAllUsesExcept(cast.getResult(0), cast);
    shapes.bindArgument(cast.getResult(0), onnx::Shape(shapes.shape(argument)));
    bind(cast.getResult(0), argument);
    retyped.push_back(cast);
  }
}

/// Unsigned weights stay where onnx operations read them; lowered code reads their bits, signless.
void Lowering::retypeWeights() {
  for (auto weight :
       llvm::make_early_inc_range(func.getBody().front().getOps<kernel::WeightOp>())) {
    auto type = tensorType(weight.getResult());
    if (!type.getElementType().isUnsignedInteger())
      continue;
    SmallVector<Attribute> sources;
    for (Attribute source : weight.getSources())
      sources.push_back(storageAttr(cast<ElementsAttr>(source)));
    builder.setInsertionPoint(weight);
    auto stored = kernel::WeightOp::create(
        builder, weight.getLoc(), type.clone(storageType(type.getElementType())),
        builder.getArrayAttr(sources), weight.getPermAttr(), weight.getConcatDimAttr());
    bind(weight.getResult(), stored.getResult());
  }
}

void Lowering::retypeResults() {
  for (auto [index, value] : llvm::enumerate(func.getBody().front().getTerminator()->getOperands()))
    if (Type element = getElementTypeOrSelf(value.getType()); element.isUnsignedInteger())
      func.setResultAttr(index, onnx::kElementAttr, TypeAttr::get(element));
}

/// Whether every result is a tensor of static shape without elements.
static bool makesNothing(Operation *op) {
  return llvm::all_of(op->getResultTypes(), [](Type type) {
    return llvm::is_contained(cast<RankedTensorType>(type).getShape(), 0);
  });
}

LogicalResult Lowering::lower(Operation *op) {
  if (auto nonZero = dyn_cast<onnx::NonZeroOp>(op))
    return lowerNonZero(nonZero);
  if (makesNothing(op)) {
    for (Value result : op->getResults())
      bind(result, map(sizes(result), tensorType(result).getElementType(), {},
                       [](OpBuilder &, Location, ValueRange) { return Value(); }));
    return success();
  }
  if (isa<onnx::ConstantOp>(op) || lowerOnHost(op))
    return success(); // constants become literals or weights where they are read
  if (auto matmul = dyn_cast<onnx::MatMulOp>(op))
    return lowerContraction(matmul);
  if (auto pad = dyn_cast<onnx::PadOp>(op))
    return lowerPad(pad);
  if (auto resize = dyn_cast<onnx::ResizeOp>(op))
    return lowerResize(resize);
  if (auto loop = dyn_cast<onnx::LoopOp>(op))
    return lowerLoop(loop);
  if (auto ranks = dyn_cast<onnx::RankRowsOp>(op))
    return lowerRankRows(ranks);
  for (auto family : {&Lowering::lowerElementwise, &Lowering::lowerReduction, &Lowering::lowerView,
                      &Lowering::lowerIndexing, &Lowering::lowerWindows, &Lowering::lowerScatter}) {
    if (std::optional<LogicalResult> done = (this->*family)(op))
      return *done;
  }
  return refuse(op) << "has no lowering to linalg";
}

/// Puts what kernel.measure gives in the place of each kernel.measured_dim, and what depends on it
/// behind it.
LogicalResult Lowering::placeMeasuredDims() {
  Block &body = func.getBody().front();
  auto dims = llvm::to_vector(body.getOps<kernel::MeasuredDimOp>());
  for (kernel::MeasuredDimOp dim : dims) {
    Value value = measured.lookup(dim.getSymbol());
    if (!value && !dim.use_empty())
      return dim.emitOpError() << "names '" << dim.getSymbol() << "', which nothing measures";
    if (value)
      dim.replaceAllUsesWith(value);
    dim.erase();
  }
  if (!dims.empty())
    sortByUse(body);
  return success();
}

LogicalResult Lowering::run() {
  Block &body = func.getBody().front();
  retypeArguments();
  retypeWeights();
  retypeResults();
  SmallVector<Operation *> lowered;
  bool refused = false;
  for (Operation &op : llvm::make_early_inc_range(body)) {
    builder.setInsertionPoint(&op);
    loc = op.getLoc();
    if (isa_and_nonnull<onnx::OnnxDialect>(op.getDialect())) {
      // What reads the result of a refused operation takes it for a tensor, and is looked at too.
      refused |= failed(lower(&op));
      lowered.push_back(&op);
    } else if (isa<attn::SdpaOp, func::ReturnOp>(op)) {
      // Softmax of no scores is no number. Where there are no queries either, nobody asks for one.
      if (auto sdpa = dyn_cast<attn::SdpaOp>(op);
          sdpa && shape(sdpa.getKey())[2] != shape(sdpa.getQuery())[2])
        requireNonEmpty(onnx::SymbolicExpr(shape(sdpa.getKey())[2]));
      for (OpOperand &operand : op.getOpOperands())
        if (isa<RankedTensorType>(operand.get().getType()))
          operand.set(tensor(operand.get()));
    }
  }
  if (refused)
    return failure();
  for (Operation *op : llvm::reverse(lowered)) {
    if (!op->use_empty())
      return op->emitError() << "'" << op->getName() << "' is still used by '"
                             << (*op->user_begin())->getName() << "'";
    op->erase();
  }
  for (Operation *cast : retyped)
    cast->erase();
  if (failed(placeMeasuredDims()))
    return failure();
  Operation *terminator = body.getTerminator();
  func.setType(
      FunctionType::get(func.getContext(), body.getArgumentTypes(), terminator->getOperandTypes()));
  return success();
}

} // namespace rapt::fuse

namespace {

struct FuseLower : PassWrapper<FuseLower, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseLower)
  StringRef getArgument() const final { return "fuse-lower"; }
  StringRef getDescription() const final {
    return "onnx => linalg.generic, views dissolved into indexing";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, kernel::KernelDialect, linalg::LinalgDialect,
                    math::MathDialect, scf::SCFDialect, tensor::TensorDialect>();
  }
  void runOnOperation() final {
    if (getOperation().isExternal())
      return;
    func::FuncOp func = getOperation();
    hoistInvariants(func);
    onnx::ShapeInference shapes;
    if (failed(shapes.run(func)) || failed(fuse::Lowering(func, shapes).run()))
      return signalPassFailure();
    eraseDead(func.getBody().front());
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createFuseLowerPass() { return std::make_unique<FuseLower>(); }
