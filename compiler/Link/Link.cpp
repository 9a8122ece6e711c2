//===- Link.cpp - From code and weights to an artifact ----------------------------------===//
//
// host object -> clang -> weights -> seal -> rename, companions (weights, header) before the
// artifact. The linker script's only exported name is the model's descriptor, and everything that
// it does not lead to is dropped.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/Link.h"

#include "compiler/Link/Embed.h"
#include "compiler/Link/Header.h"
#include "compiler/Link/HostObject.h"
#include "compiler/Link/Seal.h"
#include "compiler/Link/TempDir.h"
#include "compiler/Link/Weights.h"
#include "runtime/include/rapt_abi.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace rapt;

ArtifactKind rapt::artifactKind(StringRef path) {
  StringRef extension = sys::path::extension(path);
  return extension == ".so"  ? ArtifactKind::SharedLibrary
         : extension == ".o" ? ArtifactKind::Object
                             : ArtifactKind::Executable;
}

static std::string headerPath(StringRef output) {
  SmallString<128> place(output);
  sys::path::replace_extension(place, ".h");
  return place.str().str();
}

static std::string weightsPath(StringRef output) { return (output + ".weights").str(); }

std::vector<std::string> rapt::artifactFiles(StringRef path) {
  std::vector<std::string> files{path.str(), weightsPath(path)};
  if (artifactKind(path) == ArtifactKind::Object)
    files.push_back(headerPath(path));
  return files;
}

static std::string exportedSymbol(ArtifactKind kind, StringRef output) {
  if (kind != ArtifactKind::Object)
    return RAPT_ABI_SYMBOL;
  return link::identifier(sys::path::stem(output)) + "_" + RAPT_ABI_SYMBOL;
}

namespace {

class Linker {
public:
  Linker(const LinkInput &input, const LinkOptions &options)
      : input(input), options(options), kind(artifactKind(options.output)) {}

  Error run() {
    mlir::FailureOr<host::Interface> read = host::readInterface(input.host);
    mlir::FailureOr<std::vector<host::WeightEntry>> table = host::readWeightTable(input.host);
    if (failed(read) || failed(table))
      return createStringError("the host module does not say what to link");
    if (sys::path::filename(options.output).empty() || sys::fs::is_directory(options.output))
      return createStringError("cannot write '" + options.output + "': it is a folder");
    interface = std::move(*read);
    if (Error error = dir.create(options.output))
      return error;
    weights = std::move(*table);
    if (Error error = placeWeights())
      return error;
    if (Error error = writeObjects())
      return error;
    if (Error error = kind == ArtifactKind::Object ? linkObject() : linkProgram())
      return error;
    if (Error error = facts.embedsWeights() ? embed() : Error::success())
      return error;
    if (Error error =
            kind == ArtifactKind::SharedLibrary ? link::seal(artifact()) : Error::success())
      return error;
    dir.publish(artifact(), options.output);
    return dir.commit();
  }

private:
  std::string artifact() const { return dir.file("artifact"); }
  /// What the linker writes.
  std::string linked() const { return facts.embedsWeights() ? dir.file("linked") : artifact(); }
  StringRef fileName() const { return sys::path::filename(options.output); }

  /// The blob goes into the artifact, or beside it when it is large: relocations reach 2 GiB.
  Error placeWeights() {
    facts.weightBytes = link::weightBytes(weights);
    if (facts.weightBytes <= options.mostEmbedded)
      return Error::success();
    std::string path = dir.file("weights");
    facts.weightsFile = (fileName() + ".weights").str();
    dir.publish(path, weightsPath(options.output));
    return dir.write(path, [&](raw_ostream &stream) { return writeWeights(stream); });
  }

  Error writeWeights(raw_ostream &stream) const {
    return link::writeWeights(weights, stream, input.weightsWereRead);
  }

  /// Weights go from their sources into the artifact, past assembler, linker and objcopy, which
  /// would each hold them in memory.
  Error embed() {
    auto write = [&](raw_ostream &stream) {
      return link::embedWeights(linked(), stream,
                                [&](raw_ostream &inner) { return writeWeights(inner); });
    };
    if (Error error = dir.write(artifact(), write))
      return error;
    ErrorOr<sys::fs::perms> permissions = sys::fs::getPermissions(linked());
    std::error_code code =
        permissions ? sys::fs::setPermissions(artifact(), *permissions) : permissions.getError();
    return code ? createStringError("cannot write '" + options.output + "': " + code.message())
                : Error::success();
  }

  Error writeObjects() {
    facts.symbol = exportedSymbol(kind, options.output);
    facts.name = options.modelName;
    facts.producer = options.producer;
    facts.cpu = options.cpu.cpu;
    facts.features = link::requiredFeatures(options.cpu);
    objects.push_back(dir.file("host.o"));
    if (Error error = link::writeHostObject(input.host, interface, facts, objects.back()))
      return error;
    for (auto [index, object] : enumerate(input.objects)) {
      objects.push_back(dir.file("kernel" + Twine(index) + ".o"));
      if (Error error = dir.write(objects.back(), object.bytes))
        return error;
    }
    return Error::success();
  }

  std::string linker() const { return options.linker.empty() ? RAPT_CLANG : options.linker; }

  std::string library(StringRef name) const {
    SmallString<128> path(options.libraryDir);
    sys::path::append(path, name);
    return path.str().str();
  }

  Error linkProgram() {
    std::vector<std::string> arguments{"-fuse-ld=lld", "-o", linked()};
    arguments.insert(arguments.end(), objects.begin(), objects.end());
    if (kind == ArtifactKind::SharedLibrary) {
      std::string script = dir.file("exports");
      if (Error error = dir.write(script, "{ global: " + facts.symbol + "; local: *; };\n"))
        return error;
      arguments.insert(arguments.end(),
                       {"-shared", "-nostartfiles", library("librapt_glue.a"), "-Xlinker",
                        "--version-script", "-Xlinker", script, "-Wl,-soname", "-Xlinker",
                        fileName().str(), "-Wl,--no-undefined"});
    } else {
      arguments.insert(arguments.end(), {"-pie", library("librapt_main.a"), library("librapt_io.a"),
                                         library("librapt.a"), library("librapt_glue.a"), "-lz",
                                         "-lpthread", "-ldl"});
    }
    arguments.insert(arguments.end(),
                     {"-Wl,--gc-sections", "-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,noexecstack",
                      "-Wl,--build-id=none", "-Wl,--as-needed", "-lm"});
    return link::runTool(dir, linker(), arguments);
  }

  /// One relocatable object whose only global name is the descriptor's, so that two models and any
  /// other code fit in one program.
  Error linkObject() {
    std::vector<std::string> arguments{"-fuse-ld=lld", "-r", "-nostdlib", "-o", linked()};
    arguments.insert(arguments.end(), objects.begin(), objects.end());
    arguments.push_back(library("librapt_glue.a"));
    if (Error error = link::runTool(dir, linker(), arguments))
      return error;
    if (Error error =
            link::runTool(dir, RAPT_OBJCOPY, {"--keep-global-symbol=" + facts.symbol, linked()}))
      return error;
    std::string header = dir.file("header");
    dir.publish(header, headerPath(options.output));
    return dir.write(header, link::headerText(fileName(), facts.symbol, interface));
  }

  const LinkInput &input;
  const LinkOptions &options;
  ArtifactKind kind;
  link::TempDir dir;
  host::Interface interface;
  link::ModelFacts facts;
  std::vector<host::WeightEntry> weights;
  std::vector<std::string> objects;
};

} // namespace

Error rapt::printLinkPlan(const LinkInput &input, const LinkOptions &options, raw_ostream &os) {
  mlir::FailureOr<std::vector<host::WeightEntry>> table = host::readWeightTable(input.host);
  if (failed(table))
    return createStringError("the host module does not say what to link");
  uint64_t weights = link::weightBytes(*table), code = 0;
  for (const KernelObject &object : input.objects)
    code += object.bytes.size();
  os << "// what is linked into a shared library\n"
     << "//   host     the module below, for " << options.cpu.cpu << " ("
     << link::requiredFeatures(options.cpu) << ")\n"
     << "//   kernels  " << input.objects.size() << " objects, " << code << " bytes\n";
  for (const KernelObject &object : input.objects)
    os << "//            " << object.name << ", " << object.bytes.size() << " bytes\n";
  os << "//   weights  " << table->size() << " tensors, " << weights << " bytes, "
     << (weights <= options.mostEmbedded ? "embedded" : "in a side file") << "\n"
     << "//   library  librapt_glue.a\n"
     << "//   exports  " << exportedSymbol(ArtifactKind::SharedLibrary, "") << "\n";
  return Error::success();
}

Error rapt::linkArtifact(const LinkInput &input, const LinkOptions &options) {
  return Linker(input, options).run();
}
