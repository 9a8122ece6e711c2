//===- Embed.cpp - The weights' bytes into a linked file --------------------------------===//
//
// In:  an ELF file in which the weights are a section without bytes: the assembler and the linker
//      never see them, so neither holds them in memory.
// Out: the same with the bytes in it. In a relocatable object they follow at the end. In a linked
//      file they are inserted where their segment's bytes end; what comes after moves by whole
//      pages, so that offsets and addresses still agree within a page.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/Embed.h"

#include "compiler/Link/Descriptor.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace rapt;
using File = object::ELFFile<object::ELF64LE>;

// Of x86-64, and what the linker aligns segments to.
static constexpr uint64_t kPage = 4096;

namespace {

/// Where the bytes go: after `cut` bytes of the linked file, at `offset`, and what stood behind
/// `cut` follows `moved` bytes later.
struct Place {
  uint64_t cut, offset, moved;
};

class Embedder {
public:
  explicit Embedder(WritableMemoryBuffer &buffer) : buffer(buffer) {}

  Expected<Place> place() {
    Expected<File> opened = File::create(StringRef(buffer.getBufferStart(), bytes()));
    if (!opened)
      return opened.takeError();
    Expected<File::Elf_Shdr_Range> headers = opened->sections();
    if (!headers)
      return headers.takeError();
    // Both tables lie in the buffer, which is writable.
    sections = {const_cast<File::Elf_Shdr *>(headers->begin()), headers->size()};
    for (File::Elf_Shdr &section : sections) {
      Expected<StringRef> name = opened->getSectionName(section);
      if (!name)
        return name.takeError();
      if (*name == link::kWeightsSection)
        weights = &section;
    }
    if (!weights || weights->sh_type != ELF::SHT_NOBITS)
      return createStringError("it has no section '" + link::kWeightsSection + "' without bytes");
    if (opened->getHeader().e_type == ELF::ET_REL) {
      uint64_t offset = alignTo(bytes(), kPage);
      return fill({bytes(), offset, offset + weights->sh_size - bytes()});
    }
    Expected<File::Elf_Phdr_Range> segments = opened->program_headers();
    if (!segments)
      return segments.takeError();
    return makeRoom({const_cast<File::Elf_Phdr *>(segments->begin()), segments->size()});
  }

private:
  size_t bytes() const { return buffer.getBufferSize(); }

  Place fill(Place place) {
    weights->sh_type = ELF::SHT_PROGBITS;
    weights->sh_offset = place.offset;
    return place;
  }

  Expected<Place> makeRoom(MutableArrayRef<File::Elf_Phdr> segments) {
    auto *home = find_if(segments, [&](const File::Elf_Phdr &segment) {
      return segment.p_type == ELF::PT_LOAD && segment.p_vaddr <= weights->sh_addr &&
             weights->sh_addr - segment.p_vaddr < segment.p_memsz;
    });
    uint64_t end = weights->sh_addr + weights->sh_size;
    if (home == segments.end() || home->p_vaddr + home->p_memsz != end ||
        home->p_vaddr + home->p_filesz > weights->sh_addr || (home->p_flags & ELF::PF_W))
      return createStringError("the section '" + link::kWeightsSection +
                               "' is not the end of a read-only segment");
    Place place{home->p_offset + home->p_filesz, home->p_offset + weights->sh_addr - home->p_vaddr,
                0};
    if (place.cut > bytes())
      return createStringError("a segment ends outside of the file");
    place.moved = alignTo(place.offset + weights->sh_size - place.cut, kPage);
    home->p_filesz = home->p_memsz;
    auto move = [&](auto &offset) {
      if (offset >= place.cut)
        offset = offset + place.moved;
    };
    for (File::Elf_Phdr &segment : segments)
      if (&segment != home)
        move(segment.p_offset);
    for (File::Elf_Shdr &section : sections)
      move(section.sh_offset);
    move(reinterpret_cast<File::Elf_Ehdr *>(buffer.getBufferStart())->e_shoff);
    return fill(place);
  }

  WritableMemoryBuffer &buffer;
  MutableArrayRef<File::Elf_Shdr> sections;
  File::Elf_Shdr *weights = nullptr;
};

} // namespace

Error link::embedWeights(StringRef linked, raw_ostream &stream,
                         function_ref<Error(raw_ostream &)> writeWeights) {
  ErrorOr<std::unique_ptr<WritableMemoryBuffer>> buffer = WritableMemoryBuffer::getFile(linked);
  if (!buffer)
    return createStringError("cannot read '" + linked + "': " + buffer.getError().message());
  Expected<Place> place = Embedder(**buffer).place();
  if (!place)
    return createStringError("cannot put weights into '" + linked +
                             "': " + toString(place.takeError()));
  StringRef bytes((*buffer)->getBufferStart(), (*buffer)->getBufferSize());
  stream << bytes.take_front(place->cut);
  stream.write_zeros(place->offset - place->cut);
  uint64_t before = stream.tell();
  if (Error error = writeWeights(stream))
    return error;
  uint64_t written = stream.tell() - before;
  stream.write_zeros(place->cut + place->moved - place->offset - written);
  stream << bytes.drop_front(place->cut);
  return Error::success();
}
