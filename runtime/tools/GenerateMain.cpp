//===- GenerateMain.cpp - The command line of rapt-run generate --------------*- C++ -*-===//
//
// Flags are `--name value` or `--name=value`, in any order. New ids go to stdout, a line a prompt,
// errors to stderr.
//===------------------------------------------------------------------------------------===//
#include "GenerateMain.h"
#include "FlagReader.h"
#include "Generate.h"
#include "Json.h"
#include "OutputFile.h"

#include <limits.h>
#include <string.h>

using namespace rapt::io;
using namespace rapt::tools;

namespace {

constexpr const char *help =
    "Continues token ids with a decoder, or an encoder and a decoder, and prints the new ids.\n"
    "\n"
    "  --prompt-ids 1,5,7     ids to continue; repeatable, one line of new ids each\n"
    "  --max-new-tokens N     (default 20)\n"
    "  --eos-id N[,N...]      stop after one of these ids; repeatable\n"
    "  --json                 print {\"sequences\": [{\"prompt\", \"ids\", \"ended\"}, ...]}, and\n"
    "                         \"error\" where it could not go on\n"
    "  --threads N            (default: RAPT_NUM_THREADS, else the CPUs of the process)\n"
    "\n"
    "Keys and values of earlier tokens are recognised by the names that exporters give them and "
    "by\n"
    "shape; a model without them gets the whole sequence for each token. When a model can not go\n"
    "on, as after the last of its positions, the ids so far are printed, and the exit code is 1.\n"
    "\n"
    "  --first FILE.so        the decoder that makes the cache, where MODEL.so can not start with\n"
    "                         an empty one\n"
    "\n"
    "Optimum's decoder_model_merged.onnx is compiled with raptc --set use_cache_branch=true; for\n"
    "an encoder-decoder --first is the same compiled with false. decoder_model.onnx is the "
    "--first\n"
    "of decoder_with_past_model.onnx.\n"
    "\n"
    "Sampling: the largest logit, unless one of these is given\n"
    "  --temperature T        divides logits (default 1); 0: the largest logit\n"
    "  --top-k K              only the K most likely ids (default 0: all)\n"
    "  --top-p P              only the most likely ids that together have probability P\n"
    "  --seed S               prompt number i draws from SplitMix64 seeded with S + i (default 0)\n"
    "\n"
    "Encoder and decoder: prompts go to the encoder\n"
    "  --encoder FILE.so      gives the states that the decoder attends to\n"
    "  --encoder-input FILE.npy  what the encoder reads when that is no ids\n"
    "  --start-id N[,N...]    the decoder's first tokens\n";

class Parser : FlagReader {
public:
  Parser(int argc, char **argv, GenerateOptions &options, IoError &error)
      : FlagReader(argc, argv, error), options(options) {}

  bool parse() {
    for (at = 0; at < argc; ++at) {
      if (strncmp(argv[at], "--", 2) == 0) {
        if (!flag(argv[at] + 2))
          return false;
      } else if (options.modelPath) {
        return error.fail("unexpected argument '%s'", argv[at]);
      } else {
        options.modelPath = argv[at];
      }
    }
    options.sampling.greedy |= options.sampling.temperature == 0;
    if (options.help)
      return true;
    if (!options.modelPath)
      return error.fail("the path of a model is missing");
    if (options.encoderInput && !options.encoderPath)
      return error.fail("--encoder-input is what an encoder reads, and --encoder is missing");
    if (!options.prompts.size() && options.encoderInput && !options.prompts.add())
      return error.fail("out of memory");
    return options.prompts.size() || error.fail("--prompt-ids is missing");
  }

private:
  /// `text` is what follows the two dashes.
  bool flag(const char *text) {
    begin(text);
    if (is("help"))
      return options.help = true;
    if (is("json"))
      return options.json = true;
    if (takes("prompt-ids"))
      return value && addPrompt();
    if (takes("max-new-tokens"))
      return value && integer(value, 0, INT32_MAX, options.maxNewTokens);
    if (takes("eos-id"))
      return value && addIds(options.endIds);
    if (takes("start-id"))
      return value && addIds(options.startIds);
    if (takes("threads"))
      return value && integer(value, 1, 1024, options.threads);
    if (takes("encoder"))
      return (options.encoderPath = value);
    if (takes("encoder-input"))
      return (options.encoderInput = value);
    if (takes("first"))
      return (options.firstPath = value);
    options.sampling.greedy = false;
    if (takes("seed"))
      return value && integer(value, 0, INT64_MAX, options.seed);
    if (takes("top-k"))
      return value && integer(value, 0, INT32_MAX, options.sampling.topK);
    if (takes("top-p"))
      return value && number("above 0 and up to 1", 1e-300, 1, options.sampling.topP);
    if (takes("temperature"))
      return value && number("from 0 to 1e6", 0, 1e6, options.sampling.temperature);
    return unknown();
  }

  bool number(const char *range, double least, double most, double &result) {
    char *end;
    result = strtod(value, &end);
    if (end == value || *end || !(result >= least && result <= most))
      return error.fail("--%.*s is '%s', expected a number %s", int(nameLength), name, value,
                        range);
    return true;
  }

  bool addPrompt() {
    Ids *prompt = options.prompts.add();
    return prompt ? addIds(*prompt) : error.fail("out of memory");
  }

  /// The ids of `value`, with commas between them.
  bool addIds(Ids &ids) {
    if (!*value)
      return error.fail("--%.*s is empty, expected at least one id", int(nameLength), name);
    for (const char *text = value; *text;) {
      char *end;
      errno = 0;
      long long id = strtoll(text, &end, 10);
      if (end == text || errno || (*end && *end != ',') || (*end && !end[1]))
        return error.fail("--%.*s is '%s', expected numbers with commas between them",
                          int(nameLength), name, value);
      int64_t *added = ids.add();
      if (!added)
        return error.fail("out of memory");
      *added = id;
      text = *end ? end + 1 : end;
    }
    return true;
  }

  GenerateOptions &options;
};

void printIds(const Ids &ids, const char *separator) {
  for (size_t i = 0; i < ids.size(); ++i)
    printf("%s%lld", i ? separator : "", (long long)ids[i]);
}

void printJson(const GenerateOptions &options, const List<Continuation> &results,
               const char *failure) {
  printf("{\"sequences\": [");
  for (size_t i = 0; i < results.size(); ++i) {
    printf(i ? ",\n  {\"prompt\": [" : "\n  {\"prompt\": [");
    printIds(options.prompts[i], ", ");
    printf("], \"ids\": [");
    printIds(results[i].ids, ", ");
    printf("], \"ended\": %s}", results[i].ended ? "true" : "false");
  }
  printf("\n]");
  if (failure) {
    printf(", \"error\": ");
    writeJsonString(stdout, failure);
  }
  printf("}\n");
}

void printLines(const List<Continuation> &results) {
  for (const Continuation &result : results) {
    printIds(result.ids, ",");
    printf("\n");
  }
}

} // namespace

int rapt::tools::generateMain(const char *program, int argc, char **argv) {
  GenerateOptions options;
  IoError error;
  if (!Parser(argc, argv, options, error).parse()) {
    fprintf(stderr, "%s generate: error: %s (see --help)\n", program, error.text);
    return 2;
  }
  if (options.help) {
    printf("usage: %s generate MODEL.so --prompt-ids 1,5,7 [flags]\n\n%s", program, help);
    return flushOutput(error) ? 0 : 1;
  }
  List<Continuation> results;
  bool done = generate(options, results, error);
  size_t made = 0;
  for (const Continuation &result : results)
    made += result.ids.size();
  // An error before the first id is no result.
  if (options.json && (done || made))
    printJson(options, results, done ? nullptr : error.text);
  else if (done || made)
    printLines(results);
  bool written = !done || flushOutput(error);
  if (done && written)
    return 0;
  fflush(stdout);
  fprintf(stderr, "%s generate: error: %s\n", program, error.text);
  return 1;
}
