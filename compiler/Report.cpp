//===- Report.cpp - What the compiler did, for --report ---------------------------------===//

#include "compiler/Report.h"

#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Onnx.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace rapt;

std::string rapt::nodeName(Location location) {
  std::string name;
  location->walk([&](Location inner) {
    auto named = dyn_cast<NameLoc>(inner);
    if (!named)
      return WalkResult::advance();
    name = named.getName().str();
    return WalkResult::interrupt();
  });
  return name.empty() ? "<unnamed>" : name;
}

static std::string describe(attn::SdpaOp op) {
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  auto key = cast<RankedTensorType>(op.getKey().getType());
  std::string text = std::to_string(query.getDimSize(1)) + " heads";
  if (key.getDimSize(1) != query.getDimSize(1))
    text += " on " + std::to_string(key.getDimSize(1));
  text += ", head_dim " + std::to_string(query.getDimSize(3));
  if (op.getBias())
    text += ", bias";
  if (op.getMask())
    text += ", mask";
  if (op.getCausalOffset())
    text += ", causal";
  return text + ", empty rows " + stringifyEmptyRow(op.getEmptyRow()).str();
}

void Report::addAttention(ModuleOp module) {
  module.walk([&](Operation *op) {
    if (auto sdpa = dyn_cast<attn::SdpaOp>(op)) {
      attention.push_back({nodeName(op->getLoc()), true, describe(sdpa)});
    } else if (isa<onnx::SoftmaxOp>(op)) {
      auto reason = op->getAttrOfType<StringAttr>("attn.not_fused");
      attention.push_back({nodeName(op->getLoc()), false, reason ? reason.str() : "not matched"});
    }
  });
}

void Report::addKernels(ModuleOp module) {
  llvm::StringMap<int64_t> calls;
  module.walk([&](kernel::CallOp call) {
    ++calls[call.getCallee()];
    ++regions;
  });
  module.walk([&](kernel::WeightOp) { ++weights; });
  for (auto func : module.getOps<kernel::FuncOp>()) {
    std::string schedule;
    llvm::raw_string_ostream stream(schedule);
    stream << stringifyRecipe(func.getSchedule().getRecipe());
    if (DictionaryAttr params = func.getSchedule().getParams(); !params.empty())
      for (NamedAttribute param : params) {
        stream << " " << param.getName().strref() << "=";
        if (auto number = dyn_cast<IntegerAttr>(param.getValue());
            number && !number.getType().isInteger(1))
          stream << number.getInt();
        else
          stream << param.getValue();
      }
    auto reason = func->getAttrOfType<StringAttr>("kernel.reference_reason");
    kernels.push_back({func.getSymName().str(), schedule, calls.lookup(func.getSymName()),
                       reason ? reason.str() : ""});
  }
}

void Report::printText(llvm::raw_ostream &os) const {
  os << "model " << model << " for " << target << "\n\nattention\n";
  for (const AttentionSite &site : attention)
    os << "  " << (site.fused ? "fused      " : "not fused  ") << site.node << ": " << site.detail << "\n";
  if (attention.empty())
    os << "  no softmax in the graph\n";
  os << "\nkernels (" << regions << " regions, " << kernels.size() << " distinct)\n";
  for (const Kernel &kernel : kernels) {
    os << "  " << llvm::format("%4lld x  ", static_cast<long long>(kernel.calls)) << kernel.name << "  "
       << kernel.schedule << "\n";
    if (!kernel.reason.empty())
      os << "           reference, because " << kernel.reason << "\n";
  }
  os << "\nmemory\n  weights  " << weights << " tensors, " << weightBytes << " bytes\n  arena    "
     << buffers << " tensors, " << arenaBytes << " bytes\n";
}

void Report::printJson(llvm::raw_ostream &os) const {
  llvm::json::OStream json(os, 2);
  json.object([&] {
    json.attribute("model", model);
    json.attribute("target", target);
    json.attributeArray("attention", [&] {
      for (const AttentionSite &site : attention)
        json.object([&] {
          json.attribute("node", site.node);
          json.attribute("fused", site.fused);
          json.attribute(site.fused ? "detail" : "reason", site.detail);
        });
    });
    json.attribute("regions", regions);
    json.attributeArray("kernels", [&] {
      for (const Kernel &kernel : kernels)
        json.object([&] {
          json.attribute("name", kernel.name);
          json.attribute("schedule", kernel.schedule);
          json.attribute("calls", kernel.calls);
          if (!kernel.reason.empty())
            json.attribute("reference_reason", kernel.reason);
        });
    });
    json.attribute("weights", weights);
    json.attribute("weight_bytes", weightBytes);
    json.attribute("buffers", buffers);
    json.attribute("arena_bytes", arenaBytes);
  });
  os << "\n";
}
