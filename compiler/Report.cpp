//===- Report.cpp - What the compiler did, for --report ---------------------------------===//
//
// attn.sdpa, onnx.Softmax (stage fuse), kernel.func and kernel.call (stage kernels) => plain facts
// => text or JSON, in the same order.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Report.h"

#include "compiler/Schedule/Tuning.h"
#include "dialects/Attn/Attn.h"
#include "dialects/Kernel/Kernel.h"
#include "dialects/Onnx/Names.h"
#include "dialects/Onnx/Onnx.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace rapt;

/// No query sees a key behind its own, the last query's being the last key where lengths differ.
static bool isCausal(attn::SdpaOp op) {
  if (!op.getCausalOffset())
    return false;
  int64_t queries = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(2),
          keys = cast<RankedTensorType>(op.getKey().getType()).getDimSize(2);
  bool isStatic = !ShapedType::isDynamic(queries) && !ShapedType::isDynamic(keys);
  return static_cast<int64_t>(*op.getCausalOffset()) <=
         (op.getCausalFromEnd() || !isStatic ? 0 : keys - queries);
}

static Report::Fields describe(attn::SdpaOp op) {
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  auto key = cast<RankedTensorType>(op.getKey().getType());
  Report::Fields fields = {{"heads", query.getDimSize(1)},         {"kv_heads", key.getDimSize(1)},
                           {"head_dim", query.getDimSize(3)},      {"bias", bool(op.getBias())},
                           {"mask", bool(op.getMask())},           {"causal", isCausal(op)},
                           {"window", bool(op.getWindowOffset())}, {"sink", bool(op.getSink())}};
  if (op.getCausalOffset())
    fields.emplace_back("causal_offset", static_cast<int64_t>(*op.getCausalOffset()));
  if (op.getWindowOffset())
    fields.emplace_back("window_offset", static_cast<int64_t>(*op.getWindowOffset()));
  if (op.getCausalOffset() || op.getWindowOffset())
    fields.emplace_back("causal_from_end", op.getCausalFromEnd());
  fields.emplace_back("softcap", op.getSoftcap().convertToDouble());
  fields.emplace_back("empty_rows", stringifyEmptyRow(op.getEmptyRow()));
  return fields;
}

void Report::addAttention(ModuleOp module) {
  knowsAttention = true;
  llvm::MapVector<StringRef, int64_t> counts;
  for (StringRef name : {"LayerNormalization", "RMSNormalization", "RotaryEmbedding", "Gelu"})
    counts[name] = 0;
  llvm::StringMap<std::string> copied; // softmax nodes with another reader, and why they are copied
  module.walk([&](onnx::SoftmaxOp op) {
    if (auto reason = op->getAttrOfType<StringAttr>("attn.copied"))
      copied[onnx::nodeName(op->getLoc())] = reason.str();
  });
  module.walk([&](Operation *op) {
    auto count = counts.find(op->getName().stripDialect());
    if (count != counts.end() && isa<onnx::OnnxDialect>(op->getDialect()))
      ++count->second;
    if (auto sdpa = dyn_cast<attn::SdpaOp>(op)) {
      std::string node = onnx::nodeName(op->getLoc());
      attention.push_back({node, true, copied.lookup(node), describe(sdpa)});
    } else if (isa<onnx::SoftmaxOp>(op) && !op->hasAttr("attn.copied") &&
               !op->hasAttr("attn.of_layer")) {
      auto reason = op->getAttrOfType<StringAttr>("attn.not_fused");
      attention.push_back(
          {onnx::nodeName(op->getLoc()), false, reason ? reason.str() : "not matched", {}});
    }
  });
  for (auto [name, count] : counts)
    if (count > 0)
      recognised.emplace_back(name.str(), count);
}

static llvm::json::Value valueOf(Attribute attr) {
  if (auto flag = dyn_cast<BoolAttr>(attr))
    return flag.getValue();
  if (auto number = dyn_cast<IntegerAttr>(attr))
    return number.getInt();
  if (auto string = dyn_cast<StringAttr>(attr))
    return string.getValue();
  std::string text;
  llvm::raw_string_ostream(text) << attr;
  return text;
}

void Report::addKernels(ModuleOp module, DimSizes sizes, ArrayRef<KernelUse> uses) {
  knowsKernels = true;
  assumed = std::move(sizes);
  llvm::StringMap<int64_t> calls;
  module.walk([&](kernel::CallOp call) {
    ++calls[call.getCallee()];
    ++regions;
  });
  module.walk([&](kernel::WeightOp) { ++weights; });
  for (auto func : module.getOps<kernel::FuncOp>()) {
    Fields parameters;
    if (DictionaryAttr params = func.getSchedule().getParams())
      for (NamedAttribute param : params)
        parameters.emplace_back(param.getName().str(), valueOf(param.getValue()));
    auto reason = func->getAttrOfType<StringAttr>("kernel.reference_reason");
    kernels.push_back({func.getSymName().str(),
                       stringifyRecipe(func.getSchedule().getRecipe()).str(),
                       std::move(parameters),
                       calls.lookup(func.getSymName()),
                       reason ? reason.str() : "",
                       {},
                       {},
                       {}});
    const auto *use = llvm::find_if(uses, [&](const KernelUse &u) { return u.func == func; });
    if (use == uses.end())
      continue;
    Kernel &kernel = kernels.back();
    kernel.computes = computes(use->spec, use->schedule.recipe,
                               [&](int input) { return use->spec.tensors[input].panel > 0; });
    kernel.call = use->longest;
    kernel.all = use->total;
  }
}

/// A string without the quotes that JSON would give it.
static void printValue(llvm::raw_ostream &os, const llvm::json::Value &value) {
  if (auto text = value.getAsString())
    os << *text;
  else
    os << value;
}

/// ", causal", or which keys query i sees: ", keys i - 3 to i + 3", counted from the end where J is
/// not I.
static void printBand(llvm::raw_ostream &os, const llvm::json::Object &fields) {
  std::optional<int64_t> last = fields.getInteger("causal_offset"),
                         first = fields.getInteger("window_offset");
  auto position = [](int64_t offset) -> std::string {
    auto magnitude = static_cast<uint64_t>(offset);
    if (offset == 0)
      return "i";
    return offset < 0 ? "i - " + std::to_string(0 - magnitude) : "i + " + std::to_string(magnitude);
  };
  bool isCausal = *fields.getBoolean("causal");
  if (isCausal)
    os << ", causal";
  if (isCausal && !first)
    return;
  if (first)
    os << ", keys " << position(*first) << (last ? " to " + position(*last) : " and later");
  else if (last)
    os << ", keys up to " << position(*last);
}

/// "12 heads on 4, head_dim 64, mask, empty rows zero"
static void printDetail(llvm::raw_ostream &os, const Report::Fields &detail) {
  llvm::json::Object fields;
  for (const auto &[name, value] : detail)
    fields[name] = value;
  int64_t heads = *fields.getInteger("heads"), kvHeads = *fields.getInteger("kv_heads");
  os << heads << " heads";
  if (kvHeads != heads)
    os << " on " << kvHeads;
  os << ", head_dim " << *fields.getInteger("head_dim");
  for (const char *operand : {"bias", "mask", "sink"})
    if (*fields.getBoolean(operand))
      os << ", " << operand;
  printBand(os, fields);
  if (double softcap = *fields.getNumber("softcap"))
    os << ", softcap " << llvm::format("%g", softcap);
  os << ", empty rows " << *fields.getString("empty_rows");
}

/// A number of three or four digits with k, M or G.
static std::string shortNumber(double value) {
  const char *unit = " ";
  for (const char *next : {" k", " M", " G", " T"})
    if (value >= 10000) {
      value /= 1000;
      unit = next;
    }
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.*f", value < 10 ? 1 : 0, value) << unit;
  return text;
}

double Report::predictedCycles() const {
  double cycles = 0;
  for (const Kernel &kernel : kernels)
    cycles += kernel.all.cycles;
  return cycles;
}

static void printPrediction(llvm::raw_ostream &os, const Report::Kernel &kernel, double cycles) {
  const Prediction &call = kernel.call;
  if (call.cycles <= 0)
    return;
  os << "           predicted " << llvm::format("%.1f", 100 * kernel.all.cycles / cycles)
     << " % of the time";
  if (call.flops > 0)
    os << ", at " << llvm::format("%.0f", 100 * call.peakShare()) << " % of the FMA peak";
  os << (call.isMoving() ? ", moving: " : ", computing: ");
  if (call.flops > 0)
    os << shortNumber(call.flops) << "flop and ";
  os << shortNumber(call.bytes) << "B a call\n";
}

void Report::printText(llvm::raw_ostream &os) const {
  static constexpr llvm::StringLiteral unknown = "  not computed at this stage\n";
  os << "model " << model << " for " << target << "\n\nattention\n";
  if (!knowsAttention)
    os << unknown;
  else if (attention.empty())
    os << "  no softmax in the graph\n";
  for (const AttentionSite &site : attention) {
    os << (site.fused ? "  fused      " : "  not fused  ") << site.node << ": ";
    if (site.fused)
      printDetail(os, site.detail);
    if (site.fused && !site.reason.empty())
      os << "; its scores are computed twice: ";
    os << site.reason << "\n";
  }
  if (!recognised.empty())
    os << "\nrecognised\n";
  for (const auto &[name, count] : recognised) {
    os << "  ";
    printValue(os, count);
    os << " x  " << name << "\n";
  }
  os << "\nkernels";
  if (knowsKernels)
    os << " (" << regions << " regions, " << kernels.size() << " distinct)\n";
  else
    os << "\n" << unknown;
  for (const auto &[name, size] : assumed)
    os << (name == assumed.begin()->first ? "  predictions for " : ", ") << name << "=" << size;
  os << (assumed.empty() ? "" : "\n");
  for (const Kernel &kernel : kernels) {
    os << "  " << llvm::format("%4lld x  ", static_cast<long long>(kernel.calls)) << kernel.name
       << "  " << kernel.recipe;
    for (const auto &[name, value] : kernel.parameters) {
      os << " " << name << "=";
      printValue(os, value);
    }
    os << "\n";
    if (!kernel.reason.empty())
      os << "           reference, because " << kernel.reason << "\n";
    printPrediction(os, kernel, predictedCycles());
  }
  os << "\nmemory\n";
  if (knowsMemory())
    os << "  weights  " << weights << " tensors, " << weightBytes << " bytes\n"
       << "  arena    " << buffers << " tensors, " << arenaBytes << " bytes\n";
  else
    os << unknown;
}

static void printFields(llvm::json::OStream &json, const Report::Fields &fields) {
  for (const auto &[name, value] : fields)
    json.attribute(name, value);
}

void Report::printJson(llvm::raw_ostream &os) const {
  llvm::json::OStream json(os, 2);
  double cycles = predictedCycles();
  auto printSite = [&](const AttentionSite &site) {
    json.attribute("node", site.node);
    json.attribute("fused", site.fused);
    if (site.fused)
      json.attributeObject("detail", [&] { printFields(json, site.detail); });
    if (!site.reason.empty())
      json.attribute(site.fused ? "copied" : "reason", site.reason);
  };
  auto printKernel = [&](const Kernel &kernel) {
    json.attribute("name", kernel.name);
    json.attributeObject("schedule", [&] {
      json.attribute("recipe", kernel.recipe);
      json.attributeObject("parameters", [&] { printFields(json, kernel.parameters); });
    });
    json.attribute("calls", kernel.calls);
    if (!kernel.reason.empty())
      json.attribute("reference_reason", kernel.reason);
    if (!kernel.computes.empty())
      json.attribute("computes", llvm::json::Object(kernel.computes));
    if (kernel.call.cycles > 0)
      json.attributeObject("prediction", [&] {
        json.attribute("flops", kernel.call.flops);
        json.attribute("bytes", kernel.call.bytes);
        json.attribute("cycles", kernel.call.cycles);
        json.attribute("peak_share", kernel.call.peakShare());
        json.attribute("bound", kernel.call.isMoving() ? "moving" : "computing");
        json.attribute("time_share", kernel.all.cycles / cycles);
      });
  };
  auto printMemory = [&] {
    json.attribute("weight_bytes", weightBytes);
    json.attribute("buffers", buffers);
    int64_t bytes;
    if (!StringRef(arenaBytes).getAsInteger(10, bytes))
      json.attribute("arena_bytes", bytes);
    else
      json.attributeObject("arena_bytes", [&] { json.attribute("expression", arenaBytes); });
  };
  json.object([&] {
    json.attribute("model", model);
    json.attribute("target", target);
    if (knowsAttention)
      json.attributeArray("attention", [&] {
        for (const AttentionSite &site : attention)
          json.object([&] { printSite(site); });
      });
    if (knowsAttention)
      json.attributeObject("recognised", [&] { printFields(json, recognised); });
    if (knowsKernels) {
      json.attribute("regions", regions);
      json.attributeObject("assumed", [&] {
        for (const auto &[name, size] : assumed)
          json.attribute(name, size);
      });
      json.attributeArray("kernels", [&] {
        for (const Kernel &kernel : kernels)
          json.object([&] { printKernel(kernel); });
      });
      json.attribute("weights", weights);
    }
    if (knowsMemory())
      printMemory();
  });
  os << "\n";
}
