//===- Library.cpp - Model libraries that are loaded -------------------------*- C++ -*-===//
//
// One entry a file, by device and inode. The entry keeps its descriptor open, which holds the inode
// and makes /proc/self/fd/N a name that no other loaded library has.
//===------------------------------------------------------------------------------------===//
#include "Library.h"

#include "ElfCheck.h"
#include "Error.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rapt;

struct rapt::Library {
  Library *next;
  void *handle;
  int file;
  dev_t device;
  ino_t inode;
  int users;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Library *loaded; ///< under `lock`

/// Loads the checked `file`, which the entry takes over.
static rapt_status load(const char *path, int file, const struct stat &info, Library **result) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", file);
  // Without /proc the path has to do.
  void *handle = dlopen(access(name, F_OK) == 0 ? name : path, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return fail(RAPT_ERROR_FORMAT, "cannot load '%s': %s", path, dlerror());
  auto *library = static_cast<Library *>(calloc(1, sizeof(Library)));
  if (!library) {
    dlclose(handle);
    return fail(RAPT_ERROR_MEMORY, "out of memory while opening '%s'", path);
  }
  *library = {loaded, handle, file, info.st_dev, info.st_ino, 1};
  *result = loaded = library;
  return RAPT_OK;
}

/// Takes `file` over unless it fails.
static rapt_status openChecked(const char *path, int file, Library **result) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode))
    return fail(RAPT_ERROR_FILE, "'%s' is not a regular file", path);
  if (rapt_status status = checkSharedObject(path, file, uint64_t(info.st_size)))
    return status;
  rapt_status status = RAPT_OK;
  pthread_mutex_lock(&lock);
  Library *found = loaded;
  while (found && (found->device != info.st_dev || found->inode != info.st_ino))
    found = found->next;
  if (found) {
    ++found->users;
    close(file);
    *result = found;
  } else {
    status = load(path, file, info, result);
  }
  pthread_mutex_unlock(&lock);
  return status;
}

rapt_status rapt::openLibrary(const char *path, Library **library) {
  *library = nullptr;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    return fail(RAPT_ERROR_FILE, "cannot open '%s': %s", path, strerror(errno));
  rapt_status status = openChecked(path, file, library);
  if (status)
    close(file);
  return status;
}

void *rapt::findSymbol(const Library *library, const char *name) {
  return dlsym(library->handle, name);
}

void rapt::closeLibrary(Library *library) {
  if (!library)
    return;
  pthread_mutex_lock(&lock);
  if (--library->users == 0) {
    Library **place = &loaded;
    while (*place != library)
      place = &(*place)->next;
    *place = library->next;
    dlclose(library->handle);
    close(library->file);
    free(library);
  }
  pthread_mutex_unlock(&lock);
}
