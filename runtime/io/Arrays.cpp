//===- Arrays.cpp - Named arrays from and to .npy and .npz files -------------*- C++ -*-===//
//
// A file is read as a whole (never mapped: another process may shorten it), then each array is
// copied out of it into memory of its own.
//===------------------------------------------------------------------------------------===//
#include "Arrays.h"
#include "Npy.h"
#include "OutputFile.h"
#include "Zip.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rapt::io;

//===-- Array -----------------------------------------------------------------------------===//

Array::~Array() {
  free(const_cast<char *>(tensor.name));
  free(tensor.data);
}

void Array::swap(Array &other) {
  rapt_tensor mine = tensor;
  tensor = other.tensor;
  other.tensor = mine;
}

bool Array::setName(const char *name, size_t length, IoError &error) {
  char *copy = static_cast<char *>(malloc(length + 1));
  if (!copy)
    return error.fail("out of memory");
  memcpy(copy, name, length);
  copy[length] = 0;
  free(const_cast<char *>(tensor.name));
  tensor.name = copy;
  return true;
}

bool Array::allocate(const rapt_tensor &like, IoError &error) {
  const char *name = like.name ? like.name : "";
  if (!setName(name, strlen(name), error))
    return false;
  tensor.dtype = like.dtype;
  tensor.rank = like.rank;
  memcpy(tensor.dims, like.dims, sizeof tensor.dims);
  uint64_t size = bytes();
  if ((size == 0 && !isEmpty()) || size > uint64_t(INT64_MAX) - 64)
    return error.fail("array '%s' has more than 2^63 - 65 bytes", name);
  tensor.data = aligned_alloc(64, size == 0 ? 64 : (size + 63) & ~uint64_t(63));
  if (!tensor.data)
    return error.fail("out of memory: array '%s' has %llu bytes", name, (unsigned long long)size);
  memset(tensor.data, 0, size);
  return true;
}

bool Array::isEmpty() const {
  for (int32_t i = 0; i < tensor.rank; ++i)
    if (tensor.dims[i] == 0)
      return true;
  return false;
}

int64_t Array::numElements() const {
  int32_t each = rapt_dtype_bytes(tensor.dtype);
  return each ? int64_t(bytes()) / each : 0;
}

//===-- Reading ---------------------------------------------------------------------------===//

namespace {

/// Memory from malloc that ends with its scope.
struct Buffer {
  unsigned char *data = nullptr;
  size_t size = 0;
  Buffer() = default;
  Buffer(const Buffer &) = delete;
  ~Buffer() { free(data); }
  bool allocate(uint64_t bytes) {
    size = bytes;
    data = static_cast<unsigned char *>(malloc(bytes ? bytes : 1));
    return data != nullptr;
  }
};

bool readFile(const char *path, Buffer &buffer, IoError &error) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    return error.fail("cannot open '%s': %s", path, strerror(errno));
  struct stat info;
  bool ok = false;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    error.fail("'%s' is not a regular file", path);
  } else if (!buffer.allocate(uint64_t(info.st_size))) {
    error.fail("out of memory: '%s' has %llu bytes", path, (unsigned long long)info.st_size);
  } else {
    size_t done = 0;
    ssize_t got = 1;
    while (done < buffer.size && (got = read(file, buffer.data + done, buffer.size - done)) > 0)
      done += size_t(got);
    ok = got >= 0 || error.fail("cannot read '%s': %s", path, strerror(errno));
    buffer.size = done;
  }
  close(file);
  return ok;
}

/// Copies column-major data to row-major: counts through the dims with the last one fastest.
void copyFortran(const rapt_tensor &to, const unsigned char *from) {
  int64_t strides[RAPT_MAX_RANK], index[RAPT_MAX_RANK] = {}, stride = 1;
  for (int32_t d = 0; d < to.rank; ++d) {
    strides[d] = stride;
    stride *= to.dims[d];
  }
  size_t each = size_t(rapt_dtype_bytes(to.dtype));
  char *out = static_cast<char *>(to.data);
  for (int64_t element = 0, source = 0; element < stride; ++element, out += each) {
    memcpy(out, from + size_t(source) * each, each);
    for (int32_t d = to.rank - 1; d >= 0; --d) {
      source += strides[d];
      if (++index[d] < to.dims[d])
        break;
      source -= strides[d] * to.dims[d];
      index[d] = 0;
    }
  }
}

bool addNpy(const unsigned char *bytes, size_t size, const char *label, const char *name,
            size_t nameLength, List<Array> &arrays, IoError &error) {
  NpyHeader header;
  if (!parseNpyHeader(bytes, size, label, header, error))
    return false;
  Array *array = arrays.add();
  if (!array)
    return error.fail("out of memory");
  if (!array->allocate(header.tensor, error) || !array->setName(name, nameLength, error))
    return false;
  const unsigned char *data = bytes + header.dataOffset;
  if (header.fortranOrder)
    copyFortran(array->tensor, data);
  else
    memcpy(array->tensor.data, data, array->bytes());
  return true;
}

bool readNpz(const Buffer &file, const char *path, List<Array> &arrays, IoError &error) {
  List<ZipMember> members;
  if (!listZip(file.data, file.size, path, members, error))
    return false;
  for (const ZipMember &member : members) {
    Buffer content;
    if (!content.allocate(member.bytes))
      return error.fail("out of memory: '%s'", path);
    if (!unpack(member, path, content.data, error))
      return false;
    constexpr size_t suffix = 4; // ".npy"
    size_t length = member.nameLength;
    if (length > suffix && memcmp(member.name + length - suffix, ".npy", suffix) == 0)
      length -= suffix;
    if (!addNpy(content.data, content.size, path, member.name, length, arrays, error))
      return false;
  }
  return true;
}

} // namespace

bool rapt::io::readArrays(const char *path, List<Array> &arrays, IoError &error) {
  Buffer file;
  if (!readFile(path, file, error))
    return false;
  if (file.size >= 2 && memcmp(file.data, "PK", 2) == 0)
    return readNpz(file, path, arrays, error);
  return addNpy(file.data, file.size, path, "", 0, arrays, error);
}

//===-- Writing ---------------------------------------------------------------------------===//

bool rapt::io::writeNpy(const char *path, const rapt_tensor &tensor, IoError &error) {
  OutputFile output(path, error);
  if (!output.opened())
    return false;
  char header[512];
  fwrite(header, 1, formatNpyHeader(tensor, header, sizeof header), output.file);
  fwrite(tensor.data, 1, rapt_tensor_bytes(&tensor), output.file);
  return output.commit();
}

bool rapt::io::writeNpz(const char *path, const rapt_tensor *tensors, int32_t count,
                        IoError &error) {
  OutputFile output(path, error);
  if (!output.opened())
    return false;
  ZipWriter zip(output.file);
  for (int32_t i = 0; i < count; ++i) {
    char header[512], name[256];
    size_t headerBytes = formatNpyHeader(tensors[i], header, sizeof header);
    int length = snprintf(name, sizeof name, "%s.npy", tensors[i].name);
    if (length < 0 || size_t(length) >= sizeof name)
      return error.fail("cannot write '%s': the name '%s' is too long", path, tensors[i].name);
    if (!zip.add(name, header, headerBytes, tensors[i].data, rapt_tensor_bytes(&tensors[i])))
      return error.fail("cannot write '%s': more than 4 GB, or out of memory", path);
  }
  if (!zip.finish())
    return error.fail("cannot write '%s': more than 4 GB", path);
  return output.commit();
}
