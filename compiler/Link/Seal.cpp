//===- Seal.cpp - The checksum at the end of a shared library ---------------------------===//
//
// In: an ELF file as the linker left it. Out: the same bytes, then a rapt_abi_seal with their
// CRC-32, which rapt_open verifies before the dynamic loader may touch the file. Weights are left
// out, as opening a model must not read them.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/Seal.h"

#include "compiler/Link/Descriptor.h"
#include "runtime/include/rapt_abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <cstddef>

using namespace llvm;
using namespace rapt;

/// Fills in where the weights are in the file.
static Error findWeights(StringRef bytes, rapt_abi_seal &seal) {
  using File = object::ELFFile<object::ELF64LE>;
  Expected<File> file = File::create(bytes);
  if (!file)
    return file.takeError();
  Expected<File::Elf_Shdr_Range> sections = file->sections();
  if (!sections)
    return sections.takeError();
  for (const File::Elf_Shdr &section : *sections) {
    Expected<StringRef> name = file->getSectionName(section);
    if (!name)
      return name.takeError();
    if (*name != link::kWeightsSection)
      continue;
    seal.weights_offset = section.sh_offset;
    seal.weights_bytes = section.sh_size;
  }
  if (seal.weights_offset > bytes.size() || seal.weights_bytes > bytes.size() - seal.weights_offset)
    return createStringError("the weights are outside of the file");
  return Error::success();
}

Error link::seal(StringRef path) {
  rapt_abi_seal seal = {};
  {
    ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
        MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!buffer)
      return createStringError("cannot read '" + path + "': " + buffer.getError().message());
    StringRef bytes = (*buffer)->getBuffer();
    if (Error error = findWeights(bytes, seal))
      return createStringError("cannot read '" + path + "': " + toString(std::move(error)));
    seal.file_bytes = bytes.size() + sizeof seal;
    seal.magic = RAPT_ABI_SEAL_MAGIC;
    auto add = [&](ArrayRef<uint8_t> part) { seal.checksum = crc32(seal.checksum, part); };
    ArrayRef<uint8_t> all = arrayRefFromStringRef<uint8_t>(bytes);
    ArrayRef<uint8_t> end(reinterpret_cast<const uint8_t *>(&seal),
                          offsetof(rapt_abi_seal, checksum));
    add(all.take_front(seal.weights_offset));
    add(all.drop_front(seal.weights_offset + seal.weights_bytes));
    add(end);
  }
  std::error_code code;
  raw_fd_ostream stream(path, code, sys::fs::CD_OpenExisting, sys::fs::FA_Write,
                        sys::fs::OF_Append);
  if (!code) {
    stream.write(reinterpret_cast<const char *>(&seal), sizeof seal);
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  return code ? createStringError("cannot write '" + path + "': " + code.message())
              : Error::success();
}
