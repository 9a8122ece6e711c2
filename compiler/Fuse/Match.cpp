//===- Match.cpp - What the matchers of onnx share -------------------------------------===//
//
// Questions only: nothing here changes the IR. Constants are compared as doubles with a relative
// tolerance, because exporters round them to f32 in different places.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Fuse/Match.h"

#include <cmath>

using namespace mlir;

namespace rapt::fuse {

std::optional<double> scalarConstant(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!elements || elements.empty() || !elements.isSplat())
    return std::nullopt;
  Type type = elements.getElementType();
  if (isa<FloatType>(type)) {
    APFloat number = elements.getSplatValue<APFloat>();
    bool lost;
    number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
    return number.convertToDouble();
  }
  if (auto integer = dyn_cast<IntegerType>(type)) {
    APInt number = elements.getSplatValue<APInt>();
    bool isUnsigned = integer.isUnsigned() || integer.getWidth() == 1;
    return isUnsigned ? static_cast<double>(number.getZExtValue())
                      : static_cast<double>(number.getSExtValue());
  }
  return std::nullopt;
}

std::optional<double> scalarOfF32(Value value) {
  std::optional<double> number = scalarConstant(value);
  if (!number)
    return std::nullopt;
  APFloat narrow(*number);
  bool lost;
  narrow.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &lost);
  return lost ? std::nullopt : number;
}

bool closeTo(double a, double b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::abs(b);
}

bool isScalar(Value value, double constant) {
  std::optional<double> number = scalarConstant(value);
  return number && closeTo(*number, constant);
}

Value otherThanScalar(Operation *op, double constant) {
  if (isScalar(op->getOperand(0), constant))
    return op->getOperand(1);
  if (isScalar(op->getOperand(1), constant))
    return op->getOperand(0);
  return {};
}

Value meanOfRows(Value value) {
  auto mean = value.getDefiningOp<onnx::ReduceMeanOp>();
  if (!mean || !mean.getKeepdims() || mean.getAxes().size() != 1 ||
      mean.getAxes()[0] != tensorType(mean.getData()).getRank() - 1)
    return {};
  return mean.getData();
}

Value squared(Value value) {
  if (auto mul = value.getDefiningOp<onnx::MulOp>())
    return mul.getA() == mul.getB() ? mul.getA() : Value();
  auto pow = value.getDefiningOp<onnx::PowOp>();
  return pow && scalarConstant(pow.getB()) == 2.0 ? pow.getA() : Value();
}

Product product(Value value) {
  Product result;
  SmallVector<Value> work{value};
  while (!work.empty()) {
    Value next = work.pop_back_val();
    if (std::optional<double> number = scalarConstant(next)) {
      result.coefficient *= *number;
      continue;
    }
    bool follow = next == value || next.hasOneUse();
    if (auto mul = next.getDefiningOp<onnx::MulOp>(); mul && follow) {
      work.append({mul.getB(), mul.getA()});
      continue;
    }
    if (auto div = next.getDefiningOp<onnx::DivOp>(); div && follow) {
      std::optional<double> divisor = scalarConstant(div.getB());
      if (divisor && *divisor != 0) {
        result.coefficient /= *divisor;
        work.push_back(div.getA());
        continue;
      }
    }
    result.factors.push_back(next);
  }
  return result;
}

} // namespace rapt::fuse
