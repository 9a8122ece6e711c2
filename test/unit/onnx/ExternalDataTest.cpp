//===- ExternalDataTest.cpp - Files a model refers to ---------------------===//

#include "Helpers.h"
#include "ProtoWriter.h"

#include <sys/stat.h>
#include <unistd.h>

using namespace rapt::onnx;
using namespace rapt::onnx::test;

namespace {

using Pairs = std::initializer_list<std::pair<const char *, std::string>>;

/// y = Add(x, w), w = float[2] in external data described by `entries`.
std::string modelWith(Pairs entries) {
  Proto tensor = tensorProto("w", 1, {2}).integer(14, 1);
  for (auto &[key, value] : entries)
    tensor.message(13, stringPair(key, value));
  return modelProto(graphProto().message(5, tensor).message(1, nodeProto("Add", {"x", "w"}, {"y"})))
      .bytes;
}

std::string floats(std::initializer_list<float> values) {
  return std::string(reinterpret_cast<const char *>(values.begin()), 4 * values.size());
}

class ExternalDataTest : public FolderTest {
protected:
  Result readHere(Pairs entries) { return read(modelWith(entries), folder.string()); }
  std::string errorFor(Pairs entries) { return readHere(entries).error; }
  std::vector<float> valuesFor(Pairs entries) {
    Result result = readHere(entries);
    EXPECT_EQ(result.error, "");
    if (!result.error.empty())
      return {};
    return valuesOf<float>(result.model->graph.initializers.front());
  }
};

TEST_F(ExternalDataTest, OffsetAndLength) {
  write("w.bin", floats({1, 2, 3, 4}));
  EXPECT_EQ(valuesFor({{"location", "w.bin"}}), (std::vector<float>{1, 2}));
  EXPECT_EQ(valuesFor({{"location", "./w.bin"}, {"offset", "8"}, {"length", "8"}}),
            (std::vector<float>{3, 4}));
}

TEST_F(ExternalDataTest, UnalignedOffsetIsCopied) {
  write("w.bin", "#" + floats({1, 2}));
  Result result = readHere({{"location", "w.bin"}, {"offset", "1"}});
  ASSERT_EQ(result.error, "");
  const Tensor &tensor = result.model->graph.initializers.front();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % 4, 0u);
  EXPECT_EQ(valuesOf<float>(tensor), (std::vector<float>{1, 2}));
}

TEST_F(ExternalDataTest, OverlappingUnalignedTensorsAreLimited) {
  // Each copy is 8 bytes of a 9-byte file: the second one would exceed the file.
  write("w.bin", "#" + floats({1, 2}));
  Proto graph = graphProto().message(1, nodeProto("Add", {"x", "w0"}, {"y"}));
  for (const char *name : {"w0", "w1"})
    graph.message(5, tensorProto(name, 1, {2})
                         .integer(14, 1)
                         .message(13, stringPair("location", "w.bin"))
                         .message(13, stringPair("offset", "1")));
  EXPECT_HAS(read(modelProto(graph).bytes, folder.string()).error, "tensors before it overlap");
}

TEST_F(ExternalDataTest, Subfolder) {
  std::filesystem::create_directory(folder / "data");
  write("data/w.bin", floats({5, 6}));
  EXPECT_EQ(valuesFor({{"location", "data/w.bin"}}), (std::vector<float>{5, 6}));
}

TEST_F(ExternalDataTest, UnsafeLocations) {
  write("w.bin", floats({1, 2}));
  EXPECT_HAS(errorFor({}), "location is empty");
  EXPECT_HAS(errorFor({{"location", (folder / "w.bin").string()}}), "is an absolute path");
  EXPECT_HAS(errorFor({{"location", "../w.bin"}}), "contains '..'");
  EXPECT_HAS(errorFor({{"location", "a/../w.bin"}}), "contains '..'");
  EXPECT_HAS(errorFor({{"location", "..\\w.bin"}}), "contains a backslash");
  EXPECT_HAS(errorFor({{"location", std::string("w.bin\0x", 7)}}), "contains a NUL byte");
  EXPECT_HAS(errorFor({{"location", "data//w.bin"}}), "empty path component");
  EXPECT_HAS(errorFor({{"location", "."}}), "names a folder");
  EXPECT_HAS(errorFor({{"location", std::string(5000, 'a')}}), "expected at most 4096");
}

TEST_F(ExternalDataTest, Links) {
  write("w.bin", floats({1, 2}));
  std::filesystem::create_directory(folder / "real");
  std::filesystem::create_symlink(folder / "w.bin", folder / "link.bin");
  std::filesystem::create_directory_symlink(folder / "real", folder / "alias");
  write("real/v.bin", floats({1, 2}));
  EXPECT_HAS(errorFor({{"location", "link.bin"}}), "'link.bin' is a symbolic link");
  EXPECT_HAS(errorFor({{"location", "alias/v.bin"}}), "'alias' is a symbolic link");
  EXPECT_EQ(errorFor({{"location", "real/v.bin"}}), "");
  std::filesystem::create_hard_link(folder / "w.bin", folder / "second.bin");
  EXPECT_HAS(errorFor({{"location", "second.bin"}}), "the file has 2 hard links, expected 1");
}

TEST_F(ExternalDataTest, NotARegularFile) {
  std::filesystem::create_directory(folder / "data");
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_HAS(errorFor({{"location", "data"}}), "not a regular file");
  EXPECT_HAS(errorFor({{"location", "fifo"}}), "not a regular file");
  EXPECT_HAS(errorFor({{"location", "missing.bin"}}), "cannot open 'missing.bin'");
}

TEST_F(ExternalDataTest, WrongOffsetOrLength) {
  write("w.bin", floats({1, 2}));
  write("empty.bin", "");
  EXPECT_HAS(errorFor({{"location", "w.bin"}, {"offset", "4"}}),
             "offset 4 and length 8 exceed the file's 8 bytes");
  EXPECT_HAS(errorFor({{"location", "w.bin"}, {"offset", "18446744073709551608"}}),
             "exceed the file's 8 bytes");
  EXPECT_HAS(errorFor({{"location", "w.bin"}, {"length", "4"}}),
             "external data has length 4, but float[2] needs 8");
  EXPECT_HAS(errorFor({{"location", "w.bin"}, {"length", "12"}}), "needs 8");
  EXPECT_HAS(errorFor({{"location", "empty.bin"}}), "exceed the file's 0 bytes");
  for (const char *number : {"-1", "x", "", "18446744073709551616", "0x10"})
    EXPECT_HAS(errorFor({{"location", "w.bin"}, {"offset", number}}), "expected a number of bytes");
}

TEST_F(ExternalDataTest, InlineAndExternalData) {
  write("w.bin", floats({1, 2}));
  Proto tensor = tensorProto("w", 1, {2}).integer(14, 1).real(4, 1);
  tensor.message(13, stringPair("location", "w.bin"));
  EXPECT_HAS(read(modelProto(graphProto().message(5, tensor)).bytes, folder.string()).error,
             "both external and inline data");
}

TEST_F(ExternalDataTest, LoadModelFindsDataBesideTheModelOrWhereToldTo) {
  std::string path = write("m.onnx", modelWith({{"location", "w.bin"}}));
  auto missing = loadModel(path);
  ASSERT_FALSE(missing);
  EXPECT_HAS(llvm::toString(missing.takeError()), path + ": initializer 'w': external data");

  std::filesystem::create_directory(folder / "weights");
  write("weights/w.bin", floats({7, 8}));
  LoadOptions options;
  options.externalDataDir = (folder / "weights").string();
  auto model = loadModel(path, options);
  ASSERT_TRUE(!!model) << llvm::toString(model.takeError());
  EXPECT_EQ(valuesOf<float>((*model)->graph.initializers.front()), (std::vector<float>{7, 8}));

  write("w.bin", floats({1, 2}));
  auto beside = loadModel(path);
  ASSERT_TRUE(!!beside) << llvm::toString(beside.takeError());
}

TEST_F(ExternalDataTest, LoadModelErrors) {
  auto errorOfLoading = [](const std::string &path) {
    auto model = loadModel(path);
    return model ? "" : llvm::toString(model.takeError());
  };
  EXPECT_HAS(errorOfLoading((folder / "none.onnx").string()), "cannot open the file");
  EXPECT_HAS(errorOfLoading(folder.string()), "not a regular file");
  EXPECT_HAS(errorOfLoading(write("empty.onnx", "")), "the file is empty");
}

} // namespace
