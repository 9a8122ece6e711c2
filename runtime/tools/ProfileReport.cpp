//===- ProfileReport.cpp - What rapt-run --profile and --trace say -----------*- C++ -*-===//
//
// rapt_profile_* after each run => the run of median time => a table by kernel, and a trace by
// call.
//===------------------------------------------------------------------------------------===//
#include "ProfileReport.h"
#include "Json.h"
#include "MachinePeak.h"
#include "OutputFile.h"

#include <algorithm>
#include <string.h>

using namespace rapt::io;
using namespace rapt::tools;

//===-- Recording -------------------------------------------------------------------------===//

bool ProfileReport::start(IoError &error) {
  return rapt_profile_start(workspace) == RAPT_OK || error.fail("%s", rapt_last_error());
}

bool ProfileReport::addRun(double milliseconds, IoError &error) {
  Run *run = runs.add();
  bool ok = run;
  for (int32_t i = 0; ok && i < numCalls; ++i)
    ok = run->calls.add();
  int32_t numThreadTimes = 0;
  if (ok && (rapt_profile_read(workspace, run->calls.begin(), numCalls) ||
             rapt_profile_threads(workspace, nullptr, 0, &numThreadTimes)))
    return error.fail("%s", rapt_last_error());
  for (int32_t i = 0; ok && i < numThreadTimes; ++i)
    ok = run->threads.add();
  if (!ok)
    return error.fail("out of memory");
  run->milliseconds = milliseconds;
  return rapt_profile_threads(workspace, run->threads.begin(), numThreadTimes, &numThreadTimes) ==
             RAPT_OK ||
         error.fail("%s", rapt_last_error());
}

void ProfileReport::finish() {
  rapt_profile_stop(workspace);
  qsort(runs.begin(), runs.size(), sizeof(Run), [](const void *a, const void *b) {
    double x = static_cast<const Run *>(a)->milliseconds;
    double y = static_cast<const Run *>(b)->milliseconds;
    return int(x > y) - int(x < y);
  });
}

//===-- The table -------------------------------------------------------------------------===//

bool ProfileReport::groupByName(List<Kernel> &kernels) const {
  const Run &run = shown();
  for (int32_t i = 0; i < numCalls; ++i) {
    rapt_call_info info;
    rapt_describe_call(model, i, &info);
    Kernel *kernel = nullptr;
    for (Kernel &known : kernels)
      if (strcmp(known.name, info.kernel) == 0)
        kernel = &known;
    if (!kernel) {
      kernel = kernels.add();
      if (!kernel)
        return false;
      *kernel = {info.kernel, info.schedule, 0, 0, 0, 0};
    }
    const rapt_call_time &time = run.calls[i];
    kernel->calls += time.end != 0;
    kernel->seconds += 1e-9 * double(time.end - time.begin);
    kernel->flops += time.flops;
    kernel->bytes += time.bytes;
  }
  if (kernels.size())
    qsort(kernels.begin(), kernels.size(), sizeof(Kernel), [](const void *a, const void *b) {
      double x = static_cast<const Kernel *>(a)->seconds;
      double y = static_cast<const Kernel *>(b)->seconds;
      return int(x < y) - int(x > y);
    });
  return true;
}

static bool listHas(const char *list, const char *feature) {
  size_t length = strlen(feature);
  for (const char *at = list; (at = strstr(at, feature)); at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length]))
      return true;
  return false;
}

namespace {
/// What the machine can do with the instructions that the model uses; 0: not known.
struct Peaks {
  double gflops = 0, gigabytes = 0;

  Peaks(const char *features, int numThreads) {
    bool wide = listHas(features, "avx512f");
    if (wide || listHas(features, "fma"))
      gflops = rapt_fma_peak(numThreads, wide ? RAPT_PEAK_AVX512 : RAPT_PEAK_AVX2);
    if (void *memory = rapt_peak_memory()) {
      gigabytes = rapt_read_bandwidth(numThreads, memory);
      free(memory);
    }
    printf("peaks: ");
    if (gflops > 0)
      printf("%.1f GFLOP/s of multiply-adds with %s, ", gflops, wide ? "AVX-512" : "AVX2");
    if (gigabytes > 0)
      printf("%.1f GB/s read from memory\n", gigabytes);
    else
      printf("reading from memory not measured\n");
  }
};
} // namespace

/// "  93.6 % fma": of the peak that the kernel is nearer to.
static void printPart(double flopsPart, double bytesPart) {
  bool computes = flopsPart >= bytesPart;
  double part = computes ? flopsPart : bytesPart;
  if (part > 0)
    printf(" %6.1f %% %s", 100 * part, computes ? "fma" : "mem");
  else
    printf(" %8s    ", "-");
}

bool ProfileReport::print(int numThreads, IoError &error) const {
  List<Kernel> kernels;
  rapt_model_info info;
  rapt_describe(model, &info);
  if (!groupByName(kernels))
    return error.fail("out of memory");
  double wall = 1e-3 * shown().milliseconds, sum = 0, most = 0;
  int64_t calls = 0;
  printf("profile: a run of %.3f ms, the median of %zu, on %d thread%s\n", shown().milliseconds,
         runs.size(), numThreads, numThreads == 1 ? "" : "s");
  Peaks peaks(info.features, numThreads);
  printf("%6s %10s  %7s %9s %8s %12s  %s\n", "calls", "ms", "share", "GFLOP/s", "GB/s", "of peak",
         "kernel, schedule");
  for (const Kernel &kernel : kernels) {
    calls += kernel.calls;
    sum += kernel.seconds;
    double gflops = kernel.seconds > 0 ? 1e-9 * kernel.flops / kernel.seconds : 0;
    double gigabytes = kernel.seconds > 0 ? 1e-9 * kernel.bytes / kernel.seconds : 0;
    printf("%6lld %10.4f %6.1f %% ", (long long)kernel.calls, 1e3 * kernel.seconds,
           100 * kernel.seconds / wall);
    if (gflops > 0)
      printf("%9.1f %8.1f", gflops, gigabytes);
    else
      printf("%9s %8.1f", "-", gigabytes);
    double flopsPart = peaks.gflops > 0 ? gflops / peaks.gflops : 0;
    double bytesPart = peaks.gigabytes > 0 ? gigabytes / peaks.gigabytes : 0;
    printPart(flopsPart, bytesPart);
    if (bytesPart > flopsPart)
      most = std::max(most, bytesPart);
    printf("  %s  %s\n", kernel.name, kernel.schedule);
  }
  printf("%6lld %10.4f %6.1f %%  all kernels\n", (long long)calls, 1e3 * sum, 100 * sum / wall);
  printf("%6s %10.4f %6.1f %%  wall time of the run\n", "", 1e3 * wall, 100.0);
  if (most > 1)
    printf("more than 100 %% mem: what a kernel reads is still in a cache\n");
  return true;
}

//===-- The trace -------------------------------------------------------------------------===//

/// Begins an event that lasts from `begin` to `end` nanoseconds; its "args" are left open.
static void beginEvent(FILE *file, const char *name, const char *category, int track, int64_t begin,
                       int64_t end) {
  fputs(",\n{\"ph\":\"X\",\"pid\":1,\"name\":", file);
  writeJsonString(file, name);
  fprintf(file, ",\"cat\":\"%s\",\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{", category, track,
          1e-3 * double(begin), 1e-3 * double(end - begin));
}

static void nameTrack(FILE *file, int track, const char *name, int number) {
  fprintf(file,
          ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":\"%s",
          track, name);
  if (number >= 0)
    fprintf(file, " %d", number);
  fputs("\"}}", file);
}

bool ProfileReport::writeTrace(const char *path, IoError &error) const {
  OutputFile output(path, error);
  if (!output.opened())
    return false;
  const Run &run = shown();
  rapt_model_info model_info;
  rapt_describe(model, &model_info);
  FILE *file = output.file;
  fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
        "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":",
        file);
  writeJsonString(file, model_info.name);
  fputs("}}", file);
  nameTrack(file, 0, "kernel calls", -1);
  for (int32_t i = 0; i < numCalls; ++i) {
    const rapt_call_time &time = run.calls[i];
    if (!time.end)
      continue;
    rapt_call_info info;
    rapt_describe_call(model, i, &info);
    beginEvent(file, info.kernel, "kernel", 0, time.begin, time.end);
    fputs("\"node\":", file);
    writeJsonString(file, info.node);
    fputs(",\"schedule\":", file);
    writeJsonString(file, info.schedule);
    fprintf(file, ",\"call\":%d,\"flops\":%.0f,\"bytes\":%.0f}}", int(i), time.flops, time.bytes);
  }
  int last = -1;
  for (const rapt_thread_time &time : run.threads) {
    if (time.thread != last)
      nameTrack(file, 1 + time.thread, "thread", time.thread);
    last = time.thread;
    beginEvent(file, nameAt(run, time.begin), "loop", 1 + time.thread, time.begin, time.end);
    fprintf(file, "\"tasks\":%d}}", int(time.tasks));
  }
  fputs("\n]}\n", file);
  return output.commit();
}

const char *ProfileReport::nameAt(const Run &run, int64_t time) const {
  for (int32_t i = 0; i < numCalls; ++i)
    if (run.calls[i].begin <= time && time < run.calls[i].end) {
      rapt_call_info info;
      rapt_describe_call(model, i, &info);
      return info.kernel;
    }
  return "";
}
