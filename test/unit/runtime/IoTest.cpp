//===- IoTest.cpp - .npy and .npz files, good and hostile --------------------*- C++ -*-===//

#include "Arrays.h"
#include "Helpers.h"
#include "Json.h"
#include "Npy.h"
#include "Scalar.h"

#include <cmath>
#include <random>
#include <zlib.h>

using namespace rapt::io;

/// The bytes of a .npy file of the given version around a header and data.
static std::string npy(const std::string &header, const std::string &data, int version = 1) {
  std::string bytes = "\x93NUMPY" + std::string{char(version), 0};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    bytes += char(header.size() >> (8 * i));
  return bytes + header + data;
}

static std::string dict(const std::string &descr, const std::string &order,
                        const std::string &shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

static bool parses(const std::string &bytes, std::string *text = nullptr) {
  NpyHeader header;
  IoError error;
  bool ok = parseNpyHeader(reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(),
                           "a.npy", header, error);
  if (text)
    *text = error.text;
  return ok;
}

TEST(Npy, VersionsAndSpellings) {
  std::string data(24, 'x');
  for (int version : {1, 2, 3})
    EXPECT_TRUE(parses(npy(dict("<f4", "False", "(2, 3)"), data, version)));
  EXPECT_TRUE(parses(npy("{\"shape\": (6L,), \"descr\":\"<f4\",\"fortran_order\":True}", data)));
  EXPECT_TRUE(parses(npy(dict("|b1", "False", "()"), "\1")));
  EXPECT_TRUE(parses(npy(dict("<V2", "False", "(12,)"), data)));
}

TEST(Npy, Refusals) {
  std::string data(24, 'x'), text;
  auto refuses = [&](const std::string &header, const char *reason) {
    EXPECT_FALSE(parses(npy(header, data), &text)) << header;
    EXPECT_NE(text.find(reason), std::string::npos) << text;
  };
  refuses(dict(">f4", "False", "(2, 3)"), "big-endian");
  refuses(dict("<c8", "False", "(3,)"), "'<c8' is not supported");
  refuses(dict("|O", "False", "(3,)"), "not supported");
  refuses("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "structured");
  refuses(dict("<f4", "Maybe", "(2,)"), "fortran_order");
  refuses(dict("<f4", "False", "(-2,)"), "not a number");
  EXPECT_TRUE(parses(npy(dict("<f4", "False", "(3, 0)"), ""), &text)) << text;
  refuses(dict("<f4", "False", "(7,)"), "truncated");
  refuses(dict("<f4", "False", "(99999999999999999999,)"), "too large");
  refuses(dict("<f4", "False", "(4294967296, 4294967296)"), "2^63");
  refuses(dict("<f4", "False", "(1,1,1,1,1,1,1,1,1)"), "dims");
  refuses("{'descr': '<f4'}", "missing");
  refuses("{'descr': '<f4', 'descr': '<f4'}", "repeated");
  refuses("", "dict");
  EXPECT_FALSE(parses(npy(dict("<f4", "False", "(2,)"), data, 4)));
  EXPECT_FALSE(parses("\x93NUMPY"));
  EXPECT_FALSE(parses(""));
}

TEST(Npy, FortranOrderBecomesRowMajor) {
  float columns[6] = {1, 4, 2, 5, 3, 6}; // [[1, 2, 3], [4, 5, 6]]
  std::string path = scratchFile("f.npy");
  writeBytes(path, npy(dict("<f4", "True", "(2, 3)"),
                       std::string(reinterpret_cast<char *>(columns), sizeof columns)));
  List<Array> arrays;
  IoError error;
  ASSERT_TRUE(readArrays(path.c_str(), arrays, error)) << error.text;
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(static_cast<float *>(arrays[0].tensor.data)[i], float(i + 1));
  unlink(path.c_str());
}

TEST(Npz, RoundTripOfEveryType) {
  std::string path = scratchFile("all.npz");
  std::vector<double> memory(8, 1.5);
  std::vector<std::string> names;
  std::vector<rapt_tensor> tensors;
  for (rapt_dtype dtype : {RAPT_F32, RAPT_U8, RAPT_I8, RAPT_U16, RAPT_I16, RAPT_I32, RAPT_I64,
                           RAPT_BOOL, RAPT_F16, RAPT_F64, RAPT_U32, RAPT_U64, RAPT_BF16})
    names.push_back(rapt_dtype_name(dtype)),
        tensors.push_back(makeTensor(nullptr, memory.data(), dtype, {2, 1, 3}));
  tensors.push_back(makeTensor("a/scalar", memory.data(), RAPT_F64, {}));
  for (size_t i = 0; i < names.size(); ++i)
    tensors[i].name = names[i].c_str();
  IoError error;
  ASSERT_TRUE(writeNpz(path.c_str(), tensors.data(), int32_t(tensors.size()), error)) << error.text;
  List<Array> arrays;
  ASSERT_TRUE(readArrays(path.c_str(), arrays, error)) << error.text;
  ASSERT_EQ(arrays.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_STREQ(arrays[i].tensor.name, tensors[i].name);
    EXPECT_EQ(arrays[i].tensor.dtype, tensors[i].dtype);
    ASSERT_EQ(arrays[i].bytes(), rapt_tensor_bytes(&tensors[i]));
    EXPECT_EQ(memcmp(arrays[i].tensor.data, memory.data(), arrays[i].bytes()), 0);
  }
  unlink(path.c_str());
}

/// An archive with one deflated member, as numpy.savez_compressed writes it.
static std::string deflatedNpz(const std::string &content, uint32_t claimedBytes) {
  std::string packed(compressBound(content.size()) + 64, 0);
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(content.data()));
  stream.avail_in = uInt(content.size());
  stream.next_out = reinterpret_cast<Bytef *>(packed.data());
  stream.avail_out = uInt(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  auto number = [](uint64_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i)
      text += char(value >> (8 * i));
    return text;
  };
  uint32_t crc =
      uint32_t(crc32(0, reinterpret_cast<const Bytef *>(content.data()), uInt(content.size())));
  std::string fields = number(20, 2) + number(0, 2) + number(8, 2) + number(0, 4) + number(crc, 4) +
                       number(packed.size(), 4) + number(claimedBytes, 4) + number(5, 2) +
                       number(0, 2);
  std::string local = number(0x04034b50, 4) + fields + "x.npy" + packed;
  std::string directory =
      number(0x02014b50, 4) + number(20, 2) + fields + std::string(14, 0) + "x.npy";
  return local + directory + number(0x06054b50, 4) + number(0, 4) + number(1, 2) + number(1, 2) +
         number(directory.size(), 4) + number(local.size(), 4) + number(0, 2);
}

TEST(Npz, Deflated) {
  std::string path = scratchFile("deflated.npz");
  std::string content = npy(dict("<f4", "False", "(1000,)"), std::string(4000, '\0'));
  writeBytes(path, deflatedNpz(content, uint32_t(content.size())));
  List<Array> arrays;
  IoError error;
  ASSERT_TRUE(readArrays(path.c_str(), arrays, error)) << error.text;
  EXPECT_STREQ(arrays[0].tensor.name, "x");
  EXPECT_EQ(arrays[0].numElements(), 1000);
  for (uint32_t lie :
       {uint32_t(content.size()) - 1, uint32_t(content.size()) + 1, 0u, 0x7fffffffu}) {
    writeBytes(path, deflatedNpz(content, lie));
    EXPECT_FALSE(readArrays(path.c_str(), arrays, error)) << lie;
  }
  unlink(path.c_str());
}

// Reading damaged archives ends in an array or an error; sanitised builds see anything else.
TEST(Npz, DamagedFiles) {
  std::string path = scratchFile("damaged.npz");
  std::vector<float> data(40, 2);
  rapt_tensor tensors[] = {makeTensor("a", data.data(), RAPT_F32, {8, 5}),
                           makeTensor("b", data.data(), RAPT_I64, {3})};
  IoError error;
  ASSERT_TRUE(writeNpz(path.c_str(), tensors, 2, error));
  std::string stored = readBytes(path);
  std::string content = npy(dict("<f4", "False", "(30,)"), std::string(120, 'q'));
  std::string deflated = deflatedNpz(content, uint32_t(content.size()));
  std::mt19937 random(11);
  int refused = 0, tries = 0;
  auto attempt = [&](const std::string &bytes) {
    writeBytes(path, bytes);
    List<Array> arrays;
    ++tries;
    refused += !readArrays(path.c_str(), arrays, error);
  };
  for (const std::string &good : {stored, deflated, content}) {
    for (size_t length = 0; length < good.size(); length += 3)
      attempt(good.substr(0, length));
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = good;
      for (unsigned flips = 0; flips < 1 + random() % 4; ++flips)
        bytes[random() % bytes.size()] = char(random() % 4 ? random() : 0xff);
      attempt(bytes);
    }
  }
  EXPECT_GT(refused, tries / 2);
  unlink(path.c_str());
}

TEST(Json, Strings) {
  auto quoted = [](const char *text) {
    char *data = nullptr;
    size_t size = 0;
    FILE *file = open_memstream(&data, &size);
    writeJsonString(file, text);
    fclose(file);
    std::string result(data, size);
    free(data);
    return result;
  };
  EXPECT_EQ(quoted(""), R"("")");
  EXPECT_EQ(quoted("a\"b\\c\n"), R"("a\"b\\c\u000a")");
  EXPECT_EQ(quoted("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  EXPECT_EQ(quoted("a\xff-"), R"("a\ufffd-")");
  EXPECT_EQ(quoted("\xc3"), R"("\ufffd")");                               // cut
  EXPECT_EQ(quoted("\xe0\x80\x80"), R"("\ufffd\ufffd\ufffd")");           // longer than needed
  EXPECT_EQ(quoted("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");           // half of a pair
  EXPECT_EQ(quoted("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")"); // beyond the last
}

TEST(Files, Errors) {
  List<Array> arrays;
  IoError error;
  EXPECT_FALSE(readArrays("/no/such/file.npz", arrays, error));
  EXPECT_NE(std::string(error.text).find("/no/such/file.npz"), std::string::npos);
  EXPECT_FALSE(readArrays("/", arrays, error));
  EXPECT_FALSE(readArrays("/proc/self/exe", arrays, error));
  float x = 1;
  rapt_tensor tensor = makeTensor("x", &x, RAPT_F32, {1});
  EXPECT_FALSE(writeNpy("/no/such/folder/x.npy", tensor, error));
  EXPECT_FALSE(writeNpz("/no/such/folder/x.npz", &tensor, 1, error));
}

TEST(Scalar, HalfAndBfloat16) {
  using rapt::io::getScalar;
  using rapt::io::setScalar;
  for (uint32_t bits = 0; bits < 0x10000; ++bits)
    for (rapt_dtype dtype : {RAPT_F16, RAPT_BF16}) {
      uint16_t in = uint16_t(bits), out;
      double value = getScalar(&in, dtype, 0);
      setScalar(&out, dtype, 0, value);
      if (std::isnan(value))
        EXPECT_TRUE(std::isnan(getScalar(&out, dtype, 0)));
      else
        ASSERT_EQ(out, in) << bits;
    }
  uint16_t half;
  // The compiler's own conversion is the reference for what is not a half already.
  std::mt19937 random(3);
  for (int i = 0; i < 100000; ++i) {
    double value = std::ldexp(double(random()) - 0x1p31, int(random() % 60) - 70);
    setScalar(&half, RAPT_F16, 0, value);
    _Float16 expected = _Float16(value);
    ASSERT_EQ(memcmp(&half, &expected, 2), 0) << value;
  }
}
