//===- CallTable.cpp - Which kernels a run calls -----------------------------------------===//
//
// kernel.func => CallTable <=> the module attribute
//
//   kernel.profile = {kernels = [{name = "linear_3f", schedule = "gemm ...",
//                               flops = [array<i64: 2, 0>], bytes = [array<i64: 64>]}, ...],
//                   calls = [{kernel = 0, node = "/encoder/MatMul"}, ...]}
//
// where array<i64: 2, 0, 1> is 2 * dim 0 * dim 1 of the kernel, and a list of these their sum.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Host/CallTable.h"

#include "compiler/Host/Host.h"
#include "compiler/Host/WeightTable.h"
#include "compiler/Kernels/BuildSpec.h"
#include "compiler/Kernels/ScheduleAttr.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace rapt;
using namespace rapt::host;
using kernels::Extent;
using kernels::ExtentSum;

int64_t CallTable::indexOf(StringRef name) {
  auto found = llvm::find_if(kernels, [&](const Kernel &kernel) { return kernel.name == name; });
  if (found == kernels.end())
    found = kernels.insert(kernels.end(), Kernel{name.str(), "", {}});
  return found - kernels.begin();
}

/// Bytes of a tensor whose dynamic dims are these dims of the kernel.
static ExtentSum bytesOf(Type type, ArrayRef<int64_t> dynamicDims) {
  auto tensor = cast<ShapedType>(type);
  ExtentSum bytes = Extent{elementBytes(tensor.getElementType()), {}};
  for (int64_t size : tensor.getShape()) {
    bytes = bytes * (ShapedType::isDynamic(size) ? Extent{1, {int(dynamicDims.front())}}
                                                 : Extent{size, {}});
    dynamicDims = dynamicDims.drop_front(ShapedType::isDynamic(size));
  }
  return bytes;
}

static kernels::Work workOf(kernel::FuncOp func) {
  Block &body = func.getBody().front();
  auto spec = kernels::buildSpec(body, func.getNumDims(), func.getInputShapes(), {});
  if (spec)
    return kernels::workOf(*spec);
  llvm::consumeError(spec.takeError());
  kernels::Work work;
  auto add = [&](ValueRange tensors, ArrayAttr shapes) {
    for (auto [index, tensor] : llvm::enumerate(tensors))
      work.bytes = work.bytes + bytesOf(tensor.getType(), kernel::dynamicDims(shapes, index));
  };
  add(ValueRange(body.getArguments()).drop_front(func.getNumDims()), func.getInputShapes());
  add(body.getTerminator()->getOperands(), func.getResultShapes());
  return work;
}

CallTable host::describeKernels(ModuleOp module) {
  CallTable table;
  for (auto func : module.getOps<kernel::FuncOp>()) {
    kernels::Schedule schedule = kernels::fromAttr(func.getSchedule());
    bool hasNumbers = schedule.recipe != kernels::Schedule::Recipe::Reference;
    table.kernels.push_back(
        {func.getSymName().str(), hasNumbers ? schedule.print() : "reference", ::workOf(func)});
  }
  return table;
}

//===-------------------------------------------------------------------------------------===//
// The attribute
//===-------------------------------------------------------------------------------------===//

static Attribute toAttr(Builder &b, const ExtentSum &sum) {
  return b.getArrayAttr(llvm::map_to_vector(sum.terms(), [&](const Extent &term) -> Attribute {
    SmallVector<int64_t> numbers{term.factor};
    numbers.append(term.dims.begin(), term.dims.end());
    return b.getDenseI64ArrayAttr(numbers);
  }));
}

void host::writeCallTable(ModuleOp module, const CallTable &table) {
  Builder b(module.getContext());
  auto kernels =
      llvm::map_to_vector(table.kernels, [&](const CallTable::Kernel &kernel) -> Attribute {
        return b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr(kernel.name)),
                                    b.getNamedAttr("schedule", b.getStringAttr(kernel.schedule)),
                                    b.getNamedAttr("flops", toAttr(b, kernel.work.flops)),
                                    b.getNamedAttr("bytes", toAttr(b, kernel.work.bytes))});
      });
  auto calls = llvm::map_to_vector(table.calls, [&](const CallTable::Call &call) -> Attribute {
    return b.getDictionaryAttr({b.getNamedAttr("kernel", b.getI64IntegerAttr(call.kernel)),
                                b.getNamedAttr("node", b.getStringAttr(call.node))});
  });
  module->setAttr(kProfileAttr,
                  b.getDictionaryAttr({b.getNamedAttr("kernels", b.getArrayAttr(kernels)),
                                       b.getNamedAttr("calls", b.getArrayAttr(calls))}));
}

namespace {
/// Reads the parts of the attribute; `valid` becomes false at the first that does not fit.
struct Reader {
  bool valid = true;

  template <typename T> T get(Attribute attr, StringRef name) {
    auto dictionary = dyn_cast<DictionaryAttr>(attr);
    T part = dictionary ? dictionary.getAs<T>(name) : T();
    valid &= bool(part);
    return part;
  }
  ArrayRef<Attribute> list(Attribute attr, StringRef name) {
    auto array = get<ArrayAttr>(attr, name);
    return array ? array.getValue() : ArrayRef<Attribute>();
  }
  std::string text(Attribute attr, StringRef name) {
    auto string = get<StringAttr>(attr, name);
    return string ? string.str() : "";
  }
  ExtentSum sum(Attribute attr, StringRef name) {
    ExtentSum result;
    for (Attribute part : list(attr, name)) {
      auto numbers = dyn_cast<DenseI64ArrayAttr>(part);
      if (!numbers || numbers.empty()) {
        valid = false;
        continue;
      }
      Extent term{numbers[0], {}};
      for (int64_t dim : numbers.asArrayRef().drop_front()) {
        valid &= dim >= 0 && dim <= INT32_MAX;
        term.dims.push_back(int(dim));
      }
      llvm::sort(term.dims);
      result.add(term);
    }
    return result;
  }
};
} // namespace

FailureOr<CallTable> host::readCallTable(ModuleOp module) {
  CallTable table;
  Attribute attr = module->getAttr(kProfileAttr);
  if (!attr)
    return table;
  Reader reader;
  for (Attribute kernel : reader.list(attr, "kernels"))
    table.kernels.push_back({reader.text(kernel, "name"),
                             reader.text(kernel, "schedule"),
                             {reader.sum(kernel, "flops"), reader.sum(kernel, "bytes")}});
  for (Attribute call : reader.list(attr, "calls")) {
    auto index = reader.get<IntegerAttr>(call, "kernel");
    int64_t kernel = index ? index.getValue().getSExtValue() : -1;
    reader.valid &= kernel >= 0 && kernel < int64_t(table.kernels.size());
    table.calls.push_back({kernel, reader.text(call, "node")});
  }
  if (!reader.valid) {
    module.emitError() << "expects the attribute '" << kProfileAttr
                       << "' as host-bufferize and host-to-llvm make it";
    return failure();
  }
  return table;
}
