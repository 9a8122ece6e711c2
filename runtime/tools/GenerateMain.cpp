//===- GenerateMain.cpp - The command line of rapt-run generate --------------*- C++ -*-===//
//
// Flags are `--name value` or `--name=value`, in any order. New ids go to stdout, a line a prompt,
// errors to stderr.
//===------------------------------------------------------------------------------------===//
#include "GenerateMain.h"
#include "FlagReader.h"
#include "Generate.h"

#include <limits.h>
#include <math.h>
#include <string.h>

using namespace rapt::io;
using namespace rapt::tools;

namespace {

constexpr const char *help =
    "Continues token ids with a decoder, or an encoder and a decoder, and prints the new ids.\n"
    "\n"
    "  --prompt-ids 1,5,7     ids to continue; repeatable, one line of new ids each\n"
    "  --max-new-tokens N     (default 20)\n"
    "  --eos-id N             stop after this id; repeatable\n"
    "  --json                 print {\"sequences\": [{\"prompt\", \"ids\", \"ended\"}, ...]}\n"
    "  --threads N\n"
    "\n"
    "Keys and values of earlier tokens are recognised by the names that exporters give them and "
    "by\n"
    "shape; a model without them gets the whole sequence for each token.\n"
    "\n"
    "Sampling: the largest logit, unless one of these is given\n"
    "  --temperature T        divides logits (default 1)\n"
    "  --top-k K              only the K most likely ids\n"
    "  --top-p P              only the most likely ids that together have probability P\n"
    "  --seed S               prompt number i draws from SplitMix64 seeded with S + i (default 0)\n"
    "\n"
    "Encoder and decoder: prompts go to the encoder\n"
    "  --encoder FILE.so      gives the states that the decoder attends to\n"
    "  --encoder-input FILE.npy  what the encoder reads when that is no ids\n"
    "  --first FILE.so        the decoder without a cache that makes the first step\n"
    "  --start-id N           the decoder's first token\n";

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
    if (options.help)
      return true;
    if (!options.modelPath)
      return error.fail("the path of a model is missing");
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
      return value && addEnd();
    if (takes("start-id"))
      return value && integer(value, 0, INT32_MAX, options.startId);
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
      return value && integer(value, 1, INT32_MAX, options.sampling.topK);
    if (takes("top-p"))
      return value && number(1, options.sampling.topP);
    if (takes("temperature"))
      return value && number(1e6, options.sampling.temperature);
    return unknown();
  }

  bool number(double most, double &result) {
    char *end;
    result = strtod(value, &end);
    if (end == value || *end || !(result > 0 && result <= most))
      return error.fail("--%.*s is '%s', expected a number above 0 and up to %g", int(nameLength),
                        name, value, most);
    return true;
  }

  bool addPrompt() {
    Ids *prompt = options.prompts.add();
    if (!prompt)
      return error.fail("out of memory");
    for (const char *text = value; *text;) {
      char *end;
      errno = 0;
      long long id = strtoll(text, &end, 10);
      if (end == text || errno || (*end && *end != ',') || (*end && !end[1]))
        return error.fail("--prompt-ids is '%s', expected numbers with commas between them", value);
      int64_t *added = prompt->add();
      if (!added)
        return error.fail("out of memory");
      *added = id;
      text = *end ? end + 1 : end;
    }
    return prompt->size() || error.fail("--prompt-ids is empty, expected at least one id");
  }

  bool addEnd() {
    int64_t *end = options.endIds.add();
    return end ? integer(value, 0, INT32_MAX, *end) : error.fail("out of memory");
  }

  GenerateOptions &options;
};

void printIds(const Ids &ids, const char *separator) {
  for (size_t i = 0; i < ids.size(); ++i)
    printf("%s%lld", i ? separator : "", (long long)ids[i]);
}

void print(const GenerateOptions &options, const List<Continuation> &results) {
  for (size_t i = 0; i < results.size(); ++i) {
    if (options.json)
      printf(i ? ",\n  {\"prompt\": [" : "{\"sequences\": [\n  {\"prompt\": [");
    if (options.json)
      printIds(options.prompts[i], ", ");
    if (options.json)
      printf("], \"ids\": [");
    printIds(results[i].ids, options.json ? ", " : ",");
    if (options.json)
      printf("], \"ended\": %s}", results[i].ended ? "true" : "false");
    else
      printf("\n");
  }
  if (options.json)
    printf("\n]}\n");
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
    return 0;
  }
  List<Continuation> results;
  if (!generate(options, results, error)) {
    fprintf(stderr, "%s generate: error: %s\n", program, error.text);
    return 1;
  }
  print(options, results);
  return 0;
}
