//===- FuseAttention.cpp - softmax(scale * q k^T + mask) v => attn.sdpa ----------------===//
//
// In:  onnx after Simplify, weights as kernel.weight.
// Out: each matched site is one attn.sdpa on [batch, heads, length, head_dim], with the location of
//      its Softmax; every other Softmax has `attn.not_fused = "reason"`, and a remark says the
//      same, or `attn.copied = "reason"` where attention was made of a copy of it.
//
// Where the scale stands does not matter: scalars before, after, or on both sides of the first
// MatMul multiply into one. Additive masks are `bias`, boolean ones `mask`; Where(c, 0, -inf) as an
// additive mask is boolean too; masks of positions are offsets (AttentionTerms.h). `empty_row`
// keeps what the graph gives in a row where every key is excluded: -inf gives NaN, or zero behind a
// guard (docs/semantics.md S2); a finite sentinel gives the mean. Where scores have another reader,
// attention gets a copy of them (ScoresCopy.h). A scale that is a tensor multiplies the queries. A
// column beside the scores whose weights are left out is a `sink` (AttentionSink.h). Scores of f16
// and bf16 may be computed in f32.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/EraseDead.h"
#include "compiler/Fuse/AttentionMatch.h"
#include "compiler/Fuse/AttentionOperands.h"
#include "compiler/Fuse/AttentionTerms.h"
#include "compiler/Fuse/Fuse.h"
#include "compiler/Fuse/Intervals.h"
#include "compiler/Fuse/ScoresCopy.h"
#include "dialects/Onnx/ShapeInference.h"
#include "dialects/Onnx/ShapeText.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"

#include <cmath>

using namespace mlir;
using namespace rapt;
using fuse::tensorType;

namespace {

/// Rewrites one matched site. Ranks 2 and 3 get dims of size one: [I, D] is [1, 1, I, D] and
/// [B, I, D] is [B, 1, I, D].
class Rewriter {
public:
  Rewriter(onnx::SoftmaxOp softmax, fuse::AttentionMatch &match, onnx::ShapeInference &shapes)
      : match(match), shapes(shapes), builder(match.output), loc(softmax.getLoc()),
        rank(tensorType(softmax.getInput()).getRank()) {}

  /// The graph computes what it did when it fails; `reason` says why it does.
  LogicalResult run(std::string &reason) {
    if (failed(addMasks(reason)))
      return failure();
    fuse::separateTerms(match, shapes);
    if (match.weakMask)
      return fail(reason, match.biases.empty()
                              ? "scores are set to a sentinel above -1e9 by more than a band"
                              : "a bias is added after scores were set to a finite sentinel");
    if (failed(addMasks(reason)) || failed(checkTerms(reason)) ||
        failed(checkScaledBiases(reason)) || failed(fuse::checkOperands(match, shapes, reason)) ||
        failed(checkSentinel(reason)))
      return failure();
    FailureOr<fuse::AttentionOperands> operands =
        fuse::findOperands(match, shapes, builder, loc, reason);
    if (failed(operands))
      return failure();
    Value bias = joinBiases(), mask = joinMasks();
    auto [causal, window, fromEnd] = bandAttributes();
    RankedTensorType scoreType = tensorType(match.scores.getOutput());
    Type element = tensorType(operands->query).getElementType();
    auto term = [&](Value value) {
      // What is narrower than a query that was cast to f32 is cast with it.
      bool fits =
          !value || !fuse::isNarrow(tensorType(value).getElementType()) || fuse::isNarrow(element);
      return value ? termToRank4(fits ? value : castTo(value, element), scoreType) : Value();
    };
    auto output = attn::SdpaOp::create(
        builder, loc, withRank4(tensorType(match.output.getOutput())).clone(element),
        toRank4(operands->query), toRank4(operands->key), toRank4(operands->value), term(bias),
        mask ? termToRank4(mask, scoreType) : Value(), term(match.sink),
        builder.getF64FloatAttr(operands->scale), builder.getF64FloatAttr(match.softcap), causal,
        window, fromEnd, attn::EmptyRowAttr::get(builder.getContext(), emptyRow()));
    // A later site may read this one's result directly, and asks for its dims.
    Value old = match.output.getOutput();
    Value result = castTo(fromRank4(output.getOutput()), tensorType(old).getElementType());
    SmallVector<onnx::SymbolicExpr> dims(shapes.shape(old));
    shapes.bindArgument(result, dims);
    old.replaceAllUsesWith(result);
    return success();
  }

private:
  LogicalResult fail(std::string &reason, const llvm::Twine &text) {
    reason = text.str();
    return failure();
  }

  Value scalar(FloatType element, double number) {
    auto type = RankedTensorType::get({}, element);
    auto value = DenseElementsAttr::get(type, builder.getFloatAttr(element, number).getValue());
    return onnx::ConstantOp::create(builder, loc, type, value).getOutput();
  }

  /// match.addedMasks as biases.
  LogicalResult addMasks(std::string &reason) {
    for (const fuse::MaskTerm &mask : match.addedMasks) {
      auto element = cast<FloatType>(mask.element);
      auto type = tensorType(mask.condition).clone(element);
      Value seen = scalar(element, 0), excluded = scalar(element, mask.sentinel);
      if (!mask.seenWhenTrue)
        std::swap(seen, excluded);
      auto where = onnx::WhereOp::create(builder, loc, type, mask.condition, seen, excluded);
      for (Operation *op : {seen.getDefiningOp(), excluded.getDefiningOp(), where.getOperation()})
        if (failed(shapes.infer(op)))
          return fail(reason, "a mask has no shape");
      match.biases.push_back({where.getOutput(), 1.0});
    }
    match.addedMasks.clear();
    return success();
  }

  Value castTo(Value value, Type element) { return fuse::castTo(builder, loc, value, element); }

  std::string shapeText(Value value) const { return onnx::shapeText(shapes, value); }

  /// A bias or mask may be broadcast to the scores, never the scores to it.
  LogicalResult checkTerms(std::string &reason) {
    Value scores = match.scores.getOutput();
    if (tensorType(scores).getRank() != rank)
      return fail(reason, "mask has more dims than scores " + shapeText(scores));
    SmallVector<Value> terms;
    for (fuse::BiasTerm &term : match.biases)
      terms.push_back(term.value = onnx::withoutExpand(term.value));
    for (fuse::MaskTerm &term : match.masks)
      terms.push_back(term.condition = onnx::withoutExpand(term.condition));
    if (match.rowScale)
      terms.push_back(match.rowScale = onnx::withoutExpand(match.rowScale));
    if (match.sink)
      terms.push_back(match.sink = onnx::withoutExpand(match.sink));
    for (Value term : terms) {
      int64_t skipped = rank - tensorType(term).getRank();
      bool fits = skipped >= 0;
      for (int64_t i = 0; fits && i < tensorType(term).getRank(); ++i)
        fits = shapes.shape(term)[i].is(1) || fuse::sameDim(shapes, term, i, scores, i + skipped);
      if (!fits)
        return fail(reason, "mask " + shapeText(term) + " does not broadcast to scores " +
                                shapeText(scores));
      // Attention adds in f32: what was added in less was rounded, to be added to more later.
      Type element = tensorType(term).getElementType();
      Type own = tensorType(match.scores.getA()).getElementType();
      bool widened = element.isF32() && fuse::isNarrow(own) && term != match.rowScale;
      if (isa<FloatType>(element) && element != own && !widened)
        return fail(reason, "query and a term of the scores have different element types");
    }
    return success();
  }

  /// Two biases may be -infinity together, which no scale takes back; each is scaled by itself
  /// here.
  LogicalResult checkScaledBiases(std::string &reason) {
    SmallVector<fuse::BiasTerm> scaled;
    for (const fuse::BiasTerm &bias : match.biases)
      if (std::abs(bias.factor) != 1)
        scaled.push_back(bias);
    if (scaled.size() > 1 && !fuse::leastSum(scaled))
      return fail(reason, "biases that may be infinite together are scaled after they were added");
    return success();
  }

  /// A finite sentinel replaces the score: that excludes a key only beside keys whose scores are
  /// far above it, which a bias that may be low does not leave so.
  LogicalResult checkSentinel(std::string &reason) {
    if (!match.sentinel || std::isinf(*match.sentinel))
      return success();
    std::optional<double> leastSink;
    if (match.sink)
      leastSink = fuse::leastSum(fuse::BiasTerm{match.sink});
    if (match.sink && !(leastSink && *leastSink >= *match.sentinel / 2))
      return fail(reason, "a sink may be as low as the finite sentinel of a mask");
    if (match.biases.empty())
      return success();
    std::optional<double> least = fuse::leastSum(match.biases);
    if (least && *least >= *match.sentinel / 2)
      return success();
    return fail(reason, "a bias may be as low as the finite sentinel of a mask");
  }

  Value joinBiases() {
    Value joined;
    unknownBias = !fuse::leastSum(match.biases);
    for (fuse::BiasTerm &term : match.biases) {
      Value value = term.value;
      if (term.factor != 1.0) {
        Value factor = scalar(cast<FloatType>(tensorType(value).getElementType()), term.factor);
        value = onnx::MulOp::create(builder, loc, value.getType(), value, factor).getOutput();
      }
      joined = joined ? combine<onnx::AddOp>(joined, value) : value;
    }
    return joined;
  }

  Value joinMasks() {
    Value joined;
    for (fuse::MaskTerm &term : match.masks) {
      Value seen = term.condition;
      if (!term.seenWhenTrue)
        seen = onnx::NotOp::create(builder, loc, seen.getType(), seen).getOutput();
      joined = joined ? combine<onnx::AndOp>(joined, seen) : seen;
    }
    return joined;
  }

  /// One operation on two terms, with the type that broadcasting gives.
  template <typename OpTy> Value combine(Value a, Value b) {
    if (tensorType(a).getRank() < tensorType(b).getRank())
      std::swap(a, b);
    if (tensorType(a).getElementType() != tensorType(b).getElementType()) {
      a = castTo(a, builder.getF32Type());
      b = castTo(b, builder.getF32Type());
    }
    SmallVector<int64_t> shape(tensorType(a).getShape());
    int64_t skipped = shape.size() - tensorType(b).getRank();
    for (auto [i, size] : llvm::enumerate(tensorType(b).getShape()))
      if (shape[i + skipped] == 1)
        shape[i + skipped] = size;
    return OpTy::create(builder, loc, tensorType(a).clone(shape), a, b).getOutput();
  }

  attn::EmptyRow emptyRow() {
    if (match.emptyRow)
      return *match.emptyRow;
    if (match.zeroed)
      return attn::EmptyRow::Zero;
    attn::EmptyRow infinite =
        match.nanGuard || match.rowGuard ? attn::EmptyRow::Zero : attn::EmptyRow::Nan;
    if ((match.sentinel && std::isinf(*match.sentinel)) || unknownBias)
      return infinite;
    return !match.sentinel && match.biases.empty() ? attn::EmptyRow::Zero : attn::EmptyRow::Mean;
  }

  /// causal_offset, window_offset and causal_from_end.
  std::tuple<IntegerAttr, IntegerAttr, UnitAttr> bandAttributes() {
    ArrayRef<onnx::SymbolicExpr> scores = shapes.shape(match.scores.getOutput());
    onnx::SymbolicExpr earlier = scores[rank - 1] - scores[rank - 2];
    UnitAttr fromEnd;
    auto attribute = [&](const std::optional<onnx::SymbolicExpr> &offset) {
      if (!offset)
        return IntegerAttr();
      if (std::optional<int64_t> constant = offset->constant())
        return builder.getI64IntegerAttr(*constant);
      fromEnd = builder.getUnitAttr();
      return builder.getI64IntegerAttr(*(*offset - earlier).constant());
    };
    IntegerAttr causal = attribute(match.causal), window = attribute(match.window);
    return {causal, window, fromEnd};
  }

  Value unsqueeze(Value value, ArrayRef<int64_t> axes) {
    if (axes.empty())
      return value;
    SmallVector<int64_t> shape(tensorType(value).getShape());
    for (int64_t axis : axes)
      shape.insert(shape.begin() + axis, 1);
    return onnx::UnsqueezeOp::create(builder, loc, tensorType(value).clone(shape), value,
                                     builder.getDenseI64ArrayAttr(axes))
        .getExpanded();
  }

  /// The axes of size one that an operand of the site's rank gets.
  SmallVector<int64_t> addedAxes() {
    if (rank == 2)
      return {0, 1};
    return rank == 3 ? SmallVector<int64_t>{1} : SmallVector<int64_t>{};
  }

  Value toRank4(Value value) { return unsqueeze(value, addedAxes()); }

  RankedTensorType withRank4(RankedTensorType type) {
    SmallVector<int64_t> shape(type.getShape());
    for (int64_t axis : addedAxes())
      shape.insert(shape.begin() + axis, 1);
    return type.clone(shape);
  }

  Value fromRank4(Value value) {
    if (rank == 4)
      return value;
    auto type = tensorType(match.output.getOutput()).clone(tensorType(value).getElementType());
    return onnx::SqueezeOp::create(builder, loc, type, value,
                                   builder.getDenseI64ArrayAttr(addedAxes()))
        .getSqueezed();
  }

  Value termToRank4(Value term, RankedTensorType scores) {
    SmallVector<int64_t> leading =
        llvm::to_vector(llvm::seq<int64_t>(0, scores.getRank() - tensorType(term).getRank()));
    return toRank4(unsqueeze(term, leading));
  }

  fuse::AttentionMatch &match;
  onnx::ShapeInference &shapes;
  OpBuilder builder;
  Location loc;
  int64_t rank;
  bool unknownBias = false;
};

struct FuseAttention : PassWrapper<FuseAttention, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseAttention)
  StringRef getArgument() const final { return "fuse-attention"; }
  StringRef getDescription() const final { return "softmax(scale * q k^T + mask) v => attn.sdpa"; }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<attn::AttnDialect>();
  }

  static bool fuse(onnx::SoftmaxOp softmax, onnx::ShapeInference &shapes, std::string &reason) {
    std::optional<fuse::AttentionMatch> match = fuse::matchAttention(softmax, reason);
    return match && succeeded(Rewriter(softmax, *match, shapes).run(reason));
  }

  void runOnOperation() final {
    if (getOperation().isExternal())
      return;
    Block &body = getOperation().getBody().front();
    onnx::ShapeInference shapes;
    if (failed(shapes.run(getOperation())))
      return signalPassFailure();
    for (auto softmax : llvm::make_early_inc_range(body.getOps<onnx::SoftmaxOp>())) {
      std::string reason;
      if (softmax.use_empty() || fuse(softmax, shapes, reason))
        continue;
      if (auto own = fuse::ScoresCopy::make(softmax, shapes)) {
        std::string ignored;
        if (fuse(own->softmax(), shapes, ignored)) {
          if (!softmax.use_empty())
            softmax->setAttr("attn.copied", StringAttr::get(&getContext(), reason));
          continue;
        }
        own->undo(shapes);
      }
      if (fuse::isSoftmaxOfLayer(softmax)) {
        softmax->setAttr("attn.of_layer", UnitAttr::get(&getContext()));
        continue;
      }
      softmax->setAttr("attn.not_fused", StringAttr::get(&getContext(), reason));
      softmax.emitRemark() << "attention not fused: " << reason;
    }
    getOperation().walk([&](onnx::SoftmaxOp softmax) {
      if (softmax->getBlock() != &body)
        softmax->setAttr("attn.not_fused",
                         StringAttr::get(&getContext(), "it is in the body of a loop, and all of a "
                                                        "loop is one kernel"));
    });
    eraseDead(body);
  }
};

} // namespace

std::unique_ptr<Pass> rapt::createFuseAttentionPass() { return std::make_unique<FuseAttention>(); }
