//===- VersionsResize.cpp - Pad, Resize and Upsample -----------------------------------------===//
//
// Pads and scales were attributes or operands by opset: here pads are an operand, scales an
// attribute. Upsample and the Resize of opset 10 become the Resize of opset 19.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace rapt::onnx {

namespace {
/// The pads of a node that has them as an attribute: error unless there are two an axis.
bool checkPads(NodeBuilder &b, size_t count, size_t axes) {
  if (count != 2 * axes)
    b.error("'pads' has " + Twine(count) + " numbers, expected " + Twine(2 * axes) +
            ", two for each of " + Twine(axes) + " axes");
  return !b.stopped();
}

/// Negative pads take elements off, which then are not among those that the other modes repeat:
/// takes off here what constant `pads` say, and leaves zeros in their places.
Value cropped(NodeBuilder &b, Value x, Value &pads, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> left;
  for (const Element &element : b.elements(pads))
    left.push_back(*element.expr.constant());
  constexpr int64_t end = std::numeric_limits<int64_t>::max();
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t first = -clampDistance(std::min<int64_t>(left[i], 0)),
            last = clampDistance(std::min<int64_t>(left[axes.size() + i], 0));
    if (std::optional<int64_t> size = b.dim(x, axis).constant(); size && first - last > *size) {
      b.error("'pads' take " + Twine(first) + " and " + Twine(-last) + " elements off axis " +
              Twine(axis) + ", which has " + Twine(*size));
      return {};
    }
    if (first > 0 || last < 0)
      x = slice(b, x, axis, first, last < 0 ? last : end);
  }
  for (int64_t &pad : left)
    pad = std::max<int64_t>(pad, 0);
  pads = b.makeInts(left);
  return x;
}

/// Pads and value are attributes below opset 11; `axes` came with 18.
void upgradePad(NodeBuilder &b) {
  Value x = b.in(0), pads, value;
  int64_t rank = b.rank(x);
  StringRef mode = b.stringAttr("mode", "constant");
  bool known = mode == "constant" || mode == "reflect" || mode == "edge" ||
               (mode == "wrap" && b.opset() >= 19);
  if (!known)
    b.error("attribute 'mode' is '" + mode + "', expected constant, reflect, edge" +
            (b.opset() >= 19 ? " or wrap" : ""));
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (b.opset() < 11) {
    std::optional<SmallVector<int64_t>> given = b.intsAttr("pads");
    if (!given)
      b.error("attribute 'pads' is missing");
    float number = b.floatAttr("value", 0);
    if (b.stopped() || !checkPads(b, given->size(), axes.size()))
      return;
    pads = b.makeInts(*given);
    if (number != 0)
      value = b.makeScalar(b.elementType(x), number);
  } else {
    pads = b.in(1);
    value = b.optional(2);
    if (b.opset() >= 18 && b.optional(3))
      axes = b.constants(3, "axes");
    for (int64_t &axis : axes)
      axis = b.normalized(axis, rank, "axes");
    if (b.stopped())
      return;
    if (!b.elementType(pads).isInteger(64))
      return b.error("input 'pads' has element type " + typeName(b.elementType(pads)) +
                     ", expected i64");
    auto type = cast<RankedTensorType>(pads.getType());
    if (type.getRank() != 1 || type.isDynamicDim(0))
      return b.error("input 'pads' has rank " + Twine(type.getRank()) +
                     " or a dynamic size, expected rank 1");
    if (!checkPads(b, type.getDimSize(0), axes.size()))
      return;
  }
  if (!b.stopped() && mode != "constant" && b.isConstant(pads))
    x = cropped(b, x, pads, axes);
  if (!b.stopped())
    b.out(0, b.make<PadOp>(x, pads, value, axes, mode));
}

// --- Resize --------------------------------------------------------------------------------------
/// Scales outside of 1/limit to limit are taken for mistakes.
constexpr double maxScale = 65536;
constexpr int64_t maxSize = int64_t(1) << 31;

/// What a Resize node says, one entry an axis of `axes`.
struct ResizeForm {
  SmallVector<int64_t> axes;
  SmallVector<double> scales; ///< 0: the ratio of the dims
  SmallVector<double> roi;    ///< starts, then ends; or empty
  Value sizes;                ///< i64, the result's dims
  std::string mode, transformation, rounding;
  float cubic = -0.75f, extrapolation = 0;
  bool excludeOutside = false, antialias = false;
};

bool checkScales(NodeBuilder &b, ArrayRef<double> scales, size_t axes) {
  if (scales.size() != axes)
    b.error("'scales' has " + Twine(scales.size()) + " numbers, expected " + Twine(axes));
  for (double scale : scales)
    if (!(scale >= 1 / maxScale && scale <= maxScale))
      b.error("'scales' has " + numberText(scale) + ", expected " + numberText(1 / maxScale) +
              " to " + numberText(maxScale));
  return !b.stopped();
}

/// floor(dim * scale) for the axes of `form`: exactly, since a scale is a fraction whose
/// denominator is a power of two.
Value scaledDims(NodeBuilder &b, Value x, const ResizeForm &form) {
  SmallVector<int64_t> over, under;
  for (double scale : form.scales) {
    int exponent = 0;
    double mantissa = std::frexp(scale, &exponent); // in [0.5, 1)
    int64_t above = static_cast<int64_t>(std::ldexp(mantissa, 24)), below = 1;
    int shift = 24 - exponent;
    for (; shift > 0 && above % 2 == 0; --shift)
      above /= 2;
    if (shift > 0)
      below = int64_t(1) << shift;
    else
      above <<= -shift;
    over.push_back(above);
    under.push_back(below);
  }
  Value dims = b.make<ShapeOp>(x, 0, b.rank(x)), axes = b.makeInts(form.axes),
        factor = b.makeInts(over), divisor = b.makeInts(under);
  Value taken = divisor ? b.make<GatherOp>(dims, axes, 0) : Value();
  Value product = taken ? b.make<MulOp>(taken, factor) : Value();
  return product ? b.make<DivOp>(product, divisor) : Value();
}

/// Sizes that the node gives; with a policy other than stretch they bound a common scale.
void setSizes(NodeBuilder &b, Value x, ResizeForm &form, ArrayRef<int64_t> sizes,
              StringRef policy) {
  if (sizes.size() != form.axes.size())
    return b.error("'sizes' has " + Twine(sizes.size()) + " numbers, expected " +
                   Twine(form.axes.size()));
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<int64_t> result(sizes);
  for (auto [axis, size] : llvm::zip(form.axes, sizes)) {
    int64_t dim = type.getDimSize(axis);
    if (size < 1 || size > maxSize)
      return b.error("'sizes' has " + Twine(size) + ", expected 1 to " + Twine(maxSize));
    if (policy != "stretch" && ShapedType::isDynamic(dim))
      return b.unsupported("attribute 'keep_aspect_ratio_policy': " + openDimText(b, axis));
    form.scales.push_back(ShapedType::isDynamic(dim) || dim == 0
                              ? 0
                              : static_cast<double>(size) / static_cast<double>(dim));
  }
  if (policy != "stretch" && !form.scales.empty()) {
    double scale =
        policy == "not_larger" ? *llvm::min_element(form.scales) : *llvm::max_element(form.scales);
    for (auto [axis, size] : llvm::zip(form.axes, result)) {
      double scaled = scale * static_cast<double>(type.getDimSize(axis)) + 0.5;
      if (scaled > static_cast<double>(maxSize))
        return b.error("'sizes' scale axis " + Twine(axis) + " to more than " + Twine(maxSize));
      size = static_cast<int64_t>(scaled);
    }
    form.scales.assign(form.scales.size(), scale);
  }
  form.sizes = b.makeInts(result);
}

/// Sizes that follow from the dims of the model's inputs. Unknown ones are refused by inference.
void setOpenSizes(NodeBuilder &b, Value x, Value sizes, ResizeForm &form, StringRef policy) {
  auto type = cast<RankedTensorType>(sizes.getType());
  if (!type.getElementType().isInteger(64) || type.getRank() != 1)
    return b.error("input 'sizes' has rank " + Twine(type.getRank()) +
                   " or no int64, expected int64 of rank 1");
  if (!type.isDynamicDim(0) && type.getDimSize(0) != static_cast<int64_t>(form.axes.size()))
    return b.error("'sizes' has " + Twine(type.getDimSize(0)) + " numbers, expected " +
                   Twine(form.axes.size()));
  if (policy != "stretch")
    return b.unsupported("attribute 'keep_aspect_ratio_policy' with sizes that are not constant");
  ArrayRef<Element> elements = b.elements(sizes);
  for (auto [i, axis] : llvm::enumerate(form.axes)) {
    SymbolicExpr dim = b.dim(x, axis);
    SymbolicExpr size = i < elements.size() ? elements[i].expr : SymbolicExpr();
    std::optional<int64_t> from = dim.constant(), to = size.constant();
    bool stays = dim.isKnown() && size.isKnown() && dim == size;
    form.scales.push_back(stays                                ? 1.0
                          : from && to && *from > 0 && *to > 0 ? static_cast<double>(*to) / *from
                                                               : 0);
  }
  form.sizes = sizes;
}

/// Leaves out the axes that stay as they are.
void dropIdle(NodeBuilder &b, ResizeForm &form) {
  if (form.transformation == "tf_crop_and_resize")
    return;
  SmallVector<int64_t> kept, axes;
  SmallVector<double> scales;
  for (auto [i, axis] : llvm::enumerate(form.axes))
    if (form.scales[i] != 1.0) {
      kept.push_back(i);
      axes.push_back(axis);
      scales.push_back(form.scales[i]);
    }
  if (kept.size() == form.axes.size())
    return;
  form.axes = axes;
  form.scales = scales;
  Value places = b.makeInts(kept);
  form.sizes = form.sizes && places ? b.make<GatherOp>(form.sizes, places, 0) : Value();
}

void buildResize(NodeBuilder &b, Value x, ResizeForm &form) {
  if (b.stopped() || !form.sizes)
    return;
  dropIdle(b, form);
  if (b.stopped())
    return;
  if (form.axes.empty())
    return b.out(0, x);
  for (auto [axis, scale] : llvm::zip(form.axes, form.scales))
    if (form.antialias && scale == 0)
      return b.unsupported("attribute 'antialias': " + openDimText(b, axis));
  OpBuilder &ops = b.ops();
  b.out(0, b.make<ResizeOp>(
               x, form.sizes, ops.getDenseI64ArrayAttr(form.axes),
               ops.getDenseF64ArrayAttr(form.scales),
               form.roi.empty() ? DenseF64ArrayAttr() : ops.getDenseF64ArrayAttr(form.roi),
               ops.getStringAttr(form.mode), ops.getStringAttr(form.transformation),
               ops.getStringAttr(form.rounding), ops.getF64FloatAttr(form.cubic),
               ops.getBoolAttr(form.excludeOutside), ops.getF64FloatAttr(form.extrapolation),
               ops.getBoolAttr(form.antialias)));
}

SmallVector<int64_t> allAxes(int64_t rank) { return llvm::to_vector(llvm::seq<int64_t>(0, rank)); }

/// Upsample: scales are an attribute below opset 9 and an operand since. It means what Resize of
/// opset 10 does.
void upgradeUpsample(NodeBuilder &b) {
  Value x = b.in(0);
  ResizeForm form;
  form.mode = b.stringAttr("mode", "nearest").str();
  form.transformation = "asymmetric";
  form.rounding = "floor";
  form.axes = allAxes(b.rank(x));
  if (form.mode != "nearest" && form.mode != "linear")
    b.error("attribute 'mode' is '" + form.mode + "', expected nearest or linear");
  if (b.opset() >= 9) {
    form.scales = b.floatConstants(1, "scales");
  } else if (const Attribute *scales = b.attribute("scales", AttributeType::Floats)) {
    form.scales.assign(scales->floats.begin(), scales->floats.end());
  } else {
    b.error("attribute 'scales' is missing");
  }
  if (b.stopped() || !checkScales(b, form.scales, form.axes.size()))
    return;
  form.sizes = scaledDims(b, x, form);
  buildResize(b, x, form);
}

/// Whether operand `i` is there and not the empty tensor that means "none".
bool isGiven(NodeBuilder &b, size_t i) {
  Value value = b.optional(i);
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
  return value && !(type && type.getRank() == 1 && type.getDimSize(0) == 0);
}

/// Opset 10 has scales alone and samples asymmetrically; 11 has roi and sizes; 18 axes, antialias
/// and the policy for the aspect ratio.
void upgradeResize(NodeBuilder &b) {
  Value x = b.in(0);
  ResizeForm form;
  bool old = b.opset() < 11;
  form.mode = b.stringAttr("mode", "nearest").str();
  form.transformation =
      old ? "asymmetric" : b.stringAttr("coordinate_transformation_mode", "half_pixel").str();
  form.rounding = old ? "floor" : b.stringAttr("nearest_mode", "round_prefer_floor").str();
  StringRef policy = "stretch";
  form.axes = allAxes(b.rank(x));
  if (!old) {
    form.cubic = b.floatAttr("cubic_coeff_a", -0.75f);
    form.excludeOutside = b.flagAttr("exclude_outside", false);
    form.extrapolation = b.floatAttr("extrapolation_value", 0);
  }
  if (b.opset() >= 18) {
    form.antialias = b.flagAttr("antialias", false);
    policy = b.stringAttr("keep_aspect_ratio_policy", "stretch");
    if (auto axes = b.intsAttr("axes"))
      form.axes = *axes;
  }
  bool isSymmetric = form.transformation == "half_pixel_symmetric";
  if (form.transformation == "tf_half_pixel_for_nn" && b.opset() < 13)
    return b.unsupported("attribute 'coordinate_transformation_mode' is tf_half_pixel_for_nn");
  if ((isSymmetric && b.opset() < 19) ||
      !llvm::is_contained({"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                           "align_corners", "asymmetric", "tf_crop_and_resize"},
                          form.transformation))
    b.error("attribute 'coordinate_transformation_mode' is " + quoted(form.transformation) +
            ", expected half_pixel, " + (b.opset() < 19 ? "" : "half_pixel_symmetric, ") +
            "pytorch_half_pixel, align_corners, asymmetric or tf_crop_and_resize");
  if (!llvm::is_contained({"stretch", "not_larger", "not_smaller"}, policy))
    b.error("attribute 'keep_aspect_ratio_policy' is '" + policy +
            "', expected stretch, not_larger or not_smaller");
  for (int64_t &axis : form.axes)
    axis = b.normalized(axis, b.rank(x), "axes");
  size_t scales = old ? 1 : 2;
  bool byScales = isGiven(b, scales), bySizes = !old && isGiven(b, 3);
  if (byScales == bySizes)
    b.error(byScales ? "has both 'scales' and 'sizes', expected one of them"
                     : "has neither 'scales' nor 'sizes', expected one of them");
  if (b.stopped())
    return;
  if (form.transformation == "tf_crop_and_resize") {
    form.roi = b.floatConstants(1, "roi");
    if (!b.stopped() && form.roi.size() != 2 * form.axes.size())
      b.error("'roi' has " + Twine(form.roi.size()) + " numbers, expected " +
              Twine(2 * form.axes.size()));
  }
  if (byScales) {
    form.scales = b.floatConstants(scales, "scales");
    if (b.stopped() || !checkScales(b, form.scales, form.axes.size()))
      return;
    form.sizes = scaledDims(b, x, form);
  } else if (!b.isConstant(b.in(3))) {
    setOpenSizes(b, x, b.in(3), form, policy);
  } else {
    SmallVector<int64_t> sizes = b.constants(3, "sizes");
    if (b.stopped())
      return;
    setSizes(b, x, form, sizes, policy);
  }
  buildResize(b, x, form);
}
} // namespace

void addResize(std::vector<Operator> &table) {
  table.insert(
      table.end(),
      {
          {"Pad", 7, "float, int, bool",
           "pads are an attribute below 11, and must follow from constants and input dims; "
           "axes must be constant",
           upgradePad},
          {"Resize", 10, "float, int",
           "scales and roi must be constant, sizes must follow from constants and input dims; "
           "antialias and keep_aspect_ratio_policy need constant dims",
           upgradeResize},
          {"Upsample", 7, "float, int", "becomes Resize", upgradeUpsample},
      });
}

} // namespace rapt::onnx
