//===- VersionsWindows.cpp - Convolutions and pools ------------------------------------------===//
//
// auto_pad and ceil_mode become explicit pads. A convolution whose windows do not overlap (1x1, or
// the patches of a vision transformer) becomes a product of matrices.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// Sizes above this are taken for mistakes: their sums and products stay far inside 64 bits.
constexpr int64_t maxWindow = int64_t(1) << 24;

/// What a node says about its windows, one number a spatial dim; pads are begins, then ends.
struct Windows {
  SmallVector<int64_t> input, kernel, strides, dilations, pads;
  StringRef autoPad;
  int64_t rank() const { return input.size(); }
  int64_t extent(int64_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
};

/// The attribute `name`, `count` numbers from `least` on, each `otherwise` when it is missing.
SmallVector<int64_t> numbers(NodeBuilder &b, StringRef name, size_t count, int64_t least,
                             int64_t otherwise) {
  std::optional<SmallVector<int64_t>> given = b.intsAttr(name);
  if (!given)
    return SmallVector<int64_t>(count, otherwise);
  if (given->size() != count)
    b.error("attribute '" + name + "' has " + Twine(given->size()) + " numbers, expected " +
            Twine(count));
  for (int64_t number : *given)
    if (number < least || number > maxWindow)
      b.error("attribute '" + name + "' has " + Twine(number) + ", expected " + Twine(least) +
              " to " + Twine(maxWindow));
  return *given;
}

/// Reads the attributes that all windows have. `kernel` holds the kernel's dims where an operand
/// says them; kernel_shape must agree then, and else be there.
Windows readWindows(NodeBuilder &b, Value x, ArrayRef<int64_t> kernel) {
  Windows w;
  int64_t rank = b.rank(x) - 2;
  if (rank < 1)
    b.error("input 0 has rank " + Twine(rank + 2) + ", expected at least 3");
  if (b.stopped())
    return w;
  llvm::append_range(w.input, cast<RankedTensorType>(x.getType()).getShape().drop_front(2));
  if (kernel.empty() && !b.has("kernel_shape"))
    b.error("attribute 'kernel_shape' is missing");
  w.kernel = SmallVector<int64_t>(kernel);
  if (b.has("kernel_shape")) {
    w.kernel = numbers(b, "kernel_shape", rank, 1, 1);
    for (size_t i = 0; i < kernel.size() && !b.stopped(); ++i)
      if (!ShapedType::isDynamic(kernel[i]) && kernel[i] != w.kernel[i])
        b.error("attribute 'kernel_shape' has " + Twine(w.kernel[i]) + " at " + Twine(i) +
                ", expected " + Twine(kernel[i]) + " as the weight's dim");
  }
  w.strides = numbers(b, "strides", rank, 1, 1);
  w.dilations = numbers(b, "dilations", rank, 1, 1);
  w.pads = numbers(b, "pads", 2 * rank, 0, 0);
  w.autoPad = b.stringAttr("auto_pad", "NOTSET");
  if (!llvm::is_contained({"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}, w.autoPad))
    b.error("attribute 'auto_pad' is '" + w.autoPad +
            "', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  if (w.autoPad == "VALID")
    w.pads.assign(2 * rank, 0);
  return w;
}

bool isSame(const Windows &w) { return w.autoPad == "SAME_UPPER" || w.autoPad == "SAME_LOWER"; }

/// Cuts `total` in two pads; the odd one goes to the end or, with `lower`, to the begin.
void setPads(Windows &w, int64_t i, int64_t total, bool lower) {
  int64_t half = std::max<int64_t>(total, 0) / 2, rest = total - half;
  w.pads[i] = lower && total > 0 ? rest : half;
  w.pads[w.rank() + i] = total - w.pads[i];
}

/// SAME: as many windows as ceil(dim / stride).
void resolveSame(NodeBuilder &b, Windows &w) {
  for (int64_t i = 0; i < w.rank() && isSame(w) && !b.stopped(); ++i) {
    if (ShapedType::isDynamic(w.kernel[i]))
      return b.unsupported("attribute 'auto_pad' with a kernel of dynamic size");
    int64_t total = w.extent(i) - 1;
    if (w.strides[i] > 1) {
      if (ShapedType::isDynamic(w.input[i]))
        return b.unsupported("attribute 'auto_pad' with a stride above 1: " +
                             openDimText(b, i + 2));
      int64_t windows = llvm::divideCeil(w.input[i], w.strides[i]);
      total = (windows - 1) * w.strides[i] + w.extent(i) - w.input[i];
    }
    setPads(w, i, std::max<int64_t>(total, 0), w.autoPad == "SAME_LOWER");
  }
}

// --- Convolutions --------------------------------------------------------------------------------
/// y = matmul(x, w) [+ bias], where x [batch, channels, spatial...] and w [out channels, channels]
/// has only dims of size one behind.
Value pointwiseConv(NodeBuilder &b, Value x, Value w, Value bias) {
  int64_t rank = b.rank(x);
  SmallVector<int64_t> last{0}, back{0, rank - 1};
  for (int64_t i = 2; i < rank; ++i)
    last.push_back(i);
  last.push_back(1);
  for (int64_t i = 1; i < rank - 1; ++i)
    back.push_back(i);
  Value matrix = b.make<SqueezeOp>(w, llvm::to_vector(llvm::seq<int64_t>(2, rank)));
  Value rows = matrix ? b.make<TransposeOp>(x, last) : Value();
  matrix = rows ? b.make<TransposeOp>(matrix, SmallVector<int64_t>{1, 0}) : Value();
  Value y = matrix ? b.make<MatMulOp>(rows, matrix) : Value();
  if (y && bias)
    y = b.make<AddOp>(y, bias);
  return y ? b.make<TransposeOp>(y, back) : Value();
}

/// Windows that tile x without overlap (patch embeddings): each becomes a row, and the convolution
/// a product of matrices. The spatial dims are constant.
Value patchConv(NodeBuilder &b, Value x, Value w, Value bias, const Windows &windows) {
  int64_t spatial = windows.rank();
  auto xType = cast<RankedTensorType>(x.getType()), wType = cast<RankedTensorType>(w.getType());
  int64_t channels = xType.getDimSize(1), maps = wType.getDimSize(0), patches = 1, depth = channels;
  SmallVector<int64_t> starts(spatial, 0), ends, axes, ones(spatial, 1), split{0, channels},
      perm{0}, result{0, maps};
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t count = windows.input[i] / windows.kernel[i];
    ends.push_back(count * windows.kernel[i]);
    axes.push_back(2 + i);
    split.append({count, windows.kernel[i]});
    perm.push_back(2 + 2 * i);
    result.push_back(count);
    patches *= count;
    depth *= windows.kernel[i];
  }
  perm.push_back(1);
  for (int64_t i = 0; i < spatial; ++i)
    perm.push_back(3 + 2 * i);
  bool ragged = !llvm::equal(ends, windows.input);
  Value from = b.makeInts(starts), to = b.makeInts(ends), cut = b.makeInts(split),
        rowShape = b.makeInts({0, patches, depth}), matrixShape = b.makeInts({maps, depth}),
        shape = b.makeInts(result);
  Value rows = ragged ? b.make<SliceOp>(x, from, to, axes, ones) : x;
  rows = rows ? b.make<ReshapeOp>(rows, cut, false) : Value();
  rows = rows ? b.make<TransposeOp>(rows, perm) : Value();
  rows = rows ? b.make<ReshapeOp>(rows, rowShape, false) : Value();
  Value matrix = rows ? b.make<ReshapeOp>(w, matrixShape, false) : Value();
  matrix = matrix ? b.make<TransposeOp>(matrix, SmallVector<int64_t>{1, 0}) : Value();
  Value y = matrix ? b.make<MatMulOp>(rows, matrix) : Value();
  if (y && bias)
    y = b.make<AddOp>(y, bias);
  y = y ? b.make<TransposeOp>(y, SmallVector<int64_t>{0, 2, 1}) : Value();
  return y ? b.make<ReshapeOp>(y, shape, false) : Value();
}

bool allAre(ArrayRef<int64_t> numbers, int64_t value) {
  return llvm::all_of(numbers, [&](int64_t number) { return number == value; });
}

/// Whether the operands suit a product of matrices; if not, Conv's own checks speak.
bool isMatrixProduct(Value x, Value w, Value bias, const Windows &windows, int64_t group) {
  auto xType = cast<RankedTensorType>(x.getType()), wType = cast<RankedTensorType>(w.getType());
  if (group != 1 || !allAre(windows.pads, 0) || xType.getElementType() != wType.getElementType() ||
      !isa<FloatType>(xType.getElementType()) || !wType.hasStaticShape() ||
      wType.getDimSize(1) != xType.getDimSize(1) || wType.getNumElements() == 0)
    return false;
  auto biasType = bias ? dyn_cast<RankedTensorType>(bias.getType()) : RankedTensorType();
  return !bias || (biasType.getRank() == 1 && biasType.getDimSize(0) == wType.getDimSize(0) &&
                   biasType.getElementType() == xType.getElementType());
}

/// The windows over `x` with the kernel of `w`, and the number of groups.
std::pair<Windows, int64_t> readConvolution(NodeBuilder &b, Value x, Value w) {
  if (b.rank(x) < 3)
    b.error("input 'X' has rank " + Twine(b.rank(x)) + ", expected at least 3");
  if (b.rank(w) != b.rank(x))
    b.error("input 'W' has rank " + Twine(b.rank(w)) + ", expected " + Twine(b.rank(x)) + " as X");
  int64_t group = b.intAttr("group", 1);
  if (group < 1 || group > maxWindow)
    b.error("attribute 'group' is " + Twine(group) + ", expected 1 to " + Twine(maxWindow));
  if (b.stopped())
    return {};
  auto shape = cast<RankedTensorType>(w.getType()).getShape();
  return {readWindows(b, x, shape.drop_front(std::min<size_t>(shape.size(), 2))), group};
}

void upgradeConv(NodeBuilder &b) {
  Value x = b.in(0), w = b.in(1), bias = b.optional(2);
  auto [windows, group] = readConvolution(b, x, w);
  if (b.stopped())
    return;
  resolveSame(b, windows);
  if (b.stopped())
    return;
  if (isMatrixProduct(x, w, bias, windows, group)) {
    bool tiles = allAre(windows.dilations, 1) && windows.strides == windows.kernel;
    for (auto [dim, kernel] : llvm::zip(windows.input, windows.kernel))
      tiles &= !ShapedType::isDynamic(dim) && dim >= kernel;
    if (allAre(windows.kernel, 1) && allAre(windows.strides, 1))
      return b.out(0, pointwiseConv(b, x, w, bias));
    if (tiles)
      return b.out(0, patchConv(b, x, w, bias, windows));
  }
  b.out(0, b.make<ConvOp>(x, w, bias, windows.pads, windows.strides, windows.dilations, group));
}

/// Conv, a sum with operand 3, and an activation.
void upgradeFusedConv(NodeBuilder &b) {
  upgradeConv(b);
  StringRef activation = b.stringAttr("activation", "");
  const Attribute *parameters = b.attribute("activation_params", AttributeType::Floats);
  Value rest = b.optional(3);
  if (b.stopped())
    return;
  Value conv = b.results().front().value;
  Value sum = rest ? binary<AddOp>(b, conv, rest) : conv;
  b.out(0, fusedActivation(b, sum, activation,
                           parameters ? ArrayRef(parameters->floats) : ArrayRef<float>()));
}

void upgradeConvTranspose(NodeBuilder &b) {
  Value x = b.in(0), w = b.in(1), bias = b.optional(2);
  auto [windows, group] = readConvolution(b, x, w);
  int64_t rank = windows.rank();
  SmallVector<int64_t> extra = numbers(b, "output_padding", rank, 0, 0);
  std::optional<SmallVector<int64_t>> wanted;
  if (b.has("output_shape"))
    wanted = numbers(b, "output_shape", rank, 0, 0);
  for (int64_t i = 0; i < rank && (wanted || isSame(windows)) && !b.stopped(); ++i) {
    if (ShapedType::isDynamic(windows.kernel[i]))
      return b.unsupported("attribute 'output_shape' or 'auto_pad' with a kernel of dynamic size");
    int64_t total = windows.extent(i) + extra[i] - windows.strides[i];
    if (wanted) {
      if (ShapedType::isDynamic(windows.input[i]))
        return b.unsupported("attribute 'output_shape': " + openDimText(b, i + 2));
      if (windows.input[i] > maxWindow)
        return b.error("spatial dim " + Twine(i) + " is " + Twine(windows.input[i]) +
                       ", expected at most " + Twine(maxWindow));
      total += windows.strides[i] * windows.input[i] - (*wanted)[i];
    }
    // Without SAME_UPPER the odd element is cut from the begin.
    setPads(windows, i, total, windows.autoPad != "SAME_UPPER");
  }
  if (!b.stopped())
    b.out(0, b.make<ConvTransposeOp>(x, w, bias, windows.pads, windows.strides, windows.dilations,
                                     extra, group));
}

// --- Pools ---------------------------------------------------------------------------------------
/// The windows of a pool; `ceil_mode` (opset 10) is left as pads at the ends that let one window
/// more begin, where the shape inference of the pools stops it if it would begin behind the
/// element.
Windows readPool(NodeBuilder &b, Value x, bool ceilToPads) {
  Windows w = readWindows(b, x, {});
  bool ceil = b.flagAttr("ceil_mode", false);
  if (b.stopped())
    return w;
  resolveSame(b, w);
  for (int64_t i = 0; i < w.rank() && !b.stopped(); ++i) {
    for (int64_t pad : {w.pads[i], w.pads[w.rank() + i]})
      if (pad >= w.extent(i))
        b.error("attribute 'pads' has " + Twine(pad) + ", expected less than the window's " +
                Twine(w.extent(i)));
    if (ceil && ceilToPads && !isSame(w))
      w.pads[w.rank() + i] += w.strides[i] - 1;
  }
  return w;
}

void upgradeMaxPool(NodeBuilder &b) {
  Value x = b.in(0);
  if (b.stopped())
    return;
  Windows w = readPool(b, x, /*ceilToPads=*/true);
  bool columnMajor = b.flagAttr("storage_order", false);
  if (b.stopped())
    return;
  OpBuilder &ops = b.ops();
  Type type = UnrankedTensorType::get(b.elementType(x)),
       indexType = UnrankedTensorType::get(ops.getI64Type());
  auto pool = MaxPoolOp::create(ops, b.location(), TypeRange{type, indexType}, x, w.kernel, w.pads,
                                w.strides, w.dilations, columnMajor);
  if (!b.finish(pool))
    return;
  b.out(0, pool.getY());
  b.out(1, pool.getIndices());
}

void upgradeAveragePool(NodeBuilder &b) {
  Value x = b.in(0);
  if (b.stopped())
    return;
  Windows w = readPool(b, x, /*ceilToPads=*/false);
  bool ceil = b.flagAttr("ceil_mode", false) && !isSame(w);
  bool counted = b.flagAttr("count_include_pad", false);
  if (!b.stopped())
    b.out(0, b.make<AveragePoolOp>(x, w.kernel, w.pads, w.strides, w.dilations, counted, ceil));
}

/// The root of the sum of powers: the mean that counts pads, times the number of elements. Powers
/// of narrow types leave their range, and the result is rounded once.
void upgradeLpPool(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t p = b.intAttr("p", 2);
  expectFloat(b, x, "X");
  if (p < 1)
    b.error("attribute 'p' is " + Twine(p) + ", expected at least 1");
  if (b.stopped())
    return;
  Windows w = readPool(b, x, /*ceilToPads=*/true);
  if (b.stopped())
    return;
  double count = 1;
  for (int64_t size : w.kernel)
    count *= static_cast<double>(size);
  Value value = unary<AbsOp>(b, castTo(b, x, wideType(b, x)));
  if (p != 1)
    value = withScalar<PowOp>(b, value, static_cast<double>(p));
  if (value)
    value = b.make<AveragePoolOp>(value, w.kernel, w.pads, w.strides, w.dilations, true, false);
  value = withScalar<MulOp>(b, value, count);
  if (p != 1)
    value = withScalar<PowOp>(b, value, 1.0 / static_cast<double>(p));
  b.out(0, castTo(b, value, b.elementType(x)));
}
} // namespace

void addWindows(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral same =
      "auto_pad SAME_* with a stride above 1 needs constant spatial dims";
  table.insert(table.end(), {
                                {"AveragePool", 7, "float", same, upgradeAveragePool},
                                {"Conv", 7, "float, int", same, upgradeConv},
                                {"ConvTranspose", 7, "float, int",
                                 "output_shape needs constant spatial dims", upgradeConvTranspose},
                                {"com.microsoft.FusedConv", 1, "float", same, upgradeFusedConv},
                                {"LpPool", 7, "float", same, upgradeLpPool},
                                {"MaxPool", 7, "float, int", same, upgradeMaxPool},
                            });
}

} // namespace rapt::onnx
