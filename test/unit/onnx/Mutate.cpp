//===- Mutate.cpp - Damaged models through the reader ---------------------===//
//
// rapt-onnx-mutate [--count=N] [--seed=N] [--data=FOLDER] model...
//
// Changes each model in memory N times (bits flipped, cut short, ranges overwritten, removed,
// duplicated or taken from another of the models, numbers made extreme) and reads the result:
// parse, verify, inline functions, verify again. Whatever comes out is fine; a signal or a
// sanitiser report is not, nor is a model that verifies and inlines but then does not verify. The
// last lines say how far the damaged models came. Same seed, same run.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Model.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <random>
#include <string>
#include <vector>

using namespace llvm;
using namespace rapt::onnx;

namespace {

class Mutator {
public:
  Mutator(const std::vector<std::string> &models, uint64_t seed) : models(models), random(seed) {}

  /// A damaged copy of `source`: often by one change, which gets furthest, else by up to four.
  std::string operator()(std::string source) {
    for (size_t i = 0, count = 1 + below(2) * below(4); i < count && !source.empty(); ++i)
      change(source);
    return source;
  }

private:
  size_t below(size_t limit) { return limit ? random() % limit : 0; }

  void change(std::string &text) {
    size_t at = below(text.size()), length = 1 + below(std::min<size_t>(64, text.size() - at));
    switch (below(8)) {
    case 0:
    case 1:
      text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
      return;
    case 2:
      text.resize(at);
      return;
    case 3:
      text[at] = static_cast<char>(random());
      return;
    case 4:
      text.erase(at, length);
      return;
    case 5:
      text.insert(below(text.size()), text.substr(at, length));
      return;
    case 6: {
      const std::string &other = models[below(models.size())];
      size_t from = below(other.size());
      text.replace(at, length, other.substr(from, 1 + below(200)));
      return;
    }
    default: // a run of 0xff makes lengths and varints as large as they get
      text.replace(at, std::min<size_t>(length, 9),
                   std::string(std::min<size_t>(length, 9), '\xff'));
    }
  }

  const std::vector<std::string> &models;
  std::mt19937_64 random;
};

enum class Outcome { Unreadable, Invalid, NotInlined, Accepted, Broken };

Outcome run(const std::string &text, StringRef folder) {
  // An exact heap copy, so that the sanitiser sees a read past the end.
  std::vector<uint8_t> bytes(text.begin(), text.end());
  bytes.shrink_to_fit();
  auto model = parseModel(bytes, folder);
  if (Error error = model.takeError()) {
    consumeError(std::move(error));
    return Outcome::Unreadable;
  }
  if (Error error = verifyModel(**model)) {
    consumeError(std::move(error));
    return Outcome::Invalid;
  }
  if (Error error = inlineFunctions(**model)) {
    consumeError(std::move(error));
    return Outcome::NotInlined;
  }
  if (Error error = verifyModel(**model)) {
    errs() << "after inlining: " << toString(std::move(error)) << "\n";
    return Outcome::Broken;
  }
  return Outcome::Accepted;
}

} // namespace

int main(int argc, char **argv) {
  uint64_t count = 1000, seed = 1;
  std::string folder = ".";
  std::vector<std::string> models, names;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (argument.consume_front("--count=") && !argument.getAsInteger(10, count))
      continue;
    if (argument.consume_front("--seed=") && !argument.getAsInteger(10, seed))
      continue;
    if (argument.consume_front("--data=")) {
      folder = argument.str();
      continue;
    }
    auto file = MemoryBuffer::getFile(argument);
    if (!file) {
      errs() << "rapt-onnx-mutate: cannot read " << argument << "\n";
      return 1;
    }
    models.push_back((*file)->getBuffer().str());
    names.push_back(argument.str());
  }

  size_t total[5] = {};
  Mutator mutate(models, seed);
  for (size_t i = 0; i < models.size(); ++i) {
    if (run(models[i], folder) != Outcome::Accepted) {
      errs() << "rapt-onnx-mutate: " << names[i] << " is not accepted unchanged\n";
      return 1;
    }
    for (uint64_t round = 0; round < count; ++round)
      ++total[static_cast<int>(run(mutate(models[i]), folder))];
  }
  outs() << "unreadable " << total[0] << ", invalid " << total[1] << ", not inlined " << total[2]
         << ", accepted " << total[3] << ", broken by inlining " << total[4] << "\n";
  return total[4] != 0;
}
