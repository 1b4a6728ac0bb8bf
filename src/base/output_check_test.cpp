#include "base/output_check.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/testing.h"

namespace diffit::base {
namespace {

class OutputCheck : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("diffit-output-check-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  template <class Check>
  static std::string refusal(ErrorKind kind, const Check& check) {
    try {
      check();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "was not refused";
    return "";
  }
  std::string file_refused(const fs::path& path, ErrorKind kind = ErrorKind::invalid,
                           std::uint64_t bytes = 0) const {
    return refusal(kind, [&] { check_output_file(path, "-o", bytes); });
  }
  std::string folder_refused(const fs::path& path, ErrorKind kind = ErrorKind::invalid) const {
    return refusal(kind, [&] { check_output_folder(path, "`out`"); });
  }
  void expect_nothing_new() const { EXPECT_TRUE(fs::is_empty(folder_)); }

  fs::path folder_;
};

TEST_F(OutputCheck, CheckLeavesNoFiles) {
  check_output_file(folder_ / "x.png", "-o");
  check_output_file(folder_ / std::string(255, 'x'), "-o");
  check_output_file(folder_ / "caf\xe9.png", "-o");  // not UTF-8, which is no business of a file system
  expect_nothing_new();
  write_file(folder_ / "x.png", "there");
  check_output_file(folder_ / "x.png", "-o", 1 << 20);
  EXPECT_EQ(read_text(folder_ / "x.png", 100), "there");
}

TEST_F(OutputCheck, RejectsInvalidFileNames) {
  EXPECT_NE(file_refused("").find("-o"), std::string::npos);
  EXPECT_NE(file_refused(folder_).find("got a folder"), std::string::npos);
  EXPECT_NE(file_refused(folder_ / "x.d/").find("got a folder"), std::string::npos);
  EXPECT_NE(file_refused(folder_ / "nowhere" / "x.png").find("does not exist"), std::string::npos);
  EXPECT_NE(file_refused(folder_ / std::string(256, 'x')).find("256 bytes"), std::string::npos);
  expect_nothing_new();
  write_file(folder_ / "file", "");
  EXPECT_NE(file_refused(folder_ / "file" / "x.png").find("does not exist"), std::string::npos);
}

TEST_F(OutputCheck, RejectsUnwritableFoldersEvenForRoot) {
  EXPECT_NE(file_refused("/proc/x.png", ErrorKind::failed).find("cannot write to the folder"),
            std::string::npos);
  EXPECT_NE(folder_refused("/proc/x/y", ErrorKind::failed).find("cannot write to the folder"),
            std::string::npos);
}

TEST_F(OutputCheck, RejectsFileLargerThanFreeSpace) {
  EXPECT_NE(file_refused(folder_ / "x", ErrorKind::failed, std::uint64_t{1} << 62).find("the disk has"),
            std::string::npos);
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small { 1 << 20, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_NE(file_refused(folder_ / "x", ErrorKind::failed, 2 << 20).find("ulimit -f"), std::string::npos);
  check_output_file(folder_ / "x", "-o", 1 << 10);
  check_output_folder(folder_, "`out`", 2 << 20);  // of several files, each below the limit
  ::setrlimit(RLIMIT_FSIZE, &before);
}

TEST_F(OutputCheck, LinksDevicesAndPipes) {
  check_output_file("/dev/null", "-o");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  check_output_file(folder_ / "pipe", "-o");  // does not wait for a reader
  fs::create_symlink("target.png", folder_ / "link.png");
  check_output_file(folder_ / "link.png", "-o");
  EXPECT_FALSE(fs::exists(folder_ / "target.png"));
  fs::create_symlink("nowhere/target.png", folder_ / "broken.png");
  EXPECT_NE(file_refused(folder_ / "broken.png").find("does not exist"), std::string::npos);
  fs::create_symlink("circle.png", folder_ / "circle.png");
  EXPECT_NE(file_refused(folder_ / "circle.png").find("circular"), std::string::npos);
}

TEST_F(OutputCheck, TheFolderOfALinksTargetCounts) {
  fs::create_symlink("/proc/x.png", folder_ / "away.png");
  EXPECT_NE(file_refused(folder_ / "away.png", ErrorKind::failed).find("folder /proc"), std::string::npos);
  fs::create_directories(folder_ / "far");
  fs::create_symlink("second.png", folder_ / "first.png");
  fs::create_symlink("far/none.png", folder_ / "second.png");
  check_output_file(folder_ / "first.png", "-o");
  EXPECT_TRUE(fs::is_empty(folder_ / "far"));
}

TEST_F(OutputCheck, OpenDescriptorsNeedNoFolder) {
  write_file(folder_ / "file", "there");
  const int reading = ::open((folder_ / "file").c_str(), O_RDONLY | O_CLOEXEC);
  const int writing = ::open((folder_ / "file").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(std::min(reading, writing), 0);
  check_output_file(fmt::format("/dev/fd/{}", writing), "-o");
  EXPECT_NE(file_refused(fmt::format("/dev/fd/{}", reading), ErrorKind::failed).find("not open for writing"),
            std::string::npos);
  EXPECT_EQ(read_text(folder_ / "file", 9), "there");
  ::close(reading);
  ::close(writing);
}

TEST_F(OutputCheck, WhatCannotBeReplacedIsWrittenInPlaceOrRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has files of other users";
  for (const char* name : {"sticky", "closed"}) {
    fs::create_directories(folder_ / name);
    for (const auto& [file, mode] : {std::pair("shared", 0666), std::pair("theirs", 0644)}) {
      write_file(folder_ / name / file, "old");
      ASSERT_EQ(::chmod((folder_ / name / file).c_str(), static_cast<mode_t>(mode)), 0);
    }
  }
  ASSERT_EQ(::chmod((folder_ / "sticky").c_str(), 01777), 0);
  ASSERT_EQ(::chmod((folder_ / "closed").c_str(), 0555), 0);
  const AsAnotherUser other;
  ASSERT_TRUE(other.changed());
  for (const char* name : {"sticky/shared", "closed/shared"}) {
    check_output_file(folder_ / name, "-o");
    write_file(folder_ / name, "new");
    EXPECT_EQ(read_text(folder_ / name, 9), "new") << name;
  }
  EXPECT_NE(file_refused(folder_ / "sticky/theirs", ErrorKind::failed).find("belongs to another user"),
            std::string::npos);
  EXPECT_NE(file_refused(folder_ / "closed/theirs", ErrorKind::failed).find("cannot write to the folder"),
            std::string::npos);
  EXPECT_NE(file_refused(folder_ / "closed/none", ErrorKind::failed).find("cannot write to the folder"),
            std::string::npos);
  EXPECT_THROW(write_file(folder_ / "sticky/theirs", "new"), Error);
  EXPECT_EQ(read_text(folder_ / "sticky/theirs", 9), "old");
  for (const char* name : {"sticky", "closed"})
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / name), fs::directory_iterator()), 2) << name;
}

TEST_F(OutputCheck, StreamsNeedAFolderForTemporaryFiles) {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TMPDIR", (folder_ / "none").c_str(), 1);
  EXPECT_NE(file_refused("/dev/null", ErrorKind::failed).find("set TMPDIR"), std::string::npos);
  check_output_file(folder_ / "x.png", "-o");
  before == nullptr ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", kept.c_str(), 1);
}

TEST_F(OutputCheck, FolderExistsOrCanBeCreated) {
  check_output_folder(folder_, "`out`");
  check_output_folder(folder_ / "a/b/c/", "`out`");
  check_output_folder("relative-folder-that-is-not-there", "`out`");
  expect_nothing_new();
  EXPECT_NE(folder_refused(folder_ / "a" / std::string(256, 'x') / "b").find("256 bytes"), std::string::npos);
  write_file(folder_ / "file", "");
  EXPECT_NE(folder_refused(folder_ / "file").find("is a file"), std::string::npos);
  EXPECT_NE(folder_refused(folder_ / "file" / "below").find("is a file"), std::string::npos);
  fs::create_symlink("nowhere", folder_ / "link");
  EXPECT_NE(folder_refused(folder_ / "link" / "below").find("broken"), std::string::npos);
}

}  // namespace
}  // namespace diffit::base
