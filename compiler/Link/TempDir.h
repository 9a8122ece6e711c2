//===- TempDir.h - Files that are complete or not there ---------------------------*- C++ -*-===//
#ifndef RAPT_COMPILER_LINK_TEMPDIR_H
#define RAPT_COMPILER_LINK_TEMPDIR_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace rapt::link {

/// A folder beside the output, on the same file system: what is finished is renamed into place, the
/// rest goes away with the object, or when SIGINT, SIGTERM or SIGHUP end the program (one folder at
/// a time is watched).
class TempDir {
public:
  TempDir() = default;
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  ~TempDir();

  llvm::Error create(llvm::StringRef output);
  std::string file(const llvm::Twine &name) const;

  /// Writes a file of the folder.
  llvm::Error write(llvm::StringRef path,
                    llvm::function_ref<llvm::Error(llvm::raw_ostream &)> writer) const;
  llvm::Error write(llvm::StringRef path, llvm::StringRef content) const;

  /// Plans a rename of `from`, a file of the folder, to `to`; `commit` does them all in order. The
  /// last is the one that makes use of those before it: where there are several, an old file in its
  /// place goes first, so that nobody meets one that does not fit its companions. When a rename
  /// fails, those before it are undone by removing them.
  void publish(llvm::StringRef from, llvm::StringRef to);
  llvm::Error commit();

private:
  llvm::Error renameAll();

  std::string path;
  llvm::SmallVector<std::pair<std::string, std::string>> renames;
};

/// Runs a program and waits. What it wrote to standard error is part of the error when it fails.
llvm::Error runTool(const TempDir &dir, llvm::StringRef program,
                    llvm::ArrayRef<std::string> arguments);

} // namespace rapt::link

#endif // RAPT_COMPILER_LINK_TEMPDIR_H
