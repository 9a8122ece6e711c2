//===- ToLLVM.cpp - The model's function as those of an artifact ------------------------===//
//
// In:  what host-plan-memory leaves, and kernel.funcs with `object` (others have become LLVM
//      functions).
// Out: llvm.func internal @rapt_plan, @rapt_run and @rapt_work as runtime/include/rapt_abi.h wants
//      them, one adapter for each kernel.func. Nothing else is left in the module, whose attribute
//      kernel.profile now lists the calls of @rapt_run.
//
// All functions compute the index arithmetic. `plan` also checks: dims, kernel.require, and that
// no tensor is larger than what its kernel counts with, so that no size in `run` can overflow.
// Where `run` has measured sizes, the others have their bounds, and `run` checks what is required
// of them. HostCode.cpp has what they share.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/CallTable.h"
#include "compiler/Host/HalideAdapter.h"
#include "compiler/Host/Host.h"
#include "compiler/Host/HostCode.h"
#include "compiler/Host/WeightTable.h"
#include "compiler/Host/WorkFunction.h"
#include "dialects/Onnx/Names.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

namespace {

using Objects = llvm::StringMap<kernels::ObjectInfo>;

/// Elements that a tensor may have: what Halide counts in 32 bits, what we count in 64.
constexpr int64_t halideLimit = (int64_t(1) << 31) - 1, elementLimit = int64_t(1) << 40;

/// Whether a call knows which node of the graph it is for.
bool isNamed(kernel::CallOp call) {
  return isa<NameLoc>(call.getLoc()) || isa<FusedLoc>(call.getLoc());
}

/// rapt_plan(context, dims, output_dims, plan)
class PlanFunction : HostCode {
public:
  PlanFunction(OpBuilder &builder, func::FuncOp main, const Objects &objects,
               const UpperBounds &bounds)
      : HostCode(builder, main, kPlanName, 4), objects(objects), bounds(bounds) {}

  LogicalResult build() {
    if (failed(bindSymbols()))
      return failure();
    for (auto [name, dim] : symbolValues())
      if (kernel::mayBeEmpty(main, name))
        require(dim, code.number(0), code.number(halideLimit),
                ("dim '" + name + "' is %lld, but it can be from 0 to %lld").str());
      else
        require(dim, code.number(1), code.number(halideLimit),
                ("dim '" + name + "' is %lld, but it can be from 1 to %lld").str());
    for (Operation &op : main.getBody().front()) {
      if (isIndexArithmetic(&op) || isa<kernel::MeasureOp>(op)) {
        if (failed(emitBound(&op, bounds)))
          return failure();
      } else if (auto require = dyn_cast<kernel::RequireOp>(op)) {
        if (!kernel::isMeasured(require))
          emitRequire(require);
      }
    }
    for (auto call : main.getOps<kernel::CallOp>())
      checkCall(call);
    for (auto check : main.getOps<kernel::CheckIndicesOp>())
      checkElements(sizeOf(cast<ShapedType>(check.getIndices().getType()), check.getSizes()),
                    elementLimit,
                    "the indices have %lld elements, more than the %lld that can be checked");
    storeResults();
    return success();
  }

private:
  /// Fails unless low <= value <= high, both from 0 up.
  void require(Value value, Value low, Value high, StringRef message) {
    Value offset = code.sub(value, low), range = code.sub(high, low);
    Value bad = code.is(Code::Compare::ugt, offset, range);
    code.returnIf(bad, [&] { return fail(message, value, high); });
  }

  /// Product that sticks at a value above every limit instead of wrapping around.
  Value saturatingProduct(Value a, Value b) {
    Type wide = code.getIntegerType(128);
    Value product =
        code.mul(LLVM::ZExtOp::create(code, wide, a), LLVM::ZExtOp::create(code, wide, b));
    Value most = code.number(wide, int64_t(1) << 56);
    Value least = code.select(code.is(Code::Compare::ugt, product, most), most, product);
    return LLVM::TruncOp::create(code, code.word(), least);
  }

  /// The product with 1 in the place of dims that are 0.
  Value roomFor(const Product &product) {
    Value value = code.number(product.factor);
    for (Value atom : product.atoms)
      value = saturatingProduct(value, mayBeEmpty(atom) ? code.max(lookup(atom), code.number(1))
                                                        : lookup(atom));
    return value;
  }

  /// Fails when `elements` are more than `limit`. The same check is made once.
  void checkElements(const Product &elements, int64_t limit, StringRef message) {
    if (elements.atoms.empty() && elements.factor >= 0 && elements.factor <= limit)
      return;
    auto known = [&](const auto &check) {
      return check.first == elements && check.second <= limit;
    };
    if (llvm::any_of(checked, known))
      return;
    checked.push_back({elements, limit});
    require(roomFor(elements), code.number(0), code.number(limit), message);
  }

  void checkCall(kernel::CallOp call) {
    auto object = objects.find(call.getCallee());
    bool isHalide = object != objects.end();
    int64_t limit = isHalide ? halideLimit : elementLimit;
    std::string who =
        isNamed(call) ? onnx::nodeText(call.getLoc()) : ("kernel '" + call.getCallee() + "'").str();
    auto isExtent = [&](int64_t position) {
      auto lists = [&](ArrayAttr shapes) {
        return llvm::any_of(llvm::seq<size_t>(0, shapes.size()), [&](size_t i) {
          return llvm::is_contained(kernel::dynamicDims(shapes, i), position);
        });
      };
      return lists(call.getInputShapes()) || lists(call.getResultShapes());
    };
    for (auto [position, dim] : llvm::enumerate(call.getDims()))
      if (isHalide && !dim.getDefiningOp<kernel::DimOp>()) {
        // Where a window begins, say: no extent, and it may be negative.
        if (!isExtent(position)) {
          require(lookup(dim), code.number(-halideLimit), code.number(halideLimit),
                  who + " computes with a number of %lld, but its numbers are at most %lld");
          continue;
        }
        Product product;
        product.multiply(dim);
        checkElements(product, limit,
                      who + " needs a dim of %lld, but its dims are from 0 to %lld");
      }
    std::string message = who + " needs a tensor of %lld elements, expected at most %lld";
    auto check = [&](ValueRange tensors, ArrayAttr shapes) {
      for (auto [index, tensor] : llvm::enumerate(tensors)) {
        SmallVector<Value> sizes;
        for (int64_t dim : kernel::dynamicDims(shapes, index))
          sizes.push_back(call.getDims()[dim]);
        checkElements(sizeOf(cast<ShapedType>(tensor.getType()), sizes), limit, message);
      }
    };
    check(call.getInputs(), call.getInputShapes());
    check(call.getOuts(), call.getResultShapes());
    if (isHalide) {
      for (const std::vector<kernels::Extent> &sum : object->second.innerElements)
        checkSum(call, sum, message);
      addScratch(call, object->second);
    }
  }

  /// Fails when a tensor inside of the kernel has more elements than Halide counts.
  void checkSum(kernel::CallOp call, ArrayRef<kernels::Extent> sum, StringRef message) {
    auto products = llvm::map_to_vector(sum, [&](auto &term) { return productOf(call, term); });
    if (products.size() == 1)
      return checkElements(products[0], halideLimit, message);
    if (llvm::is_contained(checkedSums, products))
      return;
    Value total = code.number(0);
    for (const Product &product : products)
      total = code.add(total, roomFor(product));
    checkedSums.push_back(std::move(products));
    require(total, code.number(0), code.number(halideLimit), message);
  }

  static Product productOf(kernel::CallOp call, const kernels::Extent &extent) {
    Product product{extent.factor, {}};
    for (int dim : extent.dims)
      product.multiply(call.getDims()[dim]);
    return product;
  }

  /// Scratch memory of a call: the sum of its terms; of the model: the largest of its calls.
  void addScratch(kernel::CallOp call, const kernels::ObjectInfo &info) {
    Value sum;
    for (const kernels::Extent &term : info.scratchBytes) {
      Value bytes = roomFor(productOf(call, term));
      sum = sum ? code.add(sum, bytes) : bytes;
    }
    if (sum)
      scratch = scratch ? code.max(scratch, sum) : sum;
  }

  void storeResults() {
    Value plan = argument(3);
    for (BlockArgument output : outputs())
      checkElements(sizeOf(cast<MemRefType>(output.getType()), outputSizes(output)), elementLimit,
                    "an output has %lld elements, more than %lld");
    storeOutputDims(argument(2));
    code.store(lookup(main.getBody().front().getTerminator()->getOperands().back()), plan, 0);
    code.store(scratch ? scratch : code.number(0), plan, 8);
    LLVM::ReturnOp::create(code, code.number(code.status(), 0));
  }

  const Objects &objects;
  const UpperBounds &bounds;
  SmallVector<std::pair<Product, int64_t>> checked;
  SmallVector<SmallVector<Product>> checkedSums;
  Value scratch;
};

/// rapt_run(context, dims, inputs, outputs, arena, weights, output_dims)
class RunFunction : HostCode {
public:
  RunFunction(OpBuilder &builder, func::FuncOp main, CallTable &table)
      : HostCode(builder, main, kRunName, 7), table(table) {}

  LogicalResult build() {
    if (failed(bindSymbols()))
      return failure();
    bindPointers();
    afterCall = code.load(code.pointer(), argument(0), kContextAfterCall);
    isProfiled = code.is(Code::Compare::ne, afterCall, code.null());
    for (Operation &op : main.getBody().front())
      if (failed(emit(&op)))
        return failure();
    return success();
  }

private:
  void bindPointers() {
    int64_t numInputs = 0, numOutputs = 0;
    for (BlockArgument from : main.getArguments()) {
      unsigned index = from.getArgNumber();
      if (main.getArgAttr(index, kArenaAttr))
        bind(from, argument(4));
      else if (main.getArgAttr(index, kWeightsArgAttr))
        bind(from, argument(5));
      else if (main.getArgAttr(index, kOutputAttr))
        bind(from, code.load(code.pointer(), argument(3), 8 * numOutputs++));
      else
        bind(from, code.load(code.pointer(), argument(2), 8 * numInputs++));
    }
  }

  LogicalResult emit(Operation *op) {
    if (isIndexArithmetic(op))
      return emitIndex(op);
    if (auto view = dyn_cast<memref::ViewOp>(op))
      bind(view.getResult(), code.at(lookup(view.getSource()), lookup(view.getByteShift())));
    else if (auto view = dyn_cast<ViewLikeOpInterface>(op)) // the same bytes in another shape
      bind(op->getResult(0), lookup(view.getViewSource()));
    else if (auto select = dyn_cast<arith::SelectOp>(op)) // of two buffers
      bind(select, code.select(lookup(select.getCondition()), lookup(select.getTrueValue()),
                               lookup(select.getFalseValue())));
    else if (auto call = dyn_cast<kernel::CallOp>(op))
      emitCall(call);
    else if (auto copy = dyn_cast<memref::CopyOp>(op))
      return emitCopy(copy);
    else if (auto check = dyn_cast<kernel::CheckIndicesOp>(op))
      return emitCheck(check);
    else if (auto measure = dyn_cast<kernel::MeasureOp>(op))
      emitMeasure(measure);
    else if (auto require = dyn_cast<kernel::RequireOp>(op)) {
      if (kernel::isMeasured(require))
        emitRequire(require);
    } else if (isa<func::ReturnOp>(op))
      emitReturn();
    else
      return op->emitOpError() << "has no place in the host's function at this stage";
    return success();
  }

  /// What data says is used once it is known to be a size that was planned for.
  void emitMeasure(kernel::MeasureOp measure) {
    Value size = code.load(code.word(), lookup(measure.getCount()), 0);
    Value bound = lookup(measure.getBound());
    std::string message = onnx::nodeText(measure.getLoc()) + ": size '" +
                          measure.getSymbol().str() + "' is %lld, but it can be from 0 to %lld";
    code.returnIf(code.is(Code::Compare::ugt, size, bound),
                  [&] { return fail(message, size, bound); });
    bind(measure.getValue(), size);
  }

  void emitReturn() {
    storeOutputDims(argument(6));
    LLVM::ReturnOp::create(code, code.number(code.status(), 0));
  }

  /// Whether one of the dims of result number `index` is 0; null when none can be.
  Value isEmpty(kernel::CallOp call, unsigned index) {
    Value result;
    for (int64_t number : kernel::dynamicDims(call.getResultShapes(), index)) {
      Value dim = call.getDims()[number];
      if (!mayBeEmpty(dim))
        continue;
      Value none = code.is(Code::Compare::eq, lookup(dim), code.number(0));
      result = result ? LLVM::OrOp::create(code, result, none).getResult() : none;
    }
    return result;
  }

  /// A kernel whose results all are empty has nothing to do, and is not called.
  void emitCall(kernel::CallOp call) {
    table.calls.push_back(
        {table.indexOf(call.getCallee()), isNamed(call) ? onnx::nodeName(call.getLoc()) : ""});
    Value idle;
    for (unsigned index = 0; index < call.getOuts().size(); ++index) {
      Value empty = isEmpty(call, index);
      idle = index && idle && empty ? LLVM::AndOp::create(code, idle, empty).getResult()
             : index                ? Value()
                                    : empty;
    }
    if (!idle)
      return emitBusyCall(call);
    Block *current = code.getInsertionBlock(), *busy = code.createBlock(current->getParent());
    Block *next = code.createBlock(current->getParent());
    busy->moveBefore(next);
    code.setInsertionPointToEnd(current);
    LLVM::CondBrOp::create(code, idle, next, busy);
    code.setInsertionPointToEnd(busy);
    emitBusyCall(call);
    LLVM::BrOp::create(code, ValueRange(), next);
    code.setInsertionPointToEnd(next);
  }

  void emitBusyCall(kernel::CallOp call) {
    SmallVector<Value> operands{argument(0)};
    for (Value operand : call.getOperands())
      operands.push_back(lookup(operand));
    code.returnIfNonZero(
        LLVM::CallOp::create(code, code.status(), call.getCalleeAttr(), operands).getResult());
    emitAfterCall(table.calls.size() - 1);
  }

  /// if (after_call) after_call(context, number), off the straight path.
  void emitAfterCall(int64_t number) {
    Block *current = code.getInsertionBlock();
    Region *region = current->getParent();
    Block *next = code.createBlock(region, std::next(current->getIterator()));
    Block *profiled = code.createBlock(region, region->end());
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(code.getContext()),
                                            {code.pointer(), code.status()});
    LLVM::CallOp::create(code, type,
                         ValueRange{afterCall, argument(0), code.number(code.status(), number)});
    LLVM::BrOp::create(code, ValueRange(), next);
    code.setInsertionPointToEnd(current);
    LLVM::CondBrOp::create(code, isProfiled, profiled, ValueRange(), next, ValueRange(),
                           std::pair<uint32_t, uint32_t>(1, 1000));
    code.setInsertionPointToEnd(next);
  }

  /// Copies go to outputs, whose sizes the function returns.
  LogicalResult emitCopy(memref::CopyOp copy) {
    auto output = dyn_cast<BlockArgument>(copy.getTarget());
    if (!output || !main.getArgAttr(output.getArgNumber(), kOutputAttr))
      return copy.emitOpError() << "expects an output as its target";
    auto type = cast<MemRefType>(output.getType());
    Product bytes = sizeOf(type, outputSizes(output));
    bytes.multiply(elementBytes(type.getElementType()));
    LLVM::MemcpyOp::create(code, lookup(output), lookup(copy.getSource()), evaluate(bytes),
                           /*isVolatile=*/false);
    return success();
  }

  LogicalResult emitCheck(kernel::CheckIndicesOp check) {
    auto type = cast<ShapedType>(check.getIndices().getType());
    int64_t bytes = elementBytes(type.getElementType());
    if (bytes != 4 && bytes != 8)
      return check.emitOpError() << "expects indices of 32 or 64 bits, but they are "
                                 << type.getElementType();
    Value count = evaluate(sizeOf(type, check.getSizes()));
    Value checkIndices = code.load(code.pointer(), argument(0), kContextCheckIndices);
    code.returnIfNonZero(code.callPointer(
        checkIndices,
        {argument(0), lookup(check.getIndices()), count, code.number(code.getI32Type(), bytes),
         code.number(check.getLower()), lookup(check.getUpper()), text(check.getMessage())}));
    return success();
  }

  CallTable &table;
  Value afterCall, isProfiled;
};

struct HostToLLVM : PassWrapper<HostToLLVM, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(HostToLLVM)
  StringRef getArgument() const override { return "host-to-llvm"; }
  StringRef getDescription() const override {
    return "the planned function => rapt_plan, rapt_run and rapt_work";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    if (functions.size() != 1 || !isPlanned(functions[0])) {
      getOperation().emitError() << "expects the one func.func that host-plan-memory leaves";
      return signalPassFailure();
    }
    FailureOr<CallTable> table = readCallTable(getOperation());
    if (failed(table))
      return signalPassFailure();
    FailureOr<UpperBounds> bounds = boundMeasured(functions[0].getBody().front());
    if (failed(bounds))
      return signalPassFailure();
    OpBuilder builder(functions[0]);
    Objects objects;
    if (failed(emitAdapters(builder, objects)) || failed(checkCallees(functions[0])) ||
        failed(PlanFunction(builder, functions[0], objects, *bounds).build()) ||
        failed(RunFunction(builder, functions[0], *table).build()) ||
        failed(buildWorkFunction(builder, functions[0], *table, *bounds)))
      return signalPassFailure();
    writeCallTable(getOperation(), *table);
    functions[0].erase();
  }

  static bool isPlanned(func::FuncOp main) {
    return main.getBody().hasOneBlock() && main.getNumArguments() > 0 &&
           main.getArgAttr(main.getNumArguments() - 1, kArenaAttr) && main.getNumResults() > 0;
  }

  LogicalResult emitAdapters(OpBuilder &builder, Objects &objects) {
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<kernel::FuncOp>())) {
      if (!kernel.getObject())
        return kernel.emitOpError() << "has no object code: reference-kernels did not run";
      Block &block = kernel.getBody().front();
      size_t tensors =
          block.getNumArguments() - kernel.getNumDims() + block.getTerminator()->getNumOperands();
      auto info =
          kernels::objectFromAttr(kernel, *kernel.getObject(), kernel.getNumDims(), tensors);
      if (failed(info))
        return failure();
      builder.setInsertionPoint(kernel);
      buildHalideAdapter(builder, kernel, *info);
      objects[kernel.getSymName()] = std::move(*info);
      kernel.erase();
    }
    builder.setInsertionPointToEnd(getOperation().getBody());
    return success();
  }

  LogicalResult checkCallees(func::FuncOp main) {
    SymbolTable symbols(getOperation());
    for (auto call : main.getOps<kernel::CallOp>()) {
      auto callee = symbols.lookup<LLVM::LLVMFuncOp>(call.getCallee());
      if (!callee || callee.getNumArguments() != 1 + call.getNumOperands())
        return call.emitOpError() << "expects a kernel '" << call.getCallee() << "' with "
                                  << call.getNumOperands() << " operands";
    }
    return success();
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createHostToLLVMPass() { return std::make_unique<HostToLLVM>(); }
