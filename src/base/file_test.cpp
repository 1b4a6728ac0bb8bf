#include "base/file.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include "base/error.h"

namespace diffit {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("diffit-file-test-{}", ::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(Files, AppearOnlyWhenCommitted) {
  const fs::path path = folder_ / "a.txt";
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_EQ(count(), 0u) << "an abandoned file leaves nothing behind";
  AtomicFile file(path);
  file.write("whole");
  file.commit();
  EXPECT_EQ(read_text(path, 100), "whole");
  EXPECT_EQ(count(), 1u);
}

TEST_F(Files, LeftByAKilledWriterAreRemovedAndNoOthers) {
  for (const char* name : {"a.png.k3Xz9Q.tmp", "mine.tmp", "a.png.k3-z9Q.tmp", ".abcdef.tmp"}) {
    write_file(folder_ / name, "x");
  }
  remove_temporaries(folder_);
  EXPECT_EQ(count(), 3u);
  EXPECT_FALSE(fs::exists(folder_ / "a.png.k3Xz9Q.tmp"));
}

TEST_F(Files, ThatExistAreKeptWhenAWriterIsAbandoned) {
  const fs::path path = folder_ / "a.txt";
  write_file(path, "old");
  { AtomicFile(path).write("new"); }
  EXPECT_EQ(read_text(path, 100), "old");
}

TEST_F(Files, LargerThanTheLimitAreRefused) {
  write_file(folder_ / "a", "12345");
  EXPECT_EQ(read_file(folder_ / "a", 5).size(), 5u);
  try {
    read_file(folder_ / "a", 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
  }
}

TEST_F(Files, FoldersAndMissingFilesAreInvalid) {
  EXPECT_THROW(MappedFile{folder_}, Error);
  EXPECT_THROW(MappedFile{folder_ / "none"}, Error);
  EXPECT_THROW(AtomicFile{folder_}, Error);
  EXPECT_THROW(AtomicFile{folder_ / "none" / "x"}, Error);
}

TEST_F(Files, AreMappedWhole) {
  write_file(folder_ / "a", "bytes");
  write_file(folder_ / "empty", "");
  EXPECT_EQ(MappedFile(folder_ / "a").bytes().size(), 5u);
  EXPECT_TRUE(MappedFile(folder_ / "empty").bytes().empty());
}

}  // namespace
}  // namespace diffit
