//===- Measure.cpp - How long compiled kernels take on this machine ------------*- C++ -*-===//
//
// fork -> dlopen -> buffers -> compare -> time in turns -> numbers through a pipe. What a wrong
// kernel can do, it does to the child.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/halide/Measure.h"

#include "compiler/Kernels/Work.h"
#include "compiler/Kernels/halide/PipeIo.h"
#include "runtime/include/rapt_abi.h"

#include <HalideRuntime.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <sys/wait.h>
#include <unistd.h>

namespace rapt::kernels::halide {

namespace {

constexpr int64_t kMostBytes = int64_t(2) << 30; // of all buffers
constexpr double kTurnSeconds = 0.002;
constexpr unsigned kMostSeconds = 30; // then the child ends itself
constexpr size_t kMostRounds = 200;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What kernels reach through their context, for one thread.
struct Context {
  rapt_abi_context abi;
  std::vector<std::pair<uint64_t, void *>> unused; // blocks that were freed, by size

  Context() : abi{&parallelFor, &allocate, &release, &fail, &checkIndices, nullptr} {}

  static Context &of(rapt_abi_context *context) { return *reinterpret_cast<Context *>(context); }

  static int parallelFor(rapt_abi_context *context, rapt_abi_task task, int min, int size,
                         uint8_t *closure) {
    for (int i = min; i < min + size; ++i)
      if (int code = task(context, i, closure))
        return code;
    return 0;
  }

  /// A block is preceded by its size. As with the runtime's scratch memory, no call maps pages once
  /// all sizes have been seen.
  static void *allocate(rapt_abi_context *context, uint64_t bytes) {
    auto &unused = of(context).unused;
    uint64_t rounded = (bytes + 127) / 128 * 128;
    for (auto &block : unused)
      if (block.first == rounded) {
        void *found = block.second;
        block = unused.back();
        unused.pop_back();
        return found;
      }
    auto *memory = static_cast<char *>(std::aligned_alloc(128, rounded + 128));
    if (!memory)
      _exit(1);
    std::memcpy(memory, &rounded, sizeof rounded);
    return memory + 128;
  }
  static void release(rapt_abi_context *context, void *pointer) {
    uint64_t bytes;
    std::memcpy(&bytes, static_cast<char *>(pointer) - 128, sizeof bytes);
    of(context).unused.emplace_back(bytes, pointer);
  }
  static int fail(rapt_abi_context *, const char *, int64_t, int64_t) { return 1; }
  static int checkIndices(rapt_abi_context *, const void *, int64_t, int32_t, int64_t, int64_t,
                          const char *) {
    return 0;
  }
};

struct Free {
  void operator()(void *pointer) const { std::free(pointer); }
};

/// A buffer and its description for Halide, dim 0 innermost.
struct Buffer {
  std::unique_ptr<char, Free> data;
  std::vector<halide_dimension_t> dims;
  halide_buffer_t description{};
  int64_t elements = 1;
};

std::vector<int64_t> sizesOf(const Tensor &tensor, const std::vector<int64_t> &dims) {
  std::vector<int64_t> sizes; // innermost first
  for (size_t i = tensor.shape.size(); i-- > 0;)
    sizes.push_back(static_cast<int64_t>(ExtentSum(tensor.shape[i]).evaluate(dims)));
  if (tensor.panel)
    sizes = {tensor.panel, sizes[1], (sizes[0] + tensor.panel - 1) / tensor.panel};
  return sizes;
}

double bytesOf(const Tensor &tensor, const std::vector<int64_t> &dims) {
  double bytes = double(byteWidth(tensor.type));
  for (int64_t size : sizesOf(tensor, dims))
    bytes *= double(size);
  return bytes;
}

/// A value in [-0.5, 0.5) that depends on the position alone.
float valueAt(uint64_t position) {
  uint64_t mixed = (position + 1) * 0x9e3779b97f4a7c15u;
  mixed ^= mixed >> 29;
  return static_cast<float>((mixed * 0xbf58476d1ce4e5b9u) >> 40) / float(1 << 24) - 0.5f;
}

/// Fills element `at` of the buffer with what position `position` of the row-major tensor has:
/// floats as valueAt says, true, 0.
void store(ScalarType type, char *data, int64_t at, uint64_t position) {
  float value = valueAt(position);
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  auto put = [&](auto typed) { std::memcpy(data + at * sizeof typed, &typed, sizeof typed); };
  switch (type) {
  case ScalarType::F32:
    return put(value);
  case ScalarType::F64:
    return put(double(value));
  case ScalarType::BF16:
    return put(static_cast<uint16_t>(bits >> 16));
  case ScalarType::F16: // 0.5 or -0.5
    return put(static_cast<uint16_t>(0x3800 | (bits >> 16 & 0x8000)));
  case ScalarType::Bool:
    return put(static_cast<uint8_t>(1));
  default:
    std::memset(data + at * byteWidth(type), 0, byteWidth(type));
  }
}

Buffer makeBuffer(const Tensor &tensor, const std::vector<int64_t> &dims, bool fill) {
  Buffer buffer;
  std::vector<int64_t> sizes = sizesOf(tensor, dims);
  for (int64_t size : sizes) {
    buffer.dims.emplace_back(0, static_cast<int32_t>(size), static_cast<int32_t>(buffer.elements));
    buffer.elements *= size;
  }
  size_t bytes = buffer.elements * byteWidth(tensor.type);
  buffer.data.reset(static_cast<char *>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)));
  if (!buffer.data)
    _exit(1);
  std::memset(buffer.data.get(), 0, bytes);
  if (fill && tensor.panel) {
    int64_t depth = sizes[1];
    auto columns = static_cast<int64_t>(ExtentSum(tensor.shape[1]).evaluate(dims));
    for (int64_t n = 0; n < columns; ++n)
      for (int64_t k = 0; k < depth; ++k)
        store(tensor.type, buffer.data.get(),
              (n / tensor.panel * depth + k) * tensor.panel + n % tensor.panel, k * columns + n);
  } else if (fill) {
    for (int64_t i = 0; i < buffer.elements; ++i)
      store(tensor.type, buffer.data.get(), i, i);
  }
  buffer.description.host = reinterpret_cast<uint8_t *>(buffer.data.get());
  buffer.description.dimensions = static_cast<int32_t>(sizes.size());
  return buffer;
}

using Function = int (*)(void **);

/// One kernel with its buffers; weights in several copies.
class Loaded {
public:
  /// An empty text, or what is wrong.
  std::string load(const Runnable &runnable, const std::vector<int64_t> &dims, int64_t coldBytes) {
    void *handle = dlopen(runnable.library.c_str(), RTLD_NOW | RTLD_LOCAL);
    std::string name = variant(runnable.object, dims) + "_argv";
    function = handle ? reinterpret_cast<Function>(dlsym(handle, name.c_str())) : nullptr;
    if (!function) {
      const char *reason = dlerror();
      return reason ? reason : "the kernel's library has no symbol '" + name + "'";
    }
    const KernelSpec &spec = runnable.spec;
    double weights = 0;
    for (int i = 0; i < spec.numInputs; ++i)
      weights += spec.tensors[i].panel ? bytesOf(spec.tensors[i], dims) : 0;
    copies =
        weights > 0 ? std::max<int64_t>(1, static_cast<int64_t>(double(coldBytes) / weights)) : 1;
    for (int64_t dim : dims)
      dimValues.push_back(static_cast<int32_t>(dim));
    for (int i = 0; i < spec.numInputs; ++i)
      add(spec.tensors[i], dims, true);
    for (int output : spec.outputs) {
      outputs.push_back(buffers.size());
      isFloat32.push_back(spec.tensors[output].type == ScalarType::F32);
      add(spec.tensors[output], dims, false);
    }
    return "";
  }

  /// Calls the kernel on the next copy of its weights; its result, 0 when all went well.
  int call() {
    arguments.clear();
    arguments.push_back(&contextPointer);
    for (int32_t &value : dimValues)
      arguments.push_back(&value);
    for (std::vector<Buffer> &list : buffers) {
      Buffer &buffer = list[turn % list.size()];
      buffer.description.dim = buffer.dims.data();
      arguments.push_back(&buffer.description);
    }
    ++turn;
    return function(arguments.data());
  }

  /// Whether all f32 outputs are those of `other`, up to the order of sums.
  bool agrees(const Loaded &other) const {
    for (size_t o = 0; o < outputs.size(); ++o) {
      const Buffer &a = buffers[outputs[o]][0], &b = other.buffers[other.outputs[o]][0];
      if (!isFloat32[o])
        continue;
      auto *x = reinterpret_cast<const float *>(a.data.get());
      auto *y = reinterpret_cast<const float *>(b.data.get());
      float largest = 0;
      for (int64_t i = 0; i < a.elements; ++i)
        largest = std::max(largest, std::abs(y[i]));
      for (int64_t i = 0; i < a.elements; ++i)
        if (!(std::abs(x[i] - y[i]) <= 1e-4f * largest)) // a NaN is no result either
          return false;
    }
    return true;
  }

private:
  static std::string variant(const KernelObject &object, const std::vector<int64_t> &dims) {
    auto rows = static_cast<int64_t>(ExtentSum(object.rows).evaluate(dims));
    return variantFor(object.variants, rows).symbol;
  }

  void add(const Tensor &tensor, const std::vector<int64_t> &dims, bool fill) {
    std::vector<Buffer> list;
    for (int64_t i = 0; i < (tensor.panel ? copies : 1); ++i)
      list.push_back(makeBuffer(tensor, dims, fill));
    buffers.push_back(std::move(list));
  }

  Function function = nullptr;
  int64_t copies = 1;
  size_t turn = 0;
  std::vector<std::vector<Buffer>> buffers;
  std::vector<size_t> outputs;
  std::vector<bool> isFloat32;
  std::vector<int32_t> dimValues;
  Context context;
  rapt_abi_context *contextPointer = &context.abi;
  std::vector<void *> arguments;
};

/// The rounds; empty with a text in `error`.
std::vector<std::vector<double>> takeTurns(const std::vector<Runnable> &kernels,
                                           const std::vector<int64_t> &dims, double seconds,
                                           int64_t coldBytes, std::string &error) {
  std::vector<std::unique_ptr<Loaded>> loaded;
  for (const Runnable &kernel : kernels) {
    loaded.push_back(std::make_unique<Loaded>());
    error = loaded.back()->load(kernel, dims, coldBytes);
    if (error.empty() && loaded.back()->call() != 0)
      error = "the kernel failed";
    if (error.empty() && !loaded.back()->agrees(*loaded.front()))
      error = "its results are not those of the first schedule";
    if (!error.empty())
      return {};
  }
  auto turn = [&](Loaded &kernel) {
    double start = now(), spent = 0;
    int calls = 0;
    for (; calls == 0 || spent < kTurnSeconds; spent = now() - start, ++calls)
      if (kernel.call() != 0)
        error = "a kernel failed in a later call";
    return spent / calls;
  };
  std::vector<std::vector<double>> rounds;
  double end = now() + seconds;
  do {
    std::vector<double> round(loaded.size());
    for (size_t i = 0; i < loaded.size(); ++i)
      round[i] = turn(*loaded[i]) / 2;
    for (size_t i = loaded.size(); i-- > 0;)
      round[i] += turn(*loaded[i]) / 2;
    rounds.push_back(std::move(round));
  } while (error.empty() && now() < end && rounds.size() < kMostRounds);
  if (!error.empty())
    rounds.clear();
  return rounds;
}

} // namespace

bool measureKernels(const std::vector<Runnable> &kernels, const std::vector<int64_t> &dims,
                    double seconds, int64_t coldBytes, std::vector<std::vector<double>> &result,
                    std::string &error) {
  result.clear();
  double bytes = double(coldBytes) * double(kernels.size());
  for (const Runnable &kernel : kernels)
    for (size_t i = 0; i < kernel.spec.tensors.size(); ++i)
      bytes += bytesOf(kernel.spec.tensors[i], dims);
  if (!(bytes <= double(kMostBytes))) {
    error = "its buffers are too large to measure";
    return false;
  }
  int ends[2];
  if (pipe(ends) != 0) {
    error = std::string("cannot make a pipe: ") + strerror(errno);
    return false;
  }
  pid_t child = fork();
  if (child < 0) {
    error = std::string("cannot start a process: ") + strerror(errno);
    close(ends[0]);
    close(ends[1]);
    return false;
  }
  if (child == 0) {
    close(ends[0]);
    for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL})
      std::signal(signal, SIG_DFL);
    alarm(kMostSeconds);
    std::string text;
    std::vector<std::vector<double>> rounds = takeTurns(kernels, dims, seconds, coldBytes, text);
    // The answer is 'r' and numbers, or 'e' and a text.
    writeAll(ends[1], rounds.empty() ? "e" + text : "r");
    for (const std::vector<double> &round : rounds)
      writeAll(ends[1],
               {reinterpret_cast<const char *>(round.data()), round.size() * sizeof(double)});
    _exit(0);
  }
  close(ends[1]);
  std::string answer = readAll(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  size_t row = kernels.size() * sizeof(double);
  bool whole = !answer.empty() && answer[0] == 'r' && (answer.size() - 1) % row == 0;
  if (WIFSIGNALED(status))
    error = "it ended with signal " + std::to_string(WTERMSIG(status));
  else if (!whole)
    error = answer.empty() || answer[0] != 'e' ? "it gave no answer" : answer.substr(1);
  if (WIFSIGNALED(status) || !whole)
    return false;
  for (size_t at = 1; at < answer.size(); at += row) {
    result.emplace_back(kernels.size());
    std::memcpy(result.back().data(), answer.data() + at, row);
  }
  return true;
}

} // namespace rapt::kernels::halide
