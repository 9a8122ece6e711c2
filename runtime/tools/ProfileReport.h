//===- ProfileReport.h - What rapt-run --profile and --trace say -------------*- C++ -*-===//
//
// Records of several runs; the one whose wall time is the median is shown, so that what is printed
// happened, and adds up.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_TOOLS_PROFILEREPORT_H
#define RAPT_TOOLS_PROFILEREPORT_H

#include "IoError.h"
#include "List.h"
#include "rapt.h"

namespace rapt::tools {

class ProfileReport {
public:
  ProfileReport(const rapt_model *model, rapt_workspace *workspace)
      : model(model), workspace(workspace), numCalls(rapt_num_calls(model)) {}

  /// Starts the workspace's profile. Error: out of memory.
  bool start(io::IoError &error);
  /// Takes the record of the last run, which took `milliseconds` from call to return.
  bool addRun(double milliseconds, io::IoError &error);
  /// Ends the recording, of at least one run; what follows may be asked for then.
  void finish();

  /// The table of kernels on stdout. Measures the machine's peaks with `numThreads` threads. Error:
  /// out of memory.
  bool print(int numThreads, io::IoError &error) const;
  /// Chrome trace events: one for each kernel call, and one for each thread's part in a parallel
  /// loop. The file appears complete or not at all.
  bool writeTrace(const char *path, io::IoError &error) const;

private:
  struct Run {
    io::List<rapt_call_time> calls;
    io::List<rapt_thread_time> threads;
    double milliseconds = 0;
  };
  struct Kernel {
    const char *name, *schedule;
    int64_t calls;
    double seconds, flops, bytes;
  };

  const Run &shown() const { return runs[runs.size() / 2]; }
  bool groupByName(io::List<Kernel> &kernels) const;
  const char *nameAt(const Run &run, int64_t time) const; ///< the kernel that ran then

  const rapt_model *model;
  rapt_workspace *workspace;
  int32_t numCalls;
  io::List<Run> runs; ///< by time, once finished
};

} // namespace rapt::tools

#endif // RAPT_TOOLS_PROFILEREPORT_H
