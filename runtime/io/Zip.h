//===- Zip.h - The part of ZIP that .npz files use ---------------------------*- C++ -*-===//
//
// Format: PKWARE APPNOTE 6.3. Reading: one disk, stored or deflated members, ZIP64 sizes, sizes
// from the central directory, CRC checked. Writing: stored members, archive below 4 GB, fixed
// dates, so the same arrays give the same bytes.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_IO_ZIP_H
#define RAPT_IO_ZIP_H

#include "IoError.h"
#include "List.h"

namespace rapt::io {

struct ZipMember {
  const char *name; ///< in the archive's bytes, without a zero byte at its end
  size_t nameLength;
  uint16_t method; ///< 0 stored, 8 deflated
  uint32_t crc;
  uint64_t packedBytes, bytes;
  const unsigned char *packed;
};

/// Lists the members of the archive in data[0 .. size); what a member names lies within it.
bool listZip(const unsigned char *data, size_t size, const char *path, List<ZipMember> &members,
             IoError &error);

/// Unpacks a member to to[0 .. member.bytes).
bool unpack(const ZipMember &member, const char *path, unsigned char *to, IoError &error);

/// Writes an archive member by member. Errors of `file` are the caller's to check at the end.
class ZipWriter {
public:
  explicit ZipWriter(FILE *file) : file(file) {}

  /// Adds a member whose data is head followed by body. False when the archive would exceed 4 GB or
  /// memory is out.
  bool add(const char *name, const void *head, size_t headBytes, const void *body,
           uint64_t bodyBytes);
  /// Writes the directory; nothing may be added afterwards.
  bool finish();

private:
  struct Entry {
    char name[256];
    uint32_t crc, bytes, offset;
  };
  void writeFields(const Entry &entry, bool inDirectory);

  FILE *file;
  uint64_t offset = 0;
  List<Entry> entries;
};

} // namespace rapt::io

#endif // RAPT_IO_ZIP_H
