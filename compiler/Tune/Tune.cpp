//===- Tune.cpp - Schedules by measurement ----------------------------------------------===//
//
// uses => groups that one entry of a tuning file covers, by predicted time => candidates compiled,
// linked, run in turn with the default => winners, run once more => file. A candidate has to win by
// kMargin in the median of the rounds, twice: the best of several is partly luck.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Tune/Tune.h"

#include "compiler/Kernels/Gemm.h"
#include "compiler/Kernels/ScheduleAttr.h"
#include "compiler/Kernels/halide/Emit.h"
#include "compiler/Kernels/halide/Measure.h"
#include "compiler/Link/KernelLibrary.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/ThreadPool.h"

#include <chrono>
#include <unistd.h>

using namespace llvm;
using namespace rapt;
using kernels::Schedule;

static constexpr double kMargin = 0.03;
static constexpr double kCovered = 0.98;     // of the predicted time
static constexpr double kRaceSeconds = 0.6;  // for all candidates of a kernel
static constexpr double kFinalSeconds = 0.4; // for the winner and the default

namespace {

/// Of weights, for each candidate, so that they come from memory: twice the last cache, within
/// reason.
int64_t coldBytes() {
  long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return std::clamp<int64_t>(2 * int64_t(cache), 32ll << 20, 128ll << 20);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Kernels that a tuning file cannot tell apart; `longest` stands for all.
struct Group {
  json::Object computes;
  const KernelUse *longest;
  double cycles; // of all
};

std::function<bool(int)> isPacked(const kernels::KernelSpec &spec) {
  return [&spec](int input) { return spec.tensors[input].panel > 0; };
}

std::vector<Group> groupsOf(const std::vector<KernelUse> &uses) {
  std::vector<Group> groups;
  for (const KernelUse &use : uses) {
    json::Object what = computes(use.spec, use.schedule.recipe, isPacked(use.spec));
    if (what.empty() || use.total.cycles <= 0)
      continue;
    auto found = find_if(groups, [&](const Group &group) { return group.computes == what; });
    if (found == groups.end()) {
      groups.push_back({std::move(what), &use, 0});
      found = groups.end() - 1;
    }
    if (use.total.cycles > found->longest->total.cycles)
      found->longest = &use;
    found->cycles += use.total.cycles;
  }
  sort(groups, [](const Group &a, const Group &b) {
    return a.cycles != b.cycles ? a.cycles > b.cycles : a.longest < b.longest;
  });
  return groups;
}

/// "gemm 384 x 1536"
std::string nameOf(const json::Object &computes) {
  auto number = [&](StringRef name) { return Twine(computes.getInteger(name).value_or(0)).str(); };
  if (computes.getString("kind") == "gemm")
    return "gemm " + number("depth") + " x " + number("columns");
  return "attention " + number("heads") + " heads of " + number("head_dim");
}

/// What one schedule has and another has not, as a tuning file says it.
json::Object difference(const Schedule &schedule, const Schedule &from,
                        mlir::MLIRContext *context) {
  mlir::DictionaryAttr before = kernels::toAttr(context, from).getParams();
  json::Object result;
  for (mlir::NamedAttribute param : kernels::toAttr(context, schedule).getParams()) {
    StringRef name = param.getName();
    if (before.get(name) == param.getValue())
      continue;
    if (auto flag = dyn_cast<mlir::BoolAttr>(param.getValue()))
      result[name] = flag.getValue();
    else if (auto number = dyn_cast<mlir::IntegerAttr>(param.getValue()))
      result[name] = number.getInt();
    else if (auto text = dyn_cast<mlir::StringAttr>(param.getValue()))
      result[name] = text.str();
  }
  return result;
}

std::string textOf(const json::Object &schedule) {
  std::string text;
  raw_string_ostream(text) << json::Value(json::Object(schedule));
  return text;
}

class Tuner {
public:
  Tuner(const kernels::TargetCpu &target, const TuneOptions &options, raw_ostream &progress)
      : target(target), options(options), progress(progress) {}

  Error run(const std::vector<KernelUse> &uses) {
    double covered = 0, all = 0;
    end = now() + options.seconds;
    for (const KernelUse &use : uses)
      all += use.total.cycles;
    if (Error error = dir.create(options.file))
      return error;
    std::vector<Group> groups = groupsOf(uses);
    for (const Group &group : groups) {
      double share = all > 0 ? group.cycles / all : 0;
      progress << "tune " << ++number << " of " << groups.size() << ": " << nameOf(group.computes)
               << format(", predicted %.1f %% of the time: ", 100 * share);
      if (covered > kCovered || share < 0.005)
        progress << "too little to measure\n";
      else if (now() > end)
        progress << "not measured, the time is over\n";
      else
        tuneGroup(group);
      covered += share;
    }
    std::string path = dir.file("tuning");
    auto write = [&](raw_ostream &stream) {
      printTuning(entries, stream);
      return Error::success();
    };
    if (Error error = dir.write(path, write))
      return error;
    dir.publish(path, options.file);
    return dir.commit();
  }

private:
  void tuneGroup(const Group &group) {
    std::vector<kernels::halide::Runnable> runnables;
    std::vector<Schedule> schedules;
    const KernelUse &use = *group.longest;
    int64_t columns = group.computes.getInteger("columns").value_or(0);
    std::string error =
        compile(use, candidates(use.schedule, columns, target), runnables, schedules);
    size_t best = 0;
    double ratio = 1;
    if (error.empty() && runnables.size() > 1)
      error = race(runnables, use.dims, kRaceSeconds, best, ratio);
    if (error.empty() && best > 0) {
      // Once more, the two of them alone.
      size_t second = 0;
      error = race({runnables[0], runnables[best]}, use.dims, kFinalSeconds, second, ratio);
      best = second > 0 ? best : 0;
    }
    if (!error.empty()) {
      progress << "not measured: " << error << "\n";
      return;
    }
    json::Object change = difference(schedules[best], use.schedule, use.func->getContext());
    if (best == 0 || change.empty()) {
      progress << "the default of " << runnables.size() << " schedules\n";
      return;
    }
    progress << textOf(change) << format(" takes %.2f of the default's time\n", ratio);
    entries.push_back({target.cpu, group.computes, std::move(change)});
  }

  /// Compiles and links all schedules that can be; the default must. An empty text, or why not.
  std::string compile(const KernelUse &use, const std::vector<Schedule> &list,
                      std::vector<kernels::halide::Runnable> &runnables,
                      std::vector<Schedule> &schedules) {
    std::vector<kernels::halide::Runnable> made(list.size());
    std::vector<std::string> errors(list.size());
    std::optional<kernels::GemmMatch> gemm = use.schedule.recipe == Schedule::Recipe::Gemm
                                                 ? kernels::matchGemm(use.spec, isPacked(use.spec))
                                                 : std::nullopt;
    DefaultThreadPool pool(hardware_concurrency());
    for (size_t i = 0; i < list.size(); ++i)
      pool.async([&, i] {
        made[i].spec = use.spec;
        if (i > 0 && now() > end) {
          errors[i] = "the time is over";
          return;
        }
        if (gemm)
          made[i].spec.tensors[gemm->weight].panel = list[i].tileCols;
        if (!kernels::halide::emitKernel(made[i].spec, list[i], target, "tuned", made[i].object,
                                         errors[i]) &&
            errors[i].empty())
          errors[i] = "it does not compile";
      });
    pool.wait();
    for (size_t i = 0; i < list.size(); ++i) {
      if (errors[i].empty()) {
        Expected<std::string> library = link::linkKernelLibrary(
            dir, options.linker, options.libraryDir, made[i].object.object, "k" + Twine(i));
        if (library)
          made[i].library = *library;
        else
          errors[i] = toString(library.takeError());
      }
      if (!errors[i].empty() && i == 0)
        return errors[i];
      if (!errors[i].empty())
        continue;
      runnables.push_back(std::move(made[i]));
      schedules.push_back(list[i]);
    }
    return "";
  }

  /// The fastest kernel and its time as a share of the first one's, 0 when none wins by kMargin. An
  /// empty text, or what went wrong.
  std::string race(const std::vector<kernels::halide::Runnable> &runnables,
                   const std::vector<int64_t> &dims, double seconds, size_t &best,
                   double &ratio) const {
    std::vector<std::vector<double>> rounds;
    std::string error;
    if (now() > end)
      return "the time is over";
    if (!kernels::halide::measureKernels(runnables, dims, seconds, coldBytes(), rounds, error))
      return error.empty() ? "no times" : error;
    best = 0;
    ratio = 1 - kMargin;
    for (size_t i = 1; i < runnables.size(); ++i) {
      std::vector<double> ratios;
      for (const std::vector<double> &round : rounds)
        ratios.push_back(round[i] / round[0]);
      sort(ratios);
      double median = ratios[ratios.size() / 2];
      if (median < ratio) {
        ratio = median;
        best = i;
      }
    }
    return "";
  }

  const kernels::TargetCpu &target;
  const TuneOptions &options;
  raw_ostream &progress;
  link::TempDir dir;
  std::vector<TuningTable::Entry> entries;
  double end = 0; // of the time, as now() counts
  size_t number = 0;
};

} // namespace

Error rapt::tune(const std::vector<KernelUse> &uses, const kernels::TargetCpu &target,
                 const TuneOptions &options, raw_ostream &progress) {
  return Tuner(target, options, progress).run(uses);
}
