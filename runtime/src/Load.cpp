//===- Load.cpp - Opening and closing models ---------------------------------*- C++ -*-===//
//
// path -> whole, sealed ELF file? -> loaded -> rapt_model symbol -> tables and CPU -> weights. Each
// step has its own status code; what was acquired before a failing step is released.
//===------------------------------------------------------------------------------------===//
#include "Error.h"
#include "Library.h"
#include "Model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rapt;

/// Maps `name`, which must be a plain file name, from the folder of `artifact`.
static rapt_status mapWeightsFile(rapt_model *model, const char *artifact) {
  const char *name = model->abi->weights_file;
  uint64_t expected = model->abi->weights_bytes;
  if (!*name || strchr(name, '/') || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
    return fail(RAPT_ERROR_FORMAT, "'%s' names the weights file '%s', expected a plain file name",
                artifact, name);
  char path[PATH_MAX];
  const char *slash = strrchr(artifact, '/');
  size_t folder = slash ? size_t(slash - artifact) + 1 : 0;
  if (folder + strlen(name) >= sizeof path)
    return fail(RAPT_ERROR_FILE, "the path of the weights file '%s' is too long", name);
  memcpy(path, artifact, folder);
  strcpy(path + folder, name);

  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    return fail(RAPT_ERROR_FILE, "cannot open the weights file '%s': %s", path, strerror(errno));
  struct stat info;
  rapt_status status = RAPT_OK;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    status = fail(RAPT_ERROR_FILE, "the weights file '%s' is not a regular file", path);
  } else if (uint64_t(info.st_size) != expected) {
    status = fail(RAPT_ERROR_FORMAT, "the weights file '%s' has %llu bytes, expected %llu", path,
                  (unsigned long long)info.st_size, (unsigned long long)expected);
  } else if (expected > 0) {
    void *mapping = mmap(nullptr, expected, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapping == MAP_FAILED) {
      status =
          fail(RAPT_ERROR_MEMORY, "cannot map the weights file '%s': %s", path, strerror(errno));
    } else {
      model->mapping = mapping;
      model->mappingBytes = expected;
      model->weights = mapping;
    }
  }
  close(file);
  return status;
}

/// Makes the handle for checked tables; takes over `library` even on failure.
static rapt_status adopt(const rapt_abi_model *abi, Library *library, const char *path,
                         rapt_model **result) {
  rapt_model *model = nullptr;
  rapt_status status = checkModel(abi, path);
  if (!status) {
    model = static_cast<rapt_model *>(calloc(1, sizeof(rapt_model)));
    if (!model)
      status = fail(RAPT_ERROR_MEMORY, "out of memory while opening '%s'", path);
  }
  if (status) {
    closeLibrary(library);
    return status;
  }
  model->abi = abi;
  model->weights = abi->weights;
  model->library = library;
  model->references.store(1);
  for (int32_t i = 0; i < abi->num_outputs; ++i)
    model->numOutputDims += abi->outputs[i].rank;
  if (abi->weights_file)
    status = mapWeightsFile(model, path);
  else if (abi->weights_bytes && !abi->weights)
    status = fail(RAPT_ERROR_FORMAT, "'%s' is damaged: it has no weights", path);
  if (status) {
    release(model);
    return status;
  }
  *result = model;
  return RAPT_OK;
}

rapt_status rapt_open(const char *path, rapt_model **model) {
  if (!model)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_open: the model pointer is null");
  *model = nullptr;
  if (!path)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_open: the path is null");
  // What a side file stands beside, also when the working directory or a link changes.
  char absolute[PATH_MAX];
  if (!realpath(path, absolute))
    return fail(RAPT_ERROR_FILE, "cannot open '%s': %s", path, strerror(errno));
  Library *library;
  if (rapt_status status = openLibrary(absolute, &library))
    return status;
  void *symbol = findSymbol(library, RAPT_ABI_SYMBOL);
  if (!symbol) {
    closeLibrary(library);
    return fail(RAPT_ERROR_FORMAT, "'%s' is not a compiled model: it has no symbol '%s'", path,
                RAPT_ABI_SYMBOL);
  }
  return adopt(static_cast<const rapt_abi_model *>(symbol), library, absolute, model);
}

rapt_status rapt_open_static(const rapt_abi_model *abi, rapt_model **model) {
  if (!model)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_open_static: the model pointer is null");
  *model = nullptr;
  if (!abi)
    return fail(RAPT_ERROR_ARGUMENT, "rapt_open_static: the model tables are null");
  char executable[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
  executable[length > 0 ? length : 0] = 0;
  return adopt(abi, nullptr, executable, model);
}

void rapt::release(rapt_model *model) {
  if (model->references.fetch_sub(1) != 1)
    return;
  if (model->mapping)
    munmap(model->mapping, model->mappingBytes);
  closeLibrary(model->library);
  free(model);
}

void rapt_close(rapt_model *model) {
  if (model)
    release(model);
}
