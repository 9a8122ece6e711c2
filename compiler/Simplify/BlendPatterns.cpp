//===- BlendPatterns.cpp - Sums weighted by tables of 0 and 1 become choices -----------------===//
//
// In:  onnx in which x * b + c * (1 - b) sets x to c, as OpenAI-GPT masks its scores.
// Out: Where(b, x, c) with a boolean table b.
//
// x is taken to be finite where b is 0 (docs/semantics.md), so only c as low as masks have it
// count.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/HostTensors.h"
#include "compiler/Simplify/Rewrite.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace rapt {

namespace {
/// Masks have this number or a lower one.
constexpr double kSentinel = -1e4;
/// Larger tables are not looked at: 2048 queries by 2048 keys.
constexpr int64_t kTableElements = 1 << 22;
/// Views between a table and its use; exporters write three.
constexpr int kViews = 16;

/// The elements of a constant of f32; empty if it is none.
ArrayRef<float> floatsOf(Value value, std::vector<float> &storage) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto attribute = constant ? dyn_cast<ElementsAttr>(constant.getValue()) : ElementsAttr();
  if (!attribute || !attribute.getElementType().isF32() ||
      attribute.getNumElements() > kTableElements)
    return {};
  std::optional<HostTensor> tensor = readConstant(attribute);
  if (!tensor || tensor->isSplat)
    return {};
  storage.resize(attribute.getNumElements());
  std::memcpy(storage.data(), tensor->bytes.data(), tensor->bytes.size());
  return storage;
}

/// The condition under which `value` is 1, where it is 0 or 1 everywhere: views of a constant, or
/// of a cast from bool; null if it is something else.
Value conditionOf(Value value, OpBuilder &builder, int depth = 0) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > kViews)
    return {};
  if (auto cast = dyn_cast<onnx::CastOp>(op))
    return getElementTypeOrSelf(cast.getInput()).isInteger(1) ? cast.getInput() : Value();
  if (isa<onnx::SliceOp, onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::ExpandOp>(op)) {
    Value narrow = conditionOf(op->getOperand(0), builder, depth + 1);
    if (!narrow)
      return {};
    IRMapping mapping;
    mapping.map(op->getOperand(0), narrow);
    Operation *copy = op->cloneWithoutRegions(mapping);
    copy->getResult(0).setType(UnrankedTensorType::get(builder.getI1Type()));
    return builder.insert(copy)->getResult(0);
  }
  std::vector<float> storage;
  SmallVector<bool> table;
  for (float number : floatsOf(value, storage)) {
    if (number != 0 && number != 1)
      return {};
    table.push_back(number == 1);
  }
  if (table.empty())
    return {};
  auto type = RankedTensorType::get(cast<RankedTensorType>(value.getType()).getShape(),
                                    builder.getI1Type());
  return make<onnx::ConstantOp>(builder, value.getLoc(), DenseElementsAttr::get(type, table));
}

/// x * b + c * (1 - b)  =>  Where(b, x, c), and x * b - c * (1 - b)  =>  Where(b, x, -c), where b
/// is 0 or 1 everywhere and what it sets x to is one low number
template <typename Op> struct ChoiceOfBlend : ShapePattern<Op> {
  using ShapePattern<Op>::ShapePattern;
  Value replacement(Op op, OpBuilder &builder) const override {
    constexpr bool isSum = std::is_same_v<Op, onnx::AddOp>;
    if (!isa<FloatType>(getElementTypeOrSelf(op.getOutput())))
      return {};
    for (int first : {0, 1}) {
      auto product = op->getOperand(first).template getDefiningOp<onnx::MulOp>();
      if (!product || (first == 1 && !isSum))
        continue;
      for (int side : {0, 1}) {
        Value table = product->getOperand(side);
        std::optional<double> number = fillOf(op->getOperand(1 - first), table);
        if (number && !isSum)
          number = -*number;
        bool masks = number && *number <= kSentinel;
        Value condition = masks ? conditionOf(table, builder) : Value();
        if (!condition)
          continue;
        Value fill = makeScalar(builder, op.getLoc(), Element::ofFloat(*number),
                                getElementTypeOrSelf(op.getOutput()));
        Value choice = make<onnx::WhereOp>(builder, op.getLoc(), condition,
                                           product->getOperand(1 - side), fill);
        return expandLike(builder, this->shapes, choice, op.getOutput());
      }
    }
    return {};
  }

private:
  /// The c of c * (1 - table), perhaps computed already.
  std::optional<double> fillOf(Value value, Value table) const {
    if (auto product = value.getDefiningOp<onnx::MulOp>()) {
      for (int side : {0, 1}) {
        std::optional<double> number = numberOf(this->shapes, product->getOperand(side));
        auto rest = product->getOperand(1 - side).template getDefiningOp<onnx::SubOp>();
        if (number && std::isfinite(*number) && rest && rest.getB() == table &&
            numberOf(this->shapes, rest.getA()) == 1)
          return number;
      }
      return std::nullopt;
    }
    if (value.getType() != table.getType())
      return std::nullopt;
    std::vector<float> ofValue, ofTable;
    ArrayRef<float> fills = floatsOf(value, ofValue);
    ArrayRef<float> ones = fills.empty() ? fills : floatsOf(table, ofTable);
    std::optional<double> number;
    if (fills.size() != ones.size())
      return std::nullopt;
    for (auto [fill, one] : llvm::zip_equal(fills, ones)) {
      if (one == 0 && !number)
        number = fill;
      if (fill != (one == 0 ? *number : 0))
        return std::nullopt;
    }
    return number && std::isfinite(*number) ? number : std::nullopt;
  }
};
} // namespace

void addBlendPatterns(RewritePatternSet &patterns, ShapeInference &shapes) {
  patterns.add<ChoiceOfBlend<onnx::AddOp>, ChoiceOfBlend<onnx::SubOp>>(patterns.getContext(),
                                                                       shapes);
}

} // namespace rapt
