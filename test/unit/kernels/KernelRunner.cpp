//===- KernelRunner.cpp - Compiles, loads and calls one kernel -----------------*- C++ -*-===//
#include "KernelRunner.h"
#include "compiler/Kernels/halide/Emit.h"

#include <HalideRuntime.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace {
constexpr size_t pageBytes = 4096;

/// Memory with an unmapped page before and after it, its end or its start at one of them.
struct GuardedBuffer {
  char *map = nullptr, *data = nullptr;
  size_t mapped = 0, bytes = 0;

  /// With an `alignment`, up to alignment - 1 bytes lie between an end and its page.
  GuardedBuffer(size_t bytes, bool endAtPage, size_t alignment = 1) : bytes(bytes) {
    size_t body = (bytes + pageBytes - 1) / pageBytes * pageBytes;
    mapped = body + 2 * pageBytes;
    map = static_cast<char *>(mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *first = map + pageBytes;
    mprotect(first, body, PROT_READ | PROT_WRITE);
    data = endAtPage ? first + (body - bytes) / alignment * alignment : first;
  }
  GuardedBuffer(GuardedBuffer &&other)
      : map(other.map), data(other.data), mapped(other.mapped), bytes(other.bytes) {
    other.map = nullptr;
  }
  ~GuardedBuffer() {
    if (map)
      munmap(map, mapped);
  }
};

/// What a kernel's user_context points at in these tests.
struct Context {
  int threads = 1;
  bool guardScratch = true, scratchEndsAtPage = true;
  std::mutex mutex;
  int64_t peak = 0;
  std::map<void *, GuardedBuffer> blocks; // of guarded scratch memory
};
thread_local int64_t scratchNow = 0, scratchPeak = 0;
/// A block remembers its size; a small cache keeps timing free of page faults, as the arena does.
thread_local std::vector<std::pair<int64_t, char *>> cache;

void notePeak(Context &context) {
  std::lock_guard<std::mutex> lock(context.mutex);
  context.peak = std::max(context.peak, scratchPeak);
}

int64_t blockBytes(size_t size) { return (static_cast<int64_t>(size) + 127) / 128 * 128 + 128; }

void *cachedBlock(int64_t rounded) {
  for (auto &[bytes, block] : cache)
    if (bytes == rounded) {
      char *found = block;
      std::swap(bytes, cache.back().first);
      std::swap(block, cache.back().second);
      cache.pop_back();
      return found + 128;
    }
  char *block = static_cast<char *>(aligned_alloc(128, rounded + 128));
  memcpy(block, &rounded, sizeof rounded);
  return block + 128;
}
} // namespace

extern "C" {

void *halide_malloc(void *user, size_t size) {
  Context &context = *static_cast<Context *>(user);
  scratchNow += blockBytes(size);
  scratchPeak = std::max(scratchPeak, scratchNow);
  if (!context.guardScratch)
    return cachedBlock(blockBytes(size));
  GuardedBuffer block(size, context.scratchEndsAtPage, 64);
  void *data = block.data;
  std::lock_guard<std::mutex> lock(context.mutex);
  context.blocks.emplace(data, std::move(block));
  return data;
}

void halide_free(void *user, void *pointer) {
  Context &context = *static_cast<Context *>(user);
  if (context.guardScratch) {
    std::lock_guard<std::mutex> lock(context.mutex);
    auto block = context.blocks.find(pointer);
    scratchNow -= blockBytes(block->second.bytes);
    context.blocks.erase(block);
    return;
  }
  char *block = static_cast<char *>(pointer) - 128;
  int64_t rounded;
  memcpy(&rounded, block, sizeof rounded);
  scratchNow -= rounded;
  cache.emplace_back(rounded, block);
}

int halide_do_par_for(void *user, int (*task)(void *, int, uint8_t *), int min, int size,
                      uint8_t *closure) {
  Context &context = *static_cast<Context *>(user);
  std::atomic<int> next{min}, result{0};
  auto work = [&] {
    for (int i; (i = next.fetch_add(1)) < min + size;)
      if (int code = task(user, i, closure))
        result = code;
    notePeak(context);
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < context.threads; ++i)
    helpers.emplace_back(work);
  work();
  for (std::thread &helper : helpers)
    helper.join();
  return result;
}

} // extern "C"

namespace rapt::kernels::test {

TargetCpu hostCpu(bool narrow) {
  TargetCpu cpu;
  cpu.cpu = "x86-64-v3";
  cpu.features = {"sse4.1", "avx", "avx2", "fma", "f16c"};
  if (!narrow && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    cpu.cpu = "x86-64-v4";
    for (const char *feature : {"avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512cd"})
      cpu.features.push_back(feature);
    cpu.vectorBytes = 64;
    cpu.vectorRegisters = 32;
  }
  return cpu;
}

std::vector<std::string> importedSymbols(const std::string &object) {
  std::vector<std::string> names;
  auto *header = reinterpret_cast<const Elf64_Ehdr *>(object.data());
  auto *sections = reinterpret_cast<const Elf64_Shdr *>(object.data() + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB)
      continue;
    const char *strings = object.data() + sections[sections[i].sh_link].sh_offset;
    auto *symbols = reinterpret_cast<const Elf64_Sym *>(object.data() + sections[i].sh_offset);
    for (size_t s = 1; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s)
      if (symbols[s].st_shndx == SHN_UNDEF)
        names.push_back(strings + symbols[s].st_name);
  }
  return names;
}

LoadedKernel::LoadedKernel(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &cpu)
    : spec(spec) {
  if (!halide::emitKernel(spec, schedule, cpu, "kernel", object, error))
    return;
  char folder[] = "/tmp/rapt-kernel-XXXXXX";
  if (!mkdtemp(folder))
    return;
  std::string path = folder, objectPath = path + "/k.o", library = path + "/k.so";
  std::ofstream(objectPath, std::ios::binary) << object.object;
  std::string command = std::string(RAPT_TEST_LLD) + " -shared -o " + library + " " + objectPath;
  if (system(command.c_str()) != 0)
    error = "the linker failed";
  else if (!(handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)))
    error = dlerror();
  unlink(objectPath.c_str());
  unlink(library.c_str());
  rmdir(folder);
}

LoadedKernel::~LoadedKernel() {
  if (handle)
    dlclose(handle);
}

namespace {
template <typename T> void put(char *data, int64_t i, double value) {
  T typed = static_cast<T>(value);
  memcpy(data + i * sizeof(T), &typed, sizeof typed);
}
template <typename T> double take(const char *data, int64_t i) {
  T typed;
  memcpy(&typed, data + i * sizeof(T), sizeof typed);
  return static_cast<double>(typed);
}

void store(ScalarType type, char *data, int64_t i, double value) {
  switch (type) {
  case ScalarType::F32:
    return put<float>(data, i, value);
  case ScalarType::F64:
    return put<double>(data, i, value);
  case ScalarType::I64:
    return put<int64_t>(data, i, value);
  case ScalarType::I32:
    return put<int32_t>(data, i, value);
  default:
    return put<int8_t>(data, i, value);
  }
}

double fetch(ScalarType type, const char *data, int64_t i) {
  switch (type) {
  case ScalarType::F32:
    return take<float>(data, i);
  case ScalarType::F64:
    return take<double>(data, i);
  case ScalarType::I64:
    return take<int64_t>(data, i);
  case ScalarType::I32:
    return take<int32_t>(data, i);
  default:
    return take<int8_t>(data, i);
  }
}
} // namespace

/// The buffers and argument list of one call. Kernels are called through a table of pointers, as
/// Halide's argv form takes them.
struct LoadedKernel::Call {
  std::vector<GuardedBuffer> memory;
  std::vector<halide_buffer_t> buffers;
  std::vector<std::vector<halide_dimension_t>> shapes;
  std::vector<int32_t> dimValues;
  Context context;
  Context *contextPointer = &context;
  std::vector<void *> arguments;

  Call(const KernelSpec &spec, const std::vector<int64_t> &dims, Guard guard) {
    for (int i = 0; i < spec.numInputs; ++i)
      add(spec.tensors[i], dims, guard);
    for (int output : spec.outputs)
      add(spec.tensors[output], dims, guard);
    dimValues.assign(dims.begin(), dims.end());
    arguments.push_back(&contextPointer);
    for (int32_t &value : dimValues)
      arguments.push_back(&value);
    for (halide_buffer_t &buffer : buffers)
      arguments.push_back(&buffer);
  }

  void add(const Tensor &tensor, const std::vector<int64_t> &dims, Guard guard) {
    std::vector<int64_t> sizes;
    for (size_t i = tensor.shape.size(); i-- > 0;)
      sizes.push_back(evaluate(tensor.shape[i], dims));
    if (tensor.panel)
      sizes = {tensor.panel, sizes[1], (sizes[0] + tensor.panel - 1) / tensor.panel};
    int64_t count = 1;
    std::vector<halide_dimension_t> shape;
    for (int64_t size : sizes) {
      shape.emplace_back(0, static_cast<int32_t>(size), static_cast<int32_t>(count));
      count *= size;
    }
    shapes.push_back(std::move(shape));
    memory.emplace_back(count * byteWidth(tensor.type), guard == Guard::After);
    halide_buffer_t buffer{};
    buffer.host = reinterpret_cast<uint8_t *>(memory.back().data);
    buffer.dimensions = static_cast<int32_t>(sizes.size());
    buffer.dim = shapes.back().data(); // heap memory: survives the vector's moves
    buffers.push_back(buffer);
  }

  /// Puts inputs in the interpreter's form where the kernel reads them.
  void fill(const KernelSpec &spec, const std::vector<int64_t> &dims,
            const std::vector<Values> &inputs) {
    for (int t = 0; t < spec.numInputs; ++t) {
      const Tensor &tensor = spec.tensors[t];
      for (size_t i = 0; i < inputs[t].size(); ++i) {
        int64_t at = i;
        if (tensor.panel) {
          int64_t k = evaluate(tensor.shape[0], dims), n = evaluate(tensor.shape[1], dims);
          int64_t row = i / n, column = i % n;
          at = (column / tensor.panel * k + row) * tensor.panel + column % tensor.panel;
        }
        store(tensor.type, memory[t].data, at, inputs[t][i]);
      }
    }
  }
};

void *LoadedKernel::variant(const std::vector<int64_t> &dims) const {
  const std::string &symbol = variantFor(object.variants, evaluate(object.rows, dims)).symbol;
  return dlsym(handle, (symbol + "_argv").c_str());
}

std::vector<Values> LoadedKernel::run(const std::vector<int64_t> &dims,
                                      const std::vector<Values> &inputs, int threads, Guard guard) {
  Call call(spec, dims, guard);
  call.context.threads = threads;
  call.context.scratchEndsAtPage = guard == Guard::After;
  call.fill(spec, dims, inputs);
  scratchNow = scratchPeak = 0;
  auto function = reinterpret_cast<int (*)(void **)>(variant(dims));
  function(call.arguments.data());
  notePeak(call.context);
  scratchUsed = call.context.peak;
  scratchBound = 0;
  for (const Extent &term : object.scratchBytes)
    scratchBound += evaluate(term, dims);

  std::vector<Values> outputs;
  for (size_t o = 0; o < spec.outputs.size(); ++o) {
    const Tensor &tensor = spec.tensors[spec.outputs[o]];
    Values values(countElements(tensor, dims));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = fetch(tensor.type, call.memory[spec.numInputs + o].data, i);
    outputs.push_back(std::move(values));
  }
  return outputs;
}

double LoadedKernel::time(const std::vector<int64_t> &dims, int repeat, int threads, int copies,
                          const std::vector<Values> *inputs) {
  std::vector<std::unique_ptr<Call>> calls;
  auto isWeight = [](const Tensor &tensor) { return tensor.panel > 0; };
  bool hasWeights = std::any_of(spec.tensors.begin(), spec.tensors.end(), isWeight);
  for (int copy = 0; copy < copies; ++copy) {
    calls.push_back(std::make_unique<Call>(spec, dims, Guard::Before));
    Call &call = *calls.back();
    for (size_t t = 0; hasWeights && t < call.buffers.size(); ++t)
      if (static_cast<int>(t) >= spec.numInputs || !isWeight(spec.tensors[t]))
        call.buffers[t].host = calls[0]->buffers[t].host;
    call.context.threads = threads;
    call.context.guardScratch = false;
    if (inputs)
      call.fill(spec, dims, *inputs);
    for (int t = 0; t < spec.numInputs && !inputs; ++t) {
      if (spec.tensors[t].type != ScalarType::F32)
        continue;
      size_t count = 1;
      for (const halide_dimension_t &dim : call.shapes[t])
        count *= dim.extent;
      for (size_t i = 0; i < count; ++i)
        put<float>(call.memory[t].data, i, static_cast<double>(rand()) / RAND_MAX - 0.5);
    }
  }
  auto function = reinterpret_cast<int (*)(void **)>(variant(dims));
  double best = 1e30;
  for (int i = 0; i < repeat; ++i) {
    Call &call = *calls[i % copies];
    auto start = std::chrono::steady_clock::now();
    function(call.arguments.data());
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i >= copies || copies == 1) // the first round maps the pages
      best = std::min(best, seconds);
  }
  return best;
}

} // namespace rapt::kernels::test
