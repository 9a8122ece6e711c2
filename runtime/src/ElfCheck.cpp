//===- ElfCheck.cpp - Is this file a whole, undamaged model library? ---------*- C++ -*-===//
//
// ELF headers -> segments -> sections -> seal: the first say what kind of file it is and where it
// was cut, the seal says whether any byte of it changed. The file is read with pread, never mapped:
// one that shrinks meanwhile gives a short read. Offsets are compared in 64 bits by subtraction, so
// that no sum can wrap.
//===------------------------------------------------------------------------------------===//
#include "ElfCheck.h"
#include "Checksum.h"
#include "Error.h"
#include "rapt_abi.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

using namespace rapt;

namespace {

class Checker {
public:
  Checker(const char *path, int file, uint64_t size) : path(path), file(file), size(size) {}

  rapt_status check() {
    if (rapt_status status = checkHeader())
      return status;
    if (rapt_status status = checkSegments())
      return status;
    if (rapt_status status = checkSections())
      return status;
    return checkSeal();
  }

private:
  rapt_status truncated(const char *what, uint64_t offset, uint64_t bytes) {
    return fail(RAPT_ERROR_FORMAT,
                "'%s' is truncated: %s needs %llu bytes at offset %llu, the file has %llu", path,
                what, (unsigned long long)bytes, (unsigned long long)offset,
                (unsigned long long)size);
  }

  bool holds(uint64_t offset, uint64_t bytes) const {
    return offset <= size && bytes <= size - offset;
  }

  bool readAt(uint64_t offset, void *to, size_t bytes) const {
    return holds(offset, bytes) && pread(file, to, bytes, off_t(offset)) == ssize_t(bytes);
  }

  rapt_status checkHeader() {
    if (size < SELFMAG || !readAt(0, header.e_ident, SELFMAG) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
      return fail(RAPT_ERROR_FORMAT,
                  "'%s' is not a compiled model: expected a shared library (ELF)", path);
    if (!readAt(0, &header, sizeof header))
      return truncated("the ELF header", 0, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_X86_64)
      return fail(RAPT_ERROR_FORMAT,
                  "'%s' is not for this machine: ELF machine %d, expected %d (x86-64)", path,
                  int(header.e_machine), EM_X86_64);
    if (header.e_type != ET_DYN)
      return fail(RAPT_ERROR_FORMAT, "'%s' is not a shared library: ELF type %d, expected %d", path,
                  int(header.e_type), ET_DYN);
    return RAPT_OK;
  }

  rapt_status checkSegments() {
    if (header.e_phnum == 0 || header.e_phentsize != sizeof(Elf64_Phdr))
      return fail(RAPT_ERROR_FORMAT, "'%s' is damaged: %d program headers of %d bytes", path,
                  int(header.e_phnum), int(header.e_phentsize));
    bool dynamic = false;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      Elf64_Phdr segment;
      // A start past the end of the file fails in holds(); the product has at most 22 bits.
      uint64_t offset = header.e_phoff + uint64_t(i) * sizeof segment;
      if (header.e_phoff > size || !readAt(offset, &segment, sizeof segment))
        return truncated("a program header", offset, sizeof segment);
      if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz)
        return fail(RAPT_ERROR_FORMAT, "'%s' is damaged: segment %u has more bytes than memory",
                    path, i);
      if (segment.p_type != PT_NULL && !holds(segment.p_offset, segment.p_filesz))
        return truncated("a segment", segment.p_offset, segment.p_filesz);
      dynamic |= segment.p_type == PT_DYNAMIC;
      program |= segment.p_type == PT_INTERP;
    }
    if (!dynamic)
      return fail(RAPT_ERROR_FORMAT, "'%s' is not a shared library: it has no dynamic segment",
                  path);
    return RAPT_OK;
  }

  /// Section headers stand at the end of a linked file, so they also tell of a cut after the
  /// segments.
  rapt_status checkSections() {
    if (header.e_shnum == 0)
      return RAPT_OK;
    if (header.e_shentsize != sizeof(Elf64_Shdr))
      return fail(RAPT_ERROR_FORMAT, "'%s' is damaged: section headers of %d bytes", path,
                  int(header.e_shentsize));
    for (unsigned i = 0; i < header.e_shnum; ++i) {
      Elf64_Shdr section;
      uint64_t offset = header.e_shoff + uint64_t(i) * sizeof section;
      if (header.e_shoff > size || !readAt(offset, &section, sizeof section))
        return truncated("a section header", offset, sizeof section);
      if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
          !holds(section.sh_offset, section.sh_size))
        return truncated("a section", section.sh_offset, section.sh_size);
    }
    return RAPT_OK;
  }

  /// Everything but the weights, whose pages stay unread, against the checksum at the end.
  rapt_status checkSeal() {
    rapt_abi_seal seal;
    if (size < sizeof seal || !readAt(size - sizeof seal, &seal, sizeof seal) ||
        seal.magic != RAPT_ABI_SEAL_MAGIC || seal.file_bytes != size) {
      if (program)
        return fail(RAPT_ERROR_FORMAT,
                    "'%s' is a program, expected a shared library: if raptc made it, run it itself",
                    path);
      return fail(RAPT_ERROR_FORMAT,
                  "'%s' is truncated, damaged or not a compiled model: it does not end in raptc's "
                  "seal",
                  path);
    }
    if (!holds(seal.weights_offset, seal.weights_bytes))
      return truncated("the weights", seal.weights_offset, seal.weights_bytes);
    Crc32 sum;
    uint64_t rest = seal.weights_offset + seal.weights_bytes;
    uint64_t end = size - sizeof seal + offsetof(rapt_abi_seal, checksum);
    if (!addBytes(sum, 0, seal.weights_offset) || !addBytes(sum, rest, end))
      return fail(RAPT_ERROR_FILE, "cannot read '%s'", path);
    if (sum.value() != seal.checksum)
      return fail(RAPT_ERROR_FORMAT, "'%s' is damaged: its checksum is 0x%08x, expected 0x%08x",
                  path, sum.value(), seal.checksum);
    return RAPT_OK;
  }

  bool addBytes(Crc32 &sum, uint64_t from, uint64_t to) const {
    char buffer[1 << 14];
    while (from < to) {
      size_t bytes = to - from < sizeof buffer ? size_t(to - from) : sizeof buffer;
      if (!readAt(from, buffer, bytes))
        return false;
      sum.add(buffer, bytes);
      from += bytes;
    }
    return true;
  }

  const char *path;
  int file;
  uint64_t size;
  Elf64_Ehdr header = {};
  bool program = false; ///< the file asks for a loader of programs
};

} // namespace

rapt_status rapt::checkSharedObject(const char *path, int file, uint64_t size) {
  return Checker(path, file, size).check();
}
