//===- VersionsConstants.cpp - Constants, shapes and ranges ----------------------------------===//
//
// Rows of the table for Constant, ConstantOfShape, Shape, Size and Range. Every attribute form of
// Constant becomes one onnx.Constant; operands that give a shape stay operands, whose worth shape
// inference finds.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Versions.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// A constant of a Tensor attribute; unsupported for strings and the like.
ElementsAttr tensorValue(NodeBuilder &b, const Tensor &tensor) {
  ElementsAttr value = elementsFor(b.context(), tensor, b.firstOutput());
  if (!value)
    b.unsupported("element type " + nameOf(tensor.elementType));
  return value;
}

void upgradeConstant(NodeBuilder &b) {
  OpBuilder &ops = b.ops();
  auto vectorOf = [&](size_t size, Type type) {
    return RankedTensorType::get({static_cast<int64_t>(size)}, type);
  };
  ElementsAttr value;
  if (const Tensor *tensor = b.tensorAttr("value"))
    value = tensorValue(b, *tensor);
  else if (const Attribute *single = b.attribute("value_float", AttributeType::Float))
    value = DenseElementsAttr::get(RankedTensorType::get({}, ops.getF32Type()), single->f);
  else if (const Attribute *single = b.attribute("value_int", AttributeType::Int))
    value = DenseElementsAttr::get(RankedTensorType::get({}, ops.getI64Type()), single->i);
  else if (const Attribute *many = b.attribute("value_floats", AttributeType::Floats))
    value = DenseElementsAttr::get(vectorOf(many->floats.size(), ops.getF32Type()),
                                   ArrayRef<float>(many->floats));
  else if (const Attribute *many = b.attribute("value_ints", AttributeType::Ints))
    value = DenseElementsAttr::get(vectorOf(many->ints.size(), ops.getI64Type()),
                                   ArrayRef<int64_t>(many->ints));
  for (StringRef name : {"sparse_value", "value_string", "value_strings"})
    if (b.has(name))
      b.unsupported("attribute '" + name + "'");
  if (!value)
    b.error("has no attribute 'value', 'value_float', 'value_floats', 'value_int' or 'value_ints'");
  if (!b.stopped())
    b.out(0, b.makeConstant(value));
}

void upgradeConstantOfShape(NodeBuilder &b) {
  Value shape = b.in(0);
  ElementsAttr value =
      DenseElementsAttr::get(RankedTensorType::get({1}, b.ops().getF32Type()), 0.0f);
  if (const Tensor *tensor = b.tensorAttr("value"))
    value = tensorValue(b, *tensor);
  if (!b.stopped())
    b.out(0, b.make<ConstantOfShapeOp>(shape, value));
}

/// `start` and `end` came with opset 15; they are clamped like slices.
void upgradeShape(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t rank = b.rank(x), start = 0, end = rank;
  if (b.opset() >= 15) {
    start = b.intAttr("start", 0);
    end = b.intAttr("end", rank);
  }
  auto clamped = [&](int64_t bound) {
    return std::clamp<int64_t>(bound < 0 ? bound + rank : bound, 0, rank);
  };
  if (!b.stopped())
    b.out(0, b.make<ShapeOp>(x, clamped(start), clamped(end)));
}

void upgradeSize(NodeBuilder &b) {
  if (Value x = b.in(0))
    b.out(0, b.make<SizeOp>(x));
}

/// Since opset 27, `stash_type` 1 says that f16 and bf16 are counted in f32; that is what all get.
void upgradeRange(NodeBuilder &b) {
  Value start = b.in(0), limit = b.in(1), delta = b.in(2);
  Type type = b.elementType(start);
  if (b.opset() >= 27)
    b.ignoreAttr("stash_type");
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32) {
    Type wide = b.ops().getF32Type();
    for (Value *operand : {&start, &limit, &delta})
      if (*operand && b.elementType(*operand) == type)
        *operand = castTo(b, *operand, wide);
  }
  if (!b.stopped())
    b.out(0, castTo(b, b.make<RangeOp>(start, limit, delta), type));
}
} // namespace

void addConstants(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
          {"Constant", 7, "float, int, bool", "no sparse tensors, no strings", upgradeConstant},
          {"ConstantOfShape", 9, "float, int, bool",
           "the shape must follow from constants and input dims", upgradeConstantOfShape},
          {"Range", 11, "float, int", "operands must follow from constants and input dims",
           upgradeRange},
          {"Shape", 7, "float, int, bool", "", upgradeShape},
          {"Size", 7, "float, int, bool", "", upgradeSize},
      });
}

} // namespace rapt::onnx
