//===- RunMain.cpp - The command line of rapt-run and of executable models ---*- C++ -*-===//
//
// open -> describe? -> inputs (files, then random) -> output arrays -> run -> time -> summary
//   -> save -> compare. Results go to stdout, errors to stderr as "program: error: text". Whatever
// makes the command line wrong for this model is said before anything is computed.
//===------------------------------------------------------------------------------------===//
#include "RunMain.h"
#include "Arrays.h"
#include "Compare.h"
#include "OutputFile.h"
#include "ProfileReport.h"
#include "RandomInput.h"
#include "RunOptions.h"

#include <initializer_list>
#include <string.h>
#include <time.h>

using namespace rapt;
using namespace rapt::io;
using namespace rapt::tools;

namespace {

enum ExitCode { Done = 0, Failed = 1, Usage = 2 };

class Session {
public:
  explicit Session(const RunOptions &options) : options(options) {}
  ~Session() {
    rapt_workspace_destroy(workspace);
    rapt_close(model);
  }

  ExitCode run(const rapt_abi_model *embedded) {
    if (embedded ? rapt_open_static(embedded, &model) : rapt_open(options.modelPath, &model))
      return failed(rapt_last_error());
    rapt_describe(model, &info);
    if (options.describe)
      return describe();
    if (ExitCode code = checkFlags())
      return code;
    if (ExitCode code = collectInputs())
      return code;
    if (ExitCode code = makeOutputs())
      return code;
    if (ExitCode code = compute())
      return code;
    if (ExitCode code = takeResultShapes())
      return code;
    for (const Array &output : outputs)
      printSummary(output.tensor);
    if (options.output)
      if (ExitCode code = save())
        return code;
    return options.expect ? compare() : Done;
  }

private:
  ExitCode failed(const char *text, ExitCode code = Failed) {
    fprintf(stderr, "%s: error: %s\n", options.program, text);
    return code;
  }

  ExitCode describe() {
    printf("model    %s\nproducer %s\ncpu      %s (%s)\nweights  %llu bytes\n", info.name,
           info.producer, info.cpu, info.features, (unsigned long long)info.weights_bytes);
    const char *before = "may be 0 ";
    for (int32_t i = 0; i < info.num_symbols; ++i) {
      int64_t least = 1;
      rapt_symbol_least(model, i, &least);
      if (least > 0)
        continue;
      printf("%s%s", before, info.symbols[i]);
      before = ", ";
    }
    if (*before == ',')
      printf("\n");
    for (bool isInput : {true, false})
      for (int32_t i = 0; i < (isInput ? info.num_inputs : info.num_outputs); ++i) {
        rapt_tensor_info tensor;
        (isInput ? rapt_input_info : rapt_output_info)(model, i, &tensor);
        printf("%s %s %s[", isInput ? "input   " : "output  ", tensor.name,
               rapt_dtype_name(tensor.dtype));
        for (int32_t d = 0; d < tensor.rank; ++d)
          printf("%s%s", d ? ", " : "", tensor.dim_texts[d]);
        printf("]\n");
      }
    return Done;
  }

  ExitCode checkFlags() {
    for (const DimValue &dim : options.dims)
      if (!hasSymbol(dim)) {
        char known[512] = "";
        for (int32_t i = 0; i < info.num_symbols; ++i) {
          size_t used = strlen(known);
          snprintf(known + used, sizeof known - used, i ? ", %s" : ", its dims are %s",
                   info.symbols[i]);
        }
        error.fail("--dim %.*s=%lld: the model has no such dim%s", int(dim.nameLength), dim.name,
                   (long long)dim.value, known);
        return failed(error.text, Usage);
      }
    if (ExitCode code = checkSingle("--output", options.output))
      return code;
    return checkSingle("--expect", options.expect);
  }

  bool hasSymbol(const DimValue &dim) const {
    for (int32_t i = 0; i < info.num_symbols; ++i)
      if (isNamed(dim, info.symbols[i]))
        return true;
    return false;
  }

  static bool isNamed(const DimValue &dim, const char *name) {
    return strlen(name) == dim.nameLength && memcmp(name, dim.name, dim.nameLength) == 0;
  }

  static bool isNpy(const char *path) {
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".npy") == 0;
  }

  /// A .npy file holds one array without a name.
  ExitCode checkSingle(const char *flag, const char *path) {
    if (!path || !isNpy(path) || info.num_outputs == 1)
      return Done;
    error.fail("%s %s: the model has %d outputs, expected a .npz file", flag, path,
               int(info.num_outputs));
    return failed(error.text, Usage);
  }

  ExitCode collectInputs() {
    for (const InputFile &file : options.inputs) {
      size_t before = inputs.size();
      if (!readArrays(file.path, inputs, error))
        return failed(error.text);
      bool single = inputs.size() == before + 1;
      if (file.name && !single) {
        error.fail("--input %.*s=%s: expected one array, the file has %zu", int(file.nameLength),
                   file.name, file.path, inputs.size() - before);
        return failed(error.text);
      }
      if (file.name && !inputs[before].setName(file.name, file.nameLength, error))
        return failed(error.text);
      if (!file.name && single && !*inputs[before].tensor.name)
        if (ExitCode code = nameOnlyInput(inputs[before], file.path))
          return code;
    }
    return options.random ? addRandomInputs() : Done;
  }

  ExitCode nameOnlyInput(Array &array, const char *path) {
    rapt_tensor_info input;
    if (info.num_inputs != 1 || rapt_input_info(model, 0, &input)) {
      error.fail("--input %s: the model has %d inputs, say which one: --input NAME=%s", path,
                 int(info.num_inputs), path);
      return failed(error.text, Usage);
    }
    return array.setName(input.name, strlen(input.name), error) ? Done : failed(error.text);
  }

  bool hasInput(const char *name) const {
    for (const Array &array : inputs)
      if (strcmp(array.tensor.name, name) == 0)
        return true;
    return false;
  }

  ExitCode addRandomInputs() {
    List<bool> used; // of each --dim
    for (size_t i = 0; i < options.dims.size(); ++i)
      if (bool *flag = used.add())
        *flag = false;
      else
        return failed("out of memory");
    for (int32_t i = 0; i < info.num_inputs; ++i) {
      rapt_tensor_info input;
      rapt_input_info(model, i, &input);
      if (hasInput(input.name))
        continue;
      rapt_tensor like = {input.name, nullptr, input.dtype, input.rank, {}};
      for (int32_t d = 0; d < input.rank; ++d) {
        like.dims[d] = input.dims[d] >= 0 ? input.dims[d] : dimValue(input.dim_texts[d], used);
        if (like.dims[d] < 0) {
          error.fail("--random needs --dim %s=VALUE for input '%s'", input.dim_texts[d],
                     input.name);
          return failed(error.text, Usage);
        }
      }
      Array *array = inputs.add();
      if (!array)
        return failed("out of memory");
      if (!array->allocate(like, error))
        return failed(error.text);
      fillRandom(*array, uint64_t(options.seed), options.maxInt);
    }
    for (size_t i = 0; i < options.dims.size(); ++i)
      if (!used[i]) {
        const DimValue &dim = options.dims[i];
        error.fail("--dim %.*s=%lld has no effect: no random input has this dim",
                   int(dim.nameLength), dim.name, (long long)dim.value);
        return failed(error.text, Usage);
      }
    return Done;
  }

  /// -1 when there is no --dim of this name.
  int64_t dimValue(const char *name, List<bool> &used) const {
    for (size_t i = 0; i < options.dims.size(); ++i)
      if (isNamed(options.dims[i], name)) {
        used[i] = true;
        return options.dims[i].value;
      }
    return -1;
  }

  ExitCode makeOutputs() {
    for (const Array &array : inputs)
      if (!append(inputTensors, array.tensor))
        return failed("out of memory");
    for (int32_t i = 0; i < info.num_outputs; ++i)
      if (!append(outputTensors, {}))
        return failed("out of memory");
    rapt_tensor none;
    rapt_tensor *shapes = outputTensors.size() ? outputTensors.begin() : &none;
    if (rapt_output_shapes(model, inputTensors.begin(), int32_t(inputTensors.size()), shapes))
      return failed(rapt_last_error());
    for (rapt_tensor &tensor : outputTensors) {
      Array *array = outputs.add();
      if (!array)
        return failed("out of memory");
      if (!array->allocate(tensor, error))
        return failed(error.text);
      tensor = array->tensor;
    }
    return Done;
  }

  static bool append(List<rapt_tensor> &list, const rapt_tensor &tensor) {
    rapt_tensor *added = list.add();
    if (added)
      *added = tensor;
    return added;
  }

  bool runOnce() {
    return rapt_run(workspace, inputTensors.begin(), int32_t(inputTensors.size()),
                    outputTensors.begin(), int32_t(outputTensors.size())) == RAPT_OK;
  }

  ExitCode compute() {
    rapt_workspace_options wanted = {};
    wanted.num_threads = int32_t(options.threads);
    if (rapt_workspace_create(model, &wanted, &workspace) || !runOnce())
      return failed(rapt_last_error());
    ProfileReport profile(model, workspace);
    bool profiled = options.profile || options.trace;
    if (profiled && !profile.start(error))
      return failed(error.text);
    List<double> times;
    for (int64_t i = 0; i < options.repeat; ++i) {
      double start = milliseconds();
      if (!runOnce())
        return failed(rapt_last_error());
      double *time = times.add();
      if (!time)
        return failed("out of memory");
      *time = milliseconds() - start;
      if (profiled && !profile.addRun(*time, error))
        return failed(error.text);
    }
    if (times.size()) {
      qsort(times.begin(), times.size(), sizeof(double), [](const void *a, const void *b) {
        double x = *static_cast<const double *>(a), y = *static_cast<const double *>(b);
        return int(x > y) - int(x < y);
      });
      printf("run: min %.3f ms, median %.3f ms of %zu\n", times[0], times[times.size() / 2],
             times.size());
    }
    if (!profiled)
      return Done;
    profile.finish();
    bool good = (!options.profile || profile.print(numThreads(), error)) &&
                (!options.trace || profile.writeTrace(options.trace, error));
    return good ? Done : failed(error.text);
  }

  /// Where sizes depend on data, the outputs are smaller than their memory.
  ExitCode takeResultShapes() {
    List<rapt_tensor> results;
    for (int32_t i = 0; i < info.num_outputs; ++i)
      if (!append(results, {}))
        return failed("out of memory");
    rapt_tensor none;
    if (rapt_result_shapes(workspace, results.size() ? results.begin() : &none))
      return failed(rapt_last_error());
    for (size_t i = 0; i < results.size(); ++i) {
      memcpy(outputs[i].tensor.dims, results[i].dims, sizeof results[i].dims);
      memcpy(outputTensors[i].dims, results[i].dims, sizeof results[i].dims);
    }
    return Done;
  }

  int numThreads() const {
    return options.threads ? int(options.threads) : rapt_default_num_threads();
  }

  static double milliseconds() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return double(time.tv_sec) * 1e3 + double(time.tv_nsec) * 1e-6;
  }

  ExitCode save() {
    bool ok = isNpy(options.output) ? writeNpy(options.output, outputTensors[0], error)
                                    : writeNpz(options.output, outputTensors.begin(),
                                               int32_t(outputTensors.size()), error);
    return ok ? Done : failed(error.text);
  }

  ExitCode compare() {
    List<Array> expected;
    if (!readArrays(options.expect, expected, error))
      return failed(error.text);
    return compareOutputs(outputs, expected, options.rtol, options.atol) ? Done : Failed;
  }

  const RunOptions &options;
  IoError error;
  rapt_model *model = nullptr;
  rapt_workspace *workspace = nullptr;
  rapt_model_info info = {};
  List<Array> inputs, outputs;
  List<rapt_tensor> inputTensors, outputTensors; ///< views of the arrays
};

} // namespace

int rapt_run_main(int argc, char **argv, const rapt_abi_model *embedded) {
  RunOptions options;
  IoError error;
  if (!parseOptions(argc, argv, embedded, options, error)) {
    fprintf(stderr, "%s: error: %s (see --help)\n", options.program, error.text);
    return Usage;
  }
  int status = Done;
  if (options.help)
    printHelp(options, embedded);
  else if (options.version)
    printf("rapt-run %s (model interface %u)\n", rapt_version(), RAPT_ABI_VERSION);
  else
    status = Session(options).run(embedded);
  if (status == Done && !rapt::io::flushOutput(error)) {
    fprintf(stderr, "%s: error: %s\n", options.program, error.text);
    return Failed;
  }
  return status;
}
