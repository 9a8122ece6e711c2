//===- Tuning.cpp - Schedules that a file decides ---------------------------------------===//
//
// JSON => entries, checked; KernelSpec => what it computes; entry + schedule => schedule. Values
// are limited to what gives a kernel that compiles in reasonable time.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Schedule/Tuning.h"

#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/ScheduleAttr.h"
#include "compiler/Schedule/Target.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace rapt;
using kernels::KernelSpec;
using kernels::Schedule;

static constexpr int64_t kVersion = 1;

//===-- What a kernel computes ------------------------------------------------------------===//

static json::Value sizeOf(const kernels::Extent &extent) {
  return extent.isStatic() ? json::Value(extent.factor) : json::Value("dynamic");
}

static const char *typeOf(kernels::ScalarType type) {
  switch (type) {
  case kernels::ScalarType::F16:
    return "f16";
  case kernels::ScalarType::BF16:
    return "bf16";
  case kernels::ScalarType::F64:
    return "f64";
  default:
    return "f32";
  }
}

json::Object rapt::computes(const KernelSpec &spec, Schedule::Recipe recipe,
                            const std::function<bool(int)> &isWeight) {
  if (recipe == Schedule::Recipe::Gemm)
    if (auto match = kernels::matchGemm(spec, isWeight)) {
      const kernels::LoopStage &loop = match->contraction->loop;
      return json::Object{{"kind", "gemm"},
                          {"type", typeOf(loop.body->type)},
                          {"rows", sizeOf(loop.loops[loop.parallel - 2])},
                          {"depth", sizeOf(loop.loops[loop.parallel])},
                          {"columns", sizeOf(loop.loops[loop.parallel - 1])}};
    }
  if (recipe == Schedule::Recipe::Attention)
    for (const kernels::Stage &stage : spec.stages)
      if (stage.attention) {
        const kernels::AttentionStage &a = *stage.attention;
        return json::Object{{"kind", "attention"},
                            {"type", typeOf(a.query->type)},
                            {"heads", a.heads},
                            {"kv_heads", a.kvHeads},
                            {"head_dim", a.headDim},
                            {"value_dim", a.valueDim},
                            {"queries", sizeOf(a.queries)},
                            {"keys", sizeOf(a.keys)},
                            {"causal", a.causalOffset.has_value()},
                            {"window", a.windowOffset.has_value()},
                            {"bias", a.bias != nullptr},
                            {"mask", a.mask != nullptr}};
      }
  return {};
}

//===-- Reading ---------------------------------------------------------------------------===//

namespace {

enum class Form { Size, SizeOrDynamic, Flag, Type };

struct Property {
  StringLiteral kind, name;
  Form form;
};

constexpr Property kProperties[] = {{"gemm", "type", Form::Type},
                                    {"gemm", "rows", Form::SizeOrDynamic},
                                    {"gemm", "depth", Form::Size},
                                    {"gemm", "columns", Form::Size},
                                    {"attention", "type", Form::Type},
                                    {"attention", "heads", Form::Size},
                                    {"attention", "kv_heads", Form::Size},
                                    {"attention", "head_dim", Form::Size},
                                    {"attention", "value_dim", Form::Size},
                                    {"attention", "queries", Form::SizeOrDynamic},
                                    {"attention", "keys", Form::SizeOrDynamic},
                                    {"attention", "causal", Form::Flag},
                                    {"attention", "window", Form::Flag},
                                    {"attention", "bias", Form::Flag},
                                    {"attention", "mask", Form::Flag}};

/// A schedule's number; `vectors`: counted in vectors of the target.
struct Parameter {
  StringLiteral kind, name;
  int64_t least, most;
  bool vectors;
};

constexpr Parameter kNumbers[] = {
    {"gemm", "tile_rows", 1, 16, false},         {"gemm", "tile_cols", 1, 8, true},
    {"gemm", "prefetch", 0, 8, false},           {"gemm", "even_rows", 0, 1024, false},
    {"attention", "block_query", 1, 512, false}, {"attention", "decode_queries", 0, 16, false}};
constexpr std::pair<StringLiteral, StringLiteral> kOthers[] = {
    {"gemm", "parallel"}, {"attention", "parallel"}, {"attention", "variant"}};

std::string textOf(const json::Value &value) {
  std::string text;
  raw_string_ostream(text) << value;
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

/// Reads one file; `where` is the entry that is being read.
class TuningReader {
public:
  TuningReader(StringRef path, const kernels::TargetCpu &target, mlir::MLIRContext &context)
      : path(path), target(target), context(context) {}

  Expected<std::vector<TuningTable::Entry>> read() {
    ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path);
    if (!buffer)
      return createStringError("cannot read tuning file '" + path +
                               "': " + buffer.getError().message());
    Expected<json::Value> parsed = json::parse((*buffer)->getBuffer());
    if (!parsed)
      return wrong(toString(parsed.takeError()));
    const json::Object *top = parsed->getAsObject();
    if (!top)
      return wrong("expected an object, got " + textOf(*parsed));
    if (Error error = checkKeys(*top, {"rapt_tuning", "kernels"}))
      return std::move(error);
    const json::Value *version = top->get("rapt_tuning");
    if (!version || version->getAsInteger() != kVersion)
      return wrong("expected 'rapt_tuning' to be " + Twine(kVersion) + ", got " + seen(version));
    const json::Array *list = top->getArray("kernels");
    if (!list)
      return wrong("expected 'kernels' to be an array, got " + seen(top->get("kernels")));
    std::vector<TuningTable::Entry> entries;
    for (const json::Value &value : *list) {
      where = ", entry " + std::to_string(++number);
      Expected<TuningTable::Entry> entry = readEntry(value);
      if (!entry)
        return entry.takeError();
      if (entry->target.empty() || entry->target == target.cpu)
        entries.push_back(std::move(*entry));
    }
    return entries;
  }

private:
  Error wrong(const Twine &what) const {
    return createStringError("tuning file '" + path + "'" + where + ": " + what);
  }
  static std::string seen(const json::Value *value) { return value ? textOf(*value) : "nothing"; }

  Error checkKeys(const json::Object &object, ArrayRef<StringRef> allowed) const {
    for (const auto &[key, value] : object)
      if (!is_contained(allowed, StringRef(key)))
        return wrong("unknown key '" + StringRef(key) + "' with value " + textOf(value) +
                     "; expected one of " + join(allowed, ", "));
    return Error::success();
  }

  Expected<TuningTable::Entry> readEntry(const json::Value &value) const {
    const json::Object *object = value.getAsObject();
    if (!object)
      return wrong("expected an object, got " + textOf(value));
    if (Error error = checkKeys(*object, {"target", "computes", "schedule"}))
      return std::move(error);
    TuningTable::Entry entry;
    if (const json::Value *name = object->get("target")) {
      if (!name->getAsString())
        return wrong("expected 'target' to be the name of a CPU, got " + textOf(*name));
      entry.target = name->getAsString()->str();
    }
    const json::Object *computes = object->getObject("computes");
    const json::Object *schedule = object->getObject("schedule");
    if (!computes || !schedule)
      return wrong("expected '" + Twine(computes ? "schedule" : "computes") +
                   "' to be an object, got " +
                   seen(object->get(computes ? "schedule" : "computes")));
    entry.computes = *computes;
    entry.schedule = *schedule;
    if (Error error = checkComputes(entry.computes))
      return std::move(error);
    StringRef kind = *entry.computes.getString("kind");
    bool concerns = entry.target.empty() || entry.target == target.cpu;
    if (Error error = checkSchedule(entry.schedule, kind, concerns))
      return std::move(error);
    return entry;
  }

  Error checkComputes(const json::Object &computes) const {
    const json::Value *kind = computes.get("kind");
    auto name = kind ? kind->getAsString() : std::nullopt;
    if (name != "gemm" && name != "attention")
      return wrong("expected 'kind' to be \"gemm\" or \"attention\", got " + seen(kind));
    SmallVector<StringRef> allowed{"kind"};
    for (const Property &property : kProperties)
      if (property.kind == *name)
        allowed.push_back(property.name);
    if (Error error = checkKeys(computes, allowed))
      return error;
    for (const Property &property : kProperties)
      if (const json::Value *value = property.kind == *name ? computes.get(property.name) : nullptr)
        if (const char *expected = mismatch(*value, property.form))
          return wrong("expected '" + property.name + "' to be " + expected + ", got " +
                       textOf(*value));
    return Error::success();
  }

  /// What a value of that form is, where this one is not.
  static const char *mismatch(const json::Value &value, Form form) {
    auto integer = value.getAsInteger();
    auto text = value.getAsString();
    switch (form) {
    case Form::Flag:
      return value.getAsBoolean() ? nullptr : "true or false";
    case Form::Type:
      return text == "f32" || text == "f64" || text == "f16" || text == "bf16"
                 ? nullptr
                 : "\"f32\", \"f64\", \"f16\" or \"bf16\"";
    case Form::SizeOrDynamic:
      return text == "dynamic" || (integer && *integer >= 1)
                 ? nullptr
                 : "\"dynamic\" or an integer of at least 1";
    case Form::Size:
      return integer && *integer >= 1 ? nullptr : "an integer of at least 1";
    }
    return nullptr;
  }

  Error checkSchedule(const json::Object &schedule, StringRef kind, bool concerns) const {
    SmallVector<StringRef> allowed;
    for (const Parameter &parameter : kNumbers)
      if (parameter.kind == kind)
        allowed.push_back(parameter.name);
    for (const auto &[of, name] : kOthers)
      if (of == kind)
        allowed.push_back(name);
    if (Error error = checkKeys(schedule, allowed))
      return error;
    for (const Parameter &parameter : kNumbers)
      if (const json::Value *value =
              parameter.kind == kind ? schedule.get(parameter.name) : nullptr)
        if (Error error = checkNumber(*value, parameter, concerns))
          return error;
    if (const json::Value *parallel = schedule.get("parallel"))
      if (!parallel->getAsBoolean())
        return wrong("expected 'parallel' to be true or false, got " + textOf(*parallel));
    if (Error error = checkTile(schedule, concerns))
      return error;
    const json::Value *variant = schedule.get("variant");
    if (variant && variant->getAsString() != "strip" &&
        schedule.getInteger("decode_queries").value_or(0) > 0)
      return wrong("'decode_queries' goes with the variant \"strip\", got " + textOf(*variant));
    return variant ? checkVariant(*variant) : Error::success();
  }

  /// A register tile, its row of the panel and a broadcast need registers.
  Error checkTile(const json::Object &schedule, bool concerns) const {
    std::optional<int64_t> rows = schedule.getInteger("tile_rows"),
                           columns = schedule.getInteger("tile_cols");
    if (!rows || !columns || !concerns)
      return Error::success();
    int64_t vectors = *columns / (target.vectorBytes / 4), needed = (*rows + 1) * vectors + 1;
    if (needed > target.vectorRegisters)
      return wrong("tile_rows " + Twine(*rows) + " and tile_cols " + Twine(*columns) + " need " +
                   Twine(needed) + " vector registers, " + target.cpu + " has " +
                   Twine(target.vectorRegisters));
    return Error::success();
  }

  /// A number of vectors can be checked only against the target that the entry is for.
  Error checkNumber(const json::Value &value, const Parameter &parameter, bool concerns) const {
    int64_t unit = parameter.vectors && concerns ? target.vectorBytes / 4 : 1;
    int64_t most = parameter.vectors ? parameter.most * (concerns ? unit : 16) : parameter.most;
    auto number = value.getAsInteger();
    if (number && *number >= parameter.least && *number <= most && *number % unit == 0)
      return Error::success();
    std::string multiple = unit > 1 ? "a multiple of " + std::to_string(unit) : "an integer";
    return wrong("expected '" + parameter.name + "' to be " + multiple + " from " +
                 Twine(std::max(parameter.least, unit == 1 ? parameter.least : unit)) + " to " +
                 Twine(most) + ", got " + textOf(value));
  }

  /// The names of variants are those of #kernel.schedule.
  Error checkVariant(const json::Value &value) const {
    std::string said;
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
      said += (said.empty() ? "" : "; ") + diagnostic.str();
      return mlir::success();
    });
    mlir::Builder b(&context);
    mlir::Attribute text = value.getAsString()
                               ? mlir::Attribute(b.getStringAttr(*value.getAsString()))
                               : mlir::Attribute(b.getUnitAttr());
    auto params = b.getDictionaryAttr({b.getNamedAttr("variant", text)});
    if (kernel::ScheduleAttr::getChecked([&] { return mlir::emitError(b.getUnknownLoc()); },
                                         &context, kernel::Recipe::Attention, params))
      return Error::success();
    return wrong(value.getAsString() ? said
                                     : "expected 'variant' to be a string, got " + textOf(value));
  }

  StringRef path;
  const kernels::TargetCpu &target;
  mlir::MLIRContext &context;
  std::string where;
  int number = 0;
};

} // namespace

Expected<TuningTable> TuningTable::read(StringRef path, const kernels::TargetCpu &target,
                                        mlir::MLIRContext &context) {
  Expected<std::vector<Entry>> entries = TuningReader(path, target, context).read();
  if (!entries)
    return entries.takeError();
  TuningTable table;
  table.entries = std::move(*entries);
  return table;
}

//===-- Applying --------------------------------------------------------------------------===//

static bool fits(const json::Object &wanted, const json::Object &what) {
  return all_of(wanted, [&](const auto &property) {
    const json::Value *value = what.get(property.first);
    return value && *value == property.second;
  });
}

Schedule TuningTable::apply(const json::Object &what, const Schedule &schedule,
                            mlir::MLIRContext &context) const {
  for (const Entry &entry : entries) {
    if (!fits(entry.computes, what))
      continue;
    kernel::ScheduleAttr attr = kernels::toAttr(&context, schedule);
    mlir::NamedAttrList params(attr.getParams());
    mlir::Builder b(&context);
    if (entry.schedule.get("variant")) // it is for all numbers of queries
      params.erase("decode_queries");
    for (const auto &[key, value] : entry.schedule) {
      if (auto flag = value.getAsBoolean())
        params.set(StringRef(key), b.getBoolAttr(*flag));
      else if (auto number = value.getAsInteger())
        params.set(StringRef(key), b.getI64IntegerAttr(*number));
      else if (auto text = value.getAsString())
        params.set(StringRef(key), b.getStringAttr(*text));
    }
    // The cost model may have chosen a variant that has no other one beside it.
    auto variant = dyn_cast_or_null<mlir::StringAttr>(params.get("variant"));
    if (variant && variant != "strip")
      params.erase("decode_queries");
    return kernels::fromAttr(
        kernel::ScheduleAttr::get(&context, attr.getRecipe(), params.getDictionary(&context)));
  }
  return schedule;
}

void rapt::printTuning(const std::vector<TuningTable::Entry> &entries, raw_ostream &os) {
  json::OStream stream(os, 2);
  stream.object([&] {
    stream.attribute("rapt_tuning", kVersion);
    stream.attributeArray("kernels", [&] {
      for (const TuningTable::Entry &entry : entries)
        stream.object([&] {
          if (!entry.target.empty())
            stream.attribute("target", entry.target);
          stream.attribute("computes", json::Value(json::Object(entry.computes)));
          stream.attribute("schedule", json::Value(json::Object(entry.schedule)));
        });
    });
  });
  os << "\n";
}
