//===- Emit.cpp - Runs the Halide compiler in a process of its own -------------*- C++ -*-===//
//
// Halide numbers its names with counters of the whole process, and names reach the object file.
// Each kernel is therefore compiled in a forked child, whose counters are those of a process that
// has compiled nothing: the same arguments give the same bytes, in any order and from several
// threads at once. A crash inside Halide becomes an error text as well.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Emit.h"
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

/// The child's answer as bytes: integers of 8 bytes, strings with their length before them.
struct Writer {
  std::string bytes;
  void integer(int64_t value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
  }
  void string(const std::string &value) {
    integer(value.size());
    bytes += value;
  }
  void extent(const Extent &extent) {
    integer(extent.factor);
    integer(extent.dims.size());
    for (int dim : extent.dims)
      integer(dim);
  }
};

/// Reads the same back; `ok` turns false at the first byte that is missing.
struct Reader {
  const std::string &bytes;
  size_t position = 0;
  bool ok = true;

  int64_t integer() {
    int64_t value = 0;
    if (!ok || bytes.size() - position < sizeof value)
      return ok = false;
    memcpy(&value, bytes.data() + position, sizeof value);
    position += sizeof value;
    return value;
  }
  std::string string() {
    uint64_t size = integer();
    if (!ok || bytes.size() - position < size)
      return ok = false, std::string();
    position += size;
    return bytes.substr(position - size, size);
  }
  Extent extent() {
    Extent extent{integer(), {}};
    for (int64_t left = integer(); ok && left > 0; --left)
      extent.dims.push_back(integer());
    return extent;
  }
};

std::string pack(bool compiled, const KernelObject &object, const std::string &error) {
  Writer writer;
  writer.integer(compiled);
  writer.string(error);
  writer.integer(object.variants.size());
  for (const KernelObject::Variant &variant : object.variants) {
    writer.string(variant.symbol);
    writer.integer(variant.maxTile);
    writer.integer(variant.maxRows);
  }
  writer.extent(object.rows);
  writer.integer(object.scratchBytes.size());
  for (const Extent &extent : object.scratchBytes)
    writer.extent(extent);
  writer.integer(object.innerElements.size());
  for (const std::vector<Extent> &sum : object.innerElements) {
    writer.integer(sum.size());
    for (const Extent &extent : sum)
      writer.extent(extent);
  }
  writer.string(object.object);
  return std::move(writer.bytes);
}

bool unpack(const std::string &bytes, KernelObject &object, std::string &error) {
  Reader reader{bytes};
  bool compiled = reader.integer();
  error = reader.string();
  for (int64_t left = reader.integer(); reader.ok && left > 0; --left) {
    KernelObject::Variant &variant = object.variants.emplace_back();
    variant.symbol = reader.string();
    variant.maxTile = reader.integer();
    variant.maxRows = reader.integer();
  }
  object.rows = reader.extent();
  for (int64_t left = reader.integer(); reader.ok && left > 0; --left)
    object.scratchBytes.push_back(reader.extent());
  for (int64_t left = reader.integer(); reader.ok && left > 0; --left) {
    object.innerElements.emplace_back();
    for (int64_t terms = reader.integer(); reader.ok && terms > 0; --terms)
      object.innerElements.back().push_back(reader.extent());
  }
  object.object = reader.string();
  if (!reader.ok && error.empty())
    error = "the kernel compiler gave no complete answer";
  return compiled && reader.ok;
}

} // namespace

bool emitKernel(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &target,
                const std::string &symbolPrefix, KernelObject &result, std::string &error) {
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
    return false;
  }
  pid_t child = fork();
  if (child < 0) {
    error = std::string("cannot start the kernel compiler: ") + strerror(errno);
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
  if (WIFSIGNALED(status)) {
    error = "the kernel compiler ended with signal " + std::to_string(WTERMSIG(status)) + " on\n" +
            spec.print() + schedule.print();
    return false;
  }
  return unpack(answer, result, error);
}

} // namespace rapt::kernels::halide
