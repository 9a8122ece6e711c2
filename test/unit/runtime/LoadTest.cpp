//===- LoadTest.cpp - Opening models and things that are none ----------------*- C++ -*-===//

#include "CpuFeatures.h"
#include "ElfCheck.h"
#include "Helpers.h"

#include <fcntl.h>
#include <random>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static rapt_status open(const std::string &path) {
  rapt_model *model = reinterpret_cast<rapt_model *>(1);
  rapt_status status = rapt_open(path.c_str(), &model);
  EXPECT_EQ(status == RAPT_OK, model != nullptr);
  if (status == RAPT_OK)
    rapt_close(model);
  return status;
}

/// The checks before loading, alone.
static rapt_status check(const std::string &path) {
  int file = ::open(path.c_str(), O_RDONLY);
  struct stat info;
  EXPECT_EQ(fstat(file, &info), 0);
  rapt_status status = rapt::checkSharedObject(path.c_str(), file, uint64_t(info.st_size));
  close(file);
  return status;
}

TEST(Load, GoodModelDescribesItself) {
  rapt_model *model;
  ASSERT_EQ(rapt_open(fixture("good.so").c_str(), &model), RAPT_OK) << rapt_last_error();
  rapt_model_info info;
  ASSERT_EQ(rapt_describe(model, &info), RAPT_OK);
  EXPECT_STREQ(info.name, "scale_by_table");
  EXPECT_EQ(info.num_symbols, 2);
  EXPECT_STREQ(info.symbols[1], "seq");
  EXPECT_EQ(info.weights_bytes, 32u);
  rapt_tensor_info input;
  ASSERT_EQ(rapt_input_info(model, 0, &input), RAPT_OK);
  EXPECT_STREQ(input.name, "x");
  EXPECT_EQ(input.dims[0], -1);
  EXPECT_EQ(input.dims[2], 4);
  EXPECT_STREQ(input.dim_texts[1], "seq");
  EXPECT_FAILS(rapt_input_info(model, 2, &input), RAPT_ERROR_ARGUMENT, "input index 2");
  EXPECT_FAILS(rapt_output_info(model, -1, &input), RAPT_ERROR_ARGUMENT, "output index -1");
  EXPECT_FAILS(rapt_describe(model, nullptr), RAPT_ERROR_ARGUMENT, "null");
  rapt_close(model);
}

TEST(Load, NullPointers) {
  rapt_model *model;
  EXPECT_FAILS(rapt_open(nullptr, &model), RAPT_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(rapt_open("x", nullptr), RAPT_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(rapt_open_static(nullptr, &model), RAPT_ERROR_ARGUMENT, "null");
  rapt_close(nullptr);
}

TEST(Load, NotAModel) {
  EXPECT_FAILS(open("no-such-file.so"), RAPT_ERROR_FILE, "no-such-file.so");
  EXPECT_FAILS(open(RAPT_TEST_FIXTURES), RAPT_ERROR_FILE, "not a regular file");
  std::string path = scratchFile("text.so");
  for (const char *text : {"", "hello",
                           "\x7f"
                           "EL",
                           "\x7f"
                           "ELF"}) {
    writeBytes(path, text);
    EXPECT_EQ(open(path), RAPT_ERROR_FORMAT);
  }
  unlink(path.c_str());
  EXPECT_FAILS(open("/proc/self/exe"), RAPT_ERROR_FORMAT, "");
  EXPECT_FAILS(open(fixture("nosymbol.so")), RAPT_ERROR_FORMAT, "no symbol 'rapt_model'");
  EXPECT_FAILS(open(fixture("badmagic.so")), RAPT_ERROR_FORMAT, "magic 0x12345678");
  mkfifo(path.c_str(), 0600);
  EXPECT_FAILS(open(path), RAPT_ERROR_FILE, "not a regular file");
  unlink(path.c_str());
}

// The dynamic loader by itself takes the path for the library that it loaded from there before.
TEST(Load, AnotherFileAtTheSamePath) {
  std::string path = scratchFile("replaced.so"), other = scratchFile("other.so");
  writeBytes(path, readBytes(fixture("good.so")));
  rapt_model *first, *second;
  ASSERT_EQ(rapt_open(path.c_str(), &first), RAPT_OK) << rapt_last_error();
  ASSERT_EQ(rapt_open(path.c_str(), &second), RAPT_OK) << rapt_last_error();
  writeBytes(other, readBytes(fixture("badversion.so")));
  ASSERT_EQ(rename(other.c_str(), path.c_str()), 0);
  EXPECT_FAILS(open(path), RAPT_ERROR_VERSION, "version 99");
  rapt_close(first);
  EXPECT_FAILS(open(path), RAPT_ERROR_VERSION, "version 99");
  rapt_model_info info;
  ASSERT_EQ(rapt_describe(second, &info), RAPT_OK);
  EXPECT_STREQ(info.name, "scale_by_table");
  rapt_close(second);
  writeBytes(other, readBytes(fixture("good.so")));
  ASSERT_EQ(rename(other.c_str(), path.c_str()), 0);
  EXPECT_EQ(open(path), RAPT_OK);
  unlink(path.c_str());
}

TEST(Load, OtherVersion) {
  EXPECT_FAILS(open(fixture("badversion.so")), RAPT_ERROR_VERSION, "version 99");
  // Of before models said which kernels they call.
  EXPECT_FAILS(open(fixture("oldversion.so")), RAPT_ERROR_VERSION,
               "has interface version 3, this runtime expects");
}

TEST(Load, MissingCpuFeature) {
  EXPECT_FAILS(open(fixture("badcpu.so")), RAPT_ERROR_CPU, "lacks 'avx4096'");
}

TEST(Load, TruncatedAnywhere) {
  std::string bytes = readBytes(fixture("good.so")), path = scratchFile("cut.so");
  ASSERT_GT(bytes.size(), 4000u);
  for (size_t length = 0; length < bytes.size(); length += length < 128 ? 1 : 61) {
    writeBytes(path, bytes.substr(0, length));
    EXPECT_EQ(open(path), RAPT_ERROR_FORMAT) << length;
  }
  writeBytes(path, bytes.substr(0, bytes.size() - 1));
  EXPECT_FAILS(open(path), RAPT_ERROR_FORMAT, "truncated");
  writeBytes(path, bytes);
  EXPECT_EQ(open(path), RAPT_OK) << rapt_last_error();
  unlink(path.c_str());
}

TEST(Load, Unsealed) {
  EXPECT_FAILS(open(fixture("unsealed.so")), RAPT_ERROR_FORMAT, "does not end in raptc's seal");
}

TEST(Load, OneFlippedBitAnywhere) {
  std::string bytes = readBytes(fixture("good.so")), path = scratchFile("bit.so");
  std::mt19937 random(5);
  for (size_t at = 0; at < bytes.size(); at += 1 + random() % 16) {
    std::string copy = bytes;
    copy[at] ^= char(1 << random() % 8);
    writeBytes(path, copy);
    EXPECT_EQ(open(path), RAPT_ERROR_FORMAT) << at;
  }
  unlink(path.c_str());
}

// The seal's own fields may say anything.
TEST(Load, DamagedSeal) {
  std::string bytes = readBytes(fixture("good.so")), path = scratchFile("seal.so");
  rapt_abi_seal seal;
  size_t place = bytes.size() - sizeof seal;
  auto refuses = [&](auto change) {
    memcpy(&seal, bytes.data() + place, sizeof seal);
    change(seal);
    writeBytes(path,
               bytes.substr(0, place) + std::string(reinterpret_cast<char *>(&seal), sizeof seal));
    return open(path);
  };
  EXPECT_EQ(refuses([](rapt_abi_seal &) {}), RAPT_OK) << rapt_last_error();
  EXPECT_FAILS(refuses([](rapt_abi_seal &s) { s.checksum ^= 1; }), RAPT_ERROR_FORMAT, "checksum");
  EXPECT_FAILS(refuses([](rapt_abi_seal &s) { s.file_bytes ^= 1; }), RAPT_ERROR_FORMAT, "seal");
  EXPECT_FAILS(refuses([](rapt_abi_seal &s) { s.weights_bytes = 64; }), RAPT_ERROR_FORMAT,
               "checksum");
  EXPECT_FAILS(refuses([](rapt_abi_seal &s) { s.weights_offset = UINT64_MAX; }), RAPT_ERROR_FORMAT,
               "the weights");
  EXPECT_FAILS(refuses([](rapt_abi_seal &s) {
                 s.weights_offset = 64;
                 s.weights_bytes = UINT64_MAX - 32;
               }),
               RAPT_ERROR_FORMAT, "the weights");
  unlink(path.c_str());
}

TEST(Load, DamagedHeadersAreCheckedSafely) {
  std::string bytes = readBytes(fixture("good.so")), path = scratchFile("flip.so");
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string copy = bytes;
    for (int flips = 0; flips < 3; ++flips)
      copy[random() % 512] ^= char(1 << random() % 8);
    writeBytes(path, copy);
    refused += check(path) != RAPT_OK;
  }
  EXPECT_EQ(refused, 2000); // three flips never cancel out
  unlink(path.c_str());
}

TEST(Load, WeightsSideFile) {
  std::string weights = fixture("side.weights");
  unlink(weights.c_str());
  EXPECT_FAILS(open(fixture("side.so")), RAPT_ERROR_FILE, "side.weights");
  writeBytes(weights, "short");
  EXPECT_FAILS(open(fixture("side.so")), RAPT_ERROR_FORMAT, "5 bytes, expected 32");
  float table[8] = {0, 1, 2, 3, 4, 5, 6, -7};
  writeBytes(weights, std::string(reinterpret_cast<char *>(table), sizeof table));
  rapt_model *model;
  ASSERT_EQ(rapt_open(fixture("side.so").c_str(), &model), RAPT_OK) << rapt_last_error();
  rapt_workspace *workspace;
  ASSERT_EQ(rapt_workspace_create(model, nullptr, &workspace), RAPT_OK);
  rapt_close(model); // the workspace keeps what it needs
  Problem problem(3, 5);
  EXPECT_EQ(problem.run(workspace), RAPT_OK) << rapt_last_error();
  EXPECT_TRUE(problem.right());
  rapt_workspace_destroy(workspace);
  unlink(weights.c_str());
  EXPECT_FAILS(open(fixture("sidepath.so")), RAPT_ERROR_FORMAT, "'../side.weights'");
}

// Tables that contradict themselves, as a damaged artifact may hold.
TEST(Load, DamagedTables) {
  auto refuses = [](auto change) {
    rapt_abi_model abi = test_rapt_model;
    change(abi);
    rapt_model_info info;
    rapt_model *model = nullptr;
    rapt_status status = rapt_open_static(&abi, &model);
    if (model)
      rapt_describe(model, &info), rapt_close(model);
    return status;
  };
  EXPECT_EQ(refuses([](rapt_abi_model &) {}), RAPT_OK);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.num_inputs = -1; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.num_symbols = 1; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.outputs = nullptr; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.run = nullptr; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.least = nullptr; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.num_calls = -1; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.calls = nullptr; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.work = nullptr; }), RAPT_ERROR_FORMAT);
  static const rapt_abi_call unnamed[] = {{"k", "rows", ""}, {nullptr, "rows", ""}};
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.calls = unnamed; }), RAPT_ERROR_FORMAT);
  static const int32_t wrong[] = {1, 2};
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.least = wrong; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.weights = nullptr; }), RAPT_ERROR_FORMAT);
  EXPECT_EQ(refuses([](rapt_abi_model &m) { m.num_inputs = 0; }), RAPT_ERROR_FORMAT);
}

TEST(CpuFeatures, Names) {
  char missing[16];
  using rapt::findMissingFeature;
  EXPECT_FALSE(findMissingFeature(nullptr, missing, sizeof missing));
  EXPECT_FALSE(findMissingFeature("", missing, sizeof missing));
  EXPECT_FALSE(findMissingFeature("sse3,popcnt,", missing, sizeof missing));
  EXPECT_TRUE(findMissingFeature("sse3,unheard-of-instructions,avx", missing, sizeof missing));
  EXPECT_STREQ(missing, "unheard-of-inst");
  // The compiler's own view of this CPU is the reference.
  auto has = [&](const char *name) { return !findMissingFeature(name, missing, sizeof missing); };
  __builtin_cpu_init();
  EXPECT_EQ(has("avx2"), bool(__builtin_cpu_supports("avx2")));
  EXPECT_EQ(has("fma"), bool(__builtin_cpu_supports("fma")));
  EXPECT_EQ(has("bmi2"), bool(__builtin_cpu_supports("bmi2")));
  EXPECT_EQ(has("popcnt"), bool(__builtin_cpu_supports("popcnt")));
  EXPECT_EQ(has("avx512f"), bool(__builtin_cpu_supports("avx512f")));
  EXPECT_EQ(has("avx512vl"), bool(__builtin_cpu_supports("avx512vl")));
  EXPECT_EQ(has("avx512vnni"), bool(__builtin_cpu_supports("avx512vnni")));
  EXPECT_EQ(has("avx512bf16"), bool(__builtin_cpu_supports("avx512bf16")));
  EXPECT_EQ(has("avx512vbmi2"), bool(__builtin_cpu_supports("avx512vbmi2")));
}
