//===- InferWindows.cpp - Convolutions and pools ---------------------------------------------===//
//
// Spatial dims: floor((dim + pads - dilated kernel) / stride) + 1, on symbolic dims too. Channels
// and groups are checked against the weights.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Infer.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// Error unless `values` has `count` numbers of at least `least`.
LogicalResult checkNumbers(Operation *op, ArrayRef<int64_t> values, size_t count, int64_t least,
                           StringRef name) {
  if (values.size() != count)
    return op->emitOpError() << name << " has " << values.size() << " numbers, expected " << count;
  for (int64_t value : values)
    if (value < least)
      return op->emitOpError() << name << " has " << value << ", expected at least " << least;
  return success();
}

/// pads, strides and dilations for an operand with `rank` dims.
template <typename Op> LogicalResult checkWindows(Op op, int64_t rank) {
  if (rank < 3)
    return op.emitOpError() << "operand 0 has rank " << rank << ", expected at least 3";
  size_t spatial = rank - 2;
  if (failed(checkNumbers(op, op.getPads(), 2 * spatial, std::numeric_limits<int32_t>::min(),
                          "pads")) ||
      failed(checkNumbers(op, op.getStrides(), spatial, 1, "strides")) ||
      failed(checkNumbers(op, op.getDilations(), spatial, 1, "dilations")))
    return failure();
  return success();
}

SymbolicExpr windowExtent(const SymbolicExpr &kernel, int64_t dilation) {
  return (kernel - SymbolicExpr(1)) * SymbolicExpr(dilation) + SymbolicExpr(1);
}

/// How many windows of `extent` fit into `padded` elements; at least one must.
FailureOr<SymbolicExpr> countWindows(ShapeInference &shapes, Operation *op, int64_t axis,
                                     const SymbolicExpr &padded, const SymbolicExpr &extent,
                                     int64_t stride) {
  if (SymbolicExpr::provablyAtMost(padded + SymbolicExpr(1), extent))
    return op->emitOpError() << "window of " << extent.str() << " elements does not fit into dim "
                             << axis << ", which has " << padded.str() << " with its pads";
  if (!shapes.atMost(extent, padded))
    shapes.require(op, extent, padded, /*equal=*/false, "window on dim " + Twine(axis));
  SymbolicExpr count =
      SymbolicExpr::floorDiv(padded - extent, SymbolicExpr(stride)) + SymbolicExpr(1);
  // The same again for whoever sees nothing but the result.
  if (count.isKnown() && count.lowerBound() < 1 && !shapes.atMost(SymbolicExpr(1), count))
    shapes.require(op, SymbolicExpr(1), count, /*equal=*/false, "windows on dim " + Twine(axis));
  return count;
}

/// Bias of `maps` elements of x's type.
LogicalResult checkOperands(ShapeInference &shapes, Operation *op, Value x, Value w, Value bias,
                            const SymbolicExpr &maps) {
  Type type = elementTypeOf(x);
  if (type.isInteger(1))
    return op->emitOpError("operand 0 has element type i1, expected a number");
  if (elementTypeOf(w) != type || (bias && elementTypeOf(bias) != type))
    return op->emitOpError() << "operands have element types " << type << ", " << elementTypeOf(w)
                             << (bias ? " and another" : "") << ", expected one type";
  if (!bias)
    return success();
  if (shapes.shape(bias).size() != 1)
    return op->emitOpError() << "bias has rank " << shapes.shape(bias).size() << ", expected 1";
  return success(succeeded(shapes.meet(op, shapes.shape(bias)[0], maps, "dim 0 of bias")));
}

/// `dim` as group times a whole number, which is returned.
FailureOr<SymbolicExpr> perGroup(ShapeInference &shapes, Operation *op, const SymbolicExpr &dim,
                                 int64_t group, const Twine &what) {
  SymbolicExpr each = SymbolicExpr::floorDiv(dim, SymbolicExpr(group));
  if (group < 1)
    return op->emitOpError() << "group is " << group << ", expected at least 1";
  if (SymbolicExpr::provablyDifferent(dim, each * SymbolicExpr(group)))
    return op->emitOpError() << what << " is " << dim.str() << ", expected a multiple of group, "
                             << group;
  if (failed(shapes.meet(op, dim, each * SymbolicExpr(group), what)))
    return failure();
  return each;
}

LogicalResult inferConv(ShapeInference &shapes, ConvOp op) {
  Shape x = shapes.shapeOf(op.getX()), w = shapes.shapeOf(op.getW());
  if (failed(checkWindows(op, x.size())))
    return failure();
  if (w.size() != x.size())
    return op.emitOpError() << "w has rank " << w.size() << ", expected " << x.size() << " as x";
  int64_t group = op.getGroup();
  if (failed(perGroup(shapes, op, w[0], group, "number of output channels")) ||
      failed(shapes.meet(op, x[1], w[1] * SymbolicExpr(group), "channels of X and of W")) ||
      failed(checkOperands(shapes, op, op.getX(), op.getW(), op.getBias(), w[0])))
    return failure();
  Shape result{x[0], w[0]};
  size_t spatial = x.size() - 2;
  for (size_t i = 0; i < spatial; ++i) {
    SymbolicExpr padded =
        x[i + 2] + SymbolicExpr(op.getPads()[i]) + SymbolicExpr(op.getPads()[spatial + i]);
    FailureOr<SymbolicExpr> dim =
        countWindows(shapes, op, i + 2, padded, windowExtent(w[i + 2], op.getDilations()[i]),
                     op.getStrides()[i]);
    if (failed(dim))
      return failure();
    result.push_back(*dim);
  }
  return shapes.set(op, 0, std::move(result), elementTypeOf(op.getX()));
}

LogicalResult inferConvTranspose(ShapeInference &shapes, ConvTransposeOp op) {
  Shape x = shapes.shapeOf(op.getX()), w = shapes.shapeOf(op.getW());
  if (failed(checkWindows(op, x.size())) ||
      failed(checkNumbers(op, op.getOutputPadding(), x.size() - 2, 0, "output_padding")))
    return failure();
  if (w.size() != x.size())
    return op.emitOpError() << "w has rank " << w.size() << ", expected " << x.size() << " as x";
  int64_t group = op.getGroup();
  FailureOr<SymbolicExpr> each = perGroup(shapes, op, w[0], group, "number of input channels");
  SymbolicExpr maps = w[1] * SymbolicExpr(group);
  if (failed(each) || failed(shapes.meet(op, x[1], w[0], "channels of X and of W")) ||
      failed(checkOperands(shapes, op, op.getX(), op.getW(), op.getBias(), maps)))
    return failure();
  Shape result{x[0], maps};
  size_t spatial = x.size() - 2;
  for (size_t i = 0; i < spatial; ++i) {
    SymbolicExpr cut = SymbolicExpr(op.getPads()[i]) + SymbolicExpr(op.getPads()[spatial + i]) -
                       SymbolicExpr(op.getOutputPadding()[i]);
    SymbolicExpr full = SymbolicExpr(op.getStrides()[i]) * (x[i + 2] - SymbolicExpr(1)) +
                        windowExtent(w[i + 2], op.getDilations()[i]);
    if (!shapes.atMost(cut + SymbolicExpr(1), full)) {
      if (SymbolicExpr::provablyAtMost(full, cut))
        return op.emitOpError() << "pads on dim " << i + 2 << " cut " << cut.str() << " of "
                                << full.str() << " elements, expected less";
      shapes.require(op, cut + SymbolicExpr(1), full, /*equal=*/false,
                     "pads on dim " + Twine(i + 2));
    }
    result.push_back(full - cut);
  }
  return shapes.set(op, 0, std::move(result), elementTypeOf(op.getX()));
}

/// The dims of a pool's result. A window may begin behind the element and its begin pads only where
/// the end pads are at least a window wide; such windows do not count.
template <typename Op>
FailureOr<Shape> poolShape(ShapeInference &shapes, Op op, ArrayRef<int64_t> endPads) {
  Shape x = shapes.shapeOf(op.getX());
  if (failed(checkWindows(op, x.size())) ||
      failed(checkNumbers(op, op.getKernelShape(), x.size() - 2, 1, "kernel_shape")))
    return failure();
  Shape result{x[0], x[1]};
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    int64_t begin = op.getPads()[i], stride = op.getStrides()[i];
    SymbolicExpr extent = windowExtent(op.getKernelShape()[i], op.getDilations()[i]);
    FailureOr<SymbolicExpr> dim =
        countWindows(shapes, op, i + 2, x[i + 2] + SymbolicExpr(begin) + SymbolicExpr(endPads[i]),
                     extent, stride);
    if (failed(dim))
      return failure();
    if (endPads[i] >= *extent.constant())
      *dim = SymbolicExpr::min(
          *dim, SymbolicExpr::floorDiv(x[i + 2] + SymbolicExpr(begin - 1), SymbolicExpr(stride)) +
                    SymbolicExpr(1));
    result.push_back(*dim);
  }
  return result;
}

LogicalResult inferMaxPool(ShapeInference &shapes, MaxPoolOp op) {
  if (elementTypeOf(op.getX()).isInteger(1))
    return op.emitOpError("operand 0 has element type i1, expected a number");
  ArrayRef<int64_t> pads = op.getPads();
  FailureOr<Shape> shape = poolShape(shapes, op, pads.drop_front(pads.size() / 2));
  if (failed(shape) || failed(shapes.set(op, 0, *shape, elementTypeOf(op.getX()))))
    return failure();
  return shapes.set(op, 1, *shape, IntegerType::get(op.getContext(), 64));
}

LogicalResult inferAveragePool(ShapeInference &shapes, AveragePoolOp op) {
  if (!isa<FloatType>(elementTypeOf(op.getX())))
    return op.emitOpError() << "operand 0 has element type " << elementTypeOf(op.getX())
                            << ", expected a float type";
  ArrayRef<int64_t> pads = op.getPads();
  SmallVector<int64_t> ends(pads.drop_front(pads.size() / 2));
  if (op.getCeilMode() && op.getStrides().size() == ends.size())
    for (auto [end, stride] : llvm::zip(ends, op.getStrides()))
      end += stride - 1;
  FailureOr<Shape> shape = poolShape(shapes, op, ends);
  if (failed(shape))
    return failure();
  return shapes.set(op, 0, *shape, elementTypeOf(op.getX()));
}
} // namespace

void addWindows(InferTable &table) {
  table.add<ConvOp, inferConv>();
  table.add<ConvTransposeOp, inferConvTranspose>();
  table.add<MaxPoolOp, inferMaxPool>();
  table.add<AveragePoolOp, inferAveragePool>();
}

} // namespace rapt::onnx
