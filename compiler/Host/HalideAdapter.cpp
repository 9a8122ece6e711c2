//===- HalideAdapter.cpp - From the uniform convention to Halide's ----------------------===//
//
// In C, for a kernel with one dim, tensors of shape [d, 384], and two variants:
//
//   int k(void *context, int64_t d, void *in, void *out) {
//     halide_dimension_t inDims[] = {{0, 384, 1, 0}, {0, (int)d, 384, 0}}; ...
//     halide_buffer_t inBuffer = {.host = in, .type = float32, .dimensions = 2, .dim = inDims}; ...
//     int64_t tiles = (d + 7) / 8, tile = (d + tiles - 1) / tiles;
//     if (tile <= 4) return k_m4(context, (int)d, &inBuffer, &outBuffer);
//     return k_m8(context, (int)d, &inBuffer, &outBuffer);
//   }
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/HalideAdapter.h"

#include "compiler/Host/Code.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;
using kernels::Extent;
using kernels::ScalarType;

namespace {

/// halide_buffer_t and halide_dimension_t of Halide 21's HalideRuntime.h on 64-bit machines.
enum BufferField {
  Device = 0,
  DeviceInterface = 8,
  Host = 16,
  Flags = 24,
  TypeCode = 32,
  Rank = 36,
  Dims = 40,
  Padding = 48
};
constexpr int64_t bufferBytes = 56;
enum DimensionField { Min = 0, Size = 4, Stride = 8, DimFlags = 12 };
constexpr int64_t dimensionBytes = 16;

/// halide_type_t as one little-endian number: code (int 0, uint 1, float 2, bfloat 4), bits, lanes.
int64_t halideType(ScalarType type) {
  auto make = [](int64_t code, int64_t bits) { return code | bits << 8 | int64_t(1) << 16; };
  switch (type) {
  case ScalarType::Bool:
    return make(1, 1);
  case ScalarType::I8:
    return make(0, 8);
  case ScalarType::I16:
    return make(0, 16);
  case ScalarType::I32:
    return make(0, 32);
  case ScalarType::I64:
    return make(0, 64);
  case ScalarType::U8:
    return make(1, 8);
  case ScalarType::F32:
    return make(2, 32);
  case ScalarType::F64:
    return make(2, 64);
  case ScalarType::F16:
    return make(2, 16);
  case ScalarType::BF16:
    return make(4, 16);
  }
  llvm_unreachable("covered switch");
}

class Adapter {
public:
  Adapter(OpBuilder &builder, kernel::FuncOp kernel, const kernels::ObjectInfo &info)
      : kernel(kernel), info(info), code(kernel.getLoc(), builder) {}

  void build() {
    unsigned numDims = kernel.getNumDims(), numTensors = info.tensors.size();
    SmallVector<Type> types{code.pointer()}, halideTypes{code.pointer()};
    types.append(numDims, code.word());
    halideTypes.append(numDims, code.getI32Type());
    types.append(numTensors, code.pointer());
    halideTypes.append(numTensors, code.pointer());
    auto halideType = LLVM::LLVMFunctionType::get(code.status(), halideTypes);
    llvm::StringSet<> declared;
    for (const kernels::KernelObject::Variant &variant : info.variants)
      if (declared.insert(variant.symbol).second)
        LLVM::LLVMFuncOp::create(code, variant.symbol, halideType);
    auto function = LLVM::LLVMFuncOp::create(code, kernel.getSymName(),
                                             LLVM::LLVMFunctionType::get(code.status(), types),
                                             LLVM::Linkage::Internal);
    Block *entry = function.addEntryBlock(code);
    code.setInsertionPointToEnd(entry);
    dims = ValueRange(entry->getArguments()).slice(1, numDims);
    SmallVector<Value> operands{entry->getArgument(0)};
    for (Value dim : dims)
      operands.push_back(narrow(dim));
    for (auto [index, tensor] : llvm::enumerate(info.tensors))
      operands.push_back(describe(tensor, entry->getArgument(1 + numDims + index)));
    callVariant(operands);
  }

private:
  Value narrow(Value value) { return LLVM::TruncOp::create(code, code.getI32Type(), value); }

  Value evaluate(const Extent &extent) {
    Value value = code.number(extent.factor);
    for (int dim : extent.dims)
      value = code.mul(value, dims[dim]);
    return value;
  }

  Value reserve(int64_t bytes) {
    return LLVM::AllocaOp::create(code, code.pointer(), code.getI8Type(), code.number(bytes),
                                  /*alignment=*/8);
  }

  /// A halide_buffer_t for the dense data at `host`.
  Value describe(const kernels::Tensor &tensor, Value host) {
    SmallVector<Value> extents; // innermost first, as Halide counts
    if (tensor.panel > 0) {
      Value nr = code.number(tensor.panel);
      Value panels =
          code.div(code.add(evaluate(tensor.shape[1]), code.number(tensor.panel - 1)), nr);
      extents = {nr, evaluate(tensor.shape[0]), panels};
    } else {
      for (const Extent &extent : llvm::reverse(tensor.shape))
        extents.push_back(evaluate(extent));
    }
    Value buffer = reserve(bufferBytes), dimensions = reserve(dimensionBytes * extents.size());
    Value stride = code.number(1), zero = code.number(code.getI32Type(), 0);
    for (auto [index, extent] : llvm::enumerate(extents)) {
      int64_t base = index * dimensionBytes;
      code.store(zero, dimensions, base + Min);
      code.store(narrow(extent), dimensions, base + Size);
      code.store(narrow(stride), dimensions, base + Stride);
      code.store(zero, dimensions, base + DimFlags);
      stride = code.mul(stride, extent);
    }
    code.store(code.number(0), buffer, Device);
    code.store(code.null(), buffer, DeviceInterface);
    code.store(host, buffer, Host);
    code.store(code.number(0), buffer, Flags);
    code.store(code.number(code.getI32Type(), halideType(tensor.type)), buffer, TypeCode);
    code.store(code.number(code.getI32Type(), extents.size()), buffer, Rank);
    code.store(dimensions, buffer, Dims);
    code.store(code.null(), buffer, Padding);
    return buffer;
  }

  /// Calls the variant that kernels::variantFor names. A tile is what rows fill when they are
  /// spread evenly, so that a last tile of few rows does not cost as much as a full one.
  void callVariant(ArrayRef<Value> operands) {
    auto call = [&](const kernels::KernelObject::Variant &variant) {
      return LLVM::CallOp::create(code, code.status(), variant.symbol, operands).getResult();
    };
    Value rows, tile;
    if (info.variants.size() > 1)
      rows = code.max(evaluate(info.rows), code.number(1));
    if (int64_t largest = info.variants.back().maxTile; rows && largest > 0) {
      auto ceilDiv = [&](Value a, Value b) {
        return code.div(code.sub(code.add(a, b), code.number(1)), b);
      };
      tile = ceilDiv(rows, ceilDiv(rows, code.number(largest)));
    }
    auto isUpTo = [&](Value value, int64_t limit) {
      return code.is(Code::Compare::sle, value, code.number(limit));
    };
    for (const auto &variant : ArrayRef(info.variants).drop_back()) {
      Value suits = code.number(code.getI1Type(), 1);
      if (tile && variant.maxTile > 0)
        suits = isUpTo(tile, variant.maxTile);
      if (variant.maxRows > 0)
        suits = LLVM::AndOp::create(code, suits, isUpTo(rows, variant.maxRows));
      code.returnIf(suits, [&] { return call(variant); });
    }
    LLVM::ReturnOp::create(code, call(info.variants.back()));
  }

  kernel::FuncOp kernel;
  const kernels::ObjectInfo &info;
  Code code;
  ValueRange dims;
};

} // namespace

void host::buildHalideAdapter(OpBuilder &builder, kernel::FuncOp kernel,
                              const kernels::ObjectInfo &info) {
  Adapter(builder, kernel, info).build();
}
