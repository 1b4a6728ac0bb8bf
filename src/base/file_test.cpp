#include "base/file.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random_access.h"

namespace diffit::base {
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

TEST_F(Files, ExistingFileSurvivesAbandonedWriter) {
  const fs::path path = folder_ / "a.txt";
  write_file(path, "old");
  { AtomicFile(path).write("new"); }
  EXPECT_EQ(read_text(path, 100), "old");
}

TEST_F(Files, RejectsFilesAboveLimit) {
  write_file(folder_ / "a", "12345");
  EXPECT_EQ(read_file(folder_ / "a", 5).size(), 5u);
  try {
    read_file(folder_ / "a", 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
  }
}

TEST_F(Files, RejectsFoldersAndMissingFiles) {
  EXPECT_THROW(MappedFile{folder_}, Error);
  EXPECT_THROW(MappedFile{folder_ / "none"}, Error);
  EXPECT_THROW(AtomicFile{folder_}, Error);
  EXPECT_THROW(AtomicFile{folder_ / "none" / "x"}, Error);
}

TEST_F(Files, ALackOfDescriptorsIsNoFaultOfTheFile) {
  write_file(folder_ / "a", "x");
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const struct rlimit none { 0, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  ErrorKind kind = ErrorKind::invalid;
  try {
    read_file(folder_ / "a", 10);
  } catch (const Error& error) {
    kind = error.kind();
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(kind, ErrorKind::failed);
}

TEST_F(Files, RejectsPipesAndDevices) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  for (const fs::path& path : {folder_ / "pipe", fs::path("/dev/zero"), folder_}) {
    EXPECT_THROW(MappedFile{path}, Error) << path;
    EXPECT_THROW(read_text(path, 100), Error) << path;
    EXPECT_THROW(RandomAccessFile{path}, Error) << path;
  }
}

}  // namespace
}  // namespace diffit::base
