#include <signal.h>

#include <numeric>

#include "base/error.h"
#include "base/testing.h"

namespace diffit::base {
namespace {

using MappedFiles = InFolder;

std::uint64_t sum(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0}, [](std::uint64_t all, std::byte b) {
    return all + std::to_integer<std::uint64_t>(b);
  });
}

TEST_F(MappedFiles, AreWhole) {
  write_file(folder_ / "a", "bytes");
  write_file(folder_ / "empty", "");
  EXPECT_EQ(MappedFile(folder_ / "a").bytes().size(), 5u);
  EXPECT_TRUE(MappedFile(folder_ / "empty").bytes().empty());
  MappedFile::check_all();
}

TEST_F(MappedFiles, TruncationGivesZerosAndAnError) {
  const fs::path path = folder_ / "a";
  write_file(path, std::string(100000, '\1'));
  {
    const MappedFile file(path);
    EXPECT_EQ(sum(file.bytes()), 100000u);
    fs::resize_file(path, 10000);
    const std::uint64_t after = sum(file.bytes());
    EXPECT_GE(after, 10000u);
    EXPECT_LT(after, 10000u + 4096u * 16);
    EXPECT_THROW(MappedFile::check_all(), Error);
    EXPECT_THROW(write_file(folder_ / "made", "x"), Error) << "nothing made of it is kept";
    EXPECT_FALSE(fs::exists(folder_ / "made"));
  }
  EXPECT_THROW(MappedFile::check_all(), Error) << "also after its mapping has ended";
  MappedFile::check_all();
}

TEST_F(MappedFiles, TruncationWithinAPageIsAnError) {
  const fs::path path = folder_ / "a";
  write_file(path, "some bytes");
  {
    const MappedFile file(path);
    fs::resize_file(path, 4);
    EXPECT_THROW(MappedFile::check_all(), Error);
  }
  EXPECT_THROW(MappedFile::check_all(), Error);
}

TEST_F(MappedFiles, ReplacedOrRemovedFilesStayReadable) {
  const fs::path path = folder_ / "a";
  write_file(path, "some bytes");
  const MappedFile file(path);
  write_file(path, "x");
  EXPECT_EQ(file.bytes().size(), 10u);
  MappedFile::check_all();
  fs::remove(path);
  MappedFile::check_all();
  EXPECT_EQ(sum(file.bytes().first(1)), std::uint64_t{'s'});
}

TEST_F(MappedFiles, TheHandlerOfBusErrorsIsThatOfTheProgramAfterwards) {
  const auto handler = [] {
    struct sigaction action {};
    ::sigaction(SIGBUS, nullptr, &action);
    return reinterpret_cast<void*>(action.sa_sigaction);
  };
  void* const before = handler();
  write_file(folder_ / "a", "bytes");
  {
    const MappedFile first(folder_ / "a");
    {
      const MappedFile second(folder_ / "a");
      EXPECT_NE(handler(), before);
    }
    EXPECT_NE(handler(), before) << "one file is still mapped";
  }
  EXPECT_EQ(handler(), before);
}

}  // namespace
}  // namespace diffit::base
