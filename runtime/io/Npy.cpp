//===- Npy.cpp - The header of a .npy file -----------------------------------*- C++ -*-===//
//
// A small parser for the one kind of Python literal that numpy writes. Keys may come in any order;
// each must be there; anything else is an error.
//===------------------------------------------------------------------------------------===//
#include "Npy.h"

#include <initializer_list>
#include <string.h>

using namespace rapt::io;

namespace {

struct TypeRow {
  const char *code; ///< without the byte order
  int32_t dtype;
};
constexpr TypeRow typeRows[] = {
    {"f4", RAPT_F32}, {"u1", RAPT_U8},  {"i1", RAPT_I8},   {"u2", RAPT_U16}, {"i2", RAPT_I16},
    {"i4", RAPT_I32}, {"i8", RAPT_I64}, {"b1", RAPT_BOOL}, {"f2", RAPT_F16}, {"f8", RAPT_F64},
    {"u4", RAPT_U32}, {"u8", RAPT_U64}, {"V2", RAPT_BF16},
};

class Parser {
public:
  Parser(const char *begin, const char *end, const char *name, NpyHeader &header, IoError &error)
      : at(begin), end(end), name(name), header(header), error(error) {}

  bool parse() {
    bool hasType = false, hasOrder = false, hasShape = false;
    if (!take('{'))
      return damaged("expected a dict");
    while (!take('}')) {
      char key[32];
      if (!takeString(key, sizeof key) || !take(':'))
        return damaged("expected a key");
      bool *has = strcmp(key, "descr") == 0           ? &hasType
                  : strcmp(key, "fortran_order") == 0 ? &hasOrder
                  : strcmp(key, "shape") == 0         ? &hasShape
                                                      : nullptr;
      if (!has || *has)
        return damaged("an unknown or repeated key");
      *has = true;
      if (!(has == &hasType ? takeType() : has == &hasOrder ? takeOrder() : takeShape()))
        return false;
      if (!take(',') && !peek('}'))
        return damaged("expected a comma");
    }
    return hasType && hasOrder && hasShape ? true : damaged("a key is missing");
  }

private:
  bool damaged(const char *what) { return error.fail("'%s': npy header: %s", name, what); }

  void skipSpace() {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t'))
      ++at;
  }
  bool peek(char c) {
    skipSpace();
    return at < end && *at == c;
  }
  bool take(char c) {
    if (!peek(c))
      return false;
    ++at;
    return true;
  }
  bool takeString(char *text, size_t size) {
    char quote = peek('"') ? '"' : '\'';
    if (!take(quote))
      return false;
    size_t length = 0;
    while (at < end && *at != quote && length + 1 < size)
      text[length++] = *at++;
    text[length] = 0;
    return take(quote);
  }

  bool takeType() {
    char text[16];
    if (!takeString(text, sizeof text))
      return damaged("structured element types are not supported");
    if (*text == '>')
      return error.fail("'%s': big-endian data ('%s') is not supported", name, text);
    bool order = *text == '<' || *text == '|' || *text == '=';
    for (const TypeRow &row : typeRows)
      if (strcmp(text + order, row.code) == 0) {
        header.tensor.dtype = row.dtype;
        return true;
      }
    return error.fail("'%s': element type '%s' is not supported", name, text);
  }

  bool takeOrder() {
    skipSpace();
    for (const char *word : {"False", "True"}) {
      size_t length = strlen(word);
      if (size_t(end - at) >= length && memcmp(at, word, length) == 0) {
        at += length;
        header.fortranOrder = *word == 'T';
        return true;
      }
    }
    return damaged("fortran_order is neither True nor False");
  }

  bool takeShape() {
    if (!take('('))
      return damaged("shape is not a tuple");
    rapt_tensor &tensor = header.tensor;
    while (!take(')')) {
      if (tensor.rank == RAPT_MAX_RANK)
        return error.fail("'%s': more than %d dims", name, RAPT_MAX_RANK);
      int64_t dim = 0;
      skipSpace();
      const char *first = at;
      for (; at < end && *at >= '0' && *at <= '9'; ++at)
        if (__builtin_mul_overflow(dim, int64_t(10), &dim) ||
            __builtin_add_overflow(dim, int64_t(*at - '0'), &dim))
          return damaged("a dim is too large");
      if (at == first)
        return damaged("a dim is not a number");
      take('L'); // written by Python 2
      tensor.dims[tensor.rank++] = dim;
      if (!take(',') && !peek(')'))
        return damaged("expected a comma in shape");
    }
    return true;
  }

  const char *at, *end, *name;
  NpyHeader &header;
  IoError &error;
};

} // namespace

bool rapt::io::parseNpyHeader(const unsigned char *bytes, size_t size, const char *name,
                              NpyHeader &header, IoError &error) {
  if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
    return error.fail("'%s' is not a .npy file", name);
  unsigned version = bytes[6];
  if (version < 1 || version > 3)
    return error.fail("'%s': npy version %u, expected 1 to 3", name, version);
  size_t begin = version == 1 ? 10 : 12;
  size_t length = bytes[8] | size_t(bytes[9]) << 8;
  if (version > 1) {
    if (size < begin)
      return error.fail("'%s' is truncated in its npy header", name);
    length |= size_t(bytes[10]) << 16 | size_t(bytes[11]) << 24;
  }
  if (length > size - begin)
    return error.fail("'%s' is truncated: npy header of %zu bytes, the file has %zu", name, length,
                      size);
  header = {};
  const char *text = reinterpret_cast<const char *>(bytes) + begin;
  if (!Parser(text, text + length, name, header, error).parse())
    return false;
  header.dataOffset = begin + length;
  uint64_t needed = rapt_tensor_bytes(&header.tensor);
  bool isEmpty = false;
  for (int32_t i = 0; i < header.tensor.rank; ++i)
    isEmpty |= header.tensor.dims[i] == 0;
  if (needed == 0 && !isEmpty)
    return error.fail("'%s': the array has more than 2^63 - 1 bytes", name);
  if (needed > size - header.dataOffset)
    return error.fail("'%s' is truncated: %llu bytes of data, expected %llu", name,
                      (unsigned long long)(size - header.dataOffset), (unsigned long long)needed);
  return true;
}

size_t rapt::io::formatNpyHeader(const rapt_tensor &tensor, char *text, size_t capacity) {
  const char *code = "V2";
  for (const TypeRow &row : typeRows)
    if (row.dtype == tensor.dtype)
      code = row.code;
  char order = rapt_dtype_bytes(tensor.dtype) == 1 || tensor.dtype == RAPT_BF16 ? '|' : '<';
  size_t length = 10;
  auto append = [&](auto... parts) {
    length += size_t(snprintf(text + length, capacity - length, parts...));
  };
  append("{'descr': '%c%s', 'fortran_order': False, 'shape': (", order, code);
  for (int32_t i = 0; i < tensor.rank; ++i)
    append(i == 0 ? "%lld," : i + 1 < tensor.rank ? " %lld," : " %lld", (long long)tensor.dims[i]);
  append("%s", "), }");
  while ((length + 1) % 64 != 0)
    text[length++] = ' ';
  text[length++] = '\n';
  memcpy(text, "\x93NUMPY\x01\x00", 8);
  text[8] = char((length - 10) & 0xff);
  text[9] = char((length - 10) >> 8);
  return length;
}
