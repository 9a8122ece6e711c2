//===- ExternalData.h - Files a model refers to --------------------*- C++ -*-===//
//
// In: a folder and a `location` written in a model. Out: a read-only mapping of that file. A model
// is not trusted to choose files: a location names a regular file inside the folder and nothing
// else. No absolute path, `..`, backslash or NUL, no symbolic link on the way, no second hard link.
// Each file is opened once and all checks are made on the open descriptor, so that exchanging the
// path afterwards changes nothing.
//
// A mapping sees later changes of the file. If another process shortens it while it is in use, the
// kernel delivers SIGBUS; only a copy could prevent that, and weights are not copied.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_FRONTENDS_ONNX_EXTERNALDATA_H
#define RAPT_FRONTENDS_ONNX_EXTERNALDATA_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rapt::onnx {

/// A whole file, mapped read-only and private until destruction.
class MappedFile {
public:
  /// Maps the regular file at `path`. The path is the user's, so links are followed.
  static llvm::Expected<std::shared_ptr<MappedFile>> open(llvm::StringRef path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  llvm::ArrayRef<uint8_t> bytes() const {
    return {static_cast<const uint8_t *>(address), static_cast<size_t>(size)};
  }

  /// Bytes that were copied out of this file because they lay unaligned. Tensors that do not
  /// overlap need at most the file's size; Payload.cpp rejects a model that wants more.
  uint64_t copiedBytes = 0;

private:
  friend class ExternalData;
  /// Checks and maps an open descriptor, which stays the caller's. `exclusive` rejects hard links.
  static llvm::Expected<std::shared_ptr<MappedFile>> map(int descriptor, bool exclusive);
  MappedFile(void *address, uint64_t size) : address(address), size(size) {}

  void *address; ///< null for an empty file
  uint64_t size;
};

/// The files below one folder that a model may read.
class ExternalData {
public:
  explicit ExternalData(llvm::StringRef folder) : folder(folder.empty() ? "." : folder.str()) {}

  /// The mapping of the file `location`, shared by all who ask for it.
  /// Errors: an unsafe location, a missing file, a link, not a regular file.
  llvm::Expected<std::shared_ptr<MappedFile>> open(llvm::StringRef location);

  /// Paths of all files that were opened, in the order of their names.
  std::vector<std::string> paths() const;

private:
  std::string folder;
  llvm::StringMap<std::shared_ptr<MappedFile>> files;
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_EXTERNALDATA_H
