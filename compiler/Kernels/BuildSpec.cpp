//===- BuildSpec.cpp - The body of a kernel as a KernelSpec ----------------------------===//
//
// In:  a block of linalg.generic, linalg.fill, attn.sdpa and tensor views on dense tensors.
// Out: a KernelSpec with one stage for each operation that computes something.
//
// A view never becomes a stage. Every value is an Access: a function from the indices of an element
// to the expression that loads it. Views compose these functions; a stage's Access is a plain load.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/BuildSpec.h"
#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/ScalarBody.h"

#include "dialects/Attn/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <functional>

using namespace mlir;
using namespace rapt;
using namespace rapt::kernels;

namespace {

using Access = std::function<ExprRef(llvm::ArrayRef<ExprRef>)>;
using Shape = std::vector<Extent>;

/// A value of the block: where its elements come from and how many there are.
struct Operand {
  Access access;
  Shape shape;
  std::optional<int> tensor; // set when it is a whole tensor of the spec, not a view
};

ExprRef extentExpr(const Extent &extent) {
  ExprRef result = Expr::makeInt(extent.factor);
  for (int dim : extent.dims)
    result = Expr::makeBinary(BinaryOp::Mul, result, Expr::makeDim(dim));
  return result;
}

class SpecBuilder {
public:
  SpecBuilder(Block &body, int64_t numDims) : body(body) {
    spec.numDims = static_cast<int>(numDims);
  }

  llvm::Error run(ArrayAttr inputShapes, llvm::ArrayRef<int64_t> panels) {
    if (auto error = addInputs(inputShapes, panels))
      return error;
    for (Operation &op : body.without_terminator())
      if (auto error = visit(op))
        return error;
    for (Value value : body.getTerminator()->getOperands()) {
      const Operand &operand = values.at(value);
      if (!operand.access)
        return fail(body.getTerminator(), "yields a tensor that nothing is written to");
      addOutput(operand);
    }
    return llvm::Error::success();
  }

  KernelSpec spec;

private:
  llvm::Error fail(Operation *op, const llvm::Twine &text) {
    return llvm::createStringError("'" + op->getName().getStringRef() + "' op " + text);
  }

  int addTensor(ScalarType type, Shape shape) {
    spec.tensors.push_back(Tensor{type, std::move(shape), 0});
    return static_cast<int>(spec.tensors.size()) - 1;
  }

  Operand wholeTensor(int id) {
    ScalarType type = spec.tensors[id].type;
    Access access = [id, type](llvm::ArrayRef<ExprRef> indices) {
      return Expr::makeLoad(id, type, indices.vec());
    };
    return Operand{std::move(access), spec.tensors[id].shape, id};
  }

  llvm::Error addInputs(ArrayAttr inputShapes, llvm::ArrayRef<int64_t> panels) {
    unsigned numDims = spec.numDims;
    for (unsigned i = 0; i + numDims < body.getNumArguments(); ++i) {
      BlockArgument arg = body.getArgument(numDims + i);
      auto type = cast<RankedTensorType>(arg.getType());
      auto scalar = scalarType(type.getElementType());
      if (!scalar)
        return llvm::createStringError("element type of input " + std::to_string(i) +
                                       " has no kernel form");
      Shape shape;
      llvm::ArrayRef<int64_t> dynamic = kernel::dynamicDims(inputShapes, i);
      for (int64_t size : type.getShape()) {
        if (!ShapedType::isDynamic(size)) {
          shape.push_back(Extent{size, {}});
          continue;
        }
        shape.push_back(Extent{1, {static_cast<int>(dynamic.front())}});
        dynamic = dynamic.drop_front();
      }
      int id = addTensor(*scalar, std::move(shape));
      spec.tensors[id].panel = panels.empty() ? 0 : panels[i];
      values[arg] = wholeTensor(id);
    }
    spec.numInputs = static_cast<int>(spec.tensors.size());
    return llvm::Error::success();
  }

  /// A dynamic size of the block is one of its dim arguments or a constant.
  std::optional<Extent> extentOf(OpFoldResult size) {
    if (auto constant = getConstantIntValue(size))
      return Extent{*constant, {}};
    auto arg = dyn_cast<BlockArgument>(cast<Value>(size));
    if (!arg || static_cast<int>(arg.getArgNumber()) >= spec.numDims)
      return std::nullopt;
    return Extent{1, {static_cast<int>(arg.getArgNumber())}};
  }

  llvm::Expected<Shape> shapeOf(Operation *op, llvm::ArrayRef<OpFoldResult> sizes) {
    Shape shape;
    for (OpFoldResult size : sizes) {
      auto extent = extentOf(size);
      if (!extent)
        return fail(op, "expects each size to be a constant or a dim of the kernel");
      shape.push_back(*extent);
    }
    return shape;
  }

  llvm::Error visit(Operation &op) {
    if (isa<arith::ConstantOp>(op) && op.getResult(0).getType().isIntOrIndexOrFloat())
      return llvm::Error::success(); // bodies and sizes read it where they use it
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return visitConstant(constant);
    if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
      auto shape = shapeOf(&op, empty.getMixedSizes());
      if (!shape)
        return shape.takeError();
      values[empty.getResult()] = Operand{nullptr, *shape, std::nullopt};
      return llvm::Error::success();
    }
    if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      fills[fill.getResult(0)] = fill.getInputs().front();
      Value scalar = fill.getInputs().front();
      Operand filled{nullptr, values.at(fill.getOutputs().front()).shape, std::nullopt};
      if (ExprRef constant = constantExpr(scalar))
        filled.access = [constant](llvm::ArrayRef<ExprRef>) { return constant; };
      values[fill.getResult(0)] = filled;
      return llvm::Error::success();
    }
    if (auto cast = dyn_cast<tensor::CastOp>(op)) {
      values[cast.getResult()] = values.at(cast.getSource());
      return llvm::Error::success();
    }
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
      return visitExpand(expand);
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
      return visitCollapse(collapse);
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
      return visitSlice(slice);
    if (auto sdpa = dyn_cast<attn::SdpaOp>(op))
      return visitSdpa(sdpa);
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return visitGeneric(generic);
    return fail(&op, "has no kernel form");
  }

  llvm::Error visitConstant(arith::ConstantOp op) {
    auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
    auto type = dyn_cast<RankedTensorType>(op.getType());
    if (!elements || !type || !elements.isSplat() || !type.hasStaticShape())
      return fail(op, "expects a scalar or splat constant");
    ExprRef value = constantExpr(elements.getSplatValue<TypedAttr>());
    if (!value)
      return fail(op, "has an element type without kernel form");
    Shape shape;
    for (int64_t size : type.getShape())
      shape.push_back(Extent{size, {}});
    values[op.getResult()] =
        Operand{[value](llvm::ArrayRef<ExprRef>) { return value; }, std::move(shape), std::nullopt};
    return llvm::Error::success();
  }

  /// source index of a group = row-major number of the result's indices in it.
  llvm::Error visitExpand(tensor::ExpandShapeOp op) {
    Operand source = values.at(op.getSrc());
    auto shape = shapeOf(op, op.getMixedOutputShape());
    if (!shape)
      return shape.takeError();
    auto groups = op.getReassociationIndices();
    Shape extents = *shape;
    Access access = [source, groups, extents](llvm::ArrayRef<ExprRef> indices) {
      std::vector<ExprRef> sourceIndices;
      for (const auto &group : groups) {
        ExprRef linear = Expr::makeInt(0);
        for (int64_t dim : group)
          linear = Expr::makeBinary(
              BinaryOp::Add, Expr::makeBinary(BinaryOp::Mul, linear, extentExpr(extents[dim])),
              indices[dim]);
        sourceIndices.push_back(linear);
      }
      return source.access(sourceIndices);
    };
    values[op.getResult()] = Operand{std::move(access), *shape, std::nullopt};
    return llvm::Error::success();
  }

  /// The inverse: the result's index of a group is taken apart, innermost dim first.
  llvm::Error visitCollapse(tensor::CollapseShapeOp op) {
    Operand source = values.at(op.getSrc());
    auto groups = op.getReassociationIndices();
    Shape shape;
    for (const auto &group : groups) {
      Extent product;
      for (int64_t dim : group)
        product = product * source.shape[dim];
      shape.push_back(product);
    }
    Access access = [source, groups](llvm::ArrayRef<ExprRef> indices) {
      std::vector<ExprRef> sourceIndices(source.shape.size(), Expr::makeInt(0));
      for (const auto &[group, index] : llvm::zip_equal(groups, indices)) {
        llvm::SmallVector<int64_t> dims; // those that are not 1
        for (int64_t dim : group)
          if (!(source.shape[dim] == Extent{1, {}}))
            dims.push_back(dim);
        ExprRef rest = index;
        for (int64_t dim : llvm::reverse(llvm::ArrayRef(dims).drop_front(dims.empty() ? 0 : 1))) {
          ExprRef extent = extentExpr(source.shape[dim]);
          sourceIndices[dim] = Expr::makeBinary(BinaryOp::FloorMod, rest, extent);
          rest = Expr::makeBinary(BinaryOp::FloorDiv, rest, extent);
        }
        if (!dims.empty())
          sourceIndices[dims.front()] = rest;
      }
      return source.access(sourceIndices);
    };
    values[op.getResult()] = Operand{std::move(access), std::move(shape), std::nullopt};
    return llvm::Error::success();
  }

  llvm::Error visitSlice(tensor::ExtractSliceOp op) {
    Operand source = values.at(op.getSource());
    auto sizes = shapeOf(op, op.getMixedSizes());
    if (!sizes)
      return sizes.takeError();
    std::vector<ExprRef> offsets;
    for (OpFoldResult offset : op.getMixedOffsets()) {
      auto extent = extentOf(offset);
      if (!extent)
        return fail(op, "expects each offset to be a constant or a dim of the kernel");
      offsets.push_back(extentExpr(*extent));
    }
    if (!op.hasUnitStride() || op.getDroppedDims().any())
      return fail(op, "expects unit strides and the rank of its source");
    Access access = [source, offsets](llvm::ArrayRef<ExprRef> indices) {
      std::vector<ExprRef> shifted;
      for (const auto &[index, offset] : llvm::zip_equal(indices, offsets))
        shifted.push_back(Expr::makeBinary(BinaryOp::Add, index, offset));
      return source.access(shifted);
    };
    values[op.getResult()] = Operand{std::move(access), *sizes, std::nullopt};
    return llvm::Error::success();
  }

  llvm::Error visitSdpa(attn::SdpaOp op) {
    Operand query = values.at(op.getQuery()), key = values.at(op.getKey()),
            value = values.at(op.getValue());
    std::vector<ExprRef> loops;
    for (int i = 0; i < 4; ++i)
      loops.push_back(Expr::makeLoop(i));
    auto isStatic = [](const Extent &extent) { return extent.isStatic(); };
    if (!isStatic(query.shape[3]) || !isStatic(value.shape[3]))
      return fail(op, "expects a static head_dim");

    AttentionStage stage;
    stage.batch = query.shape[0];
    stage.queries = query.shape[2];
    stage.keys = key.shape[2];
    stage.heads = query.shape[1].factor;
    stage.kvHeads = key.shape[1].factor;
    stage.headDim = query.shape[3].factor;
    stage.valueDim = value.shape[3].factor;
    stage.scale = op.getScale().convertToDouble();
    stage.softcap = op.getSoftcap().convertToDouble();
    auto diagonal = [&](int64_t offset) {
      ExprRef expr = Expr::makeInt(attn::nearDiagonal(offset));
      if (!op.getCausalFromEnd())
        return expr;
      return Expr::makeBinary(
          BinaryOp::Add, expr,
          Expr::makeBinary(BinaryOp::Sub, extentExpr(stage.keys), extentExpr(stage.queries)));
    };
    if (auto offset = op.getCausalOffset())
      stage.causalOffset = diagonal(*offset);
    if (auto offset = op.getWindowOffset())
      stage.windowOffset = diagonal(*offset);
    using EmptyRow = AttentionStage::EmptyRow;
    constexpr EmptyRow emptyRows[] = {EmptyRow::Zero,       EmptyRow::Mean,
                                      EmptyRow::Nan,        EmptyRow::MaskMean,
                                      EmptyRow::EitherMean, EmptyRow::CausalMean};
    stage.emptyRow = emptyRows[static_cast<int>(op.getEmptyRow())];
    // f16 and bf16 are for storage: the stage reads and gives f32, and what it gives is rounded
    // once.
    auto type = scalarType(cast<RankedTensorType>(op.getType()).getElementType());
    if (!type)
      return fail(op, "has an element type without kernel form");
    bool narrow = *type == ScalarType::F16 || *type == ScalarType::BF16;
    auto widened = [&](ExprRef expr) {
      return narrow ? Expr::makeCast(ScalarType::F32, std::move(expr)) : expr;
    };
    stage.query = widened(query.access(loops));
    stage.key = widened(key.access(loops));
    stage.value = widened(value.access(loops));
    auto broadcast = [&](Value operand) -> ExprRef {
      if (!operand)
        return nullptr;
      const Operand &source = values.at(operand);
      std::vector<ExprRef> indices;
      for (int i = 0; i < 4; ++i)
        indices.push_back(source.shape[i] == Extent{1, {}} ? Expr::makeInt(0) : loops[i]);
      return source.access(indices);
    };
    stage.bias = op.getBias() ? widened(broadcast(op.getBias())) : nullptr;
    stage.mask = broadcast(op.getMask());
    stage.sink = op.getSink() ? widened(broadcast(op.getSink())) : nullptr;

    Shape shape{query.shape[0], query.shape[1], query.shape[2], value.shape[3]};
    int id = addTensor(narrow ? ScalarType::F32 : *type, shape);
    Stage result{"attention" + std::to_string(spec.stages.size()), id, std::move(stage), {}};
    spec.stages.push_back(std::move(result));
    if (narrow) {
      LoopStage rounded{4, shape, Reduction::None, nullptr};
      rounded.body = Expr::makeCast(*type, wholeTensor(id).access(loops));
      id = addTensor(*type, shape);
      spec.stages.push_back(
          Stage{"map" + std::to_string(spec.stages.size()), id, std::nullopt, std::move(rounded)});
    }
    values[op.getResult()] = wholeTensor(id);
    return llvm::Error::success();
  }

  llvm::Error visitGeneric(linalg::GenericOp op);
  void addOutput(const Operand &operand);

  Block &body;
  llvm::DenseMap<Value, Operand> values;
  llvm::DenseMap<Value, Value> fills; // result of a linalg.fill -> its scalar
};

llvm::Error SpecBuilder::visitGeneric(linalg::GenericOp op) {
  if (op.getNumResults() != 1)
    return fail(op, "expects one result");
  llvm::SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  AffineMap outMap = maps.back();
  auto iterators = op.getIteratorTypesArray();
  const Operand &out = values.at(op.getOutputs().front());

  // Loop numbers of the spec: the result's dims first, then what is reduced.
  LoopStage stage;
  stage.parallel = static_cast<int>(out.shape.size());
  stage.loops = out.shape;
  std::vector<ExprRef> loops(iterators.size());
  for (auto [number, expr] : llvm::enumerate(outMap.getResults()))
    if (auto dim = dyn_cast<AffineDimExpr>(expr); dim && !loops[dim.getPosition()])
      loops[dim.getPosition()] = Expr::makeLoop(static_cast<int>(number));
    else if (!(out.shape[number] == Extent{1, {}}))
      return fail(op, "expects its result to be indexed by loops");
  auto extentOfLoop = [&](unsigned loop) -> std::optional<Extent> {
    for (auto [operand, map] : llvm::zip_equal(op.getOperands(), maps))
      for (auto [position, expr] : llvm::enumerate(map.getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(expr); dim && dim.getPosition() == loop)
          return values.at(operand).shape[position];
    return std::nullopt;
  };
  for (unsigned i = 0; i < iterators.size(); ++i) {
    if (loops[i])
      continue;
    auto extent = extentOfLoop(i);
    if (!extent)
      return fail(op, "has a loop that no operand is indexed by");
    if (iterators[i] != utils::IteratorType::reduction && !(*extent == Extent{1, {}}))
      return fail(op, "expects every parallel loop to index the result");
    if (*extent == Extent{1, {}}) {
      loops[i] = Expr::makeInt(0);
      continue;
    }
    loops[i] = Expr::makeLoop(static_cast<int>(stage.loops.size()));
    stage.loops.push_back(*extent);
  }

  ScalarScope scope;
  scope.loops = loops;
  scope.numDims = spec.numDims;
  scope.load = [this](Value tensor, llvm::ArrayRef<ExprRef> indices) -> ExprRef {
    auto it = values.find(tensor);
    return it == values.end() || !it->second.access ? nullptr : it->second.access(indices);
  };
  Block &inner = op.getRegion().front();
  for (auto [operand, map, arg] : llvm::zip_first(op.getInputs(), maps, inner.getArguments())) {
    const Operand &source = values.at(operand);
    auto indices = mapIndices(map, loops);
    if (!source.access && arg.use_empty())
      continue; // there for the extents of loops only
    if (!indices || !source.access)
      return fail(op, "has an indexing map or operand without kernel form");
    // A dim of size one has one element, whatever the map says.
    for (auto [index, extent] : llvm::zip_equal(*indices, source.shape))
      if (extent == Extent{1, {}})
        index = Expr::makeInt(0);
    scope.values[arg] = source.access(*indices);
  }

  bool reduces = stage.loops.size() > out.shape.size() ||
                 llvm::is_contained(iterators, utils::IteratorType::reduction);
  Value yielded = inner.getTerminator()->getOperand(0);
  BlockArgument accumulator = inner.getArguments().back();
  if (reduces) {
    auto combiner = matchCombiner(yielded, accumulator);
    if (!combiner)
      return fail(op, "expects a sum, product, maximum or minimum as its reduction");
    auto init = fills.find(op.getOutputs().front());
    if (init == fills.end() || !isNeutral(combiner->first, init->second))
      return fail(op, "expects its result to start at the neutral element of its reduction");
    stage.reduction = combiner->first;
    yielded = combiner->second;
  }
  llvm::Expected<ExprRef> bodyExpr = translateScalar(yielded, scope);
  if (!bodyExpr)
    return bodyExpr.takeError();
  stage.body = *bodyExpr;
  auto type = scalarType(cast<RankedTensorType>(op.getResultTypes().front()).getElementType());
  if (!type)
    return fail(op, "has an element type without kernel form");

  // A pointwise generic that only moves elements is a view: transposes and broadcasts end here.
  bool isCopy =
      !reduces && (stage.body->kind == Expr::Kind::Load || stage.body->kind == Expr::Kind::Int ||
                   stage.body->kind == Expr::Kind::Float);
  if (isCopy && stage.body->type == *type) {
    ExprRef expr = stage.body;
    Access access = [expr](llvm::ArrayRef<ExprRef> indices) {
      return substituteLoops(expr, indices.vec());
    };
    values[op.getResult(0)] = Operand{std::move(access), out.shape, std::nullopt};
    return llvm::Error::success();
  }
  int id = addTensor(*type, out.shape);
  const char *kind = !reduces ? "map" : stage.reduction == Reduction::Sum ? "sum" : "reduce";
  std::string name = kind + std::to_string(spec.stages.size());
  spec.stages.push_back(Stage{name, id, std::nullopt, std::move(stage)});
  values[op.getResult(0)] = wholeTensor(id);
  return llvm::Error::success();
}

/// An output that is a view, an input, or already an output is copied into a tensor of its own.
void SpecBuilder::addOutput(const Operand &operand) {
  if (operand.tensor && *operand.tensor >= spec.numInputs &&
      !llvm::is_contained(spec.outputs, *operand.tensor)) {
    spec.outputs.push_back(*operand.tensor);
    return;
  }
  LoopStage copy;
  copy.parallel = static_cast<int>(operand.shape.size());
  copy.loops = operand.shape;
  std::vector<ExprRef> indices;
  for (int i = 0; i < copy.parallel; ++i)
    indices.push_back(Expr::makeLoop(i));
  copy.body = operand.access(indices);
  int id = addTensor(copy.body->type, operand.shape);
  spec.stages.push_back(
      Stage{"copy" + std::to_string(spec.stages.size()), id, std::nullopt, std::move(copy)});
  spec.outputs.push_back(id);
}

} // namespace

llvm::Expected<KernelSpec> rapt::kernels::buildSpec(Block &body, int64_t numDims,
                                                    ArrayAttr inputShapes,
                                                    llvm::ArrayRef<int64_t> inputPanels) {
  SpecBuilder builder(body, numDims);
  if (auto error = builder.run(inputShapes, inputPanels))
    return std::move(error);
  dropUnitDims(builder.spec);
  dropRemainders(builder.spec);
  mergeLoops(builder.spec);
  addRowOfVectorProduct(builder.spec);
  return std::move(builder.spec);
}
