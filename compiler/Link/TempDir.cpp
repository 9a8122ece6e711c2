//===- TempDir.cpp - Files that are complete or not there -------------------------------===//
//
// The folder's life: create -> write, runTool -> publish -> commit -> gone. It goes too when an
// error or a signal (SIGINT, SIGTERM, SIGHUP) ends the program on the way.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/TempDir.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <linux/limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace llvm;
using namespace rapt;

//===-- Signals ---------------------------------------------------------------------------===//

namespace {

constexpr int endingSignals[] = {SIGINT, SIGTERM, SIGHUP};

/// What the handler knows: the folder of the one TempDir that is watched, "" when there is none.
char watchedFolder[PATH_MAX];
struct sigaction handlersBefore[std::size(endingSignals)];

/// An entry as getdents64 writes it.
struct DirectoryEntry {
  uint64_t inode;
  int64_t next;
  uint16_t bytes;
  uint8_t type;
  char name[1];
};

/// Removes the watched folder with system calls alone: memory may be in any state here. A linker
/// that still runs may add files meanwhile, hence the attempts.
void removeWatchedFolder() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (rmdir(watchedFolder) == 0 || errno != ENOTEMPTY)
      return;
    int folder = open(watchedFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
      return;
    alignas(DirectoryEntry) char buffer[4096];
    for (long got; (got = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;)
      for (long at = 0; at < got;) {
        auto *entry = reinterpret_cast<DirectoryEntry *>(buffer + at);
        unlinkat(folder, entry->name, 0); // fails for "." and ".."
        at += entry->bytes;
      }
    close(folder);
  }
}

void handleSignal(int signal) {
  removeWatchedFolder();
  for (auto [number, before] : zip(endingSignals, handlersBefore))
    if (number == signal)
      sigaction(signal, &before, nullptr);
  raise(signal); // blocked until this returns; then what would have happened without the handler
}

sigset_t endingSignalSet() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : endingSignals)
    sigaddset(&set, signal);
  return set;
}

void watch(StringRef folder) {
  if (watchedFolder[0] || folder.size() >= sizeof watchedFolder)
    return;
  std::memcpy(watchedFolder, folder.data(), folder.size());
  struct sigaction action = {};
  action.sa_handler = handleSignal;
  action.sa_mask = endingSignalSet();
  for (auto [signal, before] : zip(endingSignals, handlersBefore)) {
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) // nohup
      sigaction(signal, &action, nullptr);
  }
}

void unwatch(StringRef folder) {
  if (folder != watchedFolder)
    return;
  for (auto [signal, before] : zip(endingSignals, handlersBefore))
    sigaction(signal, &before, nullptr);
  std::memset(watchedFolder, 0, sizeof watchedFolder);
}

} // namespace

//===-- The folder ------------------------------------------------------------------------===//

static Error fileError(const Twine &what, StringRef path, std::error_code code) {
  return createStringError(what + " '" + path + "': " + code.message());
}

link::TempDir::~TempDir() {
  if (path.empty())
    return;
  sys::fs::remove_directories(path);
  unwatch(path);
}

Error link::TempDir::create(StringRef output) {
  // Beside the output, so that the rename at the end stays on one file system.
  SmallString<128> folder(output);
  if (std::error_code code = sys::fs::make_absolute(folder))
    return fileError("cannot find the folder of", output, code);
  sys::path::remove_filename(folder);
  for (int attempt = 0; attempt < 8; ++attempt) {
    // Only of the name: a '%' in the folder's stays one.
    SmallString<128> name, unique(folder);
    sys::fs::createUniquePath(".rapt-%%%%%%%%%%", name, /*MakeAbsolute=*/false);
    sys::path::append(unique, name);
    std::error_code code =
        sys::fs::create_directory(unique, /*IgnoreExisting=*/false, sys::fs::owner_all);
    if (!code) {
      path = unique.str();
      watch(path);
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
  // The few renames are not interrupted: a signal waits for them.
  sigset_t ending = endingSignalSet(), before;
  pthread_sigmask(SIG_BLOCK, &ending, &before);
  Error error = renameAll();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

Error link::TempDir::renameAll() {
  // Between the first rename and the last, the old artifact would stand beside new companions.
  if (renames.size() > 1)
    sys::fs::remove(renames.back().second);
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
