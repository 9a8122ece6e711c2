//===- TempDir.cpp - Files that are complete or not there -------------------------------===//

#include "compiler/Link/TempDir.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

using namespace llvm;
using namespace rapt;

static Error fileError(const Twine &what, StringRef path, std::error_code code) {
  return createStringError(what + " '" + path + "': " + code.message());
}

link::TempDir::~TempDir() {
  if (!path.empty())
    sys::fs::remove_directories(path);
}

Error link::TempDir::create(StringRef output) {
  // Beside the output, so that the rename at the end stays on one file system. createUniquePath would
  // put a relative path under the system's temporary folder.
  SmallString<128> model(output);
  if (std::error_code code = sys::fs::make_absolute(model))
    return fileError("cannot find the folder of", output, code);
  sys::path::remove_filename(model);
  sys::path::append(model, ".rapt-%%%%%%%%%%");
  for (int attempt = 0; attempt < 8; ++attempt) {
    SmallString<128> unique;
    sys::fs::createUniquePath(model, unique, /*MakeAbsolute=*/false);
    std::error_code code =
        sys::fs::create_directory(unique, /*IgnoreExisting=*/false, sys::fs::owner_all);
    if (!code) {
      path = unique.str();
      return Error::success();
    }
    if (code != std::errc::file_exists)
      return fileError("cannot create a folder beside", output, code);
  }
  return createStringError("cannot create a folder beside '" + output + "'");
}

std::string link::TempDir::file(const Twine &name) const {
  SmallString<128> result(path);
  sys::path::append(result, name);
  return result.str().str();
}

Error link::TempDir::write(StringRef path, function_ref<Error(raw_ostream &)> writer) const {
  std::error_code code;
  raw_fd_ostream stream(path, code);
  if (code)
    return fileError("cannot write", path, code);
  Error error = writer(stream);
  stream.close();
  if (stream.has_error()) {
    code = stream.error();
    stream.clear_error();
    return joinErrors(std::move(error), fileError("cannot write", path, code));
  }
  return error;
}

Error link::TempDir::write(StringRef path, StringRef content) const {
  return write(path, [&](raw_ostream &stream) {
    stream << content;
    return Error::success();
  });
}

void link::TempDir::publish(StringRef from, StringRef to) {
  renames.emplace_back(from.str(), to.str());
}

Error link::TempDir::commit() {
  for (size_t i = 0; i < renames.size(); ++i)
    if (std::error_code code = sys::fs::rename(renames[i].first, renames[i].second)) {
      for (size_t done = 0; done < i; ++done)
        sys::fs::remove(renames[done].second);
      return fileError("cannot write", renames[i].second, code);
    }
  return Error::success();
}

Error link::runTool(const TempDir &dir, StringRef program, ArrayRef<std::string> arguments) {
  ErrorOr<std::string> found = sys::findProgramByName(program);
  if (!found)
    return createStringError("cannot find the program '" + program +
                             "': " + found.getError().message());
  SmallVector<StringRef> command{*found};
  command.append(arguments.begin(), arguments.end());
  std::string messages = dir.file("stderr"), reason;
  std::optional<StringRef> redirects[] = {StringRef(), std::nullopt, StringRef(messages)};
  int result = sys::ExecuteAndWait(*found, command, std::nullopt, redirects, 0, 0, &reason);
  if (result == 0)
    return Error::success();
  std::string said;
  if (ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(messages))
    said = (*buffer)->getBuffer().trim().str();
  return createStringError("'" + *found + "' failed with status " + Twine(result) +
                           (reason.empty() ? "" : " (" + reason + ")") +
                           (said.empty() ? "" : ": " + said));
}
