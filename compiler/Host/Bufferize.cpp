//===- Bufferize.cpp - The model's function on buffers ----------------------------------===//
//
// In:  func.func @main on tensors (stage "kernels"), one block: index arithmetic, kernel.require,
//      kernel.check_indices, kernel.weight, kernel.call, tensor.expand_shape / collapse_shape /
//      cast.
// Out: func.func @main(inputs, outputs, weights) -> (index...), all memrefs dense and row-major:
//      - every result of a kernel.call is a memref.alloc, or the output buffer that it becomes
//      - kernel.weight => memref.view of the weight blob (module attribute kernel.weight_table)
//      - views alias; what is returned otherwise is a memref.copy
//      - it returns the dynamic dims of the outputs, in order
//      - index arithmetic on dims stands first, that on measured sizes behind their kernel.measure
//      and the module attributes kernel.interface and kernel.profile.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/Bounds.h"
#include "compiler/Host/CallTable.h"
#include "compiler/Host/Host.h"
#include "compiler/Host/IndexExpr.h"
#include "compiler/Host/Interface.h"
#include "compiler/Host/WeightTable.h"

#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Names.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "runtime/include/rapt.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

namespace {

/// Writes the new function beside the old one, operation by operation.
class Bufferizer {
public:
  Bufferizer(func::FuncOp from) : from(from), builder(from) {}

  LogicalResult run() {
    declare();
    for (Operation &op : from.getBody().front())
      if (auto dim = dyn_cast<kernel::DimOp>(op))
        mapping.map(dim.getValue(), dimOf(dim.getSymbolAttr()));
      else if (isIndexArithmetic(&op) || isa<kernel::MeasureOp>(op))
        builder.clone(op, mapping); // a measure gets its buffer and its place later
    for (BlockArgument argument : from.getArguments())
      if (failed(sizeArgument(argument)))
        return failure();
    for (Operation &op : from.getBody().front())
      sizeResults(&op);
    findWaiting();
    chooseDestinations();
    for (Operation &op : from.getBody().front())
      if (!isIndexArithmetic(&op) && failed(emit(&op)))
        return failure();
    finish();
    return success();
  }

private:
  /// The new function with its arguments; its results are known at the end.
  void declare() {
    SmallVector<Type> types;
    for (Type type : from.getArgumentTypes())
      types.push_back(kernel::bufferOf(type));
    for (Type type : from.getResultTypes())
      types.push_back(kernel::bufferOf(type));
    types.push_back(MemRefType::get({ShapedType::kDynamic}, builder.getI8Type()));
    to = func::FuncOp::create(builder, from.getLoc(), from.getName(),
                              builder.getFunctionType(types, {}));
    Block *entry = to.addEntryBlock();
    builder.setInsertionPointToEnd(entry);
    unsigned numInputs = from.getNumArguments(), numOutputs = from.getNumResults();
    for (unsigned i = 0; i < numInputs; ++i) {
      to.setArgAttrs(i, from.getArgAttrDict(i));
      mapping.map(from.getArgument(i), entry->getArgument(i));
    }
    for (unsigned i = 0; i < numOutputs; ++i) {
      NamedAttrList attrs;
      if (DictionaryAttr given = from.getResultAttrDict(i))
        attrs.append(given.getValue());
      attrs.set(kOutputAttr, builder.getUnitAttr());
      to.setArgAttrs(numInputs + i, attrs);
      outputs.push_back(entry->getArgument(numInputs + i));
    }
    weights = entry->getArguments().back();
    to.setArgAttr(numInputs + numOutputs, kWeightsArgAttr, builder.getUnitAttr());
    if (Attribute symbols = from->getAttr(kernel::kSymbolsAttr))
      to->setAttr(kernel::kSymbolsAttr, symbols);
    if (Attribute symbols = from->getAttr(kernel::kMaybeEmptyAttr))
      to->setAttr(kernel::kMaybeEmptyAttr, symbols);
  }

  /// The one kernel.dim of a symbol: equal dims are the same value from here on.
  Value dimOf(StringAttr symbol) {
    Value &dim = dims[symbol];
    if (!dim)
      dim = kernel::DimOp::create(builder, from.getLoc(), symbol.getValue(),
                                  kernel::mayBeEmpty(from, symbol.getValue()));
    return dim;
  }

  /// The `?`s of an input are the symbols in its onnx.dims.
  LogicalResult sizeArgument(BlockArgument argument) {
    auto type = cast<RankedTensorType>(argument.getType());
    auto dims = from.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), onnx::kDimsAttr);
    if (!dims || static_cast<int64_t>(dims.size()) != type.getRank())
      return from.emitOpError() << "expects argument " << argument.getArgNumber()
                                << " to have an attribute '" << onnx::kDimsAttr << "' with "
                                << type.getRank() << " dims";
    for (auto [size, dim] : llvm::zip(type.getShape(), dims)) {
      if (!ShapedType::isDynamic(size))
        continue;
      auto symbol = dyn_cast<StringAttr>(dim);
      if (!symbol)
        return from.emitOpError() << "expects dynamic dims of argument " << argument.getArgNumber()
                                  << " to be symbols, but one is " << dim;
      sizes[argument].push_back(dimOf(symbol));
    }
    return success();
  }

  Value extent(Value tensor, int64_t dim) {
    auto type = cast<RankedTensorType>(tensor.getType());
    if (!type.isDynamicDim(dim))
      return arith::ConstantIndexOp::create(builder, tensor.getLoc(), type.getDimSize(dim));
    return sizes[tensor][type.getDynamicDimIndex(dim)];
  }

  void sizeResults(Operation *op) {
    if (auto call = dyn_cast<kernel::CallOp>(op)) {
      for (OpResult result : call->getResults())
        for (int64_t dim : kernel::dynamicDims(call.getResultShapes(), result.getResultNumber()))
          sizes[result].push_back(mapping.lookup(call.getDims()[dim]));
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
      for (Value size : expand.getOutputShape())
        sizes[expand.getResult()].push_back(mapping.lookup(size));
    } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
      for (auto [dim, group] : llvm::enumerate(collapse.getReassociationIndices())) {
        if (!collapse.getResultType().isDynamicDim(dim))
          continue;
        Value product = extent(collapse.getSrc(), group.front());
        for (int64_t inner : ArrayRef(group).drop_front())
          product = arith::MulIOp::create(builder, op->getLoc(), product,
                                          extent(collapse.getSrc(), inner));
        sizes[collapse.getResult()].push_back(product);
      }
    } else if (auto cast = dyn_cast<tensor::CastOp>(op)) {
      auto type = llvm::cast<RankedTensorType>(cast.getType());
      for (int64_t dim = 0; dim < type.getRank(); ++dim)
        if (type.isDynamicDim(dim))
          sizes[cast.getResult()].push_back(extent(cast.getSource(), dim));
    }
  }

  /// A call's result that is returned, itself or as a view, is computed in the output's memory.
  void chooseDestinations() {
    for (auto [index, value] :
         llvm::enumerate(from.getBody().front().getTerminator()->getOperands())) {
      SmallVector<Operation *> views;
      Value root = value;
      while (kernel::isView(root.getDefiningOp())) {
        views.push_back(root.getDefiningOp());
        root = root.getDefiningOp()->getOperand(0);
      }
      if (root.getDefiningOp<kernel::CallOp>() && !destinations.count(root)) {
        destinations[root] = {unsigned(index), views};
        inPlace.insert(index);
      }
    }
  }

  /// The buffer with the bytes of `buffer` and the type of the tensor that `view` is a view of.
  Value undo(Operation *view, Value buffer) {
    Value source = view->getOperand(0);
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(view))
      return memref::CollapseShapeOp::create(builder, view->getLoc(),
                                             kernel::bufferOf(source.getType()), buffer,
                                             expand.getReassociationIndices());
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(view))
      return memref::ExpandShapeOp::create(builder, view->getLoc(),
                                           kernel::bufferOf(source.getType()), buffer,
                                           collapse.getReassociationIndices(), shapeOf(source));
    return memref::CastOp::create(builder, view->getLoc(), kernel::bufferOf(source.getType()),
                                  buffer);
  }

  SmallVector<OpFoldResult> shapeOf(Value tensor) {
    auto type = cast<RankedTensorType>(tensor.getType());
    SmallVector<OpFoldResult> shape;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      shape.push_back(type.isDynamicDim(dim)
                          ? OpFoldResult(sizes[tensor][type.getDynamicDimIndex(dim)])
                          : builder.getIndexAttr(type.getDimSize(dim)));
    return shape;
  }

  Value bufferFor(Value result) {
    auto found = destinations.find(result);
    if (found == destinations.end())
      return memref::AllocOp::create(builder, result.getLoc(), kernel::bufferOf(result.getType()),
                                     sizes[result]);
    Value buffer = outputs[found->second.first];
    for (Operation *view : found->second.second)
      buffer = undo(view, buffer);
    return buffer;
  }

  LogicalResult emit(Operation *op) {
    Location loc = op->getLoc();
    if (isa<kernel::RequireOp, kernel::CheckIndicesOp>(op)) {
      builder.clone(*op, mapping);
    } else if (auto measure = dyn_cast<kernel::MeasureOp>(op)) {
      place(mapping.lookup(measure.getValue()).getDefiningOp<kernel::MeasureOp>(),
            mapping.lookup(measure.getCount()));
    } else if (auto weight = dyn_cast<kernel::WeightOp>(op)) {
      Value offset = arith::ConstantIndexOp::create(builder, loc, table.add(weight));
      Value view = memref::ViewOp::create(builder, loc, kernel::bufferOf(weight.getType()), weights,
                                          offset, ValueRange());
      mapping.map(weight.getResult(), view);
    } else if (auto call = dyn_cast<kernel::CallOp>(op)) {
      emitCall(call);
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
      Value source = mapping.lookup(expand.getSrc());
      mapping.map(expand.getResult(),
                  memref::ExpandShapeOp::create(builder, loc, kernel::bufferOf(expand.getType()),
                                                source, expand.getReassociationIndices(),
                                                shapeOf(expand.getResult()))
                      .getResult());
    } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
      Value source = mapping.lookup(collapse.getSrc());
      mapping.map(collapse.getResult(), memref::CollapseShapeOp::create(
                                            builder, loc, kernel::bufferOf(collapse.getType()),
                                            source, collapse.getReassociationIndices())
                                            .getResult());
    } else if (auto cast = dyn_cast<tensor::CastOp>(op)) {
      Value source = mapping.lookup(cast.getSource());
      mapping.map(cast.getResult(),
                  memref::CastOp::create(builder, loc, kernel::bufferOf(cast.getType()), source)
                      .getResult());
    } else if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      emitReturn(ret);
    } else {
      return op->emitOpError() << "has no place in the host's function at this stage";
    }
    return success();
  }

  /// Finds the index arithmetic that depends on measures, and on how many operands of its own.
  void findWaiting() {
    DenseSet<Value> measured;
    for (Operation &op : to.getBody().front()) {
      auto isKnownLater = [&](Value operand) { return measured.contains(operand); };
      if (isIndexArithmetic(&op))
        if (unsigned count = llvm::count_if(op.getOperands(), isKnownLater))
          waiting[&op] = count;
      if (isa<kernel::MeasureOp>(op) || waiting.contains(&op))
        measured.insert(op.result_begin(), op.result_end());
    }
  }

  /// Moves the measure of the count in `buffer`, and what depends on no later one, to the end.
  void place(kernel::MeasureOp measure, Value buffer) {
    measure.getCountMutable().assign(buffer);
    Block &block = to.getBody().front();
    SmallVector<Operation *> ready{measure};
    for (size_t i = 0; i < ready.size(); ++i) {
      Operation *op = ready[i];
      op->moveBefore(&block, block.end());
      for (Operation *user : op->getUsers())
        if (auto found = waiting.find(user); found != waiting.end() && --found->second == 0)
          ready.push_back(user);
    }
  }

  void emitCall(kernel::CallOp call) {
    auto lookup = [&](ValueRange values) {
      return llvm::map_to_vector(values, [&](Value value) { return mapping.lookup(value); });
    };
    SmallVector<Value> outs;
    for (Value result : call.getOutputs()) {
      outs.push_back(bufferFor(result));
      mapping.map(result, outs.back());
    }
    kernel::CallOp::create(builder, call.getLoc(), TypeRange(), call.getCalleeAttr(),
                           lookup(call.getDims()), lookup(call.getInputs()), outs,
                           call.getInputShapes(), call.getResultShapes());
  }

  void emitReturn(func::ReturnOp ret) {
    SmallVector<Value> returned;
    for (auto [index, value] : llvm::enumerate(ret.getOperands())) {
      if (!inPlace.contains(index))
        memref::CopyOp::create(builder, ret.getLoc(), mapping.lookup(value), outputs[index]);
      llvm::append_range(returned, sizes[value]);
    }
    func::ReturnOp::create(builder, ret.getLoc(), returned);
    to.setFunctionType(
        builder.getFunctionType(to.getArgumentTypes(), ValueRange(returned).getTypes()));
  }

  /// Index arithmetic on dims to the front, the attributes to the module, the old function away.
  void finish() {
    Block &block = to.getBody().front();
    Operation *first = nullptr;
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (!isIndexArithmetic(&op) || waiting.contains(&op))
        first = first ? first : &op;
      else if (first)
        op.moveBefore(first);
    }
    auto module = from->getParentOfType<ModuleOp>();
    MLIRContext *context = module.getContext();
    module->setAttr(kWeightTableAttr, table.toAttr(context));
    module->setAttr(kMemoryAttr,
                    builder.getDictionaryAttr(builder.getNamedAttr(
                        "weight_bytes", builder.getI64IntegerAttr(table.totalBytes()))));
    Bounds bounds(block);
    module->setAttr(kInterfaceAttr, toAttr(context, interface(bounds)));
    bounds.eraseUnused();
    from.erase();
  }

  Interface interface(Bounds &bounds) {
    Interface result;
    DenseMap<StringRef, int64_t> numbers;
    if (auto symbols = from->getAttrOfType<ArrayAttr>(kernel::kSymbolsAttr))
      for (auto symbol : symbols.getAsRange<StringAttr>()) {
        numbers[symbol] = result.symbols.size();
        result.symbols.push_back(symbol.str());
        result.least.push_back(!kernel::mayBeEmpty(from, symbol));
      }
    for (BlockArgument argument : from.getArguments()) {
      unsigned index = argument.getArgNumber();
      result.inputs.push_back(
          describe(from.getArgAttrOfType<StringAttr>(index, onnx::kNameAttr), argument,
                   from.getArgAttrOfType<TypeAttr>(index, onnx::kElementAttr), bounds));
      for (auto [i, dim] :
           llvm::enumerate(from.getArgAttrOfType<ArrayAttr>(index, onnx::kDimsAttr)))
        if (auto symbol = dyn_cast<StringAttr>(dim); symbol && numbers.count(symbol.getValue()))
          result.inputs.back().dims[i] = {-1 - numbers[symbol.getValue()], symbol.str()};
    }
    for (auto [index, value] :
         llvm::enumerate(from.getBody().front().getTerminator()->getOperands()))
      result.outputs.push_back(
          describe(from.getResultAttrOfType<StringAttr>(index, onnx::kNameAttr), value,
                   from.getResultAttrOfType<TypeAttr>(index, onnx::kElementAttr), bounds));
    return result;
  }

  /// `element` is given where the tensor's own type does not say it.
  InterfaceTensor describe(StringAttr name, Value tensor, TypeAttr element, Bounds &bounds) {
    auto type = cast<RankedTensorType>(tensor.getType());
    Type shown = element ? element.getValue() : type.getElementType();
    InterfaceTensor result{name ? name.str() : "", onnxTypeNumber(shown), {}};
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      int64_t size = type.getDimSize(dim);
      if (ShapedType::isDynamic(size))
        result.dims.push_back({-1, textOf(sizes[tensor][type.getDynamicDimIndex(dim)], bounds)});
      else
        result.dims.push_back({size, std::to_string(size)});
    }
    return result;
  }

  /// "count(y) <= 2 * seq" where data decides.
  static std::string textOf(Value size, Bounds &bounds) {
    Value most = bounds.upper(size);
    return host::textOf(size) + (most == size ? "" : " <= " + (most ? host::textOf(most) : "?"));
  }

  func::FuncOp from, to;
  OpBuilder builder;
  IRMapping mapping;
  DenseMap<Attribute, Value> dims;           // symbol -> kernel.dim
  DenseMap<Value, SmallVector<Value>> sizes; // old tensor -> its `?`s in the new function
  DenseMap<Value, std::pair<unsigned, SmallVector<Operation *>>> destinations;
  DenseMap<Operation *, unsigned> waiting; // arithmetic, by operands that no measure has given yet
  DenseSet<unsigned> inPlace;              // outputs that some call writes itself
  SmallVector<Value> outputs;
  Value weights;
  WeightTableBuilder table;
};

struct HostBufferize : PassWrapper<HostBufferize, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(HostBufferize)
  StringRef getArgument() const override { return "host-bufferize"; }
  StringRef getDescription() const override {
    return "kernel.call on tensors => kernel.call on buffers";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, func::FuncDialect, memref::MemRefDialect>();
  }

  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    if (functions.size() != 1 || !functions[0].getBody().hasOneBlock()) {
      getOperation().emitError() << "expects one func.func with one block, but there are "
                                 << functions.size() << " functions";
      return signalPassFailure();
    }
    if (failed(check(functions[0])) || failed(Bufferizer(functions[0]).run()))
      return signalPassFailure();
    writeCallTable(getOperation(), describeKernels(getOperation()));
  }

  /// Interface types are ranked tensors of types that ONNX has; names are given.
  LogicalResult check(func::FuncOp function) {
    auto good = [&](Type type) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      return tensor && onnxTypeNumber(tensor.getElementType()) != 0;
    };
    for (Type type :
         llvm::concat<const Type>(function.getArgumentTypes(), function.getResultTypes()))
      if (!good(type))
        return function.emitOpError()
               << "expects ranked tensors of ONNX element types, but has " << type;
    auto checkRank = [&](StringRef what, Type type, StringAttr name) -> LogicalResult {
      int64_t rank = cast<RankedTensorType>(type).getRank();
      if (rank <= RAPT_MAX_RANK)
        return success();
      return emitError(function.getLoc()) << what << (name ? name.getValue() : "") << "' has rank "
                                          << rank << ", expected at most " << RAPT_MAX_RANK;
    };
    for (auto [index, type] : llvm::enumerate(function.getArgumentTypes()))
      if (failed(checkRank("graph input '", type,
                           function.getArgAttrOfType<StringAttr>(index, onnx::kNameAttr))))
        return failure();
    for (auto [index, type] : llvm::enumerate(function.getResultTypes()))
      if (failed(checkRank("graph output '", type,
                           function.getResultAttrOfType<StringAttr>(index, onnx::kNameAttr))))
        return failure();
    for (Operation &op : function.getBody().front())
      if (isIndexArithmetic(&op))
        for (Value operand : op.getOperands())
          if (Operation *made = operand.getDefiningOp();
              !made || (!isIndexArithmetic(made) && !isa<kernel::MeasureOp>(made)))
            return op.emitOpError()
                   << "expects index arithmetic to depend on the model's dims and measured sizes";
    return success();
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createHostBufferizePass() { return std::make_unique<HostBufferize>(); }
