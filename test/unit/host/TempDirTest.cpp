//===- TempDirTest.cpp - Files that are complete or not there ---------------------------===//
//
// What a reader of an artifact and its companion can meet, before, after and when a rename fails.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/TempDir.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <gtest/gtest.h>

using namespace llvm;
using namespace rapt;

namespace {

class TempDirTest : public testing::Test {
protected:
  void SetUp() override {
    SmallString<128> path;
    ASSERT_FALSE(sys::fs::createUniqueDirectory("rapt-test", path));
    folder = path.str();
    artifact = folder + "/model.so";
    weights = artifact + ".weights";
  }
  void TearDown() override { sys::fs::remove_directories(folder); }

  static std::string read(const std::string &path) {
    auto buffer = MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : "none";
  }

  /// Writes both files; the error of the commit.
  std::string publish(StringRef version) {
    link::TempDir dir;
    EXPECT_FALSE(errorToBool(dir.create(artifact)));
    for (const auto &[name, target] : {std::pair("w", weights), std::pair("a", artifact)}) {
      EXPECT_FALSE(errorToBool(dir.write(dir.file(name), version)));
      dir.publish(dir.file(name), target);
    }
    return toString(dir.commit());
  }

  int entries() {
    std::error_code code;
    int count = 0;
    for (sys::fs::directory_iterator at(folder, code), end; at != end && !code; at.increment(code))
      ++count;
    return count;
  }

  std::string folder, artifact, weights;
};

TEST_F(TempDirTest, ReplacesBoth) {
  EXPECT_EQ(publish("old"), "");
  EXPECT_EQ(publish("new"), "");
  EXPECT_EQ(read(artifact), "new");
  EXPECT_EQ(read(weights), "new");
  EXPECT_EQ(entries(), 2);
}

TEST_F(TempDirTest, OldArtifactNeverMeetsNewCompanions) {
  EXPECT_EQ(publish("old"), "");
  // A folder in the place of the companion: its rename fails when the old artifact is gone already.
  ASSERT_FALSE(sys::fs::remove(weights));
  ASSERT_FALSE(sys::fs::create_directory(weights));
  EXPECT_NE(publish("new").find("model.so.weights"), std::string::npos);
  EXPECT_EQ(read(artifact), "none");
}

TEST_F(TempDirTest, FailureLeavesNothing) {
  ASSERT_FALSE(sys::fs::create_directory(artifact));
  ASSERT_FALSE(sys::fs::create_directory(artifact + "/full"));
  EXPECT_NE(publish("new").find("model.so'"), std::string::npos);
  EXPECT_EQ(read(weights), "none");
  EXPECT_EQ(entries(), 1);
}

} // namespace
