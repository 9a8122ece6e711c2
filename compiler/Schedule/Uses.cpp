//===- Uses.cpp - Which kernels a model calls, at which sizes ---------------------------===//
//
// kernel.call dims(...) are index arithmetic over kernel.dim: evaluated by folding it, with a
// constant for each dim.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Schedule/Uses.h"

#include "compiler/Kernels/BuildSpec.h"
#include "compiler/Kernels/ScheduleAttr.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace rapt;

static constexpr int64_t kBatch = 1, kLength = 128;

namespace {

/// Values of index arithmetic, each operation folded once. Measured sizes are taken for their
/// bounds.
class Evaluator {
public:
  explicit Evaluator(const DimSizes &sizes) : sizes(sizes) {}

  /// The value of an index; 0 when it does not follow from the sizes.
  int64_t valueOf(Value value) {
    auto number = dyn_cast_or_null<IntegerAttr>(attributeOf(value));
    return number ? number.getValue().getSExtValue() : 0;
  }

private:
  Attribute attributeOf(Value value) {
    if (auto found = known.find(value); found != known.end())
      return found->second;
    Attribute result = compute(value);
    known[value] = result;
    return result;
  }

  Attribute compute(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op || op->getNumResults() != 1 || op->getNumRegions() != 0)
      return {};
    if (auto dim = dyn_cast<kernel::DimOp>(op)) {
      auto found = sizes.find(dim.getSymbol().str());
      return Builder(op).getIndexAttr(found == sizes.end() ? 0 : found->second);
    }
    if (auto measure = dyn_cast<kernel::MeasureOp>(op))
      return attributeOf(measure.getBound());
    SmallVector<Attribute> operands;
    for (Value operand : op->getOperands())
      operands.push_back(attributeOf(operand));
    SmallVector<OpFoldResult> results;
    // Folding may also change an operation in place; a copy is what it changes.
    Operation *copy = op->clone();
    bool folded = succeeded(copy->fold(operands, results)) && results.size() == 1;
    Attribute result;
    if (folded && isa<Attribute>(results[0]))
      result = cast<Attribute>(results[0]);
    else if (folded && cast<Value>(results[0]) != copy->getResult(0))
      result = attributeOf(cast<Value>(results[0]));
    copy->destroy();
    return result;
  }

  const DimSizes &sizes;
  llvm::DenseMap<Value, Attribute> known;
};

} // namespace

/// Both sides of what the model requires of its dims, with a size for each of them.
struct Sides {
  int64_t lhs, rhs;
  bool hold; ///< true also where data decides
};
static Sides sidesOf(kernel::RequireOp require, const DimSizes &sizes) {
  Evaluator evaluator(sizes);
  int64_t lhs = evaluator.valueOf(require.getLhs()), rhs = evaluator.valueOf(require.getRhs());
  bool holds = require.getEqual() ? lhs == rhs : lhs <= rhs;
  return {lhs, rhs, holds || kernel::isMeasured(require)};
}

/// Sizes that are not given follow those that they are required to fit, where one side of the
/// requirement is the dim alone: `total` is `past + seq`.
static void fitSizes(ModuleOp module, const DimSizes &given, DimSizes &sizes) {
  constexpr int maxRounds = 4; // what fits one requirement may break another
  bool changed = true;
  for (int round = 0; changed && round < maxRounds; ++round) {
    changed = false;
    module.walk([&](kernel::RequireOp require) {
      auto [lhs, rhs, hold] = sidesOf(require, sizes);
      for (auto [side, size] :
           {std::pair(require.getLhs(), rhs), std::pair(require.getRhs(), lhs)}) {
        auto dim = side.getDefiningOp<kernel::DimOp>();
        if (hold || !dim || size < 1 || given.count(dim.getSymbol().str()))
          continue;
        sizes[dim.getSymbol().str()] = size;
        changed = hold = true;
      }
    });
  }
}

/// Error when given sizes are not what the model requires.
static llvm::Error checkSizes(ModuleOp module, const DimSizes &given, const DimSizes &sizes) {
  std::string text;
  module.walk([&](kernel::RequireOp require) {
    auto [lhs, rhs, hold] = sidesOf(require, sizes);
    if (given.empty() || hold)
      return WalkResult::advance();
    llvm::StringRef rest = require.getMessage();
    for (int64_t side : {lhs, rhs}) {
      auto [before, after] = rest.split("%lld");
      text += before.str() + (before.size() < rest.size() ? std::to_string(side) : "");
      rest = after;
    }
    text += rest.str();
    return WalkResult::interrupt();
  });
  if (text.empty())
    return llvm::Error::success();
  std::string assumed;
  for (const auto &[name, size] : sizes)
    assumed += (assumed.empty() ? "" : ", ") + name + "=" + std::to_string(size);
  return llvm::createStringError("--assume makes the dims " + assumed + ", but " + text);
}

llvm::Expected<DimSizes> rapt::assumeSizes(ModuleOp module, const DimSizes &given) {
  DimSizes sizes;
  module.walk([&](kernel::DimOp dim) { sizes.emplace(dim.getSymbol().str(), kBatch); });
  module.walk([&](func::FuncOp func) {
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto dims = func.getArgAttrOfType<ArrayAttr>(i, "onnx.dims"))
        for (auto [position, dim] : llvm::enumerate(dims))
          if (auto name = dyn_cast<StringAttr>(dim); name && position > 0)
            if (auto found = sizes.find(name.str()); found != sizes.end())
              found->second = kLength;
  });
  for (const auto &[name, size] : given) {
    auto found = sizes.find(name);
    if (found == sizes.end()) {
      std::vector<std::string> names;
      for (const auto &entry : sizes)
        names.push_back(entry.first);
      return llvm::createStringError(
          "--assume gives '" + name + "' the size " + std::to_string(size) +
          (names.empty() ? ", but no dim of the model is symbolic"
                         : ", expected one of the symbolic dims " + llvm::join(names, ", ")));
    }
    found->second = size;
  }
  fitSizes(module, given, sizes);
  if (llvm::Error error = checkSizes(module, given, sizes))
    return error;
  return sizes;
}

std::vector<KernelUse> rapt::kernelUses(ModuleOp module, const kernels::TargetCpu &target,
                                        const DimSizes &sizes) {
  std::vector<KernelUse> uses;
  llvm::StringMap<size_t> numbers;
  for (auto func : module.getOps<kernel::FuncOp>()) {
    auto spec = kernels::buildSpec(func.getBody().front(), func.getNumDims(), func.getInputShapes(),
                                   func.getInputPanels());
    if (!spec) {
      llvm::consumeError(spec.takeError());
      continue;
    }
    numbers[func.getSymName()] = uses.size();
    uses.push_back({func, std::move(*spec), kernels::fromAttr(func.getSchedule()), 0, {}, {}, {}});
  }
  Evaluator evaluator(sizes);
  module.walk([&](kernel::CallOp call) {
    auto number = numbers.find(call.getCallee());
    if (number == numbers.end())
      return;
    KernelUse &use = uses[number->second];
    ++use.calls;
    std::vector<int64_t> dims;
    for (Value dim : call.getDims())
      dims.push_back(evaluator.valueOf(dim));
    if (llvm::any_of(dims, [](int64_t size) { return size < 1; }))
      return;
    Prediction prediction = predict(use.spec, use.schedule, target, dims);
    use.total.add(prediction);
    if (use.dims.empty() || prediction.cycles > use.longest.cycles) {
      use.longest = prediction;
      use.dims = dims;
    }
  });
  return uses;
}
