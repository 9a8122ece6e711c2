//===- RunOptions.cpp - The flags of rapt-run --------------------------------*- C++ -*-===//
//
// Flags are `--name value` or `--name=value`, in any order. A repeated single flag counts last, a
// repeated --dim of one name is an error.
//===------------------------------------------------------------------------------------===//
#include "RunOptions.h"
#include "FlagReader.h"

#include <limits.h>
#include <math.h>
#include <string.h>

using namespace rapt::io;
using namespace rapt::tools;

void rapt::tools::printHelp(const RunOptions &options, bool embedded) {
  printf("usage: %s %s[options]\n\n", options.program, embedded ? "" : "MODEL.so ");
  fputs(
      "Runs a compiled model and prints a line for each output.\n"
      "\n"
      "Inputs (every input of the model exactly once)\n"
      "  --input FILE.npz       arrays by their names in the archive; repeatable\n"
      "  --input [NAME=]FILE.npy  one array; NAME may be left out for a model with one input\n"
      "  --random SEED          fill inputs that no file gives: floats standard normal, integers\n"
      "                         uniform in [0, N) of --max-int, booleans 0 or 1\n"
      "  --dim NAME=VALUE       value of a symbolic dim for --random; repeatable\n"
      "  --max-int N            for --random (default 2: token ids and masks stay valid)\n"
      "\n"
      "Outputs\n"
      "  --output FILE.npz      save all outputs; FILE.npy for a model with one output\n"
      "  --expect FILE.npz      compare with these arrays, or with FILE.npy: every element must\n"
      "                         have |seen - expected| <= atol + rtol * |expected|\n"
      "  --rtol R, --atol A     tolerances (default 1e-3 and 1e-5)\n"
      "\n"
      "Running\n"
      "  --repeat N             after one warm-up run, time N runs: minimum and median\n"
      "  --threads N            default: RAPT_NUM_THREADS, or the CPUs this process may use\n"
      "  --profile              print for each kernel its calls, time, speed and schedule, of the\n"
      "                         median of the --repeat runs (10 unless given); takes 256 MB for a\n"
      "                         moment to measure how fast memory is read\n"
      "  --trace FILE.json      write each kernel call of that run as a Chrome trace event, for\n"
      "                         ui.perfetto.dev\n"
      "\n"
      "  --describe             print the model's inputs, outputs and origin, and stop\n"
      "  --version, --help\n"
      "\n"
      "Exit code: 0 done, 1 an error or outputs that differ from --expect, 2 wrong usage.\n",
      stdout);
}

namespace {

class Parser : FlagReader {
public:
  Parser(int argc, char **argv, RunOptions &options, IoError &error)
      : FlagReader(argc, argv, error), options(options) {}

  bool parse(bool embedded) {
    for (at = 1; at < argc; ++at) {
      const char *argument = argv[at];
      if (argument[0] == '-' && argument[1] == '-') {
        if (!flag(argument + 2))
          return false;
      } else if (argument[0] == '-' && argument[1]) {
        return error.fail("unknown flag '%s'", argument);
      } else if (embedded || options.modelPath) {
        return error.fail("unexpected argument '%s'", argument);
      } else {
        options.modelPath = argument;
      }
    }
    if (options.help || options.version)
      return true;
    if (options.dims.size() && !options.random)
      return error.fail("--dim sizes random inputs, but there is no --random");
    if ((options.profile || options.trace) && !options.repeat)
      options.repeat = 10;
    return embedded || options.modelPath || error.fail("the path of a model is missing");
  }

private:
  /// `text` is what follows the two dashes.
  bool flag(const char *text) {
    begin(text);
    if (is("describe"))
      return options.describe = true;
    if (is("help"))
      return options.help = true;
    if (is("version"))
      return options.version = true;
    if (is("profile"))
      return options.profile = true;
    if (takes("trace"))
      return (options.trace = value);
    if (takes("input"))
      return value && addInput();
    if (takes("output"))
      return (options.output = value);
    if (takes("expect"))
      return (options.expect = value);
    if (takes("dim"))
      return value && addDim();
    if (takes("rtol"))
      return value && tolerance(options.rtol);
    if (takes("atol"))
      return value && tolerance(options.atol);
    if (takes("random"))
      return value && (options.random = true) && integer(value, 0, INT64_MAX, options.seed);
    if (takes("max-int"))
      return value && integer(value, 1, INT32_MAX, options.maxInt);
    if (takes("repeat"))
      return value && integer(value, 1, 1000000, options.repeat);
    if (takes("threads"))
      return value && integer(value, 1, 1024, options.threads);
    return unknown();
  }

  bool tolerance(double &result) {
    char *end;
    result = strtod(value, &end);
    if (end == value || *end || !(result >= 0) || !isfinite(result))
      return error.fail("--%.*s is '%s', expected a number >= 0", int(nameLength), name, value);
    return true;
  }

  bool addInput() {
    InputFile *input = options.inputs.add();
    if (!input)
      return error.fail("out of memory");
    input->path = value;
    // A '=' after a slash belongs to the path.
    const char *equals = strchr(value, '=');
    if (equals && equals > value && !memchr(value, '/', size_t(equals - value))) {
      input->name = value;
      input->nameLength = size_t(equals - value);
      input->path = equals + 1;
    }
    return true;
  }

  bool addDim() {
    const char *equals = strrchr(value, '=');
    DimValue *dim = options.dims.add();
    if (!equals || equals == value || !dim)
      return error.fail("--dim is '%s', expected NAME=VALUE", value);
    dim->name = value;
    dim->nameLength = size_t(equals - value);
    for (DimValue &other : options.dims)
      if (&other != dim && other.nameLength == dim->nameLength &&
          memcmp(other.name, dim->name, dim->nameLength) == 0)
        return error.fail("--dim gives '%.*s' twice", int(dim->nameLength), dim->name);
    return integer(equals + 1, 0, INT64_MAX, dim->value);
  }

  RunOptions &options;
};

} // namespace

bool rapt::tools::parseOptions(int argc, char **argv, bool embedded, RunOptions &options,
                               IoError &error) {
  if (argc > 0 && argv[0])
    options.program = argv[0];
  return Parser(argc, argv, options, error).parse(embedded);
}
