//===- Zip.cpp - The part of ZIP that .npz files use -------------------------*- C++ -*-===//
//
// Only the central directory is believed; a member's local header serves to find where its data
// starts. All positions are compared by subtraction in 64 bits.
//===------------------------------------------------------------------------------------===//
#include "Zip.h"

#include <initializer_list>
#include <string.h>
#include <zlib.h>

using namespace rapt::io;

static uint16_t get16(const unsigned char *p) { return uint16_t(p[0] | p[1] << 8); }
static uint32_t get32(const unsigned char *p) { return get16(p) | uint32_t(get16(p + 2)) << 16; }
static uint64_t get64(const unsigned char *p) { return get32(p) | uint64_t(get32(p + 4)) << 32; }

namespace {

constexpr uint32_t localMagic = 0x04034b50, directoryMagic = 0x02014b50, endMagic = 0x06054b50,
                   end64Magic = 0x06064b50, locator64Magic = 0x07064b50;
constexpr size_t localSize = 30, directorySize = 46, endSize = 22, end64Size = 56,
                 locator64Size = 20;

class Reader {
public:
  Reader(const unsigned char *data, uint64_t size, const char *path, IoError &error)
      : data(data), size(size), path(path), error(error) {}

  bool list(List<ZipMember> &members) {
    uint64_t count, at, bytes;
    if (!findDirectory(count, at, bytes))
      return false;
    if (!holds(at, bytes))
      return damaged("its directory lies outside the file");
    uint64_t end = at + bytes, allPacked = 0;
    for (uint64_t i = 0; i < count; ++i) {
      if (end - at < directorySize || get32(data + at) != directoryMagic)
        return damaged("its directory ends early");
      uint64_t length =
          directorySize + get16(data + at + 28) + get16(data + at + 30) + get16(data + at + 32);
      if (end - at < length)
        return damaged("its directory ends early");
      ZipMember *member = members.add();
      if (!member)
        return error.fail("'%s': out of memory", path);
      if (!readMember(data + at, *member))
        return false;
      // Overlapping members would let a small file unpack without bound.
      allPacked += member->packedBytes;
      if (allPacked > size)
        return damaged("its members overlap");
      at += length;
    }
    return true;
  }

private:
  bool damaged(const char *what) { return error.fail("'%s' is a damaged archive: %s", path, what); }
  bool holds(uint64_t offset, uint64_t bytes) const {
    return offset <= size && bytes <= size - offset;
  }

  /// The end record stands before a comment of up to 65535 bytes.
  bool findDirectory(uint64_t &count, uint64_t &offset, uint64_t &bytes) {
    if (size < endSize)
      return error.fail("'%s' is not a .npz archive", path);
    uint64_t at = size - endSize, stop = at > 65535 ? at - 65535 : 0;
    while (get32(data + at) != endMagic)
      if (at-- == stop)
        return error.fail("'%s' is not a .npz archive, or a truncated one", path);
    count = get16(data + at + 10);
    bytes = get32(data + at + 12);
    offset = get32(data + at + 16);
    bool large = count == 0xffff || bytes == 0xffffffff || offset == 0xffffffff;
    if (!large)
      return true;
    if (at < locator64Size || get32(data + at - locator64Size) != locator64Magic)
      return damaged("its ZIP64 locator is missing");
    uint64_t end64 = get64(data + at - locator64Size + 8);
    if (!holds(end64, end64Size) || get32(data + end64) != end64Magic)
      return damaged("its ZIP64 end record is missing");
    count = get64(data + end64 + 32);
    bytes = get64(data + end64 + 40);
    offset = get64(data + end64 + 48);
    return true;
  }

  /// Reads a directory entry whose name, extra and comment lie in the file.
  bool readMember(const unsigned char *entry, ZipMember &member) {
    member.name = reinterpret_cast<const char *>(entry) + directorySize;
    member.nameLength = get16(entry + 28);
    member.method = get16(entry + 10);
    member.crc = get32(entry + 16);
    member.packedBytes = get32(entry + 20);
    member.bytes = get32(entry + 24);
    uint64_t local = get32(entry + 42);
    if (!readSizes64(entry, member, local))
      return false;
    if (get16(entry + 8) & 1)
      return damaged("a member is encrypted");
    if (member.method != 0 && member.method != 8)
      return error.fail("'%s': member '%.*s' has compression method %d, expected 0 or 8", path,
                        int(member.nameLength), member.name, int(member.method));
    if (!holds(local, localSize) || get32(data + local) != localMagic)
      return damaged("a member is not where the directory says");
    uint64_t start = local + localSize + get16(data + local + 26) + get16(data + local + 28);
    if (!holds(start, member.packedBytes))
      return damaged("a member lies outside the file");
    // Deflate never shrinks data by more than 1032 : 1, so larger claims are lies.
    bool possible = member.method == 0 ? member.bytes == member.packedBytes
                                       : member.bytes / 1032 <= member.packedBytes;
    if (!possible)
      return damaged("a member's sizes contradict each other");
    member.packed = data + start;
    return true;
  }

  /// Replaces fields that read all ones by those of the ZIP64 extra field.
  bool readSizes64(const unsigned char *entry, ZipMember &member, uint64_t &local) {
    const unsigned char *extra = entry + directorySize + member.nameLength;
    const unsigned char *end = extra + get16(entry + 30);
    while (end - extra >= 4) {
      size_t length = get16(extra + 2);
      const unsigned char *field = extra + 4;
      if (size_t(end - field) < length)
        return damaged("an extra field ends early");
      extra = field + length;
      if (get16(field - 4) != 1)
        continue;
      for (uint64_t *value : {&member.bytes, &member.packedBytes, &local}) {
        if (*value != 0xffffffff)
          continue;
        if (extra - field < 8)
          return damaged("a ZIP64 field ends early");
        *value = get64(field);
        field += 8;
      }
    }
    return true;
  }

  const unsigned char *data;
  uint64_t size;
  const char *path;
  IoError &error;
};

} // namespace

bool rapt::io::listZip(const unsigned char *data, size_t size, const char *path,
                       List<ZipMember> &members, IoError &error) {
  return Reader(data, size, path, error).list(members);
}

/// crc32 and inflate count in 32 bits, so both go in pieces.
static constexpr uint64_t piece = 1u << 30;

static uint32_t crcOf(uint32_t crc, const void *data, uint64_t bytes) {
  const unsigned char *at = static_cast<const unsigned char *>(data);
  for (; bytes > 0;) {
    uint64_t now = bytes < piece ? bytes : piece;
    crc = uint32_t(crc32(crc, at, uInt(now)));
    at += now;
    bytes -= now;
  }
  return crc;
}

static bool inflateTo(const ZipMember &member, unsigned char *to) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return false;
  stream.next_in = const_cast<unsigned char *>(member.packed);
  stream.next_out = to;
  uint64_t in = member.packedBytes, out = member.bytes;
  int status = Z_OK;
  while (status == Z_OK) {
    uInt inNow = uInt(in < piece ? in : piece), outNow = uInt(out < piece ? out : piece);
    stream.avail_in = inNow;
    stream.avail_out = outNow;
    status = inflate(&stream, Z_NO_FLUSH);
    in -= inNow - stream.avail_in;
    out -= outNow - stream.avail_out;
  }
  inflateEnd(&stream);
  return status == Z_STREAM_END && out == 0;
}

bool rapt::io::unpack(const ZipMember &member, const char *path, unsigned char *to,
                      IoError &error) {
  if (member.method == 0)
    memcpy(to, member.packed, member.bytes);
  else if (!inflateTo(member, to))
    return error.fail("'%s': member '%.*s' does not unpack to %llu bytes", path,
                      int(member.nameLength), member.name, (unsigned long long)member.bytes);
  uint32_t crc = crcOf(0, to, member.bytes);
  if (crc != member.crc)
    return error.fail("'%s': member '%.*s' has checksum %08x, expected %08x", path,
                      int(member.nameLength), member.name, crc, member.crc);
  return true;
}

//===-- Writing ---------------------------------------------------------------------------===//

static void put(FILE *file, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    putc(int(value >> (8 * i) & 0xff), file);
}

/// The fields that local headers and directory entries share.
void ZipWriter::writeFields(const Entry &entry, bool inDirectory) {
  constexpr uint64_t utf8Names = 0x800, version = 20, firstDate = 0x21; // 1980-01-01
  put(file, version, 2);
  put(file, utf8Names, 2);
  put(file, 0, 2); // stored
  put(file, 0, 2); // midnight
  put(file, firstDate, 2);
  put(file, entry.crc, 4);
  put(file, entry.bytes, 4);
  put(file, entry.bytes, 4);
  put(file, strlen(entry.name), 2);
  put(file, 0, 2); // extra
  if (inDirectory) {
    put(file, 0, 2); // comment
    put(file, 0, 2); // disk
    put(file, 0, 2); // internal attributes
    put(file, 0, 4); // external attributes
    put(file, entry.offset, 4);
  }
  fputs(entry.name, file);
}

bool ZipWriter::add(const char *name, const void *head, size_t headBytes, const void *body,
                    uint64_t bodyBytes) {
  Entry *entry = entries.add();
  uint64_t bytes = headBytes + bodyBytes;
  if (!entry || strlen(name) >= sizeof entry->name || bodyBytes > 0xffffffff ||
      offset + bytes + sizeof(Entry) > 0xffffffff || entries.size() >= 0xffff)
    return false;
  strcpy(entry->name, name);
  entry->crc = crcOf(crcOf(0, head, headBytes), body, bodyBytes);
  entry->bytes = uint32_t(bytes);
  entry->offset = uint32_t(offset);
  put(file, localMagic, 4);
  writeFields(*entry, false);
  fwrite(head, 1, headBytes, file);
  fwrite(body, 1, bodyBytes, file);
  offset += localSize + strlen(name) + bytes;
  return true;
}

bool ZipWriter::finish() {
  uint64_t bytes = 0;
  for (const Entry &entry : entries) {
    put(file, directoryMagic, 4);
    put(file, 20, 2); // made by: MS-DOS, version 2.0
    writeFields(entry, true);
    bytes += directorySize + strlen(entry.name);
  }
  if (offset + bytes > 0xffffffff)
    return false;
  put(file, endMagic, 4);
  put(file, 0, 4); // disks
  put(file, entries.size(), 2);
  put(file, entries.size(), 2);
  put(file, bytes, 4);
  put(file, offset, 4);
  put(file, 0, 2); // comment
  return true;
}
