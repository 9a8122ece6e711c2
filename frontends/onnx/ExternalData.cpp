//===- ExternalData.cpp - Files a model refers to -------------------------===//
//
// The path is walked with openat, one component a step and O_NOFOLLOW each time: a check of the
// whole path beforehand could be outrun by someone who replaces a folder in between.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/ExternalData.h"

#include "frontends/onnx/Errors.h"
#include "frontends/onnx/MappedPages.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;

namespace rapt::onnx {
namespace {

/// Closes a descriptor at the end of a scope.
class Descriptor {
public:
  explicit Descriptor(int value) : value(value) {}
  ~Descriptor() { reset(-1); }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;

  int get() const { return value; }
  bool valid() const { return value >= 0; }
  void reset(int next) {
    if (value >= 0)
      ::close(value);
    value = next;
  }

private:
  int value;
};

Error failWithErrno(const Twine &what) { return fail(what + ": " + std::strerror(errno)); }

/// Splits `location` into components and rejects everything that could leave the folder.
Error splitLocation(StringRef location, SmallVectorImpl<StringRef> &components) {
  if (location.empty())
    return fail("location is empty, expected a path inside the model's folder");
  if (location.size() > 4096)
    return fail("location has " + Twine(location.size()) + " bytes, expected at most 4096");
  if (location.contains('\0'))
    return fail("location contains a NUL byte");
  if (location.contains('\\'))
    return fail("location contains a backslash");
  if (location.starts_with("/"))
    return fail("location is an absolute path, expected a path inside the model's folder");
  location.split(components, '/');
  llvm::erase(components, ".");
  for (StringRef component : components) {
    if (component.empty())
      return fail("location has an empty path component");
    if (component == "..")
      return fail("location contains '..', expected a path inside the model's folder");
  }
  if (components.empty())
    return fail("location names a folder, expected a file");
  return Error::success();
}

/// All mappings of this process, for dropMappedPages.
class Mappings {
public:
  static Mappings &get() {
    static Mappings mappings;
    return mappings;
  }
  void add(void *address, uint64_t size) {
    std::lock_guard guard(lock);
    list.emplace_back(address, size);
  }
  void remove(void *address) {
    std::lock_guard guard(lock);
    llvm::erase_if(list, [&](const auto &mapping) { return mapping.first == address; });
  }
  void dropPages() {
    std::lock_guard guard(lock);
    for (auto [address, size] : list)
      ::madvise(address, size, MADV_DONTNEED); // where it fails, they stay
  }

private:
  std::mutex lock;
  std::vector<std::pair<void *, uint64_t>> list;
};

} // namespace

void dropMappedPages() { Mappings::get().dropPages(); }

MappedFile::~MappedFile() {
  if (!address)
    return;
  Mappings::get().remove(address);
  ::munmap(address, size);
}

Expected<std::shared_ptr<MappedFile>> MappedFile::map(int descriptor, bool exclusive) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0)
    return failWithErrno("cannot inspect the file");
  if (!S_ISREG(status.st_mode))
    return fail("not a regular file");
  if (exclusive && status.st_nlink > 1)
    return fail("the file has " + Twine(static_cast<uint64_t>(status.st_nlink)) +
                " hard links, expected 1");
  uint64_t size = static_cast<uint64_t>(status.st_size);
  void *address = nullptr;
  if (size != 0) {
    address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED)
      return failWithErrno("cannot map the file");
    Mappings::get().add(address, size);
  }
  return std::shared_ptr<MappedFile>(new MappedFile(address, size));
}

Expected<std::shared_ptr<MappedFile>> MappedFile::open(StringRef path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; fstat then rejects it.
  Descriptor file(::open(path.str().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid())
    return failWithErrno("cannot open the file");
  return map(file.get(), /*exclusive=*/false);
}

Expected<std::shared_ptr<MappedFile>> ExternalData::open(StringRef location) {
  SmallVector<StringRef, 4> components;
  RAPT_TRY(splitLocation(location, components));
  auto known = files.find(location);
  if (known != files.end())
    return known->second;

  Descriptor at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid())
    return failWithErrno("cannot open the folder " + quoted(folder));
  for (size_t i = 0; i < components.size(); ++i) {
    bool last = i + 1 == components.size();
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
    int next = ::openat(at.get(), components[i].str().c_str(), flags);
    if (next < 0) {
      // With O_DIRECTORY the kernel reports a link as ENOTDIR, without it as ELOOP.
      struct stat status;
      if (::fstatat(at.get(), components[i].str().c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISLNK(status.st_mode))
        return fail(quoted(components[i]) +
                    " is a symbolic link, expected a regular file or folder");
      return failWithErrno("cannot open " + quoted(components[i]));
    }
    at.reset(next);
  }
  Expected<std::shared_ptr<MappedFile>> file = MappedFile::map(at.get(), /*exclusive=*/true);
  if (file)
    files[location] = *file;
  return file;
}

std::vector<std::string> ExternalData::paths() const {
  std::vector<std::string> result;
  for (const auto &entry : files)
    result.push_back(folder + "/" + entry.getKey().str());
  llvm::sort(result);
  return result;
}

} // namespace rapt::onnx
