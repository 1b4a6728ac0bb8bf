#include "base/output_check.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

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
