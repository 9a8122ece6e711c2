//===- HostTensors.cpp - Tensors in memory, and operations that move them ---------------------===//
//
// Transpose, Slice and Expand read their operand through other strides; Reshape and its kin share
// its memory.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Simplify/HostTensors.h"

#include "dialects/Onnx/Content.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstring>

using namespace mlir;

namespace rapt {

namespace {
// A cache line, and the widest vector.
constexpr size_t alignment = 64;

int64_t elementBytes(RankedTensorType type) { return type.getElementTypeBitWidth() / 8; }

bool hasWholeBytes(RankedTensorType type) {
  return type && type.hasStaticShape() && type.getElementType().isIntOrFloat() &&
         type.getElementTypeBitWidth() % 8 == 0;
}

/// The elements of a constant of i32 or i64; nothing if it is none.
std::optional<std::vector<int64_t>> integersOf(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  std::optional<HostTensor> tensor = constant ? readConstant(constant.getValue()) : std::nullopt;
  if (!tensor)
    return std::nullopt;
  bool isWide = tensor->type.getElementType().isInteger(64);
  if (!isWide && !tensor->type.getElementType().isInteger(32))
    return std::nullopt;
  std::vector<int64_t> result(tensor->type.getNumElements());
  for (auto [index, element] : llvm::enumerate(result)) {
    const char *from = tensor->bytes.data() + (tensor->isSplat ? 0 : index * (isWide ? 8 : 4));
    int32_t narrow = 0;
    std::memcpy(isWide ? static_cast<void *>(&element) : &narrow, from, isWide ? 8 : 4);
    element = isWide ? element : narrow;
  }
  return result;
}

/// The positions that a Gather takes, each from 0 on; nothing if one is not known or not inside.
std::optional<std::vector<int64_t>> positionsOf(onnx::GatherOp op) {
  std::optional<std::vector<int64_t>> positions = integersOf(op.getIndices());
  auto data = dyn_cast<RankedTensorType>(op.getData().getType());
  if (!positions || !data || !data.hasStaticShape())
    return std::nullopt;
  int64_t size = data.getDimSize(op.getAxis());
  for (int64_t &position : *positions) {
    if (position < -size || position >= size)
      return std::nullopt;
    position += position < 0 ? size : 0;
  }
  return positions;
}

/// The first index that a Slice takes of each dim; nothing if it is not known or not inside.
std::optional<SmallVector<int64_t>> firstIndices(onnx::SliceOp op) {
  std::optional<std::vector<int64_t>> starts = integersOf(op.getStarts());
  auto data = dyn_cast<RankedTensorType>(op.getData().getType());
  if (!starts || starts->size() != op.getAxes().size() || !integersOf(op.getEnds()) || !data ||
      !data.hasStaticShape())
    return std::nullopt;
  SmallVector<int64_t> first(data.getRank(), 0);
  for (auto [axis, step, start] : llvm::zip(op.getAxes(), op.getSteps(), *starts)) {
    int64_t size = data.getDimSize(axis);
    start += start < 0 ? size : 0;
    first[axis] = std::clamp<int64_t>(start, 0, size - 1);
  }
  return first;
}

HostTensor copyStrided(RankedTensorType type, const HostTensor &from, const Strides &strides,
                       int64_t first) {
  HostTensor result = makeTensor(type);
  int64_t width = elementBytes(type), length = rowLength(type.getShape()),
          step = rowStride(strides);
  char *to = mutableBytes(result).data();
  forEachRow(type.getShape(), strides, [&](ArrayRef<int64_t> offsets) {
    const char *row = from.bytes.data() + (first + offsets[0]) * width;
    if (step == 1)
      std::memcpy(to, row, length * width);
    for (int64_t i = 0; i < length && step != 1; ++i)
      std::memcpy(to + i * width, row + i * step * width, width);
    to += length * width;
  });
  return result;
}

HostTensor transposed(onnx::TransposeOp op, const HostTensor &data) {
  Strides from = stridesOf(data), strides;
  for (int64_t dim : op.getPerm())
    strides.push_back(from[dim]);
  return copyStrided(rankedType(op.getTransposed()), data, strides, 0);
}

HostTensor sliced(onnx::SliceOp op, const HostTensor &data) {
  Strides strides = stridesOf(data);
  int64_t first = 0;
  for (auto [index, stride] : llvm::zip(*firstIndices(op), strides))
    first += index * stride;
  for (auto [axis, step] : llvm::zip(op.getAxes(), op.getSteps()))
    strides[axis] *= step;
  return copyStrided(rankedType(op.getOutput()), data, strides, first);
}

int64_t product(ArrayRef<int64_t> dims) {
  int64_t result = 1;
  for (int64_t dim : dims)
    result *= dim;
  return result;
}

HostTensor gathered(onnx::GatherOp op, const HostTensor &splatOrNot) {
  HostTensor data = withoutSplat(splatOrNot), result = makeTensor(rankedType(op.getOutput()));
  ArrayRef<int64_t> dims = data.type.getShape();
  int64_t axis = op.getAxis(), outer = product(dims.take_front(axis)),
          inner = product(dims.drop_front(axis + 1)) * elementBytes(data.type);
  std::vector<int64_t> positions = *positionsOf(op);
  char *to = mutableBytes(result).data();
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t position : positions) {
      std::memcpy(to, data.bytes.data() + (i * dims[axis] + position) * inner, inner);
      to += inner;
    }
  return result;
}

HostTensor concatenated(onnx::ConcatOp op, ArrayRef<HostTensor> operands) {
  HostTensor result = makeTensor(rankedType(op.getConcatResult()));
  int64_t outer = product(result.type.getShape().take_front(op.getAxis()));
  SmallVector<HostTensor> inputs(llvm::map_range(operands, withoutSplat));
  char *to = mutableBytes(result).data();
  for (int64_t i = 0; i < outer; ++i)
    for (const HostTensor &input : inputs) {
      int64_t piece = input.bytes.size() / outer;
      std::memcpy(to, input.bytes.data() + i * piece, piece);
      to += piece;
    }
  return result;
}
} // namespace

int64_t byteSize(RankedTensorType type) { return type.getNumElements() * elementBytes(type); }

std::optional<HostTensor> readConstant(ElementsAttr attribute) {
  auto type = dyn_cast<RankedTensorType>(attribute.getType());
  if (!hasWholeBytes(type) || type.getNumElements() == 0)
    return std::nullopt;
  HostTensor tensor{type, {}, false, nullptr};
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return std::nullopt;
    tensor.bytes = blob->getData();
  } else if (auto dense = dyn_cast<DenseElementsAttr>(attribute)) {
    tensor.bytes = dense.getRawData();
    tensor.isSplat = dense.isSplat();
  } else {
    return std::nullopt;
  }
  int64_t expected = tensor.isSplat ? elementBytes(type) : byteSize(type);
  if (static_cast<int64_t>(tensor.bytes.size()) != expected)
    return std::nullopt;
  return tensor;
}

HostTensor makeTensor(RankedTensorType type) {
  auto storage = std::make_shared<AsmResourceBlob>(
      HeapAsmResourceBlob::allocate(byteSize(type), alignment, /*dataIsMutable=*/true));
  return {type, storage->getData(), false, storage};
}

MutableArrayRef<char> mutableBytes(HostTensor &tensor) { return tensor.storage->getMutableData(); }

Strides stridesOf(const HostTensor &tensor) {
  ArrayRef<int64_t> dims = tensor.type.getShape();
  Strides strides(dims.size(), 0);
  int64_t stride = 1;
  for (int64_t dim = dims.size() - 1; dim >= 0 && !tensor.isSplat; stride *= dims[dim--])
    strides[dim] = stride;
  return strides;
}

Strides broadcastStrides(const HostTensor &tensor, ArrayRef<int64_t> dims) {
  Strides own = stridesOf(tensor), strides(dims.size() - own.size(), 0);
  for (auto [dim, stride] : llvm::zip(tensor.type.getShape(), own))
    strides.push_back(dim == 1 ? 0 : stride);
  return strides;
}

HostTensor withoutSplat(const HostTensor &tensor) {
  return tensor.isSplat ? copyStrided(tensor.type, tensor, stridesOf(tensor), 0) : tensor;
}

void forEachRow(ArrayRef<int64_t> dims, ArrayRef<Strides> strides,
                llvm::function_ref<void(ArrayRef<int64_t>)> visit) {
  int64_t outer = dims.empty() ? 0 : dims.size() - 1;
  SmallVector<int64_t> index(outer, 0), offsets(strides.size(), 0);
  while (true) {
    visit(offsets);
    int64_t dim = outer - 1;
    for (; dim >= 0; --dim) {
      bool wraps = ++index[dim] == dims[dim];
      for (auto [offset, own] : llvm::zip(offsets, strides))
        offset += own[dim] * (wraps ? 1 - dims[dim] : 1);
      if (!wraps)
        break;
      index[dim] = 0;
    }
    if (dim < 0)
      return;
  }
}

bool isMovement(Operation *op) {
  return isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::FlattenOp, onnx::IdentityOp,
             onnx::TransposeOp, onnx::SliceOp, onnx::ExpandOp, onnx::ConcatOp, onnx::GatherOp>(op);
}

bool canMove(Operation *op) {
  if (!hasWholeBytes(dyn_cast<RankedTensorType>(op->getResult(0).getType())))
    return false;
  if (auto gather = dyn_cast<onnx::GatherOp>(op))
    return positionsOf(gather).has_value();
  if (auto slice = dyn_cast<onnx::SliceOp>(op))
    return firstIndices(slice).has_value();
  return true;
}

HostTensor move(Operation *op, ArrayRef<HostTensor> operands) {
  const HostTensor &data = operands.front();
  auto type = rankedType(op->getResult(0));
  return llvm::TypeSwitch<Operation *, HostTensor>(op)
      .Case([&](onnx::TransposeOp transpose) { return transposed(transpose, data); })
      .Case([&](onnx::SliceOp slice) { return sliced(slice, data); })
      .Case([&](onnx::GatherOp gather) { return gathered(gather, data); })
      .Case([&](onnx::ConcatOp concat) { return concatenated(concat, operands); })
      .Case([&](onnx::ExpandOp) {
        return copyStrided(type, data, broadcastStrides(data, type.getShape()), 0);
      })
      .Default(
          [&](Operation *) { return HostTensor{type, data.bytes, data.isSplat, data.storage}; });
}

} // namespace rapt
