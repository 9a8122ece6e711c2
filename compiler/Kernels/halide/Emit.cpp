//===- Emit.cpp - Runs the Halide compiler in a process of its own -------------*- C++ -*-===//
//
// Halide numbers its names with counters of the whole process, and names reach the object file.
// Each kernel is therefore compiled in a forked child, whose counters are those of a process that
// has compiled nothing: the same arguments give the same bytes, in any order and from several
// threads at once. A crash inside Halide becomes an error text as well.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Emit.h"
#include "compiler/Kernels/ObjectBytes.h"
#include "compiler/Kernels/halide/Compile.h"
#include "compiler/Kernels/halide/PipeIo.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <sys/wait.h>
#include <unistd.h>

namespace rapt::kernels::halide {

namespace {

/// Whether some tensor has no elements whatever the dims are: there is nothing to schedule.
bool isEmpty(const KernelSpec &spec) {
  return std::any_of(spec.tensors.begin(), spec.tensors.end(), [](const Tensor &tensor) {
    return std::any_of(tensor.shape.begin(), tensor.shape.end(),
                       [](const Extent &extent) { return extent.factor == 0; });
  });
}

/// The child's answer: whether it has compiled, and then the object or what is wrong.
std::string pack(bool compiled, const KernelObject &object, const std::string &error) {
  return compiled ? "1" + toBytes(object) : "0" + error;
}

bool unpack(const std::string &answer, KernelObject &object, std::string &error,
            bool &isInterrupted) {
  if (answer.starts_with('1') && fromBytes(std::string_view(answer).substr(1), object))
    return true;
  isInterrupted = !answer.starts_with('0');
  error = isInterrupted ? "the kernel compiler gave no complete answer" : answer.substr(1);
  return false;
}

} // namespace

bool emitKernel(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &target,
                const std::string &symbolPrefix, KernelObject &result, std::string &error,
                bool *isInterrupted) {
  bool unused;
  bool &interrupted = isInterrupted ? *isInterrupted : unused;
  interrupted = false;
  result = {};
  error.clear();
  if (isEmpty(spec)) {
    error = "a tensor has no elements";
    return false;
  }
  // A child that is forked between another thread's pipe and close would inherit the writing end
  // and keep that thread waiting for the end of the file.
  static std::mutex forking;
  std::unique_lock guard(forking);
  int ends[2];
  if (pipe(ends) != 0) {
    error = std::string("cannot make a pipe to the kernel compiler: ") + strerror(errno);
    interrupted = true;
    return false;
  }
  pid_t child = fork();
  if (child < 0) {
    error = std::string("cannot start the kernel compiler: ") + strerror(errno);
    interrupted = true;
    close(ends[0]);
    close(ends[1]);
    return false;
  }
  if (child == 0) {
    close(ends[0]);
    for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) // LLVM's handlers print a report
      std::signal(signal, SIG_DFL);
    KernelObject object;
    std::string text;
    bool compiled = compileKernel(spec, schedule, target, symbolPrefix, object, text);
    writeAll(ends[1], pack(compiled, object, text));
    _exit(0); // no destructors, no flushing: what the parent has buffered is the parent's
  }
  close(ends[1]);
  guard.unlock();
  std::string answer = readAll(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    error = "the kernel compiler was killed, as happens where memory is short";
    interrupted = true;
    return false;
  }
  if (WIFSIGNALED(status)) {
    error = "the kernel compiler ended with signal " + std::to_string(WTERMSIG(status)) + " on\n" +
            spec.print() + schedule.print();
    return false;
  }
  return unpack(answer, result, error, interrupted);
}

} // namespace rapt::kernels::halide
