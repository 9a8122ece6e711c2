//===- KernelCache.cpp - Compiled kernels on disk ------------------------------*- C++ -*-===//
//
// An entry is a file of the object's bytes (ObjectBytes.h) behind a hash of them: a damaged file is
// no entry. LLVM's pruning knows its own caches by the names of their files, hence the prefix.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/KernelCache.h"

#include "compiler/Kernels/ObjectBytes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <link.h>

using namespace llvm;
using namespace rapt;

static constexpr uint64_t mostBytes = uint64_t(1) << 30;

static std::string hashOf(StringRef bytes) {
  SHA256 hash;
  hash.update(bytes);
  return toHex(hash.final(), /*LowerCase=*/true);
}

/// Size and time of each file that this process has loaded, itself among them: a build or a library
/// that is another one is another file.
static std::string loadedFiles() {
  std::string text;
  auto add = [](dl_phdr_info *info, size_t, void *text) {
    StringRef name = info->dlpi_name;
    sys::fs::file_status status;
    if (!sys::fs::status(name.empty() ? "/proc/self/exe" : name, status)) // none for the kernel's
      raw_string_ostream(*static_cast<std::string *>(text))
          << name << " " << status.getSize() << " "
          << status.getLastModificationTime().time_since_epoch().count() << "\n";
    return 0;
  };
  dl_iterate_phdr(add, &text);
  return text;
}

Expected<KernelCache> KernelCache::open(StringRef folder) {
  auto cannot = [&](const Twine &what, std::error_code code) {
    return createStringError(code, "kernel cache: cannot " + what + " '" + folder +
                                       "': " + code.message());
  };
  if (std::error_code code = sys::fs::create_directories(folder))
    return cannot("create the folder", code);
  if (!sys::fs::is_directory(folder))
    return cannot("use", std::make_error_code(std::errc::not_a_directory));
  if (std::error_code code = sys::fs::access(folder, sys::fs::AccessMode::Write))
    return cannot("write to", code);
  CachePruningPolicy policy;
  policy.MaxSizeBytes = mostBytes;
  pruneCache(folder, policy);
  KernelCache cache;
  cache.folder = folder.str();
  cache.compiler = loadedFiles();
  return cache;
}

std::string KernelCache::keyOf(const kernels::KernelSpec &spec, const kernels::Schedule &schedule,
                               const kernels::TargetCpu &target, StringRef symbolPrefix) const {
  std::string text;
  raw_string_ostream os(text);
  os << compiler << symbolPrefix << "\n" << target.cpu;
  for (const std::string &feature : target.features)
    os << " " << feature;
  os << " " << target.vectorBytes << " " << target.vectorRegisters << "\n"
     << schedule.print() << "\n"
     << spec.print();
  return hashOf(text);
}

std::string KernelCache::fileOf(StringRef key) const {
  SmallString<128> path(folder);
  sys::path::append(path, "llvmcache-" + key);
  return path.str().str();
}

bool KernelCache::find(StringRef key, kernels::KernelObject &object) const {
  auto file = MemoryBuffer::getFile(fileOf(key), /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file)
    return false;
  constexpr size_t digits = 64;
  StringRef bytes = (*file)->getBuffer();
  return bytes.size() > digits && hashOf(bytes.drop_front(digits)) == bytes.take_front(digits) &&
         kernels::fromBytes(bytes.drop_front(digits), object);
}

Error KernelCache::store(StringRef key, const kernels::KernelObject &object) const {
  std::string file = fileOf(key), bytes = kernels::toBytes(object);
  auto fail = [&](Error error) { return createFileError(file, std::move(error)); };
  // Not a TempFile: that would take a '%' in the folder's name for a place to fill in.
  SmallString<16> name;
  sys::fs::createUniquePath("%%%%%%%%", name, /*MakeAbsolute=*/false);
  std::string temporary = file + "." + name.str().str();
  std::error_code code;
  raw_fd_ostream os(temporary, code, sys::fs::CD_CreateNew);
  if (code)
    return fail(errorCodeToError(code));
  sys::RemoveFileOnSignal(temporary);
  os << hashOf(bytes) << bytes;
  os.close();
  code = os.error();
  os.clear_error(); // its destructor ends the program otherwise
  if (!code)
    code = sys::fs::rename(temporary, file);
  if (code)
    sys::fs::remove(temporary);
  sys::DontRemoveFileOnSignal(temporary);
  return code ? fail(errorCodeToError(code)) : Error::success();
}
